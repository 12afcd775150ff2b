//! Customers: parties that a site keeps a record of. They need no login.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    Begin, Clock, Event, IdempotentCall, IdempotentTx, Ids, KeyRefusal, Kind, Made, Page, PageRequest,
    PartyId, Randomness, Refusal, SiteScope, StoreError, Timestamp, made_before_in_tx, remember_in_tx,
};
use serde::Serialize;
use serde_json::json;

use crate::{EmailAddress, ReferralCode, Site, TenancyTx};

const NAME_CHARS_MAX: usize = 200;
const PHONE_CHARS_MAX: usize = 40;
const ADDRESS_CHARS_MAX: usize = 500;

#[derive(Debug, thiserror::Error)]
pub enum CustomerError {
    #[error("there is no such customer")]
    NotFound,
    #[error("a customer with this tax number is there already")]
    Taken,
    #[error("a name has 1 to 200 characters")]
    Name,
    #[error("a tax number is two letters of a country and 4 to 18 letters and digits")]
    TaxNumber,
    #[error("not an e-mail address")]
    Email,
    #[error("a phone number has 1 to 40 characters")]
    Phone,
    #[error("a country is two letters (ISO 3166)")]
    Country,
    #[error("an address has 1 to 500 characters")]
    Address,
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for CustomerError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "customer_not_found",
            Self::Taken => "customer_taken",
            Self::Name => "customer_name_invalid",
            Self::TaxNumber => "customer_tax_number_invalid",
            Self::Email => "customer_email_invalid",
            Self::Phone => "customer_phone_invalid",
            Self::Country => "customer_country_invalid",
            Self::Address => "customer_address_invalid",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Taken => Kind::Conflict,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
            _ => Kind::Invalid,
        }
    }

    fn field(&self) -> Option<std::borrow::Cow<'static, str>> {
        let field = match self {
            Self::Name => "name",
            Self::Taken | Self::TaxNumber => "tax_number",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Country => "country",
            Self::Address => "address",
            Self::NotFound | Self::Key(_) | Self::Store(_) => return None,
        };
        Some(field.into())
    }
}

/// As typed. Personal data: it does not print.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NewCustomer {
    pub name: String,
    pub tax_number: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub country: Option<String>,
    pub address: Option<String>,
}

impl std::fmt::Debug for NewCustomer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCustomer").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    pub party: PartyId,
    /// As it is stored: checked, without blanks around it.
    pub record: NewCustomer,
    pub created_at: Timestamp,
}

#[async_trait]
pub trait CustomerRepository: Send {
    /// Stores the party, which has no login, and its record. False: a customer has this tax number; nothing is stored.
    async fn insert(&mut self, customer: &Customer, code: &ReferralCode) -> Result<bool, StoreError>;
}

/// A transaction in which customers can be made.
pub trait CustomersTx: TenancyTx + IdempotentTx {
    fn customers(&mut self) -> &mut dyn CustomerRepository;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CustomerView {
    /// The party's: orders of the customer name it.
    pub id: PartyId,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    pub created_at: DateTime<Utc>,
}

#[async_trait]
pub trait CustomerQueries: Send + Sync {
    /// Newest first.
    async fn list(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<CustomerView>, StoreError>;
    async fn get(&self, scope: &SiteScope, id: PartyId) -> Result<Option<CustomerView>, StoreError>;
}

#[derive(Clone)]
pub struct Customers {
    db: Arc<dyn Begin<dyn CustomersTx>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for Customers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Customers").finish_non_exhaustive()
    }
}

impl Customers {
    pub fn new(
        db: Arc<dyn Begin<dyn CustomersTx>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            db,
            clock,
            ids,
            randomness,
        }
    }

