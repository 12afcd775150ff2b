//! A response taken apart into events, within bounds of time and size.

use std::collections::VecDeque;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use posx_assistant::{ModelError, ModelEvent, ModelStream};
use reqwest::Response;
use sse_stream::{Sse, SseByteStream};
use tokio::time::Instant;

/// Of a whole answer on the wire: a token of text takes some 300 bytes as an event, and no answer has more than 64,000.
const STREAM_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What an answer is made of, as one protocol sends it.
pub(crate) trait Reader: Send {
    /// Takes one event; what it means is appended to `out`.
    fn read(&mut self, sse: &Sse, out: &mut VecDeque<ModelEvent>) -> Result<Read, ModelError>;
    /// Whether something of the answer has come: from then on nothing is tried anywhere.
    fn has_begun(&self) -> bool;
    /// Whether the answer has come to its end, should the stream end now.
    fn has_finished(&self) -> bool;
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    GoOn,
    /// The protocol says that nothing follows.
    End,
}

/// Why a stream of bytes ended early. What the transport says of it has the address in it, at most.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the connection broke off")]
    Transport(#[source] reqwest::Error),
    #[error("the answer has more than {STREAM_BYTES_MAX} bytes")]
    TooLarge,
    #[error("no event came in time")]
    Silent,
    #[error("the stream ended before its answer did")]
    Early,
    #[error("an event is not what the protocol says")]
    Shape,
}

struct Answer {
    events: BoxStream<'static, Result<Sse, sse_stream::Error>>,
    reader: Box<dyn Reader>,
    ready: VecDeque<ModelEvent>,
    between_events: Duration,
    over: bool,
}

/// Reads until something of the answer is there.
pub(crate) async fn open(
    response: Response,
    reader: Box<dyn Reader>,
    by: Instant,
    between_events: Duration,
) -> Result<ModelStream, ModelError> {
    let mut answer = Answer {
        events: events(response),
        reader,
        ready: VecDeque::new(),
        between_events,
        over: false,
    };
    while !answer.reader.has_begun() && !answer.over {
        match tokio::time::timeout_at(by, answer.step()).await {
            Err(_) => return Err(ModelError::TimedOut),
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error),
        }
    }
    if answer.ready.is_empty() && answer.over {
        return Err(broken(Cut::Early));
    }
    Ok(answer.into_stream())
}

impl Answer {
    /// One event more, or the end.
    async fn step(&mut self) -> Result<(), ModelError> {
        match self.events.next().await {
            Some(Ok(sse)) => self.over = self.reader.read(&sse, &mut self.ready)? == Read::End,
            Some(Err(error)) => return Err(ModelError::Broken(error.into())),
            None if self.reader.has_finished() => self.over = true,
            None => return Err(broken(Cut::Early)),
        }
        Ok(())
    }

    fn into_stream(self) -> ModelStream {
        let events = stream::unfold(Some(self), async |answer| {
            let mut answer = answer?;
            loop {
                if let Some(event) = answer.ready.pop_front() {
                    return Some((Ok(event), Some(answer)));
                }
                if answer.over {
                    return None;
                }
                let failed = match tokio::time::timeout(answer.between_events, answer.step()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => error,
                    Err(_) => broken(Cut::Silent),
                };
                // What an error is before the first word, it is not after it.
                let failed = match failed {
                    ModelError::Broken(_) => failed,
                    other => ModelError::Broken(other.into()),
                };
                return Some((Err(failed), None));
            }
        });
        Box::pin(events)
    }
}

/// It had begun, and may be billed: it is not tried again there, before its first word either.
pub(crate) fn broken(cut: Cut) -> ModelError {
    ModelError::Broken(cut.into())
}

/// What comes, until it is too much.
fn events(response: Response) -> BoxStream<'static, Result<Sse, sse_stream::Error>> {
    let bytes = stream::try_unfold((response, 0_usize), async |(mut response, read)| {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| Cut::Transport(error.without_url()))?;
        let Some(chunk) = chunk else {
            return Ok(None);
        };
        let read = read + chunk.len();
        if read > STREAM_BYTES_MAX {
            return Err(Cut::TooLarge);
        }
        Ok(Some((chunk, (response, read))))
    });
    SseByteStream::new(bytes.boxed()).boxed()
}
