//! One call from its reservation to its settlement, in a task of its own: who asked may leave at any moment, and it is settled all
//! the same (L04).

use std::time::Duration;

use futures::StreamExt as _;
use posx_kernel::{Refusal as _, SiteScope, Timestamp};
use tokio::sync::mpsc;

use super::meter::{Flow, Meter};
use super::route::Priced;
use super::settle::{Ending, settle_later, settle_once};
use super::tries::{self, Tried};
use super::{AnswerEvent, GatewayParts};
use crate::breaker::Breakers;
use crate::{AssistantError, ModelCall, ModelError, ModelEvent, ModelStream, QuotaError, Reservation};

/// Tries, pauses and the answer together.
pub(super) const CALL_LASTS_MAX: Duration = Duration::from_mins(5);
/// For a reader who does not read on.
pub(super) const LAST_WORD_WAITS_MAX: Duration = Duration::from_secs(30);

pub(super) type Events = mpsc::Sender<Result<AnswerEvent, AssistantError>>;

/// All that a call needs until its end.
pub(super) struct Run {
    pub(super) parts: GatewayParts,
    pub(super) breakers: std::sync::Arc<Breakers>,
    pub(super) scope: SiteScope,
    pub(super) call: ModelCall,
    pub(super) reservation: Reservation,
    pub(super) main: Priced,
    pub(super) fallback: Option<Priced>,
    /// For the main endpoint and for the fallback.
    pub(super) input_max: [u64; 2],
}

/// How the call itself went.
struct Went {
    meter: Meter,
    outcome: &'static str,
    /// The provider's usage is of the answer; what else was done is counted besides.
    began: bool,
    error: Option<AssistantError>,
}

impl Run {
    /// `began` is told once the first word is there.
    pub(super) async fn run(
        self,
        began: tokio::sync::oneshot::Sender<Result<(), AssistantError>>,
        events: Events,
    ) {
        let reserved = self.parts.quota.reserve(&self.scope, &self.reservation).await;
        if let Err(error) = reserved {
            let unsure = matches!(error, QuotaError::Store(_));
            let error = refused(error, self.reservation.made_at);
            let went = self.unbegun(error.code(), None);
            let _ = began.send(Err(error));
            if unsure {
                // Held all the same, if the answer to the commit alone was lost.
                let ending = Ending::of(&self, &Tried::default(), &went);
                settle_later(&self.parts, &self.scope, self.call.id, ending).await;
            }
            return;
        }
        let mut tried = Tried::default();
        let mut began = Some(began);
        let mut went = self.go(&mut tried, &mut began, &events).await;
        let error = went.error.take();
        let ending = Ending::of(&self, &tried, &went);
        let answer = error.is_none().then(|| went.meter.answer(self.call.id)).flatten();
        let open = settle_once(&self.parts, &self.scope, self.call.id, ending)
            .await
            .err();
        let last = match (answer, error, began.take()) {
            (Some(answer), ..) => Some(Ok(AnswerEvent::Done(answer))),
            (None, Some(error), Some(began)) => {
                drop(began.send(Err(error)));
                None
            }
            (None, Some(error), None) => Some(Err(error)),
            // Who asked has left.
            (None, None, _) => None,
        };
        if let Some(last) = last {
            drop(tokio::time::timeout(LAST_WORD_WAITS_MAX, events.send(last)).await);
        }
        drop(events);
        if let Some(ending) = open {
            settle_later(&self.parts, &self.scope, self.call.id, ending).await;
        }
    }

    async fn go(
        &self,
        tried: &mut Tried,
        began: &mut Option<tokio::sync::oneshot::Sender<Result<(), AssistantError>>>,
        events: &Events,
    ) -> Went {
        let until = tokio::time::Instant::now() + CALL_LASTS_MAX;
        let opened = tokio::select! {
            opened = self.open(tried) => opened,
            () = events.closed() => return self.unbegun("client_left", None),
            () = tokio::time::sleep_until(until) => {
                return self.unbegun("timed_out", Some(AssistantError::Unavailable(None)));
            }
        };
        let stream = match opened {
            Ok(stream) => stream,
            Err(error) => {
                let error = failed(error);
                return self.unbegun(error.code(), Some(error));
            }
        };
        if let Some(began) = began.take() {
            let _ = began.send(Ok(()));
        }
        let input_max = self.input_max[usize::from(tried.on_fallback)];
        let mut meter = Meter::new(input_max, self.call.max_output_tokens);
        let streamed = tokio::select! {
            streamed = pump(stream, &mut meter, events) => streamed,
            () = tokio::time::sleep_until(until) => Streamed::TooLong,
        };
        let (outcome, error) = self.judge(streamed, tried, &meter);
        Went {
            meter,
            outcome,
            began: true,
            error,
        }
    }

    async fn open(&self, tried: &mut Tried) -> Result<ModelStream, Option<ModelError>> {
        let endpoints = (&self.main, self.fallback.as_ref());
        tries::open(&self.parts, &self.breakers, endpoints, &self.call, tried).await
    }

