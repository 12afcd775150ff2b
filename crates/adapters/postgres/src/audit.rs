//! Walks the catalogue and says where one site could see or touch another's rows.

mod checks;

use posx_kernel::StoreError;
use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, Row};

use self::checks::CHECKS;
use crate::error::StoreResult;

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub object: String,
    pub problem: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Tables of sites that were walked.
    pub site_tables: usize,
    pub other_tables: usize,
    pub functions: usize,
    pub findings: Vec<Finding>,
}

/// Tables without `site_id` of their own, each with the reason why that is right. Another one fails the audit.
const REVIEWED_TABLES: &[(&str, &str)] = &[
    (
        "sites",
        "the list of sites itself: the app role reaches it by app.find_site, app.site and app.knows_origin only",
    ),
    (
        "site_hosts",
        "host names are unique across sites: read by app.find_site only",
    ),
    (
        "site_vaults",
        "a vault is one site's, across sites: written by app.change_vaults, asked of by app.owns_vault",
    ),
    (
        "identities",
        "who logs in, before any site is known: made by app.identity_of only",
    ),
    (
        "sessions",
        "an identity's, and of no site: reached by app.open_session, app.refresh_session, app.session_sign_in, app.sessions_of and app.end_sessions only",
    ),
    (
        "session_tokens",
        "hashes of refresh tokens that were used: written and read by app.refresh_session only",
    ),
    (
        "external_ids",
        "which site an outside object belongs to: written by app.claim_external_id, read by the inbox only",
    ),
    (
        "webhook_inbox",
        "stored before the site is known: written by app.store_webhook, read by the queue's role only",
    ),
    (
        "platform_staff",
        "who works for the platform: of no site, and only the plane's role sees it",
    ),
    (
        "platform_audit",
        "what was done on the platform plane: written and read by its role, and by app.end_grant",
    ),
    (
        "model_prices",
        "the operator's prices, never changed: written by app.record_model_prices only",
    ),
    (
        "_sqlx_migrations",
        "which migrations were applied: the app role reads it for readiness",
    ),
];

/// SECURITY DEFINER functions: each does one narrow thing and has a fixed `search_path`.
const REVIEWED_FUNCTIONS: &[&str] = &[
    "app.find_site",
    "app.knows_origin",
    "app.site",
    "app.identity_of",
    "app.active_sites",
    "app.suspended_sites",
    "app.open_session",
    "app.refresh_session",
    "app.session_sign_in",
    "app.sessions_of",
    "app.end_sessions",
    "app.purge_sessions",
    "app.claim_external_id",
    "app.store_webhook",
    "app.webhook",
    "app.finish_webhook",
    "app.purge_webhooks",
    "app.webhooks_of_site",
    "app.replay_webhook",
    "app.park_webhook",
    "app.add_job",
    "app.jobs_of_site",
    "app.replay_job",
    "app.lock_payables",
    "app.seal_events",
    "app.forget_login",
    "app.erase_party",
    "app.erase_member",
    "app.tell_of_grant",
    "app.end_grant",
    "app.appoint_member",
    "app.change_host_names",
    "app.change_vaults",
    "app.owns_vault",
    "app.asset_is_kept_in_an_own_vault",
    "app.site_figures",
    "app.data_keys_after",
    "app.rewrap_data_key",
    "app.retire_data_key",
    "app.record_model_prices",
    "app.purge_model_calls",
    "graphile_worker.enqueue_for_site",
    "graphile_worker.jobs_of_site",
    "graphile_worker.replay_job_of_site",
    "graphile_worker.purge_superseded",
];

/// The only tables of a site whose rows the app role deletes: answers of old calls, nonces that nobody can use any more,
/// narrowings of memberships whose history is in the events, proofs of second factors whose time is over, what was said to the
/// assistant.
const DELETABLE: &[&str] = &[
    "idempotency_keys",
    "wallet_challenges",
    "membership_places",
    "second_factor_proofs",
    "chat_visitors",
    "conversations",
    "conversation_messages",
];

const ROLES: &[&str] = &[
    "posx_owner",
    "posx_migrator",
    "posx_app",
    "posx_jobs",
    "posx_platform",
];

/// `url` names a role that may read the catalogue: any role may. The report is an artefact to keep.
pub async fn audit_isolation(url: &str) -> Result<AuditReport, StoreError> {
    let options: PgConnectOptions = url.parse().store()?;
    audit_connection(&mut options.connect().await.store()?).await
}

/// The same, from inside a transaction that is open on the connection: what it changed is seen.
pub async fn audit_connection(connection: &mut PgConnection) -> Result<AuditReport, StoreError> {
    let mut findings = Vec::new();
    for (check, sql) in CHECKS {
        let query = sqlx::query(*sql)
            .bind(names(REVIEWED_TABLES.iter().map(|(name, _)| *name)))
            .bind(names(REVIEWED_FUNCTIONS.iter().copied()));
        let query = query
            .bind(names(DELETABLE.iter().copied()))
            .bind(names(ROLES.iter().copied()));
        for row in query.fetch_all(&mut *connection).await.store()? {
            let (object, problem) = (row.try_get(0).store()?, row.try_get(1).store()?);
            findings.push(Finding {
                check,
                object,
                problem,
            });
        }
    }
    Ok(AuditReport {
        site_tables: count(
            connection,
            "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
            join pg_attribute a on a.attrelid = c.oid and a.attname = 'site_id' and not a.attisdropped
            where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> 'site_hosts'",
        )
        .await?,
        other_tables: REVIEWED_TABLES.len(),
        functions: REVIEWED_FUNCTIONS.len(),
        findings,
    })
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(str::to_owned).collect()
}

async fn count(connection: &mut PgConnection, sql: &'static str) -> Result<usize, StoreError> {
    let row = sqlx::query(sql).fetch_one(connection).await.store()?;
    let count: i64 = row.try_get(0).store()?;
    usize::try_from(count).map_err(|_| StoreError::broken("a negative count"))
}
