//! The one way to a language model: may it be asked, redacted, reserved, called, settled. See docs/assistant.md.

mod ask;
mod estimate;
mod meter;
mod route;
mod run;
mod settle;
mod tasks;
#[cfg(test)]
mod tests;
mod tries;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use posx_kernel::{Clock, Ids, ModelCallId, Randomness, SecretKeeper, SiteScope};
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use ask::{Answer, AnswerEvent, AnswerStream, Ask};

use crate::breaker::Breakers;
use crate::redact::redacted;
use crate::{
    AssistantError, LanguageModel, ModelCall, PriceBook, Providers, Purpose, Quota, Reservation,
    SetupQueries, TokensMax,
};
use route::{Priced, RESERVED_FOR};
use run::Run;
use tasks::Tasks;

/// Of all text of one call; images are not in it. No model with a price today takes more than a million tokens, and a site that
/// sent that much would hold its budget for one call.
pub const PROMPT_BYTES_MAX: usize = 600_000;
/// Calls at once in one process: each holds a connection and a few kilobytes.
const CALLS_MAX: u32 = 1_024;
/// Words that may wait for a reader who is slower than the model.
const EVENTS_AHEAD: usize = 64;

/// What stands behind the gateway.
#[derive(Debug, Clone)]
pub struct GatewayParts {
    pub model: Arc<dyn LanguageModel>,
    pub quota: Arc<dyn Quota>,
    pub prices: Arc<PriceBook>,
    pub setups: Arc<dyn SetupQueries>,
    pub providers: Arc<Providers>,
    pub secrets: Arc<dyn SecretKeeper>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub randomness: Arc<dyn Randomness>,
}

/// Cheap to clone: all clones share their breakers, and what is under way.
#[derive(Debug, Clone)]
pub struct Gateway {
    parts: GatewayParts,
    breakers: Arc<Breakers>,
    calls: Arc<Semaphore>,
    tasks: Tasks,
}

impl Gateway {
    /// On the runtime of the process: calls are made on it, whoever asks for them.
    pub fn new(parts: GatewayParts) -> Self {
        Self {
            parts,
            breakers: Arc::default(),
            calls: Arc::new(Semaphore::new(CALLS_MAX as usize)),
            tasks: Tasks::on_this_runtime(),
        }
    }

    /// Whether a call may be made at all: module, consent, model, key and price. What it would cost is not asked.
    pub async fn check(&self, scope: &SiteScope, purpose: Purpose) -> Result<(), AssistantError> {
        self.parts.route(scope, purpose).await.map(drop)
    }

    /// Streams; whoever drops it has left, and the call is settled all the same. An error here is one before the first word.
    pub async fn open(&self, scope: &SiteScope, ask: Ask) -> Result<AnswerStream, AssistantError> {
        let (main, fallback) = self.parts.route(scope, ask.purpose).await?;
        if estimate::text_bytes(&ask) > PROMPT_BYTES_MAX as u64 {
            return Err(AssistantError::PromptTooLong {
                bytes_max: PROMPT_BYTES_MAX,
            });
        }
        let slot = Arc::clone(&self.calls).try_acquire_owned();
        let slot = slot.map_err(|_| AssistantError::Busy)?;
        let call = self.call(scope, &ask);
        let run = self.run(scope, &ask, call, main, fallback);
        let id = run.call.id;
        let (events, received) = mpsc::channel(EVENTS_AHEAD);
        let (began, begins) = oneshot::channel();
        self.spawn(async move {
            run.run(began, events).await;
            drop(slot);
        });
        // The other end is dropped unspoken by a panic alone.
        begins.await.unwrap_or(Err(AssistantError::Unavailable(None)))?;
        Ok(AnswerStream::new(id, received))
    }

    pub async fn complete(&self, scope: &SiteScope, ask: Ask) -> Result<Answer, AssistantError> {
        let mut stream = self.open(scope, ask).await?;
        while let Some(event) = stream.next().await {
            if let AnswerEvent::Done(answer) = event? {
                return Ok(answer);
            }
        }
        Err(AssistantError::BrokeOff(None))
    }

    /// What is to come to its end though whoever asked for it has left.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits until every call is settled and every answer is kept, or for so long. For the end of a process, after its last request.
    /// True: nothing is left.
    pub async fn drain(&self, at_most: Duration) -> bool {
        tokio::time::timeout(at_most, self.tasks.ended()).await.is_ok()
    }

    /// Under an id of ours (L05), without what is not to be sent.
    fn call(&self, scope: &SiteScope, ask: &Ask) -> ModelCall {
        ModelCall {
            id: ModelCallId::from_uuid(self.parts.ids.uuid(self.parts.clock.now())),
            site: scope.site(),
            system: redacted(&ask.system),
            messages: ask.messages.iter().map(crate::redact::message).collect(),
            tools: ask.tools.clone(),
            answer_schema: ask.answer_schema.clone(),
            max_output_tokens: ask.max_output_tokens,
        }
    }

    /// One reservation for all tries (L03), at the dearer of the two endpoints, by the prices of now (L06).
    fn run(
        &self,
        scope: &SiteScope,
        ask: &Ask,
        call: ModelCall,
        main: Priced,
        fallback: Option<Priced>,
    ) -> Run {
        let most = |priced: &Priced| TokensMax {
            input: estimate::input_max(&call, priced.endpoint.kind),
            output: u64::from(call.max_output_tokens),
        };
        let of_main = most(&main);
        let of_fallback = fallback.as_ref().map_or(of_main, most);
        let worst_case = main.price.worst_case(of_main).max(
            fallback
                .as_ref()
                .map(|fallback| fallback.price.worst_case(of_fallback))
                .unwrap_or_default(),
        );
        let now = self.parts.clock.now();
        let reservation = Reservation {
            call: call.id,
            purpose: ask.purpose,
            asker: ask.asker,
            provider: main.choice.provider.clone(),
            model: main.choice.model.clone(),
            price_version: main.price.version,
            operator_pays: main.operator_pays
                || fallback.as_ref().is_some_and(|fallback| fallback.operator_pays),
            worst_case,
            made_at: now,
            expires_at: now + RESERVED_FOR,
        };
        Run {
            parts: self.parts.clone(),
            breakers: Arc::clone(&self.breakers),
            scope: scope.clone(),
            call,
            reservation,
            main,
            fallback,
            input_max: [of_main.input, of_fallback.input],
        }
    }
}
