//! What must hold after each round, whoever was killed: counted from the database, behind the product's back, and compared with
//! what the clients were told and with what the outside world has.

use std::collections::BTreeMap;

use posx_kernel::{AllocationId, Currency, Money, OrderId, PayoutId, Rate, SiteId, SiteScope};
use posx_ledger::{Invariant, InvariantQueries as _};
use posx_postgres::{Database, DatabaseOptions};
use posx_sandbox::{IntentStatus, RefundStatus, TransferStatus};
use posx_stage::{Outcome, Stage};

/// Jobs that are to be done now or tried again. Dead ones are counted as broken; who looks after a checkout comes later on purpose.
pub const DUE_JOBS: &str = "select count(*) from graphile_worker._private_jobs j
    join graphile_worker._private_tasks t on t.id = j.task_id
    where j.attempts < j.max_attempts and not (t.identifier = 'resolve_checkout' and j.run_at > now())";

/// What no site's own books can say. Each row is a fault.
const FAULTS: &str = "
    select 'two orders hold one attempt''s intent ' || intent_id from payment_attempts
      where intent_id is not null group by intent_id having count(*) > 1;";

const SITES: &str = "select id from sites;";
const ORDERS: &str = "select id, captured, refunded, returned, payment from orders;";
const ATTEMPTS: &str = "select intent_id, received, state from payment_attempts where intent_id is not null;";
const COMMISSIONS: &str = "select order_id, level, amount, reversed from commissions;";
const ALLOCATIONS: &str = "select id, state from allocations;";
const DISPUTES: &str = "select provider_dispute_id, state, withdrawn, lost from disputes;";
const CLEARING: &str = "select coalesce(sum(amount), 0) from postings where account = 'provider:clearing';";
const PAYOUTS: &str = "select id, amount, state, coalesce(reference, '') from payouts;";
const LEVELS: [(&str, &str); 2] = [("1", "0.12"), ("2", "0.04")];

/// What clients were told, by order.
#[derive(Debug, Default)]
pub struct Tally {
    orders: BTreeMap<String, Told>,
    /// What each dispute took for good, and the provider's fees.
    disputes: BTreeMap<String, i64>,
    fees: i64,
}

#[derive(Debug)]
struct Told {
    total: i64,
    refunded: i64,
    /// By a bank.
    lost: i64,
    /// How many above the buyer earn.
    ancestors: usize,
}

impl Tally {
    pub fn bought(&mut self, order: &str, total: i64, ancestors: usize) {
        let told = Told {
            total,
            refunded: 0,
            lost: 0,
            ancestors,
        };
        self.orders.insert(order.to_owned(), told);
    }

    pub fn returned(&mut self, order: &str, amount: i64) {
        if let Some(told) = self.orders.get_mut(order) {
            told.refunded += amount;
        }
    }

    /// All of what was paid for the order; for good, if it is lost.
    pub fn disputed(&mut self, order: &str, dispute: &str, lost: bool, fee: i64) {
        let Some(told) = self.orders.get_mut(order) else {
            return;
        };
        let gone = if lost { told.total } else { 0 };
        told.lost += gone;
        self.disputes.insert(dispute.to_owned(), gone);
        self.fees += fee;
    }
}

impl Told {
    const fn returned(&self) -> i64 {
        self.refunded + self.lost
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let returned = self.orders.values().filter(|told| told.returned() > 0).count();
        write!(
            f,
            "{} orders, {returned} of them with money back, {} disputes",
            self.orders.len(),
            self.disputes.len()
        )
    }
}

/// Every fault there is, in words.
pub async fn broken(stage: &Stage, tally: &Tally) -> Outcome<Vec<String>> {
    let mut faults = rows(&stage.psql(FAULTS.to_owned()).await?)
        .map(|row| row.join("|"))
        .collect::<Vec<_>>();
    invariants(stage, &mut faults).await?;
    orders(stage, tally, &mut faults).await?;
    payments(stage, &mut faults).await?;
    refunds(stage, tally, &mut faults);
    commissions(stage, tally, &mut faults).await?;
    transfers(stage, tally, &mut faults).await?;
    disputes(stage, tally, &mut faults).await?;
    payouts(stage, tally, &mut faults).await?;
    Ok(faults)
}

/// For a person: the jobs that are not done, and the webhooks that are not applied.
pub async fn waiting(stage: &Stage) -> Outcome<String> {
    let sql = "select t.identifier, j.attempts, j.locked_by, j.run_at - now(), j.last_error from graphile_worker._private_jobs j
               join graphile_worker._private_tasks t on t.id = j.task_id;
               select 'webhook', event_type, state, tries, left(coalesce(last_error, ''), 80) from webhook_inbox where state <> 'done';";
    Ok(format!("waiting:\n{}", stage.psql(sql.to_owned()).await?))
}

fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split('|').collect())
}

/// What the product itself counts anew each night.
async fn invariants(stage: &Stage, faults: &mut Vec<String>) -> Outcome<()> {
    let database = Database::connect(&stage.url("app"), DatabaseOptions::default()).await?;
    for row in rows(&stage.psql(SITES.to_owned()).await?) {
        let id = row.first().ok_or("a site's row")?;
        let scope = SiteScope::of_claimed_job(SiteId::from_uuid(id.parse()?));
        for invariant in Invariant::ALL {
            let found = database.faults(&scope, *invariant).await?;
            faults.extend(found.into_iter().map(|fault| format!("{fault:?}")));
        }
    }
    database.close().await;
    Ok(())
}

async fn orders(stage: &Stage, tally: &Tally, faults: &mut Vec<String>) -> Outcome<()> {
    let stored = stage.psql(ORDERS.to_owned()).await?;
    let mut found = 0;
    for row in rows(&stored) {
        let &[id, captured, refunded, returned, payment] = row.as_slice() else {
            return Err("an order's row".into());
        };
        let order = OrderId::from_uuid(id.parse()?).to_string();
        found += 1;
        let Some(told) = tally.orders.get(&order) else {
            faults.push(format!("order {order} was made for nobody"));
            continue;
        };
        let expected = match told.returned() {
            0 => "paid",
            all if all == told.total => "refunded",
            _ => "partly_refunded",
        };
        let seen = (captured.parse()?, refunded.parse()?, returned.parse()?, payment);
        if seen != (told.total, told.refunded, told.returned(), expected) {
            faults.push(format!("order {order}: told {told:?}, stored {seen:?}"));
        }
    }
    if found != tally.orders.len() {
        faults.push(format!("{found} orders of {} are there", tally.orders.len()));
    }
    Ok(())
}

/// Each payment that succeeded at the provider is one attempt here, with its amount.
async fn payments(stage: &Stage, faults: &mut Vec<String>) -> Outcome<()> {
    let stored = stage.psql(ATTEMPTS.to_owned()).await?;
    let mut attempts = BTreeMap::new();
    for row in rows(&stored) {
        let &[intent, received, word] = row.as_slice() else {
            return Err("an attempt's row".into());
        };
        attempts.insert(intent, (received.parse::<i64>()?, word));
    }
    for intent in stage.world.payments().intents() {
        if intent.status != IntentStatus::Succeeded {
            continue;
        }
        let known = attempts.get(intent.id.as_str());
        if known != Some(&(intent.received.minor(), "succeeded")) {
            faults.push(format!("payment {} is lost: {known:?}", intent.id));
        }
    }
    Ok(())
}

/// What the provider gave back is what was asked for.
fn refunds(stage: &Stage, tally: &Tally, faults: &mut Vec<String>) {
    let asked: i64 = tally.orders.values().map(|told| told.refunded).sum();
    let given: i64 = stage
        .world
        .payments()
        .refunds()
        .iter()
        .filter(|refund| refund.status == RefundStatus::Succeeded)
        .map(|refund| refund.amount.minor())
        .sum();
    if asked != given {
        faults.push(format!("{asked} cents were to go back, {given} went"));
    }
}

async fn commissions(stage: &Stage, tally: &Tally, faults: &mut Vec<String>) -> Outcome<()> {
    let usd = Currency::from_code("USD").ok_or("no dollar")?;
    let money = |minor| Money::from_minor(minor, usd);
    let stored = stage.psql(COMMISSIONS.to_owned()).await?;
    let mut shares: BTreeMap<(String, &str), (i64, i64)> = BTreeMap::new();
    for row in rows(&stored) {
        let &[order, level, amount, reversed] = row.as_slice() else {
            return Err("a commission's row".into());
        };
        let order = OrderId::from_uuid(order.parse()?).to_string();
        shares.insert((order, level), (amount.parse()?, reversed.parse()?));
    }
    for (order, told) in &tally.orders {
        for (level, rate) in LEVELS.into_iter().take(told.ancestors) {
            let rate: Rate = rate.parse()?;
            let amount = money(told.total).share(rate);
            let reversed = amount
                .proportion(money(told.returned()), money(told.total))
                .ok_or("an order of nothing")?;
            let share = shares.remove(&(order.clone(), level));
            if share != Some((amount.minor(), reversed.minor())) {
                faults.push(format!(
                    "order {order}, level {level}: {share:?} instead of {amount} less {reversed}"
                ));
            }
        }
    }
    for (order, level) in shares.keys() {
        faults.push(format!("order {order}, level {level}: a commission of nobody's"));
    }
    Ok(())
}

