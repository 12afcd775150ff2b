//! Who may do what: one table.

use serde::{Deserialize, Serialize};

/// What a route asks for. The name is `{subject}:{verb}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// See tiers and one's own orders, commissions, referrals; place and pay orders; bind a wallet.
    Buy,
    TiersManage,
    OrdersRead,
    OrdersManage,
    CommissionsRead,
    PlansManage,
    AllocationsRead,
    AllocationsSend,
    AssetsManage,
    LedgerRead,
    JobsRead,
    JobsReplay,
}

impl Capability {
    pub const ALL: &'static [Self] = &[
        Self::Buy,
        Self::TiersManage,
        Self::OrdersRead,
        Self::OrdersManage,
        Self::CommissionsRead,
        Self::PlansManage,
        Self::AllocationsRead,
        Self::AllocationsSend,
        Self::AssetsManage,
        Self::LedgerRead,
        Self::JobsRead,
        Self::JobsReplay,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "orders:buy",
            Self::TiersManage => "tiers:manage",
            Self::OrdersRead => "orders:read",
            Self::OrdersManage => "orders:manage",
            Self::CommissionsRead => "commissions:read",
            Self::PlansManage => "commission_plans:manage",
            Self::AllocationsRead => "allocations:read",
            Self::AllocationsSend => "allocations:send",
            Self::AssetsManage => "chain_assets:manage",
            Self::LedgerRead => "ledger:read",
            Self::JobsRead => "jobs:read",
            Self::JobsReplay => "jobs:replay",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Admin,
    Manager,
    Member,
    Cashier,
    Agent,
    Viewer,
}

impl Role {
    pub const ALL: &'static [Self] = &[
        Self::Owner,
        Self::Admin,
        Self::Manager,
        Self::Member,
        Self::Cashier,
        Self::Agent,
        Self::Viewer,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Manager => "manager",
            Self::Member => "member",
            Self::Cashier => "cashier",
            Self::Agent => "agent",
            Self::Viewer => "viewer",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == name)
    }

    pub const fn capabilities(self) -> &'static [Capability] {
        use Capability::{
            AllocationsRead, Buy, CommissionsRead, JobsRead, LedgerRead, OrdersManage, OrdersRead,
            TiersManage,
        };
        match self {
            Self::Owner | Self::Admin => Capability::ALL,
            Self::Manager => &[
                Buy,
                TiersManage,
                OrdersRead,
                OrdersManage,
                CommissionsRead,
                AllocationsRead,
                LedgerRead,
                JobsRead,
            ],
            Self::Viewer => &[OrdersRead, CommissionsRead, AllocationsRead, LedgerRead],
            Self::Member | Self::Agent => &[Buy],
            Self::Cashier => &[],
        }
    }

    pub fn may(self, capability: Capability) -> bool {
        self.capabilities().contains(&capability)
    }
}
