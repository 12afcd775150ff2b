//! Ends what buyers owe of tokens whose money went back: they came back, or staff give them up.

mod error;
mod view;

use posx_kernel::{
    AllocationId, Event, IdempotentCall, IdentityId, Made, SiteScope, Timestamp, TokenAmount,
    TokenSettlementId, made_before_in_tx, remember_in_tx, retry_busy,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use error::DebtError;
pub use view::TokenSettlementView;

use crate::adjust::{Movement, Parts};
use crate::{Allocation, Allocations, Place};

const REASON_CHARACTERS_MAX: usize = 500;
const TX_HASH_BYTES_MAX: usize = 200;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Settling {
    /// The buyer sent the tokens back.
    Received,
    /// The debt is given up.
    Waived,
}

impl Settling {
    pub const ALL: &'static [Self] = &[Self::Received, Self::Waived];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Waived => "waived",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|how| how.as_str() == name)
    }
}

/// A debt, or a part of it, that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettlement {
    pub id: TokenSettlementId,
    pub allocation: AllocationId,
    pub how: Settling,
    /// More than nothing.
    pub amount: TokenAmount,
    pub reason: String,
    /// Of the transaction by which the tokens came back.
    pub tx_hash: Option<String>,
    pub made_by: IdentityId,
    pub at: Timestamp,
}

/// What staff ask for.
#[derive(Debug, Clone)]
pub struct SettleDebt {
    /// Of which the tokens are owed.
    pub allocation: AllocationId,
    pub how: Settling,
    pub amount: TokenAmount,
    pub reason: String,
    pub tx_hash: Option<String>,
    pub by: IdentityId,
}

impl SettleDebt {
    /// Without the blanks around its texts.
    fn checked(&self) -> Result<Self, DebtError> {
        let (reason, tx_hash) = (self.reason.trim(), self.tx_hash.as_deref().map(str::trim));
        if reason.is_empty() || reason.chars().count() > REASON_CHARACTERS_MAX {
            return Err(DebtError::Reason);
        }
        let is_hash = |text: &str| {
            (1..=TX_HASH_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        match (self.how, tx_hash) {
            (Settling::Received, Some(hash)) if is_hash(hash) => {}
            (Settling::Waived, None) => {}
            _ => return Err(DebtError::TxHash),
        }
        if self.amount.is_zero() {
            return Err(DebtError::Amount);
        }
        Ok(Self {
            reason: reason.to_owned(),
            tx_hash: tx_hash.map(str::to_owned),
            ..self.clone()
        })
    }
}

impl Allocation {
    /// `amount` of what the buyer owes came back. False: less is owed.
    pub(crate) fn receive(&mut self, amount: TokenAmount, now: Timestamp) -> bool {
        self.place() == Place::Sent
            && amount <= self.debt()
            && self.settled(amount, now, |this| &mut this.received)
    }

    /// `amount` of what the buyer owes is given up. False: less is owed.
    pub(crate) fn waive(&mut self, amount: TokenAmount, now: Timestamp) -> bool {
        amount <= self.debt() && self.settled(amount, now, |this| &mut this.waived)
    }

    fn settled(
        &mut self,
        amount: TokenAmount,
        now: Timestamp,
        of: fn(&mut Self) -> &mut TokenAmount,
    ) -> bool {
        let sum = of(self).checked_add(amount);
        if let Ok(sum) = sum {
            *of(self) = sum;
            self.changes += 1;
            self.updated_at = now;
        }
        sum.is_ok()
    }
}

impl Allocations {
    /// Ends a debt, or a part of it: never more than is owed. Tokens that came back are a part of the order's line of their own,
    /// cut: for sale again if that was wished, and sent again if their money comes back after all.
    pub async fn settle_debt(
        &self,
        scope: &SiteScope,
        wish: &SettleDebt,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<TokenSettlementId>, DebtError> {
        let wish = wish.checked()?;
        retry_busy(|| self.try_settle(scope, &wish, call)).await
    }

    async fn try_settle(
        &self,
        scope: &SiteScope,
        wish: &SettleDebt,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<TokenSettlementId>, DebtError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, DebtError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        let order = tx.allocations().order_of(wish.allocation).await?;
        let order = order.ok_or(DebtError::NotFound)?;
        let order = tx.delivered_orders().for_update(order).await?;
        let order = order.ok_or(DebtError::NotFound)?;
        let mut parts = Parts::read_in_tx(tx.as_mut(), &order, now).await?;
        let before = parts.stored();
        let settlement = TokenSettlement {
            id: TokenSettlementId::from_uuid(self.ids.uuid(now)),
            allocation: wish.allocation,
            how: wish.how,
            amount: wish.amount,
            reason: wish.reason.clone(),
            tx_hash: wish.tx_hash.clone(),
            made_by: wish.by,
            at: now,
        };
        if !parts.settle(&settlement, self.allocation_id(now)) {
            return Err(DebtError::OwesLess);
        }
        if !tx.allocations().insert_settlement(&settlement).await? {
            return Err(DebtError::TransactionUsed);
        }
        tx.outbox().append(settlement.happened(&order.order)).await?;
        remember_in_tx(tx.as_mut(), call, &settlement.id).await?;
        // Ends with the stock's rows.
        self.follow_in_tx(tx.as_mut(), parts, before).await?;
        tx.commit().await?;
        Ok(Made::now(settlement.id))
    }
}

impl Parts<'_> {
    /// False: the buyer owes less of it. `id` is that of the part which what came back becomes.
    fn settle(&mut self, settlement: &TokenSettlement, id: AllocationId) -> bool {
        let (now, amount) = (self.now, settlement.amount);
        let Some(allocation) = self
            .allocations
            .iter_mut()
            .find(|one| one.id == settlement.allocation)
        else {
            return false;
        };
        let settled = match settlement.how {
            Settling::Received => allocation.receive(amount, now),
            Settling::Waived => allocation.waive(amount, now),
        };
        if !settled {
            return false;
        }
        self.movements
            .push(Movement::of_settlement(allocation, settlement));
        let line = allocation.line;
        if settlement.how == Settling::Received
            && let Some(line) = self.order.lines.iter().find(|one| one.line == line)
        {
            self.push_allocation(line, id, amount, amount);
        }
        true
    }
}

impl TokenSettlement {
    /// Of a transaction as it is compared with others: case and `0x` say nothing.
    pub fn transaction(&self) -> Option<String> {
        let hash = self.tx_hash.as_deref()?.to_ascii_lowercase();
        Some(hash.strip_prefix("0x").map(str::to_owned).unwrap_or(hash))
    }

    fn happened(&self, order: &posx_kernel::OrderId) -> Event {
        Event {
            kind: "token_debt.settled",
            subject: self.id.as_uuid(),
            payload: json!({
                "order": order, "allocation": self.allocation, "how": self.how, "amount": self.amount,
            }),
            at: self.at,
        }
    }
}
