//! The port of reconciliation: every line of a site's balance in a time, in the books' words.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use posx_ledger::reconcile::{AskLines, Line, LinesError, Movement, ProviderLines};
use serde::Deserialize;

use crate::accounts::StripeAccounts;
use crate::client::{Form, Listed, Metadata, Page, StripeClient};
use crate::error::StripeError;
use crate::gateway::SITE;
use crate::payments::Window;

const PATH: &str = "/balance_transactions";

/// 200,000 lines: more is no answer.
const PAGES_MAX: usize = 2_000;
/// Of one page. Reading does no harm, so whatever may heal is asked again; a rate limit the client waits for by itself.
const TRIES_MAX: u32 = 4;

/// The balances of the sites' accounts. Where sites share one, a line is the site's that its object names, and what names none (a
/// payout, a standing fee) is nobody's.
#[derive(Debug, Clone)]
pub struct StripeLines {
    accounts: StripeAccounts,
}

/// A balance transaction with the object that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Transaction {
    id: String,
    amount: i64,
    fee: i64,
    currency: String,
    reporting_category: String,
    source: Option<Source>,
    #[serde(with = "chrono::serde::ts_seconds")]
    created: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Source {
    Object(Object),
    /// What is gone, or not to be expanded.
    Id(String),
}

/// A charge, a refund, a dispute, a transfer or its reversal, ….
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Object {
    id: String,
    /// Of a charge.
    #[serde(default)]
    payment_intent: Option<String>,
    /// Of a reversal.
    #[serde(default)]
    transfer: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

/// An object of which only that is read that says whose it is.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    metadata: Metadata,
}

impl Listed for Transaction {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeLines {
    pub const fn new(accounts: StripeAccounts) -> Self {
        Self { accounts }
    }
}

#[async_trait]
impl ProviderLines for StripeLines {
    async fn lines(&self, ask: &AskLines<'_>) -> Result<Vec<Line>, LinesError> {
        let read = async {
            let client = self.accounts.of(ask.site).await?;
            let shared = self.accounts.is_shared(ask.site, &client);
            // Stripe counts in whole seconds, and both ends of a window belong to it.
            let created = Window {
                from: ask.from,
                to: Some(ask.until - TimeDelta::seconds(1)),
            };
            let (site, mut lines) = (ask.site.to_string(), Vec::new());
            for transaction in all(&client, created).await? {
                let named = transaction.site(&client).await?;
                if named.map_or(!shared, |named| named == site) {
                    lines.extend(transaction.lines());
                }
            }
            Ok(lines)
        };
        match read.await {
            Ok(lines) => Ok(lines),
            Err(StripeError::NoKey(_)) => Err(LinesError::NoAccount),
            Err(error) => {
                if error.needs_a_person() {
                    tracing::error!(call = "balance_lines", %error, "a call to Stripe needs a person");
                }
                Err(LinesError::Unavailable(Box::new(error)))
            }
        }
    }
}

/// Each once: what comes up on two pages, because the list moved while it was read, is one.
async fn all(client: &StripeClient, created: Window) -> Result<Vec<Transaction>, StripeError> {
    let filter = created.filter().with("expand[]", "data.source");
    let (mut found, mut after) = (Vec::<Transaction>::new(), None::<String>);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..PAGES_MAX {
        let page = page(client, &filter, after.as_deref()).await?;
        for transaction in page.items {
            if seen.insert(transaction.id.clone()) {
                found.push(transaction);
            }
        }
        match page.next {
            // A cursor that leads back would be read for ever.
            Some(next) if after.as_ref() == Some(&next) => return Err(StripeError::Field("has_more")),
            Some(next) => after = Some(next),
            None => return Ok(found),
        }
    }
    Err(StripeError::TooManyPages { pages_max: PAGES_MAX })
}

async fn page(
    client: &StripeClient,
    filter: &Form,
    after: Option<&str>,
) -> Result<Page<Transaction>, StripeError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let error = match client.page(PATH, filter, after).await {
            Ok(page) => return Ok(page),
            Err(error) => error.of_lookup(),
        };
        let heals = matches!(error, StripeError::Server { .. } | StripeError::NoAnswer(_));
        if !heals || tries == TRIES_MAX {
            return Err(error);
        }
        tokio::time::sleep(client.pause(tries)).await;
    }
}

impl Transaction {
    /// By Stripe's grouping, which tells failed refunds and disputes apart where the type says `adjustment`:
    /// <https://docs.stripe.com/reports/reporting-categories>.
    fn lines(&self) -> Vec<Line> {
        let source = self.source.as_ref().map_or(self.id.as_str(), Source::id);
        let (movement, reference) = match self.reporting_category.as_str() {
            "charge" => (Movement::Payment, self.intent().unwrap_or(source)),
            "refund" => (Movement::Refund, source),
            "refund_failure" => (Movement::RefundFailure, source),
            "dispute" | "dispute_reversal" => (Movement::Dispute, source),
            "transfer" => (Movement::Transfer, source),
            "transfer_reversal" => (Movement::TransferReversal, self.transfer().unwrap_or(source)),
            "payout" | "payout_reversal" => (Movement::PaidOut, source),
            "fee" | "network_cost" | "tax" => (Movement::Fee, source),
            _ => (Movement::Other, source),
        };
        let (unit, moved) = (self.currency.to_ascii_uppercase(), (self.amount, self.fee));
        Line::of_balance(&self.id, movement, reference, self.created, &unit, moved)
    }

    /// Whose it is, as its object says, or else the payment or transfer behind it: what was made by hand says nothing itself.
    async fn site(&self, client: &StripeClient) -> Result<Option<String>, StripeError> {
        let Some(Source::Object(object)) = &self.source else {
            return Ok(None);
        };
        let of = |metadata: &Metadata| metadata.get(SITE).map(str::to_owned);
        if let Some(site) = of(&object.metadata) {
            return Ok(Some(site));
        }
        // A charge has its intent's metadata.
        let behind = match (&object.transfer, &object.payment_intent) {
            (Some(transfer), _) => Some(("/transfers", transfer)),
            (None, Some(intent)) if self.reporting_category != "charge" => Some(("/payment_intents", intent)),
            _ => None,
        };
        let Some((path, id)) = behind else { return Ok(None) };
        let found = client.find::<Named>(path, id).await?;
        Ok(found.and_then(|found| of(&found.metadata)))
    }

    fn intent(&self) -> Option<&str> {
        match self.source.as_ref()? {
            Source::Object(charge) => charge.payment_intent.as_deref(),
            Source::Id(_) => None,
        }
    }

    /// A failed or cancelled transfer stands for itself.
    fn transfer(&self) -> Option<&str> {
        match self.source.as_ref()? {
            Source::Object(reversal) => reversal.transfer.as_deref(),
            Source::Id(_) => None,
        }
    }
}

impl Source {
    fn id(&self) -> &str {
        match self {
            Self::Object(object) => &object.id,
            Self::Id(id) => id,
        }
    }
}
