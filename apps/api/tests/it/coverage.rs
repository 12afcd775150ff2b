//! What every route owes: 401 without a token, 403 without the right, 404 for another site's object. Made from the OpenAPI
//! document.

use posx_tenancy::{Role, SiteState};
use serde_json::Value;

use crate::objects::{Objects, body_for, furnish};
use crate::world::{Call, ORIGIN, Person, Scene, api};

/// An operation as the document has it.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: String,
    pub path: String,
    pub id: String,
    pub access: String,
    pub takes_body: bool,
    headers: Vec<String>,
}

impl Operation {
    pub fn is_in_a_site(&self) -> bool {
        self.path.starts_with("/api/") && !self.is_a_persons_own()
    }

    /// Whoever names a site with it names it in vain.
    fn is_a_persons_own(&self) -> bool {
        self.path.starts_with("/api/v1/sessions")
    }

    /// In a site. What the platform plane asks for is walked in `platform.rs`.
    pub fn needs_capability(&self) -> bool {
        self.access.contains(':') && !self.is_on_the_platform()
    }

    pub fn is_on_the_platform(&self) -> bool {
        self.path.starts_with("/platform/")
    }

    /// A request that only lacks who it is from and where.
    pub fn call(&self, objects: &Objects) -> Call {
        let call = self.bare(objects);
        if self.takes_body {
            call.json(&body_for(&self.id, objects))
        } else {
            call
        }
    }

    /// As [`Self::call`], without a body.
    pub fn bare(&self, objects: &Objects) -> Call {
        let path = self
            .path
            .replace("{site}", &objects.site_code)
            .replace("{family}", "EVM")
            .replace("ledger/accounts/{code}", "ledger/accounts/sales")
            .replace("{currency}", "KWD")
            .replace("{method}", "bank")
            .replace("{purpose}", "staff_chat")
            .replace("{operation}", "create_commission_plan");
        let path = if path.contains("{id}") {
            path.replace("{id}", objects.id_for(&path))
        } else {
            path
        };
        let mut call = Call::new(&self.method, &path);
        if self.headers.iter().any(|name| name == "If-Match") {
            call = call.header("if-match", "\"1\"");
        }
        if self.headers.iter().any(|name| name == "Origin") {
            call = call.header("origin", ORIGIN);
        }
        if self.headers.iter().any(|name| name == "Idempotency-Key") {
            call = call.key("coverage");
        }
        call
    }
}

pub fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&posx_api::openapi()).expect("JSON");
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let headers = parameters.iter().filter(|parameter| parameter["in"] == "header");
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                id: operation["operationId"].as_str().unwrap_or("").to_owned(),
                access: operation["x-capability"].as_str().unwrap_or("").to_owned(),
                takes_body: operation.get("requestBody").is_some(),
                headers: headers
                    .filter_map(|header| header["name"].as_str().map(ToOwned::to_owned))
                    .collect(),
            });
        }
    }
    assert!(found.len() >= 40, "the document has {} operations", found.len());
    found
}

#[test]
fn every_operation_says_its_name_and_who_may_call_it() {
    let mut names = std::collections::BTreeSet::new();
    for operation in operations() {
        assert!(
            names.insert(operation.id.clone()),
            "{operation:?} has a name of its own"
        );
        let known = operation.access.contains(':')
            || ["public", "signed-in", "device"].contains(&operation.access.as_str());
        assert!(known, "{operation:?} says who may call it");
    }
}

#[test]
fn every_operation_says_what_it_answers() {
    let document: Value = serde_json::from_str(&posx_api::openapi()).expect("JSON");
    for operation in operations() {
        let method = operation.method.to_lowercase();
        let documented = &document["paths"][&operation.path][&method];
        let answers = documented["responses"].as_object().expect("answers");
        let described = |answer: &Value| {
            answer["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        };
        assert!(
            answers.values().all(described),
            "{operation:?} describes its answers"
        );
        assert!(
            answers.keys().any(|status| status.starts_with('2')),
            "{operation:?}"
        );
        let owed: &[&str] = match operation.access.as_str() {
            "public" if !operation.is_in_a_site() => &[],
            "public" => &["400", "403", "404", "429", "503"],
            _ => &["400", "401", "403", "404", "429", "503"],
        };
        assert!(
            owed.iter().all(|status| answers.contains_key(*status)),
            "{operation:?} says how it refuses"
        );
        if operation.access.contains(':') || ["signed-in", "device"].contains(&operation.access.as_str()) {
            assert_eq!(
                documented["security"],
                serde_json::json!([{ "token": [] }]),
                "{operation:?}"
            );
        }
    }
}

/// What is the same for everyone, and signing in.
const LOOKS_AT_NO_TOKEN: [&str; 5] = [
    "current_site",
    "ask_storefront",
    "create_sign_in_challenge",
    "sign_in_with_wallet",
    "pair_device",
];

#[actix_web::test]
async fn without_a_token_that_holds_nothing_but_the_public_routes_answers() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let nobody = Person {
        token: "not.a.token".to_owned(),
        subject: String::new(),
    };
    for operation in operations().iter().filter(|operation| operation.is_in_a_site()) {
        let bare = operation.bare(&objects).at(&scene.site).send(&app).await;
        if operation.access == "public" && operation.takes_body {
            bare.refused(415, "content_type_unsupported");
        } else if operation.access == "public" {
            assert_eq!(bare.status, 200, "{operation:?}");
        } else {
            bare.refused(401, "unauthenticated");
        }
        let bad = operation
            .bare(&objects)
            .at(&scene.site)
            .by(&nobody)
            .send(&app)
            .await;
        if !LOOKS_AT_NO_TOKEN.contains(&operation.id.as_str()) {
            assert_eq!(
                bad.header("www-authenticate"),
                "Bearer error=\"invalid_token\"",
                "{operation:?}"
            );
            assert_eq!(bad.json.get("detail"), None, "no reason is told");
            bad.refused(401, "unauthenticated");
        }
    }
}

#[actix_web::test]
async fn without_the_right_nothing_is_done() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let (stranger, cashier) = (scene.stranger(), scene.member(&scene.site, Role::Cashier).await);
    let strangers_tiers = Call::get("/api/v1/tiers").at(&scene.site).by(&stranger);
    strangers_tiers.send(&app).await.refused(403, "not_a_member");
    for operation in operations()
        .iter()
        .filter(|operation| operation.needs_capability())
    {
        let call = |person: &Person| operation.bare(&objects).at(&scene.site).by(person);
        call(&stranger).send(&app).await.refused(403, "not_a_member");
        // Standing at a till is all that a cashier may, and what a buyer may not.
        let lacking = if operation.access == "devices:operate" {
            &objects.buyer
        } else {
            &cashier
        };
        call(lacking).send(&app).await.refused(403, "capability_missing");
    }
}

