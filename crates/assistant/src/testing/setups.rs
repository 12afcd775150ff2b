//! Sites' models and consents in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_kernel::{Begin, Event, Outbox, SiteId, SiteScope, StoreError, Timestamp, Transaction};

use crate::{ModelAccount, ModelConsent, ModelSetups, ModelsTx, Purpose, Setup, SetupQueries};

/// What one site keeps.
#[derive(Debug, Clone)]
struct Kept {
    module_on: bool,
    accounts: BTreeMap<Purpose, ModelAccount>,
    consents: Vec<ModelConsent>,
    events: Vec<Event>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            module_on: true,
            accounts: BTreeMap::new(),
            consents: Vec::new(),
            events: Vec::new(),
        }
    }
}

impl Kept {
    fn consent(&self, purpose: Purpose) -> Option<&ModelConsent> {
        let mut consents = self.consents.iter();
        consents.find(|consent| consent.purpose == purpose && consent.withdrawn_at.is_none())
    }
}

/// One transaction at a time: the last commit wins. Every site has the module until a test takes it away.
#[derive(Debug, Clone, Default)]
pub struct FakeSetups {
    sites: Arc<Mutex<BTreeMap<SiteId, Kept>>>,
}

impl FakeSetups {
    fn sites(&self) -> MutexGuard<'_, BTreeMap<SiteId, Kept>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self, scope: &SiteScope) -> Kept {
        self.sites().get(&scope.site()).cloned().unwrap_or_default()
    }

    pub fn set_module(&self, scope: &SiteScope, on: bool) {
        self.sites().entry(scope.site()).or_default().module_on = on;
    }

    /// Behind the use cases.
    pub fn put_account(&self, scope: &SiteScope, account: ModelAccount) {
        let mut sites = self.sites();
        let kept = sites.entry(scope.site()).or_default();
        kept.accounts.insert(account.purpose, account);
    }

    /// Behind the use cases.
    pub fn put_consent(&self, scope: &SiteScope, purpose: Purpose, text_version: u16) {
        let consent = ModelConsent {
            purpose,
            number: 1,
            text_version,
            given_at: Timestamp::UNIX_EPOCH,
            given_by: None,
            withdrawn_at: None,
            withdrawn_by: None,
        };
        let mut sites = self.sites();
        sites.entry(scope.site()).or_default().consents.push(consent);
    }

    pub fn events(&self, scope: &SiteScope) -> Vec<Event> {
        self.kept(scope).events
    }
}

#[async_trait]
impl Begin<dyn ModelsTx> for FakeSetups {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn ModelsTx>, StoreError> {
        Ok(Box::new(FakeTx {
            setups: self.clone(),
            scope: scope.clone(),
            kept: self.kept(scope),
        }))
    }
}

#[async_trait]
impl SetupQueries for FakeSetups {
    async fn setup(&self, scope: &SiteScope, purpose: Purpose) -> Result<Setup, StoreError> {
        let kept = self.kept(scope);
        Ok(Setup {
            module_on: kept.module_on,
            consent: kept.consent(purpose).map(|consent| consent.text_version),
            account: kept.accounts.get(&purpose).cloned(),
        })
    }

    async fn accounts(&self, scope: &SiteScope) -> Result<Vec<ModelAccount>, StoreError> {
        Ok(self.kept(scope).accounts.into_values().collect())
    }

    async fn consents(&self, scope: &SiteScope) -> Result<Vec<ModelConsent>, StoreError> {
        let mut consents = self.kept(scope).consents;
        consents.reverse();
        Ok(consents)
    }
}

#[derive(Debug)]
struct FakeTx {
    setups: FakeSetups,
    scope: SiteScope,
    kept: Kept,
}

impl FakeTx {
    fn person(&self) -> Option<posx_kernel::IdentityId> {
        self.scope.actor().who.identity()
    }
}

#[async_trait]
impl Transaction for FakeTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.setups.sites().insert(self.scope.site(), self.kept);
        Ok(())
    }
}

impl ModelsTx for FakeTx {
    fn models(&mut self) -> &mut dyn ModelSetups {
        self
    }

    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl Outbox for FakeTx {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        self.kept.events.push(event);
        Ok(())
    }
}

#[async_trait]
impl ModelSetups for FakeTx {
    async fn module_on(&mut self) -> Result<bool, StoreError> {
        Ok(self.kept.module_on)
    }

    async fn account(&mut self, purpose: Purpose) -> Result<Option<ModelAccount>, StoreError> {
        Ok(self.kept.accounts.get(&purpose).cloned())
    }

    async fn save_account(&mut self, account: &ModelAccount) -> Result<bool, StoreError> {
        let kept = self.kept.accounts.get(&account.purpose);
        let follows = kept.map_or(0, |kept| kept.version) + 1 == account.version;
        if follows {
            self.kept.accounts.insert(account.purpose, account.clone());
        }
        Ok(follows)
    }

    async fn consent(&mut self, purpose: Purpose) -> Result<Option<ModelConsent>, StoreError> {
        Ok(self.kept.consent(purpose).cloned())
    }

    async fn give_consent(
        &mut self,
        purpose: Purpose,
        text_version: u16,
        at: Timestamp,
    ) -> Result<ModelConsent, StoreError> {
        self.withdraw_consent(purpose, at).await?;
        let before = self
            .kept
            .consents
            .iter()
            .filter(|consent| consent.purpose == purpose);
        let given = ModelConsent {
            purpose,
            number: i32::try_from(before.count()).unwrap_or(i32::MAX) + 1,
            text_version,
            given_at: at,
            given_by: self.person(),
            withdrawn_at: None,
            withdrawn_by: None,
        };
        self.kept.consents.push(given.clone());
        Ok(given)
    }

    async fn withdraw_consent(&mut self, purpose: Purpose, at: Timestamp) -> Result<bool, StoreError> {
        let by = self.person();
        let mut consents = self.kept.consents.iter_mut();
        let holds = consents.find(|consent| consent.purpose == purpose && consent.withdrawn_at.is_none());
        let Some(holds) = holds else {
            return Ok(false);
        };
        holds.withdrawn_at = Some(at);
        holds.withdrawn_by = by;
        Ok(true)
    }
}
