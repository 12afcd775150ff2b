//! A language model that says what a test wrote down.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};

use crate::{
    Endpoint, FinishReason, LanguageModel, ModelCall, ModelError, ModelEvent, ModelStream, ToolCall, Usage,
};

/// How one try goes.
#[derive(Debug)]
pub struct Script {
    before: Duration,
    steps: Result<Vec<Step>, ModelError>,
}

#[derive(Debug)]
pub enum Step {
    Event(ModelEvent),
    Wait(Duration),
    /// Nothing follows.
    Fail(ModelError),
}

impl Script {
    /// An answer of one word, with its usage and its end.
    pub fn text(text: &str) -> Self {
        Self::events([ModelEvent::Text(text.to_owned())])
            .usage(100, 10)
            .finish(FinishReason::Stop)
    }

    /// An answer that asks for a tool.
    pub fn tool_call(name: &str, arguments: &serde_json::Value) -> Self {
        Self::tool_calls(&[(name, arguments)])
    }

    pub fn tool_calls(calls: &[(&str, &serde_json::Value)]) -> Self {
        let calls = calls.iter().enumerate().map(|(at, (name, arguments))| {
            ModelEvent::ToolCall(ToolCall {
                id: format!("call_{at}"),
                name: (*name).to_owned(),
                arguments: arguments.to_string(),
            })
        });
        Self::events(calls).usage(100, 10).finish(FinishReason::ToolCalls)
    }

    /// Refused, or not reached.
    pub const fn error(error: ModelError) -> Self {
        Self {
            before: Duration::ZERO,
            steps: Err(error),
        }
    }

    pub fn events(events: impl IntoIterator<Item = ModelEvent>) -> Self {
        Self {
            before: Duration::ZERO,
            steps: Ok(events.into_iter().map(Step::Event).collect()),
        }
    }

    /// So long until the first word, or the refusal.
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.before = wait;
        self
    }

    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        if let Ok(steps) = &mut self.steps {
            steps.push(step);
        }
        self
    }

    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        self.step(Step::Wait(wait))
    }

    #[must_use]
    pub fn say(self, text: &str) -> Self {
        self.step(Step::Event(ModelEvent::Text(text.to_owned())))
    }

    #[must_use]
    pub fn usage(self, input: u64, output: u64) -> Self {
        self.step(Step::Event(ModelEvent::Usage(Usage {
            input,
            output,
            ..Usage::default()
        })))
    }

    /// A usage just before it comes with it, as providers send it.
    #[must_use]
    pub fn finish(mut self, reason: FinishReason) -> Self {
        if let Ok(steps) = &mut self.steps {
            let with_usage = matches!(steps.last(), Some(Step::Event(ModelEvent::Usage(_))));
            let at = steps.len() - usize::from(with_usage);
            steps.insert(at, Step::Event(ModelEvent::Finished(reason)));
        }
        self
    }
}

type Otherwise = Arc<dyn Fn(&ModelCall) -> Script + Send + Sync>;

/// Takes one script for each try, and keeps what it was asked.
#[derive(Clone)]
pub struct ScriptedModel {
    scripts: Arc<Mutex<VecDeque<Script>>>,
    otherwise: Otherwise,
    calls: Arc<Mutex<Vec<(Endpoint, ModelCall)>>>,
}

impl fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedModel").finish_non_exhaustive()
    }
}

impl Default for ScriptedModel {
    /// Says `Yes.` when its scripts are at their end.
    fn default() -> Self {
        Self::answering(|_| Script::text("Yes."))
    }
}

impl ScriptedModel {
    pub fn new(scripts: impl IntoIterator<Item = Script>) -> Self {
        let model = Self::default();
        scripts.into_iter().for_each(|script| model.then(script));
        model
    }

    /// Decides by what it is asked, when its scripts are at their end.
    pub fn answering(answer: impl Fn(&ModelCall) -> Script + Send + Sync + 'static) -> Self {
        Self {
            scripts: Arc::default(),
            otherwise: Arc::new(answer),
            calls: Arc::default(),
        }
    }

    pub fn then(&self, script: Script) {
        lock(&self.scripts).push_back(script);
    }

    /// Every try, in order.
    pub fn tries(&self) -> Vec<(Endpoint, ModelCall)> {
        lock(&self.calls).clone()
    }

    pub fn calls(&self) -> Vec<ModelCall> {
        self.tries().into_iter().map(|(_, call)| call).collect()
    }
}

#[async_trait]
impl LanguageModel for ScriptedModel {
    async fn open(&self, endpoint: &Endpoint, call: &ModelCall) -> Result<ModelStream, ModelError> {
        lock(&self.calls).push((endpoint.clone(), call.clone()));
        let script = lock(&self.scripts).pop_front();
        let script = script.unwrap_or_else(|| (self.otherwise)(call));
        tokio::time::sleep(script.before).await;
        let steps = stream::iter(script.steps?);
        let events = steps.filter_map(|step| async {
            match step {
                Step::Event(event) => Some(Ok(event)),
                Step::Fail(error) => Some(Err(error)),
                Step::Wait(wait) => {
                    tokio::time::sleep(wait).await;
                    None
                }
            }
        });
        Ok(Box::pin(events))
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
