//! A site's own account at Stripe: given by its people, kept sealed, and used before the one that the settings name.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;
use posx_kernel::{
    Clock, Event, Kind, Refusal, Sealed, SecretError, SecretKeeper, SecretPlace, SiteId, SiteScope,
    StoreError,
};
use posx_postgres::{Database, NewProviderAccount, ProviderAccountRow};
use posx_stripe::{KeyError, Mode, OwnKeys, SigningSecret, StripeKey};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

const STRIPE: &str = "stripe";
const TABLE: &str = "provider_accounts";
/// A change made here counts here at once, and in other processes within this time.
const ACCOUNT_LIFE: Duration = Duration::from_mins(1);
const ACCOUNTS_MAX: u64 = 10_000;
/// One, or two while it is being replaced.
const WEBHOOK_SECRETS_MAX: usize = 2;

/// Use cases of sites' own accounts.
#[derive(Clone)]
pub struct ProviderAccounts {
    database: Database,
    keeper: Arc<dyn SecretKeeper>,
    clock: Arc<dyn Clock>,
    rules: AccountRules,
    cache: Cache<SiteId, Option<Arc<OwnAccount>>>,
}

/// What the environment asks of an account.
#[derive(Debug, Clone, Copy)]
pub struct AccountRules {
    pub mode: Mode,
    /// Whether events of an account without webhook secrets arrive at all.
    pub shared_endpoint: bool,
}

/// An account, opened.
#[derive(Debug)]
pub struct OwnAccount {
    key: StripeKey,
    /// Of the site's own endpoint; none: its events come to the shared one.
    pub webhook_secrets: Vec<SigningSecret>,
}

#[derive(Debug, thiserror::Error)]
pub enum ProviderAccountError {
    #[error("{0}")]
    Key(KeyError),
    #[error("the key is of {found} mode, and here only {wanted} keys are used")]
    Mode { found: Mode, wanted: Mode },
    #[error("{error}")]
    WebhookSecret {
        at: usize,
        error: posx_stripe::SecretError,
    },
    #[error("an endpoint has one secret, or two while it is being replaced")]
    TooManyWebhookSecrets,
    #[error("there is no shared endpoint: give the secret of the account's own")]
    NoWebhookSecret,
    #[error("the site has no such account of its own")]
    NotFound,
    #[error("the account cannot be read or kept now")]
    Secret(#[source] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for ProviderAccountError {
    fn code(&self) -> &'static str {
        match self {
            Self::Key(_) => "provider_key_invalid",
            Self::Mode { .. } => "provider_key_mode",
            Self::WebhookSecret { .. } => "provider_webhook_secret_invalid",
            Self::TooManyWebhookSecrets => "provider_webhook_secrets_too_many",
            Self::NoWebhookSecret => "provider_webhook_secrets_missing",
            Self::NotFound => "provider_account_not_found",
            Self::Secret(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Key(_)
            | Self::Mode { .. }
            | Self::WebhookSecret { .. }
            | Self::TooManyWebhookSecrets
            | Self::NoWebhookSecret => Kind::Invalid,
            Self::NotFound => Kind::NotFound,
            Self::Secret(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Key(_) | Self::Mode { .. } => Some("secret_key".into()),
            Self::WebhookSecret { at, .. } => Some(format!("webhook_secrets/{at}").into()),
            Self::TooManyWebhookSecrets | Self::NoWebhookSecret => Some("webhook_secrets".into()),
            Self::NotFound | Self::Secret(_) | Self::Store(_) => None,
        }
    }
}

impl std::fmt::Debug for ProviderAccounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProviderAccounts").finish_non_exhaustive()
    }
}

impl ProviderAccounts {
    pub fn new(
        database: Database,
        keeper: Arc<dyn SecretKeeper>,
        clock: Arc<dyn Clock>,
        rules: AccountRules,
    ) -> Self {
        let cache = Cache::builder()
            .max_capacity(ACCOUNTS_MAX)
            .time_to_live(ACCOUNT_LIFE)
            .build();
        Self {
            database,
            keeper,
            clock,
            rules,
            cache,
        }
    }

    pub async fn list(&self, scope: &SiteScope) -> Result<Vec<ProviderAccountRow>, ProviderAccountError> {
        Ok(self.database.provider_accounts(scope).await?)
    }

    /// Takes the place of what the site gave before.
    pub async fn give_stripe(
        &self,
        scope: &SiteScope,
        secret_key: &SecretString,
        webhook_secrets: &[SecretString],
    ) -> Result<ProviderAccountRow, ProviderAccountError> {
        let mode = self.checked(secret_key, webhook_secrets)?;
        let (site, at) = (scope.site(), self.clock.now());
        let last4 = last4(secret_key.expose_secret());
        let count = u8::try_from(webhook_secrets.len()).expect("at most two");
        let event = Event {
            kind: "provider_account.changed",
            subject: site.as_uuid(),
            payload: json!({
                "provider": STRIPE, "mode": mode.to_string(), "secret_key_last4": last4, "webhook_secrets": count,
            }),
            at,
        };
        let webhook_secrets = match count {
            0 => None,
            _ => Some((self.sealed_list(site, webhook_secrets).await?, count)),
        };
        let key = secret_key.expose_secret().as_bytes();
        let new = NewProviderAccount {
            provider: STRIPE,
            mode: mode.to_string(),
            secret_key: self.sealed(site, "secret_key_sealed", key).await?,
            secret_key_last4: last4,
            webhook_secrets,
            at,
        };
        let kept = self.database.keep_provider_account(scope, &new, event).await;
        // Also when nobody knows whether it was kept.
        self.cache.invalidate(&site).await;
        Ok(kept?)
    }

