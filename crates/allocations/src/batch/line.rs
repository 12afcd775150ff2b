//! What a batch sends for one allocation.

use aws_lc_rs::digest::{Context, SHA256};
use posx_kernel::{AllocationId, BatchId, ChainAssetId, OrderId, Timestamp, TokenAmount};
use serde::{Deserialize, Serialize};

use crate::custody::{ExternalId, TransferRequest};
use crate::{Allocation, CustodyAsset, StateName};

/// Why a line is not sent with its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    OrderDisputed,
    /// Money went back for which it is still to be cut.
    OrderReturned,
    /// The wallet took another's place, and its time has not come.
    WalletCoolingOff,
    /// The buyer bound another wallet since the batch was made.
    WalletChanged,
    /// Its amount, asset or vault is another than what was agreed to.
    Changed,
    /// A person gave up what was not sent.
    GivenUp,
    /// The platform has not given the vault to the site, or has taken it away.
    VaultNotAssigned,
    /// A person must look at it: an earlier try seems to live.
    NeedsPerson,
}

impl LeftOut {
    pub const ALL: &'static [Self] = &[
        Self::OrderDisputed,
        Self::OrderReturned,
        Self::WalletCoolingOff,
        Self::WalletChanged,
        Self::Changed,
        Self::GivenUp,
        Self::VaultNotAssigned,
        Self::NeedsPerson,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderDisputed => "order_disputed",
            Self::OrderReturned => "order_returned",
            Self::WalletCoolingOff => "wallet_cooling_off",
            Self::WalletChanged => "wallet_changed",
            Self::Changed => "changed",
            Self::GivenUp => "given_up",
            Self::VaultNotAssigned => "vault_not_assigned",
            Self::NeedsPerson => "needs_person",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchLine {
    pub allocation: AllocationId,
    pub order: OrderId,
    pub amount: TokenAmount,
    pub address: String,
    pub asset: ChainAssetId,
    pub provider_asset: String,
    pub vault: String,
    pub decimals: u8,
    /// What the buyer has bound on the chain's family; an order may name another address.
    pub bound_wallet: Option<String>,
    pub left_out: Option<LeftOut>,
    /// What became of it in this batch; queued, if it is left out.
    pub state: StateName,
    /// Of the try in this batch, as the following ones.
    pub external_id: Option<ExternalId>,
    pub provider_id: Option<String>,
    pub tx_hash: Option<String>,
}

impl BatchLine {
    /// What it says differs from what would be sent now.
    pub fn differs_from(&self, now: &Self) -> Option<LeftOut> {
        if now.left_out.is_some() {
            return now.left_out;
        }
        if (&self.address, &self.bound_wallet) != (&now.address, &now.bound_wallet) {
            return Some(LeftOut::WalletChanged);
        }
        let terms = |line: &Self| {
            let (asset, vault) = (line.provider_asset.clone(), line.vault.clone());
            (line.amount, line.asset, asset, vault, line.decimals)
        };
        (terms(self) != terms(now)).then_some(LeftOut::Changed)
    }

    pub const fn is_waiting(&self) -> bool {
        self.left_out.is_none() && matches!(self.state, StateName::Queued)
    }

    /// Its vault sends nothing else.
    pub const fn is_in_flight(&self) -> bool {
        matches!(self.state, StateName::Unknown | StateName::Submitted)
    }

    /// What became of its allocation.
    pub fn follow(&mut self, allocation: &Allocation) {
        self.state = allocation.state.name();
        // What waits keeps the name of the try before, which is another batch's.
        self.external_id = allocation
            .external_id
            .clone()
            .filter(|_| self.state != StateName::Queued);
        self.provider_id = allocation.state.provider_id().map(str::to_owned);
        self.tx_hash = allocation.state.tx_hash().map(str::to_owned);
    }

    pub const fn is_done(&self) -> bool {
        matches!(self.state, StateName::Done)
    }

    pub const fn is_over(&self) -> bool {
        self.left_out.is_some() || matches!(self.state, StateName::Done | StateName::Failed)
    }

    pub(crate) fn custody_asset(&self) -> CustodyAsset {
        CustodyAsset {
            provider_asset: self.provider_asset.clone(),
            vault: self.vault.clone(),
            decimals: self.decimals,
        }
    }

    /// The same for every send of one try.
    pub(crate) fn request(&self, site: posx_kernel::SiteId, external_id: ExternalId) -> TransferRequest {
        TransferRequest {
            site,
            external_id,
            provider_asset: self.provider_asset.clone(),
            vault: self.vault.clone(),
            to: self.address.clone(),
            amount: self.amount,
            decimals: self.decimals,
        }
    }
}

/// What two people agree to: which allocation gets how much of what, from where, to whom.
pub fn hash_of(id: BatchId, lines: &[BatchLine]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(format!("{id}\n").as_bytes());
    let mut sent: Vec<_> = lines.iter().filter(|line| line.left_out.is_none()).collect();
    sent.sort_by_key(|line| line.allocation);
    for line in sent {
        // Lengths first: no two lines read the same by where a text ends.
        for text in [
            &line.allocation.to_string(),
            &line.amount.to_string(),
            &line.address,
            &line.asset.to_string(),
            &line.provider_asset,
            &line.vault,
            &line.decimals.to_string(),
            line.bound_wallet.as_ref().unwrap_or(&String::new()),
        ] {
            context.update(format!("{} {text}\n", text.len()).as_bytes());
        }
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Whether the allocation waits in this batch to be sent.
pub(crate) fn waits_in(allocation: &Allocation, batch: BatchId) -> bool {
    allocation.batch == Some(batch) && allocation.state.name() == StateName::Queued
}

/// Why an allocation's wallet keeps it waiting, if it does.
pub(crate) fn cooling_off(allocation: &Allocation, now: Timestamp) -> Option<Timestamp> {
    allocation.wallet_usable_from.filter(|from| now < *from)
}
