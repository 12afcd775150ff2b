//! A provider that moves money to agents, and a keeper of secrets, in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_kernel::{Money, PayoutId, Sealed, SecretError, SecretKeeper, SecretPlace, SiteId};
use secrecy::SecretSlice;

use crate::payout_gateway::{
    NewRecipient, Onboarding, PayoutGateway, PayoutGatewayError, SendPayout, Standing, Transfer,
};

/// What becomes of one sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendFault {
    /// It arrived; the answer did not.
    LoseAnswer,
    /// It did not arrive.
    LoseRequest,
    Refuse(&'static str),
}

#[derive(Debug, Default)]
struct Provider {
    transfers: Vec<(String, Transfer)>,
    faults: VecDeque<SendFault>,
    not_ready: Vec<String>,
    /// Accounts, and why.
    disabled: Vec<(String, String)>,
    gone: Vec<String>,
    sends: usize,
}

/// Keeps keys as a provider does: the same key is the same transfer. A clone is a handle on the same.
#[derive(Debug, Clone, Default)]
pub struct FakePayoutGateway {
    provider: Arc<Mutex<Provider>>,
}

impl FakePayoutGateway {
    fn provider(&self) -> MutexGuard<'_, Provider> {
        self.provider.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn fail_next(&self, fault: SendFault) {
        self.provider().faults.push_back(fault);
    }

    pub fn set_ready(&self, account: &str, ready: bool) {
        let mut provider = self.provider();
        provider.not_ready.retain(|one| one != account);
        if !ready {
            provider.not_ready.push(account.to_owned());
        }
    }

    /// The provider restricts the account, and says why.
    pub fn disable(&self, account: &str, why: &str) {
        self.set_ready(account, false);
        self.provider()
            .disabled
            .push((account.to_owned(), why.to_owned()));
    }

    pub fn enable(&self, account: &str) {
        self.set_ready(account, true);
        self.provider().disabled.retain(|(one, _)| one != account);
    }

    /// Its owner has cut it off from us.
    pub fn disconnect(&self, account: &str) {
        self.provider().gone.push(account.to_owned());
    }

    pub fn transfers(&self) -> Vec<Transfer> {
        self.provider()
            .transfers
            .iter()
            .map(|(_, one)| one.clone())
            .collect()
    }

    /// How often something was asked to be sent.
    pub fn sends(&self) -> usize {
        self.provider().sends
    }

    /// So much of a transfer is taken back in all.
    pub fn reverse(&self, reference: &str, reversed: Money) {
        for (_, transfer) in &mut self.provider().transfers {
            if transfer.reference == reference {
                transfer.reversed = reversed;
            }
        }
    }
}

fn lost() -> PayoutGatewayError {
    PayoutGatewayError::Unknown("no answer".into())
}

#[async_trait]
impl PayoutGateway for FakePayoutGateway {
    async fn open_account(&self, new: &NewRecipient<'_>) -> Result<String, PayoutGatewayError> {
        Ok(format!("acct_{}_{}", new.agent.as_uuid().simple(), new.version))
    }

    async fn onboarding(
        &self,
        _site: SiteId,
        account: &str,
        _refresh_url: &str,
        _return_url: &str,
    ) -> Result<Onboarding, PayoutGatewayError> {
        Ok(Onboarding {
            url: format!("https://provider.example/{account}"),
            expires_at: super::at(1),
        })
    }

    async fn standing(&self, _site: SiteId, account: &str) -> Result<Option<Standing>, PayoutGatewayError> {
        let provider = self.provider();
        if account == "acct_nobody" || provider.gone.iter().any(|one| one == account) {
            return Ok(None);
        }
        let ready = !provider.not_ready.iter().any(|one| one == account);
        let missing = if ready {
            None
        } else {
            Some("external_account".to_owned())
        };
        let disabled = provider.disabled.iter().find(|(one, _)| one == account);
        Ok(Some(Standing {
            payouts_enabled: ready,
            charges_enabled: ready,
            disabled_reason: disabled.map(|(_, why)| why.clone()),
            missing: missing.into_iter().collect(),
        }))
    }

    async fn send(&self, request: &SendPayout) -> Result<Transfer, PayoutGatewayError> {
        let mut provider = self.provider();
        provider.sends += 1;
        if provider.not_ready.contains(&request.account) {
            let code = "insufficient_capabilities_for_transfer".to_owned();
            return Err(PayoutGatewayError::Refused { code });
        }
        let fault = provider.faults.pop_front();
        match fault {
            Some(SendFault::Refuse(code)) => {
                return Err(PayoutGatewayError::Refused {
                    code: code.to_owned(),
                });
            }
            Some(SendFault::LoseRequest) => return Err(lost()),
            Some(SendFault::LoseAnswer) | None => {}
        }
        let key = format!("{}-{}", request.payout, request.attempt);
        let known = provider.transfers.iter().find(|(one, _)| *one == key);
        let transfer = if let Some((_, transfer)) = known {
            transfer.clone()
        } else {
            let transfer = Transfer {
                reference: format!("tr_{}_{}", request.payout.as_uuid().simple(), request.attempt),
                payout: Some(request.payout),
                amount: request.amount,
                reversed: Money::zero(request.amount.currency()),
            };
            provider.transfers.push((key, transfer.clone()));
            transfer
        };
        if fault.is_some() {
            Err(lost())
        } else {
            Ok(transfer)
        }
    }

    async fn find(&self, _site: SiteId, payout: PayoutId) -> Result<Option<Transfer>, PayoutGatewayError> {
        let of_it = |one: &Transfer| one.payout == Some(payout);
        Ok(self.transfers().into_iter().find(of_it))
    }

    async fn transfer(&self, _site: SiteId, reference: &str) -> Result<Option<Transfer>, PayoutGatewayError> {
        Ok(self
            .transfers()
            .into_iter()
            .find(|one| one.reference == reference))
    }
}

/// Binds what it keeps to its place, and hides nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct FakeKeeper;

fn sign(place: &SecretPlace) -> String {
    format!("{}/{}/{}/{}:", place.site, place.table, place.row, place.column)
}

#[async_trait]
impl SecretKeeper for FakeKeeper {
    async fn seal(&self, place: &SecretPlace, secret: &[u8]) -> Result<Sealed, SecretError> {
        Ok(Sealed::from_bytes([sign(place).as_bytes(), secret].concat()))
    }

    async fn open(&self, place: &SecretPlace, sealed: &Sealed) -> Result<SecretSlice<u8>, SecretError> {
        let secret = sealed.as_bytes().strip_prefix(sign(place).as_bytes());
        let secret = secret.ok_or(SecretError::Refused)?;
        Ok(SecretSlice::from(secret.to_vec()))
    }
}
