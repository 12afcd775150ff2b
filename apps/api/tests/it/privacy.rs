//! What is nobody's business is not in the log, whatever happens.

use std::io::Write;
use std::sync::{Arc, Mutex};

use posx_tenancy::Role;
use serde_json::json;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::coverage::operations;
use crate::objects::{WALLET, furnish};
use crate::world::{Call, Person, Scene, api};

/// Everything that was logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("a log")).into_owned()
    }
}

#[actix_web::test]
async fn no_token_secret_or_personal_data_is_in_the_log_of_the_whole_story() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::new("info,posx=trace,sqlx=debug,actix=debug"))
        .with_writer(log.clone())
        .finish();
    // What other tests log meanwhile is kept as well; none of them knows what is looked for here.
    tracing::subscriber::set_global_default(subscriber).expect("no other test keeps a log");
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let cashier = scene.member(&scene.site, Role::Cashier).await;
    // Every operation, as it should be, by one who may not, and with rubbish in every place that takes text.
    let canary = "canary-7f3a@person.example";
    for operation in operations().iter().filter(|operation| operation.is_in_a_site()) {
        for person in [&objects.owner, &objects.buyer, &cashier] {
            operation
                .call(&objects)
                .at(&scene.site)
                .by(person)
                .send(&app)
                .await;
        }
        let with_query = Call::new(
            &operation.method,
            &format!("{}?email={canary}&nonsense={canary}", operation.path),
        );
        with_query.at(&scene.site).by(&objects.owner).send(&app).await;
        let with_body = operation.bare(&objects).at(&scene.site).by(&objects.owner);
        with_body
            .json(&json!({ "email": canary, "message": canary, canary: canary }))
            .send(&app)
            .await;
        let forged = Person {
            token: format!("{canary}.forged.token"),
            subject: String::new(),
        };
        operation
            .bare(&objects)
            .at(&scene.site)
            .by(&forged)
            .send(&app)
            .await;
    }
    let text = log.text();
    assert!(
        text.contains("\"answered\""),
        "the log was kept: {}",
        text.chars().take(2_000).collect::<String>()
    );
    let mut secrets = vec![("what a caller typed", canary), ("a wallet", WALLET)];
    for person in [&objects.owner, &objects.buyer, &objects.agent, &cashier] {
        secrets.push(("a token", &person.token));
        secrets.push(("a login", &person.subject));
    }
    let lower = text.to_lowercase();
    for (what, secret) in secrets {
        let found = lower.find(&secret.to_lowercase());
        let around =
            found.map(|at| &lower[lower[..at].rfind('\n').unwrap_or(0)..][..300.min(lower.len() - at)]);
        assert_eq!(around, None, "{what} is in the log");
    }
}
