//! Proof that someone holds a wallet: a message of EIP-4361, signed by it, with a nonce of ours that is used once.

mod error;
mod message;
mod ports;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{Begin, Clock, IdentityId, Randomness, SiteScope, Timestamp};
use url::{Host, Url};

pub use error::WalletProofError;
pub use message::{MESSAGE_BYTES_MAX, SignInMessage};
pub use ports::{
    NewChallenge, SignatureVerdict, SignatureVerifier, VerifierError, WalletChallenges, WalletProofsTx,
};

use crate::{EvmAddress, Site};

/// How long a nonce may be used.
pub const CHALLENGE_MINUTES: i64 = 10;
/// How far the wallet's clock may be from ours.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);
const NONCE_BYTES: usize = 16;

/// What messages must say, beside the nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletProofRules {
    /// Host and port of pages that may ask for any site, beside the site's own host names.
    pub domains: Vec<String>,
    pub chain_ids: Vec<u64>,
}

/// What a message is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ChallengeWish<'a> {
    /// None: someone who signs in.
    pub holder: Option<IdentityId>,
    /// As typed.
    pub address: &'a str,
    pub chain_id: u64,
    /// Of the page that asks; the site's first host name when absent.
    pub domain: Option<&'a str>,
}

/// A message to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub message: String,
    pub nonce: String,
    pub expires_at: Timestamp,
}

/// A wallet whose holder signed for us, just now. Only [`WalletProofs::prove`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenWallet {
    address: EvmAddress,
    contract_chain: Option<u64>,
}

impl ProvenWallet {
    pub const fn address(&self) -> &EvmAddress {
        &self.address
    }

    /// The chain of a contract wallet: at the same address of another chain may stand another's. None: a key signed, and a
    /// key is the same on every chain.
    pub const fn contract_chain(&self) -> Option<u64> {
        self.contract_chain
    }

    /// The account as CAIP-10 writes it. A key's is always the one of chain 1, so that a wallet that was switched to another
    /// chain is the same person.
    pub fn account(&self) -> String {
        format!("eip155:{}:{}", self.contract_chain.unwrap_or(1), self.address)
    }
}

/// Use cases of proofs inside one site.
#[derive(Clone)]
pub struct WalletProofs {
    db: Arc<dyn Begin<dyn WalletProofsTx>>,
    verifier: Arc<dyn SignatureVerifier>,
    rules: Arc<WalletProofRules>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for WalletProofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WalletProofs")
            .field("verifier", &self.verifier)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl WalletProofs {
    pub fn new(
        db: Arc<dyn Begin<dyn WalletProofsTx>>,
        verifier: Arc<dyn SignatureVerifier>,
        rules: WalletProofRules,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            db,
            verifier,
            rules: Arc::new(rules),
            clock,
            randomness,
        }
    }

    /// A message for the wallet to sign. A page may also write its own around the nonce.
    pub async fn challenge(
        &self,
        scope: &SiteScope,
        site: &Site,
        wish: ChallengeWish<'_>,
    ) -> Result<Challenge, WalletProofError> {
        let address = EvmAddress::parse(wish.address.trim()).map_err(WalletProofError::Address)?;
        let first = site.host_names.first().or(self.rules.domains.first());
        let domain = wish
            .domain
            .or(first.map(String::as_str))
            .ok_or(WalletProofError::Domain)?;
        let scheme = if is_this_machine(domain) { "http" } else { "https" };
        let uri = Url::parse(&format!("{scheme}://{domain}")).map_err(|_| WalletProofError::Domain)?;
        let now = self.clock.now();
        let expires_at = now + TimeDelta::minutes(CHALLENGE_MINUTES);
        let purpose = if wish.holder.is_some() {
            "Prove that this wallet is yours at"
        } else {
            "Sign in at"
        };
        let message = SignInMessage {
            scheme: None,
            domain: domain.to_owned(),
            address,
            statement: Some(format!("{purpose} {}.", site.code)),
            uri,
            chain_id: wish.chain_id,
            nonce: self.nonce(),
            issued_at: now,
            expires_at: Some(expires_at),
            not_before: None,
            request_id: None,
            resources: Vec::new(),
        };
        self.rules.check(&message, site, now)?;
        let mut tx = self.db.begin(scope).await?;
        tx.wallet_challenges()
            .issue(&NewChallenge {
                nonce: message.nonce.clone(),
                holder: wish.holder,
                issued_at: now,
                expires_at,
            })
            .await?;
        tx.commit().await?;
        Ok(Challenge {
            message: message.to_string(),
            nonce: message.nonce,
            expires_at,
        })
    }

