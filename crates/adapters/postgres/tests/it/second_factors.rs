//! Codes count once, wrong ones make one wait, also many at the same moment; a proof is of one sign-in.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use posx_kernel::{
    Clock as _, IdentityId, Refusal as _, Sealed, SecretError, SecretKeeper, SecretPlace, SystemIds,
    SystemRandomness,
};
use posx_tenancy::{
    PROOF_LIFE, RECOVERY_CODES, RecoveryCode, Role, SecondFactorError, SecondFactors, SignInKey,
};
use secrecy::{ExposeSecret as _, SecretSlice};
use sqlx::Row as _;
use tokio::task::JoinSet;
use totp_rs::{Builder, Secret, Totp};

use crate::server::superuser;
use crate::world::World;

/// Opens what it sealed, where it sealed it.
#[derive(Debug)]
struct OpenKeeper;

fn label(place: &SecretPlace) -> Vec<u8> {
    format!("{place:?}|").into_bytes()
}

#[async_trait]
impl SecretKeeper for OpenKeeper {
    async fn seal(&self, place: &SecretPlace, secret: &[u8]) -> Result<Sealed, SecretError> {
        Ok(Sealed::from_bytes([label(place).as_slice(), secret].concat()))
    }

    async fn open(&self, place: &SecretPlace, sealed: &Sealed) -> Result<SecretSlice<u8>, SecretError> {
        let secret = sealed.as_bytes().strip_prefix(label(place).as_slice());
        Ok(secret.ok_or(SecretError::Refused)?.to_vec().into())
    }
}

fn laptop() -> SignInKey {
    SignInKey::of("laptop")
}

impl World {
    pub fn second_factors(&self) -> SecondFactors {
        SecondFactors::new(
            Arc::new(self.database.clone()),
            Arc::new(OpenKeeper),
            self.clock.clone(),
            Arc::new(SystemIds),
            Arc::new(SystemRandomness),
        )
    }

    /// A member with a second factor that has just been confirmed.
    pub async fn enrolled(&self) -> Enrolled {
        let identity = self.colleague(Role::Owner).await;
        let totp = self.enrol(identity, false).await.expect("enrolled");
        let codes = self
            .second_factors()
            .confirm(&self.scope, identity, laptop(), &self.code(&totp))
            .await
            .expect("confirmed");
        Enrolled {
            identity,
            totp,
            codes,
        }
    }

    async fn enrol(&self, identity: IdentityId, proven: bool) -> Result<Totp, SecondFactorError> {
        let service = self.second_factors();
        let enrolment = service.enrol(&self.scope, "North", identity, proven).await?;
        let shown = enrolment.secret.expose_secret();
        assert!(enrolment.uri.expose_secret().contains(shown));
        let secret = Secret::try_from_base32(shown).expect("base 32");
        Ok(Builder::new().with_secret(secret).build().expect("a TOTP"))
    }

    fn code(&self, totp: &Totp) -> String {
        let now = u64::try_from(self.clock.now().timestamp()).expect("after 1970");
        totp.generate(now).to_string()
    }

    async fn verify(&self, identity: IdentityId, sign_in: SignInKey, code: &str) -> Result<(), &'static str> {
        let verified = self
            .second_factors()
            .verify(&self.scope, identity, sign_in, code)
            .await;
        verified
            .map(|until| assert_eq!(until, self.clock.now() + PROOF_LIFE))
            .map_err(|refused| refused.code())
    }

    async fn is_proven(&self, identity: IdentityId, sign_in: SignInKey) -> bool {
        let standing = self
            .second_factors()
            .standing(&self.scope, identity, sign_in)
            .await;
        let until = standing.expect("a standing").proven_until;
        until.is_some_and(|until| self.clock.now() < until)
    }
}

pub struct Enrolled {
    pub identity: IdentityId,
    totp: Totp,
    codes: Vec<RecoveryCode>,
}

#[tokio::test]
async fn a_code_is_good_once_and_for_the_sign_in_that_showed_it() {
    let world = World::new().await;
    let me = world.enrolled().await;
    let phone = SignInKey::of("phone");
    assert!(world.is_proven(me.identity, laptop()).await, "confirming proves");
    assert!(!world.is_proven(me.identity, phone).await);
    // The code that confirmed it was used.
    let used = world.code(&me.totp);
    assert_eq!(
        world.verify(me.identity, phone, &used).await,
        Err("second_factor_code_wrong")
    );
    world.clock.advance(TimeDelta::seconds(30));
    let fresh = world.code(&me.totp);
    assert_eq!(world.verify(me.identity, phone, &fresh).await, Ok(()));
    assert_eq!(
        world.verify(me.identity, laptop(), &fresh).await,
        Err("second_factor_code_wrong")
    );
    world.clock.advance(PROOF_LIFE - TimeDelta::microseconds(1));
    assert!(world.is_proven(me.identity, phone).await && !world.is_proven(me.identity, laptop()).await);
    world.clock.advance(TimeDelta::microseconds(1));
    assert!(!world.is_proven(me.identity, phone).await);
}

