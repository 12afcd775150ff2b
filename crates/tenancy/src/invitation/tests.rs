//! The use cases on storage in memory, with a mailer that keeps what it is given.

mod rights;

use std::sync::Mutex;

use async_trait::async_trait;
use posx_kernel::{ManualClock, Refusal as _, Review, SeededIds};
use proptest::prelude::*;

use super::*;
use crate::member::tests::{Told, add, identity, member, place, scope};
use crate::testing::{PeopleState, PeopleStore};
use crate::{Mail, MailOutcome, MailerError, MemberState, Rank, Role, Site, SiteCode, SiteState};

/// Keeps messages, and answers as it is told.
#[derive(Debug, Default)]
struct Letters {
    sent: Mutex<Vec<Mail>>,
    answers: Mutex<Vec<Result<MailOutcome, ()>>>,
}

#[async_trait]
impl Mailer for Letters {
    async fn send(&self, mail: &Mail) -> Result<MailOutcome, MailerError> {
        self.sent.lock().expect("no panic").push(mail.clone());
        let answer = self.answers.lock().expect("no panic").pop();
        answer
            .unwrap_or(Ok(MailOutcome::Accepted))
            .map_err(|()| MailerError("away".into()))
    }
}

struct World {
    store: PeopleStore,
    invitations: Invitations,
    letters: Arc<Letters>,
    clock: Arc<ManualClock>,
    scope: SiteScope,
}

fn site() -> Site {
    Site {
        id: scope(1).site(),
        code: SiteCode::new("NA").expect("a code"),
        name: "North\r\nBcc: eve@example.com".to_owned(),
        host_names: Vec::new(),
        cors_origins: Vec::new(),
        currency: posx_kernel::Currency::from_code("USD").expect("a currency"),
        time_zone: chrono_tz::UTC,
        state: SiteState::Active,
        modules: Vec::new(),
        order_expiry_minutes: 15,
        created_at: chrono::DateTime::UNIX_EPOCH,
    }
}

const OWNER: u128 = 1;
const ADMIN: u128 = 2;
const GUEST: u128 = 9;

/// An owner and an admin.
fn world() -> World {
    let (store, letters) = (PeopleStore::default(), Arc::new(Letters::default()));
    let noon = "2026-06-01T12:00:00Z".parse().expect("an instant");
    let (clock, scope) = (Arc::new(ManualClock::stopped_at(noon)), scope(1));
    store.arrange(&scope, |state| {
        add(state, member(OWNER, Role::Owner));
        add(state, member(ADMIN, Role::Admin));
        for number in 1..=2 {
            let place = crate::Place {
                id: place(number),
                code: format!("P{number}"),
                name: "P".to_owned(),
                time_zone: None,
                state: crate::PlaceState::Active,
                version: 1,
                created_at: noon,
            };
            state.places.insert(place.id, place);
        }
    });
    let link = "https://app.posx.test/{site}/join#token={token}";
    let mail = InvitationMail {
        mailer: letters.clone(),
        link: InvitationLink::new(link).expect("a link"),
    };
    let ids = Arc::new(SeededIds::new(3));
    let invitations = Invitations::new(
        Arc::new(store.clone()),
        Arc::new(Told::default()),
        Some(mail),
        clock.clone(),
        ids.clone(),
        ids,
    );
    World {
        store,
        invitations,
        letters,
        clock,
        scope,
    }
}

fn terms(role: Role, places: &[u128]) -> MemberTerms {
    MemberTerms {
        role,
        places: places.iter().copied().map(place).collect(),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, InvitationError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "done")
}

impl World {
    fn state(&self) -> PeopleState {
        self.store.of(&self.scope)
    }

    fn stored(&self, id: InvitationId) -> Invitation {
        self.state().invitations[&id].clone()
    }

    fn role_of(&self, number: u128) -> Option<Role> {
        self.state()
            .members
            .get(&identity(number))
            .map(|(membership, _)| membership.role)
    }

    async fn invite(
        &self,
        by: u128,
        email: &str,
        terms: MemberTerms,
    ) -> Result<InvitationId, InvitationError> {
        let made = self
            .invitations
            .create(&self.scope, identity(by), email, terms, None)
            .await?;
        Ok(made.id)
    }

