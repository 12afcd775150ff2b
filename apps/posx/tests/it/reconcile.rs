//! `posx reconcile` against a real database and the sandbox's balance.

use std::process::{Command, Output};
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use posx_kernel::{
    Clock as _, Ids as _, ManualClock, Money, OrderId, PaymentAttemptId, SystemClock, SystemIds,
};
use posx_orders::gateway::{CreateIntent, PaymentGateway as _};
use posx_sandbox::{SandboxGateway, World, WorldConfig};
use posx_tenancy::Site;
use posx_testkit::fresh_site_in;
use serde_json::Value;
use tempfile::TempDir;

use super::doctor::{database, settings};
use super::said;

struct Stage {
    world: World,
    env: Vec<(String, String)>,
    site: Site,
    yesterday: NaiveDate,
    /// Where e-mail would go: the settings want to know.
    _letters: TempDir,
}

impl Stage {
    /// In the world outside it is noon of yesterday.
    async fn set() -> Self {
        let yesterday = SystemClock.now().date_naive() - Days::new(1);
        let noon = yesterday.and_hms_opt(12, 0, 0).expect("a time").and_utc();
        let clock = Arc::new(ManualClock::stopped_at(noon));
        let world = World::start(WorldConfig::new(clock)).await.expect("a world");
        let folder = tempfile::tempdir().expect("a folder");
        let letters = folder.path().display().to_string();
        Self {
            env: settings(&world, &[("MAIL__FOLDER", &letters)]).await,
            site: fresh_site_in(database().await, "USD").await,
            world,
            yesterday,
            _letters: folder,
        }
    }

    fn reconcile(&self, more: &[&str]) -> Output {
        self.reconcile_day(self.yesterday, more)
    }

    fn reconcile_day(&self, day: NaiveDate, more: &[&str]) -> Output {
        let day = day.to_string();
        let arguments = ["reconcile", "--day", &day, "--site", self.site.code.as_str()];
        let env = self.env.iter().map(|(name, value)| (name, value));
        let mut command = Command::new(env!("CARGO_BIN_EXE_posx"));
        command
            .args(arguments)
            .args(more)
            .envs(env)
            .output()
            .expect("posx runs")
    }

    fn report(&self, more: &[&str]) -> (Option<i32>, Value) {
        let output = self.reconcile(&[more, &["--json"]].concat());
        let reports: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
        (output.status.code(), reports[0].clone())
    }

    /// A payment that nobody told POSX of.
    async fn somebody_pays(&self) -> String {
        let url = self.world.stripe_url();
        let gateway = SandboxGateway::new(&url, &self.world.secrets().stripe_secret_key).expect("a client");
        let wish = CreateIntent {
            site: self.site.id,
            order: OrderId::from_uuid(SystemIds.uuid(SystemClock.now())),
            attempt: PaymentAttemptId::from_uuid(SystemIds.uuid(SystemClock.now())),
            amount: Money::from_minor(10_000, self.site.currency),
        };
        let intent = gateway.create_intent(&wish).await.expect("made").id.0;
        self.world
            .payments()
            .confirm(&intent, "pm_card_visa")
            .expect("paid");
        intent
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_whether_anything_is_unexplained_and_the_answer_what() {
    let stage = Stage::set().await;
    let (status, report) = stage.report(&["--provider", "stripe"]);
    assert_eq!(
        (status, &report["unexplained"], &report["lines"]),
        (Some(0), &0.into(), &0.into())
    );

    let intent = stage.somebody_pays().await;
    let (status, report) = stage.report(&["--provider", "stripe"]);
    assert_eq!(
        (status, &report["site"]),
        (Some(1), &stage.site.code.as_str().into())
    );
    assert_eq!(
        [&report["lines"], &report["booked"], &report["unexplained"]],
        [&2, &1, &1]
    );
    let difference = &report["differences"][0];
    assert_eq!(
        (&difference["reason"], &difference["line"]["reference"]),
        (&"missing_here".into(), &intent.as_str().into())
    );

    let table = stage.reconcile(&["--provider", "stripe"]);
    assert_eq!(table.status.code(), Some(1));
    let said = said(&table);
    for word in ["missing_here", &intent, "10000 USD", "have to be looked at"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_said_and_fails() {
    let stage = Stage::set().await;
    let no_account = stage.reconcile(&["--provider", "fireblocks"]);
    assert_eq!(no_account.status.code(), Some(1));
    assert!(
        said(&no_account).contains("no account at this provider"),
        "{}",
        said(&no_account)
    );
    let early = stage.reconcile_day(stage.yesterday + Days::new(2), &["--provider", "stripe"]);
    assert_eq!(early.status.code(), Some(1));
    assert!(said(&early).contains("the day is not over"), "{}", said(&early));
    stage.world.payments().line().set_down(true);
    let away = stage.reconcile(&["--provider", "stripe"]);
    assert_eq!(away.status.code(), Some(1));
    assert!(said(&away).contains("cannot be read"), "{}", said(&away));
}
