//! `posx keys …`: which master keys wrap what, and replacing them and the sites' own keys.

use std::sync::Arc;

use posx_envelope::LocalMasterKeys;
use posx_kernel::{
    Clock as _, KeyWrapper as _, SecretError, SystemClock, SystemIds, SystemRandomness, Timestamp,
};
use posx_postgres::{Database, DatabaseOptions, PlatformDatabase};
use posx_runtime::{KeyRotation, Resealed, Settings, StartError, Unusable};
use posx_tenancy::{PlatformDirectory as _, Site};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::cli::{KeysArguments, KeysCommand};
use crate::failure::{CommandError, Outcome, chain};
use crate::migrate::required;
use crate::ui;

/// So many keys that cannot be unwrapped are named one by one.
const NAMED_MAX: usize = 20;

#[derive(Debug, Serialize)]
struct MasterRow<'a> {
    master_key: &'a str,
    data_keys: u64,
    says: &'static str,
}

/// What the commands work with.
struct Keys {
    rotation: KeyRotation,
    masters: Arc<LocalMasterKeys>,
    platform: PlatformDatabase,
}

pub async fn run(arguments: KeysArguments) -> Result<Outcome, CommandError> {
    let settings = arguments.reading.config.load()?;
    let (keys, json) = (Keys::open(&settings).await?, arguments.reading.json);
    match arguments.command {
        KeysCommand::List => keys.list(json).await,
        KeysCommand::Rotate(wish) if wish.data_keys => {
            let made_before = wish.made_before.unwrap_or_else(|| SystemClock.now());
            keys.reseal(made_before, json).await
        }
        KeysCommand::Rotate(_) => keys.rewrap(json).await,
    }
}

/// What doctor says: that every key of every site can be used, or which cannot.
pub async fn check(settings: &Settings) -> Result<String, String> {
    let keys = Keys::open(settings).await.map_err(|error| chain(&error))?;
    let (usable, unusable) = keys.rotation.check().await.map_err(|error| chain(&error))?;
    if unusable.is_empty() {
        return Ok(format!("{usable} can be unwrapped"));
    }
    let named: Vec<_> = unusable.iter().take(NAMED_MAX).map(line).collect();
    Err(format!(
        "{} of {} cannot be unwrapped: {}",
        unusable.len(),
        usable + unusable.len() as u64,
        named.join("; ")
    ))
}

impl Keys {
    async fn open(settings: &Settings) -> Result<Self, CommandError> {
        let of = |role| move |source| CommandError::Database { role, source };
        let url = required("database.platform_url", settings.database.platform_url.as_ref())?;
        let (clock, randomness) = (Arc::new(SystemClock), Arc::new(SystemRandomness));
        let platform = PlatformDatabase::connect(url.expose_secret(), clock.clone(), Arc::new(SystemIds));
        let platform = platform.await.map_err(of("posx_platform"))?;
        let options = DatabaseOptions {
            pool_size: 2,
            ..DatabaseOptions::default()
        };
        let database = Database::connect(settings.database.app_url.expose_secret(), options);
        let database = database.await.map_err(of("posx_app"))?;
        let masters = settings.secrets.master_keys(randomness.clone());
        let masters = Arc::new(masters.map_err(StartError::MasterKeys)?);
        let rotation = KeyRotation::new(platform.clone(), database, masters.clone(), randomness, clock);
        Ok(Self {
            rotation,
            masters,
            platform,
        })
    }

