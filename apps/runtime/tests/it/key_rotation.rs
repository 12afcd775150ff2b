//! Keys are replaced while secrets are read and written.

use std::sync::Arc;

use chrono::TimeDelta;
use posx_envelope::{LocalMasterKeys, MasterKey};
use posx_kernel::{Clock as _, ManualClock, SecretError, SecretPlace, SystemIds, SystemRandomness};
use posx_postgres::{Database, DatabaseOptions, PlatformDatabase};
use posx_runtime::{KeyRotation, ProviderAccountError, Resealed};
use posx_tenancy::Site;
use posx_testkit::TestDatabase;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;

const OLD: &str = posx_testkit::MASTER_KEY;
/// Every test here unwraps with both: one of them wraps the keys of all.
const NEW: &str = "new:q8xUW9nDzXyHXb+1v2wqkyV6A8mCk0rYlRj5pPZ3dHs=";
const KEY: &str = "sk_test_0123456789abcdef";

fn masters(texts: &[&str]) -> Arc<LocalMasterKeys> {
    let keys = texts
        .iter()
        .map(|text| MasterKey::parse(&SecretString::from(*text)).unwrap());
    Arc::new(LocalMasterKeys::new(keys.collect(), Arc::new(SystemRandomness)).unwrap())
}

/// Rotation goes through every site of a database, so it gets one of its own.
async fn urls() -> &'static TestDatabase {
    static OWN: OnceCell<TestDatabase> = OnceCell::const_new();
    OWN.get_or_init(posx_testkit::own_database).await
}

struct Scene {
    database: Database,
    platform: PlatformDatabase,
    clock: Arc<ManualClock>,
    site: Site,
}

impl Scene {
    async fn new() -> Self {
        let urls = urls().await;
        let clock = Arc::new(ManualClock::default());
        let platform =
            PlatformDatabase::connect(&urls.platform_url, clock.clone(), Arc::new(SystemIds)).await;
        Self {
            database: Database::connect(&urls.app_url, DatabaseOptions::default())
                .await
                .unwrap(),
            platform: platform.unwrap(),
            clock,
            site: posx_testkit::fresh_site_in(urls, "USD").await,
        }
    }

    fn rotation(&self, keys: &[&str]) -> KeyRotation {
        let (platform, database) = (self.platform.clone(), self.database.clone());
        KeyRotation::new(
            platform,
            database,
            masters(keys),
            Arc::new(SystemRandomness),
            self.clock.clone(),
        )
    }

    /// What a process that starts now with these master keys reads.
    async fn services(&self, keys: &[&str]) -> posx_runtime::Services {
        let (urls, keys) = (urls().await, keys.join(","));
        let settings = crate::connect::settings(&[
            ("DATABASE__APP_URL", &urls.app_url),
            ("DATABASE__JOBS_URL", &urls.jobs_url),
            ("SECRETS__MASTER_KEYS", &keys),
        ]);
        crate::connect::connect(&settings).await.unwrap()
    }

    async fn give(&self, services: &posx_runtime::Services) -> Result<(), ProviderAccountError> {
        let scope = posx_kernel::SiteScope::of_verified_request(self.site.id);
        let key = SecretString::from(KEY);
        services
            .provider_accounts
            .give_stripe(&scope, &key, &[])
            .await
            .map(drop)
    }

    async fn reads(&self, keys: &[&str]) -> Result<(), SecretError> {
        let services = self.services(keys).await;
        let opened = services.secrets.open(&self.place(), &self.sealed().await).await?;
        assert_eq!(opened.expose_secret(), KEY.as_bytes());
        Ok(())
    }

    fn place(&self) -> SecretPlace {
        SecretPlace {
            site: self.site.id,
            table: "provider_accounts",
            row: "stripe".to_owned(),
            column: "secret_key_sealed",
        }
    }

    async fn sealed(&self) -> posx_kernel::Sealed {
        let account = self
            .database
            .sealed_account(self.site.id, "stripe")
            .await
            .unwrap();
        account.unwrap().secret_key
    }

    async fn versions(&self) -> Vec<u32> {
        let versions = self.database.key_versions(self.site.id).await.unwrap();
        versions.iter().map(|version| version.version).collect()
    }
}

