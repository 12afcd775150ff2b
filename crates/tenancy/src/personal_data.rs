//! What a site holds of one person: shown whole, and erased.

use std::sync::Arc;

use async_trait::async_trait;
use posx_kernel::{Clock, Ids, Kind, PartyId, Randomness, Refusal, SiteScope, StoreError, Timestamp};

use crate::{ReferralCode, Site};

const REASON_CHARS_MAX: usize = 500;

/// Why nothing was shown or erased.
#[derive(Debug, thiserror::Error)]
pub enum PersonalDataError {
    #[error("the site holds nothing of such a person")]
    NotFound,
    #[error("first comes to an end: {}", .0.join(", "))]
    OpenBusiness(Vec<String>),
    #[error("a reason has 1 to {REASON_CHARS_MAX} characters")]
    Reason,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for PersonalDataError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "party_not_found",
            Self::OpenBusiness(_) => "party_has_open_business",
            Self::Reason => "erasure_reason_invalid",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::OpenBusiness(_) => Kind::Conflict,
            Self::Reason => Kind::Invalid,
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<std::borrow::Cow<'static, str>> {
        matches!(self, Self::Reason).then(|| "reason".into())
    }
}

/// What became of the wish to erase someone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasure {
    Done {
        /// False: the login is somebody elsewhere and stays known there, or there was none.
        login_forgotten: bool,
    },
    /// Nothing is changed. What is still owed or under way: `membership`, `orders`, `allocations`, `refunds`, `commissions`,
    /// `balance`.
    OpenBusiness(Vec<String>),
    /// The site has no such person, or not any more.
    NotFound,
}

#[async_trait]
pub trait PersonalDataStore: Send + Sync {
    /// A JSON object of arrays of rows as they are stored: amounts of money in minor units of their currency, of tokens in
    /// base units. Text, because a token amount has more digits than a JSON number keeps. `None`: no such party.
    async fn export(&self, scope: &SiteScope, party: PartyId) -> Result<Option<String>, StoreError>;
    /// Orders, commissions and the books stay, under a party that stands for nobody. `stand_in` and its code are new: they
    /// take the party's place at the membership, which is over.
    async fn erase(
        &self,
        scope: &SiteScope,
        party: PartyId,
        stand_in: (PartyId, &ReferralCode),
        reason: &str,
        at: Timestamp,
    ) -> Result<Erasure, StoreError>;
}

#[derive(Clone)]
pub struct PersonalData {
    store: Arc<dyn PersonalDataStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for PersonalData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersonalData").finish_non_exhaustive()
    }
}

impl PersonalData {
    pub fn new(
        store: Arc<dyn PersonalDataStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            store,
            clock,
            ids,
            randomness,
        }
    }

    /// See [`PersonalDataStore::export`].
    pub async fn export(&self, scope: &SiteScope, party: PartyId) -> Result<String, PersonalDataError> {
        let found = self.store.export(scope, party).await?;
        found.ok_or(PersonalDataError::NotFound)
    }

    /// Whether the login was forgotten as well: it is not while it is somebody elsewhere.
    pub async fn erase(
        &self,
        scope: &SiteScope,
        site: &Site,
        party: PartyId,
        reason: &str,
    ) -> Result<bool, PersonalDataError> {
        let reason = reason.trim();
        if !(1..=REASON_CHARS_MAX).contains(&reason.chars().count()) {
            return Err(PersonalDataError::Reason);
        }
        let at = self.clock.now();
        let stand_in = PartyId::from_uuid(self.ids.uuid(at));
        let code = ReferralCode::random(&site.code, self.randomness.as_ref());
        match self
            .store
            .erase(scope, party, (stand_in, &code), reason, at)
            .await?
        {
            Erasure::Done { login_forgotten } => Ok(login_forgotten),
            Erasure::OpenBusiness(open) => Err(PersonalDataError::OpenBusiness(open)),
            Erasure::NotFound => Err(PersonalDataError::NotFound),
        }
    }
}