    pub async fn remove_stripe(&self, scope: &SiteScope) -> Result<(), ProviderAccountError> {
        let event = Event {
            kind: "provider_account.removed",
            subject: scope.site().as_uuid(),
            payload: json!({ "provider": STRIPE }),
            at: self.clock.now(),
        };
        let removed = self.database.remove_provider_account(scope, STRIPE, event).await;
        self.cache.invalidate(&scope.site()).await;
        if removed? {
            Ok(())
        } else {
            Err(ProviderAccountError::NotFound)
        }
    }

    /// `None`: what the settings name counts.
    pub async fn stripe_of(&self, site: SiteId) -> Result<Option<Arc<OwnAccount>>, SecretError> {
        if let Some(known) = self.cache.get(&site).await {
            return Ok(known);
        }
        let account = match self.database.sealed_account(site, STRIPE).await? {
            Some(sealed) => {
                let key = self.opened(site, "secret_key_sealed", &sealed.secret_key).await?;
                let webhook_secrets = match &sealed.webhook_secrets {
                    Some(sealed) => self.opened_list(site, sealed).await?,
                    None => Vec::new(),
                };
                let key = StripeKey::new(&key).map_err(|_| StoreError::broken("a kept key is none"))?;
                Some(Arc::new(OwnAccount { key, webhook_secrets }))
            }
            None => None,
        };
        self.cache.insert(site, account.clone()).await;
        Ok(account)
    }

    fn checked(
        &self,
        secret_key: &SecretString,
        webhook_secrets: &[SecretString],
    ) -> Result<Mode, ProviderAccountError> {
        let (found, wanted) = (
            StripeKey::new(secret_key)
                .map_err(ProviderAccountError::Key)?
                .mode(),
            self.rules.mode,
        );
        if found != wanted {
            return Err(ProviderAccountError::Mode { found, wanted });
        }
        if webhook_secrets.len() > WEBHOOK_SECRETS_MAX {
            return Err(ProviderAccountError::TooManyWebhookSecrets);
        }
        if webhook_secrets.is_empty() && !self.rules.shared_endpoint {
            return Err(ProviderAccountError::NoWebhookSecret);
        }
        for (at, secret) in webhook_secrets.iter().enumerate() {
            SigningSecret::new(secret).map_err(|error| ProviderAccountError::WebhookSecret { at, error })?;
        }
        Ok(found)
    }

    async fn sealed(
        &self,
        site: SiteId,
        column: &'static str,
        secret: &[u8],
    ) -> Result<Sealed, ProviderAccountError> {
        let sealed = self.keeper.seal(&place(site, column), secret).await;
        sealed.map_err(ProviderAccountError::Secret)
    }

    /// One to a line: no secret has white space in it.
    async fn sealed_list(
        &self,
        site: SiteId,
        secrets: &[SecretString],
    ) -> Result<Sealed, ProviderAccountError> {
        let texts: Vec<_> = secrets.iter().map(SecretString::expose_secret).collect();
        let list = SecretString::from(texts.join("\n"));
        let bytes = list.expose_secret().as_bytes();
        self.sealed(site, "webhook_secrets_sealed", bytes).await
    }

    async fn opened(
        &self,
        site: SiteId,
        column: &'static str,
        sealed: &Sealed,
    ) -> Result<SecretString, SecretError> {
        let opened = self.keeper.open(&place(site, column), sealed).await?;
        let text = std::str::from_utf8(opened.expose_secret())
            .map_err(|_| StoreError::broken("a kept secret is no text"))?;
        Ok(SecretString::from(text))
    }

    async fn opened_list(&self, site: SiteId, sealed: &Sealed) -> Result<Vec<SigningSecret>, SecretError> {
        let list = self.opened(site, "webhook_secrets_sealed", sealed).await?;
        let secrets = list.expose_secret().lines().map(|line| {
            SigningSecret::new(&SecretString::from(line))
                .map_err(|_| StoreError::broken("a kept webhook secret is none").into())
        });
        secrets.collect()
    }
}

#[async_trait]
impl OwnKeys for ProviderAccounts {
    async fn key_of(&self, site: SiteId) -> Result<Option<StripeKey>, SecretError> {
        let account = self.stripe_of(site).await?;
        Ok(account.map(|account| account.key.clone()))
    }
}

fn place(site: SiteId, column: &'static str) -> SecretPlace {
    SecretPlace {
        site,
        table: TABLE,
        row: STRIPE.to_owned(),
        column,
    }
}

/// Of a key, which is ASCII and longer than that.
fn last4(key: &str) -> String {
    key[key.len() - 4..].to_owned()
}
