//! A person edits, accepts or rejects a draft. What it becomes, the ordinary use case makes by its own rules.

use posx_kernel::{
    DocumentId, IdempotentCall, IdentityId, Made, Money, OrderId, Review, SiteScope, StoreError,
    StoredAnswer, made_before_in_tx, remember_in_tx,
};
use posx_orders::{OrderError, PlaceOrder, Placed, Quote, WishedLine};
use posx_tenancy::{NewCustomer, Site};
use serde::{Deserialize, Serialize};
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
    /// Of an order whose customer has bound no wallet. Never read from a document.
    pub wallet_address: Option<String>,
}

/// What is kept of an order that was placed for a draft.
#[derive(Serialize, Deserialize)]
struct PlacedOrder {
    id: OrderId,
    total: Money,
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

    /// Makes the order or the customer. The draft has no error, and whoever accepts names each of its warnings.
    pub async fn accept(
        &self,
        scope: &SiteScope,
        site: &Site,
        who: IdentityId,
        id: DocumentId,
        wish: &AcceptDraft,
        call: &IdempotentCall,
    ) -> Result<Made<DocumentId>, DocumentError> {
        let draft = self
            .queries
            .draft(scope, id)
            .await?
            .ok_or(DocumentError::NoDraft)?;
        match draft.content {
            Some(DraftContent::Customer(_)) => self.accept_customer(scope, site, who, id, wish, call).await,
            // Of one whose time is over as well: it is refused there.
            Some(DraftContent::Order(_)) | None => self.accept_order(scope, site, who, id, wish, call).await,
        }
    }

    /// Customer and decision are one commit.
    async fn accept_customer(
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
        let (document, mut draft) = self.accept_in_tx(tx.as_mut(), site, who, id, wish).await?;
        let DraftContent::Customer(customer) = draft.content()? else {
            return Err(StoreError::broken("a draft changed its kind").into());
        };
        let record = record(customer);
        let party = self.customers.register_in_tx(tx.as_mut(), site, record).await?;
        draft.became(Outcome::Customer(party), now);
        let accepted = draft.version - 1;
        save_in_tx(tx.as_mut(), &draft, accepted).await?;
        let payload = json!({ "customer": party });
        tell_in_tx(tx.as_mut(), "document_draft.accepted", &document, &draft, payload).await?;
        remember_in_tx(tx.as_mut(), Some(call), &id).await?;
        tx.commit().await?;
        Ok(Made::now(id))
    }

    /// The decision, the order, and that it is the draft's: three commits. The order is placed under a key of the draft's own, so
    /// that whoever accepts again after a crash goes on where it ended.
    async fn accept_order(
        &self,
        scope: &SiteScope,
        site: &Site,
        who: IdentityId,
        id: DocumentId,
        wish: &AcceptDraft,
        call: &IdempotentCall,
    ) -> Result<Made<DocumentId>, DocumentError> {
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, DocumentError>(tx.as_mut(), Some(call)).await? {
            return Ok(made);
        }
        // The key is claimed with the last commit, not with this one.
        drop(tx);
        let mut tx = self.db.begin(scope).await?;
        let (_, before) = load_in_tx(tx.as_mut(), id).await?;
        if before.state == DraftState::Accepting {
            drop(tx);
        } else {
            self.accept_in_tx(tx.as_mut(), site, who, id, wish).await?;
            tx.commit().await?;
        }
        let draft = self
            .queries
            .draft(scope, id)
            .await?
            .ok_or(DocumentError::NoDraft)?;
        let DraftContent::Order(order) = draft.content()? else {
            return Err(StoreError::broken("a draft changed its kind").into());
        };
        match self.place(scope, site, &draft, order, wish, call).await {
            Ok(placed) => self.placed(scope, id, placed, call).await,
            Err(error) => {
                if is_final(&error) {
                    self.give_up(scope, id).await?;
                }
                Err(error)
            }
        }
    }

    /// Checked anew as it stands now.
    async fn accept_in_tx(
        &self,
        tx: &mut dyn DocumentsTx,
        site: &Site,
        who: IdentityId,
        id: DocumentId,
        wish: &AcceptDraft,
    ) -> Result<(Document, Draft), DocumentError> {
        let now = self.clock.now();
        let (document, mut draft) = load_in_tx(tx, id).await?;
        if draft.version != wish.seen {
            return Err(DocumentError::Stale);
        }
        if draft.state == DraftState::Proposed {
            draft.findings = check_in_tx(tx, site, &document, draft.content()?).await?;
        }
        draft.accept(who, &wish.acknowledged, now)?;
        save_in_tx(tx, &draft, wish.seen).await?;
        Ok((document, draft))
    }

