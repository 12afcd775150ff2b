//! A custodian that does as it is told: for what the faithful sandbox would do only by chance.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_kernel::{SiteId, TokenAmount};

use crate::CustodyAsset;
use crate::custody::{Custody, CustodyError, ExternalId, Transfer, TransferRequest};

/// How the next `submit` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Normal,
    /// The transfer is made; the answer is lost.
    LostOnTheWayBack,
    /// Nothing is made, and nobody knows.
    LostOnTheWayThere,
    Refused(&'static str),
}

#[derive(Debug, Default)]
struct State {
    transfers: BTreeMap<String, Transfer>,
    /// Every request that arrived, also those that were refused.
    arrived: Vec<TransferRequest>,
    /// Those that a transfer was made for.
    made: Vec<TransferRequest>,
    script: VecDeque<Answer>,
    /// So many look-ups from now on get no answer.
    deaf: usize,
    /// So many look-ups come too early to see what another worker is just sending.
    early: usize,
    lookups: usize,
    /// By vault and asset; `None` is a vault that has no wallet for it. What is not named is plenty.
    balances: BTreeMap<(String, String), Option<TokenAmount>>,
    /// So many questions for a balance get no answer.
    mute: usize,
    /// Whether it takes our credentials for wrong ones.
    locked_out: bool,
}

/// External ids are unique for ever, as at the real one.
#[derive(Debug, Default)]
pub struct FakeCustody {
    state: Mutex<State>,
}

impl FakeCustody {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After the script, every answer is normal.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().script.extend(answers);
    }

    pub fn lose_lookups(&self, count: usize) {
        self.state().deaf = count;
    }

    pub fn look_up_too_early(&self, count: usize) {
        self.state().early = count;
    }

    /// `None`: the vault has no wallet for the asset.
    pub fn set_balance(&self, vault: &str, asset: &str, balance: Option<TokenAmount>) {
        let wallet = (vault.to_owned(), asset.to_owned());
        self.state().balances.insert(wallet, balance);
    }

    pub fn lose_balances(&self, count: usize) {
        self.state().mute = count;
    }

    /// From now on our credentials are wrong, or right again.
    pub fn lock_out(&self, locked_out: bool) {
        self.state().locked_out = locked_out;
    }

    pub fn transfers(&self) -> Vec<Transfer> {
        self.state().transfers.values().cloned().collect()
    }

    pub fn arrived(&self) -> Vec<TransferRequest> {
        self.state().arrived.clone()
    }

    pub fn made(&self) -> Vec<TransferRequest> {
        self.state().made.clone()
    }

    pub fn lookups(&self) -> usize {
        self.state().lookups
    }

    /// Changes what the custodian holds under an external id.
    pub fn change(&self, external_id: &str, change: impl FnOnce(&mut Transfer)) {
        if let Some(transfer) = self.state().transfers.get_mut(external_id) {
            change(transfer);
        }
    }
}

impl State {
    fn let_in(&self) -> Result<(), CustodyError> {
        if self.locked_out {
            let code = "KEY_REVOKED".to_owned();
            return Err(CustodyError::NotAuthorized { code });
        }
        Ok(())
    }
}

fn lost() -> CustodyError {
    CustodyError::Unknown("the connection was lost".into())
}

#[async_trait]
impl Custody for FakeCustody {
    fn provider(&self) -> &'static str {
        "fake"
    }

    fn moves_real_tokens(&self) -> bool {
        false
    }

    async fn submit(&self, request: &TransferRequest) -> Result<Transfer, CustodyError> {
        let mut state = self.state();
        state.let_in()?;
        let answer = state.script.pop_front().unwrap_or(Answer::Normal);
        if answer == Answer::LostOnTheWayThere {
            return Err(lost());
        }
        state.arrived.push(request.clone());
        if state.transfers.contains_key(&request.external_id.0) {
            return Err(CustodyError::Duplicate);
        }
        if let Answer::Refused(code) = answer {
            return Err(CustodyError::Refused {
                code: code.to_owned(),
            });
        }
        state.made.push(request.clone());
        let transfer = Transfer {
            provider_id: format!("tx-of-{}", request.external_id),
            external_id: Some(request.external_id.clone()),
            status: "SUBMITTED".to_owned(),
            sub_status: None,
            tx_hash: None,
            confirmations: 0,
        };
        state
            .transfers
            .insert(request.external_id.0.clone(), transfer.clone());
        if answer == Answer::LostOnTheWayBack {
            Err(lost())
        } else {
            Ok(transfer)
        }
    }

    async fn find(&self, _site: SiteId, external_id: &ExternalId) -> Result<Option<Transfer>, CustodyError> {
        let mut state = self.state();
        state.let_in()?;
        state.lookups += 1;
        if state.deaf > 0 {
            state.deaf -= 1;
            return Err(lost());
        }
        if state.early > 0 {
            state.early -= 1;
            return Ok(None);
        }
        Ok(state.transfers.get(&external_id.0).cloned())
    }

    async fn available(
        &self,
        _site: SiteId,
        asset: &CustodyAsset,
    ) -> Result<Option<TokenAmount>, CustodyError> {
        let mut state = self.state();
        state.let_in()?;
        if state.mute > 0 {
            state.mute -= 1;
            return Err(lost());
        }
        let wallet = (asset.vault.clone(), asset.provider_asset.clone());
        Ok(state
            .balances
            .get(&wallet)
            .copied()
            .unwrap_or(Some(TokenAmount::MAX)))
    }
}