    pub async fn register(
        &self,
        scope: &SiteScope,
        site: &Site,
        wish: NewCustomer,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<PartyId>, CustomerError> {
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, CustomerError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        let id = self.register_in_tx(tx.as_mut(), site, wish).await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(Made::now(id))
    }

    /// Joins the open transaction.
    pub async fn register_in_tx(
        &self,
        tx: &mut dyn CustomersTx,
        site: &Site,
        wish: NewCustomer,
    ) -> Result<PartyId, CustomerError> {
        let now = self.clock.now();
        let customer = Customer {
            party: PartyId::from_uuid(self.ids.uuid(now)),
            record: wish.checked()?,
            created_at: now,
        };
        let code = ReferralCode::random(&site.code, self.randomness.as_ref());
        if !tx.customers().insert(&customer, &code).await? {
            return Err(CustomerError::Taken);
        }
        let registered = Event {
            kind: "customer.registered",
            subject: customer.party.as_uuid(),
            payload: json!({}),
            at: now,
        };
        tx.outbox().append(registered).await?;
        Ok(customer.party)
    }
}

impl NewCustomer {
    fn checked(self) -> Result<Self, CustomerError> {
        let tax_number = self.tax_number.map(|text| tax_number(&text)).transpose()?;
        let email = self.email.map(|text| EmailAddress::parse(&text)).transpose();
        let email = email.map_err(|_| CustomerError::Email)?;
        let country = self.country.map(|text| text.trim().to_owned());
        let is_country = |text: &String| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        if !country.as_ref().is_none_or(is_country) {
            return Err(CustomerError::Country);
        }
        let phone = self
            .phone
            .map(|text| line(&text, PHONE_CHARS_MAX).ok_or(CustomerError::Phone));
        let address = self
            .address
            .map(|text| line(&text, ADDRESS_CHARS_MAX).ok_or(CustomerError::Address));
        Ok(Self {
            name: line(&self.name, NAME_CHARS_MAX).ok_or(CustomerError::Name)?,
            tax_number,
            email: email.map(|email| email.as_str().to_owned()),
            phone: phone.transpose()?,
            country,
            address: address.transpose()?,
        })
    }
}

fn line(text: &str, chars_max: usize) -> Option<String> {
    let text = text.trim();
    let shown = text.chars().all(|c| !c.is_control() || c == '\n');
    (shown && (1..=chars_max).contains(&text.chars().count())).then(|| text.to_owned())
}

/// Without blanks and punctuation, in upper case. Its check digits are who knows the country's rule to judge.
fn tax_number(text: &str) -> Result<String, CustomerError> {
    let kept = text
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '.' | '-' | '/'));
    let text: String = kept.map(|c| c.to_ascii_uppercase()).collect();
    let known = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let fine =
        (6..=20).contains(&text.len()) && known && text.as_bytes()[..2].iter().all(u8::is_ascii_uppercase);
    fine.then_some(text).ok_or(CustomerError::TaxNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_stored_as_it_is_looked_for() {
        let typed = NewCustomer {
            name: " Acme GmbH ".into(),
            tax_number: Some("de 136.695.976".into()),
            country: Some("DE".into()),
            ..NewCustomer::default()
        };
        let stored = typed.checked().unwrap();
        assert_eq!(
            (stored.name.as_str(), stored.tax_number.as_deref()),
            ("Acme GmbH", Some("DE136695976"))
        );
    }

    #[test]
    fn what_is_no_value_of_its_field_is_refused_by_its_name() {
        let with = |change: fn(&mut NewCustomer)| {
            let mut typed = NewCustomer {
                name: "Acme".into(),
                ..NewCustomer::default()
            };
            change(&mut typed);
            typed.checked().map(|_| ()).unwrap_err().code()
        };
        assert_eq!(with(|typed| typed.name = " ".into()), "customer_name_invalid");
        assert_eq!(
            with(|typed| typed.name = "a\u{7}".into()),
            "customer_name_invalid"
        );
        assert_eq!(
            with(|typed| typed.tax_number = Some("136695976".into())),
            "customer_tax_number_invalid"
        );
        assert_eq!(
            with(|typed| typed.tax_number = Some("Ü1234567".into())),
            "customer_tax_number_invalid"
        );
        assert_eq!(
            with(|typed| typed.email = Some("nobody".into())),
            "customer_email_invalid"
        );
        assert_eq!(
            with(|typed| typed.country = Some("Germany".into())),
            "customer_country_invalid"
        );
        assert_eq!(
            with(|typed| typed.phone = Some("1".repeat(41))),
            "customer_phone_invalid"
        );
        assert_eq!(
            with(|typed| typed.address = Some(String::new())),
            "customer_address_invalid"
        );
    }
}
