//! Codes, waiting, and what a factor may become.

use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::{SystemRandomness, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

use super::codes::{is_of_authenticator, shown, step_of};
use super::*;

/// RFC 6238, appendix B.
const SECRET: &[u8] = b"12345678901234567890";

fn at(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(seconds, 0).expect("an instant")
}

fn noon() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().expect("an instant")
}

fn pending() -> SecondFactor {
    SecondFactor {
        id: FactorId::from_uuid(Uuid::from_u128(1)),
        identity: IdentityId::from_uuid(Uuid::from_u128(2)),
        state: FactorState::Pending {
            secret: Sealed::from_bytes(vec![1]),
        },
        last_step: None,
        failures: 0,
        locked_until: None,
        created_at: noon(),
    }
}

#[test]
fn codes_are_those_of_rfc_6238_and_one_step_early_or_late() {
    for (seconds, code) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ] {
        let step = seconds / 30;
        for (now, found) in [
            (seconds, Some(step)),
            (seconds - 30, Some(step)),
            (seconds + 30, Some(step)),
            (seconds - 60, None),
            (seconds + 60, None),
        ] {
            if now >= 0 {
                assert_eq!(step_of(SECRET, code, at(now)), found, "{code} at {now}");
            }
        }
    }
    for wrong in [
        "",
        "28708",
        "2870820",
        "28708a",
        "+28708",
        " 287082",
        "２８７０８２",
    ] {
        assert_eq!(step_of(SECRET, wrong, at(59)), None, "{wrong}");
    }
    assert!(is_of_authenticator("000000") && !is_of_authenticator("00000") && !is_of_authenticator("00000a"));
}

#[test]
fn what_an_authenticator_reads_names_the_site_and_carries_the_secret() {
    let (text, uri) = shown(SECRET, "North: America & Co", "idn_1").expect("an address");
    assert_eq!(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    assert_eq!(
        uri,
        format!(
            "otpauth://totp/North%20%20America%20%26%20Co:idn_1?secret={text}&issuer=North%20%20America%20%26%20Co"
        )
    );
}

#[test]
fn a_step_is_never_taken_twice_nor_an_earlier_one_after_it() {
    let mut factor = pending();
    assert_eq!(factor.try_step(Some(7), noon()), Tried::Right);
    for old in [7, 6] {
        assert_eq!(factor.try_step(Some(old), noon()), Tried::Wrong);
    }
    assert_eq!(factor.try_step(Some(8), noon()), Tried::Right);
    assert_eq!((factor.last_step, factor.failures), (Some(8), 0));
}

#[test]
fn wrong_codes_in_a_row_make_one_wait_longer_each_time() {
    let mut factor = pending();
    let mut now = noon();
    let mut waits = Vec::new();
    for _ in 0..14 {
        assert_eq!(factor.try_step(None, now), Tried::Wrong);
        waits.push(factor.locked(now).map_or(0, |until| (until - now).num_seconds()));
        if let Some(until) = factor.locked(now) {
            let just_before = until - TimeDelta::microseconds(1);
            let before = factor.clone();
            // Right or wrong: nobody looks.
            assert_eq!(factor.try_step(Some(1), just_before), Tried::Locked { until });
            assert_eq!(factor, before);
            now = until;
        }
    }
    assert_eq!(
        waits,
        [0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]
    );
    assert_eq!(factor.try_step(Some(1), now), Tried::Right);
    assert_eq!((factor.failures, factor.locked(now)), (0, None));
    let mut worn = SecondFactor {
        failures: u32::MAX,
        ..pending()
    };
    assert_eq!(worn.try_step(None, now), Tried::Wrong);
    assert_eq!(worn.locked(now), Some(now + TimeDelta::hours(1)));
}

#[test]
fn a_factor_is_confirmed_once_and_what_is_removed_has_no_secret_and_stays_so() {
    let mut factor = pending();
    factor.confirm(noon());
    assert!(factor.is_active() && factor.secret().is_some());
    let active = factor.clone();
    factor.confirm(noon() + TimeDelta::hours(1));
    assert_eq!(factor, active);
    factor.remove(noon());
    let removed = factor.clone();
    assert!(factor.secret().is_none() && !factor.is_active() && !factor.is_pending());
    factor.confirm(noon());
    factor.remove(noon() + TimeDelta::hours(1));
    assert_eq!(factor, removed);
    let mut given_up = pending();
    given_up.remove(noon());
    assert!(given_up.secret().is_none());
}

#[test]
fn a_recovery_code_reads_as_it_is_written_down() {
    let code = RecoveryCode::random(&SystemRandomness);
    let shown = code.shown();
    assert_eq!(shown.len(), 19);
    assert_eq!(RecoveryCode::parse(&shown), Some(code.clone()));
    assert_eq!(
        RecoveryCode::parse(&shown.to_lowercase().replace('-', " ")),
        Some(code.clone())
    );
    let clumsy = shown.replace('0', "o").replace('1', "l");
    assert_eq!(RecoveryCode::parse(&clumsy), Some(code.clone()));
    assert_ne!(RecoveryCode::random(&SystemRandomness), code);
    for wrong in [
        "",
        "123456",
        &shown[1..],
        &format!("{shown}0"),
        &shown.replace(&shown[..1], "U"),
        "é",
    ] {
        assert_eq!(RecoveryCode::parse(wrong), None, "{wrong}");
    }
    assert_eq!(format!("{code:?}"), "RecoveryCode");
}

proptest! {
    #[test]
    fn any_text_is_a_recovery_code_or_none_and_never_panics(text in ".{0,40}") {
        if let Some(code) = RecoveryCode::parse(&text) {
            prop_assert_eq!(RecoveryCode::parse(&code.shown()), Some(code));
        }
    }

    #[test]
    fn any_text_is_a_code_or_none_and_never_panics(text in ".{0,12}", now in 0_i64..4_000_000_000) {
        let _ = step_of(SECRET, &text, at(now));
    }
}
