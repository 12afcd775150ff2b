//! Budgets, credits and the usage log of language models over HTTP.

use posx_assistant::testing::{reservation, spent};
use posx_assistant::{Asker, Purpose, QuotaError};
use posx_kernel::{Clock as _, Ids as _, ModelCallId, SiteScope, SystemIds};
use posx_runtime::{ModelPriceSettings, PriceTierSettings, Services, StartError};
use posx_tenancy::{Module, Role};
use serde_json::{Value, json};

use crate::world::{Call, Person, Scene, api};

/// A call of the person's that may cost so much, and costs it: true, if it was let through.
async fn calls(scene: &Scene, person: &Person, cost: u64) -> bool {
    let (now, issuer) = (scene.clock.now(), scene.world.issuer().url());
    let identity = scene.state.directory.identity(issuer, &person.subject).await;
    let asker = Asker::Member(identity.expect("an identity"));
    let (id, scope) = (
        ModelCallId::from_uuid(SystemIds.uuid(now)),
        SiteScope::of_verified_request(scene.site.id),
    );
    let wish = reservation(id, asker, Purpose::StaffChat, cost, now);
    let quota = &scene.state.model_quota;
    match quota.reserve(&scope, &wish).await {
        Ok(()) => {
            quota
                .settle(&scope, id, &spent(cost, now))
                .await
                .expect("settled");
            true
        }
        Err(QuotaError::UsedUp { .. }) => false,
        Err(error) => panic!("{error:?}"),
    }
}

fn of_month(budgets: &Value) -> &Value {
    let mut items = budgets["items"].as_array().expect("items").iter();
    let found = items.find(|item| item["scope"] == "site" && item["period"] == "month");
    found.expect("the site's month")
}

#[actix_web::test]
async fn staff_set_limits_add_credits_and_see_what_was_spent_and_refused() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let staff = |call: Call| call.at(&scene.site).by(&owner);
    let first = staff(Call::get("/api/v1/assistant/budgets"))
        .send(&app)
        .await
        .expect(200);
    assert_eq!(first.header("etag"), "\"1\"");
    let month = of_month(&first.json);
    assert_eq!(
        (&month["own"], &month["limit_micros"]),
        (&json!(false), &json!(50_000_000)),
        "the operator's"
    );

    let limits = json!({ "limits": [{ "scope": "site", "period": "month", "limit_micros": 100 }] });
    let set = || staff(Call::put("/api/v1/assistant/budgets")).json(&limits);
    set().send(&app).await.refused(428, "if_match_missing");
    let changed = set().header("if-match", "\"1\"").send(&app).await.expect(200);
    assert_eq!(
        (changed.header("etag"), &of_month(&changed.json)["own"]),
        ("\"2\"", &json!(true))
    );
    set()
        .header("if-match", "\"1\"")
        .send(&app)
        .await
        .refused(412, "model_budgets_changed_meanwhile");

    assert!(calls(&scene, &owner, 90).await);
    assert!(!calls(&scene, &owner, 20).await);
    let credit = json!({ "kind": "top_up", "amount_micros": 15, "note": "June" });
    let add = || {
        staff(Call::post("/api/v1/assistant/credits"))
            .json(&credit)
            .key("june")
    };
    let added = add().send(&app).await.expect(201);
    assert_eq!(
        add().send(&app).await.expect(201).text("/id"),
        added.text("/id"),
        "once"
    );
    assert!(calls(&scene, &owner, 20).await, "the refusal is forgotten");

    let budgets = staff(Call::get("/api/v1/assistant/budgets"))
        .send(&app)
        .await
        .expect(200);
    assert_eq!(of_month(&budgets.json)["spent_micros"], 100);
    let credits = staff(Call::get("/api/v1/assistant/credits"))
        .send(&app)
        .await
        .expect(200);
    assert_eq!(credits.json["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(credits.json["items"][0]["spent_micros"], 10);

    for (path, name, column, value) in [
        (
            "/api/v1/assistant/usage",
            "model-usage",
            "cost_micros",
            json!(110),
        ),
        (
            "/api/v1/assistant/usage?by=member",
            "model-usage",
            "refused",
            json!(1),
        ),
        (
            "/api/v1/assistant/usage/calls",
            "model-calls",
            "cost_micros",
            json!(90),
        ),
        (
            "/api/v1/assistant/usage/refusals",
            "model-refusals",
            "refused",
            json!(1),
        ),
    ] {
        let plain = staff(Call::get(path)).send(&app).await.expect(200);
        assert_eq!(plain.json["items"][0][column], value, "{path}");
        let csv = staff(Call::get(path))
            .header("accept", "text/csv")
            .send(&app)
            .await
            .expect(200);
        assert_eq!(
            csv.header("content-disposition"),
            format!("attachment; filename=\"{name}.csv\"")
        );
        let mut rows = csv::Reader::from_reader(csv.bytes.as_slice());
        let at = rows
            .headers()
            .expect("a head")
            .iter()
            .position(|head| head == column)
            .expect(column);
        let row = rows.records().next().expect("a row").expect("CSV");
        assert_eq!(row[at], value.to_string(), "{path}");
    }
    let warned = staff(Call::get("/api/v1/audit-trail?kind=model_budget.warned"))
        .send(&app)
        .await
        .expect(200);
    assert_eq!(
        warned.json["items"].as_array().map(Vec::len),
        Some(1),
        "at four fifths, once"
    );
}

#[actix_web::test]
async fn a_limit_or_a_credit_that_cannot_be_is_refused_with_its_field() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let staff = |call: Call| call.at(&scene.site).by(&owner);
    let site = json!({ "scope": "site", "period": "day", "limit_micros": 1 });
    for (limits, code, field) in [
        (json!([site, site]), "model_limit_twice", "limits/1"),
        (
            json!([{ "scope": "purpose", "period": "day", "limit_micros": 1 }]),
            "model_limit_purpose",
            "limits/0/purpose",
        ),
        (
            json!([{ "scope": "site", "period": "day", "limit_micros": u64::MAX }]),
            "model_limit_too_large",
            "limits/0/limit_micros",
        ),
    ] {
        let set = staff(Call::put("/api/v1/assistant/budgets")).json(&json!({ "limits": limits }));
        let refused = set.header("if-match", "\"1\"").send(&app).await;
        assert_eq!(refused.json["errors"][0]["field"], field);
        refused.refused(422, code);
    }
    for (credit, code) in [
        (
            json!({ "kind": "grant", "amount_micros": 0 }),
            "model_credit_amount",
        ),
        (
            json!({ "kind": "grant", "amount_micros": u64::MAX }),
            "model_credit_amount",
        ),
        (
            json!({ "kind": "grant", "amount_micros": 1, "expires_at": "2020-01-01T00:00:00Z" }),
            "model_credit_expiry",
        ),
        (
            json!({ "kind": "grant", "amount_micros": 1, "note": "" }),
            "model_credit_note",
        ),
    ] {
        let add = staff(Call::post("/api/v1/assistant/credits"))
            .json(&credit)
            .key(code);
        add.send(&app).await.refused(422, code);
    }
}

