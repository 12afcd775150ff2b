//! Accounts as of any time.

use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::{Begin as _, EntryId, Money, PageRequest};
use posx_ledger::{
    Account, AccountStatement, Entry, EntryKind, LedgerQueries as _, StatementOf, TrialBalanceRow, Unit,
};
use posx_tiers::TiersTx;

use crate::books::captured;
use crate::world::{World, new_id, noon, usd};

impl World {
    async fn posts(&self, entry: &Entry) {
        let mut tx: Box<dyn TiersTx> = self.database.begin(&self.scope).await.expect("a transaction");
        tx.ledger().post(entry).await.expect("posted");
        tx.commit().await.expect("committed");
    }

    async fn statement(
        &self,
        from: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
        page: PageRequest,
    ) -> AccountStatement {
        let of = StatementOf {
            account: "sales".to_owned(),
            unit: Unit::Currency(usd(1).currency()),
            from,
            until,
        };
        let statement = self.database.statement(&self.scope, &of, page).await;
        statement.expect("a read").expect("the account")
    }
}

fn at(minute: i64) -> DateTime<Utc> {
    noon() + TimeDelta::minutes(minute)
}

fn whole() -> PageRequest {
    PageRequest::new(Some(100), None)
}

fn sums(statement: &AccountStatement) -> [&str; 4] {
    [
        &statement.opening,
        &statement.debit,
        &statement.credit,
        &statement.closing,
    ]
}

/// Ten sales of 1, 2, 3 … cents, a minute apart; the third is taken back in the minute of the seventh.
async fn ten_sales() -> World {
    let world = World::new().await;
    for minute in 1..=10 {
        world.posts(&captured(new_id(), at(minute), minute)).await;
    }
    let back = Entry::of_money(
        EntryId::from_uuid(new_id()),
        EntryKind::PaymentCaptured,
        new_id(),
        at(7),
        Money::from_minor(-3, usd(1).currency()),
        Account::ProviderClearing,
        Account::Sales,
    );
    world.posts(&back).await;
    world
}

#[tokio::test]
async fn p21_a_statement_opens_where_the_one_before_closed_and_its_lines_lead_from_one_to_the_other() {
    let world = ten_sales().await;
    let all = world.statement(None, None, whole()).await;
    assert_eq!(sums(&all), ["0", "3", "55", "-52"]);
    let lines: Vec<_> = all
        .lines
        .items
        .iter()
        .map(|line| (line.amount.as_str(), line.balance.as_str()))
        .collect();
    assert_eq!(
        (lines.len(), lines[0], lines[10]),
        (11, ("-1", "-1"), ("-10", "-52"))
    );
    let times = [None, Some(at(3)), Some(at(7)), Some(at(8)), None];
    let mut before = "0".to_owned();
    for ends in times.windows(2) {
        let part = world.statement(ends[0], ends[1], whole()).await;
        assert_eq!(part.opening, before, "{ends:?}");
        let last = part.lines.items.last().expect("a line");
        assert_eq!(last.balance, part.closing);
        assert_eq!(
            part.lines.items[0].posted_at,
            ends[0].unwrap_or_else(|| at(1)),
            "its beginning is in it"
        );
        before = part.closing;
    }
    assert_eq!(before, "-52");
    let empty = world.statement(Some(at(20)), Some(at(21)), whole()).await;
    assert_eq!(
        (sums(&empty), empty.lines.items.len()),
        (["-52", "0", "0", "-52"], 0)
    );
}

#[tokio::test]
async fn pages_of_a_statement_go_on_with_the_balance_of_the_page_before() {
    let world = ten_sales().await;
    let whole = world.statement(Some(at(2)), Some(at(10)), whole()).await;
    let (mut lines, mut after) = (Vec::new(), None);
    loop {
        let page = world
            .statement(Some(at(2)), Some(at(10)), PageRequest::new(Some(2), after))
            .await;
        assert_eq!(sums(&page), sums(&whole), "of the whole time on every page");
        lines.extend(page.lines.items);
        after = page.lines.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(lines, whole.lines.items);
    assert_eq!(lines.len(), 9, "two in one minute");
}

#[tokio::test]
async fn p01_p31_balances_are_as_of_any_time_and_another_sites_account_is_not_there() {
    let (world, elsewhere) = (ten_sales().await, World::new().await);
    let balance = |rows: &[TrialBalanceRow]| -> Vec<String> {
        rows.iter()
            .map(|row| format!("{} {}", row.account, row.balance))
            .collect()
    };
    for (as_of, expected) in [
        (Some(at(1)), "0"),
        (Some(at(1) + TimeDelta::microseconds(1)), "1"),
        (Some(at(8)), "25"),
        (None, "52"),
    ] {
        let rows = world
            .database
            .trial_balance(&world.scope, as_of)
            .await
            .expect("a read");
        let minus = if expected == "0" { "" } else { "-" };
        assert_eq!(
            balance(&rows),
            [
                format!("provider:clearing {expected}"),
                format!("sales {minus}{expected}")
            ],
            "{as_of:?}"
        );
        let accounts = world
            .database
            .accounts(&world.scope, as_of)
            .await
            .expect("a read");
        assert_eq!(accounts[0].balance, expected);
    }
    let of = StatementOf {
        account: "sales".to_owned(),
        unit: Unit::Currency(usd(1).currency()),
        from: None,
        until: None,
    };
    let statement = async |world: &World, of: &StatementOf| {
        let found = world.database.statement(&world.scope, of, whole()).await;
        found.expect("a read")
    };
    assert!(statement(&world, &of).await.is_some());
    assert!(statement(&elsewhere, &of).await.is_none());
    let other_unit = StatementOf {
        unit: Unit::Currency(posx_kernel::Currency::from_code("KWD").expect("KWD")),
        ..of
    };
    assert!(statement(&world, &other_unit).await.is_none());
}
