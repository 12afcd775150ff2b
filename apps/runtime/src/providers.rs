//! The outside systems that the settings name.

use std::sync::Arc;

use posx_allocations::custody::Custody;
use posx_orders::gateway::PaymentGateway;

use crate::{CustodyProvider, PaymentProvider, Settings, StartError};

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
        PaymentProvider::Sandbox => Err(StartError::NoAdapter {
            kind: "payment",
            name: "sandbox",
        }),
        PaymentProvider::Stripe => Err(StartError::NoAdapter {
            kind: "payment",
            name: "stripe",
        }),
    }
}

fn custody(settings: &Settings) -> Result<Arc<dyn Custody>, StartError> {
    match settings.custody.provider {
        CustodyProvider::Sandbox => Err(StartError::NoAdapter {
            kind: "custody",
            name: "sandbox",
        }),
        CustodyProvider::Fireblocks => Err(StartError::NoAdapter {
            kind: "custody",
            name: "fireblocks",
        }),
    }
}
