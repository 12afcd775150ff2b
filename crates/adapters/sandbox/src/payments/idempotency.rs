//! Idempotency keys by rules S02 to S05: the first answer is the answer, a 500 included; a validation failure stores
//! nothing; after a day a key is forgotten.

use std::collections::HashMap;

use chrono::TimeDelta;
use posx_kernel::Timestamp;
use serde_json::Value;

use super::error::ApiError;

const KEPT_FOR: TimeDelta = TimeDelta::hours(24);
pub(super) const KEY_CHARACTERS_MAX: usize = 255;

#[derive(Debug, Default)]
pub(super) struct Keys {
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    request: String,
    since: Timestamp,
    /// `None` while the first request runs.
    answer: Option<(u16, Value)>,
}

pub(super) enum Claim {
    /// The caller runs the request and then calls [`Keys::store`] or [`Keys::forget`].
    Fresh,
    Replay(u16, Value),
}

impl Keys {
    /// `request` is what two requests must have in common to be the same: endpoint and parameters.
    pub(super) fn claim(&mut self, key: &str, request: &str, now: Timestamp) -> Result<Claim, ApiError> {
        let entry = self.entries.get(key).filter(|entry| now - entry.since < KEPT_FOR);
        match entry {
            None => {
                let entry = Entry {
                    request: request.to_owned(),
                    since: now,
                    answer: None,
                };
                self.entries.insert(key.to_owned(), entry);
                Ok(Claim::Fresh)
            }
            Some(entry) if entry.request != request => Err(ApiError::idempotency(
                "Keys for idempotent requests can only be used with the same parameters they were first used with.",
            )),
            Some(Entry { answer: None, .. }) => Err(ApiError::key_in_use()),
            Some(Entry {
                answer: Some((status, body)),
                ..
            }) => Ok(Claim::Replay(*status, body.clone())),
        }
    }

    pub(super) fn store(&mut self, key: &str, status: u16, body: &Value) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.answer = Some((status, body.clone()));
        }
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.entries.remove(key);
    }
}
