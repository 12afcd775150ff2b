//! Agents: the tree by paths, who is placed where, who is suspended when.

mod figures;
mod racing;
mod statements;

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use posx_commissions::{
    AgentEdit, AgentError, AgentFilter, AgentQueries as _, AgentState, Agents, CommissionsTx,
};
use posx_kernel::{
    Begin as _, OrderId, Page, PageRequest, PartyId, Refusal as _, StoreError, SystemIds, SystemRandomness,
    retry_busy,
};
use posx_orders::OrdersTx;
use posx_tenancy::{Erasure, FirstPayment, Member, PersonalDataStore as _, ReferralCode};
use sqlx::Row as _;

use crate::server::superuser;
use crate::world::{World, new_id, noon};

/// Current paths that are not what the current edges make, or edges' paths that are missing.
const WRONG_PATHS: &str = "
    with recursive up (descendant, ancestor, depth) as (
      select descendant_id, ancestor_id, 1 from referral_paths where site_id = $1 and depth = 1 and until is null
      union all
      select up.descendant, e.ancestor_id, up.depth + 1 from up
      join referral_paths e on e.site_id = $1 and e.descendant_id = up.ancestor and e.depth = 1 and e.until is null
      where up.depth < 100)
    select count(*) from (
      (select * from up except
       select descendant_id, ancestor_id, depth from referral_paths where site_id = $1 and until is null)
      union all
      (select descendant_id, ancestor_id, depth from referral_paths where site_id = $1 and until is null
       except select * from up)) wrong";

impl World {
    pub fn agents(&self) -> Agents {
        Agents::new(
            Arc::new(self.database.clone()),
            self.clock.clone(),
            Arc::new(SystemIds),
        )
    }

    /// An order of the party, placed and not paid.
    async fn some_order(&self, buyer: &Member) -> OrderId {
        let tier = self.tier(5, 100).await;
        self.place(buyer, tier, 1).await.expect("placed").id
    }

    async fn bind(&self, party: &Member, referrer: &Member, at: DateTime<Utc>) -> Option<PartyId> {
        let order = self.some_order(party).await;
        let payment = FirstPayment {
            order,
            party: party.party,
            named: Some(referrer.party),
            at,
        };
        retry_busy(|| async {
            let mut tx: Box<dyn OrdersTx> = self.database.begin(&self.scope).await?;
            let bound = tx.referrals().bind(payment).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(bound)
        })
        .await
        .expect("a value")
    }

    /// `0` stands above `1`, that one above `2`, and so on.
    async fn chain(&self, length: usize) -> Vec<Member> {
        let mut members: Vec<Member> = Vec::new();
        for at in 0..length {
            let member = self.member(None).await;
            if let Some(above) = at.checked_sub(1) {
                let bound = self.bind(&member, &members[above], noon()).await;
                assert_eq!(bound, Some(members[above].party));
            }
            members.push(member);
        }
        members
    }

    async fn above(&self, party: PartyId, at: DateTime<Utc>) -> Vec<PartyId> {
        let mut tx: Box<dyn CommissionsTx> = self.database.begin(&self.scope).await.expect("a transaction");
        tx.referrals().ancestors(party, 64, at).await.expect("ancestors")
    }

    async fn version(&self, party: PartyId) -> i32 {
        let agent = self
            .database
            .agent(&self.scope, party, noon())
            .await
            .expect("a read");
        agent.expect("the party").version
    }

    async fn places(&self, party: PartyId, parent: Option<PartyId>) -> Result<(), AgentError> {
        let seen = self.version(party).await;
        self.agents().place(&self.scope, party, seen, parent).await
    }

    async fn wrong_paths(&self) -> i64 {
        let row = sqlx::query(WRONG_PATHS)
            .bind(self.site.id.as_uuid())
            .fetch_one(&mut superuser().await)
            .await;
        row.expect("a count").get(0)
    }
}

fn ids(members: &[&Member]) -> Vec<PartyId> {
    members.iter().map(|member| member.party).collect()
}

fn page(limit: u16) -> PageRequest {
    PageRequest::new(Some(limit), None)
}

