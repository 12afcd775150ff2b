//! Reads for screens.

use async_trait::async_trait;
use posx_kernel::{
    DisputeId, Money, OrderId, Page, PageRequest, PartyId, SiteScope, StoreError, TierId, Timestamp,
};
use posx_orders::{
    DisputeFilter, DisputeRepository, DisputeView, EventView, OrderFilter, OrderKind, OrderQueries,
    OrderSummary, OrderView, PlacingFacts, RefundFilter, RefundView, Wallet, WalletRepository as _,
};
use posx_tiers::PromoCodeText;
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row};

use super::rows::{delivery, lifecycle, order_of, payment};
use super::write::{facts, with_lines};
use super::{disputes, refunds};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::currency;

fn summary_of(row: &PgRow) -> Result<OrderSummary, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    Ok(OrderSummary {
        id: OrderId::from_uuid(row.try_get("id").store()?),
        number: row.try_get("number").store()?,
        kind: OrderKind::Token,
        buyer_id: PartyId::from_uuid(row.try_get("buyer_id").store()?),
        lifecycle: lifecycle(row.try_get("lifecycle").store()?)?,
        payment: payment(row.try_get("payment").store()?)?,
        delivery: delivery(row.try_get("delivery").store()?)?,
        attention: row.try_get("attention").store()?,
        total: Money::from_minor(row.try_get("total").store()?, currency),
        placed_at: row.try_get("placed_at").store()?,
        paid_at: row.try_get("paid_at").store()?,
    })
}

/// Only the conditions that are asked for, so that each list has the index that fits it.
fn list(filter: OrderFilter, page: PageRequest) -> QueryBuilder<Postgres> {
    let mut sql = QueryBuilder::new(
        "select id, number, buyer_id, lifecycle, payment, delivery, attention, currency, total, placed_at, paid_at
         from orders where true",
    );
    if let Some(after) = page.after_id() {
        sql.push(" and id < ").push_bind(after);
    }
    if let Some(buyer) = filter.buyer {
        sql.push(" and buyer_id = ").push_bind(buyer.as_uuid());
    }
    if let Some(lifecycle) = filter.lifecycle {
        sql.push(" and lifecycle = ").push_bind(lifecycle.as_str());
    }
    if let Some(payment) = filter.payment {
        sql.push(" and payment = ").push_bind(payment.as_str());
    }
    if filter.attention {
        sql.push(" and attention is not null");
    }
    // With the site in front this is the order of the keys: the page is read from the index and no more.
    sql.push(" order by site_id desc, id desc limit ")
        .push_bind(i64::from(page.limit()) + 1);
    sql
}

#[async_trait]
impl OrderQueries for Database {
    async fn list(
        &self,
        scope: &SiteScope,
        filter: OrderFilter,
        page: PageRequest,
    ) -> Result<Page<OrderSummary>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = list(filter, page)
            .build()
            .fetch_all(tx.connection())
            .await
            .store()?;
        let rows = rows.iter().map(summary_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(rows, page, |order| order.id.as_uuid()))
    }

    async fn get(
        &self,
        scope: &SiteScope,
        id: OrderId,
        buyer: Option<PartyId>,
    ) -> Result<Option<OrderView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query("select * from orders where id = $1 and ($2::uuid is null or buyer_id = $2)")
            .bind(id.as_uuid())
            .bind(buyer.map(PartyId::as_uuid))
            .fetch_optional(tx.connection())
            .await
            .store()?;
        let Some(row) = row else { return Ok(None) };
        let order = with_lines(&mut tx, order_of(&row)?).await?;
        let history = history(&mut tx, id).await?;
        let refunds = refunds::of_order(&mut tx, id).await?;
        let disputes = disputes::of_order(&mut tx, id).await?;
        let view = OrderView::of(&order, history);
        Ok(Some(view.with_returns(refunds, disputes, buyer.is_some())))
    }

    async fn facts(
        &self,
        scope: &SiteScope,
        buyer: PartyId,
        tiers: &[TierId],
        promo: Option<&PromoCodeText>,
        at: Timestamp,
    ) -> Result<PlacingFacts, StoreError> {
        let mut tx = self.read_site(scope).await?;
        Ok(facts(&mut tx, None, buyer, tiers, promo, at).await?.1)
    }

    async fn wallets(&self, scope: &SiteScope, party: PartyId) -> Result<Vec<Wallet>, StoreError> {
        self.read_site(scope).await?.of_party(party).await
    }

    async fn refunds(
        &self,
        scope: &SiteScope,
        filter: RefundFilter,
        page: PageRequest,
    ) -> Result<Page<RefundView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = refunds::list(&mut tx, filter, page).await?;
        Ok(Page::from_rows(rows, page, |refund| refund.id.as_uuid()))
    }

    async fn disputes(
        &self,
        scope: &SiteScope,
        filter: DisputeFilter,
        page: PageRequest,
    ) -> Result<Page<DisputeView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = disputes::list(&mut tx, filter, page).await?;
        Ok(Page::from_rows(rows, page, |dispute| dispute.id.as_uuid()))
    }

    async fn dispute(&self, scope: &SiteScope, id: DisputeId) -> Result<Option<DisputeView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let found = DisputeRepository::find(&mut tx, id).await?;
        Ok(found.map(DisputeView::of))
    }
}

async fn history(tx: &mut SiteTx, order: OrderId) -> Result<Vec<EventView>, StoreError> {
    let rows = sqlx::query("select kind, at, payload from events where subject_id = $1 order by id")
        .bind(order.as_uuid())
        .fetch_all(tx.connection())
        .await
        .store()?;
    let view = |row: &PgRow| -> Result<_, sqlx::Error> {
        Ok(EventView {
            kind: row.try_get("kind")?,
            at: row.try_get("at")?,
            payload: row.try_get("payload")?,
        })
    };
    rows.iter().map(view).collect::<Result<_, _>>().store()
}
