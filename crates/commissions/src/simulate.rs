//! What a version of a plan would have paid for the orders of a time: the engine over the past, nothing written. Orders are
//! taken by the time of their payment, as the jobs take them when nothing holds them up, so the same version in force over the
//! same orders pays the same.

mod running;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Duration, NaiveDate, Utc};
use posx_kernel::{Currency, Money, PartyId, StoreError, Timestamp};
use serde::Serialize;

use crate::{AgentTerms, PlanRef, PlanSnapshot, Rules, SaleLine, SimulateError};
use running::Running;

pub const PERIOD_DAYS_MAX: i64 = 366;

/// From the first instant to before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Period {
    /// At most 366 days.
    pub fn new(from: Timestamp, until: Timestamp) -> Result<Self, SimulateError> {
        if until <= from || until - from > Duration::days(PERIOD_DAYS_MAX) {
            return Err(SimulateError::Period);
        }
        Ok(Self { from, until })
    }
}

/// What the rules look at: the rest need not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// How many parties above a buyer. At least one, whose sales they are.
    pub depth: u8,
    pub sales: bool,
    pub lines: bool,
    pub months: bool,
}

impl Wants {
    pub fn of(rules: &Rules) -> Self {
        let by_tier = rules
            .levels()
            .is_some_and(|levels| levels.as_slice().iter().any(|level| !level.tiers.is_empty()));
        Self {
            depth: rules.depth(),
            sales: rules.counts_sales(),
            lines: by_tier,
            months: rules.caps_months(),
        }
    }
}

/// An order that was paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastOrder {
    pub buyer: PartyId,
    pub total: Money,
    /// What counts as sales of it today: the total, less what went back.
    pub sold: Money,
    /// In their order, where they are wanted.
    pub lines: Vec<SaleLine>,
    pub paid_at: Timestamp,
    /// The first day of its month, in the site's time zone.
    pub month: NaiveDate,
    /// Who stood above the buyer then, nearest first.
    pub above: Vec<PartyId>,
}

/// What is known of one party before and within the period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PastParty {
    /// What those whom it referred had bought before the period, in each currency.
    pub sales: Vec<Money>,
    /// What it had earned before the period in the month in which the period begins, in each currency.
    pub earned: Vec<(NaiveDate, Money)>,
    pub terms: Vec<AgentTerms>,
    pub suspensions: Vec<Suspension>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspension {
    pub since: Timestamp,
    pub until: Option<Timestamp>,
}

/// Somebody who had bought before came to an agent, or left them: their sales came or went with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SalesMoved {
    pub at: Timestamp,
    pub agent: PartyId,
    /// Negative where they left.
    pub sales: Money,
}

/// What an agent was in fact given for the orders of the period, before anything was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub agent: PartyId,
    pub amount: Money,
    pub shares: u64,
}

/// The past of one period, as of one moment.
#[async_trait]
pub trait Past: Send {
    /// The next ones in the order of their payment; none when there are no more.
    async fn orders(&mut self) -> Result<Vec<PastOrder>, StoreError>;
    /// In the order given.
    async fn parties(&mut self, parties: &[PartyId]) -> Result<Vec<PastParty>, StoreError>;
    /// In the order of time.
    async fn moved(&mut self) -> Result<Vec<SalesMoved>, StoreError>;
    async fn stored(&mut self) -> Result<Vec<Stored>, StoreError>;
}

/// What one agent would have earned in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SimulatedAgent {
    pub agent: PartyId,
    pub simulated: Money,
    /// Of how many orders.
    pub simulated_shares: u64,
    /// What they were in fact given for the same orders, before anything was taken back.
    pub stored: Money,
    pub stored_shares: u64,
    /// Simulated − stored.
    pub difference: Money,
}

/// Of all agents, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SimulatedTotal {
    pub simulated: Money,
    pub stored: Money,
    pub difference: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Simulated {
    pub plan: PlanRef,
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
    /// Paid in the period.
    pub orders: u64,
    /// One for each currency.
    pub totals: Vec<SimulatedTotal>,
    /// Whoever would have earned, or did: by currency, then by id.
    pub agents: Vec<SimulatedAgent>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    simulated: i64,
    simulated_shares: u64,
    stored: i64,
    stored_shares: u64,
}

pub(crate) async fn simulate(
    plan: PlanSnapshot,
    period: Period,
    past: &mut dyn Past,
) -> Result<Simulated, StoreError> {
    let moved = if plan.rules.counts_sales() {
        past.moved().await?
    } else {
        Vec::new()
    };
    let mut running = Running::new(&plan, moved);
    let mut orders = 0;
    loop {
        let batch = past.orders().await?;
        if batch.is_empty() {
            break;
        }
        let unknown = running.unknown(&batch);
        let known = past.parties(&unknown).await?;
        running.learn(unknown.into_iter().zip(known));
        for order in batch {
            orders += 1;
            running.pay(order)?;
        }
    }
    let mut tallies = running.into_tallies();
    for stored in past.stored().await? {
        let tally = tallies
            .entry((stored.amount.currency(), stored.agent))
            .or_default();
        tally.stored = stored.amount.minor();
        tally.stored_shares = stored.shares;
    }
    report(&plan, period, orders, &tallies)
}

fn report(
    plan: &PlanSnapshot,
    period: Period,
    orders: u64,
    tallies: &BTreeMap<(Currency, PartyId), Tally>,
) -> Result<Simulated, StoreError> {
    let mut totals: BTreeMap<Currency, (i64, i64)> = BTreeMap::new();
    let mut agents = Vec::with_capacity(tallies.len());
    for ((currency, agent), tally) in tallies {
        let of = |minor| Money::from_minor(minor, *currency);
        let total = totals.entry(*currency).or_default();
        total.0 = sum(total.0, tally.simulated)?;
        total.1 = sum(total.1, tally.stored)?;
        agents.push(SimulatedAgent {
            agent: *agent,
            simulated: of(tally.simulated),
            simulated_shares: tally.simulated_shares,
            stored: of(tally.stored),
            stored_shares: tally.stored_shares,
            // Two amounts that are not negative: their difference is within range.
            difference: of(tally.simulated - tally.stored),
        });
    }
    let total = |(currency, (simulated, stored)): (Currency, (i64, i64))| {
        let of = |minor| Money::from_minor(minor, currency);
        SimulatedTotal {
            simulated: of(simulated),
            stored: of(stored),
            difference: of(simulated - stored),
        }
    };
    Ok(Simulated {
        plan: PlanRef {
            id: plan.plan,
            name: plan.name.clone(),
            version: plan.version,
        },
        from: period.from,
        until: period.until,
        orders,
        totals: totals.into_iter().map(total).collect(),
        agents,
    })
}

fn sum(one: i64, other: i64) -> Result<i64, StoreError> {
    one.checked_add(other)
        .ok_or_else(|| StoreError::broken("sums of money beyond 64 bits"))
}
