//! Invitations.

use async_trait::async_trait;
use posx_kernel::{Begin, IdentityId, InvitationId, Page, PageRequest, SiteScope, StoreError, Timestamp};
use posx_tenancy::{
    Delivery, EmailAddress, Invitation, InvitationQueries, InvitationRefusal, InvitationRepository,
    InvitationState, InvitationView, InvitationsTx, MemberTerms, Room, TokenHash,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::{StoreResult, store};
use crate::members::{places, places_of, role, uuids};
use crate::site_tx::SiteTx;

const PLACE_KEY: &str = "invitation_places_site_id_place_id_fkey";

#[async_trait]
impl Begin<dyn InvitationsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn InvitationsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl InvitationsTx for SiteTx {
    fn invitations(&mut self) -> &mut dyn InvitationRepository {
        self
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select i.*, ",
            places_of!("invitation_places", "invitation_id", "i.id"),
            " from invitations i ",
            $rest
        )
    };
}

fn invitation(row: &PgRow) -> Result<Invitation, StoreError> {
    let (email, state, delivery): (String, String, String) = (
        row.try_get("email").store()?,
        row.try_get("state").store()?,
        row.try_get("delivery").store()?,
    );
    let token: Option<Vec<u8>> = row.try_get("token_hash").store()?;
    let token = token.map(|hash| hash.try_into().map(TokenHash)).transpose();
    let sending: i32 = row.try_get("sending").store()?;
    let identity = |column: &str| -> Result<Option<IdentityId>, StoreError> {
        Ok(row
            .try_get::<Option<_>, _>(column)
            .store()?
            .map(IdentityId::from_uuid))
    };
    Ok(Invitation {
        id: InvitationId::from_uuid(row.try_get("id").store()?),
        email: EmailAddress::parse(&email).map_err(|_| StoreError::broken("an invitation's address"))?,
        terms: MemberTerms {
            role: role(row)?,
            places: places(row)?,
        },
        state: InvitationState::from_name(&state)
            .ok_or_else(|| StoreError::broken("an invitation's state"))?,
        token: token.map_err(|_| StoreError::broken("a token's hash"))?,
        sending: u8::try_from(sending).map_err(|_| StoreError::broken("an invitation's sending"))?,
        delivery: Delivery::from_name(&delivery)
            .ok_or_else(|| StoreError::broken("an invitation's delivery"))?,
        invited_by: identity("invited_by")?.ok_or_else(|| StoreError::broken("who invited"))?,
        accepted_by: identity("accepted_by")?,
        created_at: row.try_get("created_at").store()?,
        expires_at: row.try_get("expires_at").store()?,
        finished_at: row.try_get("finished_at").store()?,
    })
}

#[async_trait]
impl InvitationRepository for SiteTx {
    async fn make_room(&mut self, now: Timestamp) -> Result<Room, StoreError> {
        let lock = format!("invitations:{}", self.site().as_uuid());
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(lock)
            .execute(self.connection())
            .await
            .store()?;
        let rows = sqlx::query(
            "update invitations set state = 'expired', finished_at = expires_at
             where state = 'pending' and expires_at <= $1 returning id",
        )
        .bind(now)
        .fetch_all(self.connection())
        .await
        .store()?;
        let expired = rows
            .iter()
            .map(|row| Ok(InvitationId::from_uuid(row.try_get(0).store()?)))
            .collect::<Result<_, StoreError>>()?;
        let row = sqlx::query("select count(*) from invitations where state = 'pending'")
            .fetch_one(self.connection())
            .await
            .store()?;
        let pending: i64 = row.try_get(0).store()?;
        Ok(Room {
            expired,
            pending: u32::try_from(pending).unwrap_or(u32::MAX),
        })
    }

    async fn insert(&mut self, invitation: &Invitation) -> Result<Result<(), InvitationRefusal>, StoreError> {
        let made = sqlx::query(
            "insert into invitations (id, email, role, state, sending, delivery, invited_by, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (site_id, lower(email)) where state = 'pending' do nothing",
        )
        .bind(invitation.id.as_uuid())
        .bind(invitation.email.as_str())
        .bind(invitation.terms.role.as_str())
        .bind(invitation.state.as_str())
        .bind(i32::from(invitation.sending))
        .bind(invitation.delivery.as_str())
        .bind(invitation.invited_by.as_uuid())
        .bind(invitation.created_at)
        .bind(invitation.expires_at)
        .execute(self.connection())
        .await
        .store()?;
        if made.rows_affected() == 0 {
            return Ok(Err(InvitationRefusal::Pending));
        }
        let narrowed = sqlx::query(
            "insert into invitation_places (invitation_id, place_id) select $1, unnest($2::uuid[])",
        )
        .bind(invitation.id.as_uuid())
        .bind(uuids(&invitation.terms.places))
        .execute(self.connection())
        .await
        .map_err(store);
        match narrowed {
            Ok(_) => Ok(Ok(())),
            Err(error) if error.constraint_name() == Some(PLACE_KEY) => {
                Ok(Err(InvitationRefusal::NoSuchPlace))
            }
            Err(error) => Err(error),
        }
    }

    async fn lock(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        let row = sqlx::query(select!("where i.id = $1 for no key update"))
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(invitation).transpose()
    }

    async fn lock_by_token(&mut self, token: &TokenHash) -> Result<Option<Invitation>, StoreError> {
        let row = sqlx::query(select!("where i.token_hash = $1 for no key update"))
            .bind(token.0.as_slice())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(invitation).transpose()
    }

    async fn save(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        let done = sqlx::query(
            "update invitations set state = $2, token_hash = $3, sending = $4, delivery = $5, accepted_by = $6,
               expires_at = $7, finished_at = $8
             where id = $1",
        )
        .bind(invitation.id.as_uuid())
        .bind(invitation.state.as_str())
        .bind(invitation.token.map(|hash| hash.0.to_vec()))
        .bind(i32::from(invitation.sending))
        .bind(invitation.delivery.as_str())
        .bind(invitation.accepted_by.map(IdentityId::as_uuid))
        .bind(invitation.expires_at)
        .bind(invitation.finished_at)
        .execute(self.connection())
        .await
        .store()?;
        if done.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::broken("an invitation that is not there was saved"))
        }
    }
}

#[async_trait]
impl InvitationQueries for Database {
    async fn invitations(
        &self,
        scope: &SiteScope,
        state: Option<InvitationState>,
        now: Timestamp,
        page: PageRequest,
    ) -> Result<Page<InvitationView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(select!(
            "where ($1::text is null
                or $1 = case when i.state = 'pending' and i.expires_at <= $2 then 'expired' else i.state end)
               and ($3::uuid is null or i.id < $3)
             order by i.id desc limit $4"
        ))
        .bind(state.map(InvitationState::as_str))
        .bind(now)
        .bind(page.after_id())
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let view = |row| invitation(row).map(|invitation| InvitationView::of(invitation, now));
        let views = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn invitation(
        &self,
        scope: &SiteScope,
        id: InvitationId,
        now: Timestamp,
    ) -> Result<Option<InvitationView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(select!("where i.id = $1"))
            .bind(id.as_uuid())
            .fetch_optional(tx.connection())
            .await
            .store()?;
        let found = row.as_ref().map(invitation).transpose()?;
        Ok(found.map(|found| InvitationView::of(found, now)))
    }
}
