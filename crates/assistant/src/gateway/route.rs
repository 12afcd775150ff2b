//! Whether a call may be made, and where it goes.

use chrono::TimeDelta;
use posx_kernel::{SiteScope, StoreError};
use secrecy::{ExposeSecret as _, SecretString};

use super::GatewayParts;
use super::run::{CALL_LASTS_MAX, LAST_WORD_WAITS_MAX};
use super::settle::{SETTLED_WITHIN_S, STORE_ANSWERS_WITHIN_S};
use crate::{
    AssistantError, CONSENT_TEXT_VERSION, Endpoint, ModelAccount, ModelChoice, OwnKey, Price, Purpose,
};

/// An endpoint with what it costs while the call lasts.
#[derive(Debug, Clone)]
pub(super) struct Priced {
    pub(super) endpoint: Endpoint,
    pub(super) choice: ModelChoice,
    pub(super) price: Price,
    /// Not with a key of the site's own.
    pub(super) operator_pays: bool,
}

/// Later than any call is settled: reserved in a slow store, made for as long as it may last, told to a reader who does not read,
/// and settled at the last try.
pub(super) const RESERVED_FOR: TimeDelta = TimeDelta::minutes(15);
const _: () = assert!(
    RESERVED_FOR.num_seconds().unsigned_abs()
        > STORE_ANSWERS_WITHIN_S
            + CALL_LASTS_MAX.as_secs()
            + LAST_WORD_WAITS_MAX.as_secs()
            + SETTLED_WITHIN_S
);

impl GatewayParts {
    /// The main endpoint, and the fallback if it can be called.
    pub(super) async fn route(
        &self,
        scope: &SiteScope,
        purpose: Purpose,
    ) -> Result<(Priced, Option<Priced>), AssistantError> {
        let setup = self.setups.setup(scope, purpose).await?;
        if !setup.module_on {
            return Err(AssistantError::ModuleOff);
        }
        if setup.consent != Some(CONSENT_TEXT_VERSION) {
            return Err(AssistantError::NoConsent(purpose));
        }
        let account = setup.account.ok_or(AssistantError::NoModel(purpose))?;
        let own = self.own_key(scope, &account).await?;
        let main = self.priced(&account.main, own)?;
        let fallback = account.fallback.as_ref();
        // One that the operator has taken away meanwhile is no reason to refuse what the main model can answer.
        let fallback = fallback.and_then(|choice| self.priced(choice, None).ok());
        Ok((main, fallback))
    }

    fn priced(&self, choice: &ModelChoice, own: Option<SecretString>) -> Result<Priced, AssistantError> {
        let provider = self.providers.get(&choice.provider);
        let provider = provider.ok_or(AssistantError::NoPrice)?;
        let operator_pays = own.is_none();
        let key = own.or_else(|| provider.key.clone());
        if key.is_none() && provider.needs_key {
            return Err(AssistantError::NoKey);
        }
        let price = self
            .prices
            .price(&choice.provider, &choice.model, self.clock.now());
        let price = price.ok_or(AssistantError::NoPrice)?;
        Ok(Priced {
            endpoint: Endpoint {
                provider: choice.provider.clone(),
                kind: provider.kind,
                base_url: provider.base_url.clone(),
                model: choice.model.clone(),
                key,
            },
            choice: choice.clone(),
            price: price.clone(),
            operator_pays,
        })
    }

    async fn own_key(
        &self,
        scope: &SiteScope,
        account: &ModelAccount,
    ) -> Result<Option<SecretString>, AssistantError> {
        let Some(OwnKey { sealed, .. }) = &account.own_key else {
            return Ok(None);
        };
        let place = ModelAccount::key_place(scope.site(), account.purpose);
        let opened = self.secrets.open(&place, sealed).await?;
        let text = std::str::from_utf8(opened.expose_secret());
        let text = text.map_err(|_| StoreError::broken("a kept key is no text"))?;
        Ok(Some(SecretString::from(text)))
    }
}
