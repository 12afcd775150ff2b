//! The platform plane: makes, suspends and reactivates sites, appoints their first people, and keeps its own staff. All that it
//! does is in its audit, in the same transaction.

mod audit;
mod error;
mod ports;
mod staff;
mod vaults;
mod visits;

use std::net::IpAddr;
use std::sync::Arc;

use chrono_tz::Tz;
use posx_kernel::{
    Actor, Clock, Currency, IdentityId, Ids, PartyId, Randomness, SiteId, StoreError, StoreFault, changes,
    retry_busy,
};
use serde_json::{Value, json};

use crate::{Module, NewMember, Origin, ReferralCode, Role, Site, SiteCode, SiteState};

pub use audit::{Act, ActFilter, ActView, CurrencyFigures, SiteFigures, Span};
pub use error::PlatformError;
pub use ports::{PlatformDirectory, PlatformTx};
pub use staff::{PlatformCapability, Staff, StaffRole, StaffState, Visit};

/// Every answer to a page looks through them.
const CORS_ORIGINS_MAX: usize = 50;
const HOST_NAMES_MAX: usize = 50;

#[derive(Clone)]
pub struct Platform {
    directory: Arc<dyn PlatformDirectory>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    randomness: Arc<dyn Randomness>,
    actor: Actor,
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
    /// In the name of who holds the plane's database role: the command line.
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
            actor: Actor::SYSTEM,
        }
    }

    /// The same plane, in the name of one of the staff.
    #[must_use]
    pub fn by(&self, actor: Actor) -> Self {
        Self {
            actor,
            ..self.clone()
        }
    }

    /// For reads.
    pub fn directory(&self) -> &dyn PlatformDirectory {
        self.directory.as_ref()
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
            host_names: host_names(&wish.host_names)?,
            cors_origins: Vec::new(),
            currency: wish.currency,
            time_zone: wish.time_zone,
            state: SiteState::Active,
            modules: vec![Module::TokenSale],
            order_expiry_minutes: 15,
            created_at,
        };
        let mut tx = self.directory.begin(&self.actor, None).await?;
        tx.insert_site(&site).await?;
        tx.change_hosts(site.id, &site.host_names, &[]).await?;
        let made = json!({
            "code": site.code, "name": site.name, "currency": site.currency, "time_zone": site.time_zone.name(),
            "host_names": site.host_names,
        });
        tx.record(
            &self
                .act("site.created", changes(&json!({}), &made))
                .at_site(site.id),
        )
        .await?;
        tx.commit().await?;
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
        retry_busy(|| async {
            let at = self.clock.now();
            let member = NewMember {
                identity,
                party: PartyId::from_uuid(self.ids.uuid(at)),
                role,
                referral_code: ReferralCode::random(&site.code, self.randomness.as_ref()),
                claimed_referrer: None,
                at,
            };
            let mut tx = self.directory.begin(&self.actor, None).await?;
            tx.appoint_member(site.id, &member).await?;
            let act = self
                .act("member.appointed", json!({ "role": role }))
                .at_site(site.id);
            tx.record(&act.on(identity.as_uuid())).await?;
            tx.commit().await?;
            Ok(identity)
        })
        .await
    }

    pub async fn list(&self) -> Result<Vec<Site>, PlatformError> {
        Ok(self.directory.list().await?)
    }

    pub async fn find(&self, code: &str) -> Result<Site, PlatformError> {
        let code = SiteCode::new(code).ok_or(PlatformError::Unknown)?;
        self.directory.find(&code).await?.ok_or(PlatformError::Unknown)
    }

    pub async fn set_state(&self, code: &str, state: SiteState) -> Result<Site, PlatformError> {
        let action = match state {
            SiteState::Active => "site.reactivated",
            SiteState::Suspended => "site.suspended",
        };
        self.edit(code, action, |site| site.state = state).await
    }

    /// The whole list; an empty one lets no page in.
    pub async fn set_cors_origins(&self, code: &str, origins: Vec<Origin>) -> Result<Site, PlatformError> {
        if origins.len() > CORS_ORIGINS_MAX {
            return Err(PlatformError::TooManyOrigins);
        }
        self.edit(code, "site.origins_set", |site| {
            site.cors_origins.clone_from(&origins);
        })
        .await
    }

    /// The whole list. What a module has made stays where it is when it is switched off.
    pub async fn set_modules(&self, code: &str, modules: &[Module]) -> Result<Site, PlatformError> {
        let modules: Vec<_> = Module::ALL
            .into_iter()
            .filter(|module| modules.contains(module))
            .collect();
        self.edit(code, "site.modules_set", |site| site.modules.clone_from(&modules))
            .await
    }

    /// Gives host names to a site and takes some from it. What it has already, and what it has not, is no mistake.
    pub async fn change_host_names(
        &self,
        code: &str,
        added: &[String],
        removed: &[String],
    ) -> Result<Site, PlatformError> {
        let (added, removed) = (host_names(added)?, host_names(removed)?);
        let code = SiteCode::new(code).ok_or(PlatformError::Unknown)?;
        let mut tx = self.directory.begin(&self.actor, None).await?;
        let before = tx.site_for_update(&code).await?.ok_or(PlatformError::Unknown)?;
        tx.change_hosts(before.id, &added, &removed).await?;
        let after = tx.site_for_update(&code).await?.ok_or(PlatformError::Unknown)?;
        if after.host_names.len() > HOST_NAMES_MAX {
            return Err(PlatformError::TooManyHosts);
        }
        if after.host_names != before.host_names {
            let changed = json!({ "host_names": [before.host_names, after.host_names] });
            tx.record(&self.act("site.hosts_changed", changed).at_site(after.id))
                .await?;
        }
        tx.commit().await?;
        Ok(after)
    }

    /// What is so already is not recorded again.
    async fn edit(
        &self,
        code: &str,
        action: &'static str,
        change: impl Fn(&mut Site) + Send + Sync,
    ) -> Result<Site, PlatformError> {
        let code = SiteCode::new(code).ok_or(PlatformError::Unknown)?;
        let mut tx = self.directory.begin(&self.actor, None).await?;
        let before = tx.site_for_update(&code).await?.ok_or(PlatformError::Unknown)?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(after);
        }
        tx.save_site(&after).await?;
        let view = |site: &Site| json!({ "state": site.state, "cors_origins": site.cors_origins, "modules": site.modules });
        let act = self.act(action, changes(&view(&before), &view(&after)));
        tx.record(&act.at_site(after.id)).await?;
        tx.commit().await?;
        Ok(after)
    }

    fn act(&self, action: &'static str, changes: Value) -> Act {
        let at = self.clock.now();
        Act {
            id: self.ids.uuid(at),
            at,
            action,
            site: None,
            subject: None,
            changes,
        }
    }
}

