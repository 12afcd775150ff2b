//! Wallets that buyers bound.

use async_trait::async_trait;
use posx_kernel::{PartyId, StoreError};
use posx_orders::{Bound, NewWallet, Wallet, WalletAddress, WalletRepository};
use posx_tiers::ChainFamily;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::error::{StoreResult, store};
use crate::site_tx::SiteTx;

/// `$1` the party, `$2` family, `$3` address, `$4` when, `$5` when it was proven, `$6` the contract's chain, `$7` from when it
/// is usable if it takes another's place. One statement: two bindings at once cannot both be the first one.
const BIND: &str = "
    with taken as (
      select exists (select from wallets where chain_family = $2 and address = $3 and party_id <> $1) as taken),
    bound as (
      insert into wallets as w (party_id, chain_family, address, bound_at, proven_at, contract_chain_id)
      select $1, $2, $3, $4, $5, $6 from taken where not taken
      on conflict (site_id, party_id, chain_family) do update set
        address = excluded.address,
        bound_at = case when w.address = excluded.address then w.bound_at else excluded.bound_at end,
        proven_at = coalesce(excluded.proven_at, w.proven_at),
        contract_chain_id = case when excluded.proven_at is null then w.contract_chain_id else excluded.contract_chain_id end,
        usable_from = case when w.address = excluded.address then w.usable_from else $7 end
      where w.address = excluded.address or w.proven_at is null or excluded.proven_at is not null
      returning chain_family, address, bound_at, proven_at, contract_chain_id, usable_from)
    select taken.taken, bound.* from taken left join bound on true";

#[async_trait]
impl WalletRepository for SiteTx {
    async fn bind(&mut self, party: PartyId, wallet: &NewWallet) -> Result<Bound, StoreError> {
        let chain = wallet.contract_chain.map(i64::try_from).transpose();
        let chain = chain.map_err(|_| StoreError::broken("a chain id beyond any that is allowed"))?;
        let bound = sqlx::query(BIND)
            .bind(party.as_uuid())
            .bind(wallet.address.family().as_str())
            .bind(wallet.address.as_str())
            .bind(wallet.at)
            .bind(wallet.proven.then_some(wallet.at))
            .bind(chain)
            .bind(wallet.usable_from)
            .fetch_one(self.connection())
            .await;
        let row = match bound {
            Ok(row) => row,
            // Two parties at the same moment: the second one loses.
            Err(sqlx::Error::Database(error)) if error.constraint() == Some("wallets_address_key") => {
                return Ok(Bound::Taken);
            }
            Err(error) => return Err(store(error)),
        };
        let (taken, there): (bool, Option<String>) =
            (row.try_get("taken").store()?, row.try_get("address").store()?);
        match there {
            Some(_) => wallet_of(&row).map(Bound::Bound),
            None if taken => Ok(Bound::Taken),
            None => Ok(Bound::ProofRequired),
        }
    }

    async fn of_party(&mut self, party: PartyId) -> Result<Vec<Wallet>, StoreError> {
        let rows = sqlx::query(
            "select chain_family, address, bound_at, proven_at, contract_chain_id, usable_from
             from wallets where party_id = $1 order by chain_family",
        )
        .bind(party.as_uuid())
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().map(wallet_of).collect()
    }
}

fn wallet_of(row: &PgRow) -> Result<Wallet, StoreError> {
    let family = ChainFamily::from_name(row.try_get("chain_family").store()?)
        .ok_or_else(|| StoreError::broken("a wallet's family of chains"))?;
    let chain: Option<i64> = row.try_get("contract_chain_id").store()?;
    let chain = chain.map(u64::try_from).transpose();
    Ok(Wallet {
        address: WalletAddress::from_stored(row.try_get("address").store()?, family),
        bound_at: row.try_get("bound_at").store()?,
        proven_at: row.try_get("proven_at").store()?,
        contract_chain: chain.map_err(|_| StoreError::broken("a wallet's chain"))?,
        usable_from: row.try_get("usable_from").store()?,
    })
}
