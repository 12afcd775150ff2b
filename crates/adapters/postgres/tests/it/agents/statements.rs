//! Statements: a cut that no later commit falls before.

use std::sync::Arc;
use std::time::Duration as Wait;

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use posx_commissions::testing::{AgentsGiven, agents_contract};
use posx_commissions::{AgentQueries as _, AgentsTx, Month, Span, Stated, Statement, StatementView, Whom};
use posx_kernel::{
    Begin, Clock as _, EntryId, Money, PageRequest, PartyId, Refusal as _, StatementId, StoreError,
    retry_busy,
};
use posx_ledger::{Account, Entry, EntryKind};
use posx_orders::OrdersTx;
use sqlx::Row as _;

use crate::server::superuser;
use crate::world::{World, new_id, noon, usd};

fn month(text: &str) -> Month {
    text.parse().expect("a month")
}

/// Credits the agent, or with a negative amount takes from it.
fn entry(agent: PartyId, minor: i64, at: DateTime<Utc>) -> Entry {
    let (payable, expense) = (Account::CommissionPayable(agent), Account::CommissionExpense);
    let (kind, debit, credit) = if minor < 0 {
        (EntryKind::CommissionReversed, payable, expense)
    } else {
        (EntryKind::CommissionAccrued, expense, payable)
    };
    let (id, cause, amount) = (EntryId::from_uuid(new_id()), new_id(), usd(minor.abs()));
    Entry::of_money(id, kind, cause, at, amount, debit, credit)
}

impl World {
    pub fn clock_now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    async fn post(&self, agent: PartyId, minor: i64, at: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx: Box<dyn OrdersTx> = self.database.begin(&self.scope).await?;
        tx.ledger().post(&entry(agent, minor, at)).await?;
        tx.commit().await
    }

    async fn state(&self, of: Month) -> Stated {
        let stated = self
            .agents()
            .make_statements(&self.scope, Tz::UTC, of, None)
            .await;
        stated.expect("stated")
    }

    /// Oldest first.
    async fn statements(&self, agent: PartyId) -> Vec<StatementView> {
        let page = PageRequest::new(Some(100), None);
        let found = self.database.statements(&self.scope, agent, None, page).await;
        let mut items = found.expect("statements").items;
        items.sort_by_key(|statement| statement.number);
        items
    }

    async fn account(&self, agent: PartyId) -> i64 {
        let sql =
            "select coalesce(-sum(amount), 0)::bigint from postings where site_id = $1 and account = $2";
        let row = sqlx::query(sql)
            .bind(self.site.id.as_uuid())
            .bind(Account::CommissionPayable(agent).code())
            .fetch_one(&mut superuser().await)
            .await;
        row.expect("a sum").get(0)
    }
}

#[tokio::test]
async fn agents_pass_their_contract() {
    let (world, elsewhere) = (World::with_pool(1).await, World::new().await);
    let mut parties = [world.member(None).await.party; 4];
    for party in &mut parties[1..] {
        *party = world.member(None).await.party;
    }
    let earner = world.member(None).await.party;
    for (days, minor) in [(0, 1000), (1, -300), (41, 100)] {
        world
            .post(earner, minor, noon() + Duration::days(days))
            .await
            .expect("posted");
    }
    let given = AgentsGiven {
        scope: world.scope.clone(),
        elsewhere: elsewhere.scope,
        parties,
        earner,
        first_at: noon(),
    };
    let db: Arc<dyn Begin<dyn AgentsTx>> = Arc::new(world.database);
    agents_contract(db, &given).await;
}