/// Somebody else was quicker: the whole use case begins again.
fn busy(what: &'static str) -> StoreError {
    StoreError::new(StoreFault::Retry, what)
}

/// In lower case and in order. An address of a machine is no name of a site.
fn host_names(texts: &[String]) -> Result<Vec<String>, PlatformError> {
    if texts.len() > HOST_NAMES_MAX {
        return Err(PlatformError::TooManyHosts);
    }
    let name = |text: &String| {
        let name = text.trim().to_ascii_lowercase();
        is_host_name(&name)
            .then_some(name)
            .ok_or_else(|| PlatformError::Host(text.chars().take(60).collect()))
    };
    let mut names = texts.iter().map(name).collect::<Result<Vec<_>, _>>()?;
    names.sort();
    names.dedup();
    Ok(names)
}

fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    name.len() <= 253
        && name.split('.').all(is_label)
        && name != "localhost"
        && name.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_a_name_and_no_address() {
        let of = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            host_names(&texts).ok()
        };
        assert_eq!(
            of(&[" Shop.Example", "a_1.test", "shop.example"]),
            Some(vec!["a_1.test".to_owned(), "shop.example".to_owned()])
        );
        let long = "a".repeat(64);
        for bad in [
            "",
            "a b",
            "a..b",
            "a.",
            "10.0.0.1",
            "::1",
            "localhost",
            "a:80",
            "ä.test",
            "*.a",
            &long,
        ] {
            assert_eq!(of(&[bad]), None, "{bad}");
        }
        assert_eq!(of(&["a"; 51]), None);
    }
}
