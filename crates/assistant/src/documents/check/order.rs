use posx_kernel::{Currency, Money, TierId};

use super::evidence::plain;
use super::{Against, Finding, FindingCode, tax_number, tax_number_text};
use crate::documents::{Field, OrderDraft, OrderDraftLine};

/// An order draft whose every value is of its type. What was not sent is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::documents) struct ParsedOrder {
    pub lines: Vec<ParsedLine>,
    pub subtotal: Option<Money>,
    pub discount: Money,
    pub tax: Money,
    pub shipping: Money,
    pub total: Money,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::documents) struct ParsedLine {
    pub quantity: u32,
    pub unit_price: Money,
    pub amount: Money,
    pub tier: Option<TierId>,
}

/// None: something is missing or is not of its type, and [`check`] says what.
pub(in crate::documents) fn parse(order: &OrderDraft) -> Option<ParsedOrder> {
    Reader {
        findings: &mut Vec::new(),
    }
    .order(order)
}

pub(super) fn check(order: &OrderDraft, against: &Against<'_>, findings: &mut Vec<Finding>) {
    if let Some(parsed) = (Reader {
        findings: &mut *findings,
    })
    .order(order)
    {
        add_up(&parsed, findings);
    }
    let mut add = |code, field: &str| findings.push(Finding::new(code, field));
    let buyer = against.known.buyer.as_ref();
    match &order.customer_name {
        None => add(FindingCode::FieldMissing, "customer_name"),
        Some(name) if plain(&name.value).is_empty() => add(FindingCode::ValueInvalid, "customer_name"),
        Some(name) if plain(&name.value) == plain(against.site_name) => {
            add(FindingCode::OwnCompany, "customer_name");
        }
        Some(name) => {
            let known = buyer.and_then(|buyer| buyer.name.as_ref());
            if known.is_some_and(|known| plain(known) != plain(&name.value)) {
                add(FindingCode::BuyerDiffers, "buyer");
            }
        }
    }
    let known = buyer.and_then(|buyer| buyer.tax_number.as_ref());
    let said = order.customer_tax_number.as_ref();
    if let (Some(known), Some(said)) = (known, said)
        && *known != tax_number_text(&said.value)
    {
        add(FindingCode::BuyerTaxNumberDiffers, "customer_tax_number");
    }
    let currency = order
        .currency
        .as_ref()
        .and_then(|code| Currency::from_code(&code.value));
    if currency.is_some_and(|currency| currency != against.site_currency) {
        add(FindingCode::CurrencyNotTheSites, "currency");
    }
    if order.buyer.is_none() || buyer.is_none() {
        add(FindingCode::BuyerUnknown, "buyer");
    }
    if against.known.same_business {
        add(FindingCode::DuplicateOrder, "number");
    } else if against.known.similar_business {
        add(FindingCode::DuplicateSuspected, "number");
    }
    for (at, line) in order.lines.iter().enumerate() {
        if line.tier.is_none_or(|tier| !against.known.tiers.contains(&tier)) {
            add(FindingCode::OfferUnknown, &format!("lines/{at}/tier"));
        }
    }
    tax_number(
        "customer_tax_number",
        order.customer_tax_number.as_ref(),
        findings,
    );
}

/// Lines - discount + tax + shipping = total, and each line quantity × price.
fn add_up(order: &ParsedOrder, findings: &mut Vec<Finding>) {
    let mut sum = Some(Money::zero(order.total.currency()));
    for (at, line) in order.lines.iter().enumerate() {
        if line.unit_price.checked_mul(line.quantity).ok() != Some(line.amount) {
            findings.push(Finding::new(
                FindingCode::LineAmountWrong,
                format!("lines/{at}/amount"),
            ));
        }
        sum = sum.and_then(|sum| sum.checked_add(line.amount).ok());
    }
    if order.subtotal.is_some_and(|subtotal| Some(subtotal) != sum) {
        findings.push(Finding::new(FindingCode::SubtotalWrong, "subtotal"));
    }
    let total = sum
        .and_then(|sum| sum.checked_sub(order.discount).ok())
        .and_then(|sum| sum.checked_add(order.tax).ok())
        .and_then(|sum| sum.checked_add(order.shipping).ok());
    if total != Some(order.total) {
        findings.push(Finding::new(FindingCode::TotalWrong, "total"));
    }
}

