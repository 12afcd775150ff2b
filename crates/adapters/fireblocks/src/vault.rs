//! Vault accounts and what they hold, as Fireblocks tells it. Amounts are text in whole tokens.

use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultAccount {
    pub id: String,
    pub name: String,
    /// Whether Fireblocks' gas station keeps it in gas.
    #[serde(default)]
    pub auto_fuel: bool,
    pub assets: Vec<VaultAsset>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VaultAsset {
    /// The asset's: `USDC_POLYGON`.
    pub id: String,
    pub total: String,
    /// What may leave: the total without what is locked, frozen or pending.
    pub available: String,
    pub pending: String,
    pub frozen: String,
    pub locked_amount: String,
}
