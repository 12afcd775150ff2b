//! A gateway on fakes: a site that has consented to everything and chosen a model for every purpose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::DateTime;
use posx_kernel::{Clock, ManualClock, Sealed, SecretError, SecretKeeper, SecretPlace, SeededIds, SiteScope};
use secrecy::{SecretSlice, SecretString};

use super::{FakeQuota, FakeSetups, ScriptedModel};
use crate::{
    CONSENT_TEXT_VERSION, Gateway, GatewayParts, Limits, Micros, ModelAccount, ModelChoice, Price, PriceBook,
    PriceTier, Provider, ProviderKind, Providers, Purpose,
};

/// Of the operator; a million tokens cost 1 in, 0.1 cached, 2 out.
pub const MODEL: &str = "steady";
/// At the other provider, ten times as dear.
pub const FALLBACK_MODEL: &str = "spare";

/// All that stands behind a gateway, to look at and to change.
#[derive(Debug, Clone)]
pub struct GatewayWorld {
    pub gateway: Gateway,
    pub model: ScriptedModel,
    pub quota: FakeQuota,
    pub setups: FakeSetups,
    pub secrets: Arc<FakeSecrets>,
    pub clock: Arc<ManualClock>,
}

impl GatewayWorld {
    /// With no limit on any budget.
    pub fn new(model: ScriptedModel) -> Self {
        Self::with_quota(model, FakeQuota::new(chrono_tz::UTC, Limits::default()))
    }

    pub fn with_quota(model: ScriptedModel, quota: FakeQuota) -> Self {
        let clock = Arc::new(ManualClock::stopped_at(DateTime::UNIX_EPOCH));
        let setups = FakeSetups::default();
        let secrets = Arc::new(FakeSecrets::default());
        let ids = Arc::new(SeededIds::new(6));
        let gateway = Gateway::new(GatewayParts {
            model: Arc::new(model.clone()),
            quota: Arc::new(quota.clone()),
            prices: Arc::new(prices()),
            setups: Arc::new(setups.clone()),
            providers: Arc::new(providers()),
            secrets: secrets.clone(),
            clock: clock.clone() as Arc<dyn Clock>,
            ids: ids.clone(),
            randomness: ids,
        });
        Self {
            gateway,
            model,
            quota,
            setups,
            secrets,
            clock,
        }
    }

    /// As a site that may call.
    pub fn allow(&self, scope: &SiteScope) {
        for purpose in Purpose::ALL {
            let choice = choice("main", MODEL);
            let account = ModelAccount::new(*purpose, choice.clone(), DateTime::UNIX_EPOCH);
            self.setups
                .put_account(scope, account.choose(choice, None, DateTime::UNIX_EPOCH));
            self.setups.put_consent(scope, *purpose, CONSENT_TEXT_VERSION);
        }
    }
}

pub fn choice(provider: &str, model: &str) -> ModelChoice {
    ModelChoice {
        provider: provider.to_owned(),
        model: model.to_owned(),
    }
}

pub fn providers() -> Providers {
    let provider = |kind, key: Option<&str>| Provider {
        kind,
        base_url: "https://models.example/v1".parse().expect("an address"),
        key: key.map(SecretString::from),
        needs_key: true,
    };
    [
        (
            "main".to_owned(),
            provider(ProviderKind::OpenAi, Some("operator-main")),
        ),
        (
            "other".to_owned(),
            provider(ProviderKind::Anthropic, Some("operator-other")),
        ),
        ("keyless".to_owned(), provider(ProviderKind::OpenAi, None)),
    ]
    .into_iter()
    .collect()
}

pub fn prices() -> PriceBook {
    let price = |provider: &str, model: &str, unit: u64| Price {
        version: 1,
        provider: provider.to_owned(),
        model: model.to_owned(),
        valid_from: DateTime::UNIX_EPOCH,
        tiers: vec![PriceTier {
            from_input_tokens: 0,
            input: Micros::new(unit).expect("small"),
            cached_input: Micros::new(unit / 10).expect("small"),
            output: Micros::new(unit * 2).expect("small"),
        }],
    };
    let prices = vec![
        price("main", MODEL, 1_000_000),
        price("other", FALLBACK_MODEL, 10_000_000),
        price("keyless", MODEL, 1_000_000),
    ];
    PriceBook::new(prices).expect("a price book")
}

type Kept = (SecretPlace, Vec<u8>);

/// Keeps what it is given, for the place that it is given for.
#[derive(Debug, Default)]
pub struct FakeSecrets {
    kept: Mutex<HashMap<Vec<u8>, Kept>>,
}

#[async_trait]
impl SecretKeeper for FakeSecrets {
    async fn seal(&self, place: &SecretPlace, secret: &[u8]) -> Result<Sealed, SecretError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("sealed {}", kept.len()).into_bytes();
        kept.insert(name.clone(), (place.clone(), secret.to_vec()));
        Ok(Sealed::from_bytes(name))
    }

    async fn open(&self, place: &SecretPlace, sealed: &Sealed) -> Result<SecretSlice<u8>, SecretError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(sealed.as_bytes()) {
            Some((sealed_for, secret)) if sealed_for == place => Ok(SecretSlice::from(secret.clone())),
            _ => Err(SecretError::Refused),
        }
    }
}
