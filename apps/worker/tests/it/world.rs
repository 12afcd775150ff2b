//! Services on a test's own site in the shared database, or on a database of the test's own, with scripted providers.

use std::sync::Arc;

use posx_allocations::AllocationsTx;
use posx_allocations::testing::FakeCustody;
use posx_commissions::testing::FakePayoutGateway;
use posx_kernel::{
    AllocationId, BatchId, Begin, Currency, IdentityId, ManualClock, Randomness, SiteScope, SystemClock,
    SystemIds, SystemRandomness,
};
use posx_ledger::reconcile::testing::{FakeLines, NoLines};
use posx_orders::testing::ScriptedGateway;
use posx_postgres::{Passwords, PlatformDatabase, bootstrap, migrate};
use posx_runtime::{Providers, Services, Settings};
use posx_tenancy::{CreateSite, Join, Member, Platform, Role, Site, SiteState};
use sqlx::PgPool;

pub const ISSUER: &str = "http://127.0.0.1:9/";

pub struct World {
    pub services: Services,
    pub settings: Settings,
    /// The configuration as a worker process gets it.
    pub env: Vec<(String, String)>,
    pub gateway: Arc<ScriptedGateway>,
    pub custody: Arc<FakeCustody>,
    pub payouts: Arc<FakePayoutGateway>,
    /// What the payment provider says happened.
    pub lines: FakeLines,
    pub clock: Arc<ManualClock>,
    pub site: Site,
    pub scope: SiteScope,
    /// As superuser: to look behind the curtain.
    pub superuser: PgPool,
    platform: Platform,
}

impl World {
    /// A fresh site in the run's shared database: drain it with `drain_site`.
    pub async fn shared() -> Self {
        let database = posx_testkit::database();
        Self::on(
            &database.app_url,
            &database.jobs_url,
            &database.platform_url,
            &database.superuser_url,
        )
        .await
    }

    /// A database of the test's own, for tests in which workers take whatever job there is.
    pub async fn own() -> Self {
        let shared = posx_testkit::database();
        let mut random = [0; 8];
        SystemRandomness.fill(&mut random);
        let name = random.iter().fold("posx_worker_".to_owned(), |name, byte| {
            format!("{name}{byte:02x}")
        });
        // Roles are the server's: they keep the passwords they have.
        let passwords = Passwords {
            migrator: password(&shared.migrator_url),
            app: password(&shared.app_url),
            jobs: password(&shared.jobs_url),
            platform: password(&shared.platform_url),
        };
        let here = |url: &str| format!("{}/{name}", url.rsplit_once('/').unwrap().0);
        bootstrap(&shared.superuser_url, &name, &passwords).await.unwrap();
        migrate(&here(&shared.migrator_url), &here(&shared.jobs_url))
            .await
            .unwrap();
        Self::on(
            &here(&shared.app_url),
            &here(&shared.jobs_url),
            &here(&shared.platform_url),
            &here(&shared.superuser_url),
        )
        .await
    }

    async fn on(app_url: &str, jobs_url: &str, platform_url: &str, superuser_url: &str) -> Self {
        let env = env(app_url, jobs_url);
        let settings = Settings::load(None, env.iter().cloned()).unwrap();
        let (payouts, lines) = (Arc::new(FakePayoutGateway::default()), FakeLines::default());
        let (gateway, custody, clock) = (
            Arc::new(ScriptedGateway::default()),
            Arc::new(FakeCustody::default()),
            Arc::new(ManualClock::default()),
        );
        let providers = Providers {
            stripe: None,
            payment_lines: Arc::new(lines.clone()),
            custody_lines: Arc::new(NoLines),
            language_model: Arc::new(posx_assistant::testing::ScriptedModel::default()),
            payments: gateway.clone(),
            payouts: payouts.clone(),
            custody: custody.clone(),
        };
        let services = Services::connect_with(&settings, clock.clone(), providers)
            .await
            .unwrap();
        let directory = PlatformDatabase::connect(platform_url, clock.clone(), Arc::new(SystemIds))
            .await
            .unwrap();
        let platform = Platform::new(
            Arc::new(directory),
            Arc::new(SystemClock),
            Arc::new(SystemIds),
            Arc::new(SystemRandomness),
        );
        let site = make_site(&platform).await;
        let superuser = PgPool::connect(superuser_url).await.unwrap();
        let scope = SiteScope::of_verified_request(site.id);
        Self {
            services,
            settings,
            env,
            gateway,
            custody,
            payouts,
            lines,
            clock,
            site,
            scope,
            superuser,
            platform,
        }
    }

    pub async fn another_site(&self) -> Site {
        make_site(&self.platform).await
    }

    pub async fn set_state(&self, state: SiteState) {
        self.platform
            .set_state(self.site.code.as_str(), state)
            .await
            .unwrap();
    }

    pub async fn admin(&self) -> IdentityId {
        self.platform
            .appoint(&self.site, ISSUER, "admin", Role::Admin)
            .await
            .unwrap()
    }

