//! What sites' choices and consents ask of storage.

use async_trait::async_trait;
use posx_kernel::{Outbox, SiteScope, StoreError, Timestamp, Transaction};

use crate::{ModelAccount, ModelConsent, Purpose};

#[async_trait]
pub trait ModelSetups: Send {
    async fn module_on(&mut self) -> Result<bool, StoreError>;
    async fn account(&mut self, purpose: Purpose) -> Result<Option<ModelAccount>, StoreError>;
    /// False: the version before this one is not what is kept; the transaction is only good for dropping.
    async fn save_account(&mut self, account: &ModelAccount) -> Result<bool, StoreError>;
    /// The one that holds now.
    async fn consent(&mut self, purpose: Purpose) -> Result<Option<ModelConsent>, StoreError>;
    /// In place of the one that held, which is kept as withdrawn.
    async fn give_consent(
        &mut self,
        purpose: Purpose,
        text_version: u16,
        at: Timestamp,
    ) -> Result<ModelConsent, StoreError>;
    /// False: there was none.
    async fn withdraw_consent(&mut self, purpose: Purpose, at: Timestamp) -> Result<bool, StoreError>;
}

pub trait ModelsTx: Transaction {
    fn models(&mut self) -> &mut dyn ModelSetups;
    fn outbox(&mut self) -> &mut dyn Outbox;
}

/// All that decides whether a call may be made, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    pub module_on: bool,
    /// The text's version that the site consents to.
    pub consent: Option<u16>,
    pub account: Option<ModelAccount>,
}

#[async_trait]
pub trait SetupQueries: Send + Sync + std::fmt::Debug {
    /// Read anew for each call: a consent that is withdrawn ends calls at once.
    async fn setup(&self, scope: &SiteScope, purpose: Purpose) -> Result<Setup, StoreError>;
    async fn accounts(&self, scope: &SiteScope) -> Result<Vec<ModelAccount>, StoreError>;
    /// Withdrawn ones too, the newest first; at most 200.
    async fn consents(&self, scope: &SiteScope) -> Result<Vec<ModelConsent>, StoreError>;
}
