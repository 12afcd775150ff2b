//! Places of a site.

use async_trait::async_trait;
use posx_kernel::{Begin, Page, PageRequest, PlaceId, SiteScope, StoreError};
use posx_tenancy::{Place, PlaceQueries, PlaceRepository, PlaceState, PlaceView, PlacesTx};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[async_trait]
impl Begin<dyn PlacesTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn PlacesTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl PlacesTx for SiteTx {
    fn places(&mut self) -> &mut dyn PlaceRepository {
        self
    }
}

fn place(row: &PgRow) -> Result<Place, StoreError> {
    let time_zone: Option<String> = row.try_get("time_zone").store()?;
    let time_zone = time_zone.map(|name| name.parse()).transpose();
    let state: String = row.try_get("state").store()?;
    Ok(Place {
        id: PlaceId::from_uuid(row.try_get("id").store()?),
        code: row.try_get("code").store()?,
        name: row.try_get("name").store()?,
        time_zone: time_zone.map_err(|_| StoreError::broken("a place's time zone"))?,
        state: PlaceState::from_name(&state).ok_or_else(|| StoreError::broken("a place's state"))?,
        version: row.try_get("version").store()?,
        created_at: row.try_get("created_at").store()?,
    })
}

fn view(row: &PgRow) -> Result<PlaceView, StoreError> {
    let place = place(row)?;
    Ok(PlaceView {
        id: place.id,
        code: place.code,
        name: place.name,
        time_zone: place.time_zone.map(|zone| zone.name().to_owned()),
        state: place.state,
        version: place.version,
        created_at: place.created_at,
    })
}

#[async_trait]
impl PlaceRepository for SiteTx {
    async fn find(&mut self, id: PlaceId) -> Result<Option<Place>, StoreError> {
        let row = sqlx::query("select * from places where id = $1")
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(place).transpose()
    }

    async fn insert(&mut self, place: &Place) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into places (id, code, name, time_zone, state, version, created_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict on constraint places_code_key do nothing",
        )
        .bind(place.id.as_uuid())
        .bind(&place.code)
        .bind(&place.name)
        .bind(place.zone_name())
        .bind(place.state.as_str())
        .bind(place.version)
        .bind(place.created_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn save(&mut self, place: &Place, seen: i32) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update places set name = $2, time_zone = $3, state = $4, version = $5 where id = $1 and version = $6",
        )
        .bind(place.id.as_uuid())
        .bind(&place.name)
        .bind(place.zone_name())
        .bind(place.state.as_str())
        .bind(place.version)
        .bind(seen)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }
}

#[async_trait]
impl PlaceQueries for Database {
    async fn places(
        &self,
        scope: &SiteScope,
        state: Option<PlaceState>,
        page: PageRequest,
    ) -> Result<Page<PlaceView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select * from places where ($1::text is null or state = $1) and ($2::uuid is null or id < $2)
             order by id desc limit $3",
        )
        .bind(state.map(PlaceState::as_str))
        .bind(page.after_id())
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let views = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn place(&self, scope: &SiteScope, id: PlaceId) -> Result<Option<PlaceView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query("select * from places where id = $1")
            .bind(id.as_uuid())
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.as_ref().map(view).transpose()
    }
}