/// No allocation was sent twice, and none is done that the custodian did not complete.
async fn transfers(stage: &Stage, tally: &Tally, faults: &mut Vec<String>) -> Outcome<()> {
    let mut sent: BTreeMap<String, (u32, bool)> = BTreeMap::new();
    for transfer in stage.world.custodian().transfers() {
        let allocation = transfer.external_id.rsplit_once('-').map_or("?", |parts| parts.0);
        let (times, completed) = sent.entry(allocation.to_owned()).or_default();
        *times += 1;
        *completed |= transfer.status == TransferStatus::Completed;
    }
    let stored = stage.psql(ALLOCATIONS.to_owned()).await?;
    let mut allocated = 0;
    for row in rows(&stored) {
        let &[id, word] = row.as_slice() else {
            return Err("an allocation's row".into());
        };
        allocated += 1;
        let id = AllocationId::from_uuid(id.parse()?).to_string();
        let (times, completed) = sent.remove(&id).unwrap_or_default();
        if times > 1 {
            faults.push(format!("allocation {id} was sent {times} times"));
        }
        if (word == "done") != completed {
            faults.push(format!(
                "allocation {id} is {word}, its transfer completed: {completed}"
            ));
        }
    }
    if allocated != tally.orders.len() {
        faults.push(format!(
            "{allocated} allocations for {} paid orders",
            tally.orders.len()
        ));
    }
    for stranger in sent.keys() {
        faults.push(format!("a transfer of nobody's: {stranger}"));
    }
    Ok(())
}

/// Each dispute ended as the bank said, and took no more and no less.
async fn disputes(stage: &Stage, tally: &Tally, faults: &mut Vec<String>) -> Outcome<()> {
    let stored = stage.psql(DISPUTES.to_owned()).await?;
    let mut found = BTreeMap::new();
    for row in rows(&stored) {
        let &[id, word, withdrawn, lost] = row.as_slice() else {
            return Err("a dispute's row".into());
        };
        found.insert(id, (word, withdrawn.parse::<i64>()?, lost.parse::<i64>()?));
    }
    for (id, gone) in &tally.disputes {
        let expected = if *gone > 0 {
            ("lost", *gone, *gone)
        } else {
            ("won", 0, 0)
        };
        let seen = found.remove(id.as_str());
        if seen != Some(expected) {
            faults.push(format!("dispute {id} is {seen:?}, not {expected:?}"));
        }
    }
    for stranger in found.keys() {
        faults.push(format!("a dispute of nobody's: {stranger}"));
    }
    Ok(())
}

/// Each payout was sent once, of its amount; and what the provider holds is what the books say.
async fn payouts(stage: &Stage, tally: &Tally, faults: &mut Vec<String>) -> Outcome<()> {
    let mut sent: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
    for transfer in stage.world.payments().transfers() {
        let payout = transfer.group.clone().unwrap_or_default();
        let one = (transfer.id.clone(), transfer.amount.minor());
        sent.entry(payout).or_default().push(one);
    }
    let stored = stage.psql(PAYOUTS.to_owned()).await?;
    let mut paid = 0;
    for row in rows(&stored) {
        let &[id, amount, word, reference] = row.as_slice() else {
            return Err("a payout's row".into());
        };
        let (id, amount) = (
            PayoutId::from_uuid(id.parse()?).to_string(),
            amount.parse::<i64>()?,
        );
        let transfers = sent.remove(&id).unwrap_or_default();
        let expected = if word == "done" {
            paid += amount;
            vec![(reference.to_owned(), amount)]
        } else {
            Vec::new()
        };
        if transfers != expected {
            faults.push(format!(
                "payout {id} is {word} of {amount}, the provider has {transfers:?}"
            ));
        }
    }
    for stranger in sent.keys() {
        faults.push(format!("a transfer of no payout: {stranger}"));
    }
    let kept: i64 = tally
        .orders
        .values()
        .map(|told| told.total - told.refunded - told.lost)
        .sum();
    let booked = stage.psql(CLEARING.to_owned()).await?.trim().parse::<i64>()?;
    if booked != kept - tally.fees - paid {
        faults.push(format!(
            "the provider holds {} for the site, the books say {booked}",
            kept - tally.fees - paid
        ));
    }
    Ok(())
}
