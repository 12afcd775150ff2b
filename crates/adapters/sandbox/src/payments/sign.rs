//! `Stripe-Signature: t=…,v1=…`: HMAC-SHA256 over `t.body`, one `v1` for each live secret.

use std::fmt::Write as _;
use std::sync::Mutex;

use aws_lc_rs::hmac;
use posx_kernel::Timestamp;

use crate::env::lock;
use crate::webhooks::Sign;

pub(super) struct Signer {
    secrets: Mutex<Vec<String>>,
}

impl Signer {
    pub(super) fn new(secrets: Vec<String>) -> Self {
        Self {
            secrets: Mutex::new(secrets),
        }
    }

    pub(super) fn set_secrets(&self, secrets: Vec<String>) {
        *lock(&self.secrets) = secrets;
    }
}

impl Sign for Signer {
    fn headers(&self, body: &[u8], now: Timestamp) -> Vec<(&'static str, String)> {
        let mut header = format!("t={}", now.timestamp());
        let message = [now.timestamp().to_string().as_bytes(), b".", body].concat();
        for secret in lock(&self.secrets).iter() {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            let signature = hex::encode(hmac::sign(&key, &message));
            let _ = write!(header, ",v1={signature}");
        }
        vec![("stripe-signature", header)]
    }

    /// Anything but 2xx.
    fn retries(&self, _status: u16) -> bool {
        true
    }
}
