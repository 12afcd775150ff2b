use super::evidence::plain;
use super::{Against, Finding, FindingCode, tax_number};
use crate::documents::CustomerDraft;

const NAME_CHARS_MAX: usize = 200;
const PHONE_CHARS_MAX: usize = 40;

pub(super) fn check(customer: &CustomerDraft, against: &Against<'_>, findings: &mut Vec<Finding>) {
    let mut add = |code, field: &str| findings.push(Finding::new(code, field));
    match &customer.name {
        None => add(FindingCode::FieldMissing, "name"),
        Some(name) => {
            if !(1..=NAME_CHARS_MAX).contains(&name.value.trim().chars().count()) {
                add(FindingCode::ValueInvalid, "name");
            }
            if plain(&name.value) == plain(against.site_name) {
                add(FindingCode::OwnCompany, "name");
            }
        }
    }
    let email = customer.email.as_ref();
    if email.is_some_and(|email| posx_tenancy::EmailAddress::parse(&email.value).is_err()) {
        add(FindingCode::ValueInvalid, "email");
    }
    let is_country = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
    if customer
        .country
        .as_ref()
        .is_some_and(|country| !is_country(&country.value))
    {
        add(FindingCode::ValueInvalid, "country");
    }
    let is_phone = |text: &str| {
        let known = |c: char| c.is_ascii_digit() || " +-./()".contains(c);
        text.chars().count() <= PHONE_CHARS_MAX
            && text.chars().all(known)
            && text.contains(|c: char| c.is_ascii_digit())
    };
    if customer
        .phone
        .as_ref()
        .is_some_and(|phone| !is_phone(&phone.value))
    {
        add(FindingCode::ValueInvalid, "phone");
    }
    if against.known.tax_number_taken {
        add(FindingCode::CustomerKnown, "tax_number");
    }
    if against.known.name_known {
        add(FindingCode::CustomerNameKnown, "name");
    }
    tax_number("tax_number", customer.tax_number.as_ref(), findings);
}
