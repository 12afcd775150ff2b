//! What every handler and extractor can reach.

use std::ops::Deref;
use std::time::Duration;

use moka::future::Cache;
use posx_runtime::{ServerSettings, Services};

/// Deliveries of providers may be larger than what people send.
pub const WEBHOOK_BYTES_MAX: usize = 256 * 1024;

/// A host name that is no site's is looked up again after this time: a site that gets a new name waits as long.
const UNKNOWN_HOST_AGE_MAX: Duration = Duration::from_secs(10);
const UNKNOWN_HOSTS_MAX: u64 = 1_000;

pub type Api = actix_web::web::Data<ApiState>;

/// One per process, shared by its threads.
#[derive(Debug, Clone)]
pub struct ApiState {
    pub services: Services,
    pub settings: ServerSettings,
    /// Hosts that no site has: the API's own name, when sites are named by header, costs no look-up each time.
    pub(crate) unknown_hosts: Cache<String, ()>,
    /// Makes hashes of addresses comparable as long as it is the same, and guessing them vain.
    pub(crate) address_salt: [u8; 32],
}

impl ApiState {
    pub fn new(services: Services, settings: ServerSettings) -> Self {
        let unknown_hosts = Cache::builder()
            .max_capacity(UNKNOWN_HOSTS_MAX)
            .time_to_live(UNKNOWN_HOST_AGE_MAX)
            .build();
        let mut address_salt = [0; 32];
        services.randomness.fill(&mut address_salt);
        Self {
            services,
            settings,
            unknown_hosts,
            address_salt,
        }
    }
}

impl Deref for ApiState {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}
