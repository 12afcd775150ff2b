//! Sessions of browsers: what opens and refreshes them.

use std::sync::Arc;

use posx_issuer::TokenIssuer;
use posx_kernel::{Clock, Ids, Randomness};
use posx_oidc::TokenClient;
use posx_postgres::Database;
use posx_redis::CachedSessions;
use posx_tenancy::{Origin, Sessions};

use crate::{SessionSettings, StartError};

/// What the API needs where browsers have sessions.
#[derive(Debug)]
pub struct SessionGate {
    pub issuer: Arc<TokenIssuer>,
    pub origins: Vec<Origin>,
    /// The cookie goes over TLS only.
    pub secure_cookie: bool,
    pub providers: Vec<CodeProvider>,
}

/// An identity provider whose codes are exchanged.
#[derive(Debug)]
pub struct CodeProvider {
    /// As identities are kept under.
    pub issuer: String,
    pub client: TokenClient,
    pub redirect_uris: Vec<String>,
}

/// Also where no sessions are opened (any more): those that there are go on to be checked, listed and ended.
pub(crate) fn sessions(
    settings: Option<&SessionSettings>,
    database: &Database,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    randomness: Arc<dyn Randomness>,
) -> Sessions {
    let rules = settings.cloned().unwrap_or_default().rules();
    let store = Arc::new(CachedSessions::new(Arc::new(database.clone())));
    Sessions::new(store, rules, clock, ids, randomness)
}

/// `None`: nobody opens or refreshes one here.
pub(crate) fn gate(
    settings: Option<&SessionSettings>,
    issuer: Option<&Arc<TokenIssuer>>,
) -> Result<Option<Arc<SessionGate>>, StartError> {
    let (Some(settings), Some(issuer)) = (settings, issuer) else {
        return Ok(None);
    };
    let mut providers = Vec::with_capacity(settings.providers.len());
    for provider in &settings.providers {
        providers.push(CodeProvider {
            issuer: provider.issuer.clone(),
            client: provider.client().map_err(StartError::Issuers)?,
            redirect_uris: provider.redirect_uris.clone(),
        });
    }
    Ok(Some(Arc::new(SessionGate {
        issuer: issuer.clone(),
        origins: settings.origins(),
        secure_cookie: !settings.insecure_cookie,
        providers,
    })))
}
