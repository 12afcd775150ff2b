//! Secrets at rest on the real tables: sealed per site, of no use anywhere else, sealed anew under other keys.

use std::sync::{Arc, OnceLock};

use posx_envelope::{Envelope, LocalMasterKeys, MasterKey};
use posx_kernel::{
    Actor, DataKeys as _, Event, KeyWrapper as _, Sealed, SecretError, SecretKeeper as _, SecretPlace,
    SiteId, SystemIds, SystemRandomness, Who,
};
use posx_postgres::{NewProviderAccount, PlatformDatabase, ProviderAccountRow, SEALED_COLUMNS, SealedColumn};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio::task::JoinSet;

use crate::server::{connect, shared, superuser};
use crate::world::{World, noon};

const KEY: &[u8] = b"sk_test_0123456789abcdef";

pub fn masters(texts: &[&SecretString]) -> Arc<LocalMasterKeys> {
    let keys = texts.iter().map(|text| MasterKey::parse(text).expect("a key"));
    Arc::new(LocalMasterKeys::new(keys.collect(), Arc::new(SystemRandomness)).expect("keys"))
}

pub fn master(id: &str) -> SecretString {
    MasterKey::generate(id, &SystemRandomness)
}

/// Of everything that a lived-in site keeps sealed.
pub fn lived_in_masters() -> Arc<LocalMasterKeys> {
    static MASTER: OnceLock<SecretString> = OnceLock::new();
    masters(&[MASTER.get_or_init(|| master("m1"))])
}

pub fn key_place(site: SiteId) -> SecretPlace {
    SecretPlace {
        site,
        table: "provider_accounts",
        row: "stripe".to_owned(),
        column: "secret_key_sealed",
    }
}

impl World {
    pub fn envelope(&self, masters: &Arc<LocalMasterKeys>) -> Envelope {
        let store = Arc::new(self.database.clone());
        Envelope::new(
            store,
            masters.clone(),
            Arc::new(SystemRandomness),
            self.clock.clone(),
        )
    }

    /// The site's own account, sealed under a master key of its own.
    pub async fn keeps_an_account(&self) -> ProviderAccountRow {
        self.keep_account(&self.envelope(&lived_in_masters())).await
    }

    async fn keep_account(&self, envelope: &Envelope) -> ProviderAccountRow {
        let place = key_place(self.site.id);
        let new = NewProviderAccount {
            provider: "stripe",
            mode: "test".to_owned(),
            secret_key: envelope.seal(&place, KEY).await.expect("sealed"),
            secret_key_last4: "cdef".to_owned(),
            webhook_secrets: None,
            at: noon(),
        };
        let scope = self.scope.clone().by(Actor::of(Who::Person(self.actor)));
        let kept = self
            .database
            .keep_provider_account(&scope, &new, self.account_event("changed"))
            .await;
        kept.expect("kept")
    }

    fn account_event(&self, what: &'static str) -> Event {
        Event {
            kind: if what == "changed" {
                "provider_account.changed"
            } else {
                "provider_account.removed"
            },
            subject: self.site.id.as_uuid(),
            payload: serde_json::json!({ "provider": "stripe" }),
            at: noon(),
        }
    }

    async fn kept_key(&self) -> Sealed {
        let account = self
            .database
            .sealed_account(self.site.id, "stripe")
            .await
            .expect("read");
        account.expect("an account").secret_key
    }
}

async fn platform(world: &World) -> PlatformDatabase {
    let connecting =
        PlatformDatabase::connect(&shared().platform_url, world.clock.clone(), Arc::new(SystemIds));
    connecting.await.expect("the platform role's pool")
}

