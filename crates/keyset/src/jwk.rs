//! From the bytes of a key set document to the keys in it that can be used.

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use crate::algorithm::{Algorithm, Curve};
use crate::key::{Material, VerifyingKey};

/// Largest document that is read. Issuers have a few keys of some 2 KiB, certificate chains included.
pub const SET_BYTES_MAX: usize = 64 * 1024;
/// Most keys that a document may have, of any kind.
pub const KEYS_MAX: usize = 32;
/// Longest kid that is looked up or kept.
pub(crate) const KID_BYTES_MAX: usize = 256;
const RSA_BITS_MIN: usize = 2_048;
const RSA_BITS_MAX: usize = 8_192;
const RSA_EXPONENT_BYTES_MAX: usize = 4;

/// The document as a whole cannot be used. A single bad key is no reason for this: it is left out.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("the key set is larger than {SET_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the key set has more than {KEYS_MAX} keys")]
    TooManyKeys,
    #[error("the key set is not JSON of the expected shape")]
    Shape(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    /// Private part: a published private key proves nothing any more.
    d: Option<Value>,
}

/// The usable keys, in the document's order; of two with one kid the first.
pub(crate) fn parse(document: &[u8]) -> Result<Vec<VerifyingKey>, DocumentError> {
    if document.len() > SET_BYTES_MAX {
        return Err(DocumentError::TooLarge);
    }
    let Document { keys } = serde_json::from_slice(document).map_err(DocumentError::Shape)?;
    if keys.len() > KEYS_MAX {
        return Err(DocumentError::TooManyKeys);
    }
    let mut usable: Vec<VerifyingKey> = Vec::with_capacity(keys.len());
    for (position, value) in keys.into_iter().enumerate() {
        match usable_key(value) {
            Ok(key) if key.kid.is_some() && usable.iter().any(|other| other.kid == key.kid) => {
                tracing::warn!(position, why = "its kid is taken", "left a key out of a key set");
            }
            Ok(key) => usable.push(key),
            Err(why) => tracing::debug!(position, why, "left a key out of a key set"),
        }
    }
    Ok(usable)
}

fn usable_key(value: Value) -> Result<VerifyingKey, &'static str> {
    let jwk: Jwk = serde_json::from_value(value).map_err(|_| "it is not a JSON Web Key")?;
    if jwk.d.is_some() {
        return Err("it is private");
    }
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return Err("it is not for signatures");
    }
    if jwk
        .key_ops
        .as_ref()
        .is_some_and(|ops| !ops.iter().any(|op| op == "verify"))
    {
        return Err("it is not for verification");
    }
    if jwk
        .kid
        .as_ref()
        .is_some_and(|kid| kid.is_empty() || kid.len() > KID_BYTES_MAX)
    {
        return Err("its kid is empty or too long");
    }
    let algorithm = match jwk.alg.as_deref() {
        None => None,
        Some(name) => Some(Algorithm::from_name(name).ok_or("its algorithm is not known")?),
    };
    let material = match jwk.kty.as_str() {
        "RSA" => rsa(&jwk)?,
        "EC" => ec(&jwk)?,
        _ => return Err("its type is not known"),
    };
    Ok(VerifyingKey {
        kid: jwk.kid,
        algorithm,
        material,
    })
}

fn rsa(jwk: &Jwk) -> Result<Material, &'static str> {
    let n = unsigned(jwk.n.as_deref()).ok_or("its modulus is missing or malformed")?;
    let e = unsigned(jwk.e.as_deref()).ok_or("its exponent is missing or malformed")?;
    let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err("its modulus is too short or too long");
    }
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    if !is_odd(&n) || !is_odd(&e) || e == [1] || e.len() > RSA_EXPONENT_BYTES_MAX {
        return Err("its numbers make no RSA key");
    }
    Ok(Material::Rsa(RsaPublicKeyComponents { n, e }))
}

fn ec(jwk: &Jwk) -> Result<Material, &'static str> {
    let curve = jwk
        .crv
        .as_deref()
        .and_then(Curve::from_name)
        .ok_or("its curve is not known")?;
    let coordinate = |text: &Option<String>| {
        let bytes = URL_SAFE_NO_PAD.decode(text.as_deref()?).ok()?;
        (bytes.len() == curve.coordinate_bytes()).then_some(bytes)
    };
    let (x, y) = coordinate(&jwk.x)
        .zip(coordinate(&jwk.y))
        .ok_or("its coordinates are missing or malformed")?;
    let uncompressed = [&[0x04], x.as_slice(), y.as_slice()].concat();
    let key = ParsedPublicKey::new(curve.verification(), uncompressed)
        .map_err(|_| "its point is not on the curve")?;
    Ok(Material::Ec { curve, key })
}

/// A big-endian number; some issuers write a leading zero byte that RFC 7518 does not want.
fn unsigned(text: Option<&str>) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