    fn unbegun(&self, outcome: &'static str, error: Option<AssistantError>) -> Went {
        Went {
            meter: Meter::new(self.input_max[0], self.call.max_output_tokens),
            outcome,
            began: false,
            error,
        }
    }

    fn judge(
        &self,
        streamed: Streamed,
        tried: &Tried,
        meter: &Meter,
    ) -> (&'static str, Option<AssistantError>) {
        match streamed {
            Streamed::Ended if meter.is_finished() => {
                self.breakers.succeeded(&self.tried_last(tried).choice);
                ("answered", None)
            }
            Streamed::Left => ("client_left", None),
            Streamed::Cut => ("cut", Some(AssistantError::BrokeOff(None))),
            Streamed::TooLong => ("timed_out", Some(AssistantError::BrokeOff(None))),
            Streamed::Ended => ("broken_off", Some(AssistantError::BrokeOff(None))),
            Streamed::Failed(error) => {
                if tries::is_failure(&error) {
                    self.breakers
                        .failed(&self.tried_last(tried).choice, self.parts.clock.now());
                }
                (
                    "broken_off",
                    Some(AssistantError::BrokeOff(Some(Box::new(error)))),
                )
            }
        }
    }

    pub(super) fn tried_last(&self, tried: &Tried) -> &Priced {
        match &self.fallback {
            Some(fallback) if tried.on_fallback => fallback,
            _ => &self.main,
        }
    }
}

enum Streamed {
    Ended,
    Left,
    Cut,
    TooLong,
    Failed(ModelError),
}

/// Hands on what comes. What the meter cuts is not handed on.
async fn pump(mut stream: ModelStream, meter: &mut Meter, events: &Events) -> Streamed {
    loop {
        let next = tokio::select! {
            next = stream.next() => next,
            () = events.closed() => return Streamed::Left,
        };
        let event = match next {
            None => return Streamed::Ended,
            Some(Ok(event)) => event,
            // All of the answer is there, but for what its usage was.
            Some(Err(_)) if meter.is_finished() => return Streamed::Ended,
            Some(Err(error)) => return Streamed::Failed(error),
        };
        if meter.take(&event) == Flow::Cut {
            return Streamed::Cut;
        }
        if let ModelEvent::Text(text) = event
            && events.send(Ok(AnswerEvent::Text(text))).await.is_err()
        {
            return Streamed::Left;
        }
    }
}

fn refused(error: QuotaError, now: Timestamp) -> AssistantError {
    match error {
        QuotaError::UsedUp {
            scope,
            period,
            resets_at,
            ..
        } => {
            let seconds = (resets_at - now).num_seconds().max(1);
            AssistantError::BudgetUsedUp {
                scope,
                period,
                resets_at,
                retry_after_s: u32::try_from(seconds).unwrap_or(u32::MAX),
            }
        }
        QuotaError::Store(error) => error.into(),
    }
}

fn failed(error: Option<ModelError>) -> AssistantError {
    let Some(error) = error else {
        return AssistantError::Unavailable(None);
    };
    match error {
        ModelError::TooLong => AssistantError::PromptTooLong {
            bytes_max: super::PROMPT_BYTES_MAX,
        },
        ModelError::NotAuthorized | ModelError::OutOfCredit | ModelError::UnknownModel => {
            AssistantError::AccountNeedsAPerson(Box::new(error))
        }
        ModelError::Refused { .. } => AssistantError::Refused(Box::new(error)),
        ModelError::RateLimited { .. }
        | ModelError::Overloaded { .. }
        | ModelError::TimedOut
        | ModelError::Unavailable(_)
        | ModelError::Broken(_) => AssistantError::Unavailable(Some(Box::new(error))),
    }
}

impl Ending {
    fn of(run: &Run, tried: &Tried, went: &Went) -> Self {
        let last = run.tried_last(tried);
        let (mut usage, by_provider) = if went.began {
            went.meter.usage()
        } else {
            (crate::Usage::default(), false)
        };
        let mut cost = last.price.cost(&usage);
        let unheard = tried.unheard();
        // What was sent and not answered may have been read all the same, if nothing more: by each at its own price.
        for (at, priced) in [Some(&run.main), run.fallback.as_ref()].into_iter().enumerate() {
            let Some(priced) = priced else { continue };
            let read = crate::Usage {
                input: run.input_max[at],
                ..crate::Usage::default()
            };
            for _ in 0..unheard[at] {
                usage.input = usage.input.saturating_add(read.input);
                cost = cost.saturating_add(priced.price.cost(&read));
            }
        }
        let unheard = unheard != [0, 0];
        let now = run.parts.clock.now();
        let latency = (now - run.reservation.made_at).num_milliseconds().max(0);
        Self {
            costs: went.began || unheard,
            spent: crate::Spent {
                provider: last.choice.provider.clone(),
                model: last.choice.model.clone(),
                price_version: last.price.version,
                tries: tried.tries,
                usage,
                by_provider: by_provider && !unheard,
                cost: cost.min(run.reservation.worst_case),
                ended_at: now,
                latency_ms: u32::try_from(latency).unwrap_or(u32::MAX),
                outcome: went.outcome,
            },
        }
    }
}
