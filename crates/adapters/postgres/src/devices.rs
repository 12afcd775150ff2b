//! Devices and the codes that pair them.

use async_trait::async_trait;
use posx_kernel::{
    Begin, DeviceId, IdentityId, Outbox, Page, PageRequest, PlaceId, SiteScope, StoreError, Timestamp,
};
use posx_tenancy::{
    CredentialHash, Device, DeviceQueries, DeviceRepository, DeviceState, DevicesTx, Pairing, Shift,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::api_keys::{count_of, hash_of};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

const DEVICE: &str = "id, name, place_id, state, public_part, hash, cashier_id, cashier_until, app_version, last_seen_at, \
                      paired_at, created_at";

#[async_trait]
impl Begin<dyn DevicesTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn DevicesTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl DevicesTx for SiteTx {
    fn devices(&mut self) -> &mut dyn DeviceRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

fn state_of(row: &PgRow) -> Result<DeviceState, StoreError> {
    let state: String = row.try_get("state").store()?;
    let cashier: Option<_> = row.try_get("cashier_id").store()?;
    let until: Option<Timestamp> = row.try_get("cashier_until").store()?;
    let shift = cashier.zip(until).map(|(cashier, until)| Shift {
        cashier: IdentityId::from_uuid(cashier),
        until,
    });
    match state.as_str() {
        "paired" => Ok(DeviceState::Paired),
        "active" => Ok(DeviceState::Active { cashier: shift }),
        "suspended" => Ok(DeviceState::Suspended),
        "revoked" => Ok(DeviceState::Revoked),
        _ => Err(StoreError::broken("a device's state")),
    }
}

const fn shift_of(state: DeviceState) -> Option<Shift> {
    match state {
        DeviceState::Active { cashier } => cashier,
        DeviceState::Paired | DeviceState::Suspended | DeviceState::Revoked => None,
    }
}

fn device_of(row: &PgRow) -> Result<Device, StoreError> {
    Ok(Device {
        id: DeviceId::from_uuid(row.try_get("id").store()?),
        name: row.try_get("name").store()?,
        place: PlaceId::from_uuid(row.try_get("place_id").store()?),
        state: state_of(row)?,
        public_part: row.try_get("public_part").store()?,
        hash: hash_of(row)?,
        app_version: row.try_get("app_version").store()?,
        last_seen_at: row.try_get("last_seen_at").store()?,
        paired_at: row.try_get("paired_at").store()?,
        created_at: row.try_get("created_at").store()?,
    })
}

fn pairing_of(row: &PgRow, code_hash: &CredentialHash) -> Result<Pairing, StoreError> {
    let started_by: Option<_> = row.try_get("started_by").store()?;
    Ok(Pairing {
        code_hash: code_hash.clone(),
        device: DeviceId::from_uuid(row.try_get("device_id").store()?),
        name: row.try_get("name").store()?,
        place: PlaceId::from_uuid(row.try_get("place_id").store()?),
        started_by: started_by.map(IdentityId::from_uuid),
        created_at: row.try_get("created_at").store()?,
        expires_at: row.try_get("expires_at").store()?,
    })
}

#[async_trait]
impl DeviceRepository for SiteTx {
    async fn place_is_open(&mut self, place: PlaceId) -> Result<bool, StoreError> {
        let found = sqlx::query("select from places where id = $1 and state = 'active'")
            .bind(place.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        Ok(found.is_some())
    }

    async fn count(&mut self) -> Result<u32, StoreError> {
        self.one_at_a_time("devices").await?;
        let row = sqlx::query("select count(*) from devices where state <> 'revoked'")
            .fetch_one(self.connection())
            .await
            .store()?;
        count_of(&row)
    }

    async fn count_pairings(&mut self, now: Timestamp) -> Result<u32, StoreError> {
        self.one_at_a_time("devices").await?;
        let row =
            sqlx::query("select count(*) from device_pairings where claimed_at is null and expires_at > $1")
                .bind(now)
                .fetch_one(self.connection())
                .await
                .store()?;
        count_of(&row)
    }

    async fn insert_pairing(&mut self, pairing: &Pairing) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into device_pairings (code_hash, device_id, name, place_id, started_by, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        )
        .bind(pairing.code_hash.as_bytes().as_slice())
        .bind(pairing.device.as_uuid())
        .bind(&pairing.name)
        .bind(pairing.place.as_uuid())
        .bind(pairing.started_by.map(IdentityId::as_uuid))
        .bind(pairing.created_at)
        .bind(pairing.expires_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn close_pairings(&mut self, device: DeviceId, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "update device_pairings set expires_at = $2
             where device_id = $1 and claimed_at is null and expires_at > $2",
        )
        .bind(device.as_uuid())
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn claim(&mut self, code: &CredentialHash, now: Timestamp) -> Result<Option<Pairing>, StoreError> {
        let row = sqlx::query(
            "update device_pairings set claimed_at = $2
             where code_hash = $1 and claimed_at is null and expires_at > $2
             returning device_id, name, place_id, started_by, created_at, expires_at",
        )
        .bind(code.as_bytes().as_slice())
        .bind(now)
        .fetch_optional(self.connection())
        .await
        .store()?;
        row.map(|row| pairing_of(&row, code)).transpose()
    }

    async fn insert(&mut self, device: &Device) -> Result<(), StoreError> {
        sqlx::query(
            "insert into devices (id, name, place_id, state, public_part, hash, paired_at, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(device.id.as_uuid())
        .bind(&device.name)
        .bind(device.place.as_uuid())
        .bind(device.state.as_str())
        .bind(&device.public_part)
        .bind(device.hash.as_bytes().as_slice())
        .bind(device.paired_at)
        .bind(device.created_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn for_update(&mut self, id: DeviceId) -> Result<Option<Device>, StoreError> {
        let sql = format!("select {DEVICE} from devices where id = $1 for update");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(device_of).transpose()
    }

    async fn save(&mut self, device: &Device) -> Result<(), StoreError> {
        let shift = shift_of(device.state);
        sqlx::query(
            "update devices set state = $2, public_part = $3, hash = $4, cashier_id = $5, cashier_until = $6,
               app_version = $7, last_seen_at = $8, paired_at = $9
             where id = $1",
        )
        .bind(device.id.as_uuid())
        .bind(device.state.as_str())
        .bind(&device.public_part)
        .bind(device.hash.as_bytes().as_slice())
        .bind(shift.map(|shift| shift.cashier.as_uuid()))
        .bind(shift.map(|shift| shift.until))
        .bind(&device.app_version)
        .bind(device.last_seen_at)
        .bind(device.paired_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }
}

#[async_trait]
impl DeviceQueries for Database {
    async fn devices(
        &self,
        scope: &SiteScope,
        places: &[PlaceId],
        page: PageRequest,
    ) -> Result<Page<Device>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = format!(
            "select {DEVICE} from devices
             where (cardinality($1::uuid[]) = 0 or place_id = any($1)) and ($2::uuid is null or id < $2)
             order by id desc limit $3"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(places.iter().map(|place| place.as_uuid()).collect::<Vec<_>>())
            .bind(page.after_id())
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(tx.connection())
            .await
            .store()?;
        let devices = rows.iter().map(device_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(devices, page, |device| device.id.as_uuid()))
    }

    async fn device(&self, scope: &SiteScope, id: DeviceId) -> Result<Option<Device>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = format!("select {DEVICE} from devices where id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id.as_uuid())
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.as_ref().map(device_of).transpose()
    }

    async fn device_by_public_part(
        &self,
        scope: &SiteScope,
        public_part: &str,
    ) -> Result<Option<Device>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = format!("select {DEVICE} from devices where public_part = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(public_part)
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.as_ref().map(device_of).transpose()
    }
}
