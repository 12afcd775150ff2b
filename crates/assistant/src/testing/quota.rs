//! Budgets in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono_tz::Tz;
use posx_kernel::{
    Begin, CreditId, Event, Idempotency, IdempotentTx, ModelCallId, Outbox, RememberedAnswers, SiteScope,
    StoreError, Timestamp, Transaction,
};

use crate::budget::{BudgetRepository, BudgetsTx, SiteLimits};
use crate::{
    Asker, BudgetKey, BudgetScope, Counter, Credit, Limits, Micros, Period, Portion, Purpose, Quota,
    QuotaError, Reservation, Spent, day_of, is_warning, pay, take,
};

/// One site's. What it holds is seen by all its clones.
#[derive(Debug, Clone)]
pub struct FakeQuota {
    zone: Tz,
    defaults: Limits,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone, Default)]
struct State {
    own: SiteLimits,
    /// And whether four fifths were told of.
    counters: BTreeMap<BudgetKey, (Counter, bool)>,
    credits: Vec<(Credit, Counter)>,
    calls: BTreeMap<ModelCallId, FakeCall>,
    events: Vec<Event>,
    answers: RememberedAnswers,
}

/// A row of the usage log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeCall {
    pub reservation: Reservation,
    /// `held`, `spent`, `released`, `expired` or `refused`.
    pub state: &'static str,
    pub spent: Option<Spent>,
    /// How a call went that was released.
    pub released: Option<Spent>,
    pub refused_by: Option<(BudgetScope, Period)>,
    pub refused_times: u32,
    hold: Hold,
}

/// Where the worst case is held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Hold {
    keys: Vec<BudgetKey>,
    month: Micros,
    credits: Vec<Portion>,
}

