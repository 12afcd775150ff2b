//! Rows of the plane as its views.

use posx_kernel::{GrantId, IdentityId, Money, SiteId, StoreError};
use posx_tenancy::{
    ActView, CurrencyFigures, GrantView, SiteCode, SiteFigures, Staff, StaffRole, StaffState, Visit,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::error::StoreResult;
use crate::tiers::currency;

pub(super) fn staff_of(row: &PgRow) -> Result<Staff, StoreError> {
    let role: String = row.try_get("role").store()?;
    let state: String = row.try_get("state").store()?;
    let grant: Option<Uuid> = row.try_get("open_grant_id").store()?;
    let site: Option<Uuid> = row.try_get("site_id_of_grant").store()?;
    let visit = match (grant, site, row.try_get("open_until").store()?) {
        (Some(grant), Some(site), Some(until)) => Some(Visit {
            grant: GrantId::from_uuid(grant),
            site: SiteId::from_uuid(site),
            until,
        }),
        _ => None,
    };
    Ok(Staff {
        identity: IdentityId::from_uuid(row.try_get("identity_id").store()?),
        name: row.try_get("name").store()?,
        role: StaffRole::from_name(&role).ok_or_else(|| StoreError::broken("a staff member's role"))?,
        state: if state == "active" {
            StaffState::Active
        } else {
            StaffState::Disabled
        },
        appointed_at: row.try_get("appointed_at").store()?,
        visit,
    })
}

pub(super) fn grant_of(row: &PgRow) -> Result<GrantView, StoreError> {
    let ended_by: Option<Uuid> = row.try_get("ended_by").store()?;
    Ok(GrantView {
        id: GrantId::from_uuid(row.try_get("id").store()?),
        staff_id: IdentityId::from_uuid(row.try_get("staff_id").store()?),
        staff_name: row.try_get("staff_name").store()?,
        reason: row.try_get("reason").store()?,
        opened_at: row.try_get("opened_at").store()?,
        until: row.try_get("until").store()?,
        ended_at: row.try_get("ended_at").store()?,
        ended_by: ended_by.map(IdentityId::from_uuid),
    })
}

pub(super) fn act_of(row: &PgRow) -> Result<ActView, StoreError> {
    let site: Option<Uuid> = row.try_get("site_id_of_subject").store()?;
    Ok(ActView {
        id: row.try_get("id").store()?,
        at: row.try_get("at").store()?,
        action: row.try_get("action").store()?,
        site: site.map(SiteId::from_uuid),
        subject: row.try_get("subject_id").store()?,
        changes: row.try_get("changes").store()?,
        actor_kind: row.try_get("actor_kind").store()?,
        actor_id: row.try_get("actor_id").store()?,
        request_id: row.try_get("request_id").store()?,
        address: row.try_get("address").store()?,
    })
}

/// One row per site and currency, a site's rows together.
pub(super) fn figures_of(rows: &[PgRow]) -> Result<Vec<SiteFigures>, StoreError> {
    let mut sites: Vec<SiteFigures> = Vec::new();
    for row in rows {
        let id = SiteId::from_uuid(row.try_get("of_site").store()?);
        if sites.last().is_none_or(|site| site.site_id != id) {
            let code: String = row.try_get("site_code").store()?;
            sites.push(SiteFigures {
                site_id: id,
                code: SiteCode::new(&code).ok_or_else(|| StoreError::broken("a site's code"))?,
                members: count(row, "members")?,
                currencies: Vec::new(),
            });
        }
        if let (Some(site), Some(currency)) = (sites.last_mut(), currency_figures(row)?) {
            site.currencies.push(currency);
        }
    }
    Ok(sites)
}

fn currency_figures(row: &PgRow) -> Result<Option<CurrencyFigures>, StoreError> {
    let Some(code) = row.try_get::<Option<String>, _>("currency").store()? else {
        return Ok(None);
    };
    let currency = currency(&code)?;
    let sum = |column: &str| -> Result<_, StoreError> {
        Ok(Money::from_minor(row.try_get(column).store()?, currency))
    };
    Ok(Some(CurrencyFigures {
        orders_placed: count(row, "orders_placed")?,
        orders_paid: count(row, "orders_paid")?,
        captured: sum("captured")?,
        refunded: sum("refunded")?,
        commissions: sum("commissions")?,
    }))
}

fn count(row: &PgRow, column: &str) -> Result<u64, StoreError> {
    let count: i64 = row.try_get(column).store()?;
    u64::try_from(count).map_err(|_| StoreError::broken("a negative count"))
}
