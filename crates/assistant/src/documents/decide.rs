//! A person edits, accepts or rejects a draft. What it becomes, the ordinary use case makes by its own rules.

use posx_kernel::{
    DocumentId, IdempotentCall, IdentityId, Made, SiteScope, StoreError, made_before_in_tx, remember_in_tx,
    retry_busy,
};
use posx_orders::{Order, OrdersTx, PlaceOrder, WishedLine};
use posx_tenancy::{NewCustomer, Site};
use serde_json::{Value, json};

use super::{
    CustomerDraft, Document, DocumentError, Documents, DocumentsTx, Draft, DraftContent, DraftEdit,
    DraftState, Field, OrderDraft, Outcome, Saved, business_hash, check, check_in_tx, happened,
};

/// How a person accepts.
#[derive(Debug, Clone)]
pub struct AcceptDraft {
    /// The version that they saw.
    pub seen: i32,
    /// Codes of the warnings that they saw.
    pub acknowledged: Vec<String>,
    /// Of an order whose customer has bound no wallet of the order's chain. Never read from a document.
    pub wallet_address: Option<String>,
}

impl Documents {
    /// Everything is checked anew.
    pub async fn edit(
        &self,
        scope: &SiteScope,
        site: &Site,
        id: DocumentId,
        seen: i32,
        edit: DraftEdit,
    ) -> Result<(), DocumentError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let (document, mut draft) = load_in_tx(tx.as_mut(), id).await?;
        if draft.version != seen {
            return Err(DocumentError::Stale);
        }
        let content = edit.applied(draft.content()?)?;
        let findings = check_in_tx(tx.as_mut(), site, &document, &content).await?;
        draft.edit(content, findings, now)?;
        save_in_tx(tx.as_mut(), &draft, seen).await?;
        tell_in_tx(tx.as_mut(), "document_draft.edited", &document, &draft, json!({})).await?;
        tx.commit().await?;
        Ok(())
    }

    pub async fn reject(
        &self,
        scope: &SiteScope,
        who: IdentityId,
        id: DocumentId,
        seen: i32,
        reason: &str,
    ) -> Result<(), DocumentError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let (document, mut draft) = load_in_tx(tx.as_mut(), id).await?;
        if draft.version != seen {
            return Err(DocumentError::Stale);
        }
        draft.reject(who, reason, now)?;
        save_in_tx(tx.as_mut(), &draft, seen).await?;
        tell_in_tx(
            tx.as_mut(),
            "document_draft.rejected",
            &document,
            &draft,
            json!({}),
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Makes the order or the customer, with the decision, in one commit: there is no draft that is half accepted, and none that
    /// becomes two. The draft has no error, and whoever accepts names each of its warnings.
    pub async fn accept(
        &self,
        scope: &SiteScope,
        site: &Site,
        who: IdentityId,
        id: DocumentId,
        wish: &AcceptDraft,
        call: &IdempotentCall,
    ) -> Result<Made<DocumentId>, DocumentError> {
        retry_busy(|| self.accept_once(scope, site, who, id, wish, call)).await
    }

    async fn accept_once(
        &self,
        scope: &SiteScope,
        site: &Site,
        who: IdentityId,
        id: DocumentId,
        wish: &AcceptDraft,
        call: &IdempotentCall,
    ) -> Result<Made<DocumentId>, DocumentError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, DocumentError>(tx.as_mut(), Some(call)).await? {
            return Ok(made);
        }
        let (document, mut draft) = load_in_tx(tx.as_mut(), id).await?;
        if draft.version != wish.seen {
            return Err(DocumentError::Stale);
        }
        if draft.state == DraftState::Proposed {
            // Anew, as everything stands now.
            draft.findings = check_in_tx(tx.as_mut(), site, &document, draft.content()?).await?;
        }
        let (order, outcome, payload) = match draft.acceptable(&wish.acknowledged)? {
            DraftContent::Customer(customer) => {
                let record = record(customer);
                let party = self.customers.register_in_tx(tx.as_mut(), site, record).await?;
                (None, Outcome::Customer(party), json!({ "customer": party }))
            }
            DraftContent::Order(order) => {
                let order = self.place_in_tx(tx.orders_tx(), site, order, wish).await?;
                let id = order.id;
                (Some(order), Outcome::Order(id), json!({ "order": id }))
            }
        };
        draft.accept(who, outcome, now);
        save_in_tx(tx.as_mut(), &draft, wish.seen).await?;
        tell_in_tx(tx.as_mut(), "document_draft.accepted", &document, &draft, payload).await?;
        remember_in_tx(tx.as_mut(), Some(call), &id).await?;
        if let Some(order) = order {
            self.orders.reserve_in_tx(tx.orders_tx(), &order).await?;
        }
        tx.commit().await?;
        Ok(Made::now(id))
    }

    /// The site's own prices come to what the draft says, and the tokens go where the buyer wants them, or there is no order. What
    /// it reserves is reserved later.
    async fn place_in_tx(
        &self,
        tx: &mut dyn OrdersTx,
        site: &Site,
        draft: &OrderDraft,
        wish: &AcceptDraft,
    ) -> Result<Order, DocumentError> {
        let parsed = check::parse_order(draft).zip(draft.buyer);
        let (parsed, buyer) = parsed.ok_or_else(|| StoreError::broken("an accepted draft does not parse"))?;
        let line = |line: &check::ParsedLine| {
            Some(WishedLine {
                tier: line.tier?,
                quantity: line.quantity,
            })
        };
        let lines: Option<Vec<_>> = parsed.lines.iter().map(line).collect();
        let lines = lines.ok_or_else(|| StoreError::broken("an accepted line has no offer"))?;
        let order = PlaceOrder {
            site,
            buyer,
            lines,
            wallet_address: wish.wallet_address.clone(),
            referrer: None,
            promo: None,
            call: None,
        };
        let order = self.orders.place_in_tx(tx, &order).await?;
        if order.total != parsed.total {
            let (ours, drafted) = (order.total, parsed.total);
            return Err(DocumentError::TotalDiffers { ours, drafted });
        }
        if wish.wallet_address.is_some() {
            let bound = tx.wallets().of_party(buyer).await?;
            if bound.iter().any(|wallet| wallet.receives_on(order.chain)) {
                return Err(DocumentError::WalletBound);
            }
        }
        Ok(order)
    }
}

