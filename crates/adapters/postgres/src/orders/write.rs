//! Placing, locking and saving orders. Placing is the hottest path: one round trip reads, one writes, one moves the stock.

use async_trait::async_trait;
use posx_kernel::{
    Claim, Idempotency as _, IdempotentCall, OrderId, PartyId, PromoCodeId, StoreError, StoreFault, TierId,
    Timestamp,
};
use posx_orders::{
    DueOrder, NewOrder, Order, OrderRepository, PlacingFacts, PromoFacts, TierFacts, Wallet, WalletAddress,
};
use posx_tiers::{ChainFamily, PromoCodeText};
use serde::Deserialize;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::rows::{line_of, order_of};
use crate::error::StoreResult;
use crate::idempotency::{claim_of, lock_name};
use crate::ledger::{EntryColumns, bind_entries, post_entries};
use crate::promo_codes::{PROMO_FACTS, PromoRow};
use crate::site_tx::SiteTx;
use crate::tiers::{ASSET_COLUMNS, TIER_COLUMNS, asset_of, stock_of, stored_count, tier_of};

#[derive(Deserialize)]
struct WalletRow {
    chain_family: String,
    address: String,
    bound_at: Timestamp,
    proven_at: Option<Timestamp>,
    contract_chain_id: Option<i64>,
    usable_from: Option<Timestamp>,
}

/// Of the site, at `$7`: the version that began last. It may have ended.
pub(crate) const PLAN_IN_FORCE: &str = "select * from commission_plans where effective_from <= $7
    order by effective_from desc, activation desc limit 1";

/// `$1` the lock or null, `$2` to `$4` the call, `$5` the buyer, `$6` the tiers, `$7` when. With a promo code, `$8`; an order
/// without one looks for none.
pub(crate) fn facts_sql(with_promo: bool) -> String {
    let promo = if with_promo { PROMO_FACTS } else { "null::jsonb" };
    format!(
        "select l.locked, k.fingerprint, k.status, k.body,
           (select jsonb_strip_nulls(jsonb_build_object('plan', 'plan_' || replace(p.id::text, '-', ''), 'name', p.name, 'version', p.version, 'levels', p.levels,
                                      'difference', p.difference, 'hold_days', p.hold_days))
            from ({PLAN_IN_FORCE}) p where p.effective_until is null or p.effective_until > $7) as plan,
           (select jsonb_agg(jsonb_build_object('chain_family', w.chain_family, 'address', w.address, 'bound_at', w.bound_at,
                     'proven_at', w.proven_at, 'contract_chain_id', w.contract_chain_id, 'usable_from', w.usable_from))
            from wallets w where w.party_id = $5) as wallets,
           {promo} as promo,
           {TIER_COLUMNS}, {ASSET_COLUMNS}, s.supply, s.reserved, s.sold, t.id is not null as found
         from (select $1::text is null or pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked) l
         left join idempotency_keys k on k.actor = $2 and k.operation = $3 and k.key = $4
         left join (tiers t join chain_assets a on a.site_id = t.site_id and a.id = t.asset_id
                    join tier_stock s on s.site_id = t.site_id and s.tier_id = t.id)
           on t.id = any ($6)"
    )
}

/// What placing and previewing read: the plan and the wallets come with each tier's row, so that it is one statement.
pub(super) async fn facts(
    tx: &mut SiteTx,
    call: Option<&IdempotentCall>,
    buyer: PartyId,
    tiers: &[TierId],
    promo: Option<&PromoCodeText>,
    at: Timestamp,
) -> Result<(Claim, PlacingFacts), StoreError> {
    let lock = call.map(|call| lock_name(tx, call));
    let mut query = sqlx::query(sqlx::AssertSqlSafe(facts_sql(promo.is_some())))
        .bind(lock)
        .bind(call.map(|call| &call.actor))
        .bind(call.map(|call| call.operation))
        .bind(call.map(|call| &call.key))
        .bind(buyer.as_uuid())
        .bind(tiers.iter().map(|id| id.as_uuid()).collect::<Vec<_>>())
        .bind(at);
    if let Some(promo) = promo {
        query = query.bind(promo.as_str());
    }
    let rows = query.fetch_all(tx.connection()).await.store()?;
    let first = rows
        .first()
        .ok_or_else(|| StoreError::broken("a select without a condition gave no row"))?;
    let claim = call.map_or(Ok(Claim::New), |call| claim_of(first, call))?;
    let wallets: Option<sqlx::types::Json<Vec<WalletRow>>> = first.try_get("wallets").store()?;
    let mut facts = PlacingFacts {
        tiers: Vec::with_capacity(tiers.len()),
        wallets: wallets
            .map_or_else(Vec::new, |wallets| wallets.0)
            .into_iter()
            .filter_map(wallet)
            .collect(),
        plan_snapshot: first.try_get("plan").store()?,
        promo: promo_of(first)?,
    };
    for row in &rows {
        if row.try_get("found").store()? {
            let available = stock_of(row)?.available();
            facts.tiers.push(TierFacts {
                tier: tier_of(row)?,
                asset: asset_of(row)?,
                available,
            });
        }
    }
    Ok((claim, facts))
}

