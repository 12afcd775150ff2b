//! One answer: the model, the queries that it asks for, the model again.

use std::time::Duration;

use futures::StreamExt as _;
use posx_kernel::{Refusal as _, SiteScope, StoreError, retry_busy};
use posx_tenancy::Site;
use serde_json::json;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use super::citing::{Citing, Piece};
use super::toolset::Toolset;
use super::{ChatEvent, ChatParts};
use crate::conversation::{Answered, ChatError, ChatMessage, Conversation, MessageView, Outcome};
use crate::tools::{Told, ToolRefusal};
use crate::{Answer, AnswerEvent, AnswerStream, Ask, Asker, FinishReason, Message, Part, Purpose, ToolCall};

/// Calls of the model for one answer.
const ROUNDS_MAX: usize = 4;
/// Queries between two of them.
const QUERIES_MAX: usize = 4;
/// Of all calls for one answer, as they are counted: after that no query is asked any more.
const TOKENS_MAX: u64 = 60_000;
const OUTPUT_TOKENS_MAX: u32 = 1_024;
/// Shorter than the server keeps a connection on which it reads nothing.
const WITHIN: Duration = Duration::from_secs(75);
/// For the last pieces, to a reader who is behind.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// What a model is told of its work, and for whom it works.
pub(super) struct Talk {
    pub purpose: Purpose,
    pub asker: Asker,
    pub system: String,
    pub tools: Toolset,
}

pub(super) struct Answering {
    pub chats: ChatParts,
    pub scope: SiteScope,
    pub site: Site,
    pub conversation: Conversation,
    pub message: ChatMessage,
    pub history: Vec<ChatMessage>,
    pub talk: Talk,
}

/// What there is of the answer so far.
struct Made {
    citing: Citing,
    text: String,
    rounds: usize,
    queries: usize,
    refused: Vec<ToolRefusal>,
    tokens: u64,
}

enum Ended {
    Whole(FinishReason),
    /// The reader is gone.
    Left,
    Failed(ChatError),
}

type Events = Sender<Result<ChatEvent, ChatError>>;

impl Answering {
    pub async fn run(self, events: Events) {
        let earlier = self.history.iter().filter_map(|one| one.answered.as_ref());
        let mut made = Made {
            citing: Citing::knowing(earlier.flat_map(|answered| answered.citations.iter().cloned())),
            text: String::new(),
            rounds: 0,
            queries: 0,
            refused: Vec::new(),
            tokens: 0,
        };
        let ended = timeout(WITHIN, self.rounds(&mut made, &events)).await;
        let mut ended = ended.unwrap_or(Ended::Failed(ChatError::TooSlow));
        let rest = made.citing.rest();
        made.text.push_str(rest.as_deref().unwrap_or_default());
        if made.text.trim().is_empty() && matches!(ended, Ended::Whole(_)) {
            ended = Ended::Failed(ChatError::NoAnswer);
        }
        let kept = self.keep(made, &ended).await;
        let last = match (ended, kept) {
            (Ended::Failed(error), _) => Err(error),
            (_, kept) => kept.map(ChatEvent::Done).map_err(ChatError::from),
        };
        // Whoever has left, or does not read, is told nothing.
        drop(
            timeout(TOLD_WITHIN, async {
                if let Some(rest) = rest {
                    events.send(Ok(ChatEvent::Text(rest))).await?;
                }
                events.send(last).await
            })
            .await,
        );
    }

    async fn rounds(&self, made: &mut Made, events: &Events) -> Ended {
        let mut messages = self.messages();
        loop {
            if events.is_closed() {
                return Ended::Left;
            }
            made.rounds += 1;
            let answer = match self.round(&messages, made, events).await {
                Ok(answer) => answer,
                Err(ended) => return ended,
            };
            made.tokens += answer.usage.input + answer.usage.output;
            if answer.tool_calls.is_empty() {
                return Ended::Whole(answer.finish);
            }
            if made.rounds == ROUNDS_MAX || made.tokens > TOKENS_MAX {
                return Ended::Whole(FinishReason::Stop);
            }
            let last = made.rounds + 1 == ROUNDS_MAX;
            self.queries(answer, made, &mut messages, last).await;
            if !made.text.is_empty() && !made.text.ends_with('\n') {
                say(made, "\n\n".to_owned(), events).await;
            }
        }
    }