#[tokio::test]
async fn a_master_key_is_replaced_without_a_moment_in_which_secrets_do_not_open() {
    let scene = Scene::new().await;
    scene.give(&scene.services(&[OLD]).await).await.unwrap();
    // First every process can unwrap with both, then the new one wraps.
    scene.reads(&[OLD, NEW]).await.unwrap();
    scene.reads(&[NEW, OLD]).await.unwrap();
    let rotation = scene.rotation(&[NEW, OLD]);
    assert!(rotation.in_use().await.unwrap()["test"] >= 1);
    let mut heard = Vec::new();
    let (done, unusable) = rotation.rewrap(|done| heard.push(done)).await.unwrap();
    assert!(done >= 1 && unusable.is_empty(), "{done} {unusable:?}");
    assert_eq!(heard.last(), Some(&done));
    scene.reads(&[NEW, OLD]).await.unwrap();
    scene.reads(&[NEW]).await.unwrap();
    assert!(matches!(scene.reads(&[OLD]).await, Err(SecretError::NoMasterKey(id)) if id == "new"));
    // Stopped and begun again, it finds nothing left to do.
    assert_eq!(rotation.rewrap(|_| {}).await.unwrap().0, 0);
    assert_eq!(
        rotation.in_use().await.unwrap()["test"],
        0,
        "so the old one may be removed"
    );
    let (usable, unusable) = scene.rotation(&[NEW]).check().await.unwrap();
    assert!(usable >= 1 && unusable.is_empty());
    let (_, unusable) = scene.rotation(&[OLD]).check().await.unwrap();
    assert!(
        unusable
            .iter()
            .any(|key| key.site == scene.site.id && key.version == 1)
    );
}

#[tokio::test]
async fn another_data_key_seals_what_is_there_and_the_old_one_is_forgotten_when_nobody_needs_it() {
    let scene = Scene::new().await;
    let both = [NEW, OLD];
    // A process that has not noticed the new key yet.
    let lagging = scene.services(&both).await;
    scene.give(&lagging).await.unwrap();
    let before = scene.sealed().await;
    scene.clock.advance(TimeDelta::hours(1));
    let rotation = scene.rotation(&both);
    let begun = scene.clock.now();
    let first = rotation.reseal(scene.site.id, begun).await.unwrap();
    let expected = Resealed {
        new_key: Some(2),
        secrets: 1,
        ..Resealed::default()
    };
    assert_eq!(first, expected);
    assert_ne!(scene.sealed().await, before);
    scene.reads(&both).await.unwrap();
    // It went on with the old key, which is still there to open it.
    scene.give(&lagging).await.unwrap();
    scene.reads(&both).await.unwrap();
    scene.clock.advance(TimeDelta::minutes(61));
    // Gone on with, not begun anew: the key is not replaced again.
    let second = rotation.reseal(scene.site.id, begun).await.unwrap();
    let expected = Resealed {
        secrets: 1,
        retired: vec![1],
        ..Resealed::default()
    };
    assert_eq!(second, expected);
    assert_eq!(scene.versions().await, [2]);
    scene.reads(&both).await.unwrap();
    assert_eq!(
        rotation.reseal(scene.site.id, begun).await.unwrap(),
        Resealed::default()
    );
}

#[tokio::test]
async fn a_secret_that_does_not_open_is_named_and_keeps_its_key() {
    let (scene, other) = (Scene::new().await, Scene::new().await);
    let both = [NEW, OLD];
    scene.give(&scene.services(&both).await).await.unwrap();
    other.give(&other.services(&both).await).await.unwrap();
    let (theirs, ours) = (other.sealed().await, scene.sealed().await);
    let column = &posx_postgres::SEALED_COLUMNS[0];
    let moved = scene
        .database
        .replace_sealed(scene.site.id, column, "stripe", (&ours, &theirs))
        .await;
    assert!(moved.unwrap());
    scene.clock.advance(TimeDelta::hours(1));
    let begun = scene.clock.now();
    let rotation = scene.rotation(&both);
    let outcome = rotation.reseal(scene.site.id, begun).await.unwrap();
    assert_eq!(outcome.refused, ["provider_accounts.secret_key_sealed, stripe"]);
    assert_eq!(scene.sealed().await, theirs);
    scene.clock.advance(TimeDelta::hours(2));
    let again = rotation.reseal(scene.site.id, begun).await.unwrap();
    assert_eq!(again.retired, Vec::<u32>::new());
    assert_eq!(scene.versions().await, [1, 2]);
}

#[tokio::test]
async fn a_site_without_secrets_gets_no_key() {
    let scene = Scene::new().await;
    let outcome = scene
        .rotation(&[NEW, OLD])
        .reseal(scene.site.id, scene.clock.now())
        .await
        .unwrap();
    assert_eq!(outcome, Resealed::default());
    assert_eq!(scene.versions().await, Vec::<u32>::new());
}