#[actix_web::test]
async fn a_site_without_the_module_has_no_budgets_and_a_manager_none_to_see() {
    let scene = Scene::new().await;
    let code = scene.site.code.as_str();
    scene
        .platform
        .set_modules(code, &[Module::TokenSale])
        .await
        .expect("set");
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let manager = scene.member(&scene.site, Role::Manager).await;
    for path in ["budgets", "credits", "usage", "usage/calls", "usage/refusals"] {
        let path = format!("/api/v1/assistant/{path}");
        let off = Call::get(&path).at(&scene.site).by(&owner).send(&app).await;
        off.refused(403, "module_off");
        let not_theirs = Call::get(&path).at(&scene.site).by(&manager).send(&app).await;
        assert_eq!(not_theirs.status, 403);
        assert_ne!(not_theirs.json["code"], "module_off");
    }
}

#[actix_web::test]
async fn l06_a_process_whose_settings_edit_a_price_that_was_in_use_does_not_start() {
    let scene = Scene::new().await;
    let provider = scene.site.code.as_str().to_lowercase();
    let start = async |version: u32, input: u64| {
        let price = |version, input| ModelPriceSettings {
            version,
            provider: provider.clone(),
            model: "small".to_owned(),
            valid_from: "1970-01-01T00:00:00Z".to_owned(),
            tiers: vec![PriceTierSettings {
                from_input_tokens: 0,
                input,
                cached_input: None,
                output: 5,
            }],
        };
        let mut settings = scene.settings.clone();
        settings.assistant.prices = vec![price(version, input)];
        Services::connect(&settings, scene.clock.clone()).await
    };
    assert!(start(1, 3).await.is_ok());
    assert!(start(1, 3).await.is_ok(), "the same again");
    let Err(StartError::PricesEdited(edited)) = start(1, 4).await else {
        panic!("a version that was edited was taken");
    };
    assert_eq!(edited, [format!("{provider}/small in version 1")]);
    assert!(start(2, 4).await.is_ok(), "a new price is a new version");
}
