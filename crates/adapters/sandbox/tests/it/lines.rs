//! The provider's balance and the custodian's transfers, through the ports of reconciliation.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use posx_allocations::custody::Custody as _;
use posx_commissions::payout_gateway::{NewRecipient, PayoutGateway as _, SendPayout};
use posx_kernel::{
    ChainAssetId, Clock as _, Ids as _, PartyId, PayoutId, SeededIds, SiteId, SystemRandomness, Timestamp,
};
use posx_ledger::reconcile::{AskLines, Line, LinesError, Movement, ProviderLines, Wallet};
use posx_orders::gateway::{Intent, PaymentGateway as _};
use posx_sandbox::{
    CustodyCall, DisputeStatus, End, Fault, PaymentCall, RefundStatus, SandboxLines, SandboxPayouts,
};
use posx_stripe::{ClientConfig, Connection, Mode, RetryPolicy, StripeAccounts, StripeKey, StripeLines};

use crate::support::{Stage, money, start_of_time};

struct Accounts {
    ours: SandboxLines,
    real: StripeLines,
    site: SiteId,
}

impl Accounts {
    fn of(stage: &Stage) -> Self {
        let site = stage.site();
        let key = &stage.world.secrets().stripe_secret_key;
        let config = ClientConfig {
            base_url: stage.world.stripe_host_url(),
            retry: RetryPolicy {
                first_pause: std::time::Duration::from_millis(2),
                ..RetryPolicy::default()
            },
            ..ClientConfig::default()
        };
        let connection = Connection::new(&config, Arc::new(SystemRandomness)).unwrap();
        let keys = [(site, StripeKey::new(&key.clone().into()).unwrap())];
        Self {
            ours: SandboxLines::new(&stage.world.stripe_url(), key).unwrap(),
            real: StripeLines::new(StripeAccounts::new(&connection, Mode::Test, keys).unwrap()),
            site,
        }
    }