fn promo_of(row: &PgRow) -> Result<Option<PromoFacts>, StoreError> {
    let found: Option<sqlx::types::Json<PromoRow>> = row.try_get("promo").store()?;
    found.map(|found| found.0.facts()).transpose()
}

fn wallet(row: WalletRow) -> Option<Wallet> {
    let family = ChainFamily::from_name(&row.chain_family)?;
    Some(Wallet {
        address: WalletAddress::from_stored(row.address, family),
        bound_at: row.bound_at,
        proven_at: row.proven_at,
        contract_chain: row.contract_chain_id.and_then(|id| u64::try_from(id).ok()),
        usable_from: row.usable_from,
    })
}

#[async_trait]
impl OrderRepository for SiteTx {
    async fn begin_placing(
        &mut self,
        call: Option<&IdempotentCall>,
        buyer: PartyId,
        tiers: &[TierId],
        promo: Option<&PromoCodeText>,
        at: Timestamp,
    ) -> Result<(Claim, PlacingFacts), StoreError> {
        let (claim, found) = facts(self, call, buyer, tiers, promo, at).await?;
        match (claim, call) {
            // The refused call before it gives its lock back a moment after its caller has the answer.
            (Claim::InProgress, Some(call)) => Ok((self.claim(call).await?, found)),
            (claim, _) => Ok((claim, found)),
        }
    }

    async fn insert(&mut self, new: NewOrder<'_>) -> Result<(), StoreError> {
        insert_order(self, &new).await?;
        for event in new.events {
            self.react(event).await?;
        }
        Ok(())
    }

    async fn for_update(&mut self, id: OrderId) -> Result<Option<Order>, StoreError> {
        let row = sqlx::query("select * from orders where id = $1 for update")
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        let Some(row) = row else { return Ok(None) };
        let order = order_of(&row)?;
        with_lines(self, order).await.map(Some)
    }

    async fn save(&mut self, order: &Order) -> Result<(), StoreError> {
        let done = sqlx::query(
            "update orders set lifecycle = $2, payment = $3, delivery = $4, approval = $5, disputed = $6, attention = $7,
               captured = $8, refunded = $9, paid_at = $10, closed_at = $11, returned = $12, version = version + 1
             where id = $1",
        )
        .bind(order.id.as_uuid())
        .bind(order.lifecycle.as_str())
        .bind(order.payment().as_str())
        .bind(order.delivery.as_str())
        .bind(order.approval.as_str())
        .bind(order.disputed)
        .bind(&order.attention)
        .bind(order.captured.minor())
        .bind(order.refunded.minor())
        .bind(order.paid_at)
        .bind(order.closed_at)
        .bind(order.returned.minor())
        .execute(self.connection())
        .await
        .store()?;
        if done.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::broken("an order that was read is gone"))
        }
    }

    async fn due(
        &mut self,
        now: Timestamp,
        after: Option<DueOrder>,
        limit: u16,
    ) -> Result<Vec<DueOrder>, StoreError> {
        let rows = sqlx::query(
            "select id, expires_at from orders
             where lifecycle = 'placed' and expires_at <= $1 and ($2::timestamptz is null or (expires_at, id) > ($2, $3))
             order by expires_at, id limit $4",
        )
        .bind(now)
        .bind(after.map(|after| after.expires_at))
        .bind(after.map(|after| after.order.as_uuid()))
        .bind(i64::from(limit))
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter()
            .map(|row| {
                Ok(DueOrder {
                    expires_at: row.try_get("expires_at").store()?,
                    order: OrderId::from_uuid(row.try_get("id").store()?),
                })
            })
            .collect()
    }
}

pub(super) async fn with_lines(tx: &mut SiteTx, mut order: Order) -> Result<Order, StoreError> {
    let rows = sqlx::query(
        "select id, tier_id, tier_name, asset_id, quantity, unit_price, amount, tokens::text as tokens,
           promo_tokens::text as promo_tokens, counted_per_buyer
         from order_lines where order_id = $1 order by position",
    )
    .bind(order.id.as_uuid())
    .fetch_all(tx.connection())
    .await
    .store()?;
    let currency = order.currency();
    order.lines = rows
        .iter()
        .map(|row| line_of(row, currency))
        .collect::<Result<_, _>>()?;
    Ok(order)
}

