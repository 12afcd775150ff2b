//! What must be true of a site's books, one statement each: (subject or null, what is wrong). Each is a sabotage in the tests.

use async_trait::async_trait;
use posx_kernel::{SiteScope, StoreError};
use posx_ledger::{FAULTS_MAX, Fault, Invariant, InvariantQueries, Period, hash_of};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::periods::{all_closed, balances_before, stored_balances};
use crate::site_tx::SiteTx;

/// Far more than a large site needs: every row is looked at.
const PATIENCE: &str = "set local statement_timeout = '15min'";
/// Closed periods whose balances are counted again: the last year, by months. Of those before the stored ones are hashed.
const PERIODS: usize = 12;

#[async_trait]
impl InvariantQueries for Database {
    async fn faults(&self, scope: &SiteScope, invariant: Invariant) -> Result<Vec<Fault>, StoreError> {
        let mut tx = self.read_site_at_once(scope).await?;
        sqlx::query(PATIENCE).execute(tx.connection()).await.store()?;
        let Some(sql) = statement(invariant) else {
            return closed_periods(&mut tx).await;
        };
        let rows = sqlx::query(sql)
            .bind(i32::from(FAULTS_MAX))
            .fetch_all(tx.connection())
            .await
            .store()?;
        let fault = |row: &PgRow| {
            Ok(Fault {
                invariant: invariant.as_str(),
                subject: row.try_get(0).store()?,
                detail: row.try_get(1).store()?,
            })
        };
        rows.iter().map(fault).collect()
    }
}

