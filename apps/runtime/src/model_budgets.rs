//! The wiring of budgets, and the price book's first word to the database.

use std::sync::Arc;

use posx_assistant::{BudgetQueries, Limits, ModelBudgets, Quota};
use posx_kernel::{Clock, Ids, Timestamp};
use posx_postgres::{Database, JobsDatabase, PgQuota};
use posx_redis::{LocalRefusals, QuotaMemory, RedisRefusals, Refusals};
use secrecy::ExposeSecret as _;

use crate::{RedisSettings, Settings, StartError};

pub(crate) struct Budgets {
    pub(crate) quota: Arc<dyn Quota>,
    pub(crate) kept: ModelBudgets,
    pub(crate) queries: Arc<dyn BudgetQueries>,
}

/// The database's word, with a memory of what it refused before it.
pub(crate) fn wire(
    database: &Database,
    defaults: Limits,
    redis: Option<&RedisSettings>,
    (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>),
) -> Result<Budgets, StartError> {
    let truth = Arc::new(PgQuota::new(database.clone(), defaults));
    let refusals: Arc<dyn Refusals> = match redis {
        Some(redis) => Arc::new(RedisRefusals::new(redis.url.expose_secret()).map_err(StartError::Redis)?),
        None => Arc::new(LocalRefusals::default()),
    };
    let quota: Arc<dyn Quota> = Arc::new(QuotaMemory::new(truth.clone(), refusals));
    let db = Arc::new(database.clone());
    Ok(Budgets {
        kept: ModelBudgets::new(db, quota.clone(), clock, ids),
        quota,
        queries: truth,
    })
}

/// A version of the price book that was in use stays as it was: a process whose settings say otherwise does not start.
pub(crate) async fn record_prices(
    settings: &Settings,
    database: &JobsDatabase,
    at: Timestamp,
) -> Result<(), StartError> {
    let book = settings.assistant.price_book().map_err(StartError::Assistant)?;
    if book.prices().is_empty() {
        return Ok(());
    }
    let edited = database.record_model_prices(book.prices(), at).await;
    let edited = edited.map_err(|source| StartError::Database {
        role: "posx_jobs",
        source,
    })?;
    if edited.is_empty() {
        Ok(())
    } else {
        Err(StartError::PricesEdited(edited))
    }
}
