//! Sites, members, referrals.

use chrono::Duration;
use posx_commissions::CommissionsTx;
use posx_kernel::{Begin as _, OrderId, PageRequest, PartyId, StoreError, retry_busy};
use posx_orders::{OrdersTx, PaymentApplied};
use posx_tenancy::{
    CreateSite, Directory as _, FirstPayment, Member, MemberRepository, NewMember, PlatformError,
    ReferralQueries as _, Role, SiteCode, SiteState, TenancyTx,
};

use crate::world::{World, new_id, noon, unique};

async fn begin(world: &World) -> Box<dyn TenancyTx> {
    posx_kernel::Begin::begin(&world.database, &world.scope)
        .await
        .expect("a transaction")
}

async fn begin_orders(world: &World) -> Box<dyn OrdersTx> {
    world.database.begin(&world.scope).await.expect("a transaction")
}

/// An order, so that a referral can name it.
async fn order_of(world: &World, buyer: &Member) -> OrderId {
    let tier = world.tier(5, 100).await;
    world.place(buyer, tier, 1).await.expect("placed").id
}

#[tokio::test]
async fn a_site_is_found_by_code_host_and_id_and_keeps_what_it_was_made_with() {
    let world = World::new().await;
    let by_code = world
        .directory
        .site_by_code(&world.site.code)
        .await
        .expect("a look");
    assert_eq!(by_code.as_ref(), Some(&world.site));
    assert_eq!(
        world
            .directory
            .site_by_host(&world.site.host_names[0])
            .await
            .expect("a look"),
        by_code
    );
    assert_eq!(
        world.directory.site(world.site.id).await.expect("a look"),
        by_code
    );
    assert_eq!(
        world.directory.site_by_host("nobody.test").await.expect("a look"),
        None
    );
    assert_eq!(
        world
            .directory
            .site_by_code(&SiteCode::new("NOBODY").expect("a code"))
            .await
            .expect("a look"),
        None
    );
    let suspended = world
        .platform
        .set_state(world.site.code.as_str(), SiteState::Suspended)
        .await
        .expect("suspended");
    let seen = world
        .directory
        .site(world.site.id)
        .await
        .expect("a look")
        .expect("the site");
    assert_eq!(
        (suspended.state, seen.state),
        (SiteState::Suspended, SiteState::Suspended)
    );
}

#[tokio::test]
async fn a_code_or_host_that_another_site_has_is_refused_whole() {
    let world = World::new().await;
    let wish = |code: &str, host: &str| CreateSite {
        code: code.to_owned(),
        name: "Second".to_owned(),
        host_names: vec![host.to_owned()],
        currency: world.site.currency,
        time_zone: chrono_tz::UTC,
    };
    let taken = world
        .platform
        .create(wish(world.site.code.as_str(), "free.test"))
        .await;
    assert!(matches!(taken, Err(PlatformError::CodeTaken)), "{taken:?}");
    let code = unique(12);
    let taken = world
        .platform
        .create(wish(&code, &world.site.host_names[0]))
        .await;
    assert!(
        matches!(&taken, Err(PlatformError::HostTaken(host)) if *host == world.site.host_names[0]),
        "{taken:?}"
    );
    let nothing = world
        .directory
        .site_by_code(&SiteCode::new(&code).expect("a code"))
        .await
        .expect("a look");
    assert!(nothing.is_none());
}

#[tokio::test]
async fn an_identity_is_one_row_however_often_it_is_seen() {
    let world = World::new().await;
    let subject = unique(20);
    let (a, b) = tokio::join!(
        world.directory.identity("https://issuer.test", &subject),
        world.directory.identity("https://issuer.test", &subject)
    );
    let first = a.expect("an identity");
    assert_eq!(b.expect("an identity"), first);
    assert_ne!(
        world
            .directory
            .identity("https://other.test", &subject)
            .await
            .expect("an identity"),
        first
    );
}

#[tokio::test]
async fn an_appointed_identity_is_a_member_here_and_nobody_elsewhere() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let subject = unique(20);
    let identity = world
        .platform
        .appoint(&world.site, "https://issuer.test", &subject, Role::Admin)
        .await
        .expect("appointed");
    let member = world
        .directory
        .member(world.site.id, identity)
        .await
        .expect("a look")
        .expect("a member");
    assert_eq!((member.identity, member.role), (identity, Role::Admin));
    assert!(
        elsewhere
            .directory
            .member(elsewhere.site.id, identity)
            .await
            .expect("a look")
            .is_none()
    );
    world
        .platform
        .appoint(&world.site, "https://issuer.test", &subject, Role::Viewer)
        .await
        .expect("appointed again");
    let again = world
        .directory
        .member(world.site.id, identity)
        .await
        .expect("a look")
        .expect("a member");
    assert_eq!((again.party, again.role), (member.party, Role::Viewer));
}

#[tokio::test]
async fn a_taken_referral_code_is_a_value_and_the_transaction_goes_on() {
    let world = World::new().await;
    let alice = world.member(None).await;
    let identity = world
        .directory
        .identity("https://issuer.test", &unique(20))
        .await
        .expect("an identity");
    let mut new = NewMember {
        identity,
        party: PartyId::from_uuid(new_id()),
        role: Role::Member,
        referral_code: alice.referral_code.clone(),
        claimed_referrer: None,
        at: noon(),
    };
    let mut tx = begin(&world).await;
    let members: &mut dyn MemberRepository = tx.members();
    assert!(!members.insert(&new).await.expect("a value"));
    new.referral_code = posx_tenancy::ReferralCode::random(&world.site.code, &posx_kernel::SystemRandomness);
    assert!(members.insert(&new).await.expect("a value"));
    assert_eq!(
        members.party_by_code(&new.referral_code).await.expect("a look"),
        Some(new.party)
    );
    assert!(
        !members
            .insert(&NewMember {
                party: PartyId::from_uuid(new_id()),
                ..new.clone()
            })
            .await
            .expect("a value")
    );
    tx.commit().await.expect("committed");
}

