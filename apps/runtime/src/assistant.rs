//! The wiring of the gateway to language models.

use std::sync::Arc;

use posx_assistant::{Gateway, GatewayParts, LanguageModel, Limits, Models, PriceBook, Quota, SetupQueries};
use posx_kernel::{Clock, Ids, Randomness, SecretKeeper};
use posx_llm::{HttpModels, Patience};
use posx_postgres::Database;

use crate::{AssistantSettings, StartError};

/// What the settings say of models.
pub(crate) struct Book {
    pub(crate) prices: Arc<PriceBook>,
    pub(crate) limits: Limits,
}

/// The settings were checked when they were loaded.
pub(crate) fn book(settings: &AssistantSettings) -> Result<Book, StartError> {
    Ok(Book {
        prices: Arc::new(settings.price_book().map_err(StartError::Assistant)?),
        limits: settings.default_limits().map_err(StartError::Assistant)?,
    })
}

pub(crate) fn language_model() -> Result<Arc<dyn LanguageModel>, StartError> {
    let models = HttpModels::new(Patience::default()).map_err(|error| StartError::Provider {
        kind: "language model",
        source: Box::new(error),
    })?;
    Ok(Arc::new(models))
}

/// What everything around a call comes through.
pub(crate) struct Around {
    pub(crate) secrets: Arc<dyn SecretKeeper>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) randomness: Arc<dyn Randomness>,
}

pub(crate) fn wire(
    settings: &AssistantSettings,
    database: &Arc<Database>,
    (model, quota): (Arc<dyn LanguageModel>, Arc<dyn Quota>),
    prices: Arc<PriceBook>,
    around: Around,
) -> (Gateway, Models) {
    let providers = Arc::new(settings.model_providers());
    let models = Models {
        db: database.clone(),
        secrets: around.secrets.clone(),
        providers: providers.clone(),
        prices: prices.clone(),
        clock: around.clock.clone(),
    };
    let setups: Arc<dyn SetupQueries> = database.clone();
    let gateway = Gateway::new(GatewayParts {
        model,
        quota,
        prices,
        setups,
        providers,
        secrets: around.secrets,
        clock: around.clock,
        ids: around.ids,
        randomness: around.randomness,
    });
    (gateway, models)
}
