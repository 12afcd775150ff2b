//! Rows as entities.

use posx_kernel::{ChainAssetId, Currency, LineId, Money, OrderId, PartyId, PromoCodeId, StoreError, TierId};
use posx_orders::{
    Approval, Delivery, Lifecycle, Line, Order, OrderKind, OrderNumber, PaymentStatus, WalletAddress,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::error::StoreResult;
use crate::tiers::{chain, count, currency, tokens};

pub(super) fn lifecycle(name: &str) -> Result<Lifecycle, StoreError> {
    Lifecycle::from_name(name).ok_or_else(|| StoreError::broken("an order's lifecycle"))
}

pub(super) fn payment(name: &str) -> Result<PaymentStatus, StoreError> {
    PaymentStatus::from_name(name).ok_or_else(|| StoreError::broken("an order's payment"))
}

pub(super) fn delivery(name: &str) -> Result<Delivery, StoreError> {
    Delivery::from_name(name).ok_or_else(|| StoreError::broken("an order's delivery"))
}

/// Without its lines.
pub(super) fn order_of(row: &PgRow) -> Result<Order, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    let money = |column: &str| Ok::<_, StoreError>(Money::from_minor(row.try_get(column).store()?, currency));
    let chain = chain(row.try_get("chain").store()?)?;
    let referrer: Option<uuid::Uuid> = row.try_get("referrer_id").store()?;
    let promo_code: Option<uuid::Uuid> = row.try_get("promo_code_id").store()?;
    Ok(Order {
        id: OrderId::from_uuid(row.try_get("id").store()?),
        number: OrderNumber::from_stored(row.try_get("number").store()?),
        kind: OrderKind::Token,
        buyer: PartyId::from_uuid(row.try_get("buyer_id").store()?),
        lines: Vec::new(),
        lifecycle: lifecycle(row.try_get("lifecycle").store()?)?,
        delivery: delivery(row.try_get("delivery").store()?)?,
        approval: Approval::from_name(row.try_get("approval").store()?)
            .ok_or_else(|| StoreError::broken("an order's approval"))?,
        disputed: row.try_get("disputed").store()?,
        attention: row.try_get("attention").store()?,
        subtotal: money("subtotal")?,
        discount: money("discount")?,
        tax: money("tax")?,
        shipping: money("shipping")?,
        total: money("total")?,
        captured: money("captured")?,
        refunded: money("refunded")?,
        returned: money("returned")?,
        chain,
        wallet: WalletAddress::from_stored(row.try_get("wallet_address").store()?, chain.family()),
        wallet_usable_from: row.try_get("wallet_usable_from").store()?,
        referrer: referrer.map(PartyId::from_uuid),
        promo_code: promo_code.map(PromoCodeId::from_uuid),
        plan_snapshot: row.try_get("plan_snapshot").store()?,
        placed_at: row.try_get("placed_at").store()?,
        expires_at: row.try_get("expires_at").store()?,
        paid_at: row.try_get("paid_at").store()?,
        closed_at: row.try_get("closed_at").store()?,
    })
}

pub(super) fn line_of(row: &PgRow, currency: Currency) -> Result<Line, StoreError> {
    Ok(Line {
        id: LineId::from_uuid(row.try_get("id").store()?),
        tier: TierId::from_uuid(row.try_get("tier_id").store()?),
        tier_name: row.try_get("tier_name").store()?,
        asset: ChainAssetId::from_uuid(row.try_get("asset_id").store()?),
        quantity: count(row.try_get("quantity").store()?)?,
        unit_price: Money::from_minor(row.try_get("unit_price").store()?, currency),
        amount: Money::from_minor(row.try_get("amount").store()?, currency),
        tokens: tokens(row.try_get("tokens").store()?)?,
        promo_tokens: tokens(row.try_get("promo_tokens").store()?)?,
        counted_per_buyer: row.try_get("counted_per_buyer").store()?,
    })
}
