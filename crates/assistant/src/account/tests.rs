//! Choices, keys and consents on the fakes.

use posx_kernel::{Ids as _, SeededIds, SiteId, SiteScope, Timestamp};
use secrecy::SecretString;

use super::*;
use crate::CONSENT_TEXT_VERSION;
use crate::testing::{FALLBACK_MODEL, FakeSecrets, FakeSetups, MODEL, choice, prices, providers};

struct World {
    models: Models,
    setups: FakeSetups,
    scope: SiteScope,
}

fn world() -> World {
    let setups = FakeSetups::default();
    let site = SiteId::from_uuid(SeededIds::new(1).uuid(Timestamp::UNIX_EPOCH));
    World {
        models: Models {
            db: std::sync::Arc::new(setups.clone()),
            secrets: std::sync::Arc::new(FakeSecrets::default()),
            providers: std::sync::Arc::new(providers()),
            prices: std::sync::Arc::new(prices()),
            clock: std::sync::Arc::new(posx_kernel::SystemClock),
        },
        setups,
        scope: SiteScope::of_verified_request(site),
    }
}

const CHAT: Purpose = Purpose::StaffChat;
const KEY: &str = "sk-a-key-of-the-sites-own";

impl World {
    async fn choose(
        &self,
        main: ModelChoice,
        fallback: Option<ModelChoice>,
        seen: i32,
    ) -> Result<ModelAccount, SetupError> {
        self.models.choose(&self.scope, CHAT, main, fallback, seen).await
    }

    async fn give_key(&self, key: &str, seen: i32) -> Result<ModelAccount, SetupError> {
        let key = SecretString::from(key.to_owned());
        self.models.give_key(&self.scope, CHAT, &key, seen).await
    }
}

#[tokio::test]
async fn a_site_chooses_among_the_operators_models_with_a_price() {
    let world = world();
    let refused = |main, fallback| {
        let world = &world;
        async move { world.choose(main, fallback, 0).await.unwrap_err().code() }
    };
    let main = || choice("main", MODEL);
    assert_eq!(
        refused(choice("elsewhere", MODEL), None).await,
        "model_provider_unknown"
    );
    assert_eq!(refused(choice("main", "unpriced"), None).await, "model_unknown");
    assert_eq!(refused(main(), Some(main())).await, "model_fallback_same");
    let keyless = Some(choice("keyless", MODEL));
    assert_eq!(refused(main(), keyless).await, "model_fallback_without_key");
    let fallback = Some(choice("other", FALLBACK_MODEL));
    let chosen = world.choose(main(), fallback.clone(), 0).await.unwrap();
    assert_eq!((chosen.version, &chosen.fallback), (1, &fallback));
    let stale = world.choose(main(), None, 0).await.unwrap_err();
    assert_eq!(stale.code(), "version_stale");
    world.choose(main(), None, 1).await.unwrap();
    let kinds: Vec<_> = world
        .setups
        .events(&world.scope)
        .iter()
        .map(|event| event.kind)
        .collect();
    assert_eq!(kinds, ["model_account.changed"; 2]);
}

#[tokio::test]
async fn a_key_is_kept_sealed_and_shown_by_its_end_only() {
    let world = world();
    assert!(matches!(world.give_key(KEY, 0).await, Err(SetupError::NoAccount)));
    world.choose(choice("main", MODEL), None, 0).await.unwrap();
    for bad in ["short", "with a space in it", &"x".repeat(501)] {
        assert!(
            matches!(world.give_key(bad, 1).await, Err(SetupError::Key)),
            "{bad}"
        );
    }
    let given = world.give_key(KEY, 1).await.unwrap();
    assert_eq!(given.own_key.as_ref().unwrap().last4, "-own");
    let told = format!("{given:?} {:?}", world.setups.events(&world.scope));
    assert!(told.contains("-own") && !told.contains("sites-own"), "{told}");
    let removed = world.models.remove_key(&world.scope, CHAT, 2).await.unwrap();
    assert_eq!(removed.own_key, None);
    let again = world.models.remove_key(&world.scope, CHAT, 3).await.unwrap_err();
    assert_eq!(again.code(), "model_key_not_found");
}

#[tokio::test]
async fn a_key_never_goes_to_another_provider_than_it_was_given_for() {
    let world = world();
    world.choose(choice("main", MODEL), None, 0).await.unwrap();
    world.give_key(KEY, 1).await.unwrap();
    let same = world.choose(choice("main", MODEL), Some(choice("other", FALLBACK_MODEL)), 2);
    assert!(same.await.unwrap().own_key.is_some());
    let other = world
        .choose(choice("other", FALLBACK_MODEL), None, 3)
        .await
        .unwrap();
    assert_eq!(other.own_key, None);
    // Meant for the provider that was chosen before.
    assert!(matches!(world.give_key(KEY, 3).await, Err(SetupError::Stale)));
}

#[tokio::test]
async fn a_consent_is_to_one_text_and_is_kept_when_it_is_withdrawn() {
    let world = world();
    let consent = |version| world.models.consent(&world.scope, CHAT, version);
    let old = consent(CONSENT_TEXT_VERSION - 1).await.unwrap_err();
    assert_eq!(old.code(), "model_consent_text_outdated");
    let given = consent(CONSENT_TEXT_VERSION).await.unwrap();
    assert_eq!(
        consent(CONSENT_TEXT_VERSION).await.unwrap(),
        given,
        "again changes nothing"
    );
    world.models.withdraw_consent(&world.scope, CHAT).await.unwrap();
    let none = world
        .models
        .withdraw_consent(&world.scope, CHAT)
        .await
        .unwrap_err();
    assert_eq!(none.code(), "model_consent_not_found");
    assert_eq!(consent(CONSENT_TEXT_VERSION).await.unwrap().number, 2);
    let kept = world.setups.consents(&world.scope).await.unwrap();
    assert_eq!(kept.len(), 2);
    assert!(kept[1].withdrawn_at.is_some());
}

#[tokio::test]
async fn without_the_module_nothing_is_chosen() {
    let world = world();
    world.setups.set_module(&world.scope, false);
    let refused = world.choose(choice("main", MODEL), None, 0).await.unwrap_err();
    assert_eq!(refused.code(), "module_off");
    let refused = world
        .models
        .consent(&world.scope, CHAT, CONSENT_TEXT_VERSION)
        .await;
    assert_eq!(refused.unwrap_err().code(), "module_off");
}

#[test]
fn what_may_be_chosen_is_shown_without_addresses_and_keys() {
    let views = world().models.providers();
    let shown = serde_json::to_string(&views).unwrap();
    assert!(
        !shown.contains("operator-") && !shown.contains("models.example"),
        "{shown}"
    );
    let keyless = views.iter().find(|view| view.name == "keyless").unwrap();
    assert!(!keyless.has_key);
    assert_eq!(keyless.models, [MODEL]);
}
