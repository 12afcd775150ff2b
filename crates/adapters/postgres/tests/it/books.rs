//! No money state without its entry, and accounts as of any time.

use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::{Begin as _, EntryId, Money, PageRequest};
use posx_ledger::{
    Account, AccountStatement, Entry, EntryKind, LedgerQueries as _, StatementOf, TrialBalanceRow, Unit,
};
use posx_tiers::TiersTx;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};
use uuid::Uuid;

use crate::server::{connect, shared, superuser};
use crate::world::{World, new_id, noon, usd};

/// Writes that leave every other rule in peace, and the constraint that refuses each at the commit. `$1` is the site, `$2` a
/// new id.
const WITHOUT_ENTRY: &[(&str, &str)] = &[
    ("update orders set captured = captured + 1 where captured > 0", "orders_booked"),
    ("update orders set refunded = refunded + 1 where captured > refunded", "orders_booked"),
    ("update orders set returned = returned + 1 where captured > 0", "orders_booked"),
    (
        "insert into orders (site_id, id, number, kind, buyer_id, lifecycle, payment, delivery, currency, subtotal, total,
           captured, chain, wallet_address, placed_at, expires_at)
         select site_id, $2::uuid, $2::uuid::text, kind, buyer_id, lifecycle, payment, delivery, currency, subtotal - discount, subtotal - discount,
           captured, chain, wallet_address, placed_at, expires_at from orders where captured > 0 limit 1",
        "orders_booked",
    ),
    (
        "update refunds set state = case state when 'succeeded' then 'failed' else 'succeeded' end where true",
        "refunds_booked",
    ),
    (
        "insert into refunds (site_id, id, order_id, attempt_id, currency, amount, reason, origin, state, created_at, updated_at)
         select r.site_id, $2::uuid, r.order_id, r.attempt_id, r.currency, 1, 'other', 'provider', 'pending', r.created_at, r.updated_at
         from refunds r where true limit 1",
        "refunds_booked",
    ),
    ("update disputes set withdrawn = withdrawn + 1 where true", "disputes_booked"),
    ("update disputes set lost = lost + 1 where true", "disputes_booked"),
    (
        "insert into disputes (site_id, id, order_id, attempt_id, provider, provider_dispute_id, currency, amount, reason, state,
           provider_state, refundable, withdrawn, revision, opened_at, asked_at)
         select site_id, $2::uuid, order_id, attempt_id, provider, $2::uuid::text, currency, amount, reason, 'open', 'needs_response', false, 5, 1,
           opened_at, asked_at from disputes where true limit 1",
        "disputes_booked",
    ),
    ("update commissions set amount = amount + 1 where true", "commissions_booked"),
    (
        "insert into commissions (site_id, id, order_id, agent_id, level, rate, currency, base, amount, state, hold_until, plan_id,
           created_at, updated_at)
         select site_id, $2::uuid, order_id, agent_id, 9, rate, currency, base, amount, 'held', hold_until, plan_id, created_at, updated_at
         from commissions where true limit 1",
        "commissions_booked",
    ),
    (
        "with one as (
           update commissions set reversed = reversed + 1 where reversed < amount returning site_id, id, order_id, currency, reversed)
         insert into commission_adjustments (site_id, id, commission_id, order_id, number, kind, currency, amount, reversed_before,
           reversed_after, returned, total, at)
         select site_id, $2::uuid, id, order_id, 99, 'reversal', currency, 1, reversed - 1, reversed, 1, 1, now() from one",
        "commission_adjustments_booked",
    ),
    ("update payouts set state = 'cancelled' where state = 'approved'", "payouts_booked"),
    (
        "update payouts set state = 'done', reference = 'x' where state = 'sending'",
        "payouts_booked",
    ),
    (
        "insert into payouts (site_id, id, agent_id, currency, amount, method, state, tries, created_at, updated_at)
         select site_id, $2::uuid, agent_id, currency, amount, 'manual', 'requested', 0, created_at, updated_at from payouts where true limit 1",
        "payouts_booked",
    ),
    (
        "insert into write_offs (site_id, id, agent_id, currency, amount, reason, at)
         select site_id, $2::uuid, agent_id, currency, 1, reason, at from write_offs where true limit 1",
        "write_offs_booked",
    ),
];

impl World {
    /// Every kind of money moved once: sold with a share, refunded in part and in whole, disputed, paid out, given up, closed.
    pub async fn with_money() -> Self {
        let world = Self::new().await;
        world.plan().await;
        let alice = world.member(None).await;
        let bob = world.member(Some(alice.referral_code.as_str())).await;
        let tier = world.tier_with(3, 10_000, Some(3)).await;
        let order = world.place(&bob, tier, 2).await.expect("placed");
        world.pay(&order).await;
        let accrued = world.commissions.accrue(&world.scope, order.id).await;
        accrued.expect("accrued");
        world.partly_goes_back(order.id).await;
        world.uses_a_code(&bob, tier).await;
        world.pay_twice(&order).await;
        world.was_disputed(&order).await;
        world.pays_agents().await;
        world.closes_its_books().await;
        world
    }
}

