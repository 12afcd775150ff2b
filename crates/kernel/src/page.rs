//! Pages by cursor: stable under inserts, and as fast on the last page as on the first.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// How far a list was read: the id of the last row shown. Lists are in order of their UUIDv7, newest first. Opaque to
/// clients; a cursor of another site finds nothing, because the rows after it are still only the caller's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(Uuid);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that a list of this API gave out")]
pub struct CursorError;

impl Cursor {
    pub const fn after(last: Uuid) -> Self {
        Self(last)
    }

    pub const fn last_id(self) -> Uuid {
        self.0
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "c1{}", self.0.simple())
    }
}

impl std::str::FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let digits = text
            .strip_prefix("c1")
            .filter(|digits| digits.len() == 32)
            .ok_or(CursorError)?;
        Uuid::try_parse(digits).map(Self).map_err(|_| CursorError)
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    limit: u16,
    after: Option<Cursor>,
}

impl PageRequest {
    pub const LIMIT_MAX: u16 = 100;
    pub const LIMIT_DEFAULT: u16 = 25;

    /// `limit` is brought into 1..=100.
    pub fn new(limit: Option<u16>, after: Option<Cursor>) -> Self {
        Self {
            limit: limit.unwrap_or(Self::LIMIT_DEFAULT).clamp(1, Self::LIMIT_MAX),
            after,
        }
    }

    pub const fn limit(self) -> u16 {
        self.limit
    }

    pub fn after_id(self) -> Option<Uuid> {
        self.after.map(Cursor::last_id)
    }
}

/// One page, and where the next one begins; `next` is absent on the last page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    #[schema(value_type = Option<String>)]
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// From up to `limit + 1` rows: the extra one only tells that there is a next page.
    pub fn from_rows(mut rows: Vec<T>, request: PageRequest, id: impl Fn(&T) -> Uuid) -> Self {
        let limit = usize::from(request.limit());
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more {
            rows.last().map(|row| Cursor::after(id(row)))
        } else {
            None
        };
        Self { items: rows, next }
    }
}
