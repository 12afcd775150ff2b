//! Documents through the queue: sent, read in a process of its own, drafted by a scripted model, decided.

mod accepting;
mod deciding;
mod duplicates;
mod evaluation;
mod files;
mod keeping;
mod papers;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;

use posx_assistant::documents::{
    AcceptDraft, DocumentError, DocumentParts, DocumentView, Documents, DraftKind, MediaType, NewDocument,
};
use posx_assistant::testing::{GatewayWorld, Script, ScriptedModel};
use posx_kernel::{DocumentId, IdempotentCall, IdentityId, PartyId, Review};
use posx_objects::Folder;
use posx_pdftext::ChildReader;
use posx_tenancy::NewCustomer;
use posx_worker::drain_site;
use sqlx::Row as _;

use crate::world::World;

pub const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

/// A site with an offer, a customer and a model that says what a test wrote down.
pub struct Desk {
    pub world: World,
    pub model: ScriptedModel,
    pub folder: Folder,
    pub admin: IdentityId,
    root: tempfile::TempDir,
}

impl Desk {
    pub async fn new() -> Self {
        Box::pin(Self::made()).await
    }

    async fn made() -> Self {
        let mut world = World::shared().await;
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().to_owned());
        let behind = GatewayWorld::new(ScriptedModel::default());
        behind.allow(&world.scope);
        let services = &world.services;
        let db = Arc::new(services.database.clone());
        let documents = Documents::new(DocumentParts {
            db: db.clone(),
            queries: db,
            storage: Arc::new(folder.clone()),
            pdf: Arc::new(ChildReader::new(env!("CARGO_BIN_EXE_posx-worker").into())),
            gateway: behind.gateway,
            orders: services.orders.clone(),
            customers: services.customers.clone(),
            clock: services.clock.clone(),
            ids: services.ids.clone(),
        });
        world.services.documents = documents;
        let admin = world.admin().await;
        world.tier().await;
        Self {
            world,
            model: behind.model,
            folder,
            admin,
            root,
        }
    }

    pub async fn customer(&self, name: &str, tax_number: Option<&str>) -> PartyId {
        let record = NewCustomer {
            name: name.to_owned(),
            tax_number: tax_number.map(str::to_owned),
            ..NewCustomer::default()
        };
        let (customers, world) = (&self.world.services.customers, &self.world);
        customers
            .register(&world.scope, &world.site, record, None)
            .await
            .unwrap()
            .id
    }

    /// Announced and in its place, and nobody has looked at it yet.
    pub async fn send(&self, kind: DraftKind, announced: MediaType, bytes: &[u8]) -> DocumentId {
        let wish = NewDocument {
            name: "paper".to_owned(),
            media_type: announced,
            bytes: u32::try_from(bytes.len()).unwrap(),
            kind,
        };
        let (scope, documents) = (&self.world.scope, &self.world.services.documents);
        let made = documents.announce(scope, self.admin, &wish, None).await.unwrap();
        let (place, _) = documents.admit(scope, made.made.id).await.unwrap();
        let mut arrival = self.folder.receive(place, wish.bytes, "test").await.unwrap();
        assert!(arrival.write(bytes).await.unwrap());
        assert!(arrival.finish().await.unwrap());
        made.made.id
    }

    pub async fn confirm(&self, id: DocumentId) -> Result<(), DocumentError> {
        self.world
            .services
            .documents
            .uploaded(&self.world.scope, id)
            .await
    }

    /// Sent, looked at, and read by the job; the model answers with `answer`.
    pub async fn read(
        &self,
        kind: DraftKind,
        media_type: MediaType,
        bytes: &[u8],
        answer: Script,
    ) -> DocumentView {
        let id = self.send(kind, media_type, bytes).await;
        self.confirm(id).await.unwrap();
        self.model.then(answer);
        self.drain().await;
        self.view(id).await
    }

    pub async fn drain(&self) {
        let drained = drain_site(&self.world.services, self.world.site.id)
            .await
            .unwrap();
        assert!(drained.failures.is_empty(), "{:?}", drained.failures);
    }

    pub async fn view(&self, id: DocumentId) -> DocumentView {
        let queries = &self.world.services.document_queries;
        queries.get(&self.world.scope, id).await.unwrap().unwrap()
    }

    pub async fn accept(&self, id: DocumentId, acknowledged: &[String]) -> Result<(), DocumentError> {
        self.accept_as(id, acknowledged, &id.to_string()).await
    }

    pub async fn accept_as(
        &self,
        id: DocumentId,
        acknowledged: &[String],
        key: &str,
    ) -> Result<(), DocumentError> {
        self.accept_to(id, acknowledged, key, Some(WALLET)).await
    }

    pub async fn accept_to(
        &self,
        id: DocumentId,
        acknowledged: &[String],
        key: &str,
        wallet: Option<&str>,
    ) -> Result<(), DocumentError> {
        let draft = self.view(id).await.draft.unwrap();
        let wish = AcceptDraft {
            seen: draft.version,
            acknowledged: acknowledged.to_vec(),
            wallet_address: wallet.map(str::to_owned),
        };
        let call = IdempotentCall {
            actor: self.admin.to_string(),
            operation: "accept",
            key: key.to_owned(),
            fingerprint: [7; 32],
            review: Review::NotNeeded,
            at: self.world.services.clock.now(),
        };
        let (scope, site) = (&self.world.scope, &self.world.site);
        let documents = &self.world.services.documents;
        documents
            .accept(scope, site, self.admin, id, &wish, &call)
            .await
            .map(|_| ())
    }

    /// Rows of the site in each table, but for documents, drafts and the history.
    pub async fn rows(&self) -> BTreeMap<String, i64> {
        let tables: Vec<String> = sqlx::query_scalar(
            "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
             join pg_attribute a on a.attrelid = c.oid and a.attname = 'site_id' and not a.attisdropped
             where n.nspname = 'public' and c.relkind in ('r', 'p')
               and c.relname not in ('documents', 'document_drafts', 'events')",
        )
        .fetch_all(&self.world.superuser)
        .await
        .unwrap();
        assert!(tables.len() > 40, "{tables:?}");
        let count =
            |table: &String| format!("select '{table}', count(*) from public.{table} where site_id = $1");
        let sql = tables.iter().map(count).collect::<Vec<_>>().join(" union all ");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(self.world.site.id.as_uuid())
            .fetch_all(&self.world.superuser)
            .await
            .unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Files that are there.
    pub fn files(&self) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(folder).unwrap();
            let one = |entry: std::fs::DirEntry| {
                let path = entry.path();
                if path.is_dir() { count(&path) } else { 1 }
            };
            entries.map(|entry| one(entry.unwrap())).sum()
        }
        count(self.root.path())
    }
}
