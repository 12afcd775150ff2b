//! The running server keeps to its document, in the eyes of a program that nobody here wrote, when the environment says
//! where that is: `cargo xtask counterparts test`.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use posx_tenancy::{ReviewedOperation, Role, StaffRole};
use serde_json::Value;

use crate::coverage::operations;
use crate::objects::{Objects, furnish};
use crate::world::{ORIGIN, Person, Scene, api};

const PROGRAM: &str = "POSX_COUNTERPART_SCHEMATHESIS";
/// So that the endpoint of connected accounts is there.
const CONNECT: &str = "whsec_of_connected_accounts";
/// What is the same for every caller.
const SETTINGS: &str = include_str!("../../../../counterparts/schemathesis.toml");

/// The paths of sites, and those of no plane.
const SITE: &str = "^/(api|webhooks|health|ready|version|[.])";

/// Somebody who tries every operation of one plane.
struct Caller<'a> {
    name: &'static str,
    token: Option<&'a Person>,
    /// The paths that are theirs to try.
    plane: &'static str,
    examples_per_operation: u16,
}

impl Caller<'_> {
    /// In TOML: who it is, at which site, and for most requests an id that is there.
    fn settings(&self, scene: &Scene, objects: &Objects) -> String {
        let mut text = SETTINGS.to_owned();
        let token = self.token.map_or_else(String::new, |person| {
            format!("Authorization = \"Bearer {}\"\n", person.token)
        });
        let site = scene.other.code.as_str();
        write!(
            text,
            "\n[headers]\nX-Site-Code = \"{site}\"\nOrigin = \"{ORIGIN}\"\n{token}"
        )
        .expect("a text");
        for operation in operations() {
            let Some(id) = id_of(&operation.path, objects) else {
                continue;
            };
            let name = &operation.id;
            let value = if id.parse::<u64>().is_ok() {
                id.to_owned()
            } else {
                format!("\"{id}\"")
            };
            write!(
                text,
                "\n[dictionaries.{name}]\nvalues = [{value}]\n\n[[operations]]\ninclude-operation-id = \"{name}\"\n\
                 parameters = {{ \"path.{}\" = {{ dictionary = \"{name}\", probability = 0.7 }} }}\n",
                parameter(&operation.path),
            )
            .expect("a text");
        }
        text
    }

    fn look(&self, program: &str, base: &str, directory: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .arg("--config-file")
            .arg(directory.join(format!("{}.toml", self.name)))
            .args(["run", "--no-color", "--include-path-regex", self.plane])
            .args(["--max-examples", &self.examples_per_operation.to_string()])
            .arg(format!("{base}/openapi.json"))
            .current_dir(directory);
        command
    }
}

/// Of how many operations it says that they are `116 selected / 131 total`.
fn tried(said: &str) -> usize {
    let before = said.split(" selected /").next().unwrap_or("");
    let number = before.rsplit(' ').next();
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn parameter(path: &str) -> &str {
    let name = path.split(['{', '}']).nth(1);
    name.unwrap_or("")
}

fn id_of<'a>(path: &str, objects: &'a Objects) -> Option<&'a str> {
    match parameter(path) {
        "id" if path.starts_with("/api/") => Some(objects.id_for(path)),
        "family" => Some("EVM"),
        "operation" => Some("create_commission_plan"),
        _ => None,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "who installs the counterparts says in the environment where they are"
)]
fn program() -> Option<String> {
    let program = std::env::var(PROGRAM).ok();
    if program.is_none() {
        eprintln!("left out: {PROGRAM} is not set");
    }
    program
}

/// Of two types with one name the document keeps one, and says it of both.
#[test]
fn what_schemathesis_found_wrong_in_the_document_stays_mended() {
    let document: Value = serde_json::from_str(&posx_api::openapi()).expect("JSON");
    let schemas = &document["components"]["schemas"];
    let reference = |schema: &str, property: &str| {
        let found = schemas[schema]["properties"][property].to_string();
        let name = found
            .split("#/components/schemas/")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        schemas[name.unwrap_or_else(|| panic!("{schema}.{property}: {found}"))].clone()
    };
    let names =
        |schema: &Value| -> Vec<String> { serde_json::from_value(schema["enum"].clone()).expect("names") };
    assert!(names(&reference("OrderView", "delivery")).contains(&"pending".to_owned()));
    assert!(names(&reference("InvitationView", "delivery")).contains(&"sent".to_owned()));
    assert!(reference("SessionBody", "authorization_code")["properties"]["code_verifier"].is_object());
    let reviewed: Vec<_> = ReviewedOperation::ALL.iter().map(|one| one.as_str()).collect();
    assert_eq!(names(&schemas["ReviewedOperation"]), reviewed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_calls_the_server_answers_as_its_document_says() {
    let Some(program) = program() else { return };
    let scene = Scene::with(|settings| {
        settings.payments.connect_webhook_secrets = vec![CONNECT.into()];
    })
    .await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let cashier = scene.member(&scene.other, Role::Cashier).await;
    let staff = scene.staffer(StaffRole::Admin).await.person;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let (stop, serving) = crate::server::spawn(&scene, listener);
    let directory = tempfile::tempdir().expect("a folder");
    let people = [
        ("anonymous", None, SITE, 5),
        ("cashier", Some(&cashier), SITE, 5),
        ("buyer", Some(&objects.buyer), SITE, 15),
        ("staff", Some(&staff), "^/platform/", 15),
        // Last: what an owner does may send the others away.
        ("owner", Some(&objects.owner), SITE, 25),
    ];
    let mut found = String::new();
    for (name, token, plane, examples_per_operation) in people {
        let caller = Caller {
            name,
            token,
            plane,
            examples_per_operation,
        };
        let file = directory.path().join(format!("{}.toml", caller.name));
        std::fs::write(file, caller.settings(&scene, &objects)).expect("written");
        let mut look = caller.look(&program, &base, directory.path());
        // The server's connections to the database live on this runtime, which must not be held up.
        let looked = tokio::task::spawn_blocking(move || look.output());
        let looked = looked.await.expect("no panic").expect("it starts");
        let said = String::from_utf8_lossy(&[looked.stdout, looked.stderr].concat()).into_owned();
        if !looked.status.success() {
            writeln!(found, "as {name}:\n{said}").expect("a text");
        }
        assert!(tried(&said) >= 14, "as {name}, too few operations:\n{said}");
    }
    assert!(found.is_empty(), "{found}");
    stop.send(()).expect("it runs");
    assert!(serving.await.expect("no panic"));
}