    /// A batch that the admin made and two others approved.
    pub async fn batch(&self, ids: &[AllocationId]) -> BatchId {
        let allocations = &self.services.allocations;
        let maker = self.admin().await;
        let made = allocations.create_batch(&self.scope, maker, ids, None).await;
        let id = made.unwrap().id;
        let database: &dyn Begin<dyn AllocationsTx> = &self.services.database;
        let mut tx = database.begin(&self.scope).await.unwrap();
        let hash = tx.batches().find(id).await.unwrap().unwrap().hash;
        drop(tx);
        for name in ["vera", "wim"] {
            let checker = self.platform.appoint(&self.site, ISSUER, name, Role::Admin).await;
            let approved = allocations
                .approve_batch(&self.scope, id, &hash, checker.unwrap(), None)
                .await;
            approved.unwrap();
        }
        id
    }

    pub async fn joins(&self, subject: &str, referral_code: Option<&str>) -> Member {
        let identity = self
            .services
            .directory
            .identity(ISSUER, &format!("{subject}@{}", self.site.code))
            .await
            .unwrap();
        let join = Join {
            site: &self.site,
            identity,
            referral_code,
        };
        self.services
            .tenancy
            .join(&self.scope, join)
            .await
            .unwrap()
            .member
    }

    /// A job of the site, as `app.add_job` adds it.
    pub async fn add_job(&self, task: &str, payload: serde_json::Value, tries: i32) {
        sqlx::query("select graphile_worker.enqueue_for_site($1, $2, $3, gen_random_uuid()::text, 0, 0, $4)")
            .bind(self.site.id.as_uuid())
            .bind(task)
            .bind(payload)
            .bind(tries)
            .execute(&self.superuser)
            .await
            .unwrap();
    }

    /// Failed jobs of the site may run at once, as if their back-off were over.
    pub async fn end_back_off(&self) {
        sqlx::query(
            "update graphile_worker._private_jobs set run_at = now() where payload ->> 'site_id' = $1",
        )
        .bind(self.site.id.as_uuid().to_string())
        .execute(&self.superuser)
        .await
        .unwrap();
    }

    /// Jobs of this task that are in the queue, whatever their state.
    pub async fn queued(&self, task: &str) -> i64 {
        let sql = "select count(*) from graphile_worker._private_jobs j
                   join graphile_worker._private_tasks t on t.id = j.task_id where t.identifier = $1";
        sqlx::query_scalar(sql)
            .bind(task)
            .fetch_one(&self.superuser)
            .await
            .unwrap()
    }
}

async fn make_site(platform: &Platform) -> Site {
    let mut random = [0; 5];
    SystemRandomness.fill(&mut random);
    let code = random
        .iter()
        .fold("W".to_owned(), |code, byte| format!("{code}{byte:02X}"));
    let wish = CreateSite {
        name: format!("Worker test {code}"),
        host_names: vec![format!("{}.test", code.to_lowercase())],
        currency: Currency::from_code("USD").unwrap(),
        time_zone: chrono_tz::UTC,
        code,
    };
    let site = platform.create(wish).await.unwrap();
    let vault = [site.id.to_string()];
    platform
        .change_vaults(site.code.as_str(), &vault, &[])
        .await
        .unwrap();
    site
}

fn password(url: &str) -> String {
    url.split([':', '@']).nth(2).unwrap().to_owned()
}

fn env(app_url: &str, jobs_url: &str) -> Vec<(String, String)> {
    let issuers = format!(r#"[{{"issuer": "{ISSUER}", "audience": "posx"}}]"#);
    [
        ("ENVIRONMENT", "sandbox"),
        ("DATABASE__APP_URL", app_url),
        ("DATABASE__JOBS_URL", jobs_url),
        ("ISSUERS", &issuers),
        ("SECRETS__MASTER_KEYS", posx_testkit::MASTER_KEY),
        ("PAYMENTS__PROVIDER", "sandbox"),
        ("PAYMENTS__BASE_URL", "http://127.0.0.1:9"),
        ("PAYMENTS__SECRET_KEY", "sk_test_of_the_worker"),
        ("PAYMENTS__WEBHOOK_SECRETS", "whsec_of_the_worker"),
        ("CUSTODY__PROVIDER", "sandbox"),
        ("CUSTODY__BASE_URL", "http://127.0.0.1:9"),
        ("CUSTODY__API_KEY", "key-of-the-worker-test"),
        ("CUSTODY__JWKS_URL", "http://127.0.0.1:9/jwks"),
        ("WORKER__HEARTBEAT_S", "1"),
        ("WORKER__SWEEP_S", "1"),
        ("WORKER__DEAD_AFTER_S", "2"),
        ("WORKER__POLL_INTERVAL_MS", "100"),
        ("WORKER__METRICS_BIND", "127.0.0.1:0"),
        ("WORKER__SCHEDULE", "false"),
    ]
    .map(|(key, value)| (format!("POSX__{key}"), value.to_owned()))
    .to_vec()
}
