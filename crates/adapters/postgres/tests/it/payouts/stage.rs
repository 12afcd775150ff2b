//! A site whose agents are paid.

use std::sync::Arc;

use chrono::Duration;
use posx_commissions::testing::{FakeKeeper, FakePayoutGateway};
use posx_commissions::{
    BankDetails, Debtor, NewConnectAccount, NewWithdrawal, PayoutError, PayoutFilter, PayoutMethod,
    PayoutQueries as _, PayoutRules, PayoutView, Payouts, PayoutsTx, SettlementState,
};
use posx_kernel::{
    Begin, Clock as _, EntryId, IdentityId, OrderId, PageRequest, PartyId, PayoutId, SettlementId, SystemIds,
    WithdrawalId,
};
use posx_ledger::{Account, Entry, EntryKind};
use posx_tenancy::{Directory as _, Member};
use sqlx::Row as _;

use crate::server::{by_hand, superuser};
use crate::world::{World, new_id, unique, usd};

/// A site whose agents have sold, and two people who settle.
pub struct Stage {
    pub world: World,
    pub payouts: Payouts,
    pub provider: FakePayoutGateway,
    pub maker: IdentityId,
    pub checker: IdentityId,
}

/// 12 % of an order are an agent's: for 500.00, 60.00.
pub const SALE: i64 = 50_000;
pub const SHARE: i64 = 6_000;

impl Stage {
    pub async fn new() -> Self {
        let world = World::with_pool(16).await;
        world.plan().await;
        let provider = FakePayoutGateway::default();
        let payouts = world.payouts(&provider);
        let (maker, checker) = (world.person().await, world.person().await);
        Self {
            world,
            payouts,
            provider,
            maker,
            checker,
        }
    }

    /// Someone with a connected account, and `sales` sales whose shares are ready.
    pub async fn agent(&self, sales: usize) -> (Member, Vec<OrderId>) {
        let agent = self.world.member(None).await;
        let mut orders = Vec::with_capacity(sales);
        for _ in 0..sales {
            orders.push(self.sale(&agent).await);
        }
        self.connect(agent.party).await;
        self.world.clock.advance(Duration::days(8));
        let matured = self.world.commissions.mature(&self.world.scope, 500).await;
        matured.expect("matured");
        (agent, orders)
    }

    pub async fn sale(&self, agent: &Member) -> OrderId {
        let buyer = self.world.member(Some(agent.referral_code.as_str())).await;
        let tier = self.world.tier(1, SALE).await;
        let order = self.world.place(&buyer, tier, 1).await.expect("placed");
        self.world.pay(&order).await;
        let accrued = self.world.commissions.accrue(&self.world.scope, order.id).await;
        accrued.expect("accrued");
        order.id
    }

    pub async fn connect(&self, agent: PartyId) {
        let new = NewConnectAccount {
            country: "DE",
            refresh_url: "https://shop.test/again",
            return_url: "https://shop.test/done",
        };
        self.payouts
            .onboard(&self.world.scope, agent, new)
            .await
            .expect("a link");
    }

    /// So much of the sale goes back.
    pub async fn goes_back(&self, order: OrderId, returned: i64) {
        sqlx::query("update orders set returned = $2 where id = $1")
            .bind(order.as_uuid())
            .bind(returned)
            .execute(&mut by_hand().await)
            .await
            .expect("written");
        let adjusted =
            posx_kernel::retry_busy(|| self.world.commissions.adjust(&self.world.scope, order)).await;
        adjusted.expect("adjusted");
    }

    pub async fn preview(&self, method: PayoutMethod) -> Result<(SettlementId, [u8; 32]), PayoutError> {
        let made = self
            .payouts
            .preview(&self.world.scope, method, self.maker, None)
            .await?;
        Ok((made.id, self.hash(made.id).await))
    }

    pub async fn hash(&self, id: SettlementId) -> [u8; 32] {
        let view = self.world.database.settlement(&self.world.scope, id).await;
        seen(&view.expect("a look").expect("the settlement").hash)
    }

    pub async fn approve(&self, id: SettlementId, hash: &[u8; 32]) -> Result<(), PayoutError> {
        self.payouts
            .approve_settlement(&self.world.scope, id, hash, self.checker, None)
            .await
    }

    pub async fn settled(&self, method: PayoutMethod) -> Vec<PayoutView> {
        let (id, hash) = self.preview(method).await.expect("a preview");
        self.approve(id, &hash).await.expect("approved");
        self.payouts_of(Some(id)).await
    }

    pub async fn payouts_of(&self, settlement: Option<SettlementId>) -> Vec<PayoutView> {
        let filter = PayoutFilter {
            settlement,
            ..PayoutFilter::default()
        };
        let page = PageRequest::new(Some(100), None);
        let found = self
            .world
            .database
            .payouts(&self.world.scope, &filter, page)
            .await;
        found.expect("a list").items
    }

    pub async fn payout(&self, id: PayoutId) -> PayoutView {
        let found = self.world.database.payout(&self.world.scope, id, None).await;
        found.expect("a look").expect("the payout")
    }

    pub async fn state(&self, id: SettlementId) -> SettlementState {
        let found = self.world.database.settlement(&self.world.scope, id).await;
        found.expect("a look").expect("the settlement").state
    }

