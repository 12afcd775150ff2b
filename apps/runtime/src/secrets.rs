//! The wiring of what is kept sealed.

use std::sync::Arc;

use posx_envelope::Envelope;
use posx_kernel::{Clock, Randomness, SecretKeeper, SystemRandomness};
use posx_postgres::Database;
use posx_stripe::Mode;

use crate::provider_accounts::{AccountRules, ProviderAccounts};
use crate::services::StartError;
use crate::{Environment, Settings};

/// What keeps secrets, and the first who has some kept.
pub(crate) struct Kept {
    pub secrets: Arc<dyn SecretKeeper>,
    pub accounts: ProviderAccounts,
}

impl Kept {
    pub fn new(settings: &Settings, database: &Database, clock: &Arc<dyn Clock>) -> Result<Self, StartError> {
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let masters = settings.secrets.master_keys(randomness.clone());
        let masters = Arc::new(masters.map_err(StartError::MasterKeys)?);
        let store = Arc::new(database.clone());
        let secrets: Arc<dyn SecretKeeper> =
            Arc::new(Envelope::new(store, masters, randomness, clock.clone()));
        let rules = AccountRules {
            mode: Mode::of_livemode(settings.environment == Environment::Production),
            shared_endpoint: !settings.payments.webhook_secrets.is_empty(),
        };
        let accounts = ProviderAccounts::new(database.clone(), secrets.clone(), clock.clone(), rules);
        Ok(Self { secrets, accounts })
    }
}
