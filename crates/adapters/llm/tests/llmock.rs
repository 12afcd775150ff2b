//! Against providers that nobody here wrote: llmock speaks as OpenAI, Groq and Anthropic do, breaks what it is told to break, and judges
//! how we took it. Runs when `POSX_COUNTERPART_LLMOCK` is its address; `cargo xtask counterparts test` starts it.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like tests")]

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use futures::StreamExt as _;
use posx_assistant::testing::{FakeQuota, FakeSecrets, FakeSetups, MODEL, choice, prices};
use posx_assistant::{
    Answer, Ask, Asker, AssistantError, CONSENT_TEXT_VERSION, Endpoint, FinishReason, Gateway, GatewayParts,
    LanguageModel as _, Limits, Message, ModelAccount, ModelCall, ModelError, ModelEvent, Part, Provider,
    ProviderKind, Providers, Purpose, ToolSpec,
};
use posx_kernel::{
    IdentityId, ModelCallId, Refusal as _, SiteId, SiteScope, SystemClock, SystemIds, SystemRandomness,
};
use posx_llm::{HttpModels, Patience};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

const VARIABLE: &str = "POSX_COUNTERPART_LLMOCK";
/// What it is told holds for whoever calls next: one test at a time.
static TURN: Mutex<()> = Mutex::const_new(());
/// What it is called by, and whose protocol that is.
const PROVIDERS: [(&str, ProviderKind, &str); 3] = [
    ("/v1", ProviderKind::OpenAi, "openai"),
    ("/groq/openai/v1", ProviderKind::OpenAi, "groq"),
    ("/anthropic", ProviderKind::Anthropic, "anthropic"),
];

type Wanted = fn(&ModelError) -> bool;

struct Mock {
    base: String,
    http: reqwest::Client,
    _turn: MutexGuard<'static, ()>,
}

impl Mock {
    async fn start() -> Option<Self> {
        let Some(base) = std::env::var_os(VARIABLE).and_then(|base| base.into_string().ok()) else {
            // Past the capture of tests that pass: what was left out is to be seen.
            let said = format!("left out: {VARIABLE} is not set\n");
            std::io::stderr().write_all(said.as_bytes()).unwrap();
            return None;
        };
        let mock = Self {
            base,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _turn: TURN.lock().await,
        };
        mock.post("reset", &json!({})).await;
        Some(mock)
    }

    async fn post(&self, path: &str, body: &Value) {
        let sent = self.http.post(format!("{}/_llmock/{path}", self.base)).json(body);
        let answer = sent.send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{path}: {}",
            answer.text().await.unwrap()
        );
    }

    async fn behave(&self, behaviors: Value) {
        self.post("scenario", &json!({ "behaviors": behaviors })).await;
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}/_llmock/{path}", self.base)).send();
        answer.await.unwrap().json().await.unwrap()
    }

    /// What it has against us.
    async fn findings(&self) -> Vec<String> {
        let verdict = self.get("verdict").await;
        let findings = verdict["findings"].as_array().expect("findings");
        findings
            .iter()
            .map(|finding| finding["code"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn endpoint(&self, (path, kind, name): (&str, ProviderKind, &str)) -> Endpoint {
        Endpoint {
            provider: name.to_owned(),
            kind,
            base_url: format!("{}{path}", self.base).parse().unwrap(),
            model: MODEL.to_owned(),
            key: Some(SecretString::from("sk-of-the-test".to_owned())),
        }
    }

    fn gateway(&self, (path, kind, _): (&str, ProviderKind, &str)) -> (Gateway, FakeQuota) {
        let provider = Provider {
            kind,
            base_url: format!("{}{path}", self.base).parse().unwrap(),
            key: Some(SecretString::from("sk-of-the-test".to_owned())),
            needs_key: true,
        };
        let (setups, quota) = (
            FakeSetups::default(),
            FakeQuota::new("UTC".parse().unwrap(), Limits::default()),
        );
        let account = ModelAccount::new(Purpose::StaffChat, choice("main", MODEL), DateTime::UNIX_EPOCH);
        setups.put_account(&scope(), account);
        setups.put_consent(&scope(), Purpose::StaffChat, CONSENT_TEXT_VERSION);
        let gateway = Gateway::new(GatewayParts {
            model: Arc::new(models()),
            quota: Arc::new(quota.clone()),
            prices: Arc::new(prices()),
            setups: Arc::new(setups),
            providers: Arc::new([("main".to_owned(), provider)].into_iter().collect::<Providers>()),
            secrets: Arc::new(FakeSecrets::default()),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            randomness: Arc::new(SystemRandomness),
        });
        (gateway, quota)
    }
}

fn models() -> HttpModels {
    HttpModels::new(Patience {
        first_word: Duration::from_secs(3),
        between_events: Duration::from_secs(1),
    })
    .unwrap()
}

fn scope() -> SiteScope {
    SiteScope::of_verified_request(SiteId::from_uuid(uuid::Uuid::from_u128(1)))
}

fn said() -> Vec<Message> {
    vec![Message::User(vec![Part::Text(
        "How many orders were paid?".to_owned(),
    )])]
}

fn call() -> ModelCall {
    ModelCall {
        id: ModelCallId::from_uuid(uuid::Uuid::from_u128(7)),
        site: scope().site(),
        system: "Answer shortly.".to_owned(),
        messages: said(),
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 500,
    }
}

fn find_orders() -> ToolSpec {
    ToolSpec {
        name: "find_orders",
        description: "Orders of the site by their state.",
        parameters: json!({ "type": "object", "properties": { "state": { "type": "string" } }, "required": ["state"] }),
    }
}

async fn complete(gateway: &Gateway) -> Result<Answer, AssistantError> {
    let ask = Ask {
        purpose: Purpose::StaffChat,
        asker: Asker::Member(IdentityId::from_uuid(uuid::Uuid::from_u128(2))),
        system: "Answer shortly.".to_owned(),
        messages: said(),
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 500,
    };
    gateway.complete(&scope(), ask).await
}

async fn events(endpoint: &Endpoint, call: &ModelCall) -> Result<Vec<ModelEvent>, ModelError> {
    let mut stream = models().open(endpoint, call).await?;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event?);
    }
    Ok(events)
}