    async fn ask(
        &self,
        lines: &dyn ProviderLines,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Line>, LinesError> {
        let ask = AskLines {
            site: self.site,
            wallets: &[],
            from,
            until,
        };
        lines.lines(&ask).await
    }

    /// As both clients read it, oldest first.
    async fn read(&self, from: Timestamp, until: Timestamp) -> Vec<Line> {
        let sorted = |mut lines: Vec<Line>| {
            lines.sort_by(|one, other| {
                (one.at, &one.id, one.movement).cmp(&(other.at, &other.id, other.movement))
            });
            lines
        };
        let ours = sorted(self.ask(&self.ours, from, until).await.unwrap());
        let real = sorted(self.ask(&self.real, from, until).await.unwrap());
        assert_eq!(ours, real);
        ours
    }

    async fn paid(&self, stage: &Stage, minor: i64) -> Intent {
        let mut wish = stage.wish(minor, "USD");
        wish.site = self.site;
        let intent = stage.gateway.create_intent(&wish).await.unwrap();
        stage
            .world
            .payments()
            .confirm(&intent.id.0, "pm_card_visa")
            .unwrap();
        intent
    }
}

/// Minute by minute, so that the order is told.
fn later(stage: &Stage) {
    stage.clock.advance(TimeDelta::minutes(1));
}

fn said(lines: &[Line]) -> Vec<(Movement, &str, String)> {
    let said = lines
        .iter()
        .map(|line| (line.movement, line.reference.as_str(), line.moved.signed()));
    said.collect()
}

#[tokio::test]
async fn what_happens_writes_the_balance_line_by_line() {
    let stage = Stage::set().await;
    let (accounts, payments) = (Accounts::of(&stage), stage.world.payments());
    let kept = accounts.paid(&stage, 10_000).await.id.0;
    let charge = payments.lines()[0].id.clone();
    later(&stage);
    // A declined card writes nothing.
    payments.decline_next(1);
    let wish = stage.wish(700, "USD");
    let declined = stage.gateway.create_intent(&wish).await.unwrap();
    payments.confirm(&declined.id.0, "pm_card_visa").unwrap_err();
    // Refunded, and it bounces; nothing more when it is told again.
    let refund = payments.refund_by_hand(&kept, Some(1_000)).unwrap();
    later(&stage);
    payments.settle_refund(&refund, RefundStatus::Failed).unwrap();
    payments.settle_refund(&refund, RefundStatus::Failed).unwrap();
    later(&stage);
    let dispute = payments
        .open_dispute(&kept, None, DisputeStatus::NeedsResponse)
        .unwrap();
    payments.withdraw_funds(&dispute, 1_500).unwrap();
    later(&stage);
    payments.reinstate_funds(&dispute, 1_500).unwrap();
    later(&stage);

    let lines = accounts.read(start_of_time(), stage.clock.now()).await;
    let dispute = dispute.as_str();
    assert_eq!(
        said(&lines),
        [
            (Movement::Payment, kept.as_str(), "10000".to_owned()),
            (Movement::Fee, charge.as_str(), "-320".to_owned()),
            (Movement::Refund, refund.as_str(), "-1000".to_owned()),
            (Movement::RefundFailure, refund.as_str(), "1000".to_owned()),
            (Movement::Dispute, dispute, "-10000".to_owned()),
            (Movement::DisputeFee, dispute, "-1500".to_owned()),
            (Movement::Dispute, dispute, "10000".to_owned()),
            (Movement::DisputeFee, dispute, "1500".to_owned()),
        ]
    );
    // The dispute shows the same lines.
    let seen = stage
        .gateway
        .dispute(accounts.site, dispute)
        .await
        .unwrap()
        .unwrap();
    let ids: BTreeSet<_> = seen
        .movements
        .iter()
        .map(|movement| movement.id.as_str())
        .collect();
    let of_lines = lines.iter().filter(|line| line.movement == Movement::Dispute);
    assert_eq!(ids, of_lines.map(|line| line.id.as_str()).collect());
}

#[tokio::test]
async fn s35_a_refund_of_everything_leaves_the_fee_spent() {
    let stage = Stage::set().await;
    let (accounts, payments) = (Accounts::of(&stage), stage.world.payments());
    let kept = accounts.paid(&stage, 10_000).await.id.0;
    let charge = payments.lines()[0].id.clone();
    later(&stage);
    let refund = payments.refund_by_hand(&kept, Some(10_000)).unwrap();
    payments.settle_refund(&refund, RefundStatus::Succeeded).unwrap();
    later(&stage);
    let lines = accounts.read(start_of_time(), stage.clock.now()).await;
    assert_eq!(
        said(&lines),
        [
            (Movement::Payment, kept.as_str(), "10000".to_owned()),
            (Movement::Fee, charge.as_str(), "-320".to_owned()),
            (Movement::Refund, refund.as_str(), "-10000".to_owned()),
        ]
    );
}

#[tokio::test]
async fn transfers_payouts_and_fees_are_on_the_balance_and_payouts_and_fees_are_no_sites() {
    let stage = Stage::set().await;
    let (accounts, payments) = (Accounts::of(&stage), stage.world.payments());
    let payouts = SandboxPayouts::new(
        &stage.world.stripe_url(),
        &stage.world.secrets().stripe_secret_key,
    )
    .unwrap();
    let ids = SeededIds::new(3);
    let new = NewRecipient {
        site: accounts.site,
        agent: PartyId::from_uuid(ids.uuid(start_of_time())),
        version: 1,
        country: "DE",
    };
    let account = payouts.open_account(&new).await.unwrap();
    payments.set_account_ready(&account, true).unwrap();
    let send = SendPayout {
        site: accounts.site,
        payout: PayoutId::from_uuid(ids.uuid(start_of_time())),
        attempt: 1,
        account,
        amount: money(900, "USD"),
    };
    let transfer = payouts.send(&send).await.unwrap().reference;
    for minor in [200, 300] {
        later(&stage);
        payments.reverse_transfer(&transfer, minor).unwrap();
    }
    later(&stage);
    let (from, until) = (start_of_time(), stage.clock.now());
    let transfer = transfer.as_str();
    assert_eq!(
        said(&accounts.read(from, until).await),
        [
            (Movement::Transfer, transfer, "-900".to_owned()),
            (Movement::TransferReversal, transfer, "200".to_owned()),
            (Movement::TransferReversal, transfer, "300".to_owned()),
        ]
    );
    payments.pay_out(money(5_000, "USD")).unwrap();
    payments.charge_fee(money(90, "KWD")).unwrap();
    later(&stage);
    let all = accounts
        .ask(&accounts.real, until, stage.clock.now())
        .await
        .unwrap();
    let mut moved: Vec<_> = all
        .iter()
        .map(|line| (line.movement, line.moved.signed()))
        .collect();
    moved.sort();
    assert_eq!(
        moved,
        [
            (Movement::Fee, "-90".to_owned()),
            (Movement::PaidOut, "-5000".to_owned())
        ]
    );
    let ours = accounts
        .ask(&accounts.ours, until, stage.clock.now())
        .await
        .unwrap();
    assert_eq!(
        ours,
        [],
        "of a balance that sites share, what names no site is nobody's"
    );
}

#[tokio::test]
async fn s49_a_balance_of_many_pages_is_read_whole_and_by_its_window() {
    let stage = Stage::set().await;
    let accounts = Accounts::of(&stage);
    for _ in 0..105 {
        accounts.paid(&stage, 1_000).await;
        stage.clock.advance(TimeDelta::seconds(1));
    }
    // Another site's payment at the same provider.
    let wish = stage.wish(1_000, "USD");
    let other = stage.gateway.create_intent(&wish).await.unwrap();
    stage
        .world
        .payments()
        .confirm(&other.id.0, "pm_card_visa")
        .unwrap();
    let (from, until) = (start_of_time(), stage.clock.now());
    // Payment and fee.
    assert_eq!(accounts.read(from, until).await.len(), 210);
    let second = TimeDelta::seconds(1);
    assert_eq!(accounts.read(from + second, until - second).await.len(), 206);

    let line = stage.world.payments().line();
    line.inject(PaymentCall::ListLines, Fault::RateLimit, 1);
    line.inject(PaymentCall::ListLines, Fault::ServerError, 1);
    assert_eq!(
        accounts.ask(&accounts.real, from, until).await.unwrap().len(),
        210
    );
    line.inject(PaymentCall::ListLines, Fault::ServerError, 1);
    let failed = accounts.ask(&accounts.ours, from, until).await;
    assert!(matches!(failed, Err(LinesError::Unavailable(_))), "never a part");
}

#[tokio::test]
async fn f09_completed_transfers_of_a_vault_are_listed_page_by_page() {
    let stage = Stage::set().await;
    let wallet = |vault: &str| Wallet {
        asset: ChainAssetId::from_uuid(SeededIds::new(1).uuid(start_of_time())),
        provider_asset: "USDC_POLYGON".to_owned(),
        vault: vault.to_owned(),
        decimals: 6,
    };
    for number in 0..130 {
        let name = format!("alc_{number}-1");
        stage.custody.submit(&stage.transfer(&name)).await.unwrap();
        let custodian = stage.world.custodian();
        match number {
            0 => {
                custodian.end(&name, End::Failed);
            }
            1 => {
                custodian.end(&name, End::CompletedButThirdPartyFailed);
            }
            2 => {}
            _ => while custodian.advance(&name).is_some() {},
        }
        stage
            .clock
            .advance(TimeDelta::milliseconds(i64::from(number % 3)));
    }
    let site = stage.site();
    let wallets = [wallet("7"), wallet("8")];
    let ask = |from, until| AskLines {
        site,
        wallets: &wallets,
        from,
        until,
    };
    let (from, until) = (start_of_time(), stage.clock.now() + TimeDelta::seconds(1));
    let lines = stage.custody.lines(&ask(from, until)).await.unwrap();
    let references: BTreeSet<_> = lines.iter().map(|line| line.reference.as_str()).collect();
    assert_eq!((lines.len(), references.len()), (127, 127));
    assert!(lines.iter().all(|line| line.moved.amount == 1_500_000));
    assert_eq!(
        stage
            .custody
            .lines(&ask(until, until + TimeDelta::days(1)))
            .await
            .unwrap(),
        []
    );
    stage
        .world
        .custodian()
        .line()
        .inject(CustodyCall::List, Fault::LoseAnswer, 1);
    let lost = stage.custody.lines(&ask(from, until)).await;
    assert!(matches!(lost, Err(LinesError::Unavailable(_))));
}
