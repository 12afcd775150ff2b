//! The registry of ids. Each is a UUIDv7 that shows with the prefix of its kind, so that an id in a log, a body or an
//! address says what it is the id of, and one kind cannot be passed for another.

use std::sync::Mutex;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::Timestamp;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("expected an id that begins with \"{expected}_\"")]
    Prefix { expected: &'static str },
    #[error("expected 32 hexadecimal digits in lower case after the prefix")]
    Digits,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(Uuid);

            impl $name {
                /// The text before the underscore.
                pub const PREFIX: &'static str = $prefix;

                /// An id read back from storage, or newly made by [`Ids`].
                pub const fn from_uuid(uuid: Uuid) -> Self {
                    Self(uuid)
                }

                pub const fn as_uuid(self) -> Uuid {
                    self.0
                }
            }

            impl std::fmt::Display for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    write!(f, concat!($prefix, "_{}"), self.0.simple())
                }
            }

            impl std::fmt::Debug for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    std::fmt::Display::fmt(self, f)
                }
            }

            impl std::str::FromStr for $name {
                type Err = IdError;

                fn from_str(text: &str) -> Result<Self, IdError> {
                    parse($prefix, text).map(Self)
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                }
            }

            impl utoipa::PartialSchema for $name {
                fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                    id_schema(concat!("^", $prefix, "_[0-9a-f]{32}$"))
                }
            }

            impl utoipa::ToSchema for $name {}
        )+

        /// Each kind's prefix, for the test that no two kinds share one and for the documentation.
        pub const PREFIXES: &[(&str, &str)] = &[$((stringify!($name), $prefix)),+];
    };
}

ids! {
    SiteId = "site";
    IdentityId = "idn";
    PartyId = "pty";
    TierId = "tier";
    MovementId = "mov";
    OrderId = "ord";
    LineId = "line";
    PaymentAttemptId = "pat";
    RefundId = "ref";
    PlanId = "plan";
    CommissionId = "com";
    ChainAssetId = "asset";
    AllocationId = "alc";
    BatchId = "bat";
    EntryId = "ent";
    EventId = "evt";
    WebhookId = "whk";
    PlaceId = "plc";
    InvitationId = "inv";
    SessionId = "ses";
    ApiKeyId = "key";
    DeviceId = "dev";
    /// Leave for platform staff to work in one site.
    GrantId = "grt";
    ApprovalId = "apr";
    /// A second factor.
    FactorId = "fac";
    DisputeId = "dsp";
    PromoCodeId = "prm";
    /// What a refund or a dispute took from a commission, or gave back.
    AdjustmentId = "adj";
    StatementId = "stm";
    /// A settlement batch.
    SettlementId = "stl";
    /// What one agent gets of a settlement batch.
    PayoutId = "pyt";
    WithdrawalId = "wdr";
    /// A file of payments for the site's bank.
    PayoutFileId = "pfl";
    WriteOffId = "wof";
    VestingPolicyId = "vpl";
    VestingScheduleId = "vsc";
    VestingReleaseId = "vrl";
    /// How a debt of tokens, or a part of it, ended.
    TokenSettlementId = "tks";
    /// A closed period of the books.
    PeriodId = "prd";
    /// A day of the books compared with a provider's account.
    ReconciliationId = "rcn";
    /// One paid call of a language model, made by us before anything is sent.
    ModelCallId = "mdc";
    ConversationId = "cnv";
    MessageId = "msg";
    /// Somebody without an account who talks to a storefront's assistant.
    VisitorId = "vst";
    DocumentId = "doc";
    /// What was read out of a document, for a person to decide.
    DraftId = "drf";
    /// Language-model credit that a site was given or bought.
    CreditId = "crd";
}

fn id_schema(pattern: &str) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .pattern(Some(pattern))
        .into()
}

fn parse(prefix: &'static str, text: &str) -> Result<Uuid, IdError> {
    let digits = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .ok_or(IdError::Prefix { expected: prefix })?;
    let lower = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if digits.len() != 32 || !lower {
        return Err(IdError::Digits);
    }
    Uuid::try_parse(digits).map_err(|_| IdError::Digits)
}

/// A job's own key: while one with the same key waits, adding it again changes nothing.
pub type JobKey = String;

/// Makes UUIDv7, in time order.
pub trait Ids: Send + Sync + std::fmt::Debug {
    fn uuid(&self, now: Timestamp) -> Uuid;
}

/// Where secret or unguessable bytes come from.
pub trait Randomness: Send + Sync + std::fmt::Debug {
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's randomness under the time that the caller's clock gives.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let mut random = [0; 10];
        SystemRandomness.fill(&mut random);
        v7(now, random)
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives randomness");
    }
}

/// Ids and bytes that a seed decides: the same seed, the same run. For tests.
#[derive(Debug)]
pub struct SeededIds {
    state: Mutex<u64>,
}

impl SeededIds {
    pub const fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new(seed),
        }
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough for what no one must be unable to guess.
    fn next(&self) -> u64 {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Randomness for SeededIds {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.next().to_le_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
    }
}

impl Ids for SeededIds {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let mut random = [0; 10];
        self.fill(&mut random);
        v7(now, random)
    }
}

fn v7(now: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_kinds_share_a_prefix() {
        let mut prefixes: Vec<_> = PREFIXES.iter().map(|(_, prefix)| prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        assert_eq!(prefixes.len(), PREFIXES.len());
    }

    #[test]
    fn an_id_reads_back_as_itself_and_as_no_other_kind() {
        let id = OrderId::from_uuid(SeededIds::new(7).uuid(crate::Clock::now(&crate::SystemClock)));
        assert_eq!(id.to_string().parse::<OrderId>(), Ok(id));
        assert_eq!(
            id.to_string().parse::<TierId>(),
            Err(IdError::Prefix { expected: "tier" })
        );
        assert_eq!("ord_01".parse::<OrderId>(), Err(IdError::Digits));
        assert_eq!(
            id.to_string()
                .to_uppercase()
                .replace("ORD", "ord")
                .parse::<OrderId>(),
            Err(IdError::Digits)
        );
    }

    #[test]
    fn ids_made_later_sort_later() {
        let ids = SystemIds;
        let early = crate::Clock::now(&crate::SystemClock);
        let late = early + chrono::Duration::milliseconds(2);
        assert!(ids.uuid(early) < ids.uuid(late));
    }
}
