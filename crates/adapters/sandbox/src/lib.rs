//! Faithful stand-ins of the outside world, for the demo and the tests: a payment provider as Stripe, a custodian as
//! Fireblocks, an OIDC issuer, a provider of language models as OpenAI. One HTTP server on this machine, so that the world goes on while processes of POSX are
//! killed, with handles to look behind the counter and to make things go wrong; and thin clients that implement the
//! ports of orders and allocations against it.
//!
//! Invariants, by the numbers of semantics.md:
//! * A key with the same parameters gives the first answer again, a stored 500 too, for a day; with others it is an
//!   error; what was refused for its shape stores nothing (S02–S05, F04).
//! * A declined card leaves its intent open; only `succeeded` and `canceled` are ends; refunds, pending ones included,
//!   never exceed what was received (S11–S13, S33). A disputed payment is not refunded (S36).
//! * An external id has one transfer, for ever; a second one with it is refused (F05). A transfer only moves forward.
//! * A lost answer is lost after the effect: what was asked for exists.
//! * Every webhook is truly signed, at each try, and may come late, twice, out of order, or not at all.
//! * The clients talk to this machine only, and the server listens on it only: nothing here reaches real money.
//! * Instants come from the world's clock; waiting (latency, back-off, a transfer's steps) takes real time.
//! * The fault panel makes the same things go wrong over HTTP, for who has its key. It never hands out another secret.
//!
//! Nothing is kept: a world that ends is forgotten.

mod custodian;
mod env;
mod issuer;
mod keys;
mod line;
mod models;
mod panel;
mod payments;
mod transport;
mod webhooks;
mod world;

pub use custodian::{
    Custodian, CustodianError, CustodyCall, Drive, End, SandboxCustody, SandboxTransfer, TransferStatus,
};
pub use issuer::{Flaw, Issuer, IssuerCall, TokenRequest};
pub use keys::{KeyError, OldKeys, WorldKeys};
pub use line::{Fault, Line};
pub use models::{LanguageModels, ModelsCall};
pub use panel::Panel;
pub use payments::{
    ApiError, DisputeStatus, IntentStatus, PaymentCall, PaymentFailure, PaymentIntent, Payments,
    RefundStatus, STRIPE_API_VERSION, SandboxDispute, SandboxGateway, SandboxLine, SandboxLines,
    SandboxPayouts, SandboxRefund,
};
pub use transport::{ClientError, TransportError};
pub use webhooks::{Delivery, DeliveryPlan, Notice, Outcome, RetryPolicy, Webhooks};
pub use world::{Secrets, World, WorldConfig, WorldError};
