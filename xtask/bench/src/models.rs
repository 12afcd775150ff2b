//! Calls of a language model through the gateway, with its reservation and settlement in PostgreSQL, beside the same calls of the bare
//! client in the same process: what the gateway costs, and how much memory a stream that is open takes.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use futures::StreamExt as _;
use posx_assistant::testing::{FakeSecrets, FakeSetups, MODEL, choice, prices};
use posx_assistant::{
    Ask, Asker, CONSENT_TEXT_VERSION, Endpoint, Gateway, GatewayParts, LanguageModel as _, Limits, Message,
    ModelAccount, ModelCall, Part, Provider, ProviderKind, Providers, Purpose,
};
use posx_kernel::{
    Clock as _, Ids as _, ModelCallId, SiteId, SiteScope, SystemClock, SystemIds, SystemRandomness, VisitorId,
};
use posx_llm::{HttpModels, Patience};
use posx_postgres::{Database, DatabaseOptions, PgQuota};
use posx_sandbox::World;

use crate::Outcome;
use crate::load::closed_loop;
use crate::report::Row;
use crate::seed;

const STREAMS: [usize; 2] = [1, 64];
/// Open at once when memory is measured.
const OPEN: usize = 500;
const QUESTION: &str = "[[say 20]]";
/// More than the buffers between the model and a reader who does not read hold.
const ENDLESS: &str = "[[say 9000]]";

pub async fn measure(world: &World, app_url: &str, seconds: u64) -> Outcome<Vec<Row>> {
    let gateway = Arc::new(gateway(world, app_url).await?);
    let models = Arc::new(HttpModels::new(Patience::default())?);
    let endpoint = Arc::new(endpoint(world)?);
    let lasting = Duration::from_secs(seconds);
    let mut rows = Vec::new();
    for streams in STREAMS {
        let name = format!("call a language model through the gateway, {streams} streams");
        println!("{name} …");
        let (bare_models, bare_endpoint) = (Arc::clone(&models), Arc::clone(&endpoint));
        let bare = closed_loop(streams, lasting, move |_, _| {
            let (models, endpoint) = (Arc::clone(&bare_models), Arc::clone(&bare_endpoint));
            async move { bare_call(&models, &endpoint).await }
        })
        .await;
        let through = Arc::clone(&gateway);
        let measured = closed_loop(streams, lasting, move |_, _| {
            let gateway = Arc::clone(&through);
            async move { gateway.complete(&scope(), asking(QUESTION)).await.is_ok() }
        })
        .await;
        println!(
            "  over the sandbox's own latency: {:.2} ms p50, {:.2} ms p99",
            measured.p50_ms - bare.p50_ms,
            measured.p99_ms - bare.p99_ms
        );
        rows.push(Row::new(name, &measured, bare.rate_per_s, None));
    }
    println!(
        "memory of {OPEN} open streams, both ends: {}",
        memory(&gateway).await?
    );
    Ok(rows)
}

/// Nobody reads them on.
async fn memory(gateway: &Gateway) -> Outcome<String> {
    let before = resident_kib()?;
    let mut open = Vec::with_capacity(OPEN);
    for _ in 0..OPEN {
        let mut stream = gateway.open(&scope(), asking(ENDLESS)).await?;
        stream.next().await;
        open.push(stream);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let each = resident_kib()?.saturating_sub(before) / u64::try_from(OPEN)?;
    drop(open);
    if !gateway.drain(Duration::from_secs(30)).await {
        return Err("streams that were left are not settled".into());
    }
    Ok(format!("{each} KiB each"))
}

fn resident_kib() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number
        .ok_or("this system does not say how much memory is used")?
        .parse()?)
}

async fn bare_call(models: &HttpModels, endpoint: &Endpoint) -> bool {
    let ask = asking(QUESTION);
    let call = ModelCall {
        id: ModelCallId::from_uuid(SystemIds.uuid(SystemClock.now())),
        site: scope().site(),
        system: ask.system,
        messages: ask.messages,
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: ask.max_output_tokens,
    };
    let Ok(mut stream) = models.open(endpoint, &call).await else {
        return false;
    };
    while let Some(event) = stream.next().await {
        if event.is_err() {
            return false;
        }
    }
    true
}

fn endpoint(world: &World) -> Outcome<Endpoint> {
    Ok(Endpoint {
        provider: "main".to_owned(),
        kind: ProviderKind::OpenAi,
        base_url: world.models_url().parse()?,
        model: MODEL.to_owned(),
        key: None,
    })
}

async fn gateway(world: &World, app_url: &str) -> Outcome<Gateway> {
    let provider = Provider {
        kind: ProviderKind::OpenAi,
        base_url: world.models_url().parse()?,
        key: None,
        needs_key: false,
    };
    let setups = FakeSetups::default();
    let account = ModelAccount::new(Purpose::StaffChat, choice("main", MODEL), DateTime::UNIX_EPOCH);
    setups.put_account(&scope(), account);
    setups.put_consent(&scope(), Purpose::StaffChat, CONSENT_TEXT_VERSION);
    let options = DatabaseOptions {
        pool_size: 16,
        ..DatabaseOptions::default()
    };
    let database = Database::connect(app_url, options).await?;
    Ok(Gateway::new(GatewayParts {
        model: Arc::new(HttpModels::new(Patience::default())?),
        quota: Arc::new(PgQuota::new(database, Limits::default())),
        prices: Arc::new(prices()),
        setups: Arc::new(setups),
        providers: Arc::new([("main".to_owned(), provider)].into_iter().collect::<Providers>()),
        secrets: Arc::new(FakeSecrets::default()),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        randomness: Arc::new(SystemRandomness),
    }))
}

fn scope() -> SiteScope {
    let site = seed::SITE.parse().expect("the seed's site is a UUID");
    SiteScope::of_claimed_job(SiteId::from_uuid(site))
}

fn asking(text: &str) -> Ask {
    Ask {
        purpose: Purpose::StaffChat,
        asker: Asker::Visitor(VisitorId::from_uuid(scope().site().as_uuid())),
        system: "Answer shortly.".to_owned(),
        messages: vec![Message::User(vec![Part::Text(text.to_owned())])],
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 10_000,
    }
}