    /// One call of the model, its text let through as it comes.
    async fn round(&self, messages: &[Message], made: &mut Made, events: &Events) -> Result<Answer, Ended> {
        let ask = Ask {
            purpose: self.talk.purpose,
            asker: self.talk.asker,
            system: self.talk.system.clone(),
            messages: messages.to_vec(),
            tools: self.talk.tools.specs(),
            answer_schema: None,
            max_output_tokens: OUTPUT_TOKENS_MAX,
        };
        let opened = tokio::select! {
            biased;
            () = events.closed() => return Err(Ended::Left),
            opened = self.chats.gateway.open(&self.scope, ask) => opened,
        };
        let mut stream: AnswerStream = opened.map_err(|error| Ended::Failed(error.into()))?;
        loop {
            let next = tokio::select! {
                biased;
                () = events.closed() => return Err(Ended::Left),
                next = stream.next() => next,
            };
            match next {
                Some(Ok(AnswerEvent::Text(text))) => {
                    for piece in made.citing.push(&text) {
                        match piece {
                            Piece::Text(text) => say(made, text, events).await,
                            Piece::Citation(one) => drop(events.send(Ok(ChatEvent::Citation(one))).await),
                        }
                    }
                }
                Some(Ok(AnswerEvent::Done(answer))) => return Ok(answer),
                Some(Err(error)) => return Err(Ended::Failed(error.into())),
                None => return Err(Ended::Failed(ChatError::NoAnswer)),
            }
        }
    }

    /// What the model asked for, and what it is told.
    async fn queries(&self, answer: Answer, made: &mut Made, messages: &mut Vec<Message>, last: bool) {
        let calls = answer.tool_calls;
        let mut told = Vec::with_capacity(calls.len());
        for (position, call) in calls.iter().enumerate() {
            let one = if position < QUERIES_MAX {
                self.query(call, made).await
            } else {
                Told::refused(ToolRefusal::Unavailable)
            };
            let mut content = one.content;
            if last {
                content.push_str("\nNothing more can be looked up: answer now.");
            }
            made.citing.tell(one.citations);
            told.push(Message::Tool {
                call: call.id.clone(),
                content,
            });
        }
        messages.push(Message::Assistant {
            text: answer.text,
            tool_calls: calls,
        });
        messages.append(&mut told);
    }

    async fn query(&self, call: &ToolCall, made: &mut Made) -> Told {
        made.queries += 1;
        let (tools, now) = (&self.talk.tools, self.chats.clock.now());
        let told = tools.run(&self.scope, &self.site, call, now).await;
        if let Some(refusal) = told.refusal {
            // Its name is the model's word, and may be anybody's: it is not logged.
            tracing::warn!(
                message = %self.message.id,
                purpose = ?self.talk.purpose,
                refusal = refusal.as_str(),
                "a model asked for what it may not have"
            );
            let (purpose, why) = (self.talk.purpose.as_str(), refusal.as_str());
            metrics::counter!("posx_model_tool_refusals_total", "purpose" => purpose, "reason" => why)
                .increment(1);
            made.refused.push(refusal);
        }
        told
    }

    fn messages(&self) -> Vec<Message> {
        let mut messages = Vec::with_capacity(2 * self.history.len() + 1);
        let user = |text: &str| Message::User(vec![Part::Text(text.to_owned())]);
        for turn in &self.history {
            let Some(answered) = &turn.answered else { continue };
            messages.push(user(&turn.question));
            messages.push(Message::Assistant {
                text: answered.text.clone(),
                tool_calls: Vec::new(),
            });
        }
        messages.push(user(&self.message.question));
        messages
    }

    /// Keeps the answer. What somebody deleted meanwhile is not kept.
    async fn keep(&self, made: Made, ended: &Ended) -> Result<MessageView, StoreError> {
        let at = self.chats.clock.now();
        let text = made.text;
        let (outcome, reason) = match ended {
            Ended::Whole(FinishReason::Length) => (Outcome::Cut, None),
            Ended::Whole(FinishReason::Filtered) => (Outcome::Cut, Some("filtered".to_owned())),
            Ended::Whole(_) => (Outcome::Answered, None),
            Ended::Left => (Outcome::BrokenOff, Some("client_left".to_owned())),
            Ended::Failed(error) if text.is_empty() => (Outcome::Failed, Some(error.code().to_owned())),
            Ended::Failed(error) => (Outcome::BrokenOff, Some(error.code().to_owned())),
        };
        let answered = Answered {
            outcome,
            text,
            citations: made.citing.cited(),
            reason,
            at,
        };
        let refused: Vec<_> = made.refused.iter().map(|one| one.as_str()).collect();
        let facts = json!({
            "message": self.message.id, "outcome": answered.outcome, "reason": answered.reason,
            "calls": made.rounds, "queries": made.queries, "queries_refused": refused,
        });
        retry_busy(|| async {
            let mut tx = self.chats.db.begin(&self.scope).await?;
            if tx.conversations().answer(self.message.id, &answered).await? {
                let event = self
                    .conversation
                    .event("conversation.answered", facts.clone(), at);
                tx.outbox().append(event).await?;
                tx.commit().await?;
            }
            Ok::<_, StoreError>(())
        })
        .await?;
        let message = ChatMessage {
            answered: Some(answered),
            ..self.message.clone()
        };
        Ok(MessageView::of(message, at))
    }
}

/// A reader who is gone is noticed where the model's next word is waited for.
async fn say(made: &mut Made, text: String, events: &Events) {
    made.text.push_str(&text);
    drop(events.send(Ok(ChatEvent::Text(text))).await);
}
