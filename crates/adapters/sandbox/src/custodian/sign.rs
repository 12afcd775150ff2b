//! `Fireblocks-Webhook-Signature`: a detached JWS (RFC 7515 appendix F), RS512, over the raw body.

use std::sync::Arc;

use posx_kernel::Timestamp;
use serde_json::json;

use crate::keys::{Algorithm, KeyRing, segment};
use crate::webhooks::Sign;

pub(super) struct Signer {
    pub(super) keys: Arc<KeyRing>,
}

impl Sign for Signer {
    fn headers(&self, body: &[u8], _now: Timestamp) -> Vec<(&'static str, String)> {
        let key = self.keys.current();
        let header = segment(json!({ "alg": "RS512", "kid": key.kid }).to_string());
        let message = format!("{header}.{}", segment(body));
        match key.sign(Algorithm::Rs512, message.as_bytes()) {
            Ok(signature) => vec![(
                "fireblocks-webhook-signature",
                format!("{header}..{}", segment(signature)),
            )],
            // Unsigned, it is refused and shows in the deliveries.
            Err(error) => {
                tracing::error!(%error, "a webhook goes out unsigned");
                Vec::new()
            }
        }
    }

    /// A 4xx is final, but for 408 and 429 (F21).
    fn retries(&self, status: u16) -> bool {
        !matches!(status, 400..=499) || matches!(status, 408 | 429)
    }
}
