//! Documents and their drafts.

mod queries;

use async_trait::async_trait;
use posx_assistant::documents::{
    BusinessHash, Decision, Document, DocumentRepository, DocumentState, DocumentsTx, Draft, DraftContent,
    DraftKind, DraftState, FactsWish, Finding, KnownBuyer, KnownFacts, MediaType, Outcome, Saved, Unusable,
};
use posx_kernel::{
    Begin, DocumentId, DraftId, IdentityId, ModelCallId, OrderId, PartyId, SiteScope, StoreError, TierId,
};
use posx_orders::OrdersTx;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[async_trait]
impl Begin<dyn DocumentsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn DocumentsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl DocumentsTx for SiteTx {
    fn documents(&mut self) -> &mut dyn DocumentRepository {
        self
    }

    fn orders_tx(&mut self) -> &mut dyn OrdersTx {
        self
    }
}

fn hash(bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::broken("a hash"))
}

fn named<T>(name: &str, from: fn(&str) -> Option<T>) -> Result<T, StoreError> {
    from(name).ok_or_else(|| StoreError::broken("a name that this version does not know"))
}

const DOCUMENT: &str = "select id, name, media_type, bytes, kind, state, reason, upload_until, uploaded_by,
       sha256, pages, created_at, uploaded_at, read_at, forgotten_at, file_gone_at from documents where id = $1";

fn document(row: &PgRow) -> Result<Document, StoreError> {
    let reason: Option<&str> = row.try_get("reason").store()?;
    let sha256: Option<Vec<u8>> = row.try_get("sha256").store()?;
    let pages: Option<Json<Vec<String>>> = row.try_get("pages").store()?;
    let bytes: i64 = row.try_get("bytes").store()?;
    Ok(Document {
        id: DocumentId::from_uuid(row.try_get("id").store()?),
        name: row.try_get("name").store()?,
        media_type: named(row.try_get("media_type").store()?, MediaType::from_name)?,
        bytes: bytes
            .try_into()
            .map_err(|_| StoreError::broken("a document's size"))?,
        kind: named(row.try_get("kind").store()?, DraftKind::from_name)?,
        state: named(row.try_get("state").store()?, DocumentState::from_name)?,
        reason: reason
            .map(|reason| named(reason, Unusable::from_name))
            .transpose()?,
        upload_until: row.try_get("upload_until").store()?,
        uploaded_by: IdentityId::from_uuid(row.try_get("uploaded_by").store()?),
        sha256: sha256.map(hash).transpose()?,
        pages: pages.map(|Json(pages)| pages),
        created_at: row.try_get("created_at").store()?,
        uploaded_at: row.try_get("uploaded_at").store()?,
        read_at: row.try_get("read_at").store()?,
        forgotten_at: row.try_get("forgotten_at").store()?,
        file_gone_at: row.try_get("file_gone_at").store()?,
    })
}

const DRAFT: &str =
    "select id, document_id, content, findings, state, version, sha256, call_id, decided_by, decided_at,
       reject_reason, order_id, party_id, created_at, updated_at from document_drafts where document_id = $1";

