//! What every store of agents must do, checked through its ports.

use std::sync::Arc;

use chrono::Duration;
use chrono_tz::Tz;
use posx_kernel::{Begin, Money, PartyId, SiteScope, StatementId, Timestamp};
use uuid::Uuid;

use crate::{AccountHead, Agent, AgentState, AgentsTx, Month, Span, Statement, Sums, Whom};

/// What the caller has put into the store.
#[derive(Debug)]
pub struct AgentsGiven {
    pub scope: SiteScope,
    /// Another site, with nothing in it.
    pub elsewhere: SiteScope,
    /// Nobody stands above or below them, and nobody wrote about them.
    pub parties: [PartyId; 4],
    /// Got 10.00, a day later lost 3.00, and got 1.00 forty days later: in one currency, the first at noon of the first of June 2026,
    /// by UTC.
    pub earner: PartyId,
    pub first_at: Timestamp,
}

/// Runs on a store in which only [`AgentsGiven`] is. Leaves it changed.
pub async fn agents_contract(db: Arc<dyn Begin<dyn AgentsTx>>, given: &AgentsGiven) {
    a_profile_is_saved_by_version(db.as_ref(), given).await;
    what_is_placed_stands_there_with_what_is_below(db.as_ref(), given).await;
    statements_follow_each_other(db.as_ref(), given).await;
}

async fn begin(db: &dyn Begin<dyn AgentsTx>, scope: &SiteScope) -> Box<dyn AgentsTx> {
    db.begin(scope).await.expect("a transaction")
}

async fn a_profile_is_saved_by_version(db: &dyn Begin<dyn AgentsTx>, given: &AgentsGiven) {
    let id = given.parties[0];
    let mut tx = begin(db, &given.scope).await;
    let unwritten = tx.agents().find(id).await.expect("a read").expect("the party");
    assert_eq!((unwritten.version, unwritten.state), (0, AgentState::Active));
    assert_eq!(unwritten.display_name, None);
    for (seen, state) in [
        (0, AgentState::Suspended),
        (1, AgentState::Suspended),
        (2, AgentState::Active),
    ] {
        let agent = Agent {
            display_name: Some("Mona".to_owned()),
            state,
            version: seen + 1,
            ..unwritten.clone()
        };
        let at = given.first_at;
        assert!(tx.agents().save(&agent, seen, at).await.expect("saved"));
        assert!(
            !tx.agents().save(&agent, seen, at).await.expect("a value"),
            "another version is stored"
        );
        assert_eq!(tx.agents().find(id).await.expect("a read"), Some(agent));
    }
    tx.commit().await.expect("committed");
    let mut tx = begin(db, &given.elsewhere).await;
    assert_eq!(tx.agents().find(id).await.expect("a read"), None);
}

async fn what_is_placed_stands_there_with_what_is_below(db: &dyn Begin<dyn AgentsTx>, given: &AgentsGiven) {
    let [top, middle, low, other] = given.parties;
    let at = given.first_at;
    let mut tx = begin(db, &given.scope).await;
    let agents = tx.agents();
    agents.lock_tree().await.expect("locked");
    for (party, parent, moved) in [
        (low, Some(middle), 1),
        (middle, Some(top), 2),
        (middle, Some(other), 2),
        (middle, None, 2),
        (middle, Some(top), 2),
    ] {
        assert_eq!(
            agents.place(party, parent, at).await.expect("placed"),
            moved,
            "{party} {parent:?}"
        );
        assert_eq!(agents.parent(party).await.expect("a read"), parent);
    }
    for (party, depth, below) in [(top, 0, 2), (middle, 1, 1), (low, 2, 0), (other, 0, 0)] {
        assert_eq!(agents.depth(party).await.expect("a read"), depth, "{party}");
        assert_eq!(agents.below(party, 10).await.expect("a read"), below, "{party}");
    }
    assert_eq!(
        agents.below(top, 1).await.expect("a read"),
        1,
        "counted no further"
    );
    for (upper, lower, above) in [
        (top, low, true),
        (middle, low, true),
        (other, low, false),
        (low, top, false),
        (low, low, false),
    ] {
        assert_eq!(
            agents.is_above(upper, lower).await.expect("a read"),
            above,
            "{upper} {lower}"
        );
    }
    tx.commit().await.expect("committed");
}

fn span(month: Month) -> Span {
    Span {
        from: month.start(Tz::UTC),
        to: month.end(Tz::UTC),
    }
}

async fn due(tx: &mut dyn AgentsTx, end: Timestamp, whom: Whom) -> Vec<AccountHead> {
    tx.statements().lock_due(end, whom, 10).await.expect("heads")
}

async fn statements_follow_each_other(db: &dyn Begin<dyn AgentsTx>, given: &AgentsGiven) {
    let june = Month::of(given.first_at, Tz::UTC).expect("a month");
    let july = june.next().expect("a month");
    let mut tx = begin(db, &given.scope).await;
    let tx_ref = tx.as_mut();
    let one = Whom::One(given.earner);
    assert_eq!(
        due(tx_ref, given.first_at, one).await,
        [],
        "the end is not part of a month"
    );
    let heads = due(tx_ref, span(june).to, Whom::After(None)).await;
    assert_eq!(heads.len(), 1);
    let head = &heads[0];
    assert_eq!(
        (head.agent, head.last, head.first_posted_at),
        (given.earner, None, given.first_at)
    );
    assert_eq!(
        due(tx_ref, span(june).to, Whom::After(Some(given.earner))).await,
        []
    );
    sums_are_of_their_time(tx_ref, head, [june, july], given).await;
    let money = |minor| Money::from_minor(minor, head.currency);
    let statement = Statement {
        id: StatementId::from_uuid(Uuid::from_u128(given.earner.as_uuid().as_u128() ^ 1)),
        agent: given.earner,
        number: 1,
        month: june,
        zone: Tz::UTC,
        span: span(june),
        opening: money(0),
        credits: money(1000),
        debits: money(300),
        closing: money(700),
        lines: 2,
        at: span(june).to,
    };
    tx_ref.statements().insert(&[statement]).await.expect("stored");
    assert_eq!(due(tx_ref, span(june).to, one).await, []);
    let next = due(tx_ref, span(july).to, one).await;
    let last = next[0].last.expect("the first");
    assert_eq!(
        (last.number, last.month, last.to, last.closing),
        (1, june, span(june).to, money(700))
    );
    tx.commit().await.expect("committed");
    let mut tx = begin(db, &given.elsewhere).await;
    assert_eq!(due(tx.as_mut(), span(july).to, Whom::After(None)).await, []);
}

async fn sums_are_of_their_time(
    tx: &mut dyn AgentsTx,
    head: &AccountHead,
    months: [Month; 2],
    given: &AgentsGiven,
) {
    let empty = Span {
        from: given.first_at + Duration::seconds(1),
        to: given.first_at + Duration::seconds(2),
    };
    let [june, july] = months.map(span);
    let asked = [june, empty, july].map(|span| (given.earner, head.currency, span));
    let sums = tx.statements().sums(&asked).await.expect("sums");
    let of = |sums: &Sums| (sums.credits.minor(), sums.debits.minor(), sums.lines);
    assert_eq!(
        sums.iter().map(of).collect::<Vec<_>>(),
        [(1000, 300, 2), (0, 0, 0), (100, 0, 1)]
    );
}
