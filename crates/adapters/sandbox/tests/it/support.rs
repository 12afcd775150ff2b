use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::{DateTime, TimeDelta};
use posx_allocations::custody::{ExternalId, TransferRequest};
use posx_kernel::{
    Currency, Ids, ManualClock, Money, OrderId, PaymentAttemptId, RefundId, SeededIds, SiteId, Timestamp,
    TokenAmount,
};
use posx_orders::gateway::{CreateIntent, CreateRefund, IntentId};
use posx_sandbox::{Drive, RetryPolicy, SandboxCustody, SandboxGateway, World, WorldConfig, WorldKeys};
use serde_json::Value;

static KEYS: LazyLock<WorldKeys> = LazyLock::new(|| WorldKeys::generate().unwrap());
pub const WITHIN: Duration = Duration::from_secs(20);

/// A world at a standing clock, clients of it, and someone who listens to its webhooks.
pub struct Stage {
    pub world: World,
    pub clock: Arc<ManualClock>,
    pub gateway: SandboxGateway,
    pub custody: SandboxCustody,
    pub receiver: Receiver,
    ids: SeededIds,
}

pub fn start_of_time() -> Timestamp {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap()
}

impl Stage {
    pub async fn set() -> Self {
        Self::set_with(Drive::Manual).await
    }

    pub async fn set_with(drive: Drive) -> Self {
        let clock = Arc::new(ManualClock::stopped_at(start_of_time()));
        let retry = RetryPolicy {
            attempts_max: 4,
            first_pause: Duration::from_millis(5),
            longest_pause: Duration::from_millis(20),
        };
        let config = WorldConfig {
            drive,
            retry,
            keys: Some(KEYS.clone()),
            ..WorldConfig::new(clock.clone())
        };
        let world = World::start(config).await.unwrap();
        let receiver = Receiver::listen().await;
        world.deliver_webhooks_to(receiver.url("/stripe"), receiver.url("/fireblocks"));
        let gateway = SandboxGateway::new(&world.stripe_url(), &world.secrets().stripe_secret_key).unwrap();
        let custody =
            SandboxCustody::new(&world.fireblocks_url(), &world.secrets().fireblocks_api_key).unwrap();
        Self {
            world,
            clock,
            gateway,
            custody,
            receiver,
            ids: SeededIds::new(7),
        }
    }

    fn uuid(&self) -> uuid::Uuid {
        self.ids.uuid(start_of_time())
    }

    pub fn site(&self) -> SiteId {
        SiteId::from_uuid(self.uuid())
    }

    pub fn wish(&self, minor: i64, currency: &str) -> CreateIntent {
        CreateIntent {
            site: self.site(),
            order: OrderId::from_uuid(self.uuid()),
            attempt: PaymentAttemptId::from_uuid(self.uuid()),
            amount: money(minor, currency),
        }
    }

    pub fn refund_of(&self, intent: &IntentId, minor: i64) -> CreateRefund {
        CreateRefund {
            site: self.site(),
            intent: intent.clone(),
            refund: RefundId::from_uuid(self.uuid()),
            amount: money(minor, "USD"),
        }
    }

    pub fn transfer(&self, external_id: &str) -> TransferRequest {
        TransferRequest {
            site: self.site(),
            external_id: ExternalId(external_id.to_owned()),
            provider_asset: "USDC_POLYGON".to_owned(),
            vault: "7".to_owned(),
            to: "0x52908400098527886E0F7030069857D2E4169EE7".to_owned(),
            amount: TokenAmount::from_base_units(1_500_000),
            decimals: 6,
        }
    }

    pub async fn webhooks_settle(&self) {
        assert!(self.world.payments().webhooks().idle(WITHIN).await);
        assert!(self.world.custodian().webhooks().idle(WITHIN).await);
    }

    pub fn days_pass(&self, days: i64) {
        self.clock.advance(TimeDelta::days(days));
    }
}

/// To this machine only, without the machine's certificates, whose loading takes longer than most tests.
pub fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    builder.build().unwrap()
}

pub fn money(minor: i64, currency: &str) -> Money {
    Money::from_minor(minor, Currency::from_code(currency).unwrap())
}

/// Takes webhooks and answers with the statuses it was given, then with 200.
#[derive(Clone)]
pub struct Receiver {
    address: String,
    state: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    deliveries: Vec<(HeaderMap, Bytes)>,
    statuses: VecDeque<u16>,
}

impl Receiver {
    async fn listen() -> Self {
        let state = Arc::new(Mutex::new(Received::default()));
        let router = Router::new()
            .route("/stripe", post(take))
            .route("/fireblocks", post(take))
            .with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn answer_with(&self, statuses: &[u16]) {
        self.state.lock().unwrap().statuses.extend(statuses);
    }

    pub fn raw(&self) -> Vec<(HeaderMap, Bytes)> {
        self.state.lock().unwrap().deliveries.clone()
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.raw()
            .iter()
            .map(|(_, body)| serde_json::from_slice(body).unwrap())
            .collect()
    }

    /// The events' types, in the order of arrival.
    pub fn kinds(&self) -> Vec<String> {
        let kind = |body: &Value| body.get("type").or(body.get("eventType")).cloned();
        self.bodies()
            .iter()
            .map(|body| kind(body).unwrap().as_str().unwrap().to_owned())
            .collect()
    }
}

async fn take(State(state): State<Arc<Mutex<Received>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut state = state.lock().unwrap();
    state.deliveries.push((headers, body));
    let status = state.statuses.pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}