/// The keys of one site, as the platform sees them: other tests' sites are on the way there.
async fn wrapped_keys(world: &World) -> Vec<posx_kernel::WrappedKey> {
    let (platform, mut after, mut found) = (platform(world).await, None, Vec::new());
    loop {
        let page = platform.data_keys(after, 100).await.expect("a page");
        found.extend(page.keys.into_iter().filter(|key| key.site == world.site.id));
        match page.last {
            Some(last) => after = Some(last),
            None => return found,
        }
    }
}

#[tokio::test]
async fn an_account_is_kept_read_replaced_and_removed_and_each_is_an_event() {
    let world = World::new().await;
    let envelope = world.envelope(&masters(&[&master("m1")]));
    assert!(
        world
            .database
            .sealed_account(world.site.id, "stripe")
            .await
            .unwrap()
            .is_none()
    );
    let kept = world.keep_account(&envelope).await;
    assert_eq!(
        (kept.mode.as_str(), kept.secret_key_last4.as_str()),
        ("test", "cdef")
    );
    assert_eq!(kept.updated_by, Some(world.actor));
    assert_eq!(
        world.database.provider_accounts(&world.scope).await.unwrap(),
        [kept]
    );
    let sealed = world.kept_key().await;
    let opened = envelope.open(&key_place(world.site.id), &sealed).await.unwrap();
    assert_eq!(opened.expose_secret(), KEY);
    world.keep_account(&envelope).await;
    assert_ne!(world.kept_key().await, sealed);
    let remove = async || {
        world
            .database
            .remove_provider_account(&world.scope, "stripe", world.account_event("removed"))
            .await
    };
    assert!(remove().await.unwrap());
    assert!(!remove().await.unwrap());
    assert!(
        world
            .database
            .sealed_account(world.site.id, "stripe")
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(world.database.provider_accounts(&world.scope).await.unwrap(), []);
    let kinds = sqlx::query("select kind, payload::text from events where site_id = $1 and kind like 'provider_account.%' order by id")
        .bind(world.site.id.as_uuid())
        .fetch_all(&mut superuser().await)
        .await
        .unwrap();
    let kinds: Vec<String> = kinds.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        kinds,
        [
            "provider_account.changed",
            "provider_account.changed",
            "provider_account.removed"
        ]
    );
    world.keep_account(&envelope).await;
    assert!(
        world
            .database
            .sealed_account(world.site.id, "stripe")
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn two_first_secrets_at_once_make_one_data_key() {
    let world = Arc::new(World::with_pool(8).await);
    let (masters, mut running) = (masters(&[&master("m1")]), JoinSet::new());
    for _ in 0..8 {
        // A process each: no cache is shared.
        let (envelope, site) = (world.envelope(&masters), world.site.id);
        running.spawn(async move { envelope.seal(&key_place(site), KEY).await.unwrap() });
    }
    let sealed = running.join_all().await;
    assert_eq!(world.database.key_versions(world.site.id).await.unwrap().len(), 1);
    for sealed in sealed {
        let opened = world
            .envelope(&masters)
            .open(&key_place(world.site.id), &sealed)
            .await
            .unwrap();
        assert_eq!(opened.expose_secret(), KEY);
    }
}

#[tokio::test]
async fn a_secret_that_sql_moved_to_another_site_or_column_is_refused() {
    let (here, there) = (World::new().await, World::new().await);
    let masters = masters(&[&master("m1")]);
    let envelope = here.envelope(&masters);
    here.keep_account(&envelope).await;
    there.keep_account(&envelope).await;
    let mut admin = superuser().await;
    let moved = "update provider_accounts t set secret_key_sealed = f.secret_key_sealed, webhook_secrets_sealed = f.secret_key_sealed,
                   webhook_secrets = 1
                 from provider_accounts f where f.site_id = $1 and t.site_id = $2";
    sqlx::query(moved)
        .bind(here.site.id.as_uuid())
        .bind(there.site.id.as_uuid())
        .execute(&mut admin)
        .await
        .unwrap();
    let account = there
        .database
        .sealed_account(there.site.id, "stripe")
        .await
        .unwrap()
        .unwrap();
    let in_their_key = envelope
        .open(&key_place(there.site.id), &account.secret_key)
        .await;
    assert!(matches!(in_their_key, Err(SecretError::Refused)));
    let column = SecretPlace {
        column: "webhook_secrets_sealed",
        ..key_place(here.site.id)
    };
    let in_another_column = envelope.open(&column, &account.webhook_secrets.unwrap()).await;
    assert!(matches!(in_another_column, Err(SecretError::Refused)));
    // With the site's wrapped key moved along, it is the wrapped key that does not open.
    sqlx::query("update site_data_keys t set wrapped = f.wrapped from site_data_keys f where f.site_id = $1 and t.site_id = $2")
        .bind(here.site.id.as_uuid())
        .bind(there.site.id.as_uuid())
        .execute(&mut admin)
        .await
        .unwrap();
    let fresh = there.envelope(&masters);
    let error = fresh
        .open(&key_place(there.site.id), &account.secret_key)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "the secret cannot be opened here");
}

#[tokio::test]
async fn every_sealed_column_of_the_catalogue_is_registered() {
    let rows = sqlx::query(
        "select c.relname::text, a.attname::text from pg_attribute a join pg_class c on c.oid = a.attrelid
         join pg_namespace n on n.oid = c.relnamespace
         where n.nspname in ('public', 'app') and c.relkind in ('r', 'p') and a.attname like '%\\_sealed' and not a.attisdropped
           and a.atttypid = 'bytea'::regtype
         order by 1, 2",
    )
    .fetch_all(&mut superuser().await)
    .await
    .unwrap();
    let there: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut registered: Vec<_> = SEALED_COLUMNS
        .iter()
        .map(|column| (column.table.to_owned(), column.column.to_owned()))
        .collect();
    registered.sort();
    assert_eq!(there, registered);
}

#[tokio::test]
async fn what_runs_in_a_site_cannot_change_or_lose_its_keys() {
    let world = World::new().await;
    world.keeps_an_account().await;
    let mut app = connect(&shared().app_url).await;
    for sql in [
        "update site_data_keys set wrapped = wrapped",
        "delete from site_data_keys",
        "select app.retire_data_key(app.current_site_id(), 1, now())",
        "select * from app.data_keys_after(null, 10)",
        "select app.rewrap_data_key(app.current_site_id(), 1, 'a', 'm', 'b')",
    ] {
        let text = format!(
            "begin; set local app.current_site_id = '{}'; {sql}",
            world.site.id.as_uuid()
        );
        let error = sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut app)
            .await
            .unwrap_err();
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        assert_eq!(code.as_deref(), Some("42501"), "{sql}: {error}");
        sqlx::raw_sql("rollback").execute(&mut app).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_wrapped_anew_opens_what_it_sealed_and_only_as_it_was_read() {
    let world = World::new().await;
    let (old, new) = (master("old"), master("new"));
    world.keep_account(&world.envelope(&masters(&[&old]))).await;
    let (platform, both) = (platform(&world).await, masters(&[&new, &old]));
    let before = wrapped_keys(&world).await.pop().unwrap();
    assert_eq!(before.master, "old");
    let key = both.unwrap(&before).await.unwrap();
    let after = both.wrap(world.site.id, before.version, &key).await.unwrap();
    assert!(platform.rewrap(&before, &after).await.unwrap());
    // A second one, which read it at the same time, changes nothing.
    assert!(!platform.rewrap(&before, &after).await.unwrap());
    assert_eq!(wrapped_keys(&world).await, [after]);
    let without_old = world.envelope(&masters(&[&new]));
    let opened = without_old
        .open(&key_place(world.site.id), &world.kept_key().await)
        .await
        .unwrap();
    assert_eq!(opened.expose_secret(), KEY);
}

#[tokio::test]
async fn an_old_key_is_forgotten_only_when_nothing_is_sealed_with_it_and_an_hour_after() {
    let world = World::new().await;
    let masters = masters(&[&master("m1")]);
    let envelope = world.envelope(&masters);
    world.keep_account(&envelope).await;
    let (platform, site) = (platform(&world).await, world.site.id);
    let later = |minutes: i64| noon() + chrono::Duration::minutes(minutes);
    // The one that seals stays, however old.
    assert!(!platform.retire_key(site, 1, later(600)).await.unwrap());
    assert_eq!(envelope.renew_key(site).await.unwrap(), 2);
    assert_eq!(world.database.sealed_with(site, 1).await.unwrap(), 1);
    let account = &SEALED_COLUMNS[0];
    let rows = world
        .database
        .sealed_otherwise(site, account, 2, None)
        .await
        .unwrap();
    let (row, sealed) = rows.first().unwrap();
    let secret = envelope.open(&key_place(site), sealed).await.unwrap();
    let anew = envelope
        .seal(&key_place(site), secret.expose_secret())
        .await
        .unwrap();
    let replace = async || {
        world
            .database
            .replace_sealed(site, account, row, (sealed, &anew))
            .await
            .unwrap()
    };
    assert!(replace().await);
    assert!(!replace().await, "it is not as it was any more");
    assert_eq!(
        world
            .database
            .sealed_otherwise(site, account, 2, None)
            .await
            .unwrap(),
        []
    );
    assert_eq!(world.database.sealed_with(site, 1).await.unwrap(), 0);
    assert!(!platform.retire_key(site, 1, later(60)).await.unwrap());
    assert!(platform.retire_key(site, 1, later(61)).await.unwrap());
    assert!(!platform.retire_key(site, 1, later(62)).await.unwrap());
    assert!(world.database.version(site, 1).await.unwrap().is_none());
    let closed = world.envelope(&masters).open(&key_place(site), sealed).await;
    assert!(matches!(closed, Err(SecretError::Refused)));
    let opened = world
        .envelope(&masters)
        .open(&key_place(site), &anew)
        .await
        .unwrap();
    assert_eq!(opened.expose_secret(), KEY);
}

/// Each row's text in SQL is the one that its secrets are sealed for.
#[tokio::test]
async fn the_registry_names_rows_as_the_use_cases_do() {
    let world = World::lived_in().await;
    let mut admin = superuser().await;
    for column in SEALED_COLUMNS {
        let known = known_row(&mut admin, column, world.site.id).await;
        let rows = world
            .database
            .sealed_otherwise(world.site.id, column, 0, None)
            .await
            .unwrap();
        let rows: Vec<_> = rows.into_iter().map(|(row, _)| row).collect();
        assert_eq!(rows, known.into_iter().collect::<Vec<_>>(), "{column:?}");
    }
}

async fn known_row(admin: &mut PgConnection, column: &SealedColumn, site: SiteId) -> Option<String> {
    if column.table == "payout_accounts" {
        let sql = "select party_id, version from payout_accounts where site_id = $1 and method = 'bank'";
        let row = sqlx::query(sql)
            .bind(site.as_uuid())
            .fetch_one(admin)
            .await
            .expect("an account");
        let agent = posx_kernel::PartyId::from_uuid(row.get(0));
        return Some(posx_commissions::PayoutAccount::row(agent, row.get(1)));
    }
    if column.table == "model_accounts" {
        return Some(posx_assistant::Purpose::StaffChat.as_str().to_owned());
    }
    if column.table == "provider_accounts" {
        return (column.column == "secret_key_sealed").then(|| "stripe".to_owned());
    }
    let row = sqlx::query("select id from second_factors where site_id = $1 and secret_sealed is not null")
        .bind(site.as_uuid())
        .fetch_optional(admin)
        .await
        .expect("a look");
    row.map(|row| posx_kernel::FactorId::from_uuid(row.get(0)).to_string())
}