fn draft(row: &PgRow) -> Result<Draft, StoreError> {
    let content: Option<Json<DraftContent>> = row.try_get("content").store()?;
    let Json(findings): Json<Vec<Finding>> = row.try_get("findings").store()?;
    let (by, at): (Option<Uuid>, _) = (
        row.try_get("decided_by").store()?,
        row.try_get("decided_at").store()?,
    );
    let reason = row.try_get("reject_reason").store()?;
    let decision = by.zip(at).map(|(by, at)| Decision {
        by: IdentityId::from_uuid(by),
        at,
        reason,
    });
    let (order, party): (Option<Uuid>, Option<Uuid>) =
        (row.try_get("order_id").store()?, row.try_get("party_id").store()?);
    let customer = party.map(|party| Outcome::Customer(PartyId::from_uuid(party)));
    Ok(Draft {
        id: DraftId::from_uuid(row.try_get("id").store()?),
        document: DocumentId::from_uuid(row.try_get("document_id").store()?),
        content: content.map(|Json(content)| content),
        findings,
        state: named(row.try_get("state").store()?, DraftState::from_name)?,
        version: row.try_get("version").store()?,
        sha256: hash(row.try_get("sha256").store()?)?,
        call: ModelCallId::from_uuid(row.try_get("call_id").store()?),
        decision,
        outcome: order
            .map(|order| Outcome::Order(OrderId::from_uuid(order)))
            .or(customer),
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

fn same(business: Option<BusinessHash>) -> Option<Vec<u8>> {
    Some(business?.same?.to_vec())
}

fn numbered(business: Option<BusinessHash>) -> Option<Vec<u8>> {
    Some(business?.numbered?.to_vec())
}

fn likeness(business: Option<BusinessHash>) -> Option<Vec<u8>> {
    Some(business?.like?.to_vec())
}

/// What may change of a draft, from `$3` on.
macro_rules! bind_draft {
    ($query:expr, $draft:expr, $business:expr) => {{
        let draft: &Draft = $draft;
        let decision = draft.decision.as_ref();
        let (order, party) = match draft.outcome {
            Some(Outcome::Order(order)) => (Some(order.as_uuid()), None),
            Some(Outcome::Customer(party)) => (None, Some(party.as_uuid())),
            None => (None, None),
        };
        let buyer = draft.content.as_ref().and_then(DraftContent::buyer);
        $query
            .bind(draft.content.as_ref().map(Json))
            .bind(Json(&draft.findings))
            .bind(draft.state.as_str())
            .bind(draft.version)
            .bind(same($business))
            .bind(buyer.map(PartyId::as_uuid))
            .bind(decision.map(|decision| decision.by.as_uuid()))
            .bind(decision.map(|decision| decision.at))
            .bind(decision.and_then(|decision| decision.reason.as_deref()))
            .bind(order)
            .bind(party)
            .bind(draft.updated_at)
    }};
}

/// Earlier drafts that are open, and any that are accepted: of the same file, of the same order, or of one like it. A buyer, tiers
/// and customers that are there.
const FACTS: &str = "with rivals as (
         select d.sha256, d.business_hash, d.number_hash, d.likeness_hash from document_drafts d where d.document_id <> $1
           and (d.sha256 = $2 or d.business_hash = $3 or d.number_hash = $9 or d.likeness_hash = $8)
           and (d.state = 'accepted' or (d.state = 'proposed' and d.document_id < $1)))
     select
       exists (select from rivals r where r.sha256 = $2) as same_file,
       exists (select from rivals r where r.business_hash = $3) as same_business,
       exists (select from rivals r where r.number_hash = $9
         or (r.likeness_hash = $8 and ($3::bytea is null or r.business_hash is null))) as similar_business,
       exists (select from parties p where p.id = $4 and p.erased_at is null) as buyer_is_there,
       (select c.name from customers c where c.party_id = $4) as buyer_name,
       (select c.tax_number from customers c where c.party_id = $4) as buyer_tax_number,
       array(select t.id from tiers t where t.id = any($5) and t.active) as tiers,
       exists (select from customers c where c.tax_number = $6) as tax_number_taken,
       exists (select from customers c where lower(c.name) = $7) as name_known";

#[async_trait]
impl DocumentRepository for SiteTx {
    async fn insert(&mut self, document: &Document) -> Result<(), StoreError> {
        sqlx::query(
            "insert into documents (id, name, media_type, bytes, kind, state, upload_until, uploaded_by, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(document.id.as_uuid())
        .bind(&document.name)
        .bind(document.media_type.as_str())
        .bind(i64::from(document.bytes))
        .bind(document.kind.as_str())
        .bind(document.state.as_str())
        .bind(document.upload_until)
        .bind(document.uploaded_by.as_uuid())
        .bind(document.created_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn for_update(&mut self, id: DocumentId) -> Result<Option<Document>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{DOCUMENT} for update")))
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(document).transpose()
    }

    async fn save(&mut self, document: &Document) -> Result<(), StoreError> {
        sqlx::query(
            "update documents set name = $2, state = $3, reason = $4, sha256 = $5, pages = $6, uploaded_at = $7, read_at = $8,
               forgotten_at = $9, file_gone_at = $10 where id = $1",
        )
        .bind(document.id.as_uuid())
        .bind(&document.name)
        .bind(document.state.as_str())
        .bind(document.reason.map(Unusable::as_str))
        .bind(document.sha256.map(|hash| hash.to_vec()))
        .bind(document.pages.as_ref().map(Json))
        .bind(document.uploaded_at)
        .bind(document.read_at)
        .bind(document.forgotten_at)
        .bind(document.file_gone_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn draft_of(&mut self, id: DocumentId) -> Result<Option<Draft>, StoreError> {
        let row = sqlx::query(DRAFT)
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(draft).transpose()
    }

    async fn insert_draft(
        &mut self,
        draft: &Draft,
        business_hash: Option<BusinessHash>,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "insert into document_drafts (id, document_id, content, findings, state, version, business_hash, buyer_id,
               decided_by, decided_at, reject_reason, order_id, party_id, updated_at, sha256, call_id, created_at, likeness_hash,
               number_hash, known_party_id)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
               app.party_named($3))",
        )
        .bind(draft.id.as_uuid())
        .bind(draft.document.as_uuid());
        bind_draft!(query, draft, business_hash)
            .bind(draft.sha256.to_vec())
            .bind(draft.call.as_uuid())
            .bind(draft.created_at)
            .bind(likeness(business_hash))
            .bind(numbered(business_hash))
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }

    async fn save_draft(
        &mut self,
        draft: &Draft,
        business_hash: Option<BusinessHash>,
        seen: i32,
    ) -> Result<Saved, StoreError> {
        let query = sqlx::query(
            "update document_drafts set content = $3, findings = $4, state = $5, version = $6, business_hash = $7,
               buyer_id = $8, decided_by = $9, decided_at = $10, reject_reason = $11, order_id = $12, party_id = $13,
               updated_at = $14, likeness_hash = $15, number_hash = $16,
               known_party_id = coalesce(known_party_id, app.party_named($3))
             where id = $1 and version = $2",
        )
        .bind(draft.id.as_uuid())
        .bind(seen);
        let saved = bind_draft!(query, draft, business_hash)
            .bind(likeness(business_hash))
            .bind(numbered(business_hash))
            .execute(self.connection())
            .await
            .store();
        match saved {
            Ok(done) if done.rows_affected() == 1 => Ok(Saved::Yes),
            Ok(_) => Ok(Saved::Stale),
            Err(error) => match error.constraint_name() {
                Some("document_drafts_accepted_file_key" | "document_drafts_accepted_business_key") => {
                    Ok(Saved::AcceptedBefore)
                }
                _ => Err(error),
            },
        }
    }

    async fn facts(&mut self, wish: &FactsWish) -> Result<KnownFacts, StoreError> {
        let row = sqlx::query(FACTS)
            .bind(wish.document.as_uuid())
            .bind(wish.sha256.to_vec())
            .bind(same(wish.business_hash))
            .bind(wish.buyer.map(PartyId::as_uuid))
            .bind(wish.tiers.iter().map(|tier| tier.as_uuid()).collect::<Vec<_>>())
            .bind(&wish.tax_number)
            .bind(&wish.name)
            .bind(likeness(wish.business_hash))
            .bind(numbered(wish.business_hash))
            .fetch_one(self.connection())
            .await
            .store()?;
        let buyer_is_there: bool = row.try_get("buyer_is_there").store()?;
        let buyer = KnownBuyer {
            name: row.try_get("buyer_name").store()?,
            tax_number: row.try_get("buyer_tax_number").store()?,
        };
        let tiers: Vec<Uuid> = row.try_get("tiers").store()?;
        Ok(KnownFacts {
            same_file: row.try_get("same_file").store()?,
            same_business: row.try_get("same_business").store()?,
            similar_business: row.try_get("similar_business").store()?,
            buyer: buyer_is_there.then_some(buyer),
            tiers: tiers.into_iter().map(TierId::from_uuid).collect(),
            tax_number_taken: row.try_get("tax_number_taken").store()?,
            name_known: row.try_get("name_known").store()?,
        })
    }

    async fn customer(
        &mut self,
        tax_number: Option<&str>,
        name: &str,
    ) -> Result<Option<PartyId>, StoreError> {
        // By its number if one has it, else by its name; two of the same name are none, and neither is one with another number.
        let rows = sqlx::query(
            "with live as (
               select c.party_id, c.tax_number, c.name from customers c
               join parties p on p.site_id = c.site_id and p.id = c.party_id where p.erased_at is null)
             select party_id, false as differs from live where tax_number = $1
             union all
             select party_id, coalesce(tax_number <> $1, false) from live
             where lower(name) = $2 and not exists (select from live where tax_number = $1)
             limit 2",
        )
        .bind(tax_number)
        .bind(name)
        .fetch_all(self.connection())
        .await
        .store()?;
        match rows.as_slice() {
            [one] if !one.try_get::<bool, _>("differs").store()? => {
                Ok(Some(PartyId::from_uuid(one.try_get("party_id").store()?)))
            }
            _ => Ok(None),
        }
    }

    async fn tiers_called(&mut self, names: &[String]) -> Result<Vec<Option<TierId>>, StoreError> {
        let rows = sqlx::query(
            "select (select (array_agg(t.id))[1] from tiers t where t.active and lower(t.name) = n.name having count(*) = 1)
             from unnest($1::text[]) with ordinality as n (name, at) order by n.at",
        )
        .bind(names)
        .fetch_all(self.connection())
        .await
        .store()?;
        let tier = |row: &PgRow| Ok(row.try_get::<Option<Uuid>, _>(0).store()?.map(TierId::from_uuid));
        rows.iter().map(tier).collect()
    }
}
