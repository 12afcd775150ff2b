//! The platform plane, where it is served.

use std::sync::Arc;

use posx_kernel::{Clock, SystemIds, SystemRandomness};
use posx_oidc::Verifier;
use posx_postgres::PlatformDatabase;
use posx_tenancy::Platform;
use secrecy::ExposeSecret as _;

use crate::{Settings, StartError};

/// What a request of the plane may use, and no request of a site.
#[derive(Debug)]
pub struct PlatformPlane {
    pub platform: Platform,
    /// Takes tokens for the plane only.
    pub verifier: Verifier,
    database: Arc<PlatformDatabase>,
}

impl PlatformPlane {
    /// `None` where the plane is not configured. Refuses a database role that row-level security does not hold for.
    pub(crate) async fn connect(
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Arc<Self>>, StartError> {
        let (Some(platform), Some(url)) = (&settings.platform, &settings.database.platform_url) else {
            return Ok(None);
        };
        let as_platform = |source| StartError::Database {
            role: "posx_platform",
            source,
        };
        let ids = Arc::new(SystemIds);
        let database = PlatformDatabase::connect(url.expose_secret(), clock.clone(), ids.clone());
        let database = Arc::new(database.await.map_err(as_platform)?);
        let posture = database.posture().await.map_err(as_platform)?;
        if !posture.is_sound() {
            return Err(StartError::Posture(posture.problems));
        }
        let verifier =
            Verifier::new(vec![platform.token_issuer()], clock.clone()).map_err(StartError::Issuers)?;
        Ok(Some(Arc::new(Self {
            platform: Platform::new(database.clone(), clock, ids, Arc::new(SystemRandomness)),
            verifier,
            database,
        })))
    }

    pub(crate) async fn close(&self) {
        self.database.close().await;
    }
}
