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
}

impl ApiState {
    pub fn new(services: Services, settings: ServerSettings) -> Self {
        let unknown_hosts = Cache::builder()
            .max_capacity(UNKNOWN_HOSTS_MAX)
            .time_to_live(UNKNOWN_HOST_AGE_MAX)
            .build();
        Self {
            services,
            settings,
            unknown_hosts,
        }
    }
}

impl Deref for ApiState {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.services
    }
}
