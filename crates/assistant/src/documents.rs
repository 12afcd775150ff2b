//! Documents that a site was given: uploaded, read, made a draft, and decided by a person.
//!
//! * What arrives is what was announced, in size and type, or it is deleted.
//! * A model that reads a document has no tool, and what it answers is only taken apart: a document can cause a draft and
//!   nothing else.
//! * Each value of a draft stands in the document, or is a person's own. A draft with an error is not accepted.
//! * The same file, and the same customer, number and total, is accepted once. What looks like it is said.

mod answer;
mod business;
mod check;
mod decide;
mod document;
mod draft;
mod edit;
mod error;
mod extract;
mod forget;
mod ports;
mod read;
mod storage;
mod upload;
mod view;

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use posx_kernel::{Begin, Clock, Event, Ids, Timestamp};
use posx_orders::Orders;
use posx_tenancy::{Customers, Site};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

pub use business::BusinessHash;
pub use check::{Finding, FindingCode, FindingSeverity, KnownBuyer, KnownFacts};
pub use decide::AcceptDraft;
pub use document::{
    DOCUMENT_BYTES_MAX, Document, DocumentState, DraftKind, MediaType, NewDocument, Unusable,
};
pub use draft::{
    CustomerDraft, Decision, Draft, DraftContent, DraftState, Evidence, Field, OrderDraft, OrderDraftLine,
    Outcome,
};
pub use edit::{CustomerEdit, DraftEdit, LineEdit, OrderEdit};
pub use error::DocumentError;
pub use extract::{PAGES_MAX, PdfError, PdfReader, TEXT_BYTES_MAX};
pub use forget::Forgotten;
pub use ports::{DocumentFilter, DocumentQueries, DocumentRepository, DocumentsTx, FactsWish, Saved};
pub use read::{ReadError, ReadOutcome};
pub use storage::{Announced, FilePlace, FileStorage, StorageError, UploadTarget};
pub use upload::Announcement;
pub use view::{DocumentView, DraftView};

use self::business::business_hash;
use crate::Gateway;

/// Files that one process holds in memory at once.
const FILES_IN_MEMORY_MAX: usize = 4;

/// Use cases around documents.
#[derive(Clone)]
pub struct Documents {
    db: Arc<dyn Begin<dyn DocumentsTx>>,
    queries: Arc<dyn DocumentQueries>,
    storage: Arc<dyn FileStorage>,
    pdf: Arc<dyn PdfReader>,
    gateway: Gateway,
    orders: Orders,
    customers: Customers,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    in_memory: Arc<Semaphore>,
}

/// What documents stand on.
#[derive(Clone)]
pub struct DocumentParts {
    pub db: Arc<dyn Begin<dyn DocumentsTx>>,
    pub queries: Arc<dyn DocumentQueries>,
    pub storage: Arc<dyn FileStorage>,
    pub pdf: Arc<dyn PdfReader>,
    pub gateway: Gateway,
    pub orders: Orders,
    pub customers: Customers,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for DocumentParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DocumentParts").finish_non_exhaustive()
    }
}

impl Documents {
    pub fn new(parts: DocumentParts) -> Self {
        Self {
            db: parts.db,
            queries: parts.queries,
            storage: parts.storage,
            pdf: parts.pdf,
            gateway: parts.gateway,
            orders: parts.orders,
            customers: parts.customers,
            clock: parts.clock,
            ids: parts.ids,
            in_memory: Arc::new(Semaphore::new(FILES_IN_MEMORY_MAX)),
        }
    }

    fn id(&self, now: Timestamp) -> Uuid {
        self.ids.uuid(now)
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// Ids and codes only: what stands in a document is personal.
fn happened(kind: &'static str, document: &Document, payload: Value, at: Timestamp) -> Event {
    let mut payload = payload;
    payload["kind"] = json!(document.kind);
    Event {
        kind,
        subject: document.id.as_uuid(),
        payload,
        at,
    }
}

/// What the checks need to know of the rest of the site, and what they say.
async fn check_in_tx(
    tx: &mut dyn DocumentsTx,
    site: &Site,
    document: &Document,
    content: &DraftContent,
) -> Result<Vec<Finding>, posx_kernel::StoreError> {
    let (buyer, tiers, tax_number, name) = match content {
        DraftContent::Order(order) => {
            let tiers = order.lines.iter().filter_map(|line| line.tier).collect();
            (order.buyer, tiers, None, None)
        }
        DraftContent::Customer(customer) => {
            let tax_number = customer
                .tax_number
                .as_ref()
                .map(|field| check::tax_number_text(&field.value));
            let name = customer.name.as_ref().map(|field| check::plain(&field.value));
            (None, Vec::new(), tax_number, name)
        }
    };
    let wish = FactsWish {
        document: document.id,
        kind: document.kind,
        sha256: document.sha256.unwrap_or_default(),
        business_hash: business_hash(content),
        buyer,
        tiers,
        tax_number,
        name,
    };
    let known = tx.documents().facts(&wish).await?;
    let against = check::Against {
        site_name: &site.name,
        site_currency: site.currency,
        pages: document.pages.as_deref(),
        known: &known,
    };
    Ok(check::check(content, &against))
}
