//! The Stripe adapter. One half listens: [`webhook`] proves that a delivery is Stripe's, [`event`] reads its envelope.
//! The other half asks: [`StripeClient`] is a thin client of the API, [`StripeGateway`] the port of orders on it.
//!
//! Invariants:
//! * Nothing of a delivery is parsed before its signature over the raw bytes holds: [`webhook::Delivery`] has one maker.
//! * There is no way to switch the signature or its age limit off: [`Tolerance`] is never zero.
//! * An event says *which* object changed, never what we owe: amounts, metadata and states are read by asking Stripe.
//! * No error and no `Debug` shows a secret, a signature, or what Stripe's messages quote.
//! * Nothing is posted without an idempotency key, and it is the same for every try. Only what Stripe says may be tried
//!   again is; what may have happened is asked for (S02–S08).
//! * Every answer that says its mode is compared with the key's; an amount is checked before it is sent (S09).

mod accounts;
mod amount;
mod balance;
mod client;
mod connect;
mod disputes;
mod error;
pub mod event;
mod events;
mod gateway;
mod key;
mod lines;
mod payments;
mod payouts;
mod refunds;
mod transfers;
pub mod webhook;

pub use accounts::{AccountsError, OwnKeys, StripeAccounts};
pub use balance::{Balance, BalanceAmount, BalanceLine};
pub use client::{
    API_VERSION, ClientConfig, ClientError, Connection, IdempotencyKey, IdempotencyKeyError, Metadata, Page,
    RetryPolicy, StripeClient,
};
pub use connect::{Capability, ConnectedAccount, NewConnectedAccount, OnboardingLink, Requirements};
pub use disputes::{Dispute, DisputeStatus};
pub use error::{Refusal, StripeError};
pub use event::{
    AccountNotice, EventError, EventObject, Notice, PaymentIntentChange, PaymentIntentNotice, StripeEvent,
};
pub use events::MissedEvent;
pub use gateway::StripeGateway;
pub use key::{KeyError, Mode, StripeKey};
pub use lines::StripeLines;
pub use payments::{NewPaymentIntent, PaymentIntent, Window};
pub use payouts::StripePayouts;
pub use refunds::{NewRefund, Refund};
pub use transfers::{NewTransfer, Reversal, Reversed, Transfer};
pub use webhook::{
    Delivery, SIGNATURE_HEADER, SecretError, SignatureError, SigningSecret, Tolerance, ToleranceError, verify,
};
