//! The storefront's queries.

use std::sync::Arc;

use async_trait::async_trait;
use posx_kernel::{SiteScope, StoreError, Timestamp};
use posx_tenancy::Site;
use serde::Deserialize;
use serde_json::json;

use super::{Rows, Told, ToolRefusal, arguments, spec};
use crate::{ToolCall, ToolSpec};

/// What everyone may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicQuery {
    /// What the site says of itself.
    Site,
    /// What is on sale now: names, texts, prices, whether some is left.
    Tiers,
}

/// Reads what a site shows to everyone. Whoever holds it reaches nothing else.
#[async_trait]
pub trait PublicReads: Send + Sync {
    async fn read(
        &self,
        scope: &SiteScope,
        site: &Site,
        query: PublicQuery,
        now: Timestamp,
    ) -> Result<Rows, StoreError>;
}

pub(crate) struct PublicTools {
    pub reads: Arc<dyn PublicReads>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl PublicTools {
    pub fn specs() -> Vec<ToolSpec> {
        vec![
            spec(
                "site",
                "What the shop says of itself: name, currency, time zone.",
                &json!({}),
            ),
            spec(
                "tiers",
                "What is on sale now: names, descriptions, prices, whether some is left.",
                &json!({}),
            ),
        ]
    }

    pub async fn run(
        &self,
        scope: &SiteScope,
        site: &Site,
        call: &ToolCall,
        now: Timestamp,
    ) -> Result<Told, ToolRefusal> {
        let query = match call.name.as_str() {
            "site" => PublicQuery::Site,
            "tiers" => PublicQuery::Tiers,
            _ => return Err(ToolRefusal::Unknown),
        };
        let Nothing {} = arguments(call)?;
        let found = self.reads.read(scope, site, query, now).await;
        found.map(Told::of).map_err(|error| {
            tracing::warn!(error = %error, tool = %call.name, "a tool of the storefront's chat failed");
            ToolRefusal::Unavailable
        })
    }
}
