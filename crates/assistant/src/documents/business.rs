//! What the same order is recognised by, on whatever paper it stands.

use posx_kernel::{Currency, Money};

use super::{DraftContent, OrderDraft, check, sha256};

/// Of an order's draft. The same order has the same hashes in every format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusinessHash {
    /// Customer, number and total. None: it has no number.
    pub same: Option<[u8; 32]>,
    /// Customer and number as it was read, whatever the total is.
    pub numbered: Option<[u8; 32]>,
    /// Customer, total and lines, whatever the number is. None: a line is not of its type.
    pub like: Option<[u8; 32]>,
}

/// None: no order, or one without a customer or a total.
pub(super) fn business_hash(content: &DraftContent) -> Option<BusinessHash> {
    let DraftContent::Order(order) = content else {
        return None;
    };
    let currency = Currency::from_code(&order.currency.as_ref()?.value)?;
    let total = Money::parse(&order.total.as_ref()?.value, currency).ok()?;
    let whose = whose(order)?;
    let total = format!("{} {}", currency.code(), total.minor());
    let hash = |parts: &[&str]| sha256(parts.join("\n").as_bytes());
    let now = order.number.as_ref().map(|field| field.value.as_str());
    let read = order.number_read.as_deref();
    Some(BusinessHash {
        same: number([now, read]).map(|number| hash(&[&whose, &total, &number])),
        numbered: number([read, now]).map(|number| hash(&[&whose, &number])),
        like: lines(order).map(|lines| hash(&[&whose, &total, &lines])),
    })
}

/// The customer, or the name that stands there where nobody knows whose it is.
fn whose(order: &OrderDraft) -> Option<String> {
    match order.buyer {
        Some(buyer) => Some(buyer.to_string()),
        None => order.customer_name.as_ref().map(|name| check::plain(&name.value)),
    }
}

/// Letters and digits of the first that has any. Who empties the field does not take away what was read there.
fn number(texts: [Option<&str>; 2]) -> Option<String> {
    let plain = |text: &str| -> String {
        let kept = text.chars().filter(|c| c.is_alphanumeric());
        kept.flat_map(char::to_lowercase).collect()
    };
    texts
        .into_iter()
        .flatten()
        .map(plain)
        .find(|text| !text.is_empty())
}

/// In whatever order they stand, and whatever their things are called.
fn lines(order: &OrderDraft) -> Option<String> {
    let parsed = check::parse_order(order)?;
    let line = |line: &check::ParsedLine| {
        let (price, amount) = (line.unit_price.minor(), line.amount.minor());
        format!("{} {price} {amount}", line.quantity)
    };
    let mut lines: Vec<_> = parsed.lines.iter().map(line).collect();
    lines.sort_unstable();
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use posx_kernel::PartyId;
    use uuid::Uuid;

    use super::*;
    use crate::documents::{Field, OrderDraftLine};

    #[expect(clippy::unnecessary_wraps, reason = "a field may be missing")]
    fn text(value: &str) -> Option<Field> {
        Some(Field::by_person(value))
    }

    fn order() -> OrderDraft {
        let line = |quantity, amount| OrderDraftLine {
            description: text("Gold"),
            quantity: text(quantity),
            unit_price: text("10.00"),
            amount: text(amount),
            tier: None,
        };
        OrderDraft {
            customer_name: text("Acme GmbH"),
            number: text("PO-7"),
            number_read: Some("PO-7".into()),
            currency: text("EUR"),
            lines: vec![line("2", "20.00"), line("1", "10.00")],
            total: text("30.00"),
            ..OrderDraft::default()
        }
    }

    fn hash(change: impl FnOnce(&mut OrderDraft)) -> BusinessHash {
        let mut order = order();
        change(&mut order);
        business_hash(&DraftContent::Order(order)).unwrap()
    }

    #[test]
    fn one_order_has_one_hash_however_it_is_written() {
        let first = hash(|_| {});
        assert!(first.same.is_some() && first.like.is_some());
        assert_eq!(hash(|o| o.number = text(" po 7")), first);
        assert_eq!(hash(|o| o.total = text("30")), first);
        assert_eq!(hash(|o| o.customer_name = text("ACME  gmbh")), first);
        assert_eq!(hash(|o| o.lines.reverse()), first);
        assert_eq!(hash(|o| o.lines[0].description = text("Or")), first);
    }

    #[test]
    fn an_emptied_number_is_still_the_one_that_was_read() {
        let first = hash(|_| {});
        assert_eq!(hash(|o| o.number = None), first);
        assert_eq!(hash(|o| o.number = text("--")), first);
        let never = hash(|o| (o.number, o.number_read) = (None, None));
        assert_eq!((never.same, never.numbered, never.like), (None, None, first.like));
    }

    #[test]
    fn another_number_total_customer_or_line_is_another_order() {
        let first = hash(|_| {});
        let other = hash(|o| o.number = text("PO-8"));
        assert!(other.same != first.same && other.like == first.like);
        assert_eq!(other.numbered, first.numbered, "as it was read");
        let other = hash(|o| (o.number, o.number_read) = (text("PO-8"), Some("PO-8".into())));
        assert!(other.same != first.same && other.numbered != first.numbered);
        let other = hash(|o| o.total = text("31.00"));
        assert!(other.same != first.same && other.like != first.like && other.numbered == first.numbered);
        let other = hash(|o| o.currency = text("USD"));
        assert!(other.same != first.same && other.like != first.like);
        let buyer = PartyId::from_uuid(Uuid::from_u128(2));
        let of_buyer = hash(|o| o.buyer = Some(buyer));
        assert!(
            of_buyer.same != first.same && of_buyer.like != first.like && of_buyer.numbered != first.numbered
        );
        let renamed = hash(|o| (o.buyer, o.customer_name) = (Some(buyer), text("Acme Intl.")));
        assert_eq!(
            renamed, of_buyer,
            "a customer is who it is, whatever the paper calls it"
        );
        let other = hash(|o| o.lines[0].quantity = text("3"));
        assert!(other.same == first.same && other.like != first.like);
    }
}
