//! `posx migrate`: roles and database if a superuser is given, then schema and queue.

use posx_postgres::{Passwords, database_url};
use posx_runtime::DatabaseSettings;
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::MigrateArguments;
use crate::failure::{CommandError, Outcome};
use crate::ui;

pub async fn run(arguments: &MigrateArguments) -> Result<Outcome, CommandError> {
    let settings = arguments.config.load()?.database;
    let migrator = required("database.migrator_url", settings.migrator_url.as_ref())?;
    if let Some(superuser) = &arguments.superuser_url {
        let database = database_url::database(settings.app_url.expose_secret())
            .map_err(in_setting("database.app_url"))?;
        posx_postgres::bootstrap(superuser, &database, &passwords(&settings)?).await?;
        ui::good(&format!("roles and database {database} are there"));
    }
    posx_postgres::migrate(migrator.expose_secret(), settings.jobs_url.expose_secret()).await?;
    ui::good("schema and job queue are up to date");
    Ok(Outcome::Done)
}

/// The roles get the passwords that the settings' URLs will use.
fn passwords(settings: &DatabaseSettings) -> Result<Passwords, CommandError> {
    let of = |setting, url: &SecretString| {
        database_url::password(url.expose_secret()).map_err(in_setting(setting))
    };
    let platform = "database.platform_url";
    let migrator = "database.migrator_url";
    Ok(Passwords {
        migrator: of(migrator, required(migrator, settings.migrator_url.as_ref())?)?,
        app: of("database.app_url", &settings.app_url)?,
        jobs: of("database.jobs_url", &settings.jobs_url)?,
        platform: of(platform, required(platform, settings.platform_url.as_ref())?)?,
    })
}

pub fn required<'a>(
    setting: &'static str,
    url: Option<&'a SecretString>,
) -> Result<&'a SecretString, CommandError> {
    url.ok_or(CommandError::SettingMissing(setting))
}

fn in_setting(setting: &'static str) -> impl FnOnce(database_url::UrlError) -> CommandError {
    move |source| CommandError::Url { setting, source }
}