impl FakeQuota {
    pub fn new(zone: Tz, defaults: Limits) -> Self {
        Self {
            zone,
            defaults,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_limits(&self, limits: Limits) {
        self.state().own.limits = limits;
    }

    pub fn add_credit(&self, credit: Credit) {
        self.state().credits.push((credit, Counter::default()));
    }

    pub fn counter(&self, key: &BudgetKey) -> Counter {
        let found = self.state().counters.get(key).copied();
        found.map_or_else(Counter::default, |(counter, _)| counter)
    }

    pub fn credit(&self, id: CreditId) -> Option<Counter> {
        let state = self.state();
        let mut credits = state.credits.iter();
        credits
            .find(|(credit, _)| credit.id == id)
            .map(|(_, counter)| *counter)
    }

    pub fn call(&self, id: ModelCallId) -> Option<FakeCall> {
        self.state().calls.get(&id).cloned()
    }

    pub fn calls(&self) -> Vec<FakeCall> {
        self.state().calls.values().cloned().collect()
    }

    pub fn events(&self) -> Vec<Event> {
        self.state().events.clone()
    }
}

impl State {
    fn counter(&mut self, key: BudgetKey) -> &mut (Counter, bool) {
        self.counters.entry(key).or_default()
    }

    /// What the site's month cannot hold is held on credits.
    fn hold(
        &mut self,
        wish: &Reservation,
        keys: &[BudgetKey],
        limits: &(Limits, Limits),
        zone: Tz,
    ) -> Result<Hold, QuotaError> {
        let mut hold = Hold {
            keys: keys.to_vec(),
            month: wish.worst_case,
            credits: Vec::new(),
        };
        for key in keys {
            let limit = limits.0.in_force(&limits.1, key, wish.operator_pays);
            let left = self.counter(*key).0.left_of(limit);
            if left >= wish.worst_case && wish.worst_case < Micros::MAX && limit > Micros::ZERO {
                continue;
            }
            let used_up = |left| QuotaError::UsedUp {
                scope: key.scope,
                period: key.period,
                resets_at: key.resets_at(zone),
                left,
            };
            if !key.takes_credits() {
                return Err(used_up(left));
            }
            hold.month = left;
            let needed = wish.worst_case.saturating_sub(left);
            let there = self.credits_at(wish.made_at);
            if limit == Micros::ZERO && there.iter().all(|credit| credit.amount == Micros::ZERO) {
                return Err(used_up(left));
            }
            hold.credits = take(needed, &there).map_err(|there| used_up(left.saturating_add(there)))?;
        }
        Ok(hold)
    }

    fn credits_at(&self, at: Timestamp) -> Vec<Portion> {
        let live = |(credit, _): &&(Credit, Counter)| credit.expires_at.is_none_or(|end| end > at);
        let mut live: Vec<_> = self.credits.iter().filter(live).collect();
        live.sort_by_key(|(credit, _)| {
            (
                credit.expires_at.is_none(),
                credit.expires_at,
                credit.created_at,
                credit.id,
            )
        });
        let portion = |(credit, counter): &(Credit, Counter)| Portion {
            credit: credit.id,
            amount: counter.left_of(credit.amount),
        };
        live.into_iter().map(portion).collect()
    }

    fn move_held(&mut self, hold: &Hold, worst_case: Micros, back: bool) {
        let moved = |from: Micros, by: Micros| {
            if back {
                from.saturating_sub(by)
            } else {
                from.saturating_add(by)
            }
        };
        for key in &hold.keys {
            let by = if key.takes_credits() {
                hold.month
            } else {
                worst_case
            };
            let counter = &mut self.counter(*key).0;
            counter.reserved = moved(counter.reserved, by);
        }
        for portion in &hold.credits {
            if let Some(counter) = self.of_credit(portion.credit) {
                counter.reserved = moved(counter.reserved, portion.amount);
            }
        }
    }

    fn of_credit(&mut self, id: CreditId) -> Option<&mut Counter> {
        let mut credits = self.credits.iter_mut();
        credits
            .find(|(credit, _)| credit.id == id)
            .map(|(_, counter)| counter)
    }

    fn spend(&mut self, call: &FakeCall, spent: &Spent, limits: &(Limits, Limits)) {
        let hold = &call.hold;
        for key in &hold.keys {
            let limit = limits.0.in_force(&limits.1, key, call.reservation.operator_pays);
            let mut cost = spent.cost;
            if key.takes_credits() {
                let room = self.counter(*key).0.left_of(limit).max(if call.state == "held" {
                    hold.month
                } else {
                    Micros::ZERO
                });
                let from_credits: &[Portion] = if call.state == "expired" {
                    &[]
                } else {
                    &hold.credits
                };
                let (month, credits) = pay(spent.cost, room, from_credits);
                cost = month;
                for portion in credits {
                    if let Some(counter) = self.of_credit(portion.credit) {
                        counter.spent = counter.spent.saturating_add(portion.amount);
                    }
                }
            }
            let (counter, warned) = self.counter(*key);
            // What was told of a limit that was lower was not told of this one.
            let told = *warned && is_warning(counter.spent, limit);
            counter.spent = counter.spent.saturating_add(cost);
            if !is_warning(counter.spent, limit) {
                *warned &= !call.reservation.operator_pays;
                continue;
            }
            *warned = told || cost > Micros::ZERO;
            if *warned && !told {
                let warned =
                    crate::budget_warned(key, counter.spent, limit, call.reservation.call, spent.ended_at);
                self.events.push(warned);
            }
        }
    }
}

#[async_trait]
impl Quota for FakeQuota {
    async fn reserve(&self, _: &SiteScope, wish: &Reservation) -> Result<(), QuotaError> {
        let mut state = self.state();
        if let Some(call) = state.calls.get(&wish.call) {
            return match call.state {
                "held" => Ok(()),
                _ => Err(StoreError::broken("a call that has ended is reserved again").into()),
            };
        }
        expire(&mut state, wish.made_at);
        let keys = BudgetKey::of_call(wish.purpose, wish.asker, day_of(wish.made_at, self.zone));
        let limits = (state.own.limits.clone(), self.defaults.clone());
        let decided = state.hold(wish, &keys, &limits, self.zone);
        let refused_by = match &decided {
            Err(QuotaError::UsedUp { scope, period, .. }) => Some((*scope, *period)),
            _ => None,
        };
        let hold = decided.as_ref().map_or_else(|_| Hold::default(), Clone::clone);
        state.move_held(&hold, wish.worst_case, false);
        let call = FakeCall {
            reservation: wish.clone(),
            state: if refused_by.is_some() { "refused" } else { "held" },
            spent: None,
            released: None,
            refused_by,
            refused_times: u32::from(refused_by.is_some()),
            hold,
        };
        state.calls.insert(wish.call, call);
        decided.map(|_| ())
    }

    async fn settle(&self, _: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError> {
        let mut state = self.state();
        let limits = (state.own.limits.clone(), self.defaults.clone());
        let Some(found) = state.calls.get(&call).cloned() else {
            return Err(StoreError::broken("a call is settled that was not reserved"));
        };
        let late = found.state == "expired" && found.spent.is_none();
        if found.state != "held" && !late {
            return Ok(());
        }
        let spent = Spent {
            cost: spent.cost.min(found.reservation.worst_case),
            ..spent.clone()
        };
        if !late {
            state.move_held(&found.hold, found.reservation.worst_case, true);
        }
        state.spend(&found, &spent, &limits);
        if let Some(row) = state.calls.get_mut(&call) {
            row.state = if late { "expired" } else { "spent" };
            row.spent = Some(spent);
        }
        Ok(())
    }

    async fn release(&self, _: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError> {
        let mut state = self.state();
        if give_back(&mut state, call, "released")
            && let Some(row) = state.calls.get_mut(&call)
        {
            row.released = Some(spent.clone());
        }
        Ok(())
    }

    async fn note_refused(
        &self,
        _: &SiteScope,
        wish: &Reservation,
        by: (BudgetScope, Period),
        times: u32,
    ) -> Result<(), StoreError> {
        let refused = FakeCall {
            reservation: wish.clone(),
            state: "refused",
            spent: None,
            released: None,
            refused_by: Some(by),
            refused_times: times,
            hold: Hold::default(),
        };
        self.state().calls.entry(wish.call).or_insert(refused);
        Ok(())
    }

    async fn expire(&self, _: &SiteScope, now: Timestamp) -> Result<usize, StoreError> {
        Ok(expire(&mut self.state(), now))
    }
}

/// False: it is not held.
fn give_back(state: &mut State, call: ModelCallId, into: &'static str) -> bool {
    let Some(row) = state.calls.get_mut(&call).filter(|row| row.state == "held") else {
        return false;
    };
    row.state = into;
    let (hold, worst_case) = (row.hold.clone(), row.reservation.worst_case);
    state.move_held(&hold, worst_case, true);
    true
}

fn expire(state: &mut State, now: Timestamp) -> usize {
    let due = |call: &&FakeCall| call.state == "held" && call.reservation.expires_at <= now;
    let due: Vec<_> = state
        .calls
        .values()
        .filter(due)
        .map(|call| call.reservation.call)
        .collect();
    for call in &due {
        give_back(state, *call, "expired");
    }
    due.len()
}

/// An open transaction: what it changes is there for others once it is committed.
struct FakeTx {
    quota: FakeQuota,
    own: SiteLimits,
    credits: Vec<Credit>,
    events: Vec<Event>,
    answers: RememberedAnswers,
}

#[async_trait]
impl Begin<dyn BudgetsTx> for FakeQuota {
    async fn begin(&self, _: &SiteScope) -> Result<Box<dyn BudgetsTx>, StoreError> {
        let (own, answers) = {
            let state = self.state();
            (state.own.clone(), state.answers.clone())
        };
        Ok(Box::new(FakeTx {
            quota: self.clone(),
            own,
            credits: Vec::new(),
            events: Vec::new(),
            answers,
        }))
    }
}

#[async_trait]
impl Transaction for FakeTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let mut state = self.quota.state();
        state.own = self.own;
        state.answers = self.answers;
        state.events.extend(self.events);
        let new = self
            .credits
            .into_iter()
            .map(|credit| (credit, Counter::default()));
        state.credits.extend(new);
        Ok(())
    }
}

impl IdempotentTx for FakeTx {
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        &mut self.answers
    }
}

impl BudgetsTx for FakeTx {
    fn budgets(&mut self) -> &mut dyn BudgetRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl Outbox for FakeTx {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        self.events.push(event);
        Ok(())
    }
}

#[async_trait]
impl BudgetRepository for FakeTx {
    async fn limits(&mut self) -> Result<SiteLimits, StoreError> {
        Ok(self.own.clone())
    }

