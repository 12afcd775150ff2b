//! The demo's PostgreSQL: a private one, or the one that is named.

use std::fmt::Write as _;

use posx_kernel::{Randomness as _, SystemRandomness};
use posx_pgcluster::{Cluster, Durability, Options, Source};
use posx_postgres::{Passwords, bootstrap, migrate};
use posx_runtime::DatabaseSettings;

use super::{StageError, data};
use crate::cli::{DemoArguments, PostgresSource};
use crate::ui;
use posx_postgres::database_url::as_role;

const DATABASE: &str = "posx_demo";

/// A server that is running, and stopped if it was started here.
#[derive(Debug)]
pub struct Postgres {
    superuser_url: String,
    cluster: Option<Cluster>,
}

impl Postgres {
    pub async fn start(arguments: &DemoArguments) -> Result<Self, StageError> {
        if let Some(url) = &arguments.database_url {
            ui::good(&format!(
                "PostgreSQL: the one that is named; the database {DATABASE} stays there"
            ));
            return Ok(Self {
                superuser_url: url.clone(),
                cluster: None,
            });
        }
        ui::note("PostgreSQL: a private server starts");
        let options = options(arguments)?;
        let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options)).await??;
        let server = cluster.server();
        let data = arguments.data_dir().map_or_else(
            || "temporary".to_owned(),
            |dir| format!("kept in {}", dir.display()),
        );
        ui::good(&format!(
            "PostgreSQL {} on 127.0.0.1:{}, from {}; data: {data}",
            server.version(),
            server.port(),
            server.bindir().display()
        ));
        Ok(Self {
            superuser_url: server.superuser_url(),
            cluster: Some(cluster),
        })
    }

    /// Roles with new passwords, schema and queue.
    pub async fn migrated(&self) -> Result<DatabaseSettings, StageError> {
        let passwords = Passwords {
            migrator: password(),
            app: password(),
            jobs: password(),
            platform: password(),
        };
        bootstrap(&self.superuser_url, DATABASE, &passwords).await?;
        let url = |role: &str, password: &str| as_role(&self.superuser_url, role, password, DATABASE);
        let (migrator, jobs) = (
            url("posx_migrator", &passwords.migrator)?,
            url("posx_jobs", &passwords.jobs)?,
        );
        migrate(&migrator, &jobs).await?;
        ui::good("roles, schema with row-level security, job queue");
        Ok(DatabaseSettings {
            app_url: url("posx_app", &passwords.app)?.into(),
            jobs_url: jobs.into(),
            platform_url: Some(url("posx_platform", &passwords.platform)?.into()),
            migrator_url: Some(migrator.into()),
            pool_size: 8,
            jobs_pool_size: 8,
        })
    }

    pub async fn stop(self) -> Result<(), StageError> {
        if let Some(cluster) = self.cluster {
            tokio::task::spawn_blocking(move || cluster.stop()).await??;
        }
        Ok(())
    }
}

fn options(arguments: &DemoArguments) -> Result<Options, StageError> {
    let data_dir = match arguments.data_dir() {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|source| data(dir, source))?;
            // The server is told where its data are from another directory.
            let dir = dir.canonicalize().map_err(|source| data(dir, source))?;
            Some(dir.join("postgres"))
        }
        None => None,
    };
    Ok(Options {
        source: match arguments.postgres {
            PostgresSource::Auto => Source::Auto,
            PostgresSource::System => Source::System,
            PostgresSource::Wheel => Source::Wheel,
        },
        durability: match data_dir {
            Some(_) => Durability::Default,
            None => Durability::Fast,
        },
        data_dir,
        ..Options::default()
    })
}

fn password() -> String {
    let mut bytes = [0; 24];
    SystemRandomness.fill(&mut bytes);
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