#[tokio::test]
async fn nothing_of_another_site_or_person_helps() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let (me, other) = (world.enrolled().await, world.enrolled().await);
    world.clock.advance(TimeDelta::seconds(30));
    let mine = world.code(&me.totp);
    assert_eq!(
        world.verify(other.identity, laptop(), &mine).await,
        Err("second_factor_code_wrong")
    );
    let recovery = me.codes[0].shown();
    assert_eq!(
        world.verify(other.identity, laptop(), &recovery).await,
        Err("second_factor_code_wrong")
    );
    assert_eq!(
        elsewhere.verify(me.identity, laptop(), &mine).await,
        Err("second_factor_not_enrolled")
    );
    assert!(!elsewhere.is_proven(me.identity, laptop()).await);
    assert_eq!(world.verify(me.identity, laptop(), &mine).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_wrong_codes_at_once_are_not_twenty_tries() {
    let world = Arc::new(World::with_pool(8).await);
    let me = world.enrolled().await;
    world.clock.advance(TimeDelta::seconds(30));
    let right = world.code(&me.totp);
    let wrong = if right == "000000" { "000001" } else { "000000" };
    let mut racing = JoinSet::new();
    for _ in 0..20 {
        let (world, identity) = (world.clone(), me.identity);
        racing.spawn(async move { world.verify(identity, laptop(), wrong).await });
    }
    let outcomes = racing.join_all().await;
    let tries = outcomes
        .iter()
        .filter(|one| **one == Err("second_factor_code_wrong"));
    assert_eq!(tries.count(), 5, "{outcomes:?}");
    let waits = outcomes.iter().filter(|one| **one == Err("sign_in_delayed"));
    assert_eq!(waits.count(), 15, "{outcomes:?}");
    // Neither the right code nor a recovery code is looked at meanwhile.
    for code in [&right, &me.codes[0].shown()] {
        assert_eq!(
            world.verify(me.identity, laptop(), code).await,
            Err("sign_in_delayed")
        );
    }
    world.clock.advance(TimeDelta::seconds(30));
    assert_eq!(
        world.verify(me.identity, laptop(), &me.codes[0].shown()).await,
        Ok(())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_code_shown_twenty_times_at_once_one_counts() {
    let world = Arc::new(World::with_pool(8).await);
    let me = world.enrolled().await;
    world.clock.advance(TimeDelta::seconds(30));
    for code in [world.code(&me.totp), me.codes[0].shown()] {
        let mut racing = JoinSet::new();
        for _ in 0..20 {
            let (world, identity, code) = (world.clone(), me.identity, code.clone());
            racing.spawn(async move { world.verify(identity, laptop(), &code).await });
        }
        let outcomes = racing.join_all().await;
        assert_eq!(
            outcomes.iter().filter(|one| one.is_ok()).count(),
            1,
            "{outcomes:?}"
        );
        world.clock.advance(TimeDelta::hours(1));
    }
}

#[tokio::test]
async fn recovery_codes_are_good_once_and_void_when_renewed() {
    let world = World::new().await;
    let me = world.enrolled().await;
    let left = async || {
        let standing = world
            .second_factors()
            .standing(&world.scope, me.identity, laptop())
            .await;
        standing.expect("a standing").recovery_codes
    };
    assert_eq!((me.codes.len(), left().await), (RECOVERY_CODES, 10));
    let first = me.codes[0].shown();
    assert_eq!(
        world.verify(me.identity, laptop(), &first.to_lowercase()).await,
        Ok(())
    );
    assert_eq!(
        world.verify(me.identity, laptop(), &first).await,
        Err("second_factor_code_wrong")
    );
    assert_eq!(left().await, 9);
    let renewed = world
        .second_factors()
        .renew_codes(&world.scope, me.identity)
        .await;
    let renewed = renewed.expect("renewed");
    assert_eq!(left().await, 10);
    assert_eq!(
        world.verify(me.identity, laptop(), &me.codes[1].shown()).await,
        Err("second_factor_code_wrong")
    );
    assert_eq!(
        world.verify(me.identity, laptop(), &renewed[1].shown()).await,
        Ok(())
    );
}

#[tokio::test]
async fn another_one_takes_its_place_when_it_is_confirmed_and_only_for_who_has_proven_it() {
    let world = World::new().await;
    let me = world.enrolled().await;
    let refused = world.enrol(me.identity, false).await.map(|_| ());
    assert!(matches!(refused, Err(SecondFactorError::PresentNeeded)));
    let given_up = world.enrol(me.identity, true).await.expect("offered");
    let next = world.enrol(me.identity, true).await.expect("offered again");
    world.clock.advance(TimeDelta::seconds(30));
    // Until then the present one counts.
    assert_eq!(
        world.verify(me.identity, laptop(), &world.code(&me.totp)).await,
        Ok(())
    );
    let service = world.second_factors();
    let phone = SignInKey::of("phone");
    let confirm = async |totp: &Totp| {
        let confirmed = service
            .confirm(&world.scope, me.identity, phone, &world.code(totp))
            .await;
        confirmed.map(|_| ()).map_err(|refused| refused.code())
    };
    assert_eq!(confirm(&given_up).await, Err("second_factor_code_wrong"));
    assert_eq!(confirm(&next).await, Ok(()));
    assert_eq!(confirm(&next).await, Err("second_factor_not_pending"));
    // What the old one proved is forgotten, with its codes.
    assert!(!world.is_proven(me.identity, laptop()).await && world.is_proven(me.identity, phone).await);
    world.clock.advance(TimeDelta::seconds(30));
    for old in [world.code(&me.totp), me.codes[3].shown()] {
        assert_eq!(
            world.verify(me.identity, laptop(), &old).await,
            Err("second_factor_code_wrong")
        );
    }
    assert_eq!(
        world.verify(me.identity, laptop(), &world.code(&next)).await,
        Ok(())
    );
}

#[tokio::test]
async fn what_is_removed_proves_nothing_and_its_secret_is_gone() {
    let world = World::new().await;
    let me = world.enrolled().await;
    let service = world.second_factors();
    service.remove(&world.scope, me.identity).await.expect("removed");
    assert!(!world.is_proven(me.identity, laptop()).await);
    assert_eq!(
        world.verify(me.identity, laptop(), &me.codes[0].shown()).await,
        Err("second_factor_not_enrolled")
    );
    let again = service.remove(&world.scope, me.identity).await;
    assert_eq!(
        again.expect_err("nothing is left").code(),
        "second_factor_not_enrolled"
    );
    let mut admin = superuser().await;
    let row = sqlx::query("select count(*), count(secret_sealed) from second_factors where identity_id = $1")
        .bind(me.identity.as_uuid())
        .fetch_one(&mut admin)
        .await
        .expect("rows");
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (1, 0));
    let kinds = sqlx::query(
        "select e.kind from events e join second_factors f on f.site_id = e.site_id and f.id = e.subject_id
         where f.identity_id = $1 order by e.id",
    )
    .bind(me.identity.as_uuid())
    .fetch_all(&mut admin)
    .await
    .expect("events");
    let kinds: Vec<String> = kinds.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        kinds,
        [
            "second_factor.offered",
            "second_factor.enrolled",
            "second_factor.removed"
        ]
    );
    // Begun anew, it is the first one.
    world.enrol(me.identity, false).await.expect("enrolled");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_enrolments_at_once_the_last_one_is_pending() {
    let world = Arc::new(World::with_pool(8).await);
    let identity = world.colleague(Role::Owner).await;
    let mut racing = JoinSet::new();
    for _ in 0..8 {
        let world = world.clone();
        racing.spawn(async move { world.enrol(identity, false).await.map(|_| ()).is_ok() });
    }
    assert!(racing.join_all().await.into_iter().all(|done| done));
    let row = sqlx::query("select count(*) from second_factors where identity_id = $1 and state = 'pending'")
        .bind(identity.as_uuid())
        .fetch_one(&mut superuser().await)
        .await
        .expect("a count");
    assert_eq!(row.get::<i64, _>(0), 1);
}

#[tokio::test]
async fn a_secret_that_was_moved_to_another_row_opens_nothing() {
    let world = World::new().await;
    let (me, thief) = (world.enrolled().await, world.enrolled().await);
    sqlx::query(
        "update second_factors set secret_sealed = (select secret_sealed from second_factors where identity_id = $1)
         where identity_id = $2",
    )
    .bind(thief.identity.as_uuid())
    .bind(me.identity.as_uuid())
    .execute(&mut superuser().await)
    .await
    .expect("moved");
    world.clock.advance(TimeDelta::seconds(30));
    let theirs = world.code(&thief.totp);
    assert_eq!(
        world.verify(me.identity, laptop(), &theirs).await,
        Err("internal")
    );
}

#[tokio::test]
async fn old_proofs_are_deleted() {
    let world = World::new().await;
    let me = world.enrolled().await;
    for number in 1..4 {
        world.clock.advance(PROOF_LIFE + TimeDelta::seconds(1));
        let sign_in = SignInKey::of(&number.to_string());
        assert_eq!(
            world.verify(me.identity, sign_in, &world.code(&me.totp)).await,
            Ok(())
        );
    }
    let row = sqlx::query("select count(*) from second_factor_proofs where identity_id = $1")
        .bind(me.identity.as_uuid())
        .fetch_one(&mut superuser().await)
        .await
        .expect("a count");
    assert_eq!(row.get::<i64, _>(0), 1);
}