/// Takes values as their types, and notes what is none.
struct Reader<'a> {
    findings: &'a mut Vec<Finding>,
}

/// It is none of its type, and a finding says so.
struct Noted;

impl Reader<'_> {
    fn order(&mut self, order: &OrderDraft) -> Option<ParsedOrder> {
        let Some(code) = &order.currency else {
            self.note(FindingCode::FieldMissing, "currency");
            return None;
        };
        let Some(currency) = Currency::from_code(&code.value) else {
            self.note(FindingCode::CurrencyUnknown, "currency");
            return None;
        };
        if order.lines.is_empty() {
            self.note(FindingCode::FieldMissing, "lines");
        }
        let lines: Vec<_> = order
            .lines
            .iter()
            .enumerate()
            .map(|(at, line)| self.line(at, line, currency))
            .collect();
        let subtotal = self.optional("subtotal", order.subtotal.as_ref(), currency);
        let discount = self.optional("discount", order.discount.as_ref(), currency);
        let tax = self.optional("tax", order.tax.as_ref(), currency);
        let shipping = self.optional("shipping", order.shipping.as_ref(), currency);
        let total = self.money("total", order.total.as_ref(), currency);
        let or_zero = |amount: Result<Option<Money>, Noted>| {
            let amount = amount.ok()?;
            Some(amount.unwrap_or(Money::zero(currency)))
        };
        let lines: Option<Vec<_>> = lines.into_iter().collect();
        Some(ParsedOrder {
            lines: lines.filter(|lines| !lines.is_empty())?,
            subtotal: subtotal.ok()?,
            discount: or_zero(discount)?,
            tax: or_zero(tax)?,
            shipping: or_zero(shipping)?,
            total: total?,
        })
    }

    fn line(&mut self, at: usize, line: &OrderDraftLine, currency: Currency) -> Option<ParsedLine> {
        let path = |name: &str| format!("lines/{at}/{name}");
        if line.description.is_none() {
            self.note(FindingCode::FieldMissing, &path("description"));
        }
        let quantity = self.quantity(&path("quantity"), line.quantity.as_ref());
        let unit_price = self.money(&path("unit_price"), line.unit_price.as_ref(), currency);
        let amount = self.money(&path("amount"), line.amount.as_ref(), currency);
        Some(ParsedLine {
            quantity: quantity?,
            unit_price: unit_price?,
            amount: amount?,
            tier: line.tier,
        })
    }

    fn quantity(&mut self, path: &str, field: Option<&Field>) -> Option<u32> {
        let text = self.required(path, field)?;
        let quantity = text.parse().ok().filter(|quantity| *quantity > 0);
        if quantity.is_none() {
            self.note(FindingCode::ValueInvalid, path);
        }
        quantity
    }

    fn money(&mut self, path: &str, field: Option<&Field>, currency: Currency) -> Option<Money> {
        let text = self.required(path, field)?;
        let amount = Money::parse(&text, currency)
            .ok()
            .filter(|amount| !amount.is_negative());
        if amount.is_none() {
            self.note(FindingCode::ValueInvalid, path);
        }
        amount
    }

    /// None: it is not there, and need not be.
    fn optional(
        &mut self,
        path: &str,
        field: Option<&Field>,
        currency: Currency,
    ) -> Result<Option<Money>, Noted> {
        match field {
            None => Ok(None),
            Some(_) => self.money(path, field, currency).map(Some).ok_or(Noted),
        }
    }

    fn required(&mut self, path: &str, field: Option<&Field>) -> Option<String> {
        if field.is_none() {
            self.note(FindingCode::FieldMissing, path);
        }
        field.map(|field| field.value.clone())
    }

    fn note(&mut self, code: FindingCode, path: &str) {
        self.findings.push(Finding::new(code, path));
    }
}
