//! Places: branches, warehouses, plants of a site.

mod error;
mod ports;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono_tz::Tz;
use posx_kernel::{
    Begin, Clock, Event, IdempotentCall, Ids, Made, PlaceId, SiteScope, Timestamp, changes,
    made_before_in_tx, remember_in_tx,
};
use serde_json::{Value, json};

pub use error::PlaceError;
pub use ports::{PlaceQueries, PlaceRepository, PlaceView, PlacesTx};

use crate::named::named;

const CODE_BYTES_MAX: usize = 20;
const NAME_CHARACTERS_MAX: usize = 200;

named! {
    PlaceState {
        Active = "active",
        /// Nothing new happens there. Who is narrowed to it stays so.
        Closed = "closed",
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub id: PlaceId,
    /// 1 to 20 of A-Z 0-9 _ -, one of its kind in the site, for ever.
    pub code: String,
    pub name: String,
    /// The site's own when absent.
    pub time_zone: Option<Tz>,
    pub state: PlaceState,
    pub version: i32,
    pub created_at: Timestamp,
}

/// What staff decide about a place, for making and editing alike; as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceTerms {
    pub name: String,
    /// An IANA name.
    pub time_zone: Option<String>,
}

impl PlaceTerms {
    fn read(&self) -> Result<(String, Option<Tz>), PlaceError> {
        let zone = self.time_zone.as_deref().map(str::parse).transpose();
        Ok((
            self.name.trim().to_owned(),
            zone.map_err(|_| PlaceError::TimeZone)?,
        ))
    }
}

impl Place {
    fn check(&self) -> Result<(), PlaceError> {
        let is_code = (1..=CODE_BYTES_MAX).contains(&self.code.len())
            && self
                .code
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        let is_name = (1..=NAME_CHARACTERS_MAX).contains(&self.name.chars().count())
            && !self.name.chars().any(char::is_control);
        match () {
            () if !is_code => Err(PlaceError::Code),
            () if !is_name => Err(PlaceError::Name),
            () => Ok(()),
        }
    }

    /// The IANA name of its own time zone.
    pub fn zone_name(&self) -> Option<&'static str> {
        self.time_zone.map(Tz::name)
    }

    /// The fields that an edit may change.
    fn facts(&self) -> Value {
        json!({ "name": self.name, "time_zone": self.zone_name(), "state": self.state })
    }

    fn event(&self, kind: &'static str, payload: Value, at: Timestamp) -> Event {
        Event {
            kind,
            subject: self.id.as_uuid(),
            payload,
            at,
        }
    }
}

/// Use cases of staff.
#[derive(Clone)]
pub struct Places {
    db: Arc<dyn Begin<dyn PlacesTx>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").finish_non_exhaustive()
    }
}

impl Places {
    pub fn new(db: Arc<dyn Begin<dyn PlacesTx>>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { db, clock, ids }
    }

    pub async fn create(
        &self,
        scope: &SiteScope,
        code: String,
        terms: &PlaceTerms,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<PlaceId>, PlaceError> {
        let (name, time_zone) = terms.read()?;
        let now = self.clock.now();
        let place = Place {
            id: PlaceId::from_uuid(self.ids.uuid(now)),
            code,
            name,
            time_zone,
            state: PlaceState::Active,
            version: 1,
            created_at: now,
        };
        place.check()?;
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, PlaceError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        if !tx.places().insert(&place).await? {
            return Err(PlaceError::CodeTaken);
        }
        let payload = json!({ "code": place.code, "name": place.name });
        tx.outbox()
            .append(place.event("place.created", payload, now))
            .await?;
        remember_in_tx(tx.as_mut(), call, &place.id).await?;
        tx.commit().await?;
        Ok(Made::now(place.id))
    }

    /// `seen` is the version that was edited: another one stored is [`PlaceError::Stale`].
    pub async fn edit(
        &self,
        scope: &SiteScope,
        id: PlaceId,
        seen: i32,
        terms: &PlaceTerms,
    ) -> Result<(), PlaceError> {
        let (name, time_zone) = terms.read()?;
        self.change(scope, id, seen, "place.edited", |place| {
            place.name = name;
            place.time_zone = time_zone;
        })
        .await
    }

    pub async fn set_state(
        &self,
        scope: &SiteScope,
        id: PlaceId,
        seen: i32,
        state: PlaceState,
    ) -> Result<(), PlaceError> {
        let kind = match state {
            PlaceState::Active => "place.reopened",
            PlaceState::Closed => "place.closed",
        };
        self.change(scope, id, seen, kind, |place| place.state = state)
            .await
    }

    async fn change(
        &self,
        scope: &SiteScope,
        id: PlaceId,
        seen: i32,
        kind: &'static str,
        change: impl FnOnce(&mut Place) + Send,
    ) -> Result<(), PlaceError> {
        let mut tx = self.db.begin(scope).await?;
        let before = tx.places().find(id).await?.ok_or(PlaceError::NotFound)?;
        if before.version != seen {
            return Err(PlaceError::Stale);
        }
        let mut after = before.clone();
        change(&mut after);
        after.check()?;
        if after == before {
            return Ok(());
        }
        after.version = seen.checked_add(1).ok_or(PlaceError::Stale)?;
        if !tx.places().save(&after, seen).await? {
            return Err(PlaceError::Stale);
        }
        let payload = json!({ "changes": changes(&before.facts(), &after.facts()) });
        let event = after.event(kind, payload, self.clock.now());
        tx.outbox().append(event).await?;
        tx.commit().await?;
        Ok(())
    }
}