    /// The site's own prices come to what the draft says, or there is no order.
    async fn place(
        &self,
        scope: &SiteScope,
        site: &Site,
        draft: &Draft,
        order: &OrderDraft,
        wish: &AcceptDraft,
        call: &IdempotentCall,
    ) -> Result<PlacedOrder, DocumentError> {
        let parsed = check::parse_order(order).zip(order.buyer);
        let (parsed, buyer) = parsed.ok_or_else(|| StoreError::broken("an accepted draft does not parse"))?;
        let line = |line: &check::ParsedLine| {
            Some(WishedLine {
                tier: line.tier?,
                quantity: line.quantity,
            })
        };
        let lines: Option<Vec<_>> = parsed.lines.iter().map(line).collect();
        let lines = lines.ok_or_else(|| StoreError::broken("an accepted line has no offer"))?;
        let key = IdempotentCall {
            actor: draft.document.to_string(),
            operation: "accept a draft",
            key: draft.version.to_string(),
            fingerprint: super::sha256(wish.wallet_address.as_deref().unwrap_or_default().as_bytes()),
            review: Review::NotNeeded,
            at: call.at,
        };
        let order = PlaceOrder {
            site,
            buyer,
            lines,
            wallet_address: wish.wallet_address.clone(),
            referrer: None,
            promo: None,
            call: Some(key),
        };
        let quote = self
            .orders
            .preview(scope, site, buyer, &order.lines, None)
            .await?;
        same_total(quote.total, parsed.total)?;
        let placed = match self.orders.place(scope, &order, &render).await? {
            Placed::New { order, .. } => PlacedOrder {
                id: order.id,
                total: order.total,
            },
            Placed::Replayed(answer) => serde_json::from_slice(&answer.body)
                .map_err(|_| StoreError::broken("a stored answer names no order"))?,
        };
        // A price that was edited between the two.
        if let Err(differs) = same_total(placed.total, parsed.total) {
            self.orders.cancel(scope, placed.id, None).await?;
            return Err(differs);
        }
        Ok(placed)
    }

    async fn placed(
        &self,
        scope: &SiteScope,
        id: DocumentId,
        placed: PlacedOrder,
        call: &IdempotentCall,
    ) -> Result<Made<DocumentId>, DocumentError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, DocumentError>(tx.as_mut(), Some(call)).await? {
            return Ok(made);
        }
        let (document, mut draft) = load_in_tx(tx.as_mut(), id).await?;
        if draft.state == DraftState::Accepting {
            let seen = draft.version;
            draft.became(Outcome::Order(placed.id), now);
            save_in_tx(tx.as_mut(), &draft, seen).await?;
            let payload = json!({ "order": placed.id });
            tell_in_tx(tx.as_mut(), "document_draft.accepted", &document, &draft, payload).await?;
        }
        remember_in_tx(tx.as_mut(), Some(call), &id).await?;
        tx.commit().await?;
        Ok(Made::now(id))
    }

    /// There is no order: the draft is open again.
    async fn give_up(&self, scope: &SiteScope, id: DocumentId) -> Result<(), DocumentError> {
        let mut tx = self.db.begin(scope).await?;
        let (_, mut draft) = load_in_tx(tx.as_mut(), id).await?;
        if draft.state == DraftState::Accepting {
            let seen = draft.version;
            draft.give_up(self.clock.now());
            save_in_tx(tx.as_mut(), &draft, seen).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

fn render(order: &posx_orders::Order, _: &Quote) -> StoredAnswer {
    let placed = PlacedOrder {
        id: order.id,
        total: order.total,
    };
    StoredAnswer {
        status: 201,
        body: serde_json::to_vec(&placed).expect("an id and an amount are JSON"),
    }
}

/// Nothing is under way that might still place the order.
fn is_final(error: &DocumentError) -> bool {
    match error {
        DocumentError::TotalDiffers { .. } => true,
        DocumentError::Order(OrderError::Store(_) | OrderError::Key(_)) => false,
        DocumentError::Order(error) => {
            posx_kernel::Refusal::severity(error) == posx_kernel::Severity::Refusal
        }
        _ => false,
    }
}

fn same_total(ours: Money, drafted: Money) -> Result<(), DocumentError> {
    if ours == drafted {
        Ok(())
    } else {
        Err(DocumentError::TotalDiffers { ours, drafted })
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
