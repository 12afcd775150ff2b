//! What the assistant's tools read: the queries that the routes answer from, in read-only transactions.

use async_trait::async_trait;
use chrono::{Datelike as _, Days};
use posx_allocations::{AllocationFilter, AllocationQueries};
use posx_assistant::{
    Citation, CitationKind, PublicQuery, PublicReads, ROWS_MAX, ReadError, Row, Rows, StaffQuery, StaffReads,
};
use posx_commissions::{CommissionFilter, CommissionQueries, PayoutFilter, PayoutQueries};
use posx_kernel::{OrderId, Page, PageRequest, SiteScope, StoreError, Timestamp};
use posx_ledger::LedgerQueries;
use posx_orders::{OrderFilter, OrderQueries};
use posx_tenancy::Site;
use posx_tiers::TierQueries;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::Row as _;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::reports::Period;

/// Days of the longest period that figures are read for.
const DAYS_MAX: i64 = 1_100;
/// Of a period that is not named.
const DAYS: Days = Days::new(29);

#[async_trait]
impl StaffReads for Database {
    async fn read(
        &self,
        scope: &SiteScope,
        site: &Site,
        query: &StaffQuery,
        now: Timestamp,
    ) -> Result<Rows, ReadError> {
        let page = PageRequest::new(Some(ROWS_MAX), None);
        Ok(match query {
            StaffQuery::Overview { from, until } => {
                let period = period(site, now, *from, *until)?;
                let figures = self.overview(scope, &period).await?;
                let name = format!("sales_overview:{}:{}", period.from, period.until);
                only(Row::of(Citation::new(CitationKind::Report, &name), &figures))
            }
            StaffQuery::Orders {
                lifecycle,
                payment,
                attention,
                buyer,
            } => {
                let filter = OrderFilter {
                    buyer: *buyer,
                    lifecycle: named(lifecycle.as_deref())?,
                    payment: named(payment.as_deref())?,
                    attention: *attention,
                };
                let found = self.list(scope, filter, page).await?;
                rows(&found, |one| Citation::new(CitationKind::Order, &one.id))
            }
            StaffQuery::Order { order } => self.one_order(scope, order).await?,
            StaffQuery::Tiers { with_counters } => self.tier_rows(scope, *with_counters, now).await?,
            StaffQuery::Commissions { state, agent, order } => {
                let filter = CommissionFilter {
                    state: named(state.as_deref())?,
                    agent: *agent,
                    order: *order,
                };
                let found = self.commissions(scope, &filter, page).await?;
                rows(&found, |one| Citation::new(CitationKind::Commission, &one.id))
            }
            StaffQuery::Allocations {
                state,
                order,
                needs_person,
            } => {
                let filter = AllocationFilter {
                    state: named(state.as_deref())?,
                    order: *order,
                    needs_person: *needs_person,
                    ..AllocationFilter::default()
                };
                let found = self.allocations(scope, &filter, page).await?;
                rows(&found, |one| Citation::new(CitationKind::Allocation, &one.id))
            }
            StaffQuery::Payouts { state, agent } => {
                let filter = PayoutFilter {
                    state: named(state.as_deref())?,
                    agent: *agent,
                    ..PayoutFilter::default()
                };
                let found = self.payouts(scope, &filter, page).await?;
                rows(&found, |one| Citation::new(CitationKind::Payout, &one.id))
            }
            StaffQuery::Balances { account } => {
                let prefix = account.as_deref().unwrap_or_default();
                let all = self.trial_balance(scope, None).await?;
                let found = all.iter().filter(|one| one.account.starts_with(prefix));
                let rows = found.map(|one| Row::of(Citation::new(CitationKind::Account, &one.account), one));
                Rows {
                    rows: rows.collect(),
                    more: false,
                }
            }
        })
    }
}

#[async_trait]
impl PublicReads for Database {
    async fn read(
        &self,
        scope: &SiteScope,
        site: &Site,
        query: PublicQuery,
        now: Timestamp,
    ) -> Result<Rows, StoreError> {
        match query {
            PublicQuery::Tiers => self.tier_rows(scope, false, now).await,
            PublicQuery::Site => Ok(only(Row {
                citation: Citation::new(CitationKind::Site, &site.id),
                fields: json!({
                    "name": site.name, "currency": site.currency, "time_zone": site.time_zone.name(),
                }),
            })),
        }
    }
}

impl Database {
    async fn tier_rows(&self, scope: &SiteScope, staff: bool, now: Timestamp) -> Result<Rows, StoreError> {
        let tiers = self.tiers(scope, staff, now).await?;
        let rows = tiers
            .iter()
            .map(|one| Row::of(Citation::new(CitationKind::Tier, &one.id), one));
        Ok(Rows {
            rows: rows.collect(),
            more: false,
        })
    }

    async fn one_order(&self, scope: &SiteScope, order: &str) -> Result<Rows, StoreError> {
        let id: Option<OrderId> = match order.trim().parse() {
            Ok(id) => Some(id),
            Err(_) => self.order_by_number(scope, order.trim()).await?,
        };
        let Some(id) = id else { return Ok(Rows::default()) };
        let found = self.get(scope, id, None).await?;
        let row = found.map(|one| Row::of(Citation::new(CitationKind::Order, &one.id), &one));
        Ok(row.map_or_else(Rows::default, only))
    }

    async fn order_by_number(&self, scope: &SiteScope, number: &str) -> Result<Option<OrderId>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query("select id from orders where number = $1")
            .bind(number.replace('\0', ""))
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.map(|row| Ok(OrderId::from_uuid(row.try_get(0).store()?)))
            .transpose()
    }
}

fn only(row: Row) -> Rows {
    Rows {
        rows: vec![row],
        more: false,
    }
}

fn rows<T: Serialize>(found: &Page<T>, citation: impl Fn(&T) -> Citation) -> Rows {
    Rows {
        rows: found
            .items
            .iter()
            .map(|one| Row::of(citation(one), one))
            .collect(),
        more: found.next.is_some(),
    }
}

/// A state as the routes name it.
fn named<T: DeserializeOwned>(name: Option<&str>) -> Result<Option<T>, ReadError> {
    let value = name.map(|name| serde_json::from_value(Value::from(name)));
    value.transpose().map_err(|_| ReadError::Argument)
}

fn period(
    site: &Site,
    now: Timestamp,
    from: Option<chrono::NaiveDate>,
    until: Option<chrono::NaiveDate>,
) -> Result<Period, ReadError> {
    let today = now.with_timezone(&site.time_zone).date_naive();
    let until = until.or_else(|| today.succ_opt());
    let until = until.filter(|until| (1970..=9998).contains(&until.year()));
    let until = until.ok_or(ReadError::Argument)?;
    let last = until.pred_opt().unwrap_or(until);
    let from = from.or_else(|| last.checked_sub_days(DAYS)).unwrap_or(last);
    if !(1..=DAYS_MAX).contains(&(until - from).num_days()) {
        return Err(ReadError::Argument);
    }
    Ok(Period {
        from,
        until,
        time_zone: site.time_zone,
        currency: site.currency,
    })
}