    /// Uses the message's nonce up and returns whose wallet signed it. Whatever is refused before leaves the nonce as it is.
    pub async fn prove(
        &self,
        scope: &SiteScope,
        site: &Site,
        holder: Option<IdentityId>,
        text: &str,
        signature: &str,
    ) -> Result<ProvenWallet, WalletProofError> {
        let message = SignInMessage::parse(text)?;
        let now = self.clock.now();
        self.rules.check(&message, site, now)?;
        // Nobody makes us ask a node without a nonce of ours.
        let mut tx = self.db.begin(scope).await?;
        if !tx
            .wallet_challenges()
            .is_open(&message.nonce, holder, now)
            .await?
        {
            return Err(WalletProofError::Nonce);
        }
        drop(tx);
        let verdict = self
            .verifier
            .verify(&message.address, message.chain_id, text, signature)
            .await;
        let contract_chain = match verdict.map_err(WalletProofError::Unavailable)? {
            SignatureVerdict::ByKey => None,
            SignatureVerdict::ByContract => Some(message.chain_id),
            SignatureVerdict::Invalid => return Err(WalletProofError::Signature),
            SignatureVerdict::ContractOff => return Err(WalletProofError::ContractOff),
        };
        let mut tx = self.db.begin(scope).await?;
        if !tx
            .wallet_challenges()
            .consume(&message.nonce, holder, self.clock.now())
            .await?
        {
            return Err(WalletProofError::Nonce);
        }
        tx.commit().await?;
        Ok(ProvenWallet {
            address: message.address,
            contract_chain,
        })
    }

    /// Letters and digits, as the grammar wants.
    fn nonce(&self) -> String {
        let mut bytes = [0; NONCE_BYTES];
        self.randomness.fill(&mut bytes);
        bytes
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

impl WalletProofRules {
    /// Everything but nonce and signature.
    fn check(&self, message: &SignInMessage, site: &Site, now: Timestamp) -> Result<(), WalletProofError> {
        let mut domains = site.host_names.iter().chain(&self.domains);
        if !domains.any(|domain| *domain == message.domain) {
            return Err(WalletProofError::Domain);
        }
        let secure = match message.uri.scheme() {
            "https" => true,
            "http" => is_this_machine(&message.domain),
            _ => false,
        };
        let same_scheme = message
            .scheme
            .as_ref()
            .is_none_or(|scheme| scheme == message.uri.scheme());
        if !secure || !same_scheme || message.uri.authority() != message.domain {
            return Err(WalletProofError::Uri);
        }
        if !self.chain_ids.contains(&message.chain_id) {
            return Err(WalletProofError::Chain);
        }
        let oldest = now - TimeDelta::minutes(CHALLENGE_MINUTES) - LEEWAY;
        if message.issued_at < oldest || message.expires_at.is_some_and(|at| now >= at + LEEWAY) {
            return Err(WalletProofError::Expired);
        }
        let ahead = |at: Timestamp| at > now + LEEWAY;
        if ahead(message.issued_at) || message.not_before.is_some_and(ahead) {
            return Err(WalletProofError::NotYetValid);
        }
        Ok(())
    }
}

/// A page that a developer serves: browsers let wallets sign for it without TLS.
fn is_this_machine(domain: &str) -> bool {
    let url = Url::parse(&format!("http://{domain}"));
    match url.as_ref().ok().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
