//! Memberships as staff manage them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use posx_kernel::{IdentityId, Page, PageRequest, PartyId, PlaceId, SiteScope, StoreError};
use posx_tenancy::{
    MemberFilter, MemberQueries, MemberState, MemberView, Membership, MembershipRefusal,
    MembershipRepository, Role,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connection::Database;
use crate::error::{StoreResult, store};
use crate::site_tx::SiteTx;

/// The trigger's name for its refusal; it holds for every role and every statement.
pub(crate) const KEEP_AN_OWNER: &str = "memberships_keep_an_owner";
const PLACE_KEY: &str = "membership_places_site_id_place_id_fkey";

/// A list of a row's own places.
macro_rules! places_of {
    ($table:literal, $column:literal, $of:literal) => {
        concat!(
            "array(select x.place_id from ",
            $table,
            " x where x.",
            $column,
            " = ",
            $of,
            ") as places"
        )
    };
}
pub(crate) use places_of;

pub(crate) fn places(row: &PgRow) -> Result<BTreeSet<PlaceId>, StoreError> {
    let ids: Vec<Uuid> = row.try_get("places").store()?;
    Ok(ids.into_iter().map(PlaceId::from_uuid).collect())
}

pub(crate) fn role(row: &PgRow) -> Result<Role, StoreError> {
    let role: String = row.try_get("role").store()?;
    Role::from_name(&role).ok_or_else(|| StoreError::broken("a member's role"))
}

pub(crate) fn uuids(places: &BTreeSet<PlaceId>) -> Vec<Uuid> {
    places.iter().map(|place| place.as_uuid()).collect()
}

fn state(row: &PgRow) -> Result<MemberState, StoreError> {
    let state: String = row.try_get("state").store()?;
    MemberState::from_name(&state).ok_or_else(|| StoreError::broken("a member's state"))
}

/// Row and its places.
fn membership(row: &PgRow) -> Result<Membership, StoreError> {
    Ok(Membership {
        identity: IdentityId::from_uuid(row.try_get("identity_id").store()?),
        party: PartyId::from_uuid(row.try_get("party_id").store()?),
        role: role(row)?,
        state: state(row)?,
        places: places(row)?,
        version: row.try_get("version").store()?,
    })
}

#[async_trait]
impl MembershipRepository for SiteTx {
    async fn lock(&mut self, identities: &[IdentityId]) -> Result<Vec<Membership>, StoreError> {
        let ids: Vec<_> = identities.iter().map(|identity| identity.as_uuid()).collect();
        sqlx::query(
            "select from memberships where identity_id = any($1) order by identity_id for no key update",
        )
        .bind(&ids)
        .execute(self.connection())
        .await
        .store()?;
        // Read by a statement of its own: what the lock waited for is in it, places included.
        let rows = sqlx::query(concat!(
            "select m.identity_id, m.party_id, m.role, m.state, m.version, ",
            places_of!("membership_places", "identity_id", "m.identity_id"),
            " from memberships m where m.identity_id = any($1)"
        ))
        .bind(&ids)
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().map(membership).collect()
    }

    async fn save(&mut self, membership: &Membership) -> Result<Result<(), MembershipRefusal>, StoreError> {
        let identity = membership.identity.as_uuid();
        let saved =
            sqlx::query("update memberships set role = $2, state = $3, version = $4 where identity_id = $1")
                .bind(identity)
                .bind(membership.role.as_str())
                .bind(membership.state.as_str())
                .bind(membership.version)
                .execute(self.connection())
                .await
                .map_err(store);
        match saved {
            Ok(done) if done.rows_affected() == 1 => {}
            Ok(_) => return Err(StoreError::broken("a membership that is not there was saved")),
            Err(error) if error.constraint_name() == Some(KEEP_AN_OWNER) => {
                return Ok(Err(MembershipRefusal::LastOwner));
            }
            Err(error) => return Err(error),
        }
        let places = uuids(&membership.places);
        sqlx::query("delete from membership_places where identity_id = $1 and place_id <> all($2)")
            .bind(identity)
            .bind(&places)
            .execute(self.connection())
            .await
            .store()?;
        let narrowed = sqlx::query(
            "insert into membership_places (identity_id, place_id) select $1, unnest($2::uuid[])
             on conflict do nothing",
        )
        .bind(identity)
        .bind(&places)
        .execute(self.connection())
        .await
        .map_err(store);
        match narrowed {
            Ok(_) => Ok(Ok(())),
            Err(error) if error.constraint_name() == Some(PLACE_KEY) => {
                Ok(Err(MembershipRefusal::NoSuchPlace))
            }
            Err(error) => Err(error),
        }
    }
}

fn view(row: &PgRow) -> Result<MemberView, StoreError> {
    let Membership {
        identity,
        party,
        role,
        state,
        places,
        version,
    } = membership(row)?;
    Ok(MemberView {
        identity_id: identity,
        party_id: party,
        role,
        state,
        places,
        version,
        joined_at: row.try_get("created_at").store()?,
    })
}

const VIEW: &str = concat!(
    "select m.identity_id, m.party_id, m.role, m.state, m.version, m.created_at, ",
    places_of!("membership_places", "identity_id", "m.identity_id"),
    " from memberships m
      where ($1::uuid is null or m.identity_id = $1) and ($2::text is null or m.role = $2)
        and ($3::text is null or m.state = $3) and ($4::uuid is null or m.identity_id < $4)
      order by m.identity_id desc limit $5"
);

impl Database {
    async fn member_views(
        &self,
        scope: &SiteScope,
        one: Option<IdentityId>,
        filter: MemberFilter,
        page: PageRequest,
    ) -> Result<Vec<MemberView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(VIEW)
            .bind(one.map(IdentityId::as_uuid))
            .bind(filter.role.map(Role::as_str))
            .bind(filter.state.map(MemberState::as_str))
            .bind(page.after_id())
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(tx.connection())
            .await
            .store()?;
        rows.iter().map(view).collect()
    }
}

#[async_trait]
impl MemberQueries for Database {
    async fn members(
        &self,
        scope: &SiteScope,
        filter: MemberFilter,
        page: PageRequest,
    ) -> Result<Page<MemberView>, StoreError> {
        let views = self.member_views(scope, None, filter, page).await?;
        Ok(Page::from_rows(views, page, |view| view.identity_id.as_uuid()))
    }

    async fn member(
        &self,
        scope: &SiteScope,
        identity: IdentityId,
    ) -> Result<Option<MemberView>, StoreError> {
        let (all, page) = (MemberFilter::default(), PageRequest::new(Some(1), None));
        Ok(self.member_views(scope, Some(identity), all, page).await?.pop())
    }
}
