//! A shop with something to hide, and a model that says what a test wrote down.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::StreamExt as _;
use posx_kernel::{
    ConversationId, Currency, IdentityId, Kind, Refusal as _, SeededIds, SiteId, SiteScope, StoreError,
    Timestamp,
};
use posx_tenancy::{Capability, Module, Site, SiteCode, SiteState};
use serde_json::{Value, json};

use crate::testing::{FakeConversations, GatewayWorld, ScriptedModel};
use crate::{
    ChatError, ChatEvent, ChatParts, Chats, Citation, CitationKind, Conversations, MessageView, PublicQuery,
    PublicReads, ReadError, Reply, Rights, Row, Rows, StaffQuery, StaffQuestion, StaffReads,
};

pub const ORDER: &str = "ord_0190f3a2b4c57d8e9f00112233445566";
pub const TIER: &str = "tier_0190f3a2b4c57d8e9f00112233445566";
/// Private: no visitor is ever told.
pub const CANARY_ORDER: &str = "CANARY-ORDER";
pub const CANARY_EMAIL: &str = "canary-buyer";
pub const CANARY_OTHER: &str = "CANARY-OTHER-SITE";

/// One store of all sites' data, public and private. Whoever holds the public port reads the public part alone.
#[derive(Debug, Clone, Default)]
pub struct FakeData {
    pub asked: Arc<Mutex<Vec<StaffQuery>>>,
    /// What stands in an order's note.
    pub note: Arc<Mutex<String>>,
}

impl FakeData {
    pub fn asked(&self) -> Vec<StaffQuery> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn rows(rows: Vec<Row>) -> Rows {
    Rows { rows, more: false }
}

fn row(kind: CitationKind, id: &str, fields: Value) -> Row {
    Row {
        citation: Citation::new(kind, id),
        fields,
    }
}

#[async_trait]
impl StaffReads for FakeData {
    async fn read(
        &self,
        scope: &SiteScope,
        _: &Site,
        query: &StaffQuery,
        _: Timestamp,
    ) -> Result<Rows, ReadError> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(query.clone());
        let note = self.note.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(match query {
            StaffQuery::Orders { lifecycle, .. } if lifecycle.as_deref() == Some("lost") => {
                return Err(ReadError::Argument);
            }
            _ if scope.site() == other_site().id => rows(vec![row(
                CitationKind::Order,
                CANARY_OTHER,
                json!({ "note": CANARY_OTHER }),
            )]),
            _ => rows(vec![row(
                CitationKind::Order,
                ORDER,
                json!({ "number": CANARY_ORDER, "buyer": CANARY_EMAIL, "total": "12.500", "note": note }),
            )]),
        })
    }
}

#[async_trait]
impl PublicReads for FakeData {
    async fn read(
        &self,
        scope: &SiteScope,
        site: &Site,
        query: PublicQuery,
        _: Timestamp,
    ) -> Result<Rows, StoreError> {
        let name = if scope.site() == other_site().id {
            CANARY_OTHER
        } else {
            "Gold"
        };
        Ok(match query {
            PublicQuery::Site => rows(vec![row(
                CitationKind::Site,
                "site_1",
                json!({ "name": site.name }),
            )]),
            PublicQuery::Tiers => rows(vec![row(
                CitationKind::Tier,
                TIER,
                json!({ "name": name, "price": "10" }),
            )]),
        })
    }
}

