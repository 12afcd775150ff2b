//! What is known of a set and what that allows, without any waiting: [`KeySet`](crate::KeySet) does the waiting.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::Timestamp;

use crate::key::VerifyingKey;

/// How old things may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A set this old is fetched again by the next lookup: a withdrawn key dies within this time.
    pub refresh_after: TimeDelta,
    /// Least time between two fetches, whatever the reason and the outcome.
    pub cool_down: TimeDelta,
    /// A set that could not be fetched again is used up to this age, and not at all after it.
    pub stale_for: TimeDelta,
    /// A kid that a fetch did not find starts no other fetch for this time.
    pub unknown_for: TimeDelta,
    /// Kids remembered as unknown; the oldest makes room.
    pub unknown_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            refresh_after: TimeDelta::minutes(10),
            cool_down: TimeDelta::seconds(30),
            stale_for: TimeDelta::hours(1),
            unknown_for: TimeDelta::seconds(300),
            unknown_max: 128,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The issuer's present set, asked for after the question, has no such key: the signature is nobody's.
    #[error("the issuer has no such key")]
    Unknown,
    /// The set that is known has no such key, and the issuer may not be asked again yet: the key may be a new one.
    #[error("the key is not known, and it is too early to ask the issuer again")]
    Unasked,
    /// The issuer's present set cannot be had, so nobody can tell: ask again later. The cause is in the log.
    #[error("the issuer's key set cannot be had now")]
    Unavailable,
}

/// Which key is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pick<'a> {
    Kid(&'a str),
    /// The set's only key, whatever its kid.
    Only,
}

pub(crate) enum Answer {
    Current(Arc<VerifyingKey>),
    /// Good to use, and time to fetch the set again.
    Ageing(Arc<VerifyingKey>),
    /// There is none, and no fetch is to be made for it.
    Missing(KeyError),
    /// Only a fetch can tell.
    Ask,
}

#[derive(Default)]
pub(crate) struct Cache {
    snapshot: Option<Snapshot>,
    attempt: Option<Attempt>,
    fetches_begun: u64,
    /// Oldest first.
    unknown: VecDeque<(String, Timestamp)>,
}

struct Snapshot {
    keys: Vec<Arc<VerifyingKey>>,
    fetched_at: Timestamp,
    /// Of its fetch, as [`Cache::fetches_begun`] counts them.
    number: u64,
}

struct Attempt {
    at: Timestamp,
    succeeded: bool,
}

impl Cache {
    pub(crate) fn answer(&self, pick: Pick<'_>, now: Timestamp, limits: &Limits) -> Answer {
        let Some(snapshot) = self.usable(now, limits) else {
            return Answer::Ask;
        };
        let current = within(snapshot.fetched_at, now, limits.refresh_after);
        match (snapshot.find(pick), pick) {
            (Some(key), _) if current => Answer::Current(key),
            (Some(key), _) => Answer::Ageing(key),
            (None, Pick::Kid(kid)) if self.is_remembered(kid, now, limits) => {
                Answer::Missing(KeyError::Unasked)
            }
            (None, Pick::Only) if current => Answer::Missing(KeyError::Unknown),
            (None, _) => Answer::Ask,
        }
    }

    /// Tells a later [`settle`](Self::settle) which fetches began after a question. Times would not do: a clock may
    /// stand still or be moved back.
    pub(crate) fn fetches_begun(&self) -> u64 {
        self.fetches_begun
    }

    /// After a fetch, or after it was found that none may be made now. `begun_before`: when the question was asked.
    pub(crate) fn settle(
        &mut self,
        pick: Pick<'_>,
        begun_before: u64,
        now: Timestamp,
        limits: &Limits,
    ) -> Result<Arc<VerifyingKey>, KeyError> {
        let snapshot = self.usable(now, limits).ok_or(KeyError::Unavailable)?;
        if let Some(key) = snapshot.find(pick) {
            return Ok(key);
        }
        if !self.attempt.as_ref().is_some_and(|attempt| attempt.succeeded) {
            return Err(KeyError::Unavailable);
        }
        // Only a set asked for after the question says that the kid is unknown; an older one may just have missed it.
        if snapshot.number <= begun_before {
            return Err(KeyError::Unasked);
        }
        if let Pick::Kid(kid) = pick {
            self.remember(kid, now, limits);
        }
        Err(KeyError::Unknown)
    }

    pub(crate) fn is_fetch_due(&self, now: Timestamp, limits: &Limits) -> bool {
        self.snapshot
            .as_ref()
            .is_none_or(|snapshot| !within(snapshot.fetched_at, now, limits.refresh_after))
    }

    pub(crate) fn may_fetch(&self, now: Timestamp, limits: &Limits) -> bool {
        self.attempt
            .as_ref()
            .is_none_or(|attempt| !within(attempt.at, now, limits.cool_down))
    }

    /// A fetch counts from its beginning and has failed until it succeeds.
    pub(crate) fn begin_fetch(&mut self, now: Timestamp) {
        self.fetches_begun += 1;
        self.attempt = Some(Attempt {
            at: now,
            succeeded: false,
        });
    }

    /// `begun_at`: the document may be as old as the beginning of its fetch.
    pub(crate) fn finish_fetch(&mut self, keys: Vec<VerifyingKey>, begun_at: Timestamp) {
        self.snapshot = Some(Snapshot {
            keys: keys.into_iter().map(Arc::new).collect(),
            fetched_at: begun_at,
            number: self.fetches_begun,
        });
        self.attempt = Some(Attempt {
            at: begun_at,
            succeeded: true,
        });
    }

    pub(crate) fn age(&self, now: Timestamp) -> Option<TimeDelta> {
        self.snapshot
            .as_ref()
            .map(|snapshot| (now - snapshot.fetched_at).max(TimeDelta::zero()))
    }

    /// Number of keys that may be used now.
    pub(crate) fn key_count(&self, now: Timestamp, limits: &Limits) -> usize {
        self.usable(now, limits).map_or(0, |snapshot| snapshot.keys.len())
    }

    pub(crate) fn is_usable(&self, now: Timestamp, limits: &Limits) -> bool {
        self.usable(now, limits).is_some()
    }

    fn usable(&self, now: Timestamp, limits: &Limits) -> Option<&Snapshot> {
        self.snapshot
            .as_ref()
            .filter(|snapshot| now - snapshot.fetched_at < limits.stale_for)
    }

    fn is_remembered(&self, kid: &str, now: Timestamp, limits: &Limits) -> bool {
        self.unknown
            .iter()
            .any(|(other, since)| other == kid && within(*since, now, limits.unknown_for))
    }

    fn remember(&mut self, kid: &str, now: Timestamp, limits: &Limits) {
        self.unknown
            .retain(|(other, since)| other != kid && within(*since, now, limits.unknown_for));
        while self.unknown.len() >= limits.unknown_max {
            self.unknown.pop_front();
        }
        self.unknown.push_back((kid.to_owned(), now));
    }
}

impl Snapshot {
    fn find(&self, pick: Pick<'_>) -> Option<Arc<VerifyingKey>> {
        match pick {
            Pick::Kid(kid) => self.keys.iter().find(|key| key.kid() == Some(kid)).cloned(),
            Pick::Only => match &self.keys[..] {
                [key] => Some(Arc::clone(key)),
                _ => None,
            },
        }
    }
}

/// A clock that was moved back makes nothing last longer: what lies in the future counts as over.
fn within(since: Timestamp, now: Timestamp, limit: TimeDelta) -> bool {
    (TimeDelta::zero()..limit).contains(&(now - since))
}
