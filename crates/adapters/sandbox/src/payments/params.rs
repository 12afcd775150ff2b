//! Form parameters: `amount=1000&currency=usd&metadata[order_id]=…`. An unknown one is refused, as at the real provider.

use std::collections::BTreeMap;

use posx_kernel::{Currency, Money, Timestamp};

use super::error::ApiError;
use super::refund::RefundRequest;

/// As many decimal digits as a charge may have.
const AMOUNT_MAX: i64 = 99_999_999;
const METADATA_MAX: usize = 50;
const METADATA_NAME_MAX: usize = 40;
const METADATA_VALUE_MAX: usize = 500;
const PAGE_DEFAULT: usize = 10;
const PAGE_MAX: usize = 100;

pub(super) type Pairs = Vec<(String, String)>;
pub(super) type Metadata = BTreeMap<String, String>;

pub(super) struct Params {
    plain: BTreeMap<String, String>,
    metadata: Metadata,
}

impl Params {
    /// `allowed` are the names without brackets at their front.
    pub(super) fn read(pairs: &Pairs, allowed: &[&str]) -> Result<Self, ApiError> {
        let mut params = Self {
            plain: BTreeMap::new(),
            metadata: Metadata::new(),
        };
        for (name, value) in pairs {
            if let Some(key) = name
                .strip_prefix("metadata[")
                .and_then(|rest| rest.strip_suffix(']'))
            {
                params.metadata.insert(key.to_owned(), value.clone());
            } else if allowed.contains(&name.as_str()) {
                params.plain.insert(name.clone(), value.clone());
            } else {
                return Err(ApiError::invalid("Received unknown parameter.").code("parameter_unknown"));
            }
        }
        let fits = params.metadata.len() <= METADATA_MAX
            && params.metadata.iter().all(|(key, value)| {
                key.chars().count() <= METADATA_NAME_MAX && value.chars().count() <= METADATA_VALUE_MAX
            });
        if !fits {
            return Err(ApiError::parameter(
                "metadata",
                "parameter_invalid",
                "Metadata is too large.",
            ));
        }
        Ok(params)
    }

    pub(super) fn text(&self, name: &'static str) -> Option<&str> {
        self.plain
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    pub(super) fn required(&self, name: &'static str) -> Result<&str, ApiError> {
        self.text(name).ok_or_else(|| ApiError::missing(name))
    }

    pub(super) fn into_metadata(self) -> Metadata {
        self.metadata
    }

    pub(super) fn integer(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| ApiError::parameter(name, "parameter_invalid_integer", "Invalid integer."))
            })
            .transpose()
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice<'a> {
    /// The last object of the part before.
    pub(super) after: Option<&'a str>,
    pub(super) limit: usize,
}

impl<'a> Slice<'a> {
    pub(super) const NAMES: [&'static str; 2] = ["limit", "starting_after"];

    pub(super) fn of(params: &'a Params) -> Result<Self, ApiError> {
        let limit = params.integer("limit")?.map_or(Some(PAGE_DEFAULT), |limit| {
            usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=PAGE_MAX).contains(limit))
        });
        let limit = limit.ok_or_else(|| {
            ApiError::parameter("limit", "parameter_invalid_integer", "It is from 1 to 100.")
        })?;
        let after = params.text("starting_after");
        Ok(Self { after, limit })
    }
}

/// When the objects of a list were created, in whole seconds since 1970.
#[derive(Debug)]
pub(super) struct Created {
    from: i64,
    to: i64,
}

impl Created {
    pub(super) const NAMES: [&'static str; 4] =
        ["created[gt]", "created[gte]", "created[lt]", "created[lte]"];

    pub(super) fn of(params: &Params) -> Result<Self, ApiError> {
        let [above, from, below, to] = Self::NAMES.map(|name| params.integer(name));
        let lower = [above?.map(|above| above.saturating_add(1)), from?];
        let upper = [below?.map(|below| below.saturating_sub(1)), to?];
        Ok(Self {
            from: lower.into_iter().flatten().max().unwrap_or(i64::MIN),
            to: upper.into_iter().flatten().min().unwrap_or(i64::MAX),
        })
    }

    pub(super) fn holds(&self, at: Timestamp) -> bool {
        (self.from..=self.to).contains(&at.timestamp())
    }
}

/// What a new intent is made of.
pub(super) fn intent(pairs: &Pairs) -> Result<(Money, Metadata), ApiError> {
    let allowed = [
        "amount",
        "currency",
        "description",
        "automatic_payment_methods[enabled]",
        "automatic_payment_methods[allow_redirects]",
    ];
    let params = Params::read(pairs, &allowed)?;
    let amount = params
        .integer("amount")?
        .ok_or_else(|| ApiError::missing("amount"))?;
    let code = params.required("currency")?;
    let currency = Some(code)
        .filter(|code| code.bytes().all(|byte| byte.is_ascii_lowercase()))
        .and_then(|code| Currency::from_code(&code.to_ascii_uppercase()))
        .ok_or_else(|| {
            ApiError::parameter(
                "currency",
                "parameter_invalid_string",
                "Invalid currency: use a code in lower case.",
            )
        })?;
    chargeable(amount, currency)?;
    Ok((Money::from_minor(amount, currency), params.metadata))
}

fn chargeable(amount: i64, currency: Currency) -> Result<(), ApiError> {
    let problem = |code, message: &str| Err(ApiError::parameter("amount", code, message));
    if amount < 1 {
        return problem("parameter_invalid_integer", "Amount must be a positive integer.");
    }
    if amount > AMOUNT_MAX {
        return problem("amount_too_large", "Amount must be no more than 99999999.");
    }
    if amount < currency.minimum_charge() {
        return problem(
            "amount_too_small",
            "Amount is below the minimum of this currency.",
        );
    }
    if amount % currency.charge_step() != 0 {
        return problem(
            "invalid_charge_amount",
            "Amount must be a multiple of this currency's step.",
        );
    }
    Ok(())
}

pub(super) fn refund(pairs: &Pairs) -> Result<RefundRequest, ApiError> {
    let params = Params::read(pairs, &["payment_intent", "amount", "reason"])?;
    let amount = params.integer("amount")?;
    if amount.is_some_and(|amount| amount < 1) {
        return Err(ApiError::parameter(
            "amount",
            "parameter_invalid_integer",
            "Amount must be a positive integer.",
        ));
    }
    Ok(RefundRequest {
        intent: params.required("payment_intent")?.to_owned(),
        amount,
        metadata: params.metadata,
    })
}

/// `metadata['name']:'value'`: the one form of query that the sandbox answers.
pub(super) fn metadata_query(query: &str) -> Option<(&str, &str)> {
    let (name, value) = query.strip_prefix("metadata['")?.split_once("']:'")?;
    let value = value.strip_suffix('\'')?;
    let plain = |text: &str| !text.contains(['\'', '\\']);
    (plain(name) && plain(value)).then_some((name, value))
}