fn text(events: &[ModelEvent]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        ModelEvent::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[tokio::test]
async fn an_answer_of_each_protocol_is_read_with_its_usage_and_its_end() {
    let Some(mock) = Mock::start().await else { return };
    for provider in PROVIDERS {
        mock.behave(json!([{ "type": "reply", "text": "Seven orders were paid." }]))
            .await;
        let events = events(&mock.endpoint(provider), &call()).await.unwrap();
        assert_eq!(text(&events), "Seven orders were paid.", "{provider:?}");
        assert!(
            events.contains(&ModelEvent::Finished(FinishReason::Stop)),
            "{events:?}"
        );
        let usage = events.iter().rev().find_map(|event| match event {
            ModelEvent::Usage(usage) => Some(*usage),
            _ => None,
        });
        assert!(
            usage.is_some_and(|usage| usage.input > 0 && usage.output > 0),
            "{provider:?} {events:?}"
        );
    }
}

#[tokio::test]
async fn a_tool_is_asked_for_and_its_answer_is_taken_back() {
    let Some(mock) = Mock::start().await else { return };
    for provider in PROVIDERS {
        let tool_call = json!({ "name": "find_orders", "arguments": { "state": "paid" } });
        mock.behave(json!([{ "type": "reply", "tool_calls": [tool_call] }]))
            .await;
        let (endpoint, mut call) = (mock.endpoint(provider), call());
        call.tools = vec![find_orders()];
        let first = events(&endpoint, &call).await.unwrap();
        let asked = first.iter().find_map(|event| match event {
            ModelEvent::ToolCall(call) => Some(call.clone()),
            _ => None,
        });
        let asked = asked.unwrap_or_else(|| panic!("{provider:?} {first:?}"));
        assert_eq!(asked.name, "find_orders");
        let arguments: Value = serde_json::from_str(&asked.arguments).unwrap();
        assert_eq!(arguments, json!({ "state": "paid" }));
        assert!(
            first.contains(&ModelEvent::Finished(FinishReason::ToolCalls)),
            "{first:?}"
        );
        call.messages.push(Message::Assistant {
            text: text(&first),
            tool_calls: vec![asked.clone()],
        });
        call.messages.push(Message::Tool {
            call: asked.id,
            content: "[]".to_owned(),
        });
        // It answers in words once the tool's answer is there.
        let second = events(&endpoint, &call).await.unwrap();
        assert!(
            second.contains(&ModelEvent::Finished(FinishReason::Stop)),
            "{provider:?} {second:?}"
        );
    }
}

#[tokio::test]
async fn each_refusal_is_what_it_is_in_each_protocol() {
    let Some(mock) = Mock::start().await else { return };
    let refusals: [(u16, Wanted); 6] = [
        (401, |error| matches!(error, ModelError::NotAuthorized)),
        (403, |error| matches!(error, ModelError::NotAuthorized)),
        (404, |error| matches!(error, ModelError::UnknownModel)),
        (429, |error| matches!(error, ModelError::RateLimited { .. })),
        (500, |error| matches!(error, ModelError::Unavailable(_))),
        // With a wait that it asks for, as a limit.
        (503, ModelError::may_pass),
    ];
    for provider in PROVIDERS {
        for (status, wanted) in refusals {
            mock.behave(json!([{ "type": "fail", "status": status }])).await;
            let error = events(&mock.endpoint(provider), &call()).await.unwrap_err();
            assert!(wanted(&error), "{provider:?} {status}: {error:?}");
        }
    }
    mock.behave(json!([{ "type": "fail", "status": 529 }])).await;
    let error = events(&mock.endpoint(PROVIDERS[2]), &call()).await.unwrap_err();
    assert!(error.may_pass(), "{error:?}");
}

#[tokio::test]
async fn streams_that_break_are_told_as_broken() {
    let Some(mock) = Mock::start().await else { return };
    for provider in PROVIDERS {
        for kind in ["disconnect", "truncate", "malformed", "stall"] {
            let text = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen.";
            mock.behave(json!([
                { "type": "reply", "text": text },
                { "type": "stream_fault", "kind": kind, "after_chunks": 5, "stall_seconds": 3.0 },
            ]))
            .await;
            let error = events(&mock.endpoint(provider), &call()).await.unwrap_err();
            assert!(
                matches!(error, ModelError::Broken(_)),
                "{provider:?} {kind}: {error:?}"
            );
        }
        mock.post("reset", &json!({})).await;
    }
}

#[tokio::test]
async fn a_first_word_that_does_not_come_is_not_waited_for() {
    let Some(mock) = Mock::start().await else { return };
    for provider in PROVIDERS {
        mock.behave(json!([{ "type": "slow_first_token", "seconds": 5.0 }]))
            .await;
        let error = events(&mock.endpoint(provider), &call()).await.unwrap_err();
        assert!(matches!(error, ModelError::TimedOut), "{provider:?}: {error:?}");
    }
}

#[tokio::test]
async fn it_has_nothing_against_how_the_gateway_tries_again() {
    let Some(mock) = Mock::start().await else { return };
    for provider in PROVIDERS {
        mock.post("reset", &json!({})).await;
        let (gateway, quota) = mock.gateway(provider);
        mock.behave(json!([
            { "type": "fail", "status": 429, "retry_after": 1 },
            { "type": "fail", "status": 503 },
        ]))
        .await;
        complete(&gateway).await.unwrap();
        let calls = quota.calls();
        let [call] = &calls[..] else { panic!("one call") };
        let spent = call.spent.as_ref().unwrap();
        assert_eq!(
            (spent.tries, spent.outcome, spent.by_provider),
            (3, "answered", true)
        );
        assert!(spent.cost <= call.reservation.worst_case);
        // What cannot pass is not tried again.
        mock.behave(json!([{ "type": "fail", "status": 401 }])).await;
        let refused = complete(&gateway).await.unwrap_err();
        assert_eq!(refused.code(), "model_account_refused");
        assert!(gateway.drain(Duration::from_secs(5)).await);
        let findings = mock.findings().await;
        let against: Vec<_> = findings
            .iter()
            // Its attempts are told apart by their bodies, and two calls here say the same.
            .filter(|code| !matches!(code.as_str(), "no_backoff" | "gave_up"))
            .collect();
        assert!(against.is_empty(), "{provider:?}: {findings:?}");
    }
}

#[tokio::test]
async fn a_truncated_answer_is_no_answer_and_is_paid_for() {
    let Some(mock) = Mock::start().await else { return };
    for provider in PROVIDERS {
        let (gateway, quota) = mock.gateway(provider);
        mock.behave(json!([
            { "type": "reply", "text": "One two three four five six seven eight nine ten eleven twelve." },
            { "type": "stream_fault", "kind": "truncate", "after_chunks": 5 },
        ]))
        .await;
        let refused = complete(&gateway).await.unwrap_err();
        assert_eq!(refused.code(), "model_answer_broke_off", "{provider:?}");
        let calls = quota.calls();
        let [call] = &calls[..] else { panic!("one call") };
        assert_eq!(call.spent.as_ref().unwrap().outcome, "broken_off");
    }
}
