//! A draft: what a model read out of a document, each field with where it stands.

use posx_kernel::{DocumentId, DraftId, IdentityId, ModelCallId, OrderId, PartyId, TierId, Timestamp};
use serde::{Deserialize, Serialize};

use super::check::Finding;
use super::document::named;
use super::{Document, DocumentError, DraftKind};

/// Where a value stands in the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Evidence {
    /// Counts from 1.
    pub page: u32,
    /// The document's own words.
    pub quote: String,
}

/// One value as text, as a model read it or a person wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Field {
    pub value: String,
    /// How sure the model says it is, in per cent. Nothing is decided by it.
    pub confidence: u8,
    /// None for what a person wrote.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub evidence: Option<Evidence>,
    /// A person wrote or confirmed it.
    pub edited: bool,
}

impl Field {
    pub fn by_person(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            confidence: 100,
            evidence: None,
            edited: true,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrderDraftLine {
    pub description: Option<Field>,
    pub quantity: Option<Field>,
    pub unit_price: Option<Field>,
    pub amount: Option<Field>,
    /// What of the site's offers it is: found by its name, or chosen by a person. Never the model's.
    pub tier: Option<TierId>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OrderDraft {
    pub customer_name: Option<Field>,
    pub customer_tax_number: Option<Field>,
    /// The customer's own number of the order.
    pub number: Option<Field>,
    /// As it was read. Who edits `number` does not change it: by it the same order is recognised.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub number_read: Option<String>,
    pub currency: Option<Field>,
    pub lines: Vec<OrderDraftLine>,
    pub subtotal: Option<Field>,
    pub discount: Option<Field>,
    pub tax: Option<Field>,
    pub shipping: Option<Field>,
    pub total: Option<Field>,
    /// Whose order it is to be: found among the customers, or chosen by a person. Never the model's.
    pub buyer: Option<PartyId>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CustomerDraft {
    pub name: Option<Field>,
    pub tax_number: Option<Field>,
    /// Found by rule: an address does not leave for the model.
    pub email: Option<Field>,
    pub phone: Option<Field>,
    /// Two letters (ISO 3166).
    pub country: Option<Field>,
    pub address: Option<Field>,
}

/// One type for each kind; the trade's documents will be more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum DraftContent {
    Order(OrderDraft),
    Customer(CustomerDraft),
}

named! {
    DraftState {
        Proposed = "proposed",
        Accepted = "accepted",
        Rejected = "rejected",
        /// Its time is over.
        Expired = "expired",
    }
}

/// Who decided, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub by: IdentityId,
    pub at: Timestamp,
    /// Of a rejection.
    pub reason: Option<String>,
}

/// What the draft became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Order(OrderId),
    Customer(PartyId),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub id: DraftId,
    pub document: DocumentId,
    /// None after the retention.
    pub content: Option<DraftContent>,
    pub findings: Vec<Finding>,
    pub state: DraftState,
    pub version: i32,
    pub sha256: [u8; 32],
    /// The paid call that read it.
    pub call: ModelCallId,
    pub decision: Option<Decision>,
    pub outcome: Option<Outcome>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

const REASON_CHARS_MAX: usize = 500;

impl DraftContent {
    pub const fn kind(&self) -> DraftKind {
        match self {
            Self::Order(_) => DraftKind::Order,
            Self::Customer(_) => DraftKind::Customer,
        }
    }

    pub const fn buyer(&self) -> Option<PartyId> {
        match self {
            Self::Order(order) => order.buyer,
            Self::Customer(_) => None,
        }
    }

    /// Every field that is there, by its path.
    pub fn fields(&self) -> Vec<(String, &Field)> {
        match self {
            Self::Order(order) => order.fields(),
            Self::Customer(customer) => named_fields(&[
                ("name", &customer.name),
                ("tax_number", &customer.tax_number),
                ("email", &customer.email),
                ("phone", &customer.phone),
                ("country", &customer.country),
                ("address", &customer.address),
            ]),
        }
    }
}

fn named_fields<'a>(fields: &[(&str, &'a Option<Field>)]) -> Vec<(String, &'a Field)> {
    let there = fields
        .iter()
        .filter_map(|(name, field)| Some(((*name).to_owned(), field.as_ref()?)));
    there.collect()
}

