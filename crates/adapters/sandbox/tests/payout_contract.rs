//! The sandbox's payouts, by its own client and by Stripe's: both keep the contract that the use cases were tested on.

use std::sync::Arc;

use async_trait::async_trait;
use posx_commissions::payout_gateway::{NewRecipient, PayoutGateway as _, SendPayout};
use posx_commissions::testing::{BehindPayouts, party, payout_contract, usd};
use posx_kernel::{Clock as _, Ids as _, ManualClock, Money, PayoutId, SeededIds, SiteId, SystemRandomness};
use posx_sandbox::{Fault, PaymentCall, Payments, SandboxPayouts, World, WorldConfig};
use posx_stripe::{ClientConfig, Connection, Mode, RetryPolicy, StripeAccounts, StripeKey, StripePayouts};

struct Behind(Payments);

#[async_trait]
impl BehindPayouts for Behind {
    async fn set_ready(&self, account: &str, ready: bool) {
        self.0.set_account_ready(account, ready).expect("an account");
    }

    async fn lose_answer(&self) {
        self.0
            .line()
            .inject(PaymentCall::CreateTransfer, Fault::LoseAnswer, 1);
    }

    async fn run_short(&self) {
        let code = "balance_insufficient".to_owned();
        self.0
            .line()
            .inject(PaymentCall::CreateTransfer, Fault::Refuse { code }, 1);
    }

    async fn take_back(&self, reference: &str, amount: Money) {
        self.0
            .reverse_transfer(reference, amount.minor())
            .expect("reversed");
    }
}

async fn world() -> (World, SiteId) {
    let clock = Arc::new(ManualClock::default());
    let site = SiteId::from_uuid(SeededIds::new(1).uuid(clock.now()));
    (
        World::start(WorldConfig::new(clock)).await.expect("a world"),
        site,
    )
}

#[tokio::test]
async fn the_sandbox_keeps_the_contract_of_a_provider_of_payouts() {
    let (world, site) = world().await;
    let key = &world.secrets().stripe_secret_key;
    let gateway = SandboxPayouts::new(&world.stripe_url(), key).expect("a client");
    payout_contract(&gateway, &Behind(world.payments().clone()), site).await;
}

#[tokio::test]
async fn s08_stripes_own_client_keeps_it_at_the_sandbox() {
    let (world, site) = world().await;
    let key = StripeKey::new(&world.secrets().stripe_secret_key.clone().into()).expect("a key");
    // A lost answer is for the use case to find: the client does not try again by itself here.
    let config = ClientConfig {
        base_url: world.stripe_host_url(),
        retry: RetryPolicy {
            tries_max: 1,
            ..RetryPolicy::default()
        },
        ..ClientConfig::default()
    };
    let connection = Connection::new(&config, Arc::new(SystemRandomness)).expect("a connection");
    let accounts = StripeAccounts::new(&connection, Mode::Test, [(site, key)]).expect("accounts");
    let gateway = StripePayouts::new(accounts);
    payout_contract(&gateway, &Behind(world.payments().clone()), site).await;
}

#[tokio::test]
async fn s44_short_of_balance_no_transfer_is_made() {
    let (world, site) = world().await;
    let payments = world.payments();
    let gateway =
        SandboxPayouts::new(&world.stripe_url(), &world.secrets().stripe_secret_key).expect("a client");
    let new = NewRecipient {
        site,
        agent: party(1),
        version: 1,
        country: "DE",
    };
    let account = gateway.open_account(&new).await.expect("opened");
    payments.set_account_ready(&account, true).expect("an account");
    payments.set_short_of_balance(true);
    let request = SendPayout {
        site,
        payout: PayoutId::from_uuid(uuid::Uuid::from_u128(1)),
        attempt: 1,
        account,
        amount: usd(5_000),
    };
    assert!(gateway.send(&request).await.is_err());
    assert!(payments.transfers().is_empty());
    payments.repair();
    let next = SendPayout {
        attempt: 2,
        ..request
    };
    gateway.send(&next).await.expect("sent");
    assert_eq!(payments.transfers().len(), 1);
}
