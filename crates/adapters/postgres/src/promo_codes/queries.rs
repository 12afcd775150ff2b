//! Reads for screens.

use async_trait::async_trait;
use posx_kernel::{Money, OrderId, Page, PageRequest, PartyId, PromoCodeId, SiteScope, StoreError};
use posx_tiers::{PromoCodeQueries, PromoCodeTotals, PromoCodeView, PromoUsageView};
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use super::{PromoRow, promo_from, promo_json};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::tiers::{currency, tokens};

fn view_of(row: &PgRow) -> Result<PromoCodeView, StoreError> {
    let Json(found): Json<PromoRow> = row.try_get(0).store()?;
    let facts = found.facts()?;
    Ok(PromoCodeView::of(facts.code, facts.uses))
}

fn usage_of(row: &PgRow) -> Result<PromoUsageView, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    Ok(PromoUsageView {
        order_id: OrderId::from_uuid(row.try_get("order_id").store()?),
        order_number: row.try_get("number").store()?,
        buyer_id: PartyId::from_uuid(row.try_get("buyer_id").store()?),
        discount: Money::from_minor(row.try_get("discount").store()?, currency),
        bonus_tokens: tokens(row.try_get("bonus_tokens").store()?)?,
        state: row.try_get("state").store()?,
        used_at: row.try_get("used_at").store()?,
        released_at: row.try_get("released_at").store()?,
    })
}

fn totals_of(row: &PgRow) -> Result<PromoCodeTotals, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    let money = |column: &str| Ok::<_, StoreError>(Money::from_minor(row.try_get(column).store()?, currency));
    Ok(PromoCodeTotals {
        used: row.try_get("used").store()?,
        released: row.try_get("released").store()?,
        paid_orders: row.try_get("paid_orders").store()?,
        discount: money("discount")?,
        bonus_tokens: tokens(row.try_get("bonus_tokens").store()?)?,
        sales: money("sales")?,
        returned: money("returned")?,
    })
}

#[async_trait]
impl PromoCodeQueries for Database {
    async fn list(
        &self,
        scope: &SiteScope,
        active: Option<bool>,
        page: PageRequest,
    ) -> Result<Page<PromoCodeView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(concat!(
            "select ",
            promo_json!(),
            " from ",
            promo_from!(),
            " where ($1::uuid is null or p.id < $1) and ($2::boolean is null or p.active = $2) order by p.id desc limit $3"
        ))
        .bind(page.after_id())
        .bind(active)
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let rows = rows.iter().map(view_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(rows, page, |code| code.id.as_uuid()))
    }

    async fn get(&self, scope: &SiteScope, id: PromoCodeId) -> Result<Option<PromoCodeView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(concat!(
            "select ",
            promo_json!(),
            " from ",
            promo_from!(),
            " where p.id = $1"
        ))
        .bind(id.as_uuid())
        .fetch_optional(tx.connection())
        .await
        .store()?;
        row.as_ref().map(view_of).transpose()
    }

    async fn usages(
        &self,
        scope: &SiteScope,
        id: PromoCodeId,
        page: PageRequest,
    ) -> Result<Page<PromoUsageView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select u.order_id, o.number, u.buyer_id, u.currency, u.discount, u.bonus_tokens::text as bonus_tokens, u.state,
               u.used_at, u.released_at
             from promo_code_usages u join orders o on o.site_id = u.site_id and o.id = u.order_id
             where u.promo_code_id = $1 and ($2::uuid is null or u.order_id < $2) order by u.order_id desc limit $3",
        )
        .bind(id.as_uuid())
        .bind(page.after_id())
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let rows = rows.iter().map(usage_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(rows, page, |usage| usage.order_id.as_uuid()))
    }

    async fn totals(
        &self,
        scope: &SiteScope,
        id: PromoCodeId,
    ) -> Result<Option<PromoCodeTotals>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(
            "select p.currency,
               count(*) filter (where u.state = 'used') as used,
               count(*) filter (where u.state = 'released') as released,
               count(*) filter (where o.paid_at is not null) as paid_orders,
               coalesce(sum(u.discount) filter (where o.paid_at is not null), 0)::bigint as discount,
               coalesce(sum(u.bonus_tokens) filter (where o.paid_at is not null), 0)::text as bonus_tokens,
               coalesce(sum(o.total) filter (where o.paid_at is not null), 0)::bigint as sales,
               coalesce(sum(least(o.returned, o.total)) filter (where o.paid_at is not null), 0)::bigint as returned
             from promo_codes p
             left join promo_code_usages u on u.site_id = p.site_id and u.promo_code_id = p.id
             left join orders o on o.site_id = u.site_id and o.id = u.order_id
             where p.id = $1 group by p.currency",
        )
        .bind(id.as_uuid())
        .fetch_optional(tx.connection())
        .await
        .store()?;
        row.as_ref().map(totals_of).transpose()
    }
}
