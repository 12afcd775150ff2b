//! Which account at Stripe is which site's.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use posx_kernel::{SecretError, SiteId};

use crate::client::{Connection, StripeClient};
use crate::error::StripeError;
use crate::key::{Mode, StripeKey};

/// Every site's own key: the one that the site gave, else the one that the settings name. A site without one cannot take
/// payments: there is no account for everybody.
#[derive(Debug, Clone)]
pub struct StripeAccounts {
    connection: Connection,
    mode: Mode,
    clients: HashMap<SiteId, StripeClient>,
    own: Option<Arc<dyn OwnKeys>>,
}

/// Keys that sites gave themselves.
#[async_trait]
pub trait OwnKeys: Send + Sync + std::fmt::Debug {
    /// `None`: it gave none, and the settings' counts. Called at each use.
    async fn key_of(&self, site: SiteId) -> Result<Option<StripeKey>, SecretError>;
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
        Ok(Self {
            connection: connection.clone(),
            mode,
            clients,
            own: None,
        })
    }

    /// Asks `own` first, from now on.
    #[must_use]
    pub fn with_own(self, own: Arc<dyn OwnKeys>) -> Self {
        Self {
            own: Some(own),
            ..self
        }
    }

    /// Another site uses this client's key as well: as far as the settings say.
    pub(crate) fn is_shared(&self, site: SiteId, client: &StripeClient) -> bool {
        let mut others = self.clients.iter().filter(|(other, _)| **other != site);
        others.any(|(_, other)| other.is_of(client))
    }

    /// A key that cannot be had is an error, not a reason to take the settings': that would be another account.
    pub async fn of(&self, site: SiteId) -> Result<StripeClient, StripeError> {
        let own = match &self.own {
            Some(own) => own.key_of(site).await.map_err(StripeError::KeyUnavailable)?,
            None => None,
        };
        let Some(key) = own else {
            return self.clients.get(&site).cloned().ok_or(StripeError::NoKey(site));
        };
        let (found, wanted) = (key.mode(), self.mode);
        if found != wanted {
            // A database that was copied from another environment.
            return Err(StripeError::KeyOfMode { found, wanted });
        }
        Ok(StripeClient::new(&self.connection, key))
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

    /// One site's answer; the others gave no key.
    #[derive(Debug)]
    struct Given(SiteId, Option<&'static str>);

    #[async_trait]
    impl OwnKeys for Given {
        async fn key_of(&self, site: SiteId) -> Result<Option<StripeKey>, SecretError> {
            match self.1 {
                _ if site != self.0 => Ok(None),
                Some(key) => Ok(Some(StripeKey::new(&SecretString::from(key)).unwrap())),
                None => Err(SecretError::Refused),
            }
        }
    }

    #[tokio::test]
    async fn a_site_has_its_own_key_or_none() {
        let [one, other] = sites();
        let accounts = accounts(Mode::Test, &[(one, "sk_test_0123456789abcdef")]).unwrap();
        assert_eq!(accounts.of(one).await.unwrap().mode(), Mode::Test);
        assert!(matches!(accounts.of(other).await, Err(StripeError::NoKey(site)) if site == other));
        assert!(!format!("{accounts:?}").contains("0123"));
    }

    #[tokio::test]
    async fn the_key_that_a_site_gave_wins_over_the_settings() {
        let [one, other] = sites();
        let settings = [
            (one, "sk_test_0123456789abcdef"),
            (other, "sk_test_0123456789abcdef"),
        ];
        let given = Given(one, Some("rk_test_fedcba9876543210"));
        let accounts = accounts(Mode::Test, &settings).unwrap().with_own(Arc::new(given));
        let header = async |site| accounts.of(site).await.unwrap().key_header();
        assert_eq!(header(one).await, "Bearer rk_test_fedcba9876543210");
        assert_eq!(header(other).await, "Bearer sk_test_0123456789abcdef");
    }

    #[tokio::test]
    async fn a_given_key_that_cannot_be_had_or_is_of_the_wrong_mode_is_not_replaced_by_the_settings() {
        let [one, _] = sites();
        let of = async |given| {
            let accounts = accounts(Mode::Test, &[(one, "sk_test_0123456789abcdef")]).unwrap();
            accounts
                .with_own(Arc::new(Given(one, given)))
                .of(one)
                .await
                .unwrap_err()
        };
        let (closed, live) = (of(None).await, of(Some("sk_live_fedcba9876543210")).await);
        assert!(matches!(closed, StripeError::KeyUnavailable(_)), "{closed:?}");
        assert!(
            matches!(
                live,
                StripeError::KeyOfMode {
                    found: Mode::Live,
                    ..
                }
            ),
            "{live:?}"
        );
        assert!(closed.needs_a_person() && live.needs_a_person());
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
