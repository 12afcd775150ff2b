//! All parts of what an order delivers, in memory: what is decided here is stored by the use case.

use chrono::NaiveDate;
use posx_kernel::{AllocationId, Event, LineId, StoreError, Timestamp, TokenAmount};
use serde_json::json;

use super::Movement;
use crate::returns::{Part, Plan, plan};
use crate::{
    Allocation, AllocationState, AllocationsTx, Applied, LineToDeliver, OrderToDeliver, Place, Release,
    VestingPolicy,
};

pub(crate) struct Parts<'a> {
    pub(crate) order: &'a OrderToDeliver,
    pub(crate) now: Timestamp,
    pub(crate) allocations: Vec<Allocation>,
    pub(crate) releases: Vec<Release>,
    pub(crate) movements: Vec<Movement>,
    pub(crate) waiting: bool,
    pub(crate) doubtful: bool,
}

/// A part's place in the lists.
#[derive(Clone, Copy)]
enum At {
    Release(usize),
    Allocation(usize),
}

impl<'a> Parts<'a> {
    /// Locks them. The order is locked already.
    pub(crate) async fn read_in_tx(
        tx: &mut dyn AllocationsTx,
        order: &'a OrderToDeliver,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            order,
            now,
            allocations: tx.allocations().of_order(order.order).await?,
            releases: tx.vesting().releases_of_order(order.order).await?,
            movements: Vec::new(),
            waiting: false,
            doubtful: false,
        })
    }

    /// To compare with, when they are changed.
    pub(crate) fn stored(&self) -> (Vec<Allocation>, Vec<Release>) {
        (self.allocations.clone(), self.releases.clone())
    }

    /// Whether the line's parts were made.
    pub(crate) fn has(&self, line: LineId) -> bool {
        self.allocations.iter().any(|one| one.line == line)
            || self.releases.iter().any(|one| one.line == line)
    }

    /// Pending, the line's next part.
    pub(crate) fn push_allocation(
        &mut self,
        line: &LineToDeliver,
        id: AllocationId,
        amount: TokenAmount,
        cut: TokenAmount,
    ) {
        let of_line = self.allocations.iter().filter(|one| one.line == line.line);
        let part = of_line.map(|one| one.part + 1).max().unwrap_or(0);
        let order = self.order;
        self.allocations.push(Allocation {
            id,
            order: order.order,
            line: line.line,
            part,
            party: order.buyer,
            asset: line.asset,
            address: order.address.clone().unwrap_or_default(),
            wallet_usable_from: order.wallet_usable_from,
            amount,
            cut,
            owed: TokenAmount::ZERO,
            received: TokenAmount::ZERO,
            waived: TokenAmount::ZERO,
            changes: 0,
            batch: None,
            tries: 0,
            external_id: None,
            state: if cut == amount {
                AllocationState::Cancelled {
                    failure: None,
                    provider_id: None,
                }
            } else {
                AllocationState::Pending
            },
            parked: None,
            created_at: self.now,
            updated_at: self.now,
        });
    }

    /// Releases of this policy whose day has come.
    pub(crate) fn unlock(&mut self, policy: &VestingPolicy, today: NaiveDate) {
        let Some(last) = policy.last_due(today) else {
            return;
        };
        for release in &mut self.releases {
            if release.policy == policy.id
                && release.number <= last
                && let Some(day) = policy.day_of(release.number)
            {
                release.unlock(day);
            }
        }
    }

    /// Cuts, books and restores what money that went back, or did not after all, asks for.
    pub(crate) fn adjust(&mut self, line: &LineToDeliver, id: &dyn Fn() -> AllocationId) {
        let (mut at, mut plan) = self.plan(line);
        if !plan.surplus.is_zero() && self.split_sent(line, id) {
            (at, plan) = self.plan(line);
        }
        // More than should be is cut of what is on its way: its end shows what is to be delivered anew.
        self.waiting |= !(plan.waiting.is_zero() && plan.surplus.is_zero());
        self.doubtful |= !plan.waiting.is_zero() && self.has_doubtful(line.line);
        for (at, share) in at.into_iter().zip(plan.shares) {
            match at {
                At::Release(number) => {
                    let release = &mut self.releases[number];
                    let before = release.cut;
                    if release.set_cut(share.cut) {
                        self.movements
                            .push(Movement::of_release(release, before, share.cut));
                    }
                }
                At::Allocation(number) => {
                    let allocation = &mut self.allocations[number];
                    let (cut, debt) = (allocation.cut, allocation.debt());
                    if allocation.set_cut(share.cut, self.now) == Applied::Applied {
                        self.movements.push(Movement::of_cut(allocation, cut));
                    }
                    if allocation.set_owed(share.owed, self.now) == Applied::Applied {
                        self.movements.extend(Movement::of_debt(allocation, debt));
                    }
                }
            }
        }
    }

    /// One that does not come to its end by itself.
    fn has_doubtful(&self, line: LineId) -> bool {
        let mut of_line = self.allocations.iter().filter(|one| one.line == line);
        of_line.any(|one| one.place() == Place::Moving && (one.state.is_terminal() || one.parked.is_some()))
    }

    /// What was cut before it was sent is restored as a part of its own. False: there is none.
    fn split_sent(&mut self, line: &LineToDeliver, id: &dyn Fn() -> AllocationId) -> bool {
        let now = self.now;
        let of_line = self.allocations.iter_mut().filter(|one| one.line == line.line);
        let given: Vec<_> = of_line
            .map(|allocation| allocation.give_up_cut(now))
            .filter(|given| !given.is_zero())
            .collect();
        for amount in &given {
            self.push_allocation(line, id(), *amount, *amount);
        }
        !given.is_empty()
    }

    pub(crate) fn is_settled(&self, line: &LineToDeliver) -> bool {
        let (at, plan) = self.plan(line);
        let holds = |(at, share): (&At, &crate::returns::Share)| match at {
            At::Release(number) => self.releases[*number].cut == share.cut,
            At::Allocation(number) => {
                let allocation = &self.allocations[*number];
                (allocation.cut, allocation.owed) == (share.cut, share.owed)
            }
        };
        plan.waiting.is_zero() && plan.surplus.is_zero() && at.iter().zip(&plan.shares).all(holds)
    }

    /// What is locked is taken first, the last release first; then allocations, the last made first.
    fn plan(&self, line: &LineToDeliver) -> (Vec<At>, Plan) {
        let (mut releases, mut allocations) = (Vec::new(), Vec::new());
        for (number, release) in self.releases.iter().enumerate() {
            if release.line == line.line && release.state.allocation().is_none() {
                let part = Part {
                    place: Place::Open,
                    amount: release.amount,
                    cut: release.cut,
                };
                releases.push((release.number, At::Release(number), part));
            }
        }
        for (number, allocation) in self.allocations.iter().enumerate() {
            if allocation.line == line.line {
                let part = Part {
                    place: allocation.place(),
                    amount: allocation.kept(),
                    cut: allocation.cut,
                };
                allocations.push((allocation.part, At::Allocation(number), part));
            }
        }
        for list in [&mut releases, &mut allocations] {
            list.sort_by_key(|(number, ..)| std::cmp::Reverse(*number));
        }
        let all = releases.into_iter().chain(allocations);
        let (at, parts): (Vec<_>, Vec<_>) = all.map(|(_, at, part)| (at, part)).unzip();
        let plan = plan(&parts, self.target(line));
        (at, plan)
    }

    /// The tokens of the money that went back.
    fn target(&self, line: &LineToDeliver) -> TokenAmount {
        let target = line.tokens.proportion(self.order.returned, self.order.total);
        target.unwrap_or_default()
    }

    /// All that is cut of the line.
    pub(super) fn cut(&self, line: LineId) -> TokenAmount {
        let allocations = self
            .allocations
            .iter()
            .filter(|one| one.line == line)
            .map(|one| one.cut);
        let releases = self
            .releases
            .iter()
            .filter(|one| one.line == line)
            .map(|one| one.cut);
        let cut = allocations.chain(releases).map(TokenAmount::base_units).sum();
        TokenAmount::from_base_units(cut)
    }

    /// What is due and has something left gets its allocation.
    pub(crate) fn allocate_due(&mut self, id: &dyn Fn() -> AllocationId) {
        for number in 0..self.releases.len() {
            let release = &mut self.releases[number];
            let allocation = id();
            let Some((amount, cut)) = release.allocate(allocation) else {
                continue;
            };
            let (line, order) = (release.line, self.order);
            if let Some(line) = order.lines.iter().find(|one| one.line == line) {
                self.push_allocation(line, allocation, amount, cut);
            }
        }
    }

    /// What became of the allocations since they were read.
    pub(crate) fn events_since(&self, before: &[Allocation]) -> Vec<Event> {
        let mut events = Vec::new();
        for allocation in &self.allocations {
            let old = before.iter().find(|old| old.id == allocation.id);
            let payload = json!({
                "order": allocation.order, "line": allocation.line, "asset": allocation.asset,
                "amount": allocation.amount, "cut": allocation.cut, "owed": allocation.owed,
                "state": allocation.state.name(),
            });
            let kind = match old {
                None => "allocation.created",
                Some(old) if old != allocation => "allocation.adjusted",
                Some(_) => continue,
            };
            events.push(Event {
                kind,
                subject: allocation.id.as_uuid(),
                payload,
                at: self.now,
            });
        }
        events
    }
}
