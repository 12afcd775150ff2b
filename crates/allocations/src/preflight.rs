//! Before anything of a run is sent: can its vaults pay?

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use posx_kernel::{AllocationId, ChainAssetId, Kind, Refusal, SiteId, SiteScope, StoreError, TokenAmount};

use crate::custody::CustodyError;
use crate::{AllocationState, Allocations, CustodyAsset, SubmitError};

/// The least that a vault must hold of what a chain's fees are paid in, before transfers of a token begin (F17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GasFloor {
    /// The custodian's name for the token: `USDC_POLYGON`.
    pub token: String,
    /// …and for what pays the fees: `MATIC_POLYGON`.
    pub gas: String,
    pub gas_decimals: u8,
    pub minimum: TokenAmount,
}

/// Why a vault cannot pay. Amounts are base units.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Shortfall {
    #[error("there is no vault {vault}, or it does not hold {asset}")]
    NoWallet { vault: String, asset: String },
    #[error("vault {vault} can spend {available} of {asset}, and the run takes {needed}")]
    Tokens {
        vault: String,
        asset: String,
        available: TokenAmount,
        needed: TokenAmount,
    },
    #[error("vault {vault} can spend {available} of {asset} on fees, and is to have {minimum}")]
    Gas {
        vault: String,
        asset: String,
        available: TokenAmount,
        minimum: TokenAmount,
    },
}

/// Only jobs meet it.
impl Refusal for Shortfall {
    fn code(&self) -> &'static str {
        match self {
            Self::NoWallet { .. } => "vault_wallet_missing",
            Self::Tokens { .. } => "vault_tokens_short",
            Self::Gas { .. } => "vault_gas_short",
        }
    }

    /// Somebody has to put something into the vault.
    fn kind(&self) -> Kind {
        Kind::Internal
    }
}

/// What is not sent now.
pub(crate) struct Held {
    pub(crate) ids: Vec<AllocationId>,
    pub(crate) why: SubmitError,
}

/// What a run takes of one asset out of one vault.
struct Withdrawal {
    asset: CustodyAsset,
    total: TokenAmount,
    ids: Vec<AllocationId>,
}

impl Allocations {
    /// Asks what the vaults hold, and holds back what cannot be paid for: all of an asset in a vault, or nothing. Counts
    /// only what was never sent: the rest may be paid already. A look, not a reservation.
    pub(crate) async fn preflight(
        &self,
        scope: &SiteScope,
        ids: &[AllocationId],
    ) -> Result<Vec<Held>, SubmitError> {
        let mut held = Vec::new();
        for withdrawal in self.withdrawals(scope, ids).await? {
            let Withdrawal { asset, total, .. } = &withdrawal;
            let why = match self.holdings(scope.site(), asset).await {
                Ok(holdings) => match holdings.shortfall(asset, *total) {
                    None => continue,
                    Some(shortfall) => SubmitError::Short(shortfall),
                },
                Err(error) => SubmitError::Unsettled(error),
            };
            held.push(Held {
                ids: withdrawal.ids,
                why,
            });
        }
        Ok(held)
    }

    async fn withdrawals(
        &self,
        scope: &SiteScope,
        ids: &[AllocationId],
    ) -> Result<Vec<Withdrawal>, StoreError> {
        let mut withdrawals = BTreeMap::<ChainAssetId, Withdrawal>::new();
        let mut tx = self.db.begin(scope).await?;
        for allocation in tx.allocations().for_update_many(ids).await? {
            if allocation.state != AllocationState::Queued || allocation.parked.is_some() {
                continue;
            }
            let withdrawal = match withdrawals.entry(allocation.asset) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(first) => {
                    let asset = tx.allocations().custody_asset(allocation.asset).await?;
                    let asset = asset.ok_or_else(|| StoreError::broken("an allocation without its asset"))?;
                    let (total, ids) = (TokenAmount::ZERO, Vec::new());
                    first.insert(Withdrawal { asset, total, ids })
                }
            };
            // More than can be counted is more than any vault holds.
            let total = withdrawal.total.checked_add(allocation.left());
            withdrawal.total = total.unwrap_or(TokenAmount::MAX);
            withdrawal.ids.push(allocation.id);
        }
        Ok(withdrawals.into_values().collect())
    }

    /// With no transaction open.
    pub(crate) async fn holdings(
        &self,
        site: SiteId,
        asset: &CustodyAsset,
    ) -> Result<Holdings, CustodyError> {
        let balance = self.custody.available(site, asset).await?;
        let mut floors = self.gas_floors.iter();
        let Some(floor) = floors.find(|floor| floor.token == asset.provider_asset) else {
            return Ok(Holdings { balance, gas: None });
        };
        let gas = CustodyAsset {
            provider_asset: floor.gas.clone(),
            vault: asset.vault.clone(),
            decimals: floor.gas_decimals,
        };
        // No wallet is no gas.
        let available = self.custody.available(site, &gas).await?.unwrap_or_default();
        Ok(Holdings {
            balance,
            gas: Some((floor.clone(), available)),
        })
    }
}

/// What a vault can spend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holdings {
    /// Of the asset; `None`: the vault does not hold it.
    pub(crate) balance: Option<TokenAmount>,
    /// On fees, and the least that it is to have; `None`: nothing is asked.
    pub(crate) gas: Option<(GasFloor, TokenAmount)>,
}

impl Holdings {
    /// Why `needed` of the asset cannot be sent.
    pub(crate) fn shortfall(&self, asset: &CustodyAsset, needed: TokenAmount) -> Option<Shortfall> {
        let (vault, name) = (asset.vault.clone(), asset.provider_asset.clone());
        let Some(available) = self.balance else {
            return Some(Shortfall::NoWallet { vault, asset: name });
        };
        if available < needed {
            return Some(Shortfall::Tokens {
                vault,
                asset: name,
                available,
                needed,
            });
        }
        let (floor, available) = self.gas.clone()?;
        (available < floor.minimum).then_some(Shortfall::Gas {
            vault,
            asset: floor.gas,
            available,
            minimum: floor.minimum,
        })
    }
}
