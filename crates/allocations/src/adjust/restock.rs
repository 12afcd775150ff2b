//! Whole units of what was cut are for sale again; and are taken from there again, if there are any, when they are not.

use posx_kernel::{Event, MovementId, StoreError, TokenAmount};
use posx_tiers::{StockChange, StockMove};
use serde_json::json;

use super::{Movement, Parts};
use crate::returns::whole_units;
use crate::{AllocateError, Allocations, AllocationsTx, LineToDeliver, OrderToDeliver, Restock};

/// How a line's units change.
struct Change<'a> {
    line: &'a LineToDeliver,
    /// Back to the stock; negative: taken again.
    units: i64,
    after: Restock,
}

impl Allocations {
    /// False: nothing changed. Locks the tiers' rows in order of their ids, last of all.
    pub(super) async fn restock_in_tx(
        &self,
        tx: &mut dyn AllocationsTx,
        parts: &Parts<'_>,
    ) -> Result<bool, AllocateError> {
        let (order, now) = (parts.order, parts.now);
        let stored = tx.delivered_orders().restocks(order.order).await?;
        let mut changes: Vec<_> = order
            .lines
            .iter()
            .filter_map(|line| change(order, line, parts.cut(line.line), &stored))
            .collect();
        changes.sort_by_key(|change| (change.line.tier, change.line.line));
        for Change { line, units, after } in &changes {
            let count = u32::try_from(units.unsigned_abs()).unwrap_or(u32::MAX);
            let tokens = line.unit_tokens.checked_mul(count);
            let tokens = tokens.map_err(|_| StoreError::broken("more tokens than a line has"))?;
            let movement = Movement::of_restock(order, line, after.changes, tokens, *units < 0);
            tx.ledger().post(&self.entry(movement, now)).await?;
            tx.delivered_orders().save_restock(after).await?;
            let payload = json!({ "line": line.line, "tier": line.tier, "units": units });
            let event = Event {
                kind: "order.restocked",
                subject: order.order.as_uuid(),
                payload,
                at: now,
            };
            tx.outbox().append(event).await?;
        }
        for Change { line, units, .. } in changes.iter().filter(|change| change.line.counted_per_buyer) {
            let counted = tx
                .stock()
                .count_for_buyer(line.tier, order.buyer, -units, None)
                .await?;
            counted.map_err(|_| StoreError::broken("a buyer's count below what the buyer bought"))?;
        }
        for Change { line, units, .. } in &changes {
            let movement = StockMove {
                id: MovementId::from_uuid(self.ids.uuid(now)),
                tier: line.tier,
                quantity: units.abs(),
                order: Some(order.order),
                at: now,
            };
            let change = if *units < 0 {
                StockChange::SellFree
            } else {
                StockChange::Unsell
            };
            if tx.stock().change(&movement, &change).await?.is_err() {
                return Err(AllocateError::NoStock);
            }
        }
        Ok(!changes.is_empty())
    }
}

/// By what is cut, and by what of the money is to restock at all; cumulative, as everything of a return.
fn change<'a>(
    order: &OrderToDeliver,
    line: &'a LineToDeliver,
    cut: TokenAmount,
    stored: &[Restock],
) -> Option<Change<'a>> {
    let wished = order.returned.checked_sub(order.not_restocked).ok();
    let wished = wished.and_then(|wished| line.tokens.proportion(wished, order.total));
    let target = whole_units(line.tokens, line.quantity, cut.min(wished.unwrap_or_default()));
    let before = stored.iter().find(|one| one.line == line.line);
    let (had, changes) = before.map_or((0, 0), |before| (before.units, before.changes));
    (target != had).then(|| Change {
        line,
        units: i64::from(target) - i64::from(had),
        after: Restock {
            line: line.line,
            units: target,
            changes: changes + 1,
        },
    })
}