#[tokio::test]
async fn who_is_bound_late_brings_along_all_that_was_bound_below() {
    let world = World::new().await;
    let (top, upper) = (world.member(None).await, world.member(None).await);
    let below = world.chain(3).await;
    assert_eq!(world.bind(&upper, &top, noon()).await, Some(top.party));
    let late = noon() + Duration::hours(1);
    assert_eq!(world.bind(&below[0], &upper, late).await, Some(upper.party));
    let whole = ids(&[&below[1], &below[0], &upper, &top]);
    assert_eq!(world.above(below[2].party, late).await, whole);
    assert_eq!(world.above(below[2].party, noon()).await, whole[..2]);
    assert_eq!(world.wrong_paths().await, 0);
}

#[tokio::test]
async fn a_tree_is_read_level_by_level_and_page_by_page() {
    let world = World::new().await;
    let top = world.member(None).await;
    let mut children = Vec::new();
    for _ in 0..3 {
        let child = world.member(None).await;
        world.bind(&child, &top, noon()).await;
        children.push(child);
    }
    let grandchild = world.member(None).await;
    world.bind(&grandchild, &children[2], noon()).await;
    let mut expected = ids(&children.iter().collect::<Vec<_>>());
    expected.sort_unstable();
    expected.push(grandchild.party);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let request = PageRequest::new(Some(2), after);
        let Page { items, next } = world
            .database
            .tree(&world.scope, top.party, 2, request)
            .await
            .expect("a page");
        assert!(items.len() <= 2);
        seen.extend(
            items
                .iter()
                .map(|node| (node.party, node.depth, node.parent, node.children)),
        );
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.iter().map(|node| node.0).collect::<Vec<_>>(), expected);
    assert_eq!(seen[3], (grandchild.party, 2, children[2].party, 0));
    let parent = seen
        .iter()
        .find(|node| node.0 == children[2].party)
        .expect("a node");
    assert_eq!((parent.1, parent.2, parent.3), (1, top.party, 1));
    let direct = world
        .database
        .tree(&world.scope, top.party, 1, page(10))
        .await
        .expect("a page");
    assert_eq!(direct.items.len(), 3);
}

#[tokio::test]
async fn what_was_paid_before_a_move_is_counted_by_the_tree_of_its_time() {
    let world = World::new().await;
    let chain = world.chain(4).await;
    let other = world.member(None).await;
    let [top, moved, child, leaf] = &chain[..] else {
        panic!("four")
    };
    world.clock.advance(Duration::hours(1));
    world
        .places(moved.party, Some(other.party))
        .await
        .expect("placed");
    let now = noon() + Duration::hours(1);
    assert_eq!(world.above(leaf.party, now).await, ids(&[child, moved, &other]));
    let before = now - Duration::microseconds(1);
    assert_eq!(world.above(leaf.party, before).await, ids(&[child, moved, top]));
    // To the top, and back in the same instant: the clock of the database's rows goes on.
    world.places(moved.party, None).await.expect("placed");
    world.places(moved.party, Some(top.party)).await.expect("placed");
    assert_eq!(
        world.above(leaf.party, now + Duration::seconds(1)).await,
        ids(&[child, moved, top])
    );
    assert_eq!(world.wrong_paths().await, 0);
    let view = world
        .database
        .agent(&world.scope, moved.party, noon())
        .await
        .expect("a read")
        .expect("the party");
    assert_eq!((view.parent, view.depth, view.version), (Some(top.party), 1, 4));
}

#[tokio::test]
async fn p20_who_stands_above_is_not_placed_below_and_the_version_counts() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let chain = world.chain(3).await;
    let stranger = elsewhere.member(None).await;
    let code = |result: Result<(), AgentError>| result.map_or_else(|error| error.code(), |()| "done");
    let [top, middle, low] = &chain[..] else {
        panic!("three")
    };
    assert_eq!(
        code(world.places(top.party, Some(low.party)).await),
        "agent_tree_cycle"
    );
    assert_eq!(
        code(world.places(middle.party, Some(middle.party)).await),
        "agent_tree_cycle"
    );
    assert_eq!(
        code(world.places(low.party, Some(stranger.party)).await),
        "agent_parent_not_found"
    );
    let foreign = elsewhere
        .agents()
        .place(&elsewhere.scope, low.party, 0, None)
        .await;
    assert_eq!(code(foreign), "agent_not_found");
    let stale = world.agents().place(&world.scope, low.party, 7, None).await;
    assert_eq!(code(stale), "version_stale");
    assert_eq!(world.wrong_paths().await, 0);
}

