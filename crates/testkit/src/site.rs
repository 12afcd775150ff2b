//! Fresh sites.

use std::sync::Arc;

use posx_kernel::{Clock, Currency, Randomness, SystemClock, SystemIds, SystemRandomness};
use posx_postgres::PlatformDatabase;
use posx_tenancy::{CreateSite, Module, Platform, Site};

use crate::{TestDatabase, database};

/// The platform plane of the test database. `clock` stamps what it makes.
pub async fn platform(clock: Arc<dyn Clock>) -> Platform {
    platform_of(database(), clock).await
}

async fn platform_of(database: &TestDatabase, clock: Arc<dyn Clock>) -> Platform {
    let ids = Arc::new(SystemIds);
    let directory = PlatformDatabase::connect(&database.platform_url, clock.clone(), ids.clone()).await;
    let directory = directory.expect("the platform role connects");
    Platform::new(Arc::new(directory), clock, ids, Arc::new(SystemRandomness))
}

/// The custodian's vault that a fresh site has.
pub fn vault_of(site: &Site) -> String {
    site.id.to_string()
}

/// A site that no other test knows: a code of its own, the host name `{code}.test` in lower case, and every module that there is
/// something of.
pub async fn fresh_site(currency: &str) -> Site {
    fresh_site_in(database(), currency).await
}

/// As [`fresh_site`], in a database of one's own.
pub async fn fresh_site_in(database: &TestDatabase, currency: &str) -> Site {
    let mut random = [0; 5];
    SystemRandomness.fill(&mut random);
    let code = random
        .iter()
        .fold("T".to_owned(), |code, byte| format!("{code}{byte:02X}"));
    let wish = CreateSite {
        name: format!("Test site {code}"),
        host_names: vec![format!("{}.test", code.to_lowercase())],
        currency: Currency::from_code(currency).expect("a known currency"),
        time_zone: chrono_tz::UTC,
        code,
    };
    let platform = platform_of(database, Arc::new(SystemClock)).await;
    let made = platform.create(wish).await.expect("a fresh code is free");
    let vaults = platform
        .change_vaults(made.code.as_str(), &[vault_of(&made)], &[])
        .await;
    vaults.expect("nobody else has it");
    let modules = [Module::TokenSale, Module::Assistant];
    let furnished = platform.set_modules(made.code.as_str(), &modules).await;
    furnished.expect("the site that was made now")
}