    async fn list(&self, json: bool) -> Result<Outcome, CommandError> {
        let counts = self.rotation.in_use().await.map_err(unreadable)?;
        let known: Vec<_> = self.masters.ids().collect();
        let says = |id: &str, count: u64| match (id == self.masters.wraps_with(), known.contains(&id), count)
        {
            (true, ..) => "wraps",
            (_, true, 0) => "may be removed from the settings",
            (_, true, _) => "is needed until `posx keys rotate` is through",
            (_, false, _) => "is not in the settings: what it wraps cannot be opened",
        };
        let row = |(id, count): (&'_ String, &u64)| (id.clone(), *count, says(id, *count));
        let rows: Vec<_> = counts.iter().map(row).collect();
        if json {
            let rows: Vec<_> = rows
                .iter()
                .map(|(master_key, data_keys, says)| MasterRow {
                    master_key,
                    data_keys: *data_keys,
                    says,
                })
                .collect();
            ui::json(&rows);
        } else {
            let cells = rows
                .iter()
                .map(|(id, count, says)| vec![id.clone(), count.to_string(), (*says).to_owned()]);
            ui::table(["master key", "data keys", ""], cells.collect());
        }
        Ok(Outcome::of(counts.keys().all(|id| known.contains(&id.as_str()))))
    }

    async fn rewrap(&self, json: bool) -> Result<Outcome, CommandError> {
        let told = |done| {
            if !json {
                ui::note(&format!("{done} data keys wrapped anew"));
            }
        };
        let (done, unusable) = self.rotation.rewrap(told).await.map_err(unreadable)?;
        if json {
            let unusable: Vec<_> = unusable.iter().map(line).collect();
            ui::json(&serde_json::json!({ "rewrapped": done, "unusable": unusable }));
        } else {
            for unusable in unusable.iter().take(NAMED_MAX) {
                ui::bad(&line(unusable));
            }
            ui::good(&format!(
                "{done} data keys are now wrapped by {}",
                self.masters.wraps_with()
            ));
        }
        Ok(Outcome::of(unusable.is_empty()))
    }

    async fn reseal(&self, made_before: Timestamp, json: bool) -> Result<Outcome, CommandError> {
        if !json {
            ui::note(&format!(
                "stopped before the end, it goes on with --made-before {}",
                made_before.to_rfc3339()
            ));
        }
        let (mut failed, mut rows) = (0_usize, Vec::new());
        for site in self.platform.list().await.map_err(unreadable)? {
            let outcome = self.rotation.reseal(site.id, made_before).await;
            failed += usize::from(!matches!(&outcome, Ok(resealed) if resealed.refused.is_empty()));
            if json {
                rows.push(of_site(&site, &outcome));
            } else {
                tell(&site, &outcome);
            }
        }
        if json {
            ui::json(&rows);
        }
        Ok(Outcome::of(failed == 0))
    }
}

fn of_site(site: &Site, outcome: &Result<Resealed, SecretError>) -> serde_json::Value {
    match outcome {
        Ok(done) => serde_json::json!({
            "site": site.code.as_str(), "new_key": done.new_key, "secrets": done.secrets,
            "retired": done.retired, "refused": done.refused,
        }),
        Err(error) => serde_json::json!({ "site": site.code.as_str(), "error": chain(error) }),
    }
}

fn tell(site: &Site, outcome: &Result<Resealed, SecretError>) {
    let code = site.code.as_str();
    match outcome {
        Ok(done) if *done == Resealed::default() => {}
        Ok(done) => {
            for secret in &done.refused {
                ui::bad(&format!("{code}: {secret} does not open, and stays as it is"));
            }
            let key = done
                .new_key
                .map_or_else(String::new, |version| format!("key {version}, "));
            let (secrets, retired) = (done.secrets, done.retired.len());
            ui::good(&format!(
                "{code}: {key}{secrets} secrets sealed anew, {retired} old keys forgotten"
            ));
        }
        Err(error) => ui::bad(&format!("{code}: {}", chain(error))),
    }
}

fn line(unusable: &Unusable) -> String {
    let Unusable { site, version, error } = unusable;
    format!("key {version} of {site}: {}", chain(error))
}

fn unreadable(source: posx_kernel::StoreError) -> CommandError {
    CommandError::Database {
        role: "posx_platform",
        source,
    }
}
