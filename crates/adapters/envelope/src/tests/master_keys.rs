use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posx_kernel::{KeyWrapper as _, SystemRandomness};
use secrecy::SecretString;

use super::*;
use crate::{MASTER_KEYS_MAX, MasterKeyError};

fn refused(text: &str) -> MasterKeyError {
    let error = MasterKey::parse(&SecretString::from(text)).unwrap_err();
    let key = text.split(':').next_back().unwrap();
    assert!(
        key.len() < 8 || !format!("{error} {error:?}").contains(key),
        "{error}"
    );
    error
}

#[test]
fn a_generated_key_is_taken_and_does_not_print() {
    let text = MasterKey::generate("2026-a", &SystemRandomness);
    let key = MasterKey::parse(&text).unwrap();
    assert_eq!(format!("{key:?}"), "MasterKey(2026-a [redacted])");
}

#[test]
fn a_key_that_no_generator_made_is_refused() {
    let words = b"change-me-change-me-now-my-dear!";
    let counter: Vec<u8> = (0..32).collect();
    let fours: Vec<u8> = (0..32_u8).map(|at| at.wrapping_mul(37) % 8).collect();
    let halves: Vec<u8> = (0..32_u8)
        .map(|at| (at % 16).wrapping_mul(151).rotate_left(3))
        .collect();
    for key in [&[0; 32], &[0xa5; 32], words, counter.as_slice(), &fours, &halves] {
        assert_eq!(
            refused(&format!("m1:{}", STANDARD.encode(key))),
            MasterKeyError::NotRandom,
            "{key:?}"
        );
    }
}

#[test]
fn a_key_of_another_form_is_refused() {
    let good = MasterKey::generate("m1", &SystemRandomness);
    let (_, key) = good.expose_secret().split_once(':').unwrap();
    for (text, error) in [
        ("", MasterKeyError::Id),
        (key, MasterKeyError::Id),
        (&format!(":{key}"), MasterKeyError::Id),
        (&format!("M1:{key}"), MasterKeyError::Id),
        (&format!("{}:{key}", "m".repeat(33)), MasterKeyError::Id),
        ("m1:changeme", MasterKeyError::Length),
        ("m1:", MasterKeyError::Length),
        ("m1:not base64!", MasterKeyError::Base64),
        (
            &format!("m1:{}", STANDARD.encode([7; 31])),
            MasterKeyError::Length,
        ),
        (
            &format!("m1:{}", STANDARD.encode([7; 33])),
            MasterKeyError::Length,
        ),
        (
            &format!("m1:{}", STANDARD.encode([7; 64])),
            MasterKeyError::Length,
        ),
    ] {
        assert_eq!(refused(text), error, "{text}");
    }
}

#[test]
fn no_id_and_no_key_is_there_twice() {
    let keys = |texts: &[&SecretString]| {
        let keys = texts.iter().map(|text| MasterKey::parse(text).unwrap()).collect();
        LocalMasterKeys::new(keys, Arc::new(SystemRandomness))
    };
    let one = MasterKey::generate("m1", &SystemRandomness);
    let same_id = MasterKey::generate("m1", &SystemRandomness);
    let same_key = SecretString::from(one.expose_secret().replace("m1:", "m2:"));
    assert_eq!(keys(&[&one, &same_id]).unwrap_err(), MasterKeyError::Twice);
    assert_eq!(keys(&[&one, &same_key]).unwrap_err(), MasterKeyError::Twice);
    assert_eq!(keys(&[]).unwrap_err(), MasterKeyError::Count);
    let many: Vec<_> = (0..=MASTER_KEYS_MAX)
        .map(|at| MasterKey::generate(&format!("m{at}"), &SystemRandomness))
        .collect();
    assert_eq!(
        keys(&many.iter().collect::<Vec<_>>()).unwrap_err(),
        MasterKeyError::Count
    );
    let two = keys(&[&one, &MasterKey::generate("m2", &SystemRandomness)]).unwrap();
    assert_eq!(two.ids().collect::<Vec<_>>(), ["m1", "m2"]);
    assert_eq!(two.wraps_with(), "m1");
}

#[test]
fn the_first_key_wraps_and_the_others_still_unwrap() {
    let (old, new) = (
        MasterKey::generate("old", &SystemRandomness),
        MasterKey::generate("new", &SystemRandomness),
    );
    let keys = |texts: &[&SecretString]| {
        let keys = texts.iter().map(|text| MasterKey::parse(text).unwrap()).collect();
        Arc::new(LocalMasterKeys::new(keys, Arc::new(SystemRandomness)).unwrap())
    };
    let shelf = Arc::<Shelf>::default();
    let [site, other] = sites();
    let sealed = block_on(envelope(&shelf, &keys(&[&old])).seal(&place(site), b"secret")).unwrap();
    let both = keys(&[&new, &old]);
    let keeper = envelope(&shelf, &both);
    assert_eq!(
        block_on(keeper.open(&place(site), &sealed))
            .unwrap()
            .expose_secret(),
        b"secret"
    );
    block_on(keeper.seal(&place(other), b"theirs")).unwrap();
    assert_eq!(block_on(shelf.current(other)).unwrap().unwrap().master, "new");
    let without = envelope(&shelf, &keys(&[&new]));
    let outcome = block_on(without.open(&place(site), &sealed));
    assert!(matches!(outcome, Err(SecretError::NoMasterKey(id)) if id == "old"));
}
