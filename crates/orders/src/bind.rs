//! Binding the wallet that orders deliver to.

use posx_kernel::{Event, PartyId, SiteScope};
use posx_tenancy::ProvenWallet;
use posx_tiers::ChainFamily;
use serde_json::json;

use crate::{Bound, NewWallet, OrderError, Orders, Wallet, WalletAddress};

impl Orders {
    /// Binds an address as it was typed, in the place of an earlier one of the same family of chains that was not proven
    /// either. Orders that were placed keep the address they were placed with.
    pub async fn bind_wallet(
        &self,
        scope: &SiteScope,
        buyer: PartyId,
        family: ChainFamily,
        typed: &str,
    ) -> Result<Wallet, OrderError> {
        let address = WalletAddress::parse(typed, family).map_err(OrderError::Wallet)?;
        self.bind(scope, buyer, address, None).await
    }

    /// Binds a wallet whose holder signed, in the place of any earlier one.
    pub async fn bind_proven_wallet(
        &self,
        scope: &SiteScope,
        buyer: PartyId,
        proven: &ProvenWallet,
    ) -> Result<Wallet, OrderError> {
        let address = WalletAddress::of_evm(proven.address());
        self.bind(scope, buyer, address, Some(proven)).await
    }

    async fn bind(
        &self,
        scope: &SiteScope,
        buyer: PartyId,
        address: WalletAddress,
        proof: Option<&ProvenWallet>,
    ) -> Result<Wallet, OrderError> {
        let at = self.clock.now();
        let new = NewWallet {
            address,
            at,
            proven: proof.is_some(),
            contract_chain: proof.and_then(ProvenWallet::contract_chain),
            usable_from: at + self.cooling_off,
        };
        let mut tx = self.begin(scope).await?;
        let wallet = match tx.wallets().bind(buyer, &new).await? {
            Bound::Bound(wallet) => wallet,
            Bound::Taken => return Err(OrderError::WalletTaken),
            Bound::ProofRequired => return Err(OrderError::WalletProofRequired),
        };
        let payload = json!({
            "family": wallet.address.family(),
            "proven": new.proven,
            "usable_from": wallet.usable_from,
        });
        tx.outbox()
            .append(Event {
                kind: "wallet.bound",
                subject: buyer.as_uuid(),
                payload,
                at,
            })
            .await?;
        tx.commit().await?;
        Ok(wallet)
    }
}
