//! The port of reconciliation to the payment provider, over HTTP.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::SiteId;
use posx_ledger::reconcile::{AskLines, Line, LinesError, Movement, ProviderLines};
use serde::Deserialize;

use super::client::SITE;
use super::wire::List;
use crate::transport::{ClientError, Transport, TransportError};

const PAGE: &str = "100";
/// 100,000 lines: more is no answer.
const PAGES_MAX: u32 = 1_000;

/// Reads a sandbox payment provider's balance on this machine as Stripe's. The sandbox has one account for all sites: a line is the
/// site's that its intent or transfer names, and what names none is nobody's.
#[derive(Debug, Clone)]
pub struct SandboxLines {
    transport: Transport,
}

#[derive(Deserialize)]
struct WireLine {
    id: String,
    amount: i64,
    fee: i64,
    currency: String,
    reporting_category: String,
    source: WireSource,
    #[serde(with = "chrono::serde::ts_seconds")]
    created: DateTime<Utc>,
}

#[derive(Deserialize)]
struct WireSource {
    id: String,
    payment_intent: Option<String>,
    transfer: Option<String>,
    metadata: Option<HashMap<String, String>>,
}

impl SandboxLines {
    /// `base_url` is what `World::stripe_url` says; an address that is not of this machine is refused.
    pub fn new(base_url: &str, secret_key: &str) -> Result<Self, ClientError> {
        let transport = Transport::new(base_url, "authorization", &format!("Bearer {secret_key}"))?;
        Ok(Self { transport })
    }

    async fn page(&self, ask: &AskLines<'_>, after: Option<&str>) -> Result<List<WireLine>, TransportError> {
        let last = (ask.until - TimeDelta::seconds(1)).timestamp();
        let mut query = vec![
            ("created[gte]", ask.from.timestamp().to_string()),
            ("created[lte]", last.to_string()),
            ("expand[]", "data.source".to_owned()),
            ("limit", PAGE.to_owned()),
        ];
        query.extend(after.map(|id| ("starting_after", id.to_owned())));
        let get = self.transport.get("/v1/balance_transactions").query(&query);
        let answer = self.transport.send(get).await?;
        if answer.status.is_success() {
            answer.json()
        } else {
            Err(answer.unsettled())
        }
    }
}

#[async_trait]
impl ProviderLines for SandboxLines {
    async fn lines(&self, ask: &AskLines<'_>) -> Result<Vec<Line>, LinesError> {
        let unavailable = |error: TransportError| LinesError::Unavailable(Box::new(error));
        let (mut all, mut after) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let page = self.page(ask, after.as_deref()).await.map_err(unavailable)?;
            after = page.data.last().map(|line| line.id.clone());
            let ours = page.data.iter().filter(|line| line.is_of(ask.site));
            all.extend(ours.flat_map(WireLine::lines));
            if !page.has_more {
                return Ok(all);
            }
        }
        Err(unavailable(TransportError::Field("has_more")))
    }
}

impl WireLine {
    fn is_of(&self, site: SiteId) -> bool {
        let metadata = self.source.metadata.as_ref();
        metadata
            .and_then(|metadata| metadata.get(SITE))
            .is_some_and(|named| *named == site.to_string())
    }

    fn lines(&self) -> Vec<Line> {
        let source = &self.source;
        let intent = source.payment_intent.as_deref().unwrap_or(&source.id);
        let transfer = source.transfer.as_deref().unwrap_or(&source.id);
        let (movement, reference) = match self.reporting_category.as_str() {
            "charge" => (Movement::Payment, intent),
            "refund" => (Movement::Refund, source.id.as_str()),
            "refund_failure" => (Movement::RefundFailure, source.id.as_str()),
            "dispute" | "dispute_reversal" => (Movement::Dispute, source.id.as_str()),
            "transfer" => (Movement::Transfer, source.id.as_str()),
            "transfer_reversal" => (Movement::TransferReversal, transfer),
            "payout" => (Movement::PaidOut, source.id.as_str()),
            "fee" => (Movement::Fee, source.id.as_str()),
            _ => (Movement::Other, source.id.as_str()),
        };
        let (unit, moved) = (self.currency.to_ascii_uppercase(), (self.amount, self.fee));
        Line::of_balance(&self.id, movement, reference, self.created, &unit, moved)
    }
}