/// `$1` is how many faults at most. None: it is more than a statement.
#[expect(
    clippy::too_many_lines,
    reason = "a flat list: one statement for each invariant"
)]
const fn statement(invariant: Invariant) -> Option<&'static str> {
    Some(match invariant {
        Invariant::ClosedPeriods => return None,
        Invariant::TrialBalance => {
            "select null::uuid, unit || ' is off by ' || sum(amount) from postings group by unit having sum(amount) <> 0 limit $1"
        }
        Invariant::EntriesBalance => {
            "select e.id, e.kind || ' has no postings, is off, or its postings are dated otherwise'
             from entries e left join postings p on p.site_id = e.site_id and p.entry_id = e.id
             group by e.site_id, e.id, e.kind, p.unit
             having coalesce(sum(p.amount), 1) <> 0 or bool_or(p.posted_at <> e.posted_at) limit $1"
        }
        // Orders that nobody paid have no entry to be compared with: their attempts and refunds are looked at by themselves.
        Invariant::OrdersBooked => {
            "select o.id, format('captured %s, refunded %s, returned %s of %s %s', o.captured, o.refunded, o.returned, o.total,
                                 o.currency)
             from orders o
             where (o.captured <> 0 or o.refunded <> 0 or o.returned <> 0
                 or exists (select from payment_attempts a where a.site_id = o.site_id and a.order_id = o.id and a.received <> 0))
               and not app.is_booked(o) limit $1"
        }
        Invariant::AttemptsBooked => {
            "select a.id, format('received %s %s', a.received, a.currency) from payment_attempts a where not app.is_booked(a) limit $1"
        }
        Invariant::RefundsBooked => {
            "select r.id, format('%s, %s %s', r.state, r.amount, r.currency) from refunds r where not app.is_booked(r) limit $1"
        }
        Invariant::DisputesBooked => {
            "select d.id, format('withdrawn %s, lost %s %s', d.withdrawn, d.lost, d.currency)
             from disputes d where not app.is_booked(d) limit $1"
        }
        Invariant::CommissionsBooked => {
            "select c.id, format('%s %s', c.amount, c.currency) from commissions c where not app.is_booked(c)
             union all
             select a.id, format('adjustment of %s %s', a.amount, a.currency) from commission_adjustments a where not app.is_booked(a)
             union all
             select c.id, format('reversed %s, by its adjustments %s', c.reversed, coalesce(a.reversed, 0)) from commissions c
             left join (select commission_id, sum(reversed_after - reversed_before) as reversed
                        from commission_adjustments group by commission_id) a on a.commission_id = c.id
             where c.reversed <> coalesce(a.reversed, 0) limit $1"
        }
        Invariant::PayoutsBooked => {
            "select p.id, format('%s, %s of %s %s came back', p.state, p.reversed, p.amount, p.currency)
             from payouts p where not app.is_booked(p)
             union all
             select w.id, format('write-off of %s %s', w.amount, w.currency) from write_offs w where not app.is_booked(w) limit $1"
        }
        Invariant::AgentBalances => {
            "with facts as (
               select agent_id, currency, amount - reversed as amount from commissions
               union all
               select agent_id, currency, reversed - amount from payouts where state not in ('returned', 'rejected', 'cancelled')
               union all
               select agent_id, currency, amount from write_offs),
             expected as (select agent_id, currency, sum(amount) as amount from facts group by agent_id, currency),
             booked as (
               select a.party_id, a.unit, -sum(p.amount) as amount
               from accounts a join postings p on p.site_id = a.site_id and p.account = a.code and p.unit = a.unit
               where a.code like 'commission:payable:%' group by a.party_id, a.unit)
             select coalesce(e.agent_id, b.party_id),
                    format('%s %s on the account, %s by what it is for', coalesce(b.amount, 0), coalesce(e.currency, b.unit),
                           coalesce(e.amount, 0))
             from expected e full join booked b on b.party_id = e.agent_id and b.unit = e.currency
             where coalesce(e.amount, 0) <> coalesce(b.amount, 0) limit $1"
        }
        Invariant::PendingPayouts => {
            "with expected as (
               select agent_id, currency, sum(amount) as amount from payouts
               where state in ('requested', 'approved', 'sending', 'failed') group by agent_id, currency),
             booked as (
               select a.party_id, a.unit, -sum(p.amount) as amount
               from accounts a join postings p on p.site_id = a.site_id and p.account = a.code and p.unit = a.unit
               where a.code like 'payouts:pending:%' group by a.party_id, a.unit)
             select coalesce(e.agent_id, b.party_id),
                    format('%s %s on the account, %s in open payouts', coalesce(b.amount, 0), coalesce(e.currency, b.unit),
                           coalesce(e.amount, 0))
             from expected e full join booked b on b.party_id = e.agent_id and b.unit = e.currency
             where coalesce(e.amount, 0) <> coalesce(b.amount, 0) limit $1"
        }
        // What came too much is owed from the moment it came; what staff give back, from the moment they ask.
        Invariant::RefundsPayable => {
            "with expected as (
               select r.currency, sum(case
                 when r.reason in ('paid_too_late', 'paid_twice')
                   then case when r.origin = 'automatic' then r.amount else 0 end - case when r.state = 'succeeded' then r.amount else 0 end
                 when r.state in ('pending', 'requires_action') then r.amount else 0 end) as amount
               from refunds r group by r.currency),
             booked as (select unit, -sum(amount) as amount from postings where account = 'refunds:payable' group by unit)
             select null::uuid, format('%s %s on the account, %s in refunds', coalesce(b.amount, 0), coalesce(e.currency, b.unit),
                                       coalesce(e.amount, 0))
             from expected e full join booked b on b.unit = e.currency
             where coalesce(e.amount, 0) <> coalesce(b.amount, 0) limit $1"
        }
        Invariant::BalanceSigns => {
            "select a.party_id, format('%s holds %s %s', a.code, sum(p.amount), a.unit)
             from accounts a join postings p on p.site_id = a.site_id and p.account = a.code and p.unit = a.unit
             where a.code in ('provider:clearing', 'disputes:withdrawn', 'sales', 'sales:returned', 'refunds:payable', 'commission:expense')
                or a.code like 'payouts:pending:%' or a.class = 'tokens'
             group by a.code, a.unit, a.party_id
             having sum(p.amount) * case when a.code in ('sales', 'refunds:payable', 'tokens:issued', 'tokens:claims')
                                           or a.code like 'payouts:pending:%' then -1 else 1 end < 0 limit $1"
        }
        Invariant::StockMovements => {
            "select s.tier_id, format('supply %s, reserved %s, sold %s; by movements %s, %s, %s', s.supply, s.reserved, s.sold,
                                      coalesce(m.supply, 0), coalesce(m.reserved, 0), coalesce(m.sold, 0))
             from tier_stock s
             left join (select tier_id, sum(supply_delta) as supply, sum(reserved_delta) as reserved, sum(sold_delta) as sold
                        from stock_movements group by tier_id) m on m.tier_id = s.tier_id
             where (s.supply, s.reserved, s.sold) is distinct from (coalesce(m.supply, 0), coalesce(m.reserved, 0), coalesce(m.sold, 0))
                or s.reserved + s.sold > s.supply limit $1"
        }
        // A tier's tokens per unit never change. Tokens that went back to the stock are free again; others stay with the sale,
        // sold, delivered or returned.
        Invariant::TokensOnTheBooks => {
            "with stock as (
               select t.asset_id, sum((s.supply - s.reserved - s.sold) * (t.tokens_per_unit + t.bonus_per_unit)) as free
               from tiers t join tier_stock s on s.site_id = t.site_id and s.tier_id = t.id group by t.asset_id),
             ordered as (
               select l.asset_id, coalesce(sum(l.tokens) filter (where o.lifecycle = 'placed'), 0) as reserved,
                      coalesce(sum(l.tokens) filter (where o.lifecycle in ('confirmed', 'fulfilled')), 0) as sold
               from order_lines l join orders o on o.site_id = l.site_id and o.id = l.order_id group by l.asset_id),
             restocked as (
               select p.unit, -sum(p.amount) as tokens from entries e
               join postings p on p.site_id = e.site_id and p.entry_id = e.id and p.account = 'tokens:returned'
               where e.kind = 'tokens.restocked' group by p.unit),
             booked as (
               select unit, coalesce(sum(amount) filter (where account = 'tokens:free'), 0) as free,
                      coalesce(sum(amount) filter (where account = 'tokens:reserved'), 0) as reserved,
                      coalesce(sum(amount) filter (where account in ('tokens:sold', 'tokens:returned', 'tokens:delivered')), 0) as sold
               from postings
               where account in ('tokens:free', 'tokens:reserved', 'tokens:sold', 'tokens:returned', 'tokens:delivered')
               group by unit),
             compared as (
               select a.id, b.unit, coalesce(b.free, 0) as free, coalesce(b.reserved, 0) as reserved,
                      coalesce(b.sold, 0) + coalesce(r.tokens, 0) as sold, coalesce(s.free, 0) as should_free,
                      coalesce(o.reserved, 0) as should_reserved, coalesce(o.sold, 0) as should_sold
               from chain_assets a
               left join booked b on b.unit = 'asset_' || replace(a.id::text, '-', '')
               left join restocked r on r.unit = b.unit
               left join stock s on s.asset_id = a.id
               left join ordered o on o.asset_id = a.id)
             select id, format('free %s, reserved %s, sold %s; by stock and orders %s, %s, %s', free, reserved, sold, should_free,
                               should_reserved, should_sold)
             from compared where (free, reserved, sold) is distinct from (should_free, should_reserved, should_sold) limit $1"
        }
        // An allocation delivers once, and it is booked by what was left of it then. What came back and what was given up is booked
        // by its settlement.
        Invariant::DeliveriesBooked => {
            "with booked as (
               select coalesce(s.allocation_id, e.cause_id) as allocation_id, p.unit,
                      coalesce(sum(p.amount) filter (where p.account = 'tokens:delivered'), 0) as delivered,
                      coalesce(sum(p.amount) filter (where p.account <> 'tokens:delivered'), 0) as owed
               from postings p join entries e on e.site_id = p.site_id and e.id = p.entry_id
               left join token_settlements s on s.site_id = e.site_id and s.id = e.cause_id
               where p.account = 'tokens:delivered' or p.account like 'tokens:owed:%'
               group by coalesce(s.allocation_id, e.cause_id), p.unit),
             parts as (
               select id, 'asset_' || replace(asset_id::text, '-', '') as unit, cut, greatest(owed - waived, 0) as owed,
                      case when state = 'done' then amount - cut - received else 0 end as delivered
               from allocations),
             cut as (
               select unit, sum(cut) as cut, sum(owed) as owed from (
                 select unit, cut, owed from parts
                 union all
                 select 'asset_' || replace(s.asset_id::text, '-', ''), case r.state when 'revoked' then r.amount else r.cut end, 0
                 from vesting_releases r join vesting_schedules s on s.site_id = r.site_id and s.id = r.schedule_id) as c
               group by unit),
             returned as (
               select p.unit,
                      coalesce(sum(p.amount) filter (where p.account = 'tokens:returned' and e.kind <> 'tokens.restocked'), 0) as cut,
                      coalesce(-sum(p.amount) filter (where p.account = 'tokens:claims'), 0) as owed
               from postings p join entries e on e.site_id = p.site_id and e.id = p.entry_id
               where p.account in ('tokens:returned', 'tokens:claims') group by p.unit)
             select coalesce(a.id, b.allocation_id),
                    format('delivered %s, owed %s; on the books %s, %s', coalesce(a.delivered, 0), coalesce(a.owed, 0),
                           coalesce(b.delivered, 0), coalesce(b.owed, 0))
             from parts a full join booked b on b.allocation_id = a.id and b.unit = a.unit
             where (coalesce(a.delivered, 0), coalesce(a.owed, 0)) <> (coalesce(b.delivered, 0), coalesce(b.owed, 0))
             union all
             select null::uuid, format('%s: cut %s, claimed %s; on the books %s, %s', coalesce(c.unit, r.unit), coalesce(c.cut, 0),
                                       coalesce(c.owed, 0), coalesce(r.cut, 0), coalesce(r.owed, 0))
             from cut c full join returned r on r.unit = c.unit
             where (coalesce(c.cut, 0), coalesce(c.owed, 0)) <> (coalesce(r.cut, 0), coalesce(r.owed, 0)) limit $1"
        }
        Invariant::PromoCounters => {
            "with used as (
               select promo_code_id, buyer_id, count(*) as uses, sum(bonus_tokens) as bonus from promo_code_usages
               where state = 'used' group by promo_code_id, buyer_id),
             of_code as (
               select promo_code_id, sum(uses) as uses, sum(bonus) as bonus from used group by promo_code_id)
             select c.promo_code_id, format('used %s, bonus %s; by its uses %s, %s', c.used, c.bonus_given, coalesce(u.uses, 0),
                                            coalesce(u.bonus, 0))
             from promo_code_counters c left join of_code u on u.promo_code_id = c.promo_code_id
             where (c.used, c.bonus_given) is distinct from (coalesce(u.uses, 0), coalesce(u.bonus, 0))
             union all
             select b.promo_code_id, format('a buyer used it %s, by the uses %s', b.used, coalesce(u.uses, 0))
             from promo_code_buyers b left join used u on u.promo_code_id = b.promo_code_id and u.buyer_id = b.party_id
             where b.used <> coalesce(u.uses, 0) limit $1"
        }
        Invariant::JobsAlive => {
            "select null::uuid, format('job %s, %s, is dead', j.id, j.task) from app.jobs_of_site(true, null, $1) j"
        }
    })
}

