//! What can need a second person: the one list.

use serde::{Deserialize, Serialize};

// `tt`, not `literal`: utoipa does not see through the group that a `literal` is handed on in, and would document the
// variant's name.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $text:tt;)+) => {
        /// Named as the operation of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ReviewedOperation {
            $($(#[$doc])* #[serde(rename = $text)] $name,)+
        }

        impl ReviewedOperation {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

operations! {
    /// Measured in allocations.
    AllocationBatch = "create_allocation_batch";
    /// Measured in units, more or fewer.
    SupplyCorrection = "correct_tier_supply";
    /// Measured in minor units of the site's currency.
    Refund = "refund_order";
    /// Each is one: a limit of 0 means always.
    PlanCreation = "create_commission_plan";
    /// Each is one: a limit of 0 means always.
    PlanActivation = "activate_commission_plan";
    /// Each is one: a limit of 0 means always.
    TermsRecording = "record_agent_terms";
    /// Measured in minor units of the withdrawal's currency.
    WithdrawalApproval = "approve_withdrawal";
    /// Measured in minor units of the debt's currency.
    WriteOff = "write_off_balance";
    /// Measured in whole tokens; a part of one counts as one.
    TokenDebtSettling = "settle_token_debt";
    /// Each is one: a limit of 0 means always.
    PeriodClosing = "close_ledger_period";
    /// Each is one: a limit of 0 means always.
    PeriodReopening = "reopen_ledger_period";
    /// Has no limit of its own: it needs a second person wherever there is one.
    LimitRaise = "change_approval_limit";
}

impl ReviewedOperation {
    /// Those for which a site sets a limit.
    pub fn limited() -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|operation| *operation != Self::LimitRaise)
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.as_str() == name)
    }
}

impl std::fmt::Display for ReviewedOperation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ReviewedOperation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::from_name(text).ok_or(())
    }
}
