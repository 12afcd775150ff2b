//! What a person changes in a draft. What they write is theirs: it needs no quote any more, and every rule holds it still.

use posx_kernel::{PartyId, TierId};
use serde::{Deserialize, Deserializer};

use super::answer::LINES_MAX;
use super::extract::printable;
use super::{CustomerDraft, DocumentError, DraftContent, Field, OrderDraft, OrderDraftLine};

const VALUE_CHARS_MAX: usize = 500;

/// Absent: as it was. Null: the document does not say. Text: so it is.
type Change = Option<Option<String>>;

fn change<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Change, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A line as a person writes it, whole.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineEdit {
    pub description: String,
    pub quantity: String,
    pub unit_price: String,
    pub amount: String,
    pub tier: Option<TierId>,
}

/// A field that is left out stays as it is; one that is null is emptied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderEdit {
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub customer_name: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub customer_tax_number: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub number: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub currency: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub subtotal: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub discount: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub tax: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub shipping: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub total: Change,
    /// All lines anew.
    pub lines: Option<Vec<LineEdit>>,
    /// Which tier each line is, in order, without touching the lines.
    pub tiers: Option<Vec<TierId>>,
    /// Whose order it is to be.
    pub buyer: Option<PartyId>,
}

/// As [`OrderEdit`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerEdit {
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub name: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub tax_number: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub email: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub phone: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub country: Change,
    #[serde(default, deserialize_with = "change")]
    #[schema(value_type = Option<String>)]
    pub address: Change,
}

/// Of the draft's own kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DraftEdit {
    Order(OrderEdit),
    Customer(CustomerEdit),
}

impl DraftEdit {
    pub(super) fn applied(self, to: &DraftContent) -> Result<DraftContent, DocumentError> {
        match (self, to.clone()) {
            (Self::Order(edit), DraftContent::Order(order)) => edit.applied(order).map(DraftContent::Order),
            (Self::Customer(edit), DraftContent::Customer(customer)) => {
                edit.applied(customer).map(DraftContent::Customer)
            }
            (_, to) => Err(DocumentError::OtherKind(to.kind())),
        }
    }
}

fn written(name: &str, text: &str) -> Result<Field, DocumentError> {
    let text = printable(text.trim());
    if !(1..=VALUE_CHARS_MAX).contains(&text.chars().count()) {
        return Err(DocumentError::Value(name.to_owned()));
    }
    Ok(Field::by_person(text))
}

fn set(name: &str, field: &mut Option<Field>, change: Change) -> Result<(), DocumentError> {
    if let Some(change) = change {
        *field = change.map(|text| written(name, &text)).transpose()?;
    }
    Ok(())
}

impl OrderEdit {
    fn applied(self, mut order: OrderDraft) -> Result<OrderDraft, DocumentError> {
        set(
            "order/customer_name",
            &mut order.customer_name,
            self.customer_name,
        )?;
        set(
            "order/customer_tax_number",
            &mut order.customer_tax_number,
            self.customer_tax_number,
        )?;
        set("order/number", &mut order.number, self.number)?;
        set("order/currency", &mut order.currency, self.currency)?;
        set("order/subtotal", &mut order.subtotal, self.subtotal)?;
        set("order/discount", &mut order.discount, self.discount)?;
        set("order/tax", &mut order.tax, self.tax)?;
        set("order/shipping", &mut order.shipping, self.shipping)?;
        set("order/total", &mut order.total, self.total)?;
        if let Some(lines) = self.lines {
            if lines.len() > LINES_MAX {
                return Err(DocumentError::Value("order/lines".into()));
            }
            let lines = lines.into_iter().enumerate().map(|(at, line)| line.applied(at));
            order.lines = lines.collect::<Result<_, _>>()?;
        }
        if let Some(tiers) = self.tiers {
            if tiers.len() != order.lines.len() {
                return Err(DocumentError::Value("order/tiers".into()));
            }
            for (line, tier) in order.lines.iter_mut().zip(tiers) {
                line.tier = Some(tier);
            }
        }
        order.buyer = self.buyer.or(order.buyer);
        Ok(order)
    }
}

impl LineEdit {
    fn applied(self, at: usize) -> Result<OrderDraftLine, DocumentError> {
        let path = |name: &str| format!("order/lines/{at}/{name}");
        Ok(OrderDraftLine {
            description: Some(written(&path("description"), &self.description)?),
            quantity: Some(written(&path("quantity"), &self.quantity)?),
            unit_price: Some(written(&path("unit_price"), &self.unit_price)?),
            amount: Some(written(&path("amount"), &self.amount)?),
            tier: self.tier,
        })
    }
}

impl CustomerEdit {
    fn applied(self, mut customer: CustomerDraft) -> Result<CustomerDraft, DocumentError> {
        set("customer/name", &mut customer.name, self.name)?;
        set("customer/tax_number", &mut customer.tax_number, self.tax_number)?;
        set("customer/email", &mut customer.email, self.email)?;
        set("customer/phone", &mut customer.phone, self.phone)?;
        set("customer/country", &mut customer.country, self.country)?;
        set("customer/address", &mut customer.address, self.address)?;
        Ok(customer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_changes_what_it_names_and_makes_it_a_persons() {
        let model = Field {
            value: "Acme".into(),
            confidence: 60,
            evidence: None,
            edited: false,
        };
        let before = CustomerDraft {
            name: Some(model.clone()),
            phone: Some(model.clone()),
            country: Some(model.clone()),
            ..CustomerDraft::default()
        };
        let edit: DraftEdit =
            serde_json::from_str(r#"{"customer": {"name": " Acme GmbH ", "phone": null}}"#).unwrap();
        let DraftContent::Customer(after) = edit.applied(&DraftContent::Customer(before.clone())).unwrap()
        else {
            panic!("another kind");
        };
        assert_eq!(after.name, Some(Field::by_person("Acme GmbH")));
        assert_eq!((after.phone, after.country), (None, Some(model)));
        let order = DraftEdit::Order(OrderEdit::default());
        let refused = order.applied(&DraftContent::Customer(before)).unwrap_err();
        assert!(matches!(refused, DocumentError::OtherKind(_)));
    }

    #[test]
    fn a_body_with_a_field_that_nobody_reads_is_refused() {
        for body in [
            r#"{"customer": {"nme": "x"}}"#,
            r#"{"order": {"lines": [{"description": "x"}]}}"#,
            r#"{"order": {}, "customer": {}}"#,
            r#"{"invoice": {}}"#,
        ] {
            assert!(serde_json::from_str::<DraftEdit>(body).is_err(), "{body}");
        }
    }
}