/// Property 1, by HTTP: an owner of one site with every id of the other.
#[actix_web::test]
async fn p01_another_sites_object_is_not_found() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let theirs = furnish(&scene, &app, &scene.other).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    for operation in operations()
        .iter()
        .filter(|operation| operation.path.contains("{id}") && !operation.is_on_the_platform())
    {
        let answer = operation
            .call(&theirs)
            .at(&scene.site)
            .by(&owner)
            .send(&app)
            .await;
        assert_eq!(answer.status, 404, "{operation:?}: {}", answer.json);
        // The id is real: at home it is found.
        if operation.method == "GET" {
            operation
                .call(&theirs)
                .at(&scene.other)
                .by(&theirs.owner)
                .send(&app)
                .await
                .expect(200);
        }
        // Another site's staff do not become ours by naming us, not even to look at what everyone sees.
        if operation.needs_capability() || operation.access == "public" {
            operation
                .call(&theirs)
                .at(&scene.other)
                .by(&owner)
                .send(&app)
                .await
                .refused(403, "not_a_member");
        }
    }
    for operation in operations()
        .iter()
        .filter(|one| one.method == "GET" && one.needs_capability())
    {
        let list = operation
            .path
            .split('{')
            .next()
            .is_some_and(|path| path == operation.path);
        if list {
            let answer = operation
                .call(&theirs)
                .at(&scene.site)
                .by(&owner)
                .send(&app)
                .await
                .expect(200);
            if operation.id == "export_audit_trail" {
                assert!(answer.bytes.is_empty(), "{operation:?}");
                continue;
            }
            if operation.id == "get_my_agent" {
                assert_eq!(answer.json["figures"]["total_customers"], 0, "their own");
                continue;
            }
            if operation.id == "get_assistant_retention" {
                assert_eq!(answer.json["version"], 1, "nobody has chosen here");
                continue;
            }
            if operation.id == "list_model_providers" {
                // The operator's, the same for every site.
                continue;
            }
            let mut items = answer.json["items"].as_array().cloned().expect("items");
            if operation.id == "list_members" {
                // The caller's own membership.
                items.retain(|item| item["role"] != "owner");
            }
            if operation.id == "report_overview" {
                // Figures, each of them nothing.
                items.retain(|item| item["value"] != "0" && item["value"] != "0.00");
            }
            if operation.id == "get_model_budgets" {
                // The operator's limits, of which nothing is spent.
                items.retain(|item| item["own"] == true || item["spent_micros"].as_u64() > Some(0));
            }
            assert!(items.is_empty(), "{operation:?}: {items:?}");
        }
    }
}

#[actix_web::test]
async fn a_body_is_not_even_read_for_one_who_may_not_send_it() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let cashier = scene.member(&scene.site, Role::Cashier).await;
    for operation in operations()
        .iter()
        .filter(|one| one.takes_body && one.needs_capability())
    {
        let wrong = || {
            operation
                .bare(&objects)
                .at(&scene.site)
                .raw("application/json", "{")
        };
        wrong().send(&app).await.refused(401, "unauthenticated");
        wrong()
            .by(&cashier)
            .send(&app)
            .await
            .refused(403, "capability_missing");
    }
}

#[actix_web::test]
async fn in_a_suspended_site_nobody_does_anything() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let owner = scene.member(&scene.other, Role::Owner).await;
    scene
        .platform
        .set_state(scene.other.code.as_str(), SiteState::Suspended)
        .await
        .expect("suspended");
    for operation in operations().iter().filter(|operation| operation.is_in_a_site()) {
        let answer = operation
            .call(&objects)
            .at(&scene.other)
            .by(&owner)
            .send(&app)
            .await;
        answer.refused(403, "site_suspended");
    }
}