    async fn send(&self, id: InvitationId) -> Result<Sending, InvitationError> {
        let sending = self.stored(id).sending;
        self.invitations.send(&self.scope, &site(), id, sending).await
    }

    /// From the last message.
    fn token(&self) -> String {
        let sent = self.letters.sent.lock().expect("no panic");
        let body = &sent.last().expect("a message").body;
        let (_, rest) = body
            .split_once("https://app.posx.test/NA/join#token=")
            .expect("a link");
        rest.split_whitespace().next().expect("a token").to_owned()
    }

    async fn accept(&self, number: u128, token: &str) -> Result<Accepted, InvitationError> {
        self.invitations
            .accept(&self.scope, &site(), identity(number), token)
            .await
    }

    /// Invited, sent: the id and the token.
    async fn invited(&self, by: u128, terms: MemberTerms) -> (InvitationId, String) {
        let id = self.invite(by, "ann@example.com", terms).await.expect("invited");
        assert_eq!(self.send(id).await.expect("sent"), Sending::Sent);
        (id, self.token())
    }
}

#[tokio::test]
async fn whoever_holds_the_token_accepts_once() {
    let world = world();
    let (id, token) = world.invited(OWNER, terms(Role::Cashier, &[1])).await;
    let accepted = world.accept(GUEST, &token).await.expect("accepted");
    assert!(accepted.new);
    assert_eq!(
        (accepted.member.role, accepted.member.places),
        (Role::Cashier, BTreeSet::from([place(1)]))
    );
    let again = world.accept(GUEST, &token).await.expect("the same one again");
    assert!(!again.new);
    assert_eq!(code(world.accept(8, &token).await), "invitation_used");
    let stored = world.stored(id);
    assert_eq!(
        (stored.state, stored.accepted_by, stored.finished_at),
        (
            InvitationState::Accepted,
            Some(identity(GUEST)),
            Some(stored.created_at)
        )
    );
    for done in [
        world.invitations.revoke(&world.scope, identity(OWNER), id).await,
        world.invitations.resend(&world.scope, identity(OWNER), id).await,
    ] {
        assert_eq!(code(done), "invitation_used");
    }
    let kinds: Vec<_> = world.state().events.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [
            "invitation.created",
            "invitation.sent",
            "member.joined",
            "invitation.accepted"
        ]
    );
}

#[tokio::test]
async fn neither_token_nor_address_is_in_an_event_or_in_what_prints() {
    let world = world();
    let (id, token) = world.invited(OWNER, terms(Role::Viewer, &[])).await;
    world.accept(GUEST, &token).await.expect("accepted");
    let state = world.state();
    let (events, stored) = (format!("{:?}", state.events), format!("{:?}", world.stored(id)));
    let mail = format!("{:?}", world.letters.sent.lock().expect("no panic"));
    let parsed = format!("{:?}", InvitationToken::parse(&token));
    for text in [&events, &stored, &mail, &parsed] {
        assert!(!text.contains(&token) && !text.contains("ann"), "{text}");
    }
    assert!(events.contains("viewer"), "{events}");
}

#[tokio::test]
async fn a_token_of_another_site_or_of_nobody_is_unknown() {
    let world = world();
    let (_, token) = world.invited(OWNER, terms(Role::Viewer, &[])).await;
    let elsewhere = scope(2);
    let foreign = world
        .invitations
        .accept(&elsewhere, &site(), identity(GUEST), &token)
        .await;
    assert_eq!(code(foreign), "invitation_not_found");
    let upper = token.to_uppercase();
    for wrong in ["", "abc", &token[1..], &"0".repeat(64), upper.as_str()] {
        assert_eq!(code(world.accept(GUEST, wrong).await), "invitation_not_found");
    }
    assert_eq!(world.role_of(GUEST), None);
}