impl OrderDraft {
    fn fields(&self) -> Vec<(String, &Field)> {
        let mut fields = named_fields(&[
            ("customer_name", &self.customer_name),
            ("customer_tax_number", &self.customer_tax_number),
            ("number", &self.number),
            ("currency", &self.currency),
            ("subtotal", &self.subtotal),
            ("discount", &self.discount),
            ("tax", &self.tax),
            ("shipping", &self.shipping),
            ("total", &self.total),
        ]);
        for (at, line) in self.lines.iter().enumerate() {
            let of_line = named_fields(&[
                ("description", &line.description),
                ("quantity", &line.quantity),
                ("unit_price", &line.unit_price),
                ("amount", &line.amount),
            ]);
            let pathed = of_line
                .into_iter()
                .map(|(name, field)| (format!("lines/{at}/{name}"), field));
            fields.extend(pathed);
        }
        fields
    }
}

impl Draft {
    /// What a model made of the document, by which call, and what there is to say of it.
    pub(super) fn proposed(
        id: DraftId,
        document: &Document,
        (call, content): (ModelCallId, DraftContent),
        findings: Vec<Finding>,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            document: document.id,
            content: Some(content),
            findings,
            state: DraftState::Proposed,
            version: 1,
            sha256: document.sha256.unwrap_or_default(),
            call,
            decision: None,
            outcome: None,
            created_at: at,
            updated_at: at,
        }
    }

    pub(super) fn content(&self) -> Result<&DraftContent, DocumentError> {
        self.content
            .as_ref()
            .ok_or(DocumentError::DraftNotOpen(self.state))
    }

    /// Another content, and what is to be said of it now.
    pub(super) fn edit(
        &mut self,
        content: DraftContent,
        findings: Vec<Finding>,
        at: Timestamp,
    ) -> Result<(), DocumentError> {
        self.open()?;
        self.content = Some(content);
        self.findings = findings;
        self.touch(at);
        Ok(())
    }

    /// A person takes it as it stands. `acknowledged` names the warnings that they saw; an error is not acknowledged but cured.
    pub(super) fn acceptable(&self, acknowledged: &[String]) -> Result<&DraftContent, DocumentError> {
        self.open()?;
        if let Some(error) = self.findings.iter().find(|finding| finding.is_error()) {
            return Err(DocumentError::HasErrors(error.clone()));
        }
        let seen = |finding: &&Finding| !acknowledged.iter().any(|code| code == finding.code.as_str());
        if let Some(unseen) = self.findings.iter().find(seen) {
            return Err(DocumentError::WarningsUnseen(unseen.clone()));
        }
        self.content()
    }

    /// What was made of it is there, in the same transaction.
    pub(super) fn accept(&mut self, by: IdentityId, outcome: Outcome, at: Timestamp) {
        self.state = DraftState::Accepted;
        self.decision = Some(Decision { by, at, reason: None });
        self.outcome = Some(outcome);
        self.touch(at);
    }

    pub(super) fn reject(
        &mut self,
        by: IdentityId,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), DocumentError> {
        self.open()?;
        let reason = reason.trim();
        if !(1..=REASON_CHARS_MAX).contains(&reason.chars().count()) {
            return Err(DocumentError::Reason);
        }
        self.state = DraftState::Rejected;
        let reason = Some(reason.to_owned());
        self.decision = Some(Decision { by, at, reason });
        self.touch(at);
        Ok(())
    }

    /// Its time is over: nothing is left of what was read, or of what a person wrote about it.
    pub(super) fn forget(&mut self, at: Timestamp) {
        if self.state == DraftState::Proposed {
            self.state = DraftState::Expired;
        }
        self.content = None;
        if let Some(decision) = &mut self.decision {
            decision.reason = None;
        }
        self.findings = Vec::new();
        self.touch(at);
    }

    fn open(&self) -> Result<(), DocumentError> {
        match self.state {
            DraftState::Proposed => Ok(()),
            state => Err(DocumentError::DraftNotOpen(state)),
        }
    }

    fn touch(&mut self, at: Timestamp) {
        self.version += 1;
        self.updated_at = at;
    }
}
