//! No money state without its entry.

use chrono::{DateTime, Utc};
use posx_kernel::EntryId;
use posx_ledger::{Account, Entry, EntryKind};
use posx_orders::gateway::ProviderDisputeState;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
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
    // With its entry, and the order does not hear of it.
    (
        "with one as (select * from refunds r where true limit 1),
           asked as (
             insert into entries (id, kind, cause_id, posted_at) select $2::uuid, 'refund.requested', $2::uuid, now() from one),
           moved as (
             insert into postings (entry_id, line, account, unit, amount, posted_at)
             select $2::uuid, p.line, p.account, 'USD', p.amount, now()
             from one, (values (0::smallint, 'sales:returned', 1), (1::smallint, 'refunds:payable', -1)) as p (line, account, amount))
         insert into refunds (site_id, id, order_id, attempt_id, currency, amount, reason, origin, state, created_at, updated_at)
         select site_id, $2::uuid, order_id, attempt_id, currency, 1, 'other', 'provider', 'pending', created_at, updated_at from one",
        "orders_booked",
    ),
    ("update payment_attempts set received = received + 1 where received > 0", "payment_attempts_booked"),
    (
        "insert into payment_attempts (site_id, id, order_id, provider, currency, amount, received, state, created_at, updated_at)
         select site_id, $2::uuid, order_id, provider, currency, 5, 5, 'cancelled', created_at, updated_at
         from payment_attempts where true limit 1",
        "payment_attempts_booked",
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

/// Kinds of entries, and whose sums each is part of.
const CAUSES: &[(&str, &str)] = &[
    ("payment.captured", "payment_attempts"),
    ("refund.owed", "payment_attempts"),
    ("refund.requested", "refunds"),
    ("dispute.withdrawn", "disputes"),
    ("dispute.lost", "disputes"),
    ("commission.accrued", "commissions"),
    ("commission.reversed", "commission_adjustments"),
    ("commission.written_off", "write_offs"),
    ("payout.taken", "payouts"),
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
        world.delivers(&bob).await;
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
    let (of_attempts, of_orders) = (Some("payment_attempts_booked"), Some("orders_booked"));
    for (cause, part, minor, column, received, expected) in [
        (attempts[0], "more", 4, 5, 5, of_attempts),
        (attempts[0], "more", 4, 5, 4, of_orders),
        (attempts[1], "more", 5, 5, 0, of_attempts),
        (new_id(), "", 5, 5, 0, of_orders),
        (attempts[0], "more", 5, 5, 5, None),
    ] {
        let mut tx = world.begin().await;
        let entry = captured(cause, noon(), minor).with_part(part);
        tx.ledger().post(&entry).await.expect("posted");
        let mut attempt = tx.attempts().of_order(order.id).await.expect("a read").remove(0);
        if received > 0 {
            attempt.received = attempt.received.checked_add(usd(received)).expect("a sum");
            tx.attempts().save(&attempt).await.expect("saved");
        }
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
        assert_eq!(refused, expected, "{cause} {minor}");
    }
}

/// Nobody writes the row that it is about.
#[tokio::test]
async fn p31_an_entry_comes_no_second_time_under_another_part() {
    let (world, disputed) = (World::with_money().await, World::new().await);
    let (order, intent) = disputed.sold().await;
    let dispute = disputed
        .gateway
        .disputes(&intent, order.total, ProviderDisputeState::Lost);
    disputed
        .gateway
        .moves_disputed_money(&dispute, usd(-10_000), usd(1_500));
    let applied = disputed.orders.apply_dispute(&disputed.scope, &dispute).await;
    applied.expect("applied");
    let mut admin = superuser().await;
    for (kind, table) in CAUSES {
        let world = if *table == "disputes" { &disputed } else { &world };
        let again = format!(
            "with one as (
               select * from entries
               where site_id = $1 and kind = '{kind}' and cause_id in (select id from {table} where site_id = $1) limit 1),
             again as (
               insert into entries (id, kind, cause_id, cause_part, posted_at) select $2, kind, cause_id, 'x', now() from one)
             insert into postings (entry_id, line, account, unit, amount, posted_at)
             select $2, p.line, p.account, p.unit, p.amount, now()
             from one join postings p on p.site_id = one.site_id and p.entry_id = one.id"
        );
        let refused = refused_at_commit(&mut admin, world, &again).await;
        assert_eq!(refused, format!("{table}_booked"), "{kind}");
    }
    // More postings of one that is there.
    let more = "with one as (
           select * from entries where site_id = $1 and kind = 'payment.captured' and $2::uuid is not null limit 1)
         insert into postings (entry_id, line, account, unit, amount, posted_at)
         select one.id, p.line, p.account, 'USD', p.amount, one.posted_at
         from one, (values (2::smallint, 'provider:clearing', 5), (3::smallint, 'sales', -5)) as p (line, account, amount)";
    let refused = refused_at_commit(&mut admin, &disputed, more).await;
    assert_eq!(refused, "payment_attempts_booked");
}

/// The constraint. `$1` is the site, `$2` a new id.
async fn refused_at_commit(admin: &mut PgConnection, world: &World, sql: &str) -> String {
    let mut tx = admin.begin().await.expect("a transaction");
    let set = format!("set local app.current_site_id = '{}'", world.site.id.as_uuid());
    tx.execute(AssertSqlSafe(set)).await.expect("set");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(world.site.id.as_uuid());
    let written = query.bind(new_id()).execute(&mut *tx).await.expect(sql);
    assert!(written.rows_affected() > 0, "{sql}");
    let refused = tx.commit().await.expect_err(sql);
    let error = refused.into_database_error().expect("by the database");
    error.constraint().unwrap_or_default().to_owned()
}

pub fn captured(cause: Uuid, at: DateTime<Utc>, minor: i64) -> Entry {
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
