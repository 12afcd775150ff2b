//! A promo code's use by an order: counted when it is placed, given back when it closes unpaid, and taken again by a payment that
//! comes after all. The code's counter is a contended row: of all that is counted, only the stock comes after it.

use posx_kernel::{StoreError, Timestamp, TokenAmount};
use posx_tiers::{PromoCode, PromoUse};

use crate::{Order, OrderError, OrdersTx};

/// Within the code's limits, or [`OrderError::PromoCode`]: the transaction is only good for dropping then.
pub(crate) async fn use_promo_in_tx(
    tx: &mut dyn OrdersTx,
    order: &Order,
    code: &PromoCode,
    now: Timestamp,
) -> Result<(), OrderError> {
    let bonus = order.lines.iter().map(|line| line.promo_tokens.base_units());
    let used = PromoUse {
        order: order.id,
        buyer: order.buyer,
        discount: order.discount,
        bonus: TokenAmount::from_base_units(bonus.sum()),
        at: now,
    };
    let counted = tx.promo_codes().count_use(code, &used).await?;
    counted.map_err(OrderError::PromoCode)
}

/// The order lapsed, and its money came: it is worth its price as long as the code has a use left.
pub(crate) async fn use_promo_again_in_tx(
    tx: &mut dyn OrdersTx,
    order: &Order,
    now: Timestamp,
) -> Result<(), OrderError> {
    let Some(id) = order.promo_code else { return Ok(()) };
    let code = tx.promo_codes().find(id).await?;
    let code = code.ok_or_else(|| StoreError::broken("an order's promo code is gone"))?;
    use_promo_in_tx(tx, order, &code, now).await
}

pub(crate) async fn give_back_promo_in_tx(
    tx: &mut dyn OrdersTx,
    order: &Order,
    now: Timestamp,
) -> Result<(), StoreError> {
    if order.promo_code.is_some() && !tx.promo_codes().give_back(order.id, now).await? {
        return Err(StoreError::broken(
            "a placed order's use of its promo code is missing",
        ));
    }
    Ok(())
}
