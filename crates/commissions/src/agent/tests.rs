//! The use cases on storage in memory.

use std::sync::Arc;

use chrono::Duration;
use chrono_tz::Tz;
use posx_kernel::{ManualClock, PartyId, Refusal as _, SeededIds, SiteId, SiteScope, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::testing::{AgentStore, AgentsGiven, agents_contract, at, party, usd};

struct Office {
    store: AgentStore,
    clock: Arc<ManualClock>,
    agents: Agents,
    scope: SiteScope,
}

fn office() -> Office {
    let store = AgentStore::default();
    let clock = Arc::new(ManualClock::stopped_at(at(0)));
    let scope = SiteScope::of_verified_request(SiteId::from_uuid(Uuid::from_u128(1)));
    store.arrange(&scope, |rows| {
        rows.parties.extend((1..=6).map(|name| (party(name), at(0))));
        // 1 stands above 2 and 3, 2 above 4.
        rows.parents
            .extend([(party(2), party(1)), (party(3), party(1)), (party(4), party(2))]);
    });
    let agents = Agents::new(
        Arc::new(store.clone()),
        clock.clone(),
        Arc::new(SeededIds::new(3)),
    );
    Office {
        store,
        clock,
        agents,
        scope,
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, AgentError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "done")
}

impl Office {
    async fn edit(&self, id: PartyId, seen: i32, name: Option<&str>, state: AgentState) -> &'static str {
        let terms = AgentEdit {
            display_name: name.map(str::to_owned),
            state,
        };
        code(self.agents.edit(&self.scope, id, seen, &terms).await)
    }

    async fn place(&self, id: u128, seen: i32, parent: Option<u128>) -> &'static str {
        code(
            self.agents
                .place(&self.scope, party(id), seen, parent.map(party))
                .await,
        )
    }

    fn posted(&self, agent: u128, at: Timestamp, minor: i64) {
        self.store.arrange(&self.scope, |rows| {
            rows.posted.push((party(agent), at, usd(minor)));
        });
    }

    async fn state(&self, zone: Tz, month: &str) -> usize {
        let month = month.parse().expect("a month");
        let stated = self.agents.make_statements(&self.scope, zone, month, None).await;
        stated.expect("stated").statements
    }
}

#[tokio::test]
async fn the_fake_passes_the_contract() {
    let store = AgentStore::default();
    let scope = |site| SiteScope::of_verified_request(SiteId::from_uuid(Uuid::from_u128(site)));
    let first_at = "2026-06-01T12:00:00Z".parse().expect("an instant");
    let given = AgentsGiven {
        scope: scope(1),
        elsewhere: scope(2),
        parties: [party(1), party(2), party(3), party(4)],
        earner: party(5),
        first_at,
    };
    store.arrange(&given.scope, |rows| {
        rows.parties.extend((1..=5).map(|name| (party(name), first_at)));
        for (days, minor) in [(0, 1000), (1, -300), (41, 100)] {
            rows.posted
                .push((party(5), first_at + Duration::days(days), usd(minor)));
        }
    });
    agents_contract(Arc::new(store), &given).await;
}

#[tokio::test]
async fn any_party_is_an_agent_nobody_wrote_about_until_somebody_does() {
    use AgentState::{Active, Suspended};

    let office = office();
    assert_eq!(office.edit(party(9), 0, None, Active).await, "agent_not_found");
    assert_eq!(office.edit(party(5), 1, None, Suspended).await, "version_stale");
    assert_eq!(
        office.edit(party(5), 0, Some(" "), Active).await,
        "agent_display_name_invalid"
    );
    assert_eq!(
        office.edit(party(5), 0, Some("a\u{7}b"), Active).await,
        "agent_display_name_invalid"
    );
    assert_eq!(office.edit(party(5), 0, None, Active).await, "done");
    assert!(
        office.store.rows(&office.scope).events.is_empty(),
        "what changes nothing is no event"
    );
    assert_eq!(office.edit(party(5), 0, Some(" Mona "), Suspended).await, "done");
    assert_eq!(office.edit(party(5), 0, None, Active).await, "version_stale");
    let rows = office.store.rows(&office.scope);
    let agent = &rows.agents[&party(5)];
    assert_eq!(
        (agent.display_name.as_deref(), agent.state, agent.version),
        (Some("Mona"), Suspended, 1)
    );
    let event = &rows.events[0];
    assert_eq!(
        (event.kind, &event.payload),
        (
            "agent.edited",
            &serde_json::json!({ "changes": { "state": ["active", "suspended"] }, "renamed": true })
        )
    );
}

#[tokio::test]
async fn p20_nobody_is_placed_under_themselves_or_below_themselves() {
    let office = office();
    for (id, parent, refused) in [
        (1, Some(1), "agent_tree_cycle"),
        (1, Some(4), "agent_tree_cycle"),
        (2, Some(4), "agent_tree_cycle"),
        (2, Some(9), "agent_parent_not_found"),
        (9, Some(1), "agent_not_found"),
    ] {
        assert_eq!(
            office.place(id, 0, parent).await,
            refused,
            "{id} under {parent:?}"
        );
    }
    assert_eq!(
        office.place(2, 0, Some(1)).await,
        "done",
        "it stands there already"
    );
    assert!(office.store.rows(&office.scope).events.is_empty());
}

