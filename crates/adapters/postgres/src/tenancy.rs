//! Members and referrals.

use async_trait::async_trait;
use posx_kernel::{IdentityId, Page, PageRequest, PartyId, SiteScope, StoreError, StoreFault, Timestamp};
use posx_tenancy::{
    FirstPayment, Member, MemberRepository, NewMember, ReferralCode, ReferralEntry, ReferralQueries,
    ReferralRepository, ReferralTree,
};
use sqlx::Row;

use crate::connection::Database;
use crate::directory::member_of;
use crate::error::{StoreResult, store};
use crate::site_tx::SiteTx;

pub(crate) async fn find_member(tx: &mut SiteTx, identity: IdentityId) -> Result<Option<Member>, StoreError> {
    let row = sqlx::query(
        "select m.identity_id, m.party_id, m.role, p.referral_code, s.code as site_code,
           array(select x.place_id from membership_places x where x.identity_id = m.identity_id) as places
         from memberships m join parties p on p.site_id = m.site_id and p.id = m.party_id
         cross join lateral app.site(m.site_id) s
         where m.identity_id = $1 and m.state = 'active'",
    )
    .bind(identity.as_uuid())
    .fetch_optional(tx.connection())
    .await
    .store()?;
    row.as_ref().map(member_of).transpose()
}

/// Party and membership, or nothing when the code or the identity is there already.
pub(crate) const INSERT_MEMBER: &str = "with party as (
       insert into parties (id, identity_id, referral_code, claimed_referrer_id, created_at)
       values ($1, $2, $3, $4, $5) on conflict do nothing returning id)
     insert into memberships (identity_id, party_id, role, created_at)
     select $2, id, $6, $5 from party";

#[async_trait]
impl MemberRepository for SiteTx {
    async fn find(&mut self, identity: IdentityId) -> Result<Option<Member>, StoreError> {
        find_member(self, identity).await
    }

    async fn party_by_code(&mut self, code: &ReferralCode) -> Result<Option<PartyId>, StoreError> {
        let row = sqlx::query("select id from parties where referral_code = $1")
            .bind(code.as_str())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.map(|row| Ok(PartyId::from_uuid(row.try_get(0).store()?)))
            .transpose()
    }

    async fn insert(&mut self, member: &NewMember) -> Result<bool, StoreError> {
        let done = sqlx::query(INSERT_MEMBER)
            .bind(member.party.as_uuid())
            .bind(member.identity.as_uuid())
            .bind(member.referral_code.as_str())
            .bind(member.claimed_referrer.map(PartyId::as_uuid))
            .bind(member.at)
            .bind(member.role.as_str())
            .execute(self.connection())
            .await
            .store()?;
        Ok(done.rows_affected() == 1)
    }
}

/// `$1` the party, `$2` whom the order names, `$3` the order, `$4` when. Whom staff placed in the tree stays there. Only what
/// would close a cycle with an edge that is not committed yet, or give a second parent, reaches the constraints, which refuse it.
const BIND: &str = "
    with want as (
      select p.id as party, coalesce($2, p.claimed_referrer_id) as referrer from parties p
      where p.id = $1
        and not exists (select from referral_paths t where t.descendant_id = p.id)
        and not exists (select from orders o where o.buyer_id = p.id and o.id <> $3 and o.paid_at is not null))
    insert into referrals (party_id, referrer_id, order_id, bound_at)
    select party, referrer, $3, $4 from want
    where referrer is not null and referrer <> party
      and not exists (select from referral_paths t
                      where t.ancestor_id = want.party and t.descendant_id = want.referrer and t.until is null)
    on conflict (site_id, party_id) do nothing
    returning referrer_id";

/// What another edge that came in between breaks: again, it is seen and nothing is bound.
const CAME_BETWEEN: [&str; 3] = [
    "referrals_no_cycle",
    "referral_paths_no_cycle",
    "referral_paths_one_above",
];

#[async_trait]
impl ReferralRepository for SiteTx {
    async fn bind(&mut self, payment: FirstPayment) -> Result<Option<PartyId>, StoreError> {
        let bound = sqlx::query(BIND)
            .bind(payment.party.as_uuid())
            .bind(payment.named.map(PartyId::as_uuid))
            .bind(payment.order.as_uuid())
            .bind(payment.at)
            .fetch_optional(self.connection())
            .await;
        match bound {
            Ok(row) => row
                .map(|row| Ok(PartyId::from_uuid(row.try_get(0).store()?)))
                .transpose(),
            Err(sqlx::Error::Database(error))
                if error
                    .constraint()
                    .is_some_and(|name| CAME_BETWEEN.contains(&name)) =>
            {
                Err(StoreError::new(StoreFault::Retry, error))
            }
            Err(error) => Err(store(error)),
        }
    }

    async fn bound_after(&mut self, party: PartyId, at: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        sqlx::query_scalar("select bound_at from referrals where party_id = $1 and bound_at > $2")
            .bind(party.as_uuid())
            .bind(at)
            .fetch_optional(self.connection())
            .await
            .store()
    }
}

#[async_trait]
impl ReferralTree for SiteTx {
    async fn ancestors(
        &mut self,
        party: PartyId,
        depth: u8,
        at: Timestamp,
    ) -> Result<Vec<PartyId>, StoreError> {
        let rows = sqlx::query(
            "select ancestor_id from referral_paths
             where descendant_id = $1 and depth <= $2 and since <= $3 and (until is null or until > $3) order by depth",
        )
        .bind(party.as_uuid())
        .bind(i32::from(depth))
        .bind(at)
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter()
            .map(|row| Ok(PartyId::from_uuid(row.try_get(0).store()?)))
            .collect()
    }
}

#[async_trait]
impl ReferralQueries for Database {
    async fn referred_by(
        &self,
        scope: &SiteScope,
        referrer: PartyId,
        page: PageRequest,
    ) -> Result<Page<ReferralEntry>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select id, bound_at from (
               select r.party_id as id, r.bound_at from referrals r where r.referrer_id = $1
               union all
               select p.id, null from parties p where p.claimed_referrer_id = $1
                 and not exists (select from referrals r where r.site_id = p.site_id and r.party_id = p.id)) referred
             where $2::uuid is null or id < $2
             order by id desc limit $3",
        )
        .bind(referrer.as_uuid())
        .bind(page.after_id())
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let entry = |row: &sqlx::postgres::PgRow| -> Result<_, StoreError> {
            Ok(ReferralEntry {
                party: PartyId::from_uuid(row.try_get("id").store()?),
                bound_at: row.try_get("bound_at").store()?,
            })
        };
        let entries = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(entries, page, |entry| entry.party.as_uuid()))
    }
}
