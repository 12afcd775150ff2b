//! Whether the connected role is the one that row-level security is made for (property 41).

use posx_kernel::StoreError;
use sqlx::{PgPool, Row};

use crate::connection::Database;
use crate::error::StoreResult;

/// What is wrong with the app role's connection; empty when it may serve.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Posture {
    pub problems: Vec<String>,
}

impl Posture {
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

const PROBLEMS: [(&str, &str); 6] = [
    (
        "rolsuper",
        "is a superuser: row-level security does not apply to it",
    ),
    (
        "rolbypassrls",
        "has BYPASSRLS: row-level security does not apply to it",
    ),
    (
        "owns",
        "owns tables or the database: it could turn row-level security off",
    ),
    ("is_member", "is a member of another role and could become it"),
    (
        "unforced",
        "sees a table of sites that does not force row-level security",
    ),
    ("sees_queue", "can reach into the job queue"),
];

impl Database {
    /// One round trip. Not superuser, not BYPASSRLS, owner of nothing, member of nothing, and every table of a site forces
    /// its policy. A role that another one became (`SET ROLE`) is looked at with that other one: it can go back.
    pub async fn posture(&self) -> Result<Posture, StoreError> {
        posture_of(&self.pool).await
    }

    /// How many migrations of this build the database does not have.
    pub async fn pending_migrations(&self) -> Result<usize, StoreError> {
        crate::migrate::pending(&self.pool).await
    }
}

pub(crate) async fn posture_of(pool: &PgPool) -> Result<Posture, StoreError> {
    let rows = sqlx::query(
            "select r.rolsuper, r.rolbypassrls, r.rolname,
               exists (select from pg_class c where c.relowner = r.oid)
                 or exists (select from pg_database d where d.datdba = r.oid and d.datname = current_database()) as owns,
               exists (select from pg_auth_members m where m.member = r.oid) as is_member,
               exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                       join pg_attribute a on a.attrelid = c.oid and a.attname = 'site_id' and not a.attisdropped
                       where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> 'site_hosts'
                         and not (c.relrowsecurity and c.relforcerowsecurity)) as unforced,
               exists (select from pg_namespace n where n.nspname = 'graphile_worker'
                         and has_schema_privilege(r.oid, n.oid, 'usage')) as sees_queue
             from pg_roles r where r.rolname in (current_user, session_user)",
        )
        .fetch_all(pool)
        .await
        .store()?;
    let mut posture = Posture::default();
    for row in rows {
        let name: String = row.try_get("rolname").store()?;
        for (column, problem) in PROBLEMS {
            if row.try_get(column).store()? {
                posture.problems.push(format!("the role {name} {problem}"));
            }
        }
    }
    Ok(posture)
}
