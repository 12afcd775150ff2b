//! RSA keys made at start, their key set document, and signatures with them.

use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::env::lock;

/// Why no key could be made or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("an RSA key cannot be made")]
    Generate,
    #[error("the RSA key cannot sign")]
    Sign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rs256,
    Rs512,
}

impl Algorithm {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs512 => "RS512",
        }
    }

    fn padding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Rs512 => &RSA_PKCS1_SHA512,
        }
    }
}

#[derive(Debug)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pair: KeyPair,
}

impl SigningKey {
    fn generate(kid: String) -> Result<Self, KeyError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Generate)?;
        Ok(Self { kid, pair })
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(algorithm.padding(), &SystemRandom::new(), message, &mut signature)
            .map_err(|_| KeyError::Sign)?;
        Ok(signature)
    }

    fn jwk(&self, algorithm: Algorithm) -> Value {
        let public = self.pair.public_key();
        json!({
            "kty": "RSA", "use": "sig", "alg": algorithm.name(), "kid": self.kid,
            "n": URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero()),
            "e": URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero()),
        })
    }

    /// As a careless verifier would hand it to an HMAC.
    pub(crate) fn public_pem(&self) -> Result<String, KeyError> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().map_err(|_| KeyError::Sign)?;
        Ok(format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der.as_ref())
        ))
    }
}

/// What becomes of the keys that signed until now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum OldKeys {
    /// They stay in the key set: what they signed stays valid.
    #[serde(rename = "kept")]
    Keep,
    /// They leave the key set.
    #[serde(rename = "dropped")]
    Drop,
}

const ISSUER: &str = "issuer-key";
const WEBHOOKS: &str = "webhook-key";

/// The first keys of a world. Making them takes some tenths of a second of computing, so many worlds in one process may
/// begin with the same.
#[derive(Debug, Clone)]
pub struct WorldKeys {
    issuer: Arc<SigningKey>,
    webhooks: Arc<SigningKey>,
}

impl WorldKeys {
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self {
            issuer: Arc::new(SigningKey::generate(format!("{ISSUER}-1"))?),
            webhooks: Arc::new(SigningKey::generate(format!("{WEBHOOKS}-1"))?),
        })
    }

    /// A ring for the issuer, and one for the custodian's webhooks.
    pub(crate) fn rings(self) -> (Arc<KeyRing>, Arc<KeyRing>) {
        (
            Arc::new(KeyRing::new(ISSUER, Algorithm::Rs256, self.issuer)),
            Arc::new(KeyRing::new(WEBHOOKS, Algorithm::Rs512, self.webhooks)),
        )
    }
}

/// The keys of one system; the newest signs.
#[derive(Debug)]
pub(crate) struct KeyRing {
    algorithm: Algorithm,
    name: &'static str,
    keys: Mutex<Keys>,
}

#[derive(Debug)]
struct Keys {
    current: Arc<SigningKey>,
    former: Vec<Arc<SigningKey>>,
    made: u32,
}

impl KeyRing {
    pub(crate) fn new(name: &'static str, algorithm: Algorithm, current: Arc<SigningKey>) -> Self {
        let keys = Mutex::new(Keys {
            current,
            former: Vec::new(),
            made: 1,
        });
        Self {
            algorithm,
            name,
            keys,
        }
    }

    /// Computes for some tenths of a second: not for an async task.
    pub(crate) fn rotate(&self, old: OldKeys) -> Result<(), KeyError> {
        let number = {
            let mut keys = lock(&self.keys);
            keys.made += 1;
            keys.made
        };
        let fresh = Arc::new(SigningKey::generate(format!("{}-{number}", self.name))?);
        let mut keys = lock(&self.keys);
        let former = std::mem::replace(&mut keys.current, fresh);
        match old {
            OldKeys::Keep => keys.former.push(former),
            OldKeys::Drop => keys.former.clear(),
        }
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<SigningKey> {
        Arc::clone(&lock(&self.keys).current)
    }

    /// The ids of the keys that are served; the first one signs.
    pub(crate) fn ids(&self) -> Vec<String> {
        let keys = lock(&self.keys);
        let served = std::iter::once(&keys.current).chain(&keys.former);
        served.map(|key| key.kid.clone()).collect()
    }

    /// The document at the JWKS address.
    pub(crate) fn document(&self) -> Value {
        let keys = lock(&self.keys);
        let jwks: Vec<Value> = std::iter::once(&keys.current)
            .chain(&keys.former)
            .map(|key| key.jwk(self.algorithm))
            .collect();
        json!({ "keys": jwks })
    }
}

/// A segment of a JWS.
pub(crate) fn segment(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
