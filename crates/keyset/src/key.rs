use std::fmt;

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};

use crate::algorithm::{Algorithm, Curve, Scheme};

/// One public key of a set, and the only algorithm it may be used with if the set names one.
pub struct VerifyingKey {
    pub(crate) kid: Option<String>,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) material: Material,
}

pub(crate) enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Ec { curve: Curve, key: ParsedPublicKey },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The key is of another type than the algorithm, or its set reserves it for another algorithm.
    #[error("the key does not fit the algorithm")]
    KeyDoesNotFit,
    #[error("the signature is not the key's")]
    BadSignature,
}

impl VerifyingKey {
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// `algorithm` is one that the caller allows, never only what the token says. ECDSA signatures are in the fixed
    /// form of RFC 7518 (r and s), not DER.
    pub fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
        if self.algorithm.is_some_and(|reserved| reserved != algorithm) {
            return Err(VerifyError::KeyDoesNotFit);
        }
        match (&self.material, algorithm.scheme()) {
            (Material::Rsa(key), Scheme::Rsa(parameters)) => key.verify(parameters, message, signature),
            (Material::Ec { curve, key }, Scheme::Ec(wanted)) if *curve == wanted => {
                key.verify_sig(message, signature)
            }
            _ => return Err(VerifyError::KeyDoesNotFit),
        }
        .map_err(|_| VerifyError::BadSignature)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
