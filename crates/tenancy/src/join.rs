//! Joining a site, as a buyer does on first sight.

use std::collections::BTreeSet;
use std::sync::Arc;

use posx_kernel::{Begin, Clock, Event, IdentityId, Ids, PartyId, Randomness, SiteScope, StoreError};
use serde::Serialize;

use crate::{JoinError, Member, MemberState, Membership, NewMember, ReferralCode, Role, Site, TenancyTx};

pub(crate) const CODE_TRIES: u8 = 10;

/// Use cases of this context inside one site.
#[derive(Clone)]
pub struct Tenancy {
    db: Arc<dyn Begin<dyn TenancyTx>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenancy").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub struct Join<'a> {
    pub site: &'a Site,
    pub identity: IdentityId,
    /// As typed. One that is unknown or of another site does not block joining; the answer says so.
    pub referral_code: Option<&'a str>,
}

/// What became of the referral code that a joiner typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferralClaim {
    NotGiven,
    /// It binds at the party's first paid order, unless the party is bound already.
    Accepted,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub member: Member,
    pub referral: ReferralClaim,
    /// False: the identity was a member before, and nothing changed.
    pub new: bool,
}

impl Tenancy {
    pub fn new(
        db: Arc<dyn Begin<dyn TenancyTx>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            db,
            clock,
            ids,
            randomness,
        }
    }

    /// Makes the identity a member of the site with the role of a buyer. Joining again changes nothing, but for one who was
    /// removed: they are a buyer again, with the party and the referral code from before.
    pub async fn join(&self, scope: &SiteScope, join: Join<'_>) -> Result<Joined, JoinError> {
        for _ in 0..CODE_TRIES {
            let mut tx = self.db.begin(scope).await?;
            if let Some(member) = tx.members().find(join.identity).await? {
                return Ok(Joined {
                    member,
                    referral: ReferralClaim::NotGiven,
                    new: false,
                });
            }
            if let Some(left) = tx.memberships().lock(&[join.identity]).await?.pop() {
                return self.rejoin(tx, left).await;
            }
            let (referral, claimed_referrer) =
                claim_in_tx(tx.as_mut(), join.site, join.referral_code).await?;
            let at = self.clock.now();
            let new = NewMember {
                identity: join.identity,
                party: PartyId::from_uuid(self.ids.uuid(at)),
                role: Role::Member,
                referral_code: ReferralCode::random(&join.site.code, self.randomness.as_ref()),
                claimed_referrer,
                at,
            };
            if !tx.members().insert(&new).await? {
                continue;
            }
            let payload = serde_json::json!({ "referrer": claimed_referrer });
            tx.outbox()
                .append(Event {
                    kind: "member.joined",
                    subject: new.party.as_uuid(),
                    payload,
                    at,
                })
                .await?;
            tx.commit().await?;
            let member = Member {
                identity: new.identity,
                party: new.party,
                role: new.role,
                places: BTreeSet::new(),
                referral_code: new.referral_code,
            };
            return Ok(Joined {
                member,
                referral,
                new: true,
            });
        }
        Err(JoinError::NoFreeCode)
    }

    async fn rejoin(&self, mut tx: Box<dyn TenancyTx>, left: Membership) -> Result<Joined, JoinError> {
        let back = match left.state {
            MemberState::Disabled => return Err(JoinError::Disabled),
            // Let in by someone else between two reads.
            MemberState::Active => left.clone(),
            MemberState::Removed => Membership {
                role: Role::Member,
                state: MemberState::Active,
                places: BTreeSet::new(),
                version: left.version + 1,
                ..left.clone()
            },
        };
        let new = back != left;
        if new {
            let saved = tx.memberships().save(&back).await?;
            saved.map_err(|_| StoreError::broken("a buyer of the whole site was refused"))?;
            let event = back.event("member.rejoined", &left, self.clock.now());
            tx.outbox().append(event).await?;
        }
        let member = tx.members().find(back.identity).await?;
        tx.commit().await?;
        Ok(Joined {
            member: member.ok_or_else(|| StoreError::broken("an active member was not found"))?,
            referral: ReferralClaim::NotGiven,
            new,
        })
    }

    /// Whom the code stands for that `party` typed with an order. One's own is as good as unknown.
    pub async fn referrer(
        &self,
        scope: &SiteScope,
        site: &Site,
        party: PartyId,
        typed: Option<&str>,
    ) -> Result<(ReferralClaim, Option<PartyId>), StoreError> {
        if typed.is_none() {
            return Ok((ReferralClaim::NotGiven, None));
        }
        let mut tx = self.db.begin(scope).await?;
        let found = claim_in_tx(tx.as_mut(), site, typed).await?;
        Ok(if found.1 == Some(party) {
            (ReferralClaim::Unknown, None)
        } else {
            found
        })
    }
}

/// Whom a typed code stands for.
async fn claim_in_tx(
    tx: &mut dyn TenancyTx,
    site: &Site,
    typed: Option<&str>,
) -> Result<(ReferralClaim, Option<PartyId>), StoreError> {
    let Some(typed) = typed else {
        return Ok((ReferralClaim::NotGiven, None));
    };
    let Ok(code) = ReferralCode::parse(typed, &site.code) else {
        return Ok((ReferralClaim::Unknown, None));
    };
    Ok(match tx.members().party_by_code(&code).await? {
        Some(referrer) => (ReferralClaim::Accepted, Some(referrer)),
        None => (ReferralClaim::Unknown, None),
    })
}
