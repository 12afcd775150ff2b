//! The use cases' shared parts.

use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{
    Begin, Clock, EntryId, Event, Ids, MovementId, Randomness, SiteScope, StoreError, Timestamp, TokenAmount,
};
use posx_ledger::{Account, Entry, EntryKind, Posting, Side, Unit};
use posx_tenancy::FirstPayment;
use posx_tiers::{StockChange, StockMove, StockRefusal};
use serde_json::json;
use uuid::Uuid;

use crate::gateway::PaymentGateway;
use crate::{Line, Order, OrderError, OrderQueries, OrdersTx};

/// Who lost an account has a day to notice that its wallet was replaced.
pub const COOLING_OFF: TimeDelta = TimeDelta::hours(24);

/// Use cases of orders and their payments; one file each.
#[derive(Clone)]
pub struct Orders {
    pub(crate) db: Arc<dyn Begin<dyn OrdersTx>>,
    pub(crate) queries: Arc<dyn OrderQueries>,
    pub(crate) gateway: Arc<dyn PaymentGateway>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) cooling_off: TimeDelta,
}

impl std::fmt::Debug for Orders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orders")
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}

impl Orders {
    pub fn new(
        db: Arc<dyn Begin<dyn OrdersTx>>,
        queries: Arc<dyn OrderQueries>,
        gateway: Arc<dyn PaymentGateway>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            db,
            queries,
            gateway,
            clock,
            ids,
            randomness,
            cooling_off: COOLING_OFF,
        }
    }

    /// How long custody sends nothing to a wallet that took another's place.
    #[must_use]
    pub fn with_cooling_off(self, cooling_off: TimeDelta) -> Self {
        Self { cooling_off, ..self }
    }

    pub(crate) fn id(&self, now: Timestamp) -> Uuid {
        self.ids.uuid(now)
    }

    pub(crate) async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn OrdersTx>, StoreError> {
        self.db.begin(scope).await
    }

    /// Tokens change hands on the books, one entry per line.
    pub(crate) fn token_entries(
        &self,
        order: &Order,
        kind: EntryKind,
        debit: &Account,
        credit: &Account,
        now: Timestamp,
    ) -> Vec<Entry> {
        let entry = |(line, tokens): (&Line, TokenAmount)| {
            let id = EntryId::from_uuid(self.id(now));
            let postings = [(debit, Side::Debit), (credit, Side::Credit)]
                .map(|(account, side)| token_postings(line, tokens, account, side));
            Entry::new(id, kind, line.id.as_uuid(), now, postings.concat())
                .expect("both sides are the line's tokens")
        };
        order.line_tokens().map(entry).collect()
    }

    /// Moves the stock of every line by the same change, in the order of the tiers' ids, so that two orders never wait for
    /// each other in a circle. Call it last before the commit.
    pub(crate) async fn move_stock_in_tx(
        &self,
        tx: &mut dyn OrdersTx,
        order: &Order,
        change: &StockChange,
        now: Timestamp,
    ) -> Result<Result<(), (usize, StockRefusal)>, StoreError> {
        let mut lines: Vec<_> = order.lines.iter().enumerate().collect();
        lines.sort_by_key(|(_, line)| line.tier);
        for (at, line) in lines {
            let movement = StockMove {
                id: MovementId::from_uuid(self.id(now)),
                tier: line.tier,
                quantity: i64::from(line.quantity),
                order: Some(order.id),
                at: now,
            };
            if let Err(refusal) = tx.stock().change(&movement, change).await? {
                return Ok(Err((at, refusal)));
            }
        }
        Ok(Ok(()))
    }

    /// Gives back what limited tiers counted for the buyer.
    pub(crate) async fn uncount_buyer_in_tx(
        &self,
        tx: &mut dyn OrdersTx,
        order: &Order,
    ) -> Result<(), StoreError> {
        for line in order.lines.iter().filter(|line| line.counted_per_buyer) {
            let fewer = -i64::from(line.quantity);
            if tx
                .stock()
                .count_for_buyer(line.tier, order.buyer, fewer, None)
                .await?
                .is_err()
            {
                return Err(StoreError::broken("a line's count for its buyer is missing"));
            }
        }
        Ok(())
    }
}

/// A line's tokens on one side of an entry. The bonus of a promo code was never free: it is issued for the order, and taken
/// back with it.
fn token_postings(line: &Line, tokens: TokenAmount, account: &Account, side: Side) -> Vec<Posting> {
    let bonus = if *account == Account::TokensFree {
        line.promo_tokens.base_units()
    } else {
        0
    };
    let posting = |account, amount| Posting {
        account,
        unit: Unit::Asset(line.asset),
        side,
        amount,
    };
    let rest = tokens.base_units() - bonus;
    vec![
        posting(account.clone(), rest),
        posting(Account::TokensIssued, bonus),
    ]
}

/// The buyer's first payment binds their referrer, in the payment's own transaction: shares are decided afterwards, in any
/// order, and each decision must see the whole chain above its buyer.
pub(crate) async fn bind_referrer_in_tx(
    tx: &mut dyn OrdersTx,
    order: &Order,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let payment = FirstPayment {
        order: order.id,
        party: order.buyer,
        named: order.referrer,
        at,
    };
    let Some(referrer) = tx.referrals().bind(payment).await? else {
        return Ok(false);
    };
    let bound = Event {
        kind: "referral.bound",
        subject: order.buyer.as_uuid(),
        payload: json!({ "referrer": referrer, "order": order.id }),
        at,
    };
    tx.outbox().append(bound).await?;
    Ok(true)
}

pub(crate) fn happened(
    kind: &'static str,
    order: &Order,
    payload: serde_json::Value,
    at: Timestamp,
) -> Event {
    Event {
        kind,
        subject: order.id.as_uuid(),
        payload,
        at,
    }
}

pub(crate) const fn refused_line(line: usize, refusal: StockRefusal) -> OrderError {
    match refusal {
        StockRefusal::NoSuchTier => OrderError::UnknownTier { line },
        StockRefusal::NotEnough { available } => OrderError::SoldOut { line, available },
        StockRefusal::BuyerLimit => OrderError::OverBuyerLimit { line },
    }
}
