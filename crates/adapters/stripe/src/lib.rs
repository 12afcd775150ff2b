//! The Stripe adapter. For now the half that listens: [`webhook`] proves that a delivery is Stripe's, [`event`] reads
//! its envelope. The half that calls Stripe comes with its own issue.
//!
//! Invariants:
//! * Nothing of a delivery is parsed before its signature over the raw bytes holds: [`webhook::Delivery`] has one maker.
//! * There is no way to switch the signature or its age limit off: [`Tolerance`] is never zero.
//! * An event says *which* object changed, never what we owe: amounts, metadata and states are read by asking Stripe.
//! * No error and no `Debug` shows a secret or a signature.

pub mod event;
pub mod webhook;

pub use event::{EventError, EventObject, PaymentIntentChange, PaymentIntentNotice, StripeEvent};
pub use webhook::{
    Delivery, SIGNATURE_HEADER, SecretError, SignatureError, SigningSecret, Tolerance, ToleranceError, verify,
};
