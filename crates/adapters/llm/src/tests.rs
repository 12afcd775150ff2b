//! Against a server of the test, which sends what a provider would and keeps what it was sent.

mod anthropic;
mod failures;
mod openai;
mod redaction;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use futures::StreamExt as _;
use posx_assistant::{
    Endpoint, LanguageModel as _, Message, ModelCall, ModelError, ModelEvent, Part, ProviderKind, ToolSpec,
};
use posx_kernel::{ModelCallId, SiteId};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{HttpModels, Patience};

const KEY: &str = "sk-secret-of-the-test";

/// One answer: what is sent, piece by piece.
#[derive(Debug, Clone)]
struct Sent {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Bytes(String),
    Wait(Duration),
    /// The connection is cut.
    Cut,
}

impl Sent {
    fn events(events: &[Value]) -> Self {
        let event = |event: &Value| format!("data: {event}\n\n");
        let text = events.iter().map(event).collect::<Vec<_>>().concat();
        Self::text(200, text)
    }

    fn text(status: u16, text: impl Into<String>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            pieces: vec![Piece::Bytes(text.into())],
        }
    }

    fn refusal(status: u16, body: &Value) -> Self {
        Self::text(status, body.to_string())
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn and(mut self, piece: Piece) -> Self {
        self.pieces.push(piece);
        self
    }

    fn done(self) -> Self {
        self.and(Piece::Bytes("data: [DONE]\n\n".to_owned()))
    }
}

#[derive(Debug, Clone, Default)]
struct Provider {
    answers: Arc<Mutex<VecDeque<Sent>>>,
    asked: Arc<Mutex<Vec<(String, HeaderMap, Value)>>>,
}

impl Provider {
    async fn start(answers: impl IntoIterator<Item = Sent>) -> (Self, String) {
        let provider = Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            ..Self::default()
        };
        let router = Router::new().fallback(answer).with_state(provider.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (provider, base)
    }

    fn asked(&self) -> Vec<(String, HeaderMap, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(State(provider): State<Provider>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap();
    provider
        .asked
        .lock()
        .unwrap()
        .push((uri.path().to_owned(), headers, body));
    let sent = provider.answers.lock().unwrap().pop_front().expect("an answer");
    let mut response = Response::builder().status(sent.status);
    for (name, value) in &sent.headers {
        response = response.header(*name, value);
    }
    let pieces = futures::stream::iter(sent.pieces).filter_map(|piece| async {
        match piece {
            Piece::Bytes(text) => Some(Ok(Bytes::from(text))),
            Piece::Cut => Some(Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))),
            Piece::Wait(wait) => {
                tokio::time::sleep(wait).await;
                None
            }
        }
    });
    response.body(Body::from_stream(pieces)).unwrap()
}

fn models() -> HttpModels {
    HttpModels::new(Patience {
        first_word: Duration::from_millis(600),
        between_events: Duration::from_millis(600),
    })
    .unwrap()
}

fn endpoint(kind: ProviderKind, base: &str) -> Endpoint {
    Endpoint {
        provider: "test".to_owned(),
        kind,
        base_url: base.parse().unwrap(),
        model: "steady".to_owned(),
        key: Some(SecretString::from(KEY.to_owned())),
    }
}

fn call() -> ModelCall {
    ModelCall {
        id: ModelCallId::from_uuid(uuid::Uuid::from_u128(7)),
        site: SiteId::from_uuid(uuid::Uuid::from_u128(1)),
        system: "Answer shortly.".to_owned(),
        messages: vec![Message::User(vec![Part::Text("How much?".to_owned())])],
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 50,
    }
}

fn tool() -> ToolSpec {
    ToolSpec {
        name: "find_orders",
        description: "Orders of the site.",
        parameters: json!({ "type": "object", "properties": { "state": { "type": "string" } } }),
    }
}

/// All that came, and the error that ended it.
async fn ask(
    kind: ProviderKind,
    call: &ModelCall,
    sent: Sent,
) -> (
    Provider,
    Result<(Vec<ModelEvent>, Option<ModelError>), ModelError>,
) {
    let (provider, base) = Provider::start([sent]).await;
    let opened = models().open(&endpoint(kind, &base), call).await;
    let outcome = match opened {
        Err(error) => Err(error),
        Ok(mut stream) => {
            let (mut events, mut failed) = (Vec::new(), None);
            while let Some(next) = stream.next().await {
                match next {
                    Ok(event) => events.push(event),
                    Err(error) => failed = Some(error),
                }
            }
            Ok((events, failed))
        }
    };
    (provider, outcome)
}

async fn whole(kind: ProviderKind, call: &ModelCall, sent: Sent) -> (Provider, Vec<ModelEvent>) {
    let (provider, outcome) = ask(kind, call, sent).await;
    let (events, failed) = outcome.unwrap();
    assert!(failed.is_none(), "{failed:?}");
    (provider, events)
}
