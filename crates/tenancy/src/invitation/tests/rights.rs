//! Who may invite to what, and what accepting makes of a member.

use super::*;

#[tokio::test]
async fn nobody_invites_above_their_rank_and_the_inviter_counts_as_they_are_when_it_is_accepted() {
    for &inviter in Role::ALL {
        for &role in Role::ALL {
            let world = world();
            world
                .store
                .arrange(&world.scope, |state| add(state, member(3, inviter)));
            let made = world.invite(3, "ann@example.com", terms(role, &[])).await;
            let expected = match inviter.rank() {
                Rank::Other | Rank::Manager => "capability_missing",
                Rank::Admin if role == Role::Owner => "role_above_yours",
                Rank::Admin | Rank::Owner => "done",
            };
            assert_eq!(code(made), expected, "{inviter:?} invites {role:?}");
            // An owner invited; meanwhile they are `inviter`.
            let world = self::world();
            let (_, token) = world.invited(OWNER, terms(role, &[])).await;
            world
                .store
                .arrange(&world.scope, |state| add(state, member(OWNER, inviter)));
            let expected = if expected == "done" {
                "done"
            } else {
                "invitation_inviter_lost_right"
            };
            assert_eq!(
                code(world.accept(GUEST, &token).await),
                expected,
                "{inviter:?}, {role:?}"
            );
            assert_eq!(world.role_of(GUEST), (expected == "done").then_some(role));
        }
    }
    for state in [MemberState::Disabled, MemberState::Removed] {
        let world = world();
        let (id, token) = world.invited(ADMIN, terms(Role::Viewer, &[])).await;
        let gone = Membership {
            state,
            ..member(ADMIN, Role::Admin)
        };
        world.store.arrange(&world.scope, |people| add(people, gone));
        assert_eq!(
            code(world.accept(GUEST, &token).await),
            "invitation_inviter_lost_right"
        );
        // It waits: somebody may revoke it.
        assert_eq!(world.stored(id).state, InvitationState::Pending);
    }
}

#[tokio::test]
async fn an_invitation_reaches_no_further_than_who_made_it() {
    let world = world();
    let narrowed = Membership {
        places: BTreeSet::from([place(1)]),
        ..member(3, Role::Admin)
    };
    world.store.arrange(&world.scope, |state| add(state, narrowed));
    for (places, expected) in [
        (&[][..], "places_beyond_yours"),
        (&[2], "places_beyond_yours"),
        (&[1, 2], "places_beyond_yours"),
        (&[1], "done"),
    ] {
        let made = world
            .invite(3, "ann@example.com", terms(Role::Cashier, places))
            .await;
        assert_eq!(code(made), expected, "{places:?}");
    }
    for (role, places, expected) in [
        (Role::Owner, &[1][..], "owner_places_invalid"),
        (Role::Viewer, &[77], "place_not_found"),
    ] {
        let made = world.invite(OWNER, "bob@example.com", terms(role, places)).await;
        assert_eq!(code(made), expected);
    }
    // What an owner made, an admin neither sends again nor takes back.
    let id = world
        .invite(OWNER, "cid@example.com", terms(Role::Owner, &[]))
        .await
        .expect("invited");
    for done in [
        world.invitations.revoke(&world.scope, identity(ADMIN), id).await,
        world.invitations.resend(&world.scope, identity(ADMIN), id).await,
    ] {
        assert_eq!(code(done), "role_above_yours");
    }
}

#[tokio::test]
async fn accepting_raises_a_member_and_never_lowers_one() {
    for &before in Role::ALL {
        for &invited in Role::ALL {
            let world = world();
            world
                .store
                .arrange(&world.scope, |state| add(state, member(GUEST, before)));
            let (id, token) = world.invited(OWNER, terms(invited, &[])).await;
            let accepted = world.accept(GUEST, &token).await.expect("accepted");
            let expected = if invited.rank() < before.rank() {
                before
            } else {
                invited
            };
            assert_eq!(
                accepted.member.role, expected,
                "{before:?} is invited as {invited:?}"
            );
            assert!(accepted.member.role.rank() >= before.rank());
            assert_eq!(world.stored(id).state, InvitationState::Accepted, "used up");
            let raised = world
                .state()
                .events
                .iter()
                .filter(|event| event.kind == "member.role_changed")
                .count();
            assert_eq!(raised, usize::from(expected != before));
        }
    }
}

#[tokio::test]
async fn accepting_the_role_one_has_adds_places_and_never_takes_one_away() {
    for (before, invited, after) in [
        (&[][..], &[1][..], &[][..]),
        (&[1], &[], &[]),
        (&[1], &[2], &[1, 2]),
        (&[1], &[1], &[1]),
    ] {
        let world = world();
        let narrowed = Membership {
            places: before.iter().copied().map(place).collect(),
            ..member(GUEST, Role::Manager)
        };
        world.store.arrange(&world.scope, |state| add(state, narrowed));
        let (_, token) = world.invited(OWNER, terms(Role::Manager, invited)).await;
        let accepted = world.accept(GUEST, &token).await.expect("accepted");
        let after: BTreeSet<_> = after.iter().copied().map(place).collect();
        assert_eq!(accepted.member.places, after, "{before:?} and {invited:?}");
    }
}

#[tokio::test]
async fn a_disabled_member_stays_out_a_removed_one_comes_back_and_nobody_invites_themselves() {
    for (state, expected) in [
        (MemberState::Disabled, "member_disabled"),
        (MemberState::Removed, "done"),
    ] {
        let world = world();
        let gone = Membership {
            state,
            places: BTreeSet::from([place(2)]),
            ..member(GUEST, Role::Admin)
        };
        world
            .store
            .arrange(&world.scope, |people| add(people, gone.clone()));
        let (_, token) = world.invited(OWNER, terms(Role::Cashier, &[1])).await;
        assert_eq!(code(world.accept(GUEST, &token).await), expected);
        let now = world.state().members[&identity(GUEST)].0.clone();
        if expected == "done" {
            assert_eq!(
                (now.role, now.places),
                (Role::Cashier, BTreeSet::from([place(1)]))
            );
            assert_eq!((now.party, now.state), (gone.party, MemberState::Active));
        } else {
            assert_eq!(now, gone);
        }
    }
    let world = world();
    let (_, token) = world.invited(ADMIN, terms(Role::Admin, &[])).await;
    assert_eq!(code(world.accept(ADMIN, &token).await), "member_is_self");
}