#[tokio::test]
async fn p21_the_last_closing_is_the_account_and_each_line_is_in_one_statement() {
    let world = World::new().await;
    let (alice, bob) = (world.member(None).await.party, world.member(None).await.party);
    let june = month("2026-06");
    for (agent, minor, days) in [(alice, 1000, 0), (alice, -300, 1), (alice, 50, 30), (bob, 7, 70)] {
        world
            .post(agent, minor, noon() + Duration::days(days))
            .await
            .expect("posted");
    }
    assert_eq!(
        world.state(june).await.statements,
        1,
        "who has nothing yet has no statement"
    );
    assert_eq!(world.state(june).await.statements, 0);
    assert_eq!(world.state(month("2026-08")).await.statements, 3);
    let of = |one: &StatementView| (one.number, one.opening.minor(), one.closing.minor(), one.lines);
    let alices = world.statements(alice).await;
    assert_eq!(
        alices.iter().map(of).collect::<Vec<_>>(),
        [(1, 0, 700, 2), (2, 700, 750, 1), (3, 750, 750, 0)]
    );
    assert_eq!(world.account(alice).await, 750);
    let mut seen = Vec::new();
    for statement in &alices {
        let lines = world
            .database
            .statement_lines(&world.scope, statement, None, 100)
            .await
            .expect("lines");
        seen.extend(lines.iter().map(|line| line.amount.minor()));
    }
    seen.sort_unstable();
    assert_eq!(seen, [-300, 50, 1000]);
    assert_eq!(world.statements(bob).await.len(), 1);
    let elsewhere = World::new().await;
    let foreign = elsewhere
        .database
        .statement(&elsewhere.scope, alices[0].id, None)
        .await;
    assert_eq!(foreign.expect("a read"), None);
    let others = world
        .database
        .statement(&world.scope, alices[0].id, Some(bob))
        .await;
    assert_eq!(others.expect("a read"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn p21_a_statement_waits_for_who_is_posting_and_has_what_they_posted() {
    let world = World::with_pool(4).await;
    let alice = world.member(None).await.party;
    world.post(alice, 100, noon()).await.expect("posted");
    let mut slow: Box<dyn OrdersTx> = world.database.begin(&world.scope).await.expect("a transaction");
    slow.ledger()
        .post(&entry(alice, 11, noon() + Duration::days(29)))
        .await
        .expect("posted");
    let (agents, scope) = (world.agents(), world.scope.clone());
    let stating = tokio::spawn(async move {
        agents
            .make_statements(&scope, Tz::UTC, month("2026-06"), None)
            .await
    });
    tokio::time::sleep(Wait::from_millis(300)).await;
    assert!(!stating.is_finished(), "it waits");
    slow.commit().await.expect("committed");
    assert_eq!(stating.await.expect("no panic").expect("stated").statements, 1);
    assert_eq!(world.statements(alice).await[0].closing, usd(111));
}

#[tokio::test(flavor = "multi_thread")]
async fn p21_what_comes_after_a_statement_is_not_dated_before_its_end() {
    let world = World::with_pool(4).await;
    let alice = world.member(None).await.party;
    world.post(alice, 100, noon()).await.expect("posted");
    let end = month("2026-06").end(Tz::UTC);
    let mut tx: Box<dyn AgentsTx> = world.database.begin(&world.scope).await.expect("a transaction");
    let heads = tx
        .statements()
        .lock_due(end, Whom::One(alice), 1)
        .await
        .expect("locked");
    assert_eq!(heads.len(), 1);
    let late = entry(alice, 11, end - Duration::microseconds(1));
    let database = (world.database.clone(), world.scope.clone());
    let posting = tokio::spawn(async move {
        let mut tx: Box<dyn OrdersTx> = database.0.begin(&database.1).await?;
        tx.ledger().post(&late).await?;
        tx.commit().await
    });
    tokio::time::sleep(Wait::from_millis(300)).await;
    assert!(!posting.is_finished(), "it waits");
    let span = Span {
        from: month("2026-06").start(Tz::UTC),
        to: end,
    };
    let sums = tx
        .statements()
        .sums(&[(alice, heads[0].currency, span)])
        .await
        .expect("sums");
    let statement = statement(alice, 1, usd(0), sums[0].credits, span);
    tx.statements().insert(&[statement]).await.expect("stored");
    tx.commit().await.expect("committed");
    let refused = posting.await.expect("no panic").expect_err("refused");
    assert_eq!(
        refused.code(),
        StoreError::BUSY,
        "the use case is tried again, with the time as it is then"
    );
    world
        .post(alice, 11, end)
        .await
        .expect("what is dated at the end is of the next month");
    assert_eq!(world.account(alice).await, 111);
    assert_eq!(world.statements(alice).await[0].closing, usd(100));
}

fn statement(agent: PartyId, number: u32, opening: Money, credits: Money, span: Span) -> Statement {
    Statement {
        id: StatementId::from_uuid(new_id()),
        agent,
        number,
        month: Month::of(span.from, Tz::UTC).expect("a month"),
        zone: Tz::UTC,
        span,
        opening,
        credits,
        debits: usd(0),
        closing: opening.checked_add(credits).expect("small"),
        lines: 1,
        at: span.to,
    }
}

#[tokio::test]
async fn p21_the_database_refuses_a_statement_that_does_not_open_where_the_last_closed() {
    let world = World::new().await;
    let alice = world.member(None).await.party;
    world.post(alice, 100, noon()).await.expect("posted");
    world.state(month("2026-06")).await;
    let july = Span {
        from: month("2026-07").start(Tz::UTC),
        to: month("2026-07").end(Tz::UTC),
    };
    let later = Span {
        from: july.from + Duration::seconds(1),
        ..july
    };
    for (number, opening, span) in [
        (2, 99, july),
        (2, 100, later),
        (3, 100, july),
        (1, 100, july),
        (2, 0, july),
    ] {
        let mut tx: Box<dyn AgentsTx> = world.database.begin(&world.scope).await.expect("a transaction");
        let wrong = statement(alice, number, usd(opening), usd(1), span);
        let refused = tx.statements().insert(&[wrong]).await;
        let name = refused.expect_err("refused").constraint_name().map(str::to_owned);
        assert!(
            name.is_some_and(|name| name.starts_with("agent_statements_")),
            "{number} {opening}"
        );
    }
    let mut tx: Box<dyn AgentsTx> = world.database.begin(&world.scope).await.expect("a transaction");
    let right = statement(alice, 2, usd(100), usd(0), july);
    tx.statements().insert(&[right]).await.expect("stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn p21_under_a_storm_of_postings_statements_still_sum_to_the_account() {
    let world = World::with_pool(8).await;
    let mut agents = Vec::new();
    for _ in 0..3 {
        agents.push(world.member(None).await.party);
    }
    let (world, agents) = (&world, &agents);
    for agent in agents {
        world.post(*agent, 1, noon()).await.expect("posted");
    }
    // Everybody posts at what the clock says, as the months go by.
    let posting = (0..60_i64).map(|number| async move {
        let agent = agents[usize::try_from(number % 3).expect("small")];
        retry_busy(|| {
            world.post(
                agent,
                (number + 1) * if number % 5 == 0 { -1 } else { 1 },
                world.clock_now(),
            )
        })
        .await
        .expect("posted");
        world.clock.advance(Duration::hours(36));
    });
    let stating = (0..12).map(|_| async {
        let Some(over) = Month::last_over(world.clock_now(), Tz::UTC) else {
            return;
        };
        world.state(over).await;
        tokio::time::sleep(Wait::from_millis(10)).await;
    });
    tokio::join!(futures::future::join_all(posting), async {
        for one in stating {
            one.await;
        }
    });
    world.clock.advance(Duration::days(40));
    let last = Month::last_over(world.clock_now(), Tz::UTC).expect("a month");
    world.state(last).await;
    for agent in agents {
        let statements = world.statements(*agent).await;
        for pair in statements.windows(2) {
            assert_eq!((pair[0].closing, pair[0].to), (pair[1].opening, pair[1].from));
        }
        let mut lines = 0;
        for statement in &statements {
            let of_it = world
                .database
                .statement_lines(&world.scope, statement, None, 1000)
                .await
                .expect("lines");
            let sum: i64 = of_it.iter().map(|line| line.amount.minor()).sum();
            assert_eq!(statement.opening.minor() + sum, statement.closing.minor());
            lines += of_it.len();
        }
        assert_eq!(
            statements.last().expect("one").closing.minor(),
            world.account(*agent).await
        );
        assert_eq!(lines, 21);
    }
}