#[tokio::test]
async fn sending_again_makes_a_new_token_and_kills_the_old_one() {
    let world = world();
    let (id, old) = world.invited(OWNER, terms(Role::Viewer, &[])).await;
    let owner = identity(OWNER);
    world
        .invitations
        .resend(&world.scope, owner, id)
        .await
        .expect("asked");
    // Before the new one is out.
    assert_eq!(code(world.accept(GUEST, &old).await), "invitation_not_found");
    assert_eq!(world.send(id).await.expect("sent"), Sending::Sent);
    let new = world.token();
    assert_ne!(old, new);
    assert_eq!(code(world.accept(GUEST, &old).await), "invitation_not_found");
    // The job of the first message comes late, or twice.
    for sending in [1, 2] {
        let late = world.invitations.send(&world.scope, &site(), id, sending).await;
        assert_eq!(late.expect("nothing to do"), Sending::Superseded);
    }
    assert_eq!(code(world.accept(GUEST, &new).await), "done");
    let world = self::world();
    let (id, _) = world.invited(OWNER, terms(Role::Viewer, &[])).await;
    for _ in 1..SENDINGS_MAX {
        world
            .invitations
            .resend(&world.scope, owner, id)
            .await
            .expect("asked");
    }
    let once_more = world.invitations.resend(&world.scope, owner, id).await;
    assert_eq!(code(once_more), "invitation_sent_too_often");
}

#[tokio::test]
async fn each_try_makes_a_token_of_its_own_and_a_refused_address_is_not_tried_again() {
    let world = world();
    let id = world
        .invite(OWNER, "ann@example.com", terms(Role::Viewer, &[]))
        .await
        .expect("invited");
    let answers = vec![Ok(MailOutcome::Refused), Err(()), Err(())];
    *world.letters.answers.lock().expect("no panic") = answers;
    assert_eq!(code(world.send(id).await), "mail_unavailable");
    let first = world.token();
    assert_eq!(code(world.send(id).await), "mail_unavailable");
    let second = world.token();
    assert_ne!(first, second);
    assert_eq!(code(world.accept(GUEST, &first).await), "invitation_not_found");
    assert_eq!(world.send(id).await.expect("an answer"), Sending::Refused);
    assert_eq!(world.stored(id).delivery, Delivery::Refused);
    assert_eq!(world.send(id).await.expect("nothing to do"), Sending::Superseded);
    assert_eq!(world.letters.sent.lock().expect("no panic").len(), 3);
}

#[tokio::test]
async fn a_revoked_and_an_expired_invitation_are_not_accepted() {
    let world = world();
    let (id, token) = world.invited(OWNER, terms(Role::Viewer, &[])).await;
    for _ in 0..2 {
        let revoked = world.invitations.revoke(&world.scope, identity(OWNER), id).await;
        assert_eq!(code(revoked), "done");
    }
    assert_eq!(code(world.accept(GUEST, &token).await), "invitation_revoked");
    let (id, token) = world.invited(OWNER, terms(Role::Viewer, &[])).await;
    world.clock.advance(TimeDelta::days(INVITATION_DAYS));
    assert_eq!(
        world.stored(id).state_at(world.clock.now()),
        InvitationState::Expired
    );
    assert_eq!(code(world.accept(GUEST, &token).await), "invitation_expired");
    for done in [
        world.invitations.revoke(&world.scope, identity(OWNER), id).await,
        world.invitations.resend(&world.scope, identity(OWNER), id).await,
    ] {
        assert_eq!(code(done), "invitation_expired");
    }
    assert_eq!(world.send(id).await.expect("nothing to do"), Sending::Superseded);
    assert_eq!(world.role_of(GUEST), None);
    // The address is free again, and the end of the old one is an event.
    let anew = world
        .invite(OWNER, "ANN@example.com", terms(Role::Viewer, &[]))
        .await;
    assert_eq!(code(anew), "done");
    assert_eq!(world.stored(id).state, InvitationState::Expired);
    let events = world.state().events;
    let ended = events.iter().filter(|event| event.kind == "invitation.expired");
    assert_eq!(ended.count(), 1);
}

#[tokio::test]
async fn one_invitation_per_address_and_two_hundred_per_site_are_pending() {
    let world = world();
    for number in 0..PENDING_MAX {
        let email = format!("guest{number}@example.com");
        let made = world.invite(OWNER, &email, terms(Role::Viewer, &[])).await;
        assert_eq!(code(made), "done");
    }
    let one_more = || world.invite(OWNER, "ann@example.com", terms(Role::Viewer, &[]));
    assert_eq!(code(one_more().await), "invitations_too_many");
    let any = *world.state().invitations.keys().next().expect("one");
    world
        .invitations
        .revoke(&world.scope, identity(OWNER), any)
        .await
        .expect("revoked");
    let again = world
        .invite(OWNER, "Guest7@Example.com", terms(Role::Viewer, &[]))
        .await;
    assert_eq!(code(again), "invitation_pending");
    assert_eq!(code(one_more().await), "done");
}

