//! Versions of plans, and which of them is in force.

use async_trait::async_trait;
use posx_commissions::{Difference, HoldDays, Plan, PlanLevel, PlanRepository, PlanView, Rules, Window};
use posx_kernel::{PlanId, SiteScope, StoreError, Timestamp};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use super::unsigned;
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// In force at `$1` is the version that began last, unless it has ended.
const PLAN: &str = "select p.id, p.name, p.version, p.levels, p.difference, p.hold_days, p.effective_from, p.effective_until,
      p.activation, p.created_at,
      coalesce(p.id = (select f.id from commission_plans f where f.effective_from <= $1
                       order by f.effective_from desc, f.activation desc limit 1)
               and (p.effective_until is null or p.effective_until > $1), false) as in_force
    from commission_plans p";

#[async_trait]
impl PlanRepository for SiteTx {
    async fn find(&mut self, id: PlanId) -> Result<Option<Plan>, StoreError> {
        let row = one(self, id, Timestamp::UNIX_EPOCH).await?;
        row.as_ref().map(plan).transpose()
    }

    async fn in_force(&mut self, at: Timestamp) -> Result<Option<Plan>, StoreError> {
        let sql = format!(
            "{PLAN} where p.effective_from <= $1 and (p.effective_until is null or p.effective_until > $1)
             order by p.effective_from desc, p.activation desc limit 1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(at)
            .fetch_optional(self.connection())
            .await
            .store()?;
        match row {
            // One that began before it is over as well once a later one began.
            Some(row) if row.try_get("in_force").store()? => plan(&row).map(Some),
            _ => Ok(None),
        }
    }

    async fn latest_version(&mut self, name: &str) -> Result<u32, StoreError> {
        let sql = "select coalesce(max(version), 0) as version from commission_plans where name = $1";
        let row = sqlx::query(sql)
            .bind(name)
            .fetch_one(self.connection())
            .await
            .store()?;
        unsigned(&row, "version")
    }

    async fn insert(&mut self, plan: &Plan) -> Result<bool, StoreError> {
        let version =
            i32::try_from(plan.version).map_err(|_| StoreError::broken("a plan version beyond 32 bits"))?;
        let levels = plan.rules.levels().map_or(&[][..], |levels| levels.as_slice());
        let done = sqlx::query(
            "insert into commission_plans (id, name, version, levels, difference, hold_days, created_at)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict on constraint commission_plans_version_key do nothing",
        )
        .bind(plan.id.as_uuid())
        .bind(&plan.name)
        .bind(version)
        .bind(Json(levels))
        .bind(plan.rules.difference().map(Json))
        .bind(i32::from(plan.hold_days.days()))
        .bind(plan.created_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn lock_activations(&mut self) -> Result<u32, StoreError> {
        let lock = "select pg_advisory_xact_lock(
            hashtextextended('commission_plans:' || (select app.current_site_id())::text, 0))";
        sqlx::query(lock).execute(self.connection()).await.store()?;
        let row = sqlx::query("select coalesce(max(activation), 0) as latest from commission_plans")
            .fetch_one(self.connection())
            .await
            .store()?;
        unsigned(&row, "latest")
    }

    async fn save_window(&mut self, plan: &Plan) -> Result<(), StoreError> {
        let activation = plan.window.map(|window| i32::try_from(window.activation));
        let activation = activation
            .transpose()
            .map_err(|_| StoreError::broken("activations beyond 32 bits"))?;
        let sql = "update commission_plans set effective_from = $2, effective_until = $3, activation = $4 where id = $1";
        sqlx::query(sql)
            .bind(plan.id.as_uuid())
            .bind(plan.window.map(|window| window.from))
            .bind(plan.window.and_then(|window| window.until))
            .bind(activation)
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }
}

async fn one(tx: &mut SiteTx, id: PlanId, at: Timestamp) -> Result<Option<PgRow>, StoreError> {
    sqlx::query(sqlx::AssertSqlSafe(format!("{PLAN} where p.id = $2")))
        .bind(at)
        .bind(id.as_uuid())
        .fetch_optional(tx.connection())
        .await
        .store()
}

/// Newest first.
pub(super) async fn views(
    database: &Database,
    scope: &SiteScope,
    at: Timestamp,
) -> Result<Vec<PlanView>, StoreError> {
    let mut tx = database.read_site(scope).await?;
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{PLAN} order by p.id desc limit 200"
    )))
    .bind(at)
    .fetch_all(tx.connection())
    .await
    .store()?;
    rows.iter().map(view_of).collect()
}

pub(super) async fn view(
    database: &Database,
    scope: &SiteScope,
    id: PlanId,
    at: Timestamp,
) -> Result<Option<PlanView>, StoreError> {
    let mut tx = database.read_site(scope).await?;
    let row = one(&mut tx, id, at).await?;
    row.as_ref().map(view_of).transpose()
}

pub(super) fn plan(row: &PgRow) -> Result<Plan, StoreError> {
    let hold_days: i32 = row.try_get("hold_days").store()?;
    let hold_days = u16::try_from(hold_days)
        .ok()
        .and_then(|days| HoldDays::new(days).ok());
    let levels: Json<Vec<PlanLevel>> = row.try_get("levels").store()?;
    let difference: Option<Json<Difference>> = row.try_get("difference").store()?;
    let rules = Rules::of(levels.0, difference.map(|difference| difference.0));
    Ok(Plan {
        id: PlanId::from_uuid(row.try_get("id").store()?),
        name: row.try_get("name").store()?,
        version: unsigned(row, "version")?,
        rules: rules.map_err(|_| StoreError::broken("a plan's rules"))?,
        hold_days: hold_days.ok_or_else(|| StoreError::broken("a plan's hold days"))?,
        window: window(row)?,
        created_at: row.try_get("created_at").store()?,
    })
}

fn window(row: &PgRow) -> Result<Option<Window>, StoreError> {
    let Some(from) = row.try_get("effective_from").store()? else {
        return Ok(None);
    };
    Ok(Some(Window {
        from,
        until: row.try_get("effective_until").store()?,
        activation: unsigned(row, "activation")?,
    }))
}

fn view_of(row: &PgRow) -> Result<PlanView, StoreError> {
    let plan = plan(row)?;
    Ok(PlanView {
        id: plan.id,
        name: plan.name,
        version: plan.version,
        levels: plan.rules.levels().cloned(),
        difference: plan.rules.difference().cloned(),
        hold_days: plan.hold_days,
        active: row.try_get("in_force").store()?,
        effective_from: plan.window.map(|window| window.from),
        effective_until: plan.window.and_then(|window| window.until),
        created_at: plan.created_at,
    })
}
