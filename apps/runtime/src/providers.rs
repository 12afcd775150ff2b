//! The outside systems that the settings name.

use std::sync::Arc;

use posx_allocations::custody::Custody;
use posx_assistant::LanguageModel;
use posx_commissions::payout_gateway::PayoutGateway;
use posx_fireblocks::{CustodyConfig, FireblocksCustody, Interlock, Workspace};
use posx_kernel::{Clock, Randomness, SiteId};
use posx_ledger::reconcile::ProviderLines;
use posx_orders::gateway::PaymentGateway;
use posx_sandbox::{SandboxCustody, SandboxGateway, SandboxLines, SandboxPayouts};
use posx_stripe::{
    ClientConfig, Connection, Mode, OwnKeys, StripeAccounts, StripeGateway, StripeKey, StripeLines,
    StripePayouts,
};
use posx_tenancy::{Directory, SiteCode};
use secrecy::ExposeSecret as _;

use crate::assistant;
use crate::{
    CustodyMode, CustodyProvider, Environment, PaymentProvider, Settings, StartError, StripeAccountSettings,
};

/// Who is called for payments and for transfers.
#[derive(Debug, Clone)]
pub struct Providers {
    pub payments: Arc<dyn PaymentGateway>,
    /// For agents' payouts: the payment provider, too.
    pub payouts: Arc<dyn PayoutGateway>,
    pub custody: Arc<dyn Custody>,
    /// What the payment provider and the custodian say happened.
    pub payment_lines: Arc<dyn ProviderLines>,
    pub custody_lines: Arc<dyn ProviderLines>,
    /// For what only Stripe has, where it is the payment provider.
    pub stripe: Option<StripeAccounts>,
    pub language_model: Arc<dyn LanguageModel>,
}

/// What the adapters of real providers need.
pub(crate) struct World<'a> {
    pub directory: &'a dyn Directory,
    pub clock: Arc<dyn Clock>,
    pub randomness: Arc<dyn Randomness>,
    /// Which the settings' accounts come after.
    pub own_keys: Arc<dyn OwnKeys>,
}

pub(crate) async fn of_settings(settings: &Settings, world: &World<'_>) -> Result<Providers, StartError> {
    let (payments, payouts, payment_lines, stripe) = payments(settings, world).await?;
    let (custody, custody_lines) = custody(settings, world)?;
    Ok(Providers {
        payments,
        payouts,
        custody,
        payment_lines,
        custody_lines,
        stripe,
        language_model: assistant::language_model()?,
    })
}

type Payments = (
    Arc<dyn PaymentGateway>,
    Arc<dyn PayoutGateway>,
    Arc<dyn ProviderLines>,
    Option<StripeAccounts>,
);

async fn payments(settings: &Settings, world: &World<'_>) -> Result<Payments, StartError> {
    let payments = &settings.payments;
    match payments.provider {
        PaymentProvider::Sandbox => {
            let key = payments.secret_key.as_ref().map_or("", |key| key.expose_secret());
            let gateway = SandboxGateway::new(&payments.base_url, key).map_err(unusable("payment"))?;
            let payouts = SandboxPayouts::new(&payments.base_url, key).map_err(unusable("payment"))?;
            let lines = SandboxLines::new(&payments.base_url, key).map_err(unusable("payment"))?;
            Ok((Arc::new(gateway), Arc::new(payouts), Arc::new(lines), None))
        }
        PaymentProvider::Stripe => {
            let config = ClientConfig {
                base_url: payments.base_url.clone(),
                ..ClientConfig::default()
            };
            let connection =
                Connection::new(&config, world.randomness.clone()).map_err(unusable("payment"))?;
            let mode = Mode::of_livemode(settings.environment == Environment::Production);
            let keys = site_keys(&payments.accounts, world.directory).await?;
            let accounts = StripeAccounts::new(&connection, mode, keys).map_err(unusable("payment"))?;
            let accounts = accounts.with_own(world.own_keys.clone());
            let gateway = StripeGateway::new(accounts.clone(), world.clock.clone());
            let payouts = StripePayouts::new(accounts.clone());
            let lines = StripeLines::new(accounts.clone());
            Ok((
                Arc::new(gateway),
                Arc::new(payouts),
                Arc::new(lines),
                Some(accounts),
            ))
        }
    }
}

/// The settings name sites by their codes; a code that no site has is a mistake that must not wait for the first payment.
async fn site_keys(
    accounts: &[StripeAccountSettings],
    directory: &dyn Directory,
) -> Result<Vec<(SiteId, StripeKey)>, StartError> {
    let mut keys = Vec::with_capacity(accounts.len());
    for account in accounts {
        let no_site = || StartError::NoSuchSite {
            setting: "payments.accounts",
            code: account.site.clone(),
        };
        let code = SiteCode::new(&account.site).ok_or_else(no_site)?;
        let site = directory.site_by_code(&code).await;
        let site = site.map_err(|source| StartError::Database {
            role: "posx_app",
            source,
        })?;
        let key = StripeKey::new(&account.secret_key).map_err(unusable("payment"))?;
        keys.push((site.ok_or_else(no_site)?.id, key));
    }
    Ok(keys)
}

fn unusable<E>(kind: &'static str) -> impl FnOnce(E) -> StartError
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |source| StartError::Provider {
        kind,
        source: Box::new(source),
    }
}

type Custodian = (Arc<dyn Custody>, Arc<dyn ProviderLines>);

fn custody(settings: &Settings, world: &World<'_>) -> Result<Custodian, StartError> {
    let custody = &settings.custody;
    match custody.provider {
        CustodyProvider::Sandbox => {
            let custody = SandboxCustody::new(&custody.base_url, custody.api_key.expose_secret())
                .map_err(unusable("custody"))?;
            Ok((Arc::new(custody.clone()), Arc::new(custody)))
        }
        CustodyProvider::Fireblocks => {
            let config = CustodyConfig {
                workspace: match custody.region {
                    Some(region) => Workspace::Region(region),
                    None => Workspace::At(custody.base_url.clone()),
                },
                interlock: Interlock {
                    mode: match custody.mode {
                        CustodyMode::Sandbox => posx_fireblocks::Mode::Sandbox,
                        CustodyMode::Live => posx_fireblocks::Mode::Live,
                    },
                    real_transfers: custody.real_transfers,
                },
                api_key: custody.api_key.clone(),
                private_key: custody.private_key.clone().unwrap_or_default(),
                timeout: CustodyConfig::TIMEOUT,
                retry: posx_fireblocks::RetryPolicy::default(),
            };
            let (clock, randomness) = (world.clock.clone(), world.randomness.clone());
            let custody = FireblocksCustody::new(config, clock, randomness).map_err(unusable("custody"))?;
            Ok((Arc::new(custody.clone()), Arc::new(custody)))
        }
    }
}