#[tokio::test]
async fn p10_inviting_under_one_key_is_one_invitation_and_without_mail_nobody_is_invited() {
    let mut world = world();
    let call = |fingerprint: u8| IdempotentCall {
        actor: "idn".to_owned(),
        operation: "POST /api/v1/invitations",
        key: "one".to_owned(),
        fingerprint: [fingerprint; 32],
        review: Review::NotNeeded,
        at: world.clock.now(),
    };
    let (first, second, other) = (call(1), call(1), call(2));
    let create = async |world: &World, call: &IdempotentCall, email: &str| {
        let owner = identity(OWNER);
        let terms = terms(Role::Viewer, &[]);
        world
            .invitations
            .create(&world.scope, owner, email, terms, Some(call))
            .await
    };
    let made = create(&world, &first, "ann@example.com").await.expect("made");
    let again = create(&world, &second, "ann@example.com")
        .await
        .expect("made before");
    assert_eq!((again.id, again.replayed), (made.id, true));
    let reused = create(&world, &other, "bob@example.com").await;
    assert_eq!(code(reused), "idempotency_key_reused");
    assert_eq!(world.state().invitations.len(), 1);
    let bad = world
        .invite(OWNER, "Ann <ann@example.com>", terms(Role::Viewer, &[]))
        .await;
    assert_eq!(code(bad), "email_invalid");
    world.invitations.mail = None;
    let off = world
        .invite(OWNER, "bob@example.com", terms(Role::Viewer, &[]))
        .await;
    assert_eq!(code(off), "mail_off");
    let off = world
        .invitations
        .resend(&world.scope, identity(OWNER), made.id)
        .await;
    assert_eq!(code(off), "mail_off");
    assert_eq!(code(world.send(made.id).await), "mail_off");
}

#[tokio::test]
async fn the_message_says_where_as_what_and_until_when() {
    let world = world();
    let (_, token) = world.invited(OWNER, terms(Role::Manager, &[])).await;
    let sent = world.letters.sent.lock().expect("no panic");
    let mail = sent.last().expect("a message");
    assert_eq!(mail.to.as_str(), "ann@example.com");
    assert!(
        mail.subject.starts_with("Invitation to North"),
        "{}",
        mail.subject
    );
    let link = format!("\nhttps://app.posx.test/NA/join#token={token}\n");
    for part in ["as manager", link.as_str(), "until 8 June 2026, 12:00 UTC"] {
        assert!(mail.body.contains(part), "{part}: {}", mail.body);
    }
}

#[test]
fn a_link_has_one_token_and_is_https_or_of_this_machine() {
    for good in [
        "https://app.posx.test/join?token={token}",
        "https://app.posx.test/{site}/join#{token}",
        "http://localhost:5173/#{token}",
        "http://127.0.0.1/{token}",
    ] {
        assert!(InvitationLink::new(good).is_ok(), "{good}");
    }
    for (bad, why) in [
        ("https://app.posx.test/join", InvitationLinkError::Token),
        (
            "https://app.posx.test/{token}/{token}",
            InvitationLinkError::Token,
        ),
        ("http://app.posx.test/{token}", InvitationLinkError::Address),
        ("app.posx.test/{token}", InvitationLinkError::Address),
        ("javascript:alert('{token}')", InvitationLinkError::Address),
        ("https://app.posx.test/a b#{token}", InvitationLinkError::Address),
        (
            "https://someone@app.posx.test/#{token}",
            InvitationLinkError::Address,
        ),
        ("https://{token}@app.posx.test/", InvitationLinkError::Address),
    ] {
        assert_eq!(InvitationLink::new(bad), Err(why), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_token_reads_back_and_any_other_text_is_an_answer(seed in any::<u64>(), text in "(?s).{0,80}") {
        let token = InvitationToken::random(&SeededIds::new(seed));
        prop_assert_eq!(InvitationToken::parse(token.reveal()), Some(token.clone()));
        prop_assert_ne!(&token.hash().0[..], token.reveal().as_bytes());
        let _ = InvitationToken::parse(&text);
    }
}
