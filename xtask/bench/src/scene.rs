//! Everything that is running while it is measured.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use posx_sandbox::{RetryPolicy, World};
use posx_stage::{Server, Stage, client, free_port};
use reqwest::Client;

pub use posx_stage::{AUDIENCE, PER_MINUTE, REQUEST_TIMEOUT, fresh_key};

use crate::watch::Watch;
use crate::{Outcome, pgbench, seed};

const BUYERS: usize = 64;

pub struct Scene {
    pub api: Server,
    pub world: Arc<World>,
    stage: Stage,
    tokens: Vec<String>,
}

impl Scene {
    pub async fn set(programs: &Path) -> Outcome<Self> {
        let stage = Stage::set(programs, "posx_bench", RetryPolicy::default()).await?;
        let tokens = (0..BUYERS)
            .map(|number| stage.token(&format!("bench|{number}")))
            .collect::<Outcome<Vec<_>>>()?;
        let scene = Self {
            api: stage.api(free_port()?, &[]).await?,
            world: Arc::clone(&stage.world),
            stage,
            tokens,
        };
        scene.psql(seed::tiers()).await?;
        for buyer in scene.clients(BUYERS) {
            let joined = buyer
                .post(format!("{}/api/v1/me", scene.api.base_url))
                .body("{}")
                .send()
                .await?;
            joined.error_for_status()?;
        }
        Ok(scene)
    }

    /// One more API beside the first, with another setting.
    pub async fn api_with(&self, key: &'static str, value: &str) -> Outcome<Server> {
        self.stage.api(free_port()?, &[(key, value.to_owned())]).await
    }

    pub fn app_url(&self) -> String {
        self.stage.url("app")
    }

    /// A worker without its schedule: what it does is what is measured.
    pub async fn worker(&self) -> Outcome<Server> {
        self.stage.worker(&[]).await
    }

    pub fn watch(&self) -> std::io::Result<Watch> {
        Watch::start(self.stage.bindir(), &self.stage.superuser_url())
    }

    /// What the server writes while it runs.
    pub fn log_file(&self) -> &Path {
        self.stage.log_file()
    }

    pub async fn waiting_jobs(&self) -> Outcome<u64> {
        self.stage.waiting_jobs().await
    }

    /// Waits until the worker has done every job.
    pub async fn until_nothing_waits(&self, patience: Duration) -> Outcome<()> {
        let end = Instant::now() + patience;
        while self.waiting_jobs().await? > 0 {
            if Instant::now() > end {
                return Err("the worker does not come to an end with its jobs".into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Clients of the bench's site, each signed in as somebody else and with a connection of its own.
    pub fn clients(&self, count: usize) -> Vec<Client> {
        self.tokens
            .iter()
            .take(count)
            .map(|token| client(token, Some("BENCH")))
            .collect()
    }

    /// Clients that are all signed in as the viewer of every list site.
    pub fn staff(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| client(&self.tokens[0], None)).collect()
    }

    pub async fn psql(&self, sql: String) -> Outcome<String> {
        self.stage.psql(sql).await
    }

    /// As the app role, so that row-level security is part of the limit.
    pub async fn pgbench(&self, script: &str, clients: usize, seconds: u64) -> Outcome<pgbench::Limit> {
        let (bindir, script) = (self.stage.bindir().to_path_buf(), script.to_owned());
        let url = self.stage.url("app");
        Ok(
            tokio::task::spawn_blocking(move || pgbench::run(&bindir, &url, &script, clients, seconds))
                .await??,
        )
    }

    pub async fn stop(self) {
        drop(self.api);
        drop(self.world);
        self.stage.stop().await;
    }
}
