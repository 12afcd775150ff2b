//! The staff's queries.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use posx_kernel::{OrderId, PartyId, SiteScope, StoreError, Timestamp};
use posx_tenancy::{Capability, Site};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Rows, Told, ToolRefusal, arguments, spec};
use crate::{ToolCall, ToolSpec};

/// What the asker may do, as it stood when they asked.
#[derive(Debug, Clone, Default)]
pub struct Rights(BTreeSet<Capability>);

impl Rights {
    pub fn of(capabilities: impl IntoIterator<Item = Capability>) -> Self {
        Self(capabilities.into_iter().collect())
    }

    fn may(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }
}

/// Newest first, at most [`ROWS_MAX`](super::ROWS_MAX). States are named as the routes name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaffQuery {
    /// Days of the site; the thirty to today when they are not named.
    Overview {
        from: Option<NaiveDate>,
        until: Option<NaiveDate>,
    },
    Orders {
        lifecycle: Option<String>,
        payment: Option<String>,
        attention: bool,
        buyer: Option<PartyId>,
    },
    /// By its id or its number.
    Order {
        order: String,
    },
    Tiers {
        with_counters: bool,
    },
    Commissions {
        state: Option<String>,
        agent: Option<PartyId>,
        order: Option<OrderId>,
    },
    Allocations {
        state: Option<String>,
        order: Option<OrderId>,
        needs_person: Option<bool>,
    },
    Payouts {
        state: Option<String>,
        agent: Option<PartyId>,
    },
    /// Of the accounts whose code begins so.
    Balances {
        account: Option<String>,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A state that there is not, a period that is none.
    #[error("an argument is wrong")]
    Argument,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads the site's data for staff.
#[async_trait]
pub trait StaffReads: Send + Sync {
    async fn read(
        &self,
        scope: &SiteScope,
        site: &Site,
        query: &StaffQuery,
        now: Timestamp,
    ) -> Result<Rows, ReadError>;
}

/// One tool, and what its asker has to be allowed: what the route asks for that shows the same.
struct Tool {
    name: &'static str,
    needs: Option<Capability>,
    description: &'static str,
    parameters: fn() -> Value,
    query: fn(&ToolCall, &Rights) -> Result<StaffQuery, ToolRefusal>,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "sales_overview",
        needs: Some(Capability::ReportsRead),
        description: "Figures of a period: orders placed and paid, sales, discounts, returns, commissions; and what is open now. \
            Without days: the last thirty.",
        parameters: || {
            json!({ "from": { "type": "string", "format": "date" },
                "until": { "type": "string", "format": "date", "description": "The day behind the last one." } })
        },
        query: |call, _| {
            let Overview { from, until } = arguments(call)?;
            Ok(StaffQuery::Overview { from, until })
        },
    },
    Tool {
        name: "find_orders",
        needs: Some(Capability::OrdersRead),
        description: "The newest orders, by state.",
        parameters: || {
            json!({ "lifecycle": { "enum": ["placed", "confirmed", "fulfilled", "cancelled", "expired"] },
                "payment": { "enum": ["unpaid", "partial", "paid", "partly_refunded", "refunded"] },
                "attention": { "type": "boolean", "description": "Only orders that a person should look at." },
                "buyer": { "type": "string", "description": "A party's id: pty_…" } })
        },
        query: |call, _| {
            let Orders {
                lifecycle,
                payment,
                attention,
                buyer,
            } = arguments(call)?;
            Ok(StaffQuery::Orders {
                lifecycle,
                payment,
                attention,
                buyer,
            })
        },
    },
    Tool {
        name: "get_order",
        needs: Some(Capability::OrdersRead),
        description: "One order with its lines, its money, refunds and history.",
        parameters: || json!({ "order": { "type": "string", "description": "Its id (ord_…) or its number." } }),
        query: |call, _| {
            let One { order } = arguments(call)?;
            Ok(StaffQuery::Order { order })
        },
    },
    Tool {
        name: "list_tiers",
        needs: None,
        description: "The tiers: prices, and how much is left.",
        parameters: || json!({}),
        query: |call, rights| {
            let Nothing {} = arguments(call)?;
            Ok(StaffQuery::Tiers {
                with_counters: rights.may(Capability::TiersManage),
            })
        },
    },
    Tool {
        name: "find_commissions",
        needs: Some(Capability::CommissionsRead),
        description: "The newest commissions, by state, agent or order.",
        parameters: || {
            json!({ "state": { "enum": ["held", "ready", "batched", "paid", "frozen", "void"] },
                "agent": { "type": "string", "description": "A party's id: pty_…" },
                "order": { "type": "string", "description": "ord_…" } })
        },
        query: |call, _| {
            let Commissions { state, agent, order } = arguments(call)?;
            Ok(StaffQuery::Commissions { state, agent, order })
        },
    },
    Tool {
        name: "find_allocations",
        needs: Some(Capability::AllocationsRead),
        description: "The newest deliveries of tokens, by state or order.",
        parameters: || {
            json!({ "state": { "enum": ["pending", "queued", "unknown", "submitted", "confirming", "done", "failed", "cancelled"] },
                "order": { "type": "string", "description": "ord_…" },
                "needs_person": { "type": "boolean" } })
        },
        query: |call, _| {
            let Allocations {
                state,
                order,
                needs_person,
            } = arguments(call)?;
            Ok(StaffQuery::Allocations {
                state,
                order,
                needs_person,
            })
        },
    },
    Tool {
        name: "find_payouts",
        needs: Some(Capability::PayoutsRead),
        description: "The newest payouts to agents, by state or agent.",
        parameters: || {
            json!({ "state": { "enum": ["requested", "approved", "sending", "done", "failed", "returned", "rejected", "cancelled"] },
                "agent": { "type": "string", "description": "A party's id: pty_…" } })
        },
        query: |call, _| {
            let Payouts { state, agent } = arguments(call)?;
            Ok(StaffQuery::Payouts { state, agent })
        },
    },
    Tool {
        name: "ledger_balances",
        needs: Some(Capability::LedgerRead),
        description: "Balances of the books' accounts, in minor units of a currency or base units of a token; debits are positive.",
        parameters: || json!({ "account": { "type": "string", "description": "How the account's code begins, such as cash: or commission:" } }),
        query: |call, _| {
            let Balances { account } = arguments(call)?;
            Ok(StaffQuery::Balances { account })
        },
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Overview {
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Orders {
    lifecycle: Option<String>,
    payment: Option<String>,
    #[serde(default)]
    attention: bool,
    buyer: Option<PartyId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    order: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Commissions {
    state: Option<String>,
    agent: Option<PartyId>,
    order: Option<OrderId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allocations {
    state: Option<String>,
    order: Option<OrderId>,
    needs_person: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payouts {
    state: Option<String>,
    agent: Option<PartyId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Balances {
    account: Option<String>,
}

pub(crate) struct StaffTools {
    pub reads: Arc<dyn StaffReads>,
    pub rights: Rights,
}

impl StaffTools {
    fn may(&self, tool: &Tool) -> bool {
        tool.needs.is_none_or(|capability| self.rights.may(capability))
    }

    /// Only what the asker may use is offered.
    pub fn specs(&self) -> Vec<ToolSpec> {
        let offered = TOOLS.iter().filter(|tool| self.may(tool));
        offered
            .map(|tool| spec(tool.name, tool.description, &(tool.parameters)()))
            .collect()
    }

    pub async fn run(
        &self,
        scope: &SiteScope,
        site: &Site,
        call: &ToolCall,
        now: Timestamp,
    ) -> Result<Told, ToolRefusal> {
        let tool = TOOLS.iter().find(|tool| tool.name == call.name);
        let tool = tool.ok_or(ToolRefusal::Unknown)?;
        if !self.may(tool) {
            return Err(ToolRefusal::Forbidden);
        }
        let query = (tool.query)(call, &self.rights)?;
        match self.reads.read(scope, site, &query, now).await {
            Ok(found) => Ok(Told::of(found)),
            Err(ReadError::Argument) => Err(ToolRefusal::Arguments),
            Err(ReadError::Store(error)) => {
                tracing::warn!(error = %error, tool = tool.name, "a tool of the staff's chat failed");
                Err(ToolRefusal::Unavailable)
            }
        }
    }
}