#[tokio::test]
async fn p31_no_money_state_is_written_without_its_entry() {
    let world = World::with_money().await;
    let mut admin = superuser().await;
    let mut refused_somewhere = 0;
    for (sql, expected) in WITHOUT_ENTRY {
        let mut tx = admin.begin().await.expect("a transaction");
        let set = format!("set local app.current_site_id = '{}'", world.site.id.as_uuid());
        tx.execute(AssertSqlSafe(set)).await.expect("set");
        let sql = sql
            .replace(" where ", " where site_id = $1 and ")
            .replace("from refunds r where site_id", "from refunds r where r.site_id");
        let mut query = sqlx::query(AssertSqlSafe(sql.as_str())).bind(world.site.id.as_uuid());
        if sql.contains("$2") {
            query = query.bind(new_id());
        }
        let written = query.execute(&mut *tx).await.expect(&sql);
        // A lived-in site has no payout in every state.
        if written.rows_affected() == 0 && expected == &"payouts_booked" {
            continue;
        }
        assert!(written.rows_affected() > 0, "{sql}");
        let refused = tx.commit().await.expect_err(&sql);
        let error = refused.into_database_error().expect("by the database");
        assert_eq!(error.constraint(), Some(*expected), "{sql}");
        refused_somewhere += 1;
    }
    assert!(
        refused_somewhere >= WITHOUT_ENTRY.len() - 1,
        "{refused_somewhere}"
    );
}

/// The wrong amount, the wrong order's entry, the entry that was used before: each of them came along, and none is enough.
#[tokio::test]
async fn p31_another_entry_of_the_kind_excuses_nothing() {
    let world = World::new().await;
    let (tier, buyer) = (world.tier(9, 10_000).await, world.member(None).await);
    let [order, other] = [
        world.place(&buyer, tier, 1).await.expect("placed"),
        world.place(&buyer, tier, 1).await.expect("placed"),
    ];
    world.pay(&order).await;
    world.pay(&other).await;
    let mut tx = world.begin().await;
    let attempts = [
        tx.attempts().of_order(order.id).await.expect("a read")[0]
            .id
            .as_uuid(),
        tx.attempts().of_order(other.id).await.expect("a read")[0]
            .id
            .as_uuid(),
    ];
    drop(tx);
    for (cause, part, minor, column, fits) in [
        (attempts[0], "more", 4, 5, false),
        (attempts[1], "more", 5, 5, false),
        (new_id(), "", 5, 5, false),
        (attempts[0], "more", 5, 5, true),
    ] {
        let mut tx = world.begin().await;
        let entry = captured(cause, noon(), minor).with_part(part);
        tx.ledger().post(&entry).await.expect("posted");
        let mut changed = tx
            .orders()
            .for_update(order.id)
            .await
            .expect("a read")
            .expect("it");
        changed.captured = changed.captured.checked_add(usd(column)).expect("a sum");
        tx.orders().save(&changed).await.expect("saved");
        let done = tx.commit().await;
        let refused = done.as_ref().err().and_then(|error| error.constraint_name());
        assert_eq!(refused, (!fits).then_some("orders_booked"), "{cause} {minor}");
    }
}

fn captured(cause: Uuid, at: DateTime<Utc>, minor: i64) -> Entry {
    Entry::of_money(
        EntryId::from_uuid(new_id()),
        EntryKind::PaymentCaptured,
        cause,
        at,
        usd(minor),
        Account::ProviderClearing,
        Account::Sales,
    )
}

/// A process that runs on while the next release is rolled out does not name the new column.
#[tokio::test]
async fn a_process_of_the_release_before_posts_as_it_did() {
    let world = World::new().await;
    let mut app = connect(&shared().app_url).await;
    let mut tx = app.begin().await.expect("a transaction");
    let set = format!("set local app.current_site_id = '{}'", world.site.id.as_uuid());
    tx.execute(AssertSqlSafe(set)).await.expect("set");
    let entry = new_id();
    sqlx::query(
        "with made as (
           insert into accounts (code, unit, class) values ('sales', 'USD', 'income'), ('provider:clearing', 'USD', 'asset')),
         posted as (
           insert into entries (id, kind, cause_id, cause_part, posted_at)
           values ($1, 'payment.captured', $1, '', '2026-05-01T00:00:00Z') on conflict do nothing returning id)
         insert into postings (entry_id, line, account, unit, amount)
         select p.entry, p.line, p.account, p.unit, p.amount
         from (values ($1, 0::smallint, 'sales', 'USD', 5), ($1, 1::smallint, 'provider:clearing', 'USD', -5))
           as p (entry, line, account, unit, amount)
         join posted on posted.id = p.entry",
    )
    .bind(entry)
    .execute(&mut *tx)
    .await
    .expect("posted");
    tx.commit().await.expect("committed");
    let dated: i64 = sqlx::query(
        "select count(*) from postings where entry_id = $1 and posted_at = '2026-05-01T00:00:00Z'",
    )
    .bind(entry)
    .fetch_one(&mut superuser().await)
    .await
    .expect("a count")
    .get(0);
    assert_eq!(dated, 2);
}

#[tokio::test]
async fn p31_a_posting_is_dated_as_its_entry() {
    let world = World::new().await;
    let mut app = connect(&shared().app_url).await;
    let mut tx = app.begin().await.expect("a transaction");
    let set = format!("set local app.current_site_id = '{}'", world.site.id.as_uuid());
    tx.execute(AssertSqlSafe(set)).await.expect("set");
    let entry = new_id();
    for sql in [
        "insert into accounts (code, unit, class) select c, 'USD', 'asset' from unnest(array['sales', 'bank']) c where $1::uuid is not null",
        "insert into entries (id, kind, cause_id, posted_at) values ($1, 'payment.captured', $1, '2026-05-01')",
        "insert into postings (entry_id, line, account, unit, amount, posted_at)
         values ($1, 0, 'sales', 'USD', 5, '2026-05-02'), ($1, 1, 'bank', 'USD', -5, '2026-05-02')",
    ] {
        sqlx::query(sql).bind(entry).execute(&mut *tx).await.expect(sql);
    }
    let refused = tx.commit().await.expect_err("another day");
    let error = refused.into_database_error().expect("by the database");
    assert_eq!(error.constraint(), Some("entries_balance"));
}

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
