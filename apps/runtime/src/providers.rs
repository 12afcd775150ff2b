//! The outside systems that the settings name.

use std::sync::Arc;

use posx_allocations::custody::Custody;
use posx_orders::gateway::PaymentGateway;
use posx_sandbox::{SandboxCustody, SandboxGateway};
use secrecy::ExposeSecret as _;

use crate::{CustodyProvider, CustodySettings, PaymentProvider, PaymentSettings, Settings, StartError};

/// Who is called for payments and for transfers.
#[derive(Debug, Clone)]
pub struct Providers {
    pub payments: Arc<dyn PaymentGateway>,
    pub custody: Arc<dyn Custody>,
}

pub(crate) fn of_settings(settings: &Settings) -> Result<Providers, StartError> {
    Ok(Providers {
        payments: payments(settings)?,
        custody: custody(settings)?,
    })
}

fn payments(settings: &Settings) -> Result<Arc<dyn PaymentGateway>, StartError> {
    match settings.payments.provider {
        PaymentProvider::Sandbox => {
            let PaymentSettings {
                base_url, secret_key, ..
            } = &settings.payments;
            match SandboxGateway::new(base_url, secret_key.expose_secret()) {
                Ok(gateway) => Ok(Arc::new(gateway)),
                Err(source) => Err(StartError::Provider {
                    kind: "payment",
                    source: Box::new(source),
                }),
            }
        }
        PaymentProvider::Stripe => Err(StartError::NoAdapter {
            kind: "payment",
            name: "stripe",
        }),
    }
}

fn custody(settings: &Settings) -> Result<Arc<dyn Custody>, StartError> {
    match settings.custody.provider {
        CustodyProvider::Sandbox => {
            let CustodySettings {
                base_url, api_key, ..
            } = &settings.custody;
            match SandboxCustody::new(base_url, api_key.expose_secret()) {
                Ok(custody) => Ok(Arc::new(custody)),
                Err(source) => Err(StartError::Provider {
                    kind: "custody",
                    source: Box::new(source),
                }),
            }
        }
        CustodyProvider::Fireblocks => Err(StartError::NoAdapter {
            kind: "custody",
            name: "fireblocks",
        }),
    }
}