#[tokio::test]
async fn whom_staff_placed_is_not_bound_to_another_by_the_first_payment() {
    let world = World::new().await;
    let (placed, named, parent) = (
        world.member(None).await,
        world.member(None).await,
        world.member(None).await,
    );
    world
        .places(placed.party, Some(parent.party))
        .await
        .expect("placed");
    assert_eq!(world.bind(&placed, &named, noon()).await, None);
    assert_eq!(world.above(placed.party, noon()).await, [parent.party]);
}

#[tokio::test]
async fn a_suspension_holds_for_what_is_paid_meanwhile_and_for_nothing_else() {
    let world = World::new().await;
    let agent = world.member(None).await;
    let hour = Duration::hours(1);
    for (seen, state) in [
        (0, AgentState::Suspended),
        (1, AgentState::Active),
        (2, AgentState::Suspended),
        (3, AgentState::Active),
    ] {
        world.clock.advance(hour);
        let terms = AgentEdit {
            display_name: Some("Mona".to_owned()),
            state,
        };
        world
            .agents()
            .edit(&world.scope, agent.party, seen, &terms)
            .await
            .expect("edited");
    }
    let mut tx: Box<dyn CommissionsTx> = world.database.begin(&world.scope).await.expect("a transaction");
    let mut inactive = Vec::new();
    for hours in 0..6 {
        let at = noon() + hour * hours;
        let facts = tx.terms().facts_of(&[agent.party], at).await.expect("facts");
        inactive.push(facts[0].inactive);
    }
    assert_eq!(inactive, [false, true, false, true, false, false]);
}

#[tokio::test]
async fn agents_are_listed_by_state_and_by_how_their_code_begins() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let chain = world.chain(2).await;
    let list = |filter: AgentFilter| {
        let (database, scope) = (world.database.clone(), world.scope.clone());
        async move {
            let page = database
                .agents(&scope, &filter, noon(), page(10))
                .await
                .expect("a page");
            page.items.into_iter().map(|agent| agent.id).collect::<Vec<_>>()
        }
    };
    let code = chain[0].referral_code.as_str();
    let ending = &code[code.len() - 6..];
    for (state, code, found) in [
        (None, None, true),
        (Some(AgentState::Active), None, true),
        (Some(AgentState::Suspended), None, false),
        (None, Some(code.to_lowercase()), true),
        (None, Some(ending[..3].to_owned()), true),
        (None, Some("%".to_owned()), false),
    ] {
        let filter = AgentFilter { state, code };
        let expected = if found { vec![chain[0].party] } else { Vec::new() };
        assert_eq!(list(filter.clone()).await, expected, "{filter:?}");
    }
    let foreign = elsewhere
        .database
        .agents(&elsewhere.scope, &AgentFilter::default(), noon(), page(10))
        .await;
    assert!(foreign.expect("a page").items.is_empty());
}

#[tokio::test]
async fn an_erased_agent_has_no_name_and_keeps_their_place_in_the_tree() {
    let world = World::new().await;
    let chain = world.chain(2).await;
    let top = chain[0].party;
    let named = AgentEdit {
        display_name: Some("Mona".to_owned()),
        state: AgentState::Active,
    };
    world
        .agents()
        .edit(&world.scope, top, 1, &named)
        .await
        .expect("edited");
    let stand_in = PartyId::from_uuid(new_id());
    let code = ReferralCode::random(&world.site.code, &SystemRandomness);
    let erased = world
        .database
        .erase(&world.scope, top, (stand_in, &code), "asked for it", noon())
        .await;
    assert!(matches!(erased.expect("an answer"), Erasure::Done { .. }));
    let view = world
        .database
        .agent(&world.scope, top, noon())
        .await
        .expect("a read")
        .expect("the party");
    assert_eq!((view.display_name, view.version), (None, 3));
    assert_eq!(world.above(chain[1].party, noon()).await, [top]);
}