    async fn save_limits(&mut self, new: &SiteLimits, seen: i32, _: Timestamp) -> Result<bool, StoreError> {
        if self.own.version != seen {
            return Ok(false);
        }
        self.own = new.clone();
        Ok(true)
    }

    async fn insert_credit(&mut self, credit: &Credit) -> Result<(), StoreError> {
        self.credits.push(credit.clone());
        Ok(())
    }
}

/// A call that can cost so much, made at that time and held for two minutes.
pub fn reservation(
    call: ModelCallId,
    asker: Asker,
    purpose: Purpose,
    worst_case: u64,
    at: Timestamp,
) -> Reservation {
    Reservation {
        call,
        purpose,
        asker,
        provider: "sandbox".into(),
        model: "small".into(),
        price_version: 1,
        operator_pays: true,
        worst_case: Micros::new(worst_case).unwrap_or(Micros::MAX),
        made_at: at,
        expires_at: at + chrono::TimeDelta::minutes(2),
    }
}

/// Another model answered than it was reserved for.
pub fn spent(cost: u64, at: Timestamp) -> Spent {
    Spent {
        usage: crate::Usage {
            input: 10,
            cached_input: 0,
            output: 5,
            reasoning: 0,
        },
        by_provider: true,
        cost: Micros::new(cost).unwrap_or(Micros::MAX),
        ended_at: at,
        latency_ms: 120,
        outcome: "answered",
        tries: 1,
        provider: "groq".to_owned(),
        model: "large".to_owned(),
        price_version: 2,
    }
}
