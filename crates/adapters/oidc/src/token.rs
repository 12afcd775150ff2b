//! The parts of a compact JWS (RFC 7515), before anything of it is believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use posx_keyset::Algorithm;
use serde::Deserialize;
use serde_json::Value;

use crate::error::Reason;

/// Tokens travel in a header, and servers stop reading those at 8 KiB or soon after.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// What `typ` says. Types of other tokens have no name here: they are refused while the header is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenType {
    Unsaid,
    Jwt,
    AccessToken,
}

pub(crate) struct Token<'a> {
    pub(crate) typ: TokenType,
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// What is signed: both first segments with their dot.
    pub(crate) message: &'a [u8],
    pub(crate) signature: Vec<u8>,
    /// The claims' JSON. Not to be used before the signature holds.
    pub(crate) payload: Vec<u8>,
}

/// Members that nobody here acts on (`jku`, `x5u`, `jwk`, `x5c`, …) are skipped.
#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
    crit: Option<Value>,
}

impl<'a> Token<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, Reason> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Reason::TooLarge);
        }
        let mut segments = token.split('.');
        let (header, payload, signature) = match std::array::from_fn(|_| segments.next()) {
            [Some(header), Some(payload), Some(signature), None, _, _] => (header, payload, signature),
            // One is opaque, and five are encrypted for the issuer itself.
            [Some(_), None, ..] | [_, _, _, _, Some(_), None] => return Err(Reason::OpaqueToken),
            _ => return Err(Reason::NotAJwt),
        };
        let header = decode(header).ok_or(Reason::NotAJwt)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| Reason::MalformedHeader)?;
        if header.crit.is_some() {
            return Err(Reason::CriticalHeader);
        }
        Ok(Self {
            typ: TokenType::from_name(header.typ.as_deref()).ok_or(Reason::WrongType)?,
            algorithm: Algorithm::from_name(&header.alg).ok_or(Reason::AlgorithmNotAllowed)?,
            kid: header.kid,
            message: &token.as_bytes()[..token.len() - signature.len() - 1],
            signature: decode(signature).ok_or(Reason::NotAJwt)?,
            payload: decode(payload).ok_or(Reason::NotAJwt)?,
        })
    }

    /// The one claim that is looked at early, to choose the issuer; [`Claims`](crate::claims::Claims) checks it again.
    pub(crate) fn claimed_issuer(&self) -> Result<String, Reason> {
        #[derive(Deserialize)]
        struct Issuer {
            iss: String,
        }
        let Issuer { iss } = serde_json::from_slice(&self.payload).map_err(|_| Reason::MalformedClaims)?;
        Ok(iss)
    }
}

impl TokenType {
    /// Media type names have no case; `application/` may be left out (RFC 7515 section 4.1.9).
    fn from_name(typ: Option<&str>) -> Option<Self> {
        let Some(typ) = typ.map(str::to_ascii_lowercase) else {
            return Some(Self::Unsaid);
        };
        match typ.strip_prefix("application/").unwrap_or(&typ) {
            "jwt" => Some(Self::Jwt),
            "at+jwt" => Some(Self::AccessToken),
            _ => None,
        }
    }
}

fn decode(segment: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(segment).ok()
}
