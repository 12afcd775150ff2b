//! The tree of a site under bindings and placings at once, and what its constraints refuse.

use chrono::Duration;
use posx_kernel::PartyId;
use sqlx::Row as _;

use crate::server::superuser;
use crate::world::{World, noon};

/// Two who stood at one distance above somebody at one time.
const OVERLAPS: &str = "
    select count(*) from referral_paths a join referral_paths b
      on b.site_id = a.site_id and b.descendant_id = a.descendant_id and b.depth = a.depth
      and (b.ancestor_id, b.since) > (a.ancestor_id, a.since)
    where a.site_id = $1 and tstzrange(a.since, a.until) && tstzrange(b.since, b.until)";

#[tokio::test(flavor = "multi_thread")]
async fn p20_of_two_placings_that_close_a_cycle_together_one_is_refused() {
    let world = World::with_pool(8).await;
    let (a, b) = (world.member(None).await, world.member(None).await);
    for _ in 0..10 {
        let (one, other) = tokio::join!(
            world.places(a.party, Some(b.party)),
            world.places(b.party, Some(a.party))
        );
        let refused = [&one, &other]
            .into_iter()
            .filter(|result| result.is_err())
            .count();
        assert_eq!(refused, 1, "{one:?} {other:?}");
        assert_eq!(world.wrong_paths().await, 0);
        let first = if one.is_ok() { a.party } else { b.party };
        world.places(first, None).await.expect("to the top");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p20_whatever_is_bound_and_placed_at_once_the_tree_stays_a_tree() {
    let world = World::with_pool(8).await;
    let mut members = Vec::new();
    for _ in 0..8 {
        members.push(world.member(None).await);
    }
    let (members, world) = (&members, &world);
    let works = (0..48_usize).map(|number| async move {
        let (child, parent) = (&members[number * 5 % 8], &members[(number * 3 + 1) % 8]);
        if number % 6 == 0 {
            world.bind(child, parent, noon()).await;
            return;
        }
        let parent = Some(parent.party).filter(|_| number % 7 != 0);
        // A cycle and a stale version are refused: what counts is what stands afterwards.
        let _refused = world.places(child.party, parent).await;
    });
    futures::future::join_all(works).await;
    assert_eq!(world.wrong_paths().await, 0);
    let overlaps = sqlx::query(OVERLAPS)
        .bind(world.site.id.as_uuid())
        .fetch_one(&mut superuser().await)
        .await;
    assert_eq!(
        overlaps.expect("a count").get::<i64, _>(0),
        0,
        "one tree at each time"
    );
    for member in members {
        let above = world.above(member.party, noon() + Duration::days(1)).await;
        assert!(!above.contains(&member.party));
    }
}

#[tokio::test]
async fn p20_the_database_itself_refuses_a_cycle_and_a_second_parent() {
    let world = World::new().await;
    let chain = world.chain(3).await;
    let mut admin = superuser().await;
    let insert = |ancestor: PartyId, descendant: PartyId, depth: i32| {
        sqlx::query(
            "insert into referral_paths (site_id, ancestor_id, descendant_id, depth, since) values ($1, $2, $3, $4, now())",
        )
        .bind(world.site.id.as_uuid())
        .bind(ancestor.as_uuid())
        .bind(descendant.as_uuid())
        .bind(depth)
    };
    for (ancestor, descendant, depth, constraint) in [
        (&chain[0], &chain[0], 3, "referral_paths_no_cycle"),
        (&chain[2], &chain[1], 1, "referral_paths_one_above"),
    ] {
        let refused = insert(ancestor.party, descendant.party, depth)
            .execute(&mut admin)
            .await;
        let error = refused.expect_err("refused");
        let error = error.as_database_error().expect("by the database");
        assert_eq!(error.constraint(), Some(constraint));
    }
    let rewritten = sqlx::query("update referral_paths set ancestor_id = $2 where site_id = $1")
        .bind(world.site.id.as_uuid())
        .bind(chain[2].party.as_uuid())
        .execute(&mut admin)
        .await;
    assert!(rewritten.expect_err("refused").to_string().contains("only ends"));
}
