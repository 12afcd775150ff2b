//! What the site's people decide: models, keys, consents.

use std::sync::Arc;

use posx_kernel::{Begin, Clock, Event, SecretKeeper, SiteScope, Timestamp, changes};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{KEY_CHARACTERS, last4};
use crate::{
    CONSENT_TEXT_VERSION, ModelAccount, ModelAccountView, ModelChoice, ModelConsent, ModelProviderView,
    ModelsTx, OwnKey, PriceBook, Providers, Purpose, SetupError,
};

/// Use cases of a site's models and consents.
#[derive(Clone)]
pub struct Models {
    pub db: Arc<dyn Begin<dyn ModelsTx>>,
    pub secrets: Arc<dyn SecretKeeper>,
    pub providers: Arc<Providers>,
    pub prices: Arc<PriceBook>,
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Models").finish_non_exhaustive()
    }
}

impl Models {
    /// What a site may choose from now.
    pub fn providers(&self) -> Vec<ModelProviderView> {
        let now = self.clock.now();
        let views = self.providers.all().map(|(name, provider)| {
            let mut models: Vec<_> = self
                .prices
                .prices()
                .iter()
                .filter(|price| price.provider == name && price.valid_from <= now)
                .map(|price| price.model.clone())
                .collect();
            models.sort();
            models.dedup();
            ModelProviderView {
                name: name.to_owned(),
                kind: provider.kind,
                has_key: provider.serves_everybody(),
                models,
            }
        });
        views.collect()
    }

    /// `seen` is the version that was read; 0 when nothing was chosen yet.
    pub async fn choose(
        &self,
        scope: &SiteScope,
        purpose: Purpose,
        main: ModelChoice,
        fallback: Option<ModelChoice>,
        seen: i32,
    ) -> Result<ModelAccount, SetupError> {
        let now = self.clock.now();
        self.check(&main, ["provider", "model"], now)?;
        if let Some(fallback) = &fallback {
            self.check(fallback, ["fallback/provider", "fallback/model"], now)?;
            if *fallback == main {
                return Err(SetupError::SameModel);
            }
            let provider = self.providers.get(&fallback.provider);
            if !provider.is_some_and(crate::Provider::serves_everybody) {
                return Err(SetupError::FallbackWithoutKey);
            }
        }
        let mut tx = self.begin(scope).await?;
        let before = tx.models().account(purpose).await?;
        if before.as_ref().map_or(0, |account| account.version) != seen {
            return Err(SetupError::Stale);
        }
        let known = before.clone();
        let known = known.unwrap_or_else(|| ModelAccount::new(purpose, main.clone(), now));
        let account = known.choose(main, fallback, now);
        keep(scope, tx, before.as_ref(), account).await
    }

    /// Sealed before the transaction is open. Whoever chose another provider meanwhile changed the version: the key does not go
    /// there.
    pub async fn give_key(
        &self,
        scope: &SiteScope,
        purpose: Purpose,
        key: &SecretString,
        seen: i32,
    ) -> Result<ModelAccount, SetupError> {
        let text = key.expose_secret();
        if !KEY_CHARACTERS.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SetupError::Key);
        }
        let place = ModelAccount::key_place(scope.site(), purpose);
        let sealed = self.secrets.seal(&place, text.as_bytes()).await?;
        let own = OwnKey {
            sealed,
            last4: last4(text),
        };
        self.change_key(scope, purpose, Some(own), seen).await
    }

    /// From then on the operator's is used, if there is one.
    pub async fn remove_key(
        &self,
        scope: &SiteScope,
        purpose: Purpose,
        seen: i32,
    ) -> Result<ModelAccount, SetupError> {
        self.change_key(scope, purpose, None, seen).await
    }

    /// To the text of this version, which must be the one that holds now.
    pub async fn consent(
        &self,
        scope: &SiteScope,
        purpose: Purpose,
        text_version: u16,
    ) -> Result<ModelConsent, SetupError> {
        if text_version != CONSENT_TEXT_VERSION {
            return Err(SetupError::ConsentText {
                now: CONSENT_TEXT_VERSION,
            });
        }
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        if let Some(holds) = tx.models().consent(purpose).await?
            && holds.text_version == text_version
        {
            return Ok(holds);
        }
        let given = tx.models().give_consent(purpose, text_version, now).await?;
        let payload = json!({ "purpose": purpose, "number": given.number, "text_version": text_version });
        let event = happened(scope, "model_consent.given", payload, now);
        tx.outbox().append(event).await?;
        tx.commit().await?;
        Ok(given)
    }

    /// The next call is refused.
    pub async fn withdraw_consent(&self, scope: &SiteScope, purpose: Purpose) -> Result<(), SetupError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        if !tx.models().withdraw_consent(purpose, now).await? {
            return Err(SetupError::NoConsent);
        }
        let payload = json!({ "purpose": purpose });
        let event = happened(scope, "model_consent.withdrawn", payload, now);
        tx.outbox().append(event).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn change_key(
        &self,
        scope: &SiteScope,
        purpose: Purpose,
        own: Option<OwnKey>,
        seen: i32,
    ) -> Result<ModelAccount, SetupError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let before = tx.models().account(purpose).await?;
        let before = before.ok_or(SetupError::NoAccount)?;
        if before.version != seen {
            return Err(SetupError::Stale);
        }
        if own.is_none() && before.own_key.is_none() {
            return Err(SetupError::NoKey);
        }
        let account = before.clone().with_key(own, now);
        keep(scope, tx, Some(&before), account).await
    }

    fn check(
        &self,
        choice: &ModelChoice,
        [provider, model]: [&'static str; 2],
        now: Timestamp,
    ) -> Result<(), SetupError> {
        if self.providers.get(&choice.provider).is_none() {
            return Err(SetupError::UnknownProvider { field: provider });
        }
        let price = self.prices.price(&choice.provider, &choice.model, now);
        price.map(drop).ok_or(SetupError::UnknownModel { field: model })
    }

    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn ModelsTx>, SetupError> {
        let mut tx = self.db.begin(scope).await?;
        if !tx.models().module_on().await? {
            return Err(SetupError::ModuleOff);
        }
        Ok(tx)
    }
}

async fn keep(
    scope: &SiteScope,
    mut tx: Box<dyn ModelsTx>,
    before: Option<&ModelAccount>,
    account: ModelAccount,
) -> Result<ModelAccount, SetupError> {
    if !tx.models().save_account(&account).await? {
        return Err(SetupError::Stale);
    }
    let (was, is) = (
        before.map(ModelAccountView::from),
        ModelAccountView::from(&account),
    );
    let payload = json!({ "purpose": account.purpose, "changes": changes(&was, &is) });
    let event = happened(scope, "model_account.changed", payload, account.updated_at);
    tx.outbox().append(event).await?;
    tx.commit().await?;
    Ok(account)
}

fn happened(scope: &SiteScope, kind: &'static str, payload: serde_json::Value, at: Timestamp) -> Event {
    Event {
        kind,
        subject: scope.site().as_uuid(),
        payload,
        at,
    }
}