fn site(number: u128, name: &str) -> Site {
    Site {
        id: SiteId::from_uuid(uuid::Uuid::from_u128(number)),
        code: SiteCode::new(name).expect("a code"),
        name: name.to_owned(),
        host_names: Vec::new(),
        cors_origins: Vec::new(),
        currency: Currency::from_code("USD").expect("a currency"),
        time_zone: chrono_tz::UTC,
        state: SiteState::Active,
        modules: vec![Module::Assistant],
        order_expiry_minutes: 15,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

pub fn here() -> Site {
    site(1, "NA")
}

pub fn other_site() -> Site {
    site(2, "ASIA")
}

pub fn scope(site: &Site) -> SiteScope {
    SiteScope::of_claimed_job(site.id)
}

pub struct World {
    pub store: FakeConversations,
    pub gateway: GatewayWorld,
    pub data: FakeData,
    pub chats: Chats,
    pub conversations: Conversations,
    pub member: IdentityId,
}

impl World {
    pub fn new(model: ScriptedModel) -> Self {
        Self::of(GatewayWorld::new(model))
    }

    pub fn of(gateway: GatewayWorld) -> Self {
        let store = FakeConversations::default();
        let data = FakeData::default();
        let ids = Arc::new(SeededIds::new(7));
        gateway.allow(&scope(&here()));
        gateway.allow(&scope(&other_site()));
        let chats = Chats::new(ChatParts {
            db: Arc::new(store.clone()),
            gateway: gateway.gateway.clone(),
            staff: Arc::new(data.clone()),
            public: Arc::new(data.clone()),
            clock: gateway.clock.clone(),
            ids: ids.clone(),
            randomness: ids.clone(),
        });
        Self {
            conversations: Conversations::new(Arc::new(store.clone()), gateway.clock.clone(), ids),
            chats,
            store,
            gateway,
            data,
            member: IdentityId::from_uuid(uuid::Uuid::from_u128(77)),
        }
    }

    pub async fn conversation(&self) -> ConversationId {
        let scope = scope(&here());
        let made = self.conversations.create(&scope, self.member, None, None);
        made.await.expect("a conversation").id
    }

    pub fn question(&self, conversation: ConversationId, text: &str) -> StaffQuestion {
        StaffQuestion {
            conversation,
            of: self.member,
            rights: Rights::of(Capability::ALL.iter().copied()),
            text: text.to_owned(),
        }
    }

    /// Asked and answered.
    pub async fn ask(&self, conversation: ConversationId, text: &str) -> Result<Told, ChatError> {
        self.gateway.clock.advance(TimeDelta::milliseconds(2));
        let question = self.question(conversation, text);
        told(self.chats.ask(&scope(&here()), &here(), question, None).await?).await
    }

    /// By somebody on the storefront, in one session.
    pub async fn visitor(&self, site: &Site, texts: &[&str]) -> Result<Vec<Told>, ChatError> {
        let scope = scope(site);
        let visit = self.chats.begin_visit(&scope).await?;
        let mut answers = Vec::new();
        for text in texts {
            self.gateway.clock.advance(TimeDelta::milliseconds(2));
            let reply = self
                .chats
                .ask_on_storefront(&scope, site, visit.visitor, text)
                .await?;
            answers.push(told(reply).await?);
        }
        Ok(answers)
    }

    /// Everything that any model was ever sent.
    pub fn sent(&self) -> String {
        format!("{:?}", self.gateway.model.calls())
    }
}

#[derive(Debug)]
pub struct Told {
    pub text: String,
    pub citations: Vec<Citation>,
    pub view: MessageView,
}

pub async fn told(reply: Reply) -> Result<Told, ChatError> {
    let mut events = match reply {
        Reply::Now(events) => events,
        Reply::Before(view) => panic!("asked before: {view:?}"),
    };
    let (mut text, mut citations) = (String::new(), Vec::new());
    while let Some(event) = events.next().await {
        match event? {
            ChatEvent::Text(piece) => text.push_str(&piece),
            ChatEvent::Citation(citation) => citations.push(citation),
            ChatEvent::Done(view) => {
                assert!(events.next().await.is_none(), "it is the last");
                return Ok(Told {
                    text,
                    citations,
                    view,
                });
            }
        }
    }
    panic!("an answer ends with `Done` or an error")
}

pub fn refused<T: std::fmt::Debug>(outcome: Result<T, ChatError>) -> (&'static str, Kind) {
    let error = outcome.expect_err("refused");
    (error.code(), error.kind())
}
