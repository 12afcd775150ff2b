//! Which secrets sign the deliveries of Stripe.

use std::collections::HashMap;

use posx_stripe::{SigningSecret, Tolerance};
use posx_tenancy::SiteCode;
use secrecy::SecretString;

use crate::{PaymentSettings, StartError};

/// What [`posx_stripe::verify`] needs besides the delivery: an endpoint without secrets is not there.
#[derive(Debug)]
pub struct StripeWebhooks {
    /// Of the endpoint for every site that has none of its own.
    pub shared: Vec<SigningSecret>,
    /// Of the endpoint for events of connected accounts.
    pub connect: Vec<SigningSecret>,
    /// Of the sites that have an endpoint of their own.
    pub sites: HashMap<SiteCode, Vec<SigningSecret>>,
    pub tolerance: Tolerance,
}

impl StripeWebhooks {
    pub(crate) fn new(settings: &PaymentSettings) -> Result<Self, StartError> {
        let secrets = |of: &[SecretString]| {
            let secrets = of.iter().map(SigningSecret::new);
            secrets
                .collect::<Result<Vec<_>, _>>()
                .map_err(StartError::WebhookSecret)
        };
        let mut sites = HashMap::new();
        for account in &settings.accounts {
            if let Some(code) = SiteCode::new(&account.site)
                && !account.webhook_secrets.is_empty()
            {
                sites.insert(code, secrets(&account.webhook_secrets)?);
            }
        }
        Ok(Self {
            shared: secrets(&settings.webhook_secrets)?,
            connect: secrets(&settings.connect_webhook_secrets)?,
            sites,
            tolerance: Tolerance::default(),
        })
    }
}
