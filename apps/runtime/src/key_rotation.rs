//! Replacing master keys and data keys while everything goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use posx_envelope::{Envelope, LocalMasterKeys};
use posx_kernel::{
    Clock, KeyWrapper as _, Randomness, SecretError, SecretKeeper as _, SecretPlace, SiteId, StoreError,
    Timestamp, WrappedKey,
};
use posx_postgres::{Database, PlatformDatabase, SEALED_COLUMNS, SealedColumn};
use secrecy::ExposeSecret as _;

const SITES_AT_ONCE: u16 = 200;

/// Works on all sites, one after the other. Each step is whole in itself: what was stopped is simply begun again.
#[derive(Debug)]
pub struct KeyRotation {
    platform: PlatformDatabase,
    database: Database,
    masters: Arc<LocalMasterKeys>,
    envelope: Envelope,
    clock: Arc<dyn Clock>,
}

/// What became of one site's secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// The version of the new key, if there is one.
    pub new_key: Option<u32>,
    pub secrets: u64,
    /// Versions that were forgotten.
    pub retired: Vec<u32>,
    /// `table.column, row`: what does not open, and so stays as it is.
    pub refused: Vec<String>,
}

/// A data key that the settings' master keys do not unwrap.
#[derive(Debug)]
pub struct Unusable {
    pub site: SiteId,
    pub version: u32,
    pub error: SecretError,
}

impl Unusable {
    fn of(key: &WrappedKey, error: SecretError) -> Self {
        Self {
            site: key.site,
            version: key.version,
            error,
        }
    }
}

impl KeyRotation {
    pub fn new(
        platform: PlatformDatabase,
        database: Database,
        masters: Arc<LocalMasterKeys>,
        randomness: Arc<dyn Randomness>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let store = Arc::new(database.clone());
        Self {
            platform,
            database,
            envelope: Envelope::new(store, masters.clone(), randomness, clock.clone()),
            masters,
            clock,
        }
    }

    /// How many data keys each master key wraps, those of the settings that wrap none included.
    pub async fn in_use(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let mut counts: BTreeMap<_, _> = self.masters.ids().map(|id| (id.to_owned(), 0)).collect();
        let mut after = None;
        while let Some(keys) = self.next(&mut after).await? {
            for key in keys {
                *counts.entry(key.master).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// Every data key that cannot be unwrapped, and how many can.
    pub async fn check(&self) -> Result<(u64, Vec<Unusable>), StoreError> {
        let (mut usable, mut unusable, mut after) = (0, Vec::new(), None);
        while let Some(keys) = self.next(&mut after).await? {
            for key in keys {
                match self.masters.unwrap(&key).await {
                    Ok(_) => usable += 1,
                    Err(error) => unusable.push(Unusable::of(&key, error)),
                }
            }
        }
        Ok((usable, unusable))
    }

    /// Wraps every data key with the settings' first master key. `told` hears after each batch how many were done. What
    /// cannot be unwrapped stays as it is and is returned.
    pub async fn rewrap(&self, mut told: impl FnMut(u64)) -> Result<(u64, Vec<Unusable>), StoreError> {
        let (mut done, mut unusable, mut after) = (0, Vec::new(), None);
        while let Some(keys) = self.next(&mut after).await? {
            for key in keys.iter().filter(|key| key.master != self.masters.wraps_with()) {
                match self.rewrapped(key).await {
                    Ok(new) => done += u64::from(self.platform.rewrap(key, &new).await?),
                    Err(error) => unusable.push(Unusable::of(key, error)),
                }
            }
            told(done);
        }
        Ok((done, unusable))
    }

    async fn rewrapped(&self, key: &WrappedKey) -> Result<WrappedKey, SecretError> {
        let opened = self.masters.unwrap(key).await?;
        self.masters.wrap(key.site, key.version, &opened).await
    }

    /// The keys of the next sites; `None` behind the last one.
    async fn next(&self, after: &mut Option<SiteId>) -> Result<Option<Vec<WrappedKey>>, StoreError> {
        let page = self.platform.data_keys(*after, SITES_AT_ONCE).await?;
        *after = page.last;
        Ok(page.last.map(|_| page.keys))
    }

    /// Gives the site a new data key if its last one was made before `made_before`, seals with the last one what is sealed
    /// with others, and forgets what nothing is sealed with. A process that has not noticed the new key yet may go on with
    /// the old one for a minute: so a key is kept for an hour, and the next call does the rest.
    pub async fn reseal(&self, site: SiteId, made_before: Timestamp) -> Result<Resealed, SecretError> {
        let mut outcome = Resealed::default();
        let versions = self.database.key_versions(site).await?;
        let Some(last) = versions.last() else {
            return Ok(outcome);
        };
        let mut current = last.version;
        if last.created_at < made_before {
            current = self.envelope.renew_key(site).await?;
            outcome.new_key = Some(current);
        }
        for column in SEALED_COLUMNS {
            self.reseal_column(site, column, current, &mut outcome).await?;
        }
        for old in versions.iter().filter(|version| version.version < current) {
            let unused = self.database.sealed_with(site, old.version).await? == 0;
            if unused
                && self
                    .platform
                    .retire_key(site, old.version, self.clock.now())
                    .await?
            {
                outcome.retired.push(old.version);
            }
        }
        Ok(outcome)
    }

    async fn reseal_column(
        &self,
        site: SiteId,
        column: &SealedColumn,
        current: u32,
        outcome: &mut Resealed,
    ) -> Result<(), SecretError> {
        let mut after: Option<String> = None;
        loop {
            let rows = self
                .database
                .sealed_otherwise(site, column, current, after.as_deref())
                .await?;
            let Some((last, _)) = rows.last() else {
                return Ok(());
            };
            after = Some(last.clone());
            for (row, sealed) in rows {
                let place = SecretPlace {
                    site,
                    table: column.table,
                    row,
                    column: column.column,
                };
                match self.envelope.open(&place, &sealed).await {
                    Ok(secret) => {
                        let anew = self.envelope.seal(&place, secret.expose_secret()).await?;
                        let both = (&sealed, &anew);
                        let kept = self
                            .database
                            .replace_sealed(site, column, &place.row, both)
                            .await?;
                        outcome.secrets += u64::from(kept);
                    }
                    Err(SecretError::Refused) => {
                        let SecretPlace {
                            table, column, row, ..
                        } = place;
                        outcome.refused.push(format!("{table}.{column}, {row}"));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
