//! Proofs of wallets, and our own tokens for who signs in with one, which are taken as any other issuer's.

use std::sync::Arc;

use posx_ethereum::WalletVerifier;
use posx_issuer::TokenIssuer;
use posx_kernel::{Clock, Randomness};
use posx_keyset::FetchKeys;
use posx_oidc::{ConfigError, HttpKeys, IssuerConfig, Verifier};
use posx_postgres::Database;
use posx_tenancy::WalletProofs;

use crate::{Settings, StartError, WalletSettings};

pub(crate) fn proofs(
    settings: &WalletSettings,
    db: Arc<Database>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
) -> Result<WalletProofs, StartError> {
    let nodes = settings.nodes().map_err(StartError::Node)?;
    let verifier = Arc::new(WalletVerifier::new(nodes));
    Ok(WalletProofs::new(
        db,
        verifier,
        settings.rules(),
        clock,
        randomness,
    ))
}

/// Of the configured issuers and ours, if there is one.
pub(crate) fn verifier(
    settings: &Settings,
    clock: Arc<dyn Clock>,
) -> Result<(Verifier, Option<Arc<TokenIssuer>>), StartError> {
    let ours = settings.wallets.sign_in.as_ref();
    let ours = ours.map(|sign_in| sign_in.token_issuer().map(Arc::new));
    let ours = ours.transpose().map_err(StartError::WalletIssuer)?;
    let configured = settings.token_issuers().map_err(StartError::Issuers)?;
    let sources = sources(settings, configured, ours.as_ref()).map_err(StartError::Issuers)?;
    let verifier = Verifier::with_key_sources(sources, clock).map_err(StartError::Issuers)?;
    Ok((verifier, ours))
}

type KeySources = Vec<(IssuerConfig, Arc<dyn FetchKeys>)>;

/// Our own keys need no HTTP.
fn sources(
    settings: &Settings,
    configured: Vec<IssuerConfig>,
    ours: Option<&Arc<TokenIssuer>>,
) -> Result<KeySources, ConfigError> {
    let mut sources = KeySources::new();
    for config in configured {
        let keys = HttpKeys::for_issuer(&config)?;
        sources.push((config, Arc::new(keys)));
    }
    if let Some(ours) = ours {
        let config = settings
            .step_up
            .applied_to(IssuerConfig::new(ours.issuer(), ours.audience()));
        sources.push((config, ours.clone()));
    }
    Ok(sources)
}