/// From the entries: the hash covers every balance, and the balances are stored besides. From the last period back to the first, each
/// is what the one after it says that it follows.
async fn closed_periods(tx: &mut SiteTx) -> Result<Vec<Fault>, StoreError> {
    let mut faults = Vec::new();
    let mut fault = |period: &Period, what| {
        faults.push(Fault {
            invariant: Invariant::ClosedPeriods.as_str(),
            subject: Some(period.id.as_uuid()),
            detail: format!("period {} {what}", period.number),
        });
    };
    let periods = all_closed(tx).await?;
    for (age, period) in periods.iter().enumerate() {
        let stored = stored_balances(tx, period.id).await?;
        let counted = if age < PERIODS {
            balances_before(tx, period.until).await?
        } else {
            stored.clone()
        };
        let hash = hash_of(period.from, period.until, period.previous_hash, &counted);
        if hash != period.hash || stored != counted {
            fault(period, "is not what its entries sum to");
        }
        let before = periods.get(age + 1);
        let links = (period.number, period.from, period.previous_hash);
        if links
            != before.map_or((1, None, None), |it| {
                (it.number + 1, Some(it.until), Some(it.hash))
            })
        {
            fault(period, "does not follow the one before");
        }
    }
    faults.truncate(usize::from(FAULTS_MAX));
    Ok(faults)
}
