//! A site with agents who have earned something, in memory.

use std::sync::Arc;

use posx_kernel::{
    CommissionId, Currency, EntryId, IdentityId, ManualClock, Money, OrderId, PartyId, PayoutId, PlanId,
    SeededIds, SiteId, SiteScope,
};
use posx_ledger::{Account, Entry, EntryKind};
use uuid::Uuid;

use crate::testing::{FakeDb, FakeKeeper, FakePayoutGateway, World, at, party};
use crate::{
    AccountMethod, Commission, CommissionState, PaidOrder, Payout, PayoutAccount, PayoutMethod, Payouts,
    SettlementState,
};

pub(crate) const ANN: PartyId = party(1);
pub(crate) const BEN: PartyId = party(2);

/// A site with agents who have earned something.
pub(crate) struct Shop {
    pub db: FakeDb,
    pub clock: Arc<ManualClock>,
    pub provider: FakePayoutGateway,
    pub service: Payouts,
    pub scope: SiteScope,
}

pub(crate) const fn person(name: u128) -> IdentityId {
    IdentityId::from_uuid(Uuid::from_u128(name))
}

pub(crate) const MAKER: IdentityId = person(101);
pub(crate) const CHECKER: IdentityId = person(102);

impl Shop {
    pub(crate) fn new() -> Self {
        let (db, clock) = (FakeDb::default(), Arc::new(ManualClock::stopped_at(at(30))));
        let provider = FakePayoutGateway::default();
        let service = Payouts::new(
            Arc::new(db.clone()),
            Arc::new(provider.clone()),
            Arc::new(FakeKeeper),
            clock.clone(),
            Arc::new(SeededIds::new(1)),
        );
        Self {
            db,
            clock,
            provider,
            service,
            scope: SiteScope::of_claimed_job(SiteId::from_uuid(Uuid::from_u128(1))),
        }
    }

    pub(crate) fn world(&self) -> World {
        self.db.world(&self.scope)
    }

    /// One commission, booked, of an order of its own.
    pub(crate) fn earns(&self, agent: PartyId, name: u128, amount: Money, state: CommissionState) {
        let commission = Commission {
            id: CommissionId::from_uuid(Uuid::from_u128(name)),
            order: OrderId::from_uuid(Uuid::from_u128(name)),
            agent,
            level: 1,
            rate: "0.1".parse().expect("a rate"),
            base: amount,
            amount,
            reversed: Money::zero(amount.currency()),
            state,
            back_to: None,
            hold_until: at(7),
            plan: PlanId::from_uuid(Uuid::from_u128(1)),
            created_at: at(0),
            updated_at: at(0),
        };
        let order = PaidOrder {
            order: commission.order,
            buyer: party(99),
            total: amount,
            returned: Money::zero(amount.currency()),
            disputed: false,
            lines: Vec::new(),
            snapshot: None,
            paid_at: Some(at(0)),
        };
        let (debit, credit) = (Account::CommissionExpense, Account::CommissionPayable(agent));
        let (id, kind) = (
            EntryId::from_uuid(Uuid::from_u128(name)),
            EntryKind::CommissionAccrued,
        );
        let entry = Entry::of_money(id, kind, commission.id.as_uuid(), at(0), amount, debit, credit);
        self.db.arrange(&self.scope, |world| {
            world.entries.push(entry);
            world.orders.insert(order.order, order);
            world.commissions.insert(commission.id, commission);
        });
    }

    /// So much of what a commission earned is taken back.
    pub(crate) fn reverse(&self, name: u128, amount: Money) {
        self.db.arrange(&self.scope, |world| {
            let id = CommissionId::from_uuid(Uuid::from_u128(name));
            let one = world.commissions.get_mut(&id).expect("the commission");
            one.reversed = one.reversed.checked_add(amount).expect("a sum");
            let (debit, credit) = (Account::CommissionPayable(one.agent), Account::CommissionExpense);
            let (entry, kind) = (
                EntryId::from_uuid(Uuid::from_u128(name + 1_000)),
                EntryKind::CommissionReversed,
            );
            let cause =
                Uuid::from_u128(name + 1_000 + u128::try_from(one.reversed.minor()).expect("positive"));
            world
                .entries
                .push(Entry::of_money(entry, kind, cause, at(30), amount, debit, credit));
        });
    }

    pub(crate) fn dispute(&self, name: u128, disputed: bool) {
        self.db.arrange(&self.scope, |world| {
            let id = OrderId::from_uuid(Uuid::from_u128(name));
            world.orders.get_mut(&id).expect("the order").disputed = disputed;
        });
    }

    pub(crate) fn connect(&self, agent: PartyId) {
        let account = PayoutAccount {
            agent,
            method: AccountMethod::Connect,
            version: 1,
            details: None,
            masked: "…0001".to_owned(),
            connect_account: Some(format!("acct_of_{agent}")),
            created_at: at(0),
            usable_from: at(0),
            removed_at: None,
            standing: None,
            stuck_payout: None,
        };
        self.db
            .arrange(&self.scope, |world| world.payouts.accounts.push(account));
    }

    pub(crate) fn account_of(agent: PartyId) -> String {
        format!("acct_of_{agent}")
    }

    /// A settlement by this method, approved by the second person.
    pub(crate) async fn settled(&self, method: PayoutMethod) -> Vec<Payout> {
        let made = self
            .service
            .preview(&self.scope, method, MAKER, None)
            .await
            .expect("a preview");
        let hash = self.world().payouts.settlements[&made.id].hash;
        self.service
            .approve_settlement(&self.scope, made.id, &hash, CHECKER, None)
            .await
            .expect("an approval");
        let payouts = self.world().payouts.payouts.into_values();
        payouts.filter(|one| one.settlement == Some(made.id)).collect()
    }

    pub(crate) fn payout(&self, id: PayoutId) -> Payout {
        self.world().payouts.payouts[&id].clone()
    }

    pub(crate) fn settlement_state(&self) -> SettlementState {
        self.world()
            .payouts
            .settlements
            .values()
            .last()
            .expect("a settlement")
            .state
    }

    pub(crate) fn commission(&self, name: u128) -> CommissionState {
        self.world().commissions[&CommissionId::from_uuid(Uuid::from_u128(name))].state
    }

    /// Of one account in US cents, as a credit.
    pub(crate) fn credit(&self, account: &Account) -> i64 {
        let usd = Currency::from_code("USD").expect("USD");
        self.world().credit_of(account).get(&usd).copied().unwrap_or(0)
    }

    pub(crate) fn balance(&self, agent: PartyId) -> i64 {
        self.credit(&Account::CommissionPayable(agent))
    }

    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        self.world().events.iter().map(|event| event.kind).collect()
    }
}