fn first_payment(party: &Member, named: Option<&Member>, order: OrderId) -> FirstPayment {
    FirstPayment {
        order,
        party: party.party,
        named: named.map(|named| named.party),
        at: noon(),
    }
}

#[tokio::test]
async fn p20_no_cycle_no_self_and_the_first_referrer_stays_and_a_refusal_is_a_value() {
    let world = World::new().await;
    let a = world.member(None).await;
    let b = world.member(Some(a.referral_code.as_str())).await;
    let c = world.member(Some(a.referral_code.as_str())).await;
    let order = order_of(&world, &a).await;
    let mut tx = begin_orders(&world).await;
    for (party, named, bound) in [
        (&b, None, Some(&a)),
        (&c, Some(&b), Some(&b)),
        (&a, None, None),
        (&a, Some(&c), None),
        (&a, Some(&a), None),
        (&b, Some(&c), None),
        (&c, Some(&a), None),
    ] {
        let payment = first_payment(party, named, order);
        let referrer = tx.referrals().bind(payment).await.expect("a value");
        assert_eq!(referrer, bound.map(|bound| bound.party), "{payment:?}");
    }
    tx.commit()
        .await
        .expect("committed: the refusals left the transaction usable");
    let mut tx: Box<dyn CommissionsTx> = world.database.begin(&world.scope).await.expect("a transaction");
    for (depth, at, above) in [
        (10, noon(), &[b.party, a.party][..]),
        (1, noon(), &[b.party]),
        (10, noon() - Duration::microseconds(1), &[]),
    ] {
        let found = tx
            .referrals()
            .ancestors(c.party, depth, at)
            .await
            .expect("ancestors");
        assert_eq!(found, above, "nearest first, as of {at}");
    }
    let page = world
        .database
        .referred_by(&world.scope, a.party, PageRequest::new(None, None))
        .await
        .expect("a list");
    assert_eq!(
        page.items.iter().map(|entry| entry.party).collect::<Vec<_>>(),
        [b.party]
    );
}

#[tokio::test]
async fn only_the_first_paid_order_binds() {
    let world = World::new().await;
    let (alice, bob) = (world.member(None).await, world.member(None).await);
    let tier = world.tier(10, 5000).await;
    let (first, second) = (
        world.place(&bob, tier, 1).await.expect("placed"),
        world.place(&bob, tier, 1).await.expect("placed"),
    );
    assert_eq!(world.pay(&first).await, PaymentApplied::Paid);
    let mut tx = begin_orders(&world).await;
    let late = first_payment(&bob, Some(&alice), second.id);
    assert_eq!(tx.referrals().bind(late).await.expect("a value"), None);
    let first = first_payment(&bob, Some(&alice), first.id);
    assert_eq!(
        tx.referrals().bind(first).await.expect("a value"),
        Some(alice.party),
        "the order itself does not count as one before it"
    );
}

#[tokio::test]
async fn a_referral_of_another_site_is_not_seen_and_not_bound() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let (alice, bob) = (world.member(None).await, world.member(None).await);
    let order = order_of(&world, &bob).await;
    let mut tx = begin_orders(&elsewhere).await;
    let foreign = first_payment(&bob, Some(&alice), order);
    assert_eq!(tx.referrals().bind(foreign).await.expect("a value"), None);
}

#[tokio::test]
async fn a_referrer_sees_who_named_them_and_since_when_it_is_bound() {
    let world = World::new().await;
    let alice = world.member(None).await;
    let code = alice.referral_code.as_str();
    let (first, second) = (world.member(Some(code)).await, world.member(Some(code)).await);
    let order = order_of(&world, &first).await;
    let mut tx = begin_orders(&world).await;
    tx.referrals()
        .bind(first_payment(&first, None, order))
        .await
        .expect("a value");
    tx.commit().await.expect("committed");
    let list = |limit, after| {
        world
            .database
            .referred_by(&world.scope, alice.party, PageRequest::new(Some(limit), after))
    };
    let whole = list(10, None).await.expect("a list");
    let mut seen: Vec<_> = whole
        .items
        .iter()
        .map(|entry| (entry.party, entry.bound_at))
        .collect();
    seen.sort_unstable();
    let mut expected = vec![(first.party, Some(noon())), (second.party, None)];
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let page = list(1, None).await.expect("a page");
    let rest = list(1, page.next).await.expect("the next");
    assert_eq!(
        [page.items[0].party, rest.items[0].party],
        [whole.items[0].party, whole.items[1].party]
    );
    assert_eq!(rest.next, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn p20_two_edges_that_close_a_cycle_together_do_not_pass_each_other() {
    let world = World::with_pool(8).await;
    let (a, b) = (world.member(None).await, world.member(None).await);
    let order = order_of(&world, &a).await;
    let world = &world;
    let bind = |party: FirstPayment| async move {
        retry_busy(|| async {
            let mut tx = begin_orders(world).await;
            let bound = tx.referrals().bind(party).await?;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            tx.commit().await?;
            Ok::<_, StoreError>(bound)
        })
        .await
        .expect("a value after another try")
    };
    let (one, other) = tokio::join!(
        bind(first_payment(&a, Some(&b), order)),
        bind(first_payment(&b, Some(&a), order))
    );
    assert!(one.is_some() != other.is_some(), "{one:?} {other:?}");
}
