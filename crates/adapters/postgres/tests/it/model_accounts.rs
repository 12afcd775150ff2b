//! A site's models and consents.

use posx_assistant::{ModelAccount, ModelChoice, ModelsTx, OwnKey, Purpose, SetupQueries as _};
use posx_kernel::{Actor, Begin, SecretKeeper as _, SiteScope, Who};

use crate::server::{connect, shared};
use crate::world::{World, noon};

const CHAT: Purpose = Purpose::StaffChat;

fn chosen(model: &str) -> ModelAccount {
    let choice = |model: &str| ModelChoice {
        provider: "sandbox".to_owned(),
        model: model.to_owned(),
    };
    let account = ModelAccount::new(CHAT, choice(model), noon());
    account.choose(choice(model), Some(choice("spare")), noon())
}

impl World {
    fn by_staff(&self) -> SiteScope {
        self.scope.clone().by(Actor::of(Who::Person(self.actor)))
    }

    async fn models_tx(&self) -> Box<dyn ModelsTx> {
        let tx: Result<Box<dyn ModelsTx>, _> = self.database.begin(&self.by_staff()).await;
        tx.expect("begun")
    }

    async fn keep_choice(&self, account: &ModelAccount) -> bool {
        let mut tx = self.models_tx().await;
        let saved = tx.models().save_account(account).await.expect("saved or not");
        if saved {
            tx.commit().await.expect("committed");
        }
        saved
    }

    async fn consent_once_more(&self) -> i32 {
        let mut tx = self.models_tx().await;
        let given = tx.models().give_consent(CHAT, 1, noon()).await.expect("given");
        tx.commit().await.expect("committed");
        assert_eq!(given.given_by, Some(self.actor));
        given.number
    }

    /// A model with a key of the site's own, and a consent.
    pub async fn chooses_models(&self) {
        let place = ModelAccount::key_place(self.site.id, CHAT);
        let envelope = self.envelope(&crate::secrets::lived_in_masters());
        let sealed = envelope.seal(&place, b"sk-the-sites-own").await.expect("sealed");
        let own = OwnKey {
            sealed,
            last4: "-own".to_owned(),
        };
        assert!(self.keep_choice(&chosen("sandbox-1")).await);
        assert!(
            self.keep_choice(&chosen("sandbox-1").with_key(Some(own), noon()))
                .await
        );
        self.consent_once_more().await;
    }
}

#[tokio::test]
async fn an_account_is_read_as_it_was_kept_and_only_the_next_version_is_kept() {
    let world = World::new().await;
    assert!(
        !world
            .keep_choice(&chosen("sandbox-1").with_key(None, noon()))
            .await,
        "version 2 of nothing"
    );
    let first = chosen("sandbox-1");
    assert!(world.keep_choice(&first).await);
    assert!(!world.keep_choice(&first).await);
    world.chooses_nothing_else(&first).await;
    let next = first.clone().with_key(None, noon());
    assert!(world.keep_choice(&next).await);
    assert_eq!(world.database.accounts(&world.scope).await.unwrap(), [next]);
}

impl World {
    async fn chooses_nothing_else(&self, kept: &ModelAccount) {
        let setup = self.database.setup(&self.scope, CHAT).await.expect("a read");
        assert_eq!(setup.account.as_ref(), Some(kept));
        let other = self
            .database
            .setup(&self.scope, Purpose::Documents)
            .await
            .expect("a read");
        assert_eq!((other.account, other.consent), (None, None));
    }
}

#[tokio::test]
async fn one_consent_holds_and_those_before_are_kept_as_withdrawn() {
    let world = World::new().await;
    assert_eq!(world.consent_once_more().await, 1);
    assert_eq!(world.consent_once_more().await, 2);
    let setup = world.database.setup(&world.scope, CHAT).await.unwrap();
    assert_eq!(setup.consent, Some(1));
    let mut tx = world.models_tx().await;
    assert!(tx.models().withdraw_consent(CHAT, noon()).await.unwrap());
    assert!(!tx.models().withdraw_consent(CHAT, noon()).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(
        world.database.setup(&world.scope, CHAT).await.unwrap().consent,
        None
    );
    let kept = world.database.consents(&world.scope).await.unwrap();
    assert_eq!(kept.len(), 2);
    assert!(
        kept.iter()
            .all(|consent| consent.withdrawn_by == Some(world.actor) && consent.withdrawn_at.is_some())
    );
}

#[tokio::test]
async fn a_consent_is_never_changed_or_given_back() {
    let world = World::new().await;
    world.consent_once_more().await;
    world.consent_once_more().await;
    let mut app = connect(&shared().app_url).await;
    for change in [
        "text_version = 2",
        "given_by = null",
        "withdrawn_at = null, withdrawn_by = null",
        "withdrawn_at = now(), purpose = 'documents'",
    ] {
        let sql = format!(
            "begin; set local app.current_site_id = '{}'; update model_consents set {change}; commit",
            world.site.id.as_uuid()
        );
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut app)
            .await
            .unwrap_err();
        assert_eq!(
            refused
                .as_database_error()
                .and_then(sqlx::error::DatabaseError::code)
                .as_deref(),
            Some("23001"),
            "{change}"
        );
        sqlx::raw_sql("rollback").execute(&mut app).await.unwrap();
    }
}
