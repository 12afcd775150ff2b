//! What holds of members and invitations when many act at the same moment.

use std::sync::Arc;

use posx_kernel::{IdentityId, PageRequest, Refusal as _};
use posx_tenancy::{
    Directory as _, InvitationQueries as _, Join, MemberFilter, MemberQueries as _, MemberState, Membership,
    MembershipRefusal, PENDING_MAX, PlatformError, Role,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::members::{ISSUER, everywhere};
use crate::world::{World, noon, unique};

/// Two owners who each take the other's rank at the same moment, by every way there is.
#[tokio::test(flavor = "multi_thread")]
async fn two_owners_who_act_on_each_other_at_once_leave_one() {
    let world = Arc::new(World::with_pool(8).await);
    let subjects = [unique(20), unique(20)];
    for round in 0..30 {
        let mut owners = Vec::new();
        for subject in &subjects {
            let appointed = world.platform.appoint(&world.site, ISSUER, subject, Role::Owner);
            owners.push(appointed.await.expect("appointed"));
        }
        let gate = Arc::new(Barrier::new(2));
        let mut racing = JoinSet::new();
        for (by, who) in [(owners[0], owners[1]), (owners[1], owners[0])] {
            let (world, gate) = (world.clone(), gate.clone());
            let seen = world.membership(who).await.version;
            racing.spawn(async move {
                let members = world.members();
                gate.wait().await;
                let done = match round % 3 {
                    0 => members.disable(&world.scope, by, who).await,
                    1 => members.remove(&world.scope, by, who).await,
                    _ => {
                        members
                            .change(&world.scope, by, who, seen, everywhere(Role::Viewer))
                            .await
                    }
                };
                done.map_err(|error| error.code())
            });
        }
        let outcomes = racing.join_all().await;
        let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(done, 1, "round {round}: {outcomes:?}");
        let refused = outcomes.iter().find_map(|outcome| outcome.err());
        let expected = if round % 3 == 2 {
            "capability_missing"
        } else {
            "not_a_member"
        };
        assert_eq!(refused, Some(expected), "round {round}");
        assert_eq!(world.active_owners().await, 1);
    }
}

/// The same without the domain's rules: the database alone keeps one, and nobody waits for a deadlock.
#[tokio::test(flavor = "multi_thread")]
async fn all_owners_who_leave_at_once_leave_one_by_the_database_alone() {
    let world = Arc::new(World::with_pool(8).await);
    let subjects: Vec<_> = (0..5).map(|_| unique(20)).collect();
    for round in 0..20 {
        let mut owners = Vec::new();
        for subject in &subjects {
            let appointed = world.platform.appoint(&world.site, ISSUER, subject, Role::Owner);
            let identity = appointed.await.expect("appointed");
            owners.push(world.membership(identity).await);
        }
        let gate = Arc::new(Barrier::new(owners.len()));
        let mut racing = JoinSet::new();
        for (number, owner) in owners.into_iter().enumerate() {
            let (world, gate) = (world.clone(), gate.clone());
            let gone = match number % 2 {
                0 => Membership {
                    role: Role::Admin,
                    ..owner
                },
                _ => Membership {
                    state: MemberState::Removed,
                    ..owner
                },
            };
            racing.spawn(async move {
                gate.wait().await;
                world.force(&gone).await.expect("no deadlock, no fault")
            });
        }
        let outcomes = racing.join_all().await;
        let refused = outcomes
            .iter()
            .filter(|outcome| **outcome == Err(MembershipRefusal::LastOwner));
        assert_eq!(refused.count(), 1, "round {round}: {outcomes:?}");
        assert_eq!(world.active_owners().await, 1);
    }
    let last = MemberFilter {
        role: Some(Role::Owner),
        state: Some(MemberState::Active),
    };
    let owners = world
        .database
        .members(&world.scope, last, PageRequest::new(None, None))
        .await;
    let last = owners.expect("a list").items[0].identity_id;
    for subject in &subjects {
        let demoted = world
            .platform
            .appoint(&world.site, ISSUER, subject, Role::Viewer)
            .await;
        match world
            .directory
            .identity(ISSUER, subject)
            .await
            .expect("an identity")
        {
            identity if identity == last => {
                assert!(matches!(demoted, Err(PlatformError::LastOwner)), "{demoted:?}");
            }
            _ => assert!(demoted.is_ok(), "{demoted:?}"),
        }
    }
}

/// Who is demoted at the same moment either acted before, or does not act any more.
#[tokio::test(flavor = "multi_thread")]
async fn who_loses_their_rank_at_once_with_using_it_used_it_before_or_not_at_all() {
    let world = Arc::new(World::with_pool(8).await);
    let owner = world.with_rank(Role::Owner).await;
    for _ in 0..15 {
        let (admin, buyer) = (
            world.with_rank(Role::Admin).await,
            world.member(None).await.identity,
        );
        let gate = Arc::new(Barrier::new(2));
        let act = |by: IdentityId, who: IdentityId, role: Role| {
            let (world, gate) = (world.clone(), gate.clone());
            async move {
                gate.wait().await;
                let done = world
                    .members()
                    .change(&world.scope, by, who, 1, everywhere(role))
                    .await;
                done.map_err(|error| error.code())
            }
        };
        let demoted = tokio::spawn(act(owner, admin, Role::Viewer));
        let granted = tokio::spawn(act(admin, buyer, Role::Admin));
        let (demoted, granted) = (demoted.await.expect("ran"), granted.await.expect("ran"));
        assert_eq!(demoted, Ok(()));
        let role = world.membership(buyer).await.role;
        match granted {
            Ok(()) => assert_eq!(role, Role::Admin),
            Err(why) => assert_eq!((why, role), ("capability_missing", Role::Member)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_accept_one_token_at_once_one_becomes_a_member() {
    let world = Arc::new(World::with_pool(8).await);
    let owner = world.with_rank(Role::Owner).await;
    for _ in 0..5 {
        let (id, token) = world.invited(owner, everywhere(Role::Manager)).await;
        let gate = Arc::new(Barrier::new(8));
        let mut racing = JoinSet::new();
        for number in 0..8 {
            let (world, gate, token) = (world.clone(), gate.clone(), token.clone());
            racing.spawn(async move {
                let identity = world.stranger().await;
                gate.wait().await;
                if number % 2 == 0 {
                    // …while they join as buyers as well.
                    let join = Join {
                        site: &world.site,
                        identity,
                        referral_code: None,
                    };
                    let (accepted, joined) = tokio::join!(
                        world.accept(identity, &token),
                        world.tenancy.join(&world.scope, join)
                    );
                    joined.expect("joined");
                    return (identity, accepted);
                }
                (identity, world.accept(identity, &token).await)
            });
        }
        let outcomes = racing.join_all().await;
        let winners: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        let losers = outcomes.iter().filter_map(|(_, outcome)| outcome.err());
        assert!(
            losers.into_iter().all(|why| why == "invitation_used"),
            "{outcomes:?}"
        );
        for (identity, outcome) in &outcomes {
            let member = world
                .directory
                .member(world.site.id, *identity)
                .await
                .expect("a look");
            let manages = member.is_some_and(|member| member.role == Role::Manager);
            assert_eq!(manages, outcome.is_ok(), "{outcomes:?}");
        }
        let view = world
            .database
            .invitation(&world.scope, id, noon())
            .await
            .expect("a read");
        assert_eq!(view.expect("there").accepted_by, Some(winners[0].0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invitations_made_at_once_stay_within_their_limits() {
    let world = Arc::new(World::with_pool(8).await);
    let owner = world.with_rank(Role::Owner).await;
    for number in 0..PENDING_MAX - 4 {
        world
            .invite(owner, &format!("guest{number}@example.com"))
            .await
            .expect("invited");
    }
    let mut racing = JoinSet::new();
    for number in 0..16 {
        let world = world.clone();
        // Four of each address.
        let email = format!("{}@example.com", ["ann", "Ann", "ANN", "bob"][number % 4]);
        racing.spawn(async move { world.invite(owner, &email).await });
    }
    let outcomes = racing.join_all().await;
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        2,
        "{outcomes:?}"
    );
    let refused = outcomes.iter().filter_map(|outcome| outcome.err());
    assert!(
        refused.into_iter().all(|why| why == "invitation_pending"),
        "{outcomes:?}"
    );
    let mut racing = JoinSet::new();
    for number in 0..8 {
        let world = world.clone();
        racing.spawn(async move { world.invite(owner, &format!("late{number}@example.com")).await });
    }
    let outcomes = racing.join_all().await;
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        2,
        "{outcomes:?}"
    );
    assert!(outcomes.contains(&Err("invitations_too_many")), "{outcomes:?}");
}