#[tokio::test]
async fn more_than_a_site_can_wait_for_is_not_moved_at_once() {
    let office = office();
    office.store.arrange(&office.scope, |rows| {
        let crowd = (100..25_100).map(party);
        rows.parents.extend(crowd.map(|member| (member, party(2))));
    });
    // One level up before, two after.
    assert_eq!(office.place(2, 0, Some(3)).await, "agent_subtree_too_large");
    assert_eq!(office.place(2, 0, None).await, "done");
}

#[tokio::test]
async fn what_is_placed_takes_along_what_is_below_it() {
    let office = office();
    assert_eq!(office.place(2, 1, Some(3)).await, "version_stale");
    assert_eq!(office.place(2, 0, Some(3)).await, "done");
    assert_eq!(office.place(2, 1, None).await, "done");
    let rows = office.store.rows(&office.scope);
    assert_eq!(rows.parents.get(&party(2)), None);
    assert_eq!(rows.parents.get(&party(4)), Some(&party(2)));
    let placed: Vec<_> = rows
        .events
        .iter()
        .map(|event| (event.kind, event.payload["moved"].clone()))
        .collect();
    assert_eq!(placed, [("agent.placed", 2.into()), ("agent.placed", 2.into())]);
}

#[tokio::test]
async fn p21_a_statement_opens_where_the_last_one_closed_and_missing_months_are_made_up_for() {
    let office = office();
    office.posted(1, at(3), 1000);
    office.posted(1, at(40), 500);
    office.posted(1, at(41), -200);
    // February ends 59 days into the year, and what is posted then is of March.
    office.posted(1, at(59), 7);
    assert_eq!(office.state(Tz::UTC, "2026-02").await, 2);
    assert_eq!(office.state(Tz::UTC, "2026-02").await, 0, "what is there stays");
    assert_eq!(office.state(Tz::UTC, "2026-04").await, 2);
    let rows = office.store.rows(&office.scope);
    let of = |statement: &Statement| {
        (
            statement.number,
            statement.month.to_string(),
            statement.opening.minor(),
            statement.closing.minor(),
            statement.lines,
        )
    };
    assert_eq!(
        rows.statements.iter().map(of).collect::<Vec<_>>(),
        [
            (1, "2026-01".to_owned(), 0, 1000, 1),
            (2, "2026-02".to_owned(), 1000, 1300, 2),
            (3, "2026-03".to_owned(), 1300, 1307, 1),
            (4, "2026-04".to_owned(), 1307, 1307, 0),
        ]
    );
}

#[tokio::test]
async fn a_month_that_is_not_over_has_no_statement_yet() {
    let office = office();
    office.posted(1, at(0), 1000);
    let of = |zone| {
        office.agents.make_statements_of(
            &office.scope,
            zone,
            "2026-01".parse().expect("a month"),
            party(1),
            None,
        )
    };
    office.clock.advance(Duration::days(31) - Duration::seconds(1));
    assert_eq!(code(of(Tz::UTC).await), "statement_month_not_over");
    assert_eq!(
        code(of(Tz::Asia__Kuwait).await),
        "done",
        "where the month is over"
    );
    assert_eq!(office.store.rows(&office.scope).statements.len(), 1);
}

#[tokio::test]
async fn a_site_that_moves_to_another_time_zone_leaves_no_gap_between_statements() {
    let office = office();
    office.posted(1, at(0), 1000);
    assert_eq!(office.state(Tz::Asia__Kuwait, "2026-01").await, 1);
    assert_eq!(office.state(Tz::America__New_York, "2026-02").await, 1);
    let rows = office.store.rows(&office.scope);
    assert_eq!(rows.statements[0].span.to, rows.statements[1].span.from);
}

proptest! {
    #[test]
    fn p21_statements_sum_to_the_account_whatever_was_posted(
        posted in prop::collection::vec((0_i64..400, 0_i64..86_400, -1_000_000_i64..=1_000_000), 1..40),
        zone in prop::sample::select(vec![Tz::UTC, Tz::Asia__Kuwait, Tz::America__New_York, Tz::Pacific__Apia]),
    ) {
        let office = office();
        for (day, second, minor) in posted.iter().filter(|(_, _, minor)| *minor != 0) {
            office.posted(1, at(*day) + Duration::seconds(*second), *minor);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            office.state(zone, "2026-03").await;
            office.state(zone, "2027-12").await;
        });
        let rows = office.store.rows(&office.scope);
        for pair in rows.statements.windows(2) {
            prop_assert_eq!(pair[0].closing, pair[1].opening);
            prop_assert_eq!(pair[0].span.to, pair[1].span.from);
            prop_assert_eq!(pair[0].number + 1, pair[1].number);
        }
        let sum: i64 = posted.iter().map(|(_, _, minor)| minor).sum();
        let lines = posted.iter().filter(|(_, _, minor)| *minor != 0).count();
        prop_assert_eq!(rows.statements.last().map_or(0, |last| last.closing.minor()), sum);
        prop_assert_eq!(rows.statements.iter().map(|one| one.lines as usize).sum::<usize>(), lines);
    }
}
