//! Who works for the platform, and what each may do there.

use posx_kernel::{GrantId, IdentityId, SiteId, Timestamp, Who, changes, retry_busy};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::visits::leave_in_tx;
use super::{Act, Platform, PlatformError, PlatformTx};

macro_rules! capabilities {
    ($($name:ident = $text:literal;)+) => {
        /// What a route of the plane asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum PlatformCapability {
            $($name,)+
        }

        impl PlatformCapability {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

capabilities! {
    SitesRead = "platform:sites_read";
    SitesManage = "platform:sites_manage";
    FiguresRead = "platform:figures_read";
    StaffRead = "platform:staff_read";
    StaffManage = "platform:staff_manage";
    GrantsRead = "platform:grants_read";
    GrantsOpen = "platform:grants_open";
    AuditRead = "platform:audit_read";
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StaffRole {
    /// Helps the people of sites, by visits.
    Support,
    /// Makes and runs sites.
    Operator,
    Admin,
}

impl StaffRole {
    pub const ALL: &'static [Self] = &[Self::Support, Self::Operator, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Support => "support",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == name)
    }

    pub const fn capabilities(self) -> &'static [PlatformCapability] {
        use PlatformCapability::{FiguresRead, GrantsOpen, GrantsRead, SitesManage, SitesRead};
        match self {
            Self::Support => &[SitesRead, GrantsRead, GrantsOpen],
            Self::Operator => &[SitesRead, SitesManage, FiguresRead, GrantsRead, GrantsOpen],
            Self::Admin => PlatformCapability::ALL,
        }
    }

    pub fn may(self, capability: PlatformCapability) -> bool {
        self.capabilities().contains(&capability)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StaffState {
    Active,
    /// Out, on the plane and in every site.
    Disabled,
}

impl StaffState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staff {
    pub identity: IdentityId,
    pub name: String,
    pub role: StaffRole,
    pub state: StaffState,
    pub appointed_at: Timestamp,
    pub visit: Option<Visit>,
}

/// A grant that nobody ended; its time may be up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    pub grant: GrantId,
    pub site: SiteId,
    pub until: Timestamp,
}

impl Staff {
    pub fn visit_at(&self, now: Timestamp) -> Option<Visit> {
        self.visit.filter(|visit| visit.until > now)
    }

    pub fn is_active_admin(&self) -> bool {
        self.role == StaffRole::Admin && self.state == StaffState::Active
    }

    /// What the audit keeps of them.
    fn place(&self) -> serde_json::Value {
        json!({ "name": self.name, "role": self.role, "state": self.state })
    }
}

impl Platform {
    /// Puts (issuer, subject) on the staff, or changes name and role of one who is there; one who was disabled comes back.
    /// Nobody changes themselves, and the last admin stays one.
    pub async fn appoint_staff(
        &self,
        issuer: &str,
        subject: &str,
        name: &str,
        role: StaffRole,
    ) -> Result<Staff, PlatformError> {
        let name = name.trim();
        if !(1..=200).contains(&name.chars().count()) || name.contains('\0') {
            return Err(PlatformError::StaffName);
        }
        let identity = self.directory.identity(issuer, subject).await?;
        self.is_another(identity)?;
        let new = Staff {
            identity,
            name: name.to_owned(),
            role,
            state: StaffState::Active,
            appointed_at: self.clock.now(),
            visit: None,
        };
        retry_busy(|| async {
            let mut tx = self.directory.begin(&self.actor, None).await?;
            let act = self.act("staff.appointed", json!({})).on(identity.as_uuid());
            let placed = place_in_tx(tx.as_mut(), new.clone(), None, act).await?;
            tx.commit().await?;
            Ok(placed)
        })
        .await
    }

    /// Out at once, on the plane and in the site that they visit.
    pub async fn disable_staff(&self, identity: IdentityId) -> Result<Staff, PlatformError> {
        self.is_another(identity)?;
        retry_busy(|| async {
            let known = self.directory.staff_member(identity).await?;
            let known = known.ok_or(PlatformError::StaffUnknown)?;
            if known.state == StaffState::Disabled {
                return Ok(known);
            }
            let visit = known.visit;
            let mut tx = self.begin_at(visit).await?;
            let act = self.act("staff.disabled", json!({})).on(identity.as_uuid());
            let disabled = Staff {
                state: StaffState::Disabled,
                ..known
            };
            let placed = place_in_tx(tx.as_mut(), disabled, visit, act).await?;
            if let Some(visit) = visit {
                leave_in_tx(tx.as_mut(), visit, self.left(identity, visit)).await?;
            }
            tx.commit().await?;
            Ok(placed)
        })
        .await
    }

    fn is_another(&self, identity: IdentityId) -> Result<(), PlatformError> {
        match self.actor.who {
            Who::Person(me) if me == identity => Err(PlatformError::OwnPlace),
            _ => Ok(()),
        }
    }
}

/// `seen` is the visit of one who is disabled, which the caller ends.
async fn place_in_tx(
    tx: &mut dyn PlatformTx,
    wanted: Staff,
    seen: Option<Visit>,
    act: Act,
) -> Result<Staff, PlatformError> {
    // All admins, in one order: two that take each other's place away come one after the other.
    let admins = tx.admins_for_update().await?;
    let before = tx.staff_for_update(wanted.identity).await?;
    let visit = before.as_ref().and_then(|before| before.visit);
    let stays = wanted.state == StaffState::Active;
    if !stays && visit != seen {
        return Err(super::busy("a visit was opened or ended meanwhile").into());
    }
    let after = Staff {
        appointed_at: before
            .as_ref()
            .map_or(wanted.appointed_at, |before| before.appointed_at),
        visit: visit.filter(|_| stays),
        ..wanted
    };
    let is_last = before.as_ref().is_some_and(Staff::is_active_admin) && admins.len() == 1;
    if is_last && !after.is_active_admin() {
        return Err(PlatformError::LastAdmin);
    }
    tx.save_staff(&after).await?;
    let from = before.as_ref().map_or_else(|| json!({}), Staff::place);
    let changes = changes(&from, &after.place());
    tx.record(&Act { changes, ..act }).await?;
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_of_the_staff_may_what_the_one_below_may() {
        for pair in StaffRole::ALL.windows(2) {
            let more = |capability: &PlatformCapability| pair[1].may(*capability);
            assert!(pair[0].capabilities().iter().all(more), "{pair:?}");
        }
        assert!(!StaffRole::Support.may(PlatformCapability::FiguresRead));
        assert!(!StaffRole::Operator.may(PlatformCapability::StaffManage));
        for capability in PlatformCapability::ALL {
            assert!(capability.as_str().starts_with("platform:"));
        }
    }
}
