//! `posx site …` and `posx member …`: the platform plane, on its own database role.

use std::sync::Arc;

use posx_kernel::{SystemClock, SystemIds, SystemRandomness};
use posx_postgres::PlatformDatabase;
use posx_runtime::Environment;
use posx_tenancy::{CreateSite, Module, Origin, Platform, PlatformError, Site, SiteState};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::cli::{
    AppointArguments, Config, CreateArguments, MemberArguments, MemberCommand, SiteArguments, SiteCommand,
    VaultsArguments,
};
use crate::failure::{CommandError, Outcome};
use crate::migrate::required;
use crate::ui;

/// A site as JSON.
#[derive(Debug, Serialize)]
struct SiteRow<'a> {
    code: &'a str,
    name: &'a str,
    currency: &'a str,
    time_zone: &'a str,
    state: &'static str,
    modules: &'a [Module],
    host_names: &'a [String],
    cors_origins: &'a [Origin],
}

impl<'a> SiteRow<'a> {
    fn of(site: &'a Site) -> Self {
        Self {
            code: site.code.as_str(),
            name: &site.name,
            currency: site.currency.code(),
            time_zone: site.time_zone.name(),
            state: match site.state {
                SiteState::Active => "active",
                SiteState::Suspended => "suspended",
            },
            modules: &site.modules,
            host_names: &site.host_names,
            cors_origins: &site.cors_origins,
        }
    }
}

pub async fn run(arguments: SiteArguments) -> Result<Outcome, CommandError> {
    let platform = platform(&arguments.reading.config).await?;
    let json = arguments.reading.json;
    match arguments.command {
        SiteCommand::Create(wish) => one(&create(&platform, wish).await?, json),
        SiteCommand::List => list(&platform.list().await?, json),
        SiteCommand::Suspend(site) => {
            one(&platform.set_state(&site.code, SiteState::Suspended).await?, json);
        }
        SiteCommand::Reactivate(site) => {
            one(&platform.set_state(&site.code, SiteState::Active).await?, json);
        }
        SiteCommand::Modules(wish) => {
            let site = platform.set_modules(&wish.code, &wish.modules).await?;
            one(&site, json);
        }
        SiteCommand::Vaults(wish) => vaults(&platform, &wish, json).await?,
        SiteCommand::Set(wish) => {
            check_origins(&wish.cors_origins, &arguments.reading.config)?;
            let site = platform.set_cors_origins(&wish.code, wish.cors_origins).await?;
            one(&site, json);
            if !json {
                let listed: Vec<_> = site.cors_origins.iter().map(Origin::as_str).collect();
                ui::good(&format!(
                    "pages may call from: {}",
                    if listed.is_empty() {
                        "nowhere".to_owned()
                    } else {
                        listed.join(" ")
                    }
                ));
            }
        }
    }
    Ok(Outcome::Done)
}

/// Without a change asked for it only looks.
async fn vaults(platform: &Platform, wish: &VaultsArguments, json: bool) -> Result<(), PlatformError> {
    let vaults = platform
        .change_vaults(&wish.code, &wish.added, &wish.removed)
        .await?;
    if json {
        ui::json(&serde_json::json!({ "code": wish.code, "vaults": vaults }));
    } else if vaults.is_empty() {
        ui::good(&format!("{} has no vault: it sends nothing", wish.code));
    } else {
        ui::good(&format!(
            "{} sends from the vaults {}",
            wish.code,
            vaults.join(" ")
        ));
    }
    Ok(())
}

/// A page without TLS is a developer's.
fn check_origins(origins: &[Origin], config: &Config) -> Result<(), CommandError> {
    let production = config.load()?.environment == Environment::Production;
    match origins.iter().find(|origin| production && !origin.is_https()) {
        Some(origin) => Err(CommandError::InsecureOrigin(origin.to_string())),
        None => Ok(()),
    }
}

pub async fn member(arguments: MemberArguments) -> Result<Outcome, CommandError> {
    let platform = platform(&arguments.reading.config).await?;
    let MemberCommand::Appoint(wish) = arguments.command;
    let AppointArguments {
        site,
        issuer,
        subject,
        role,
    } = wish;
    let site = platform.find(&site).await?;
    let identity = platform.appoint(&site, &issuer, &subject, role).await?;
    if arguments.reading.json {
        ui::json(&serde_json::json!({
            "site": site.code, "identity_id": identity, "issuer": issuer, "subject": subject, "role": role,
        }));
    } else {
        ui::good(&format!("{subject} is {} of {}", role.as_str(), site.code));
    }
    Ok(Outcome::Done)
}

pub async fn platform(config: &Config) -> Result<Platform, CommandError> {
    let settings = config.load()?.database;
    let url = required("database.platform_url", settings.platform_url.as_ref())?;
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds));
    let directory = PlatformDatabase::connect(url.expose_secret(), clock.clone(), ids.clone())
        .await
        .map_err(|source| CommandError::Database {
            role: "posx_platform",
            source,
        })?;
    Ok(Platform::new(
        Arc::new(directory),
        clock,
        ids,
        Arc::new(SystemRandomness),
    ))
}

async fn create(platform: &Platform, wish: CreateArguments) -> Result<Site, PlatformError> {
    let wish = CreateSite {
        code: wish.code,
        name: wish.name,
        host_names: wish.hosts,
        currency: wish.currency,
        time_zone: wish.time_zone,
    };
    platform.create(wish).await
}

fn one(site: &Site, json: bool) {
    let row = SiteRow::of(site);
    if json {
        ui::json(&row);
    } else {
        ui::good(&format!(
            "{} ({}) is {}, in {} and {}",
            row.code, row.name, row.state, row.currency, row.time_zone
        ));
    }
}

fn list(sites: &[Site], json: bool) {
    let rows: Vec<_> = sites.iter().map(SiteRow::of).collect();
    if json {
        return ui::json(&rows);
    }
    let cells = |row: &SiteRow<'_>| {
        let own = [
            row.code,
            row.name,
            row.currency,
            row.time_zone,
            row.state,
            &row.host_names.join(" "),
        ];
        own.map(str::to_owned).to_vec()
    };
    ui::table(
        ["site", "name", "currency", "time zone", "state", "hosts"],
        rows.iter().map(cells).collect(),
    );
}
