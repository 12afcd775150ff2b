//! Connected accounts and transfers to them, by rules S43 to S48.

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use posx_kernel::{Currency, Money, Timestamp};
use serde_json::{Value, json};

use super::book::{Book, Effect};
use super::error::ApiError;
use super::http::{Answered, FormBody, IntentPath, QueryPairs, form, key, path, query_pairs, required_key};
use super::params::{Metadata, Params, Slice};
use super::{PaymentCall, Payments};
use crate::env::{Env, lock};

const LINK_SECONDS: i64 = 300;

/// An account that may be transferred to once its owner has filled it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectAccount {
    pub id: String,
    pub country: String,
    pub ready: bool,
    pub metadata: Metadata,
}

/// Money that went to a connected account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTransfer {
    pub id: String,
    pub destination: String,
    pub amount: Money,
    pub reversed: Money,
    pub group: Option<String>,
    pub metadata: Metadata,
    pub created: Timestamp,
}

impl ConnectAccount {
    fn json(&self) -> Value {
        let (transfers, due, disabled) = if self.ready {
            ("active", json!([]), Value::Null)
        } else {
            (
                "inactive",
                json!(["external_account"]),
                json!("requirements.past_due"),
            )
        };
        json!({
            "id": self.id,
            "object": "account",
            "type": "express",
            "country": self.country,
            "details_submitted": self.ready,
            "charges_enabled": false,
            "payouts_enabled": self.ready,
            "capabilities": { "transfers": transfers },
            "requirements": { "disabled_reason": disabled, "currently_due": due, "current_deadline": null },
            "metadata": self.metadata,
        })
    }
}

impl ConnectTransfer {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "transfer",
            "amount": self.amount.minor(),
            "amount_reversed": self.reversed.minor(),
            "created": self.created.timestamp(),
            "currency": self.amount.currency().code().to_ascii_lowercase(),
            "destination": self.destination,
            "livemode": false,
            "metadata": self.metadata,
            "reversed": self.reversed == self.amount,
            "source_transaction": null,
            "transfer_group": self.group,
        })
    }
}

/// What is asked, after its shape was checked.
struct TransferRequest {
    destination: String,
    amount: Money,
    group: Option<String>,
    metadata: Metadata,
}

impl Book {
    fn open_account(&mut self, env: &Env, country: String, metadata: Metadata) -> Effect {
        let account = ConnectAccount {
            id: env.stripe_id("acct"),
            country,
            ready: false,
            metadata,
        };
        let json = account.json();
        self.accounts.push(account);
        (Ok(json), Vec::new())
    }

    fn account(&self, id: &str) -> Result<&ConnectAccount, ApiError> {
        let found = self.accounts.iter().find(|account| account.id == id);
        found.ok_or_else(|| ApiError::not_found("account", id))
    }

    fn transfer(&mut self, env: &Env, request: TransferRequest) -> Effect {
        match self.try_transfer(env, request) {
            Ok(transfer) => {
                let json = transfer.json();
                self.transfers.push(transfer);
                (Ok(json.clone()), vec![("transfer.created", json)])
            }
            Err(error) => (Err(error), Vec::new()),
        }
    }

    fn try_transfer(&self, env: &Env, request: TransferRequest) -> Result<ConnectTransfer, ApiError> {
        if !self.account(&request.destination)?.ready {
            let message = "Your destination account needs to have the transfers capability enabled.";
            return Err(ApiError::invalid(message).code("insufficient_capabilities_for_transfer"));
        }
        if self.short_of_balance {
            let message = "You have insufficient available funds in your Stripe account.";
            return Err(ApiError::invalid(message).code("balance_insufficient"));
        }
        Ok(ConnectTransfer {
            id: env.stripe_id("tr"),
            destination: request.destination,
            reversed: Money::zero(request.amount.currency()),
            amount: request.amount,
            group: request.group,
            metadata: request.metadata,
            created: env.now(),
        })
    }

    fn find_transfer(&self, id: &str) -> Result<Value, ApiError> {
        let found = self.transfers.iter().find(|transfer| transfer.id == id);
        found
            .map(ConnectTransfer::json)
            .ok_or_else(|| ApiError::not_found("transfer", id))
    }

    /// Newest first, as the provider lists them.
    fn list_transfers(&self, group: Option<&str>, slice: Slice<'_>) -> Result<Value, ApiError> {
        let mut wanted = self
            .transfers
            .iter()
            .rev()
            .filter(|transfer| group.is_none() || transfer.group.as_deref() == group);
        if let Some(after) = slice.after
            && !wanted.by_ref().any(|transfer| transfer.id == after)
        {
            return Err(ApiError::not_found("transfer", after));
        }
        let page: Vec<Value> = wanted
            .by_ref()
            .take(slice.limit)
            .map(ConnectTransfer::json)
            .collect();
        let has_more = wanted.next().is_some();
        Ok(json!({ "object": "list", "url": "/v1/transfers", "has_more": has_more, "data": page }))
    }

    fn reverse(&mut self, id: &str, minor: i64) -> Effect {
        let Some(transfer) = self.transfers.iter_mut().find(|transfer| transfer.id == id) else {
            return (Err(ApiError::not_found("transfer", id)), Vec::new());
        };
        let (amount, reversed) = (transfer.amount, transfer.reversed.minor() + minor);
        if minor < 1 || reversed > amount.minor() {
            return (
                Err(ApiError::invalid("More cannot be reversed than was transferred.")),
                Vec::new(),
            );
        }
        transfer.reversed = Money::from_minor(reversed, amount.currency());
        let json = transfer.json();
        (Ok(json.clone()), vec![("transfer.reversed", json)])
    }
}

impl Payments {
    /// In the order in which they were opened.
    pub fn accounts(&self) -> Vec<ConnectAccount> {
        lock(&self.inner.book).accounts.clone()
    }

