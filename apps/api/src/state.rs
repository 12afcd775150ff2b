//! What every handler and extractor can reach.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use moka::future::Cache;
use posx_kernel::Randomness;
use posx_runtime::{ServerSettings, Services};
use secrecy::ExposeSecret as _;
use tokio::sync::Semaphore;

use crate::named_site::Name;

/// Deliveries of providers may be larger than what people send.
pub const WEBHOOK_BYTES_MAX: usize = 256 * 1024;

/// A name that is no site's is looked up again after this time: a site that gets a new name waits as long.
const UNKNOWN_NAME_AGE_MAX: Duration = Duration::from_secs(10);
/// That a name was a site's once, not that it still is: the directory knows that.
const KNOWN_NAME_AGE_MAX: Duration = Duration::from_mins(10);
const NAMES_MAX: u64 = 10_000;

pub type Api = actix_web::web::Data<ApiState>;

/// One per process, shared by its threads.
#[derive(Debug, Clone)]
pub struct ApiState {
    pub services: Services,
    pub settings: ServerSettings,
    /// Names that no site has: asking for one again and again costs no look-up.
    pub(crate) unknown_names: Cache<Name, ()>,
    /// Names that sites had lately: asking for them is nobody's guessing.
    pub(crate) known_names: Cache<Name, ()>,
    /// One for each request that is worked on.
    pub(crate) places: Arc<Semaphore>,
    /// Makes hashes of addresses comparable as long as it is the same, and guessing them vain.
    pub(crate) address_salt: [u8; 32],
}

impl ApiState {
    pub fn new(services: Services, settings: ServerSettings) -> Self {
        let places = Arc::new(Semaphore::new(settings.concurrency_max));
        let address_salt = address_salt(services.randomness.as_ref(), &settings);
        Self {
            services,
            settings,
            unknown_names: names(UNKNOWN_NAME_AGE_MAX),
            known_names: names(KNOWN_NAME_AGE_MAX),
            places,
            address_salt,
        }
    }
}

/// The one of the settings, which all processes share; else this process's own.
fn address_salt(randomness: &dyn Randomness, settings: &ServerSettings) -> [u8; 32] {
    let mut salt = [0; 32];
    match &settings.address_salt {
        Some(shared) => salt.copy_from_slice(digest(&SHA256, shared.expose_secret().as_bytes()).as_ref()),
        None => randomness.fill(&mut salt),
    }
    salt
}

fn names(age_max: Duration) -> Cache<Name, ()> {
    Cache::builder()
        .max_capacity(NAMES_MAX)
        .time_to_live(age_max)
        .build()
}

impl Deref for ApiState {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}

#[cfg(test)]
mod tests {
    use posx_kernel::SystemRandomness;

    use super::*;

    #[test]
    fn processes_share_the_salt_of_the_settings_and_nothing_else() {
        let salted = |text: Option<&str>| {
            let settings = ServerSettings {
                address_salt: text.map(Into::into),
                ..ServerSettings::default()
            };
            address_salt(&SystemRandomness, &settings)
        };
        let (one, other) = (
            "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
            "1f1e2d3c4b5a69788796a5b4c3d2e1f0",
        );
        assert_eq!(salted(Some(one)), salted(Some(one)));
        assert_ne!(salted(Some(one)), salted(Some(other)));
        assert_ne!(salted(None), salted(None));
    }
}
