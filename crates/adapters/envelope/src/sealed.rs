//! A sealed secret's bytes: format (1), version of the data key (4, big endian), nonce (12), ciphertext, tag (16).

use posx_kernel::{DataKey, Randomness, Sealed, SecretError, SecretPlace};
use secrecy::SecretSlice;

use crate::cipher::{self, Bound};

const FORMAT: u8 = 1;
const HEAD_BYTES: usize = 5;

/// Which of the site's data keys opens it.
pub(crate) fn key_version(sealed: &Sealed) -> Result<u32, SecretError> {
    match sealed.as_bytes() {
        [FORMAT, a, b, c, d, ..] => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(SecretError::Refused),
    }
}

pub(crate) fn seal(
    key: &DataKey,
    version: u32,
    place: &SecretPlace,
    secret: &[u8],
    randomness: &dyn Randomness,
) -> Sealed {
    let mut bytes = vec![FORMAT];
    bytes.extend(version.to_be_bytes());
    let body = cipher::seal(key, &bound(&bytes, place), secret, randomness);
    bytes.extend(body);
    Sealed::from_bytes(bytes)
}

pub(crate) fn open(
    key: &DataKey,
    place: &SecretPlace,
    sealed: &Sealed,
) -> Result<SecretSlice<u8>, SecretError> {
    let (head, body) = sealed
        .as_bytes()
        .split_at_checked(HEAD_BYTES)
        .ok_or(SecretError::Refused)?;
    cipher::open(key, &bound(head, place), body)
}

fn bound(head: &[u8], place: &SecretPlace) -> Bound {
    Bound::to("posx secret")
        .and(head)
        .and(place.site.as_uuid().as_bytes())
        .and(place.table.as_bytes())
        .and(place.row.as_bytes())
        .and(place.column.as_bytes())
}