    /// Oldest first.
    pub fn transfers(&self) -> Vec<ConnectTransfer> {
        lock(&self.inner.book).transfers.clone()
    }

    /// The owner of a connected account has told all that is asked for; or something of it does not hold any more.
    pub fn set_account_ready(&self, account: &str, ready: bool) -> Result<(), ApiError> {
        let mut book = lock(&self.inner.book);
        let found = book.accounts.iter_mut().find(|one| one.id == account);
        found
            .ok_or_else(|| ApiError::not_found("account", account))?
            .ready = ready;
        Ok(())
    }

    /// From now on transfers are refused for want of money, and not tried again (S44).
    pub fn set_short_of_balance(&self, short: bool) {
        lock(&self.inner.book).short_of_balance = short;
    }

    pub(crate) fn is_short_of_balance(&self) -> bool {
        lock(&self.inner.book).short_of_balance
    }

    /// Takes so much of a transfer back, in its currency's minor units (S45).
    pub fn reverse_transfer(&self, transfer: &str, minor: i64) -> Result<(), ApiError> {
        self.apply(|book, _| book.reverse(transfer, minor)).map(drop)
    }
}

pub(super) fn router() -> Router<Payments> {
    Router::new()
        .route("/v1/accounts", post(open_account))
        .route("/v1/accounts/{id}", get(retrieve_account))
        .route("/v1/account_links", post(link_account))
        .route("/v1/transfers", post(create_transfer).get(list_transfers))
        .route("/v1/transfers/{id}", get(retrieve_transfer))
}

async fn open_account(State(payments): State<Payments>, headers: HeaderMap, body: FormBody) -> Answered {
    let call = PaymentCall::CreateAccount;
    payments.arrive(call)?;
    payments.server_call(&headers)?;
    let pairs = form(body)?;
    let params = Params::read(
        &pairs,
        &["type", "country", "email", "capabilities[transfers][requested]"],
    )?;
    let country = params.required("country")?.to_owned();
    let keyed = required_key(&headers, "/v1/accounts", &pairs)?;
    let metadata = params.into_metadata();
    Ok(payments
        .perform(call, Some(keyed), move |book, env| {
            book.open_account(env, country, metadata)
        })
        .await)
}

async fn retrieve_account(State(payments): State<Payments>, headers: HeaderMap, id: IntentPath) -> Answered {
    let call = PaymentCall::RetrieveAccount;
    payments.arrive(call)?;
    payments.server_call(&headers)?;
    let id = path(id)?;
    Ok(payments.look_up(call, |book| Ok(book.account(&id)?.json())).await)
}

async fn link_account(State(payments): State<Payments>, headers: HeaderMap, body: FormBody) -> Answered {
    let call = PaymentCall::LinkAccount;
    payments.arrive(call)?;
    payments.server_call(&headers)?;
    let pairs = form(body)?;
    let params = Params::read(&pairs, &["account", "refresh_url", "return_url", "type"])?;
    let account = params.required("account")?.to_owned();
    params.required("return_url")?;
    let keyed = key(&headers, "/v1/account_links", &pairs)?;
    Ok(payments
        .perform(call, keyed, move |book, env| {
            let link = book.account(&account).map(|account| {
                let url = format!("https://connect.sandbox.invalid/setup/{}", account.id);
                let expires_at = env.now().timestamp() + LINK_SECONDS;
                json!({ "object": "account_link", "url": url, "expires_at": expires_at })
            });
            (link, Vec::new())
        })
        .await)
}

async fn create_transfer(State(payments): State<Payments>, headers: HeaderMap, body: FormBody) -> Answered {
    let call = PaymentCall::CreateTransfer;
    payments.arrive(call)?;
    payments.server_call(&headers)?;
    let pairs = form(body)?;
    let request = transfer_request(&pairs)?;
    let keyed = required_key(&headers, "/v1/transfers", &pairs)?;
    Ok(payments
        .perform(call, Some(keyed), move |book, env| book.transfer(env, request))
        .await)
}

fn transfer_request(pairs: &super::params::Pairs) -> Result<TransferRequest, ApiError> {
    let params = Params::read(pairs, &["amount", "currency", "destination", "transfer_group"])?;
    let amount = params.integer("amount")?.filter(|amount| *amount > 0);
    let code = params.required("currency")?.to_ascii_uppercase();
    let currency = Currency::from_code(&code)
        .ok_or_else(|| ApiError::parameter("currency", "parameter_invalid_string", "Invalid currency."))?;
    Ok(TransferRequest {
        destination: params.required("destination")?.to_owned(),
        amount: Money::from_minor(amount.ok_or_else(|| ApiError::missing("amount"))?, currency),
        group: params.text("transfer_group").map(str::to_owned),
        metadata: params.into_metadata(),
    })
}

async fn retrieve_transfer(State(payments): State<Payments>, headers: HeaderMap, id: IntentPath) -> Answered {
    let call = PaymentCall::RetrieveTransfer;
    payments.arrive(call)?;
    payments.server_call(&headers)?;
    let id = path(id)?;
    Ok(payments.look_up(call, |book| book.find_transfer(&id)).await)
}

async fn list_transfers(State(payments): State<Payments>, headers: HeaderMap, query: QueryPairs) -> Answered {
    let call = PaymentCall::ListTransfers;
    payments.arrive(call)?;
    payments.server_call(&headers)?;
    let pairs = query_pairs(query)?;
    let params = Params::read(&pairs, &[&["transfer_group"], &Slice::NAMES[..]].concat())?;
    let (group, slice) = (params.text("transfer_group"), Slice::of(&params)?);
    Ok(payments
        .look_up(call, |book| book.list_transfers(group, slice))
        .await)
}
