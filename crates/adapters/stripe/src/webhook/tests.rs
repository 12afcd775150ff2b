use chrono::DateTime;
use proptest::prelude::*;
use secrecy::SecretString;

use super::testing::{SECRET, secret, sign, v1};
use super::*;

const T: i64 = 1_767_225_600;
const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn check(body: &[u8], header: &str, now: i64) -> Result<(), SignatureError> {
    verify(body, header, &[secret(SECRET)], Tolerance::default(), at(now)).map(|_| ())
}

/// Made with `stripe.webhooks.generateTestHeaderString` of the official SDK, npm `stripe` 23.1.0.
mod official_sdk {
    pub(super) const BODY: &str = r#"{"id":"evt_1PosxVector0001","object":"event","api_version":"2026-04-22.dahlia","created":1767225600,"livemode":false,"type":"payment_intent.succeeded","data":{"object":{"id":"pi_1PosxVector0001","object":"payment_intent","amount":12500,"currency":"kwd","metadata":{"note":"café ☃"}}}}"#;
    pub(super) const CURRENT_SECRET: &str = "whsec_posxvectorcurrent000000001";
    pub(super) const PREVIOUS_SECRET: &str = "whsec_posxvectorprevious00000002";
    pub(super) const BY_CURRENT: &str =
        "t=1767225600,v1=405696553288d859c866a6add089fa81060e8ebc16b05d0bc7b43b7f07908d99";
    pub(super) const BY_PREVIOUS: &str =
        "t=1767225600,v1=4cb46f0dde57051430bb86ee5510a5d4eb7bb54fec776c95bd3dec8c38035b67";
    pub(super) const BY_CURRENT_301_S_LATER: &str =
        "t=1767225901,v1=f738b3916e1a1d19856bb6ac48cc2f241a2171eab82c8373ca93ce6cbbbee49a";
    pub(super) const EMPTY_BODY_BY_CURRENT: &str =
        "t=1767225600,v1=898890c3b71e0f30ef0ed40f260dad89653a5d60517e2201d10761c79235bf4a";
}

#[test]
fn s19_a_header_of_the_official_sdk_is_taken() {
    use official_sdk::{BODY, BY_CURRENT, CURRENT_SECRET, EMPTY_BODY_BY_CURRENT};
    let secrets = [secret(CURRENT_SECRET)];
    let delivery = verify(
        BODY.as_bytes(),
        BY_CURRENT,
        &secrets,
        Tolerance::default(),
        at(T + 2),
    )
    .unwrap();
    assert_eq!(delivery.event().unwrap().id, "evt_1PosxVector0001");
    assert_eq!(delivery.signed_at(), at(T));
    verify(b"", EMPTY_BODY_BY_CURRENT, &secrets, Tolerance::default(), at(T)).unwrap();
}

#[test]
fn s20_a_header_of_the_official_sdk_from_the_future_is_refused() {
    use official_sdk::{BODY, BY_CURRENT_301_S_LATER, CURRENT_SECRET};
    let secrets = [secret(CURRENT_SECRET)];
    let taken = |now| {
        verify(
            BODY.as_bytes(),
            BY_CURRENT_301_S_LATER,
            &secrets,
            Tolerance::default(),
            at(now),
        )
        .err()
    };
    assert_eq!(taken(T), Some(SignatureError::FromTheFuture));
    assert_eq!(taken(T + 1), None);
}

#[test]
fn s22_both_secrets_of_a_rotation_are_taken() {
    use official_sdk::{BODY, BY_CURRENT, BY_PREVIOUS, CURRENT_SECRET, PREVIOUS_SECRET};
    let both = [secret(CURRENT_SECRET), secret(PREVIOUS_SECRET)];
    for header in [BY_CURRENT, BY_PREVIOUS] {
        verify(BODY.as_bytes(), header, &both, Tolerance::default(), at(T)).unwrap();
    }
    let one = verify(
        BODY.as_bytes(),
        BY_PREVIOUS,
        &both[..1],
        Tolerance::default(),
        at(T),
    );
    assert_eq!(one.err(), Some(SignatureError::NoMatch));
}

#[test]
fn s19_any_of_several_v1_is_enough() {
    let header = format!(
        "t={T},v1={},v1={}",
        v1(BODY, T, "whsec_somebody_elses"),
        v1(BODY, T, SECRET)
    );
    check(BODY, &header, T).unwrap();
}

#[test]
fn s19_other_schemes_are_ignored() {
    let signature = v1(BODY, T, SECRET);
    check(BODY, &format!("t={T},v0=abc,v1={signature},v2=x,junk"), T).unwrap();
    assert_eq!(
        check(BODY, &format!("t={T},v0={signature}"), T),
        Err(SignatureError::NoSignature)
    );
    assert_eq!(
        check(BODY, &format!("t={T}, v1={signature}"), T),
        Err(SignatureError::NoSignature)
    );
}

