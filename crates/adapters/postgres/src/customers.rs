//! Customers: parties with a record.

use async_trait::async_trait;
use posx_kernel::{Begin, Page, PageRequest, PartyId, SiteScope, StoreError};
use posx_tenancy::{Customer, CustomerQueries, CustomerRepository, CustomerView, CustomersTx, ReferralCode};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[async_trait]
impl Begin<dyn CustomersTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn CustomersTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl CustomersTx for SiteTx {
    fn customers(&mut self) -> &mut dyn CustomerRepository {
        self
    }
}

#[async_trait]
impl CustomerRepository for SiteTx {
    async fn insert(&mut self, customer: &Customer, code: &ReferralCode) -> Result<bool, StoreError> {
        let record = &customer.record;
        // A customer with this tax number that another transaction has not committed yet is the constraint's.
        let inserted = sqlx::query(
            "with taken as (select 1 from customers c where c.tax_number = $5),
               party as (
                 insert into parties (id, referral_code, created_at) select $1, $2, $3 where not exists (select from taken)
                 returning id)
             insert into customers (party_id, name, tax_number, email, phone, country, address, created_at)
             select id, $4, $5, $6, $7, $8, $9, $3 from party",
        )
        .bind(customer.party.as_uuid())
        .bind(code.as_str())
        .bind(customer.created_at)
        .bind(&record.name)
        .bind(&record.tax_number)
        .bind(&record.email)
        .bind(&record.phone)
        .bind(&record.country)
        .bind(&record.address)
        .execute(self.connection())
        .await
        .store();
        match inserted {
            Ok(done) => Ok(done.rows_affected() == 1),
            Err(error) if error.constraint_name() == Some("customers_tax_number_key") => Ok(false),
            Err(error) => Err(error),
        }
    }
}

const COLUMNS: &str = "select c.party_id, c.name, c.tax_number, c.email, c.phone, c.country, c.address, c.created_at
     from customers c join parties p on p.site_id = c.site_id and p.id = c.party_id where p.erased_at is null";

fn view(row: &PgRow) -> Result<CustomerView, StoreError> {
    Ok(CustomerView {
        id: PartyId::from_uuid(row.try_get("party_id").store()?),
        name: row.try_get("name").store()?,
        tax_number: row.try_get("tax_number").store()?,
        email: row.try_get("email").store()?,
        phone: row.try_get("phone").store()?,
        country: row.try_get("country").store()?,
        address: row.try_get("address").store()?,
        created_at: row.try_get("created_at").store()?,
    })
}

#[async_trait]
impl CustomerQueries for Database {
    async fn list(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<CustomerView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql =
            format!("{COLUMNS} and ($1::uuid is null or c.party_id < $1) order by c.party_id desc limit $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(page.after_id())
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(tx.connection())
            .await
            .store()?;
        let rows = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(rows, page, |customer| customer.id.as_uuid()))
    }

    async fn get(&self, scope: &SiteScope, id: PartyId) -> Result<Option<CustomerView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} and c.party_id = $1")))
            .bind(id.as_uuid())
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.as_ref().map(view).transpose()
    }
}
