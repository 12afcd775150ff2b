//! Who may do what: one table.

use serde::{Deserialize, Serialize};

/// Whether one who is let in must have proven a second factor within the last ten minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    SignedIn,
    SecondFactor,
}

macro_rules! capabilities {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $proof:ident;)+) => {
        /// What a route asks for. The name is `{subject}:{verb}`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Capability {
            $($(#[$doc])* $name,)+
        }

        impl Capability {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// Only a person gives a second factor: an API key or a device never has such a capability.
            pub const fn proof(self) -> Proof {
                match self { $(Self::$name => Proof::$proof,)+ }
            }
        }
    };
}

capabilities! {
    /// See tiers and one's own orders, commissions, referrals; place and pay orders; bind a wallet.
    Buy = "orders:buy", SignedIn;
    TiersManage = "tiers:manage", SignedIn;
    SupplyCorrect = "tier_supply:correct", SecondFactor;
    OrdersRead = "orders:read", SignedIn;
    OrdersManage = "orders:manage", SignedIn;
    OrdersRefund = "orders:refund", SecondFactor;
    PromoCodesManage = "promo_codes:manage", SignedIn;
    CommissionsRead = "commissions:read", SignedIn;
    PlansManage = "commission_plans:manage", SecondFactor;
    /// See every agent: profile, tree, customers, statements.
    AgentsRead = "agents:read", SignedIn;
    /// Edit profiles and grades, place an agent elsewhere in the tree.
    AgentsManage = "agents:manage", SecondFactor;
    /// See settlement batches and withdrawals.
    PayoutsRead = "payouts:read", SignedIn;
    /// Settle, pay out, decide on withdrawals, write off.
    PayoutsManage = "payouts:manage", SecondFactor;
    /// Take out one's own earnings.
    WithdrawalsRequest = "withdrawals:request", SecondFactor;
    VestingManage = "vesting:manage", SecondFactor;
    ReportsRead = "reports:read", SignedIn;
    AllocationsRead = "allocations:read", SignedIn;
    AllocationsSend = "allocations:send", SecondFactor;
    AssetsManage = "chain_assets:manage", SignedIn;
    LedgerRead = "ledger:read", SignedIn;
    /// Close a period of the books, open the last one again.
    PeriodsClose = "periods:close", SecondFactor;
    JobsRead = "jobs:read", SignedIn;
    JobsReplay = "jobs:replay", SignedIn;
    MembersRead = "members:read", SignedIn;
    MembersManage = "members:manage", SignedIn;
    PlacesManage = "places:manage", SignedIn;
    ApiKeysManage = "api_keys:manage", SecondFactor;
    DevicesManage = "devices:manage", SignedIn;
    /// Stand at a till.
    DevicesOperate = "devices:operate", SignedIn;
    ProviderAccountsManage = "provider_accounts:manage", SecondFactor;
    /// See what waits for a second person, and from when on one is needed.
    ApprovalsRead = "approvals:read", SignedIn;
    /// Be the second person.
    ApprovalsDecide = "approvals:decide", SecondFactor;
    /// Who did what, and when platform staff was here.
    AuditRead = "audit:read", SignedIn;
    /// Show platform staff out before their time is up.
    PlatformGrantsEnd = "platform_grants:end", SignedIn;
    /// Export and erase what the site holds of a person.
    PersonalDataManage = "personal_data:manage", SecondFactor;
    /// Ask the assistant. What it may look up, the asker's own capabilities say.
    AssistantUse = "assistant:use", SignedIn;
    /// Choose models, consent to their use, set budgets. A key of one's own is `provider_accounts:manage`.
    AssistantManage = "assistant:manage", SignedIn;
    DocumentsRead = "documents:read", SignedIn;
    /// Upload documents, edit, accept and reject what was read out of them.
    DocumentsManage = "documents:manage", SignedIn;
    /// From when on a second person is needed. The owner's alone: it stands last.
    ApprovalLimitsManage = "approval_limits:manage", SecondFactor;
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

/// How high a role stands. Nobody grants above their own rank; who acts on whom says
/// [`Membership::may_touch`](crate::Membership::may_touch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Other,
    Manager,
    Admin,
    Owner,
}

/// Everything but what is the owner's alone.
const ADMIN: &[Capability] = match Capability::ALL.split_last() {
    Some((Capability::ApprovalLimitsManage, others)) => others,
    _ => panic!("what is the owner's alone stands last"),
};

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

    pub const fn rank(self) -> Rank {
        match self {
            Self::Owner => Rank::Owner,
            Self::Admin => Rank::Admin,
            Self::Manager => Rank::Manager,
            Self::Member | Self::Cashier | Self::Agent | Self::Viewer => Rank::Other,
        }
    }

    pub const fn capabilities(self) -> &'static [Capability] {
        use Capability::{
            AgentsRead, AllocationsRead, AssistantUse, Buy, CommissionsRead, DevicesManage, DevicesOperate,
            DocumentsManage, DocumentsRead, JobsRead, LedgerRead, MembersRead, OrdersManage, OrdersRead,
            PayoutsRead, PromoCodesManage, ReportsRead, TiersManage, WithdrawalsRequest,
        };
        match self {
            Self::Owner => Capability::ALL,
            Self::Admin => ADMIN,
            Self::Manager => &[
                Buy,
                TiersManage,
                OrdersRead,
                OrdersManage,
                PromoCodesManage,
                CommissionsRead,
                AgentsRead,
                PayoutsRead,
                ReportsRead,
                AllocationsRead,
                LedgerRead,
                JobsRead,
                MembersRead,
                DevicesManage,
                DevicesOperate,
                AssistantUse,
                DocumentsRead,
                DocumentsManage,
            ],
            Self::Viewer => &[
                OrdersRead,
                CommissionsRead,
                AgentsRead,
                PayoutsRead,
                ReportsRead,
                AllocationsRead,
                LedgerRead,
                AssistantUse,
                DocumentsRead,
            ],
            Self::Member | Self::Agent => &[Buy, WithdrawalsRequest],
            Self::Cashier => &[DevicesOperate],
        }
    }

    pub fn may(self, capability: Capability) -> bool {
        self.capabilities().contains(&capability)
    }

    /// Whether who grants it must have proven a second factor: it brings what needs one, beyond what everyone has who joins.
    /// Otherwise one stolen sign-in makes the people who agree to what it does.
    pub fn is_granted_with_proof(self) -> bool {
        let proven = |one: &&Capability| one.proof() == Proof::SecondFactor;
        let mut brought = self.capabilities().iter().filter(proven);
        brought.any(|one| !Self::Member.may(*one))
    }
}