    pub async fn withdraw(&self, agent: PartyId, minor: i64) -> Result<WithdrawalId, PayoutError> {
        let wish = NewWithdrawal {
            agent,
            amount: usd(minor),
            method: PayoutMethod::Connect,
        };
        let made = self
            .payouts
            .request_withdrawal(&self.world.scope, wish, None)
            .await?;
        Ok(made.id)
    }

    /// Of one account in the books, as a credit; of all accounts that begin so.
    pub async fn credit(&self, account: &str) -> i64 {
        let row = sqlx::query(
            "select coalesce(-sum(amount), 0)::bigint from postings where site_id = $1 and unit = 'USD' and account like $2",
        )
        .bind(self.world.site.id.as_uuid())
        .bind(format!("{account}%"))
        .fetch_one(&mut superuser().await)
        .await;
        row.expect("a sum").get(0)
    }

    pub async fn balance(&self, agent: PartyId) -> i64 {
        self.credit(&format!("commission:payable:{agent}")).await
    }

    pub async fn states_of_commissions(&self, agent: PartyId) -> Vec<String> {
        let rows =
            sqlx::query("select state from commissions where site_id = $1 and agent_id = $2 order by state")
                .bind(self.world.site.id.as_uuid())
                .bind(agent.as_uuid())
                .fetch_all(&mut superuser().await)
                .await;
        rows.expect("rows").iter().map(|row| row.get(0)).collect()
    }

    pub async fn jobs(&self, task: &str) -> usize {
        let jobs = self
            .world
            .database
            .jobs(&self.world.scope, false, None, 100)
            .await;
        jobs.expect("jobs").iter().filter(|job| job.task == task).count()
    }
}

impl World {
    fn payouts(&self, provider: &FakePayoutGateway) -> Payouts {
        Payouts::new(
            Arc::new(self.database.clone()),
            Arc::new(provider.clone()),
            Arc::new(FakeKeeper),
            self.clock.clone(),
            Arc::new(SystemIds),
        )
    }

    pub async fn person(&self) -> IdentityId {
        let found = self.directory.identity("https://issuer.test", &unique(20)).await;
        found.expect("an identity")
    }

    /// Books so much as earned, of no order.
    pub async fn books(&self, agent: PartyId, minor: i64) {
        let mut tx = Begin::<dyn PayoutsTx>::begin(&self.database, &self.scope)
            .await
            .expect("a transaction");
        let (debit, credit) = (Account::CommissionExpense, Account::CommissionPayable(agent));
        let (id, kind) = (EntryId::from_uuid(new_id()), EntryKind::CommissionAccrued);
        let entry = Entry::of_money(id, kind, new_id(), self.clock.now(), usd(minor), debit, credit);
        tx.ledger().post(&entry).await.expect("posted");
        tx.commit().await.expect("committed");
    }

    /// One agent is paid by a file for the bank; what another owed is given up.
    pub async fn pays_agents(&self) {
        let (service, scope) = (self.payouts(&FakePayoutGateway::default()), &self.scope);
        let (agent, debtor) = (self.member(None).await.party, self.member(None).await.party);
        let (maker, checker) = (self.person().await, self.person().await);
        self.books(agent, 5_000).await;
        self.books(debtor, -300).await;
        let why = "moved away";
        let given_up = service.write_off(scope, debtor, usd(300), why, maker, None).await;
        given_up.expect("written off");
        let rules = PayoutRules {
            debtor: Some(Debtor::new("The site", "GB82WEST12345698765432", None).expect("a debtor")),
            ..PayoutRules::defaults(usd(1).currency())
        };
        service.set_rules(scope, &rules).await.expect("set");
        let details = BankDetails::new("Ann Agent", "DE89370400440532013000", None).expect("details");
        service
            .set_bank_account(scope, agent, &details)
            .await
            .expect("kept");
        let made = service
            .preview(scope, PayoutMethod::Bank, maker, None)
            .await
            .expect("a preview");
        let view = self
            .database
            .settlement(scope, made.id)
            .await
            .expect("a look")
            .expect("it");
        let approved = service
            .approve_settlement(scope, made.id, &seen(&view.hash), checker, None)
            .await;
        approved.expect("approved");
        let file = service
            .create_file(scope, usd(1).currency(), None, maker, None)
            .await;
        file.expect("a file");
        // Which commissions it takes up is shown elsewhere; the walk over all keys wants a row of each.
        let link = "update commissions set settlement_id = $2 where site_id = $1";
        let linked = sqlx::query(link)
            .bind(self.site.id.as_uuid())
            .bind(made.id.as_uuid())
            .execute(&mut superuser().await)
            .await;
        assert!(
            linked.expect("linked").rows_affected() > 0,
            "a commission was there"
        );
    }
}

/// The bytes of a hash that is shown.
fn seen(hash: &str) -> [u8; 32] {
    std::array::from_fn(|at| u8::from_str_radix(&hash[at * 2..at * 2 + 2], 16).expect("a digit"))
}

pub fn payout_of(id: WithdrawalId) -> PayoutId {
    PayoutId::from_uuid(id.as_uuid())
}