#[test]
fn s19_the_raw_bytes_are_what_is_signed() {
    let header = sign(br#"{ "id" : "evt_1" }"#, T, SECRET);
    assert_eq!(
        check(br#"{"id":"evt_1"}"#, &header, T),
        Err(SignatureError::NoMatch)
    );
}

#[test]
fn s19_a_broken_v1_beside_a_good_one_does_no_harm() {
    check(BODY, &format!("t={T},v1=zz,v1=,v1={}", v1(BODY, T, SECRET)), T).unwrap();
}

#[test]
fn s19_a_header_without_one_timestamp_is_refused() {
    let signature = v1(BODY, T, SECRET);
    for timestamps in [
        "",
        "t=,",
        "t=+1767225600,",
        "t=01767225600,",
        "t=1.5,",
        "t=9999999999999999999,",
        "t=-1,",
    ] {
        let header = format!("{timestamps}v1={signature}");
        assert_eq!(
            check(BODY, &header, T),
            Err(SignatureError::NoTimestamp),
            "{header}"
        );
    }
    let twice = format!("t={T},t={T},v1={signature}");
    assert_eq!(check(BODY, &twice, T), Err(SignatureError::NoTimestamp));
}

#[test]
fn s19_an_oversized_header_is_refused_before_any_arithmetic() {
    let long = format!("t={T},v1={}", "a".repeat(2_048));
    assert_eq!(check(BODY, &long, T), Err(SignatureError::HeaderTooLarge));
    let many = format!("t={T}{}", ",v1=00".repeat(17));
    assert_eq!(check(BODY, &many, T), Err(SignatureError::HeaderTooLarge));
}

#[test]
fn s19_an_empty_list_of_secrets_takes_nothing() {
    let result = verify(BODY, &sign(BODY, T, ""), &[], Tolerance::default(), at(T));
    assert_eq!(result.err(), Some(SignatureError::NoMatch));
}

#[test]
fn s20_a_delivery_is_good_for_300_seconds_on_both_sides() {
    let header = sign(BODY, T, SECRET);
    check(BODY, &header, T + 300).unwrap();
    check(BODY, &header, T - 300).unwrap();
    assert_eq!(check(BODY, &header, T + 301), Err(SignatureError::TooOld));
    assert_eq!(check(BODY, &header, T - 301), Err(SignatureError::FromTheFuture));
}

#[test]
fn s21_no_tolerance_means_off() {
    assert_eq!(Tolerance::from_seconds(0), Err(ToleranceError));
    assert_eq!(
        Tolerance::from_seconds(Tolerance::SECONDS_MAX + 1),
        Err(ToleranceError)
    );
    let strict = Tolerance::from_seconds(1).unwrap();
    let result = verify(BODY, &sign(BODY, T, SECRET), &[secret(SECRET)], strict, at(T + 2));
    assert_eq!(result.err(), Some(SignatureError::TooOld));
}

#[test]
fn s22_a_weak_or_mangled_secret_stops_the_start() {
    let refusal = |text: &str| SigningSecret::new(&SecretString::from(text)).err();
    for mangled in [
        " whsec_0123456789abcdef",
        "whsec_0123456789abcdef\n",
        "whsec_0123 456789abcdef",
        "whsec_\u{a0}0123456789ab",
    ] {
        assert_eq!(refusal(mangled), Some(SecretError::Whitespace), "{mangled:?}");
    }
    assert_eq!(refusal(""), Some(SecretError::TooShort));
    assert_eq!(refusal("whsec_012345678"), Some(SecretError::TooShort));
    assert_eq!(refusal(&"x".repeat(257)), Some(SecretError::TooLong));
}

#[test]
fn a_secret_does_not_print() {
    assert_eq!(format!("{:?}", secret(SECRET)), "SigningSecret([redacted])");
}

/// Another byte at one place, and the place.
fn flipped(bytes: &[u8], place: prop::sample::Index, mask: u8) -> Vec<u8> {
    let mut other = bytes.to_vec();
    other[place.index(bytes.len())] ^= mask;
    other
}

proptest! {
    #[test]
    fn p32_one_flipped_byte_of_the_body_is_refused(
        body in prop::collection::vec(any::<u8>(), 1..300), place: prop::sample::Index, mask in 1u8..,
    ) {
        let header = sign(&body, T, SECRET);
        prop_assert_eq!(check(&body, &header, T), Ok(()));
        prop_assert_eq!(check(&flipped(&body, place, mask), &header, T), Err(SignatureError::NoMatch));
    }

    #[test]
    fn p32_one_flipped_byte_of_the_header_is_refused(place: prop::sample::Index, mask in 1u8..128) {
        let header = sign(BODY, T, SECRET);
        let other = String::from_utf8(flipped(header.as_bytes(), place, mask)).unwrap();
        prop_assert!(check(BODY, &other, T).is_err(), "{}", other);
    }

    #[test]
    fn p32_one_flipped_byte_of_the_secret_is_refused(place: prop::sample::Index, mask in 1u8..16) {
        let other = String::from_utf8(flipped(SECRET.as_bytes(), place, mask)).unwrap();
        let theirs = secret(&other.replace(char::is_whitespace, "~").replace(char::is_control, "~"));
        let result = verify(BODY, &sign(BODY, T, SECRET), &[theirs], Tolerance::default(), at(T));
        prop_assert_eq!(result.err(), Some(SignatureError::NoMatch));
    }

    #[test]
    fn p32_another_timestamp_with_the_same_signature_is_refused(shift in -300i64..=300) {
        prop_assume!(shift != 0);
        let header = format!("t={},v1={}", T + shift, v1(BODY, T, SECRET));
        prop_assert_eq!(check(BODY, &header, T), Err(SignatureError::NoMatch));
    }

    #[test]
    fn any_header_and_body_get_an_answer(header in ".{0,200}", body in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(check(&body, &header, T).is_err());
    }
}