/// Order, lines, entries, events and the answer's key in one statement.
pub(crate) const INSERT_ORDER: &str = concat!(
    "with ",
    post_entries!(),
    ", placed as (
       insert into orders (id, number, kind, buyer_id, lifecycle, payment, delivery, approval, currency, subtotal, discount, tax,
         shipping, total, captured, chain, wallet_address, referrer_id, plan_snapshot, placed_at, expires_at, paid_at,
         wallet_usable_from, promo_code_id)
       values ($13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $53, $54)),
     parts as (
       insert into order_lines (order_id, id, position, tier_id, tier_name, asset_id, quantity, unit_price, amount, tokens,
         counted_per_buyer, promo_tokens)
       select $13, l.id, l.position - 1, l.tier, l.tier_name, l.asset, l.quantity, l.price, l.amount, l.tokens::numeric, l.counted,
         l.promo_tokens::numeric
       from unnest($35::uuid[], $36::uuid[], $37::text[], $38::uuid[], $39::int[], $40::bigint[], $41::bigint[], $42::text[],
                   $43::boolean[], $55::text[])
         with ordinality as l (id, tier, tier_name, asset, quantity, price, amount, tokens, counted, promo_tokens, position)),
     happened as (
       insert into events (kind, subject_id, payload, at)
       select e.kind, e.subject, e.payload, $32
       from unnest($44::text[], $45::uuid[], $46::jsonb[]) as e (kind, subject, payload)),
     answered as (
       insert into idempotency_keys (actor, operation, key, fingerprint, status, body, created_at)
       select $47, $48, $49, $50, $51, $52, $32 where $49::text is not null
       on conflict do nothing returning 1)
     select $49::text is null or exists (select from answered) as kept"
);

/// One part of every row, for `unnest`.
fn column<'a, Row, Part>(rows: &'a [Row], part: impl Fn(&'a Row) -> Part) -> Vec<Part> {
    rows.iter().map(part).collect()
}

async fn insert_order(tx: &mut SiteTx, new: &NewOrder<'_>) -> Result<(), StoreError> {
    let order = new.order;
    let entries = EntryColumns::of(new.entries)?;
    let (call, answer) = new.answer.unzip();
    let lines = order.lines.as_slice();
    let query = bind_entries!(sqlx::query(INSERT_ORDER), entries);
    let row = query
        .bind(order.id.as_uuid())
        .bind(order.number.as_str())
        .bind(order.kind.as_str())
        .bind(order.buyer.as_uuid())
        .bind(order.lifecycle.as_str())
        .bind(order.payment().as_str())
        .bind(order.delivery.as_str())
        .bind(order.approval.as_str())
        .bind(order.currency().code())
        .bind(order.subtotal.minor())
        .bind(order.discount.minor())
        .bind(order.tax.minor())
        .bind(order.shipping.minor())
        .bind(order.total.minor())
        .bind(order.captured.minor())
        .bind(order.chain.as_str())
        .bind(order.wallet.as_str())
        .bind(order.referrer.map(PartyId::as_uuid))
        .bind(&order.plan_snapshot)
        .bind(order.placed_at)
        .bind(order.expires_at)
        .bind(order.paid_at)
        .bind(column(lines, |line| line.id.as_uuid()))
        .bind(column(lines, |line| line.tier.as_uuid()))
        .bind(column(lines, |line| line.tier_name.as_str()))
        .bind(column(lines, |line| line.asset.as_uuid()))
        .bind(column(lines, |line| stored_count(line.quantity)))
        .bind(column(lines, |line| line.unit_price.minor()))
        .bind(column(lines, |line| line.amount.minor()))
        .bind(column(lines, |line| line.tokens.to_string()))
        .bind(column(lines, |line| line.counted_per_buyer))
        .bind(column(new.events, |event| event.kind))
        .bind(column(new.events, |event| event.subject))
        .bind(column(new.events, |event| event.payload.clone()))
        .bind(call.map(|call| &call.actor))
        .bind(call.map(|call| call.operation))
        .bind(call.map(|call| &call.key))
        .bind(call.map(|call| call.fingerprint.as_slice()))
        .bind(answer.map(|answer| i16::try_from(answer.status).unwrap_or(i16::MAX)))
        .bind(answer.map(|answer| &answer.body))
        .bind(order.wallet_usable_from)
        .bind(order.promo_code.map(PromoCodeId::as_uuid))
        .bind(column(lines, |line| line.promo_tokens.to_string()))
        .fetch_one(tx.connection())
        .await
        .store()?;
    if row.try_get("kept").store()? {
        return Ok(());
    }
    Err(StoreError::new(
        StoreFault::Retry,
        "the key was taken in the meantime",
    ))
}
