//! The platform plane: makes, suspends and wakes sites, and appoints their first people.

use std::sync::Arc;

use chrono_tz::Tz;
use posx_kernel::{Clock, Currency, IdentityId, Ids, PartyId, Randomness, SiteId};

use crate::{
    Module, NewMember, PlatformDirectory, PlatformError, ReferralCode, Role, Site, SiteCode, SiteState,
};

#[derive(Clone)]
pub struct Platform {
    directory: Arc<dyn PlatformDirectory>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub struct CreateSite {
    pub code: String,
    pub name: String,
    pub host_names: Vec<String>,
    pub currency: Currency,
    pub time_zone: Tz,
}

impl Platform {
    pub fn new(
        directory: Arc<dyn PlatformDirectory>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            directory,
            clock,
            ids,
            randomness,
        }
    }

    pub async fn create(&self, wish: CreateSite) -> Result<Site, PlatformError> {
        let code = SiteCode::new(&wish.code).ok_or(PlatformError::Code)?;
        let name = wish.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 200 {
            return Err(PlatformError::Name);
        }
        let created_at = self.clock.now();
        let site = Site {
            id: SiteId::from_uuid(self.ids.uuid(created_at)),
            code,
            name,
            host_names: wish
                .host_names
                .iter()
                .map(|host| host.trim().to_ascii_lowercase())
                .collect(),
            currency: wish.currency,
            time_zone: wish.time_zone,
            state: SiteState::Active,
            modules: vec![Module::TokenSale],
            order_expiry_minutes: 15,
            created_at,
        };
        self.directory.create(&site).await?;
        Ok(site)
    }

    /// Gives (issuer, subject) a role in the site; the way in for the people who come before there is anyone to invite.
    pub async fn appoint(
        &self,
        site: &Site,
        issuer: &str,
        subject: &str,
        role: Role,
    ) -> Result<IdentityId, PlatformError> {
        let identity = self.directory.identity(issuer, subject).await?;
        let at = self.clock.now();
        let member = NewMember {
            identity,
            party: PartyId::from_uuid(self.ids.uuid(at)),
            role,
            referral_code: ReferralCode::random(&site.code, self.randomness.as_ref()),
            claimed_referrer: None,
            at,
        };
        self.directory.appoint(site.id, &member).await?;
        Ok(identity)
    }

    pub async fn list(&self) -> Result<Vec<Site>, PlatformError> {
        Ok(self.directory.list().await?)
    }

    pub async fn find(&self, code: &str) -> Result<Site, PlatformError> {
        let code = SiteCode::new(code).ok_or(PlatformError::Code)?;
        self.directory.find(&code).await?.ok_or(PlatformError::Unknown)
    }

    pub async fn set_state(&self, code: &str, state: SiteState) -> Result<Site, PlatformError> {
        let site = self.find(code).await?;
        self.directory.set_state(site.id, state).await?;
        Ok(Site { state, ..site })
    }
}
