//! What is checked of a draft outside the model: whether it stands in the document, adds up, and may be what it says.

mod currency;
mod customer;
mod evidence;
mod hidden;
mod order;
mod tax_number;

use posx_kernel::{Currency, TierId};
use serde::{Deserialize, Serialize};

pub(super) use self::evidence::plain;
use super::document::named;
use super::{DraftContent, Field};

/// Below it a person is asked to look.
const CONFIDENCE_MIN: u8 = 80;

named! {
    FindingCode {
        FieldMissing = "field_missing",
        /// Not a number, a code or whatever else the field takes.
        ValueInvalid = "value_invalid",
        /// The document does not have these words on that page.
        QuoteNotFound = "quote_not_found",
        /// The quote stands there, and says something else.
        ValueNotInQuote = "value_not_in_quote",
        /// Not quantity times unit price.
        LineAmountWrong = "line_amount_wrong",
        /// Not the sum of the lines.
        SubtotalWrong = "subtotal_wrong",
        /// Not lines - discount + tax + shipping.
        TotalWrong = "total_wrong",
        CurrencyUnknown = "currency_unknown",
        CurrencyNotTheSites = "currency_not_the_sites",
        /// Its check digits do not hold.
        TaxNumberInvalid = "tax_number_invalid",
        /// The same file is accepted, or came earlier and waits for a decision.
        DuplicateDocument = "duplicate_document",
        /// So does another with the same customer, number and total.
        DuplicateOrder = "duplicate_order",
        /// The customer that was chosen, or is called so, has another tax number.
        BuyerTaxNumberDiffers = "buyer_tax_number_differs",
        /// The other side is the site itself.
        OwnCompany = "own_company",
        /// No customer, or more than one, is called so: a person chooses.
        BuyerUnknown = "buyer_unknown",
        /// No offer is called so: a person chooses.
        OfferUnknown = "offer_unknown",
        /// A customer has this tax number.
        CustomerKnown = "customer_known",
        LowConfidence = "low_confidence",
        /// Another has the same customer and was read under this number, or the same customer, total and lines and one of them no number.
        DuplicateSuspected = "duplicate_suspected",
        /// The sign is of more than one currency: `$`, `¥`. Or two are named.
        CurrencyAmbiguous = "currency_ambiguous",
        /// An image: no rule can tell whether it says so.
        NotVerifiable = "not_verifiable",
        /// No rule is known for its country.
        TaxNumberUnchecked = "tax_number_unchecked",
        /// It speaks to a model.
        HiddenInstructions = "hidden_instructions",
        /// Characters that nobody sees.
        HiddenCharacters = "hidden_characters",
        /// The customer that was chosen is called otherwise.
        BuyerDiffers = "buyer_differs",
        /// A customer is called so.
        CustomerNameKnown = "customer_name_known",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingSeverity {
    /// Nothing is accepted before an edit cures it.
    Error,
    /// Whoever accepts says that they saw it.
    Warning,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Finding {
    pub severity: FindingSeverity,
    pub code: FindingCode,
    /// `lines/0/amount`; `document` for the whole of it.
    pub field: String,
}

impl FindingCode {
    pub const fn severity(self) -> FindingSeverity {
        match self {
            Self::LowConfidence
            | Self::DuplicateSuspected
            | Self::CurrencyAmbiguous
            | Self::NotVerifiable
            | Self::TaxNumberUnchecked
            | Self::HiddenInstructions
            | Self::HiddenCharacters
            | Self::BuyerDiffers
            | Self::CustomerNameKnown => FindingSeverity::Warning,
            _ => FindingSeverity::Error,
        }
    }
}

impl Finding {
    pub(super) fn new(code: FindingCode, field: impl Into<String>) -> Self {
        Self {
            severity: code.severity(),
            code,
            field: field.into(),
        }
    }

    pub fn is_error(&self) -> bool {
        self.severity == FindingSeverity::Error
    }
}

/// A party, and what its record as a customer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownBuyer {
    pub name: Option<String>,
    pub tax_number: Option<String>,
}

/// What the site knows that bears on a draft.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct KnownFacts {
    /// Another draft of the same file is accepted, or an earlier one open.
    pub same_file: bool,
    /// So is one of the same customer, number and total.
    pub same_business: bool,
    /// So is one of the same customer and number as they were read, or of the same customer, total and lines where one has no number.
    pub similar_business: bool,
    /// There is such a party: what its record says, if it has one.
    pub buyer: Option<KnownBuyer>,
    /// Of the tiers that the lines name, those that are there.
    pub tiers: Vec<TierId>,
    /// A customer has the draft's tax number.
    pub tax_number_taken: bool,
    /// A customer has the draft's name.
    pub name_known: bool,
}

/// What a draft is held against.
#[derive(Debug, Clone, Copy)]
pub struct Against<'a> {
    pub site_name: &'a str,
    pub site_currency: Currency,
    /// The text of each page; of an image none.
    pub pages: Option<&'a [String]>,
    pub known: &'a KnownFacts,
}

/// Everything there is to say of it, errors first.
pub fn check(content: &DraftContent, against: &Against<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match content {
        DraftContent::Order(order) => order::check(order, against, &mut findings),
        DraftContent::Customer(customer) => customer::check(customer, against, &mut findings),
    }
    for (path, field) in content.fields() {
        stands_there(&path, field, against, &mut findings);
    }
    if against.known.same_file {
        findings.push(Finding::new(FindingCode::DuplicateDocument, DOCUMENT));
    }
    match against.pages {
        Some(pages) => hidden::check(pages, &mut findings),
        None => findings.push(Finding::new(FindingCode::NotVerifiable, DOCUMENT)),
    }
    findings.sort_by_key(|finding| (!finding.is_error(), finding.code, finding.field.clone()));
    findings.dedup();
    findings
}

const DOCUMENT: &str = "document";

/// What a model read stands in the document; what a person wrote is theirs.
fn stands_there(path: &str, field: &Field, against: &Against<'_>, findings: &mut Vec<Finding>) {
    if field.edited {
        return;
    }
    if field.confidence < CONFIDENCE_MIN {
        findings.push(Finding::new(FindingCode::LowConfidence, path));
    }
    if let Some(pages) = against.pages
        && let Err(code) = evidence::check(path, field, pages)
    {
        findings.push(Finding::new(code, path));
    }
}

fn tax_number(path: &str, field: Option<&Field>, findings: &mut Vec<Finding>) {
    let Some(field) = field else { return };
    let code = match tax_number::judge(&field.value) {
        tax_number::Verdict::Holds => return,
        tax_number::Verdict::Malformed => FindingCode::ValueInvalid,
        tax_number::Verdict::Wrong => FindingCode::TaxNumberInvalid,
        tax_number::Verdict::NoRule => FindingCode::TaxNumberUnchecked,
    };
    findings.push(Finding::new(code, path));
}

/// As it is stored and compared: letters and digits, in upper case.
pub(super) fn tax_number_text(text: &str) -> String {
    let kept = text.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_uppercase()).collect()
}

pub(super) use self::order::{ParsedLine, parse as parse_order};

#[cfg(test)]
mod tests;
