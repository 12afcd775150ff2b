//! Which account at Stripe is which site's.

use std::collections::HashMap;

use posx_kernel::SiteId;

use crate::client::{Connection, StripeClient};
use crate::error::StripeError;
use crate::key::{Mode, StripeKey};

/// Every site's own key. A site without one cannot take payments: there is no account for everybody.
#[derive(Debug, Clone)]
pub struct StripeAccounts {
    clients: HashMap<SiteId, StripeClient>,
}

/// Settings that must stop the start.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    #[error("the Stripe key of {site} is of {found} mode, and this environment is {wanted}")]
    Mode { site: SiteId, found: Mode, wanted: Mode },
    #[error("{0} has two Stripe keys")]
    Twice(SiteId),
}

impl StripeAccounts {
    /// `mode` is the environment's: a test key in production takes no money, a live one elsewhere takes real money.
    pub fn new(
        connection: &Connection,
        mode: Mode,
        keys: impl IntoIterator<Item = (SiteId, StripeKey)>,
    ) -> Result<Self, AccountsError> {
        let mut clients = HashMap::new();
        for (site, key) in keys {
            let found = key.mode();
            if found != mode {
                let wanted = mode;
                return Err(AccountsError::Mode { site, found, wanted });
            }
            if clients.insert(site, StripeClient::new(connection, key)).is_some() {
                return Err(AccountsError::Twice(site));
            }
        }
        Ok(Self { clients })
    }

    pub fn of(&self, site: SiteId) -> Result<&StripeClient, StripeError> {
        self.clients.get(&site).ok_or(StripeError::NoKey(site))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posx_kernel::{Ids as _, SeededIds, SystemRandomness};
    use secrecy::SecretString;

    use super::*;
    use crate::client::ClientConfig;

    fn accounts(mode: Mode, keys: &[(SiteId, &str)]) -> Result<StripeAccounts, AccountsError> {
        let keys = keys
            .iter()
            .map(|(site, key)| (*site, StripeKey::new(&SecretString::from(*key)).unwrap()));
        let connection = Connection::new(&ClientConfig::default(), Arc::new(SystemRandomness)).unwrap();
        StripeAccounts::new(&connection, mode, keys)
    }

    fn sites() -> [SiteId; 2] {
        let ids = SeededIds::new(3);
        [(), ()].map(|()| SiteId::from_uuid(ids.uuid(chrono::DateTime::UNIX_EPOCH)))
    }

    #[test]
    fn a_site_has_its_own_key_or_none() {
        let [one, other] = sites();
        let accounts = accounts(Mode::Test, &[(one, "sk_test_0123456789abcdef")]).unwrap();
        assert_eq!(accounts.of(one).unwrap().mode(), Mode::Test);
        assert!(matches!(accounts.of(other), Err(StripeError::NoKey(site)) if site == other));
        assert!(!format!("{accounts:?}").contains("0123"));
    }

    #[test]
    fn a_key_of_the_wrong_mode_stops_the_start_and_names_the_site() {
        let [one, other] = sites();
        let error = accounts(
            Mode::Live,
            &[
                (one, "sk_live_0123456789abcdef"),
                (other, "rk_test_0123456789abcdef"),
            ],
        );
        let error = error.unwrap_err();
        assert!(matches!(error, AccountsError::Mode { site, found: Mode::Test, .. } if site == other));
        assert!(!format!("{error} {error:?}").contains("0123"));
    }

    #[test]
    fn two_keys_for_one_site_stop_the_start() {
        let [one, _] = sites();
        let twice = accounts(
            Mode::Test,
            &[
                (one, "sk_test_0123456789abcdef"),
                (one, "sk_test_fedcba9876543210"),
            ],
        );
        assert!(matches!(twice, Err(AccountsError::Twice(site)) if site == one));
    }
}
