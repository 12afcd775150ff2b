//! Visits of platform staff to one site at a time.

use posx_kernel::{Actor, GrantId, IdentityId, StoreError, Who, retry_busy};
use serde_json::json;

use super::{Act, Platform, PlatformError, PlatformTx, Staff, StaffState, Visit};
use crate::{Grant, GrantWish, SiteState};

impl Platform {
    /// Opens a visit for the staff member. The site's owner sees it from now on.
    pub async fn open_grant(
        &self,
        identity: IdentityId,
        wish: &GrantWish<'_>,
    ) -> Result<Grant, PlatformError> {
        let (reason, length) = wish.check()?;
        let site = self.find(wish.site).await?;
        if site.state != SiteState::Active {
            return Err(PlatformError::GrantSuspended);
        }
        retry_busy(|| async {
            let opened_at = self.clock.now();
            let id = GrantId::from_uuid(self.ids.uuid(opened_at));
            let mut tx = self.directory.begin(&self.about(id), Some(site.id)).await?;
            let staff = tx.staff_for_update(identity).await?;
            let staff = staff.filter(|staff| staff.state == StaffState::Active);
            let staff = staff.ok_or(PlatformError::StaffUnknown)?;
            if staff.visit_at(opened_at).is_some() {
                return Err(PlatformError::GrantOpen);
            }
            let grant = Grant {
                id,
                site: site.id,
                staff: identity,
                staff_name: staff.name.clone(),
                reason: reason.clone(),
                opened_at,
                until: opened_at + length,
            };
            tx.insert_grant(&grant).await?;
            let visit = Some(Visit {
                grant: id,
                site: site.id,
                until: grant.until,
            });
            tx.save_staff(&Staff { visit, ..staff }).await?;
            let told = json!({ "staff": identity, "reason": grant.reason, "until": grant.until });
            let act = self.act("grant.opened", told).at_site(site.id).on(id.as_uuid());
            tx.record(&act).await?;
            tx.commit().await?;
            Ok(grant)
        })
        .await
    }

    /// Ends the staff member's visit before its time.
    pub async fn end_grant(&self, identity: IdentityId, grant: GrantId) -> Result<(), PlatformError> {
        retry_busy(|| async {
            let staff = self.directory.staff_member(identity).await?;
            let visit = staff.and_then(|staff| staff.visit_at(self.clock.now()));
            let visit = visit
                .filter(|visit| visit.grant == grant)
                .ok_or(PlatformError::GrantUnknown)?;
            let mut tx = self.begin_at(Some(visit)).await?;
            let staff = tx.staff_for_update(identity).await?;
            let staff = staff.filter(|staff| staff.visit == Some(visit));
            let staff = staff.ok_or_else(|| super::busy("the visit was ended meanwhile"))?;
            tx.save_staff(&Staff { visit: None, ..staff }).await?;
            leave_in_tx(tx.as_mut(), visit, self.left(identity, visit)).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Within the site of the visit, if there is one.
    pub(super) async fn begin_at(&self, visit: Option<Visit>) -> Result<Box<dyn PlatformTx>, StoreError> {
        let actor = visit.map_or_else(|| self.actor.clone(), |visit| self.about(visit.grant));
        self.directory.begin(&actor, visit.map(|visit| visit.site)).await
    }

    pub(super) fn left(&self, identity: IdentityId, visit: Visit) -> Act {
        let act = self.act("grant.ended", json!({ "staff": identity }));
        act.at_site(visit.site).on(visit.grant.as_uuid())
    }

    /// For the site, whoever of the staff does it is no person of its own.
    fn about(&self, grant: GrantId) -> Actor {
        let who = match self.actor.who {
            Who::Person(identity) => Who::Staff { identity, grant },
            other => other,
        };
        Actor {
            who,
            ..self.actor.clone()
        }
    }
}

/// Of a visit whose time is up nothing is left to end.
pub(super) async fn leave_in_tx(tx: &mut dyn PlatformTx, visit: Visit, act: Act) -> Result<(), StoreError> {
    if visit.until > act.at {
        tx.end_grant(visit.grant, act.at).await?;
        tx.record(&act).await?;
    }
    Ok(())
}