fn record(customer: &CustomerDraft) -> NewCustomer {
    let text = |field: &Option<Field>| field.as_ref().map(|field| field.value.clone());
    NewCustomer {
        name: text(&customer.name).unwrap_or_default(),
        tax_number: text(&customer.tax_number),
        email: text(&customer.email),
        phone: text(&customer.phone),
        country: text(&customer.country),
        address: text(&customer.address),
    }
}

async fn load_in_tx(tx: &mut dyn DocumentsTx, id: DocumentId) -> Result<(Document, Draft), DocumentError> {
    let document = tx
        .documents()
        .for_update(id)
        .await?
        .ok_or(DocumentError::NotFound)?;
    let draft = tx.documents().draft_of(id).await?.ok_or(DocumentError::NoDraft)?;
    Ok((document, draft))
}

async fn save_in_tx(tx: &mut dyn DocumentsTx, draft: &Draft, seen: i32) -> Result<(), DocumentError> {
    let business = draft.content.as_ref().and_then(business_hash);
    match tx.documents().save_draft(draft, business, seen).await? {
        Saved::Yes => Ok(()),
        Saved::Stale => Err(DocumentError::Stale),
        Saved::AcceptedBefore => Err(DocumentError::AcceptedBefore),
    }
}

async fn tell_in_tx(
    tx: &mut dyn DocumentsTx,
    kind: &'static str,
    document: &Document,
    draft: &Draft,
    mut payload: Value,
) -> Result<(), StoreError> {
    payload["draft"] = json!(draft.id);
    payload["version"] = json!(draft.version);
    tx.outbox()
        .append(happened(kind, document, payload, draft.updated_at))
        .await
}
