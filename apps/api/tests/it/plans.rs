//! Plans by difference, windows, terms of agents, and what a plan would have paid.

use serde_json::{Value, json};

use crate::objects::{Objects, furnish};
use crate::world::{Call, Scene, api};

const NOBODY: &str = "pty_00000000000000000000000000000000";

fn solar() -> Value {
    json!({
        "name": "Solar", "hold_days": 7,
        "difference": {
            "grades": [{ "name": "bronze", "rate": "0.10" }, { "name": "gold", "rate": "0.20" }],
            "default_grade": "bronze", "depth": 64, "rate_max": "0.15",
        },
    })
}

/// By the owner, under a key.
fn post(scene: &Scene, objects: &Objects, path: &str, key: &str, body: &Value) -> Call {
    let call = Call::post(path).json(body).key(key);
    call.by(&objects.owner).at(&scene.site)
}

#[actix_web::test]
async fn a_plan_by_difference_is_made_scheduled_and_ended() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let plans = "/api/v1/commission-plans";
    let made = post(&scene, &objects, plans, "solar", &solar()).send(&app).await;
    let made = made.expect(201);
    assert_eq!(made.json["difference"]["grades"][1]["rate"], "0.2");
    assert_eq!(
        (made.json.get("levels"), &made.json["active"]),
        (None, &json!(false))
    );
    let plan = format!("{plans}/{}", made.text("/id"));

    let schedule =
        |key: &str, body: Value| post(&scene, &objects, &format!("{plan}/schedule"), key, &body).send(&app);
    let past = schedule("past", json!({ "from": "2020-01-01T00:00:00Z" })).await;
    past.refused(422, "commission_plan_window_invalid");
    assert_eq!(past.field(), "from");
    let window = json!({ "from": "2099-01-01T00:00:00Z", "until": "2099-02-01T00:00:00Z" });
    for _ in 0..2 {
        let scheduled = schedule("window", window.clone()).await.expect(200);
        assert_eq!(scheduled.json["effective_until"], "2099-02-01T00:00:00Z");
        assert_eq!(scheduled.json["active"], false);
    }
    let bare = |path: &str| Call::post(path).by(&objects.owner).at(&scene.site);
    let active = bare(&format!("{plan}/activate")).send(&app).await.expect(200);
    assert_eq!(active.json["active"], true);
    assert_eq!(active.json.get("effective_until"), None);
    schedule("late", window)
        .await
        .refused(409, "commission_plan_begun");
    let before = format!("{plans}/{}", objects.plan);
    let get = Call::get(&before).by(&objects.owner).at(&scene.site);
    assert_eq!(get.send(&app).await.expect(200).json["active"], false);

    let ended = bare(&format!("{plan}/end")).send(&app).await.expect(200);
    assert_eq!(ended.json["active"], false);
    bare(&format!("{plan}/end"))
        .send(&app)
        .await
        .refused(409, "commission_plan_not_in_force");
    bare(&format!("{before}/activate"))
        .send(&app)
        .await
        .refused(409, "commission_plan_begun");
}

#[actix_web::test]
async fn a_plan_that_does_not_hold_is_refused_at_its_field() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let zero = json!({ "amount": "0", "currency": scene.site.currency });
    let level = json!({ "level": 1, "rate": "0.1", "minimum_sales": zero });
    let with = |at: &str, value: Value| {
        let mut plan = json!({ "name": "Bad", "hold_days": 7, "levels": [level] });
        *plan["levels"][0]
            .as_object_mut()
            .expect("a level")
            .entry(at)
            .or_insert(Value::Null) = value;
        plan
    };
    let mut both = solar();
    both["levels"] = json!([level]);
    let mut ungraded = solar();
    ungraded["difference"]["default_grade"] = json!("tin");
    let mut shallow = solar();
    shallow["difference"]["depth"] = json!(65);
    let tier = |rate: &str| json!({ "tier": objects.tier, "rate": rate });
    for (body, code, field) in [
        (both, "commission_plan_mode_ambiguous", "difference"),
        (ungraded, "commission_plan_grades_invalid", "difference"),
        (shallow, "commission_plan_depth_invalid", "difference"),
        (
            with("limits", json!({ "cap_per_order": zero })),
            "commission_plan_limits_invalid",
            "levels",
        ),
        (
            with(
                "limits",
                json!({ "cap_per_month": { "amount": "1", "currency": "JPY" } }),
            ),
            "currency_mismatch",
            "levels",
        ),
        (
            with("tiers", json!([tier("0.1"), tier("0.2")])),
            "commission_plan_tiers_invalid",
            "levels",
        ),
    ] {
        let refused = post(&scene, &objects, "/api/v1/commission-plans", code, &body);
        let refused = refused.send(&app).await;
        refused.refused(422, code);
        assert_eq!(refused.field(), field);
    }
    let good = with("tiers", json!([tier("0.3")]));
    let made = post(&scene, &objects, "/api/v1/commission-plans", "good", &good);
    let made = made.send(&app).await.expect(201);
    assert_eq!(made.json["levels"][0]["tiers"][0]["rate"], "0.3");
}

#[actix_web::test]
async fn terms_of_an_agent_are_recorded_once_for_a_time_to_come() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let path = format!("/api/v1/agents/{}/terms", objects.agent_party);
    let record = |key: &str, body: Value| post(&scene, &objects, &path, key, &body).send(&app);
    let gold = json!({ "terms": { "grade": "gold", "levels": [{ "level": 1, "rate": "0.2" }] } });
    for _ in 0..2 {
        let made = record("gold", gold.clone()).await.expect(201);
        assert_eq!(
            (&made.json["number"], &made.json["terms"]),
            (&json!(1), &gold["terms"])
        );
    }
    let past = json!({ "terms": {}, "effective_from": "2020-01-01T00:00:00Z" });
    let past = record("past", past).await;
    past.refused(422, "agent_terms_retroactive");
    assert_eq!(past.field(), "effective_from");
    let twice = [1, 1].map(|level| json!({ "level": level, "rate": "0.2" }));
    let twice = record("twice", json!({ "terms": { "levels": twice } })).await;
    twice.refused(422, "agent_terms_levels_invalid");
    let unnamed = record("unnamed", json!({ "terms": { "grade": " " } })).await;
    unnamed.refused(422, "agent_terms_grade_invalid");
    let nobody = format!("/api/v1/agents/{NOBODY}/terms");
    let nobody = post(&scene, &objects, &nobody, "nobody", &gold).send(&app).await;
    nobody.refused(404, "agent_not_found");
    let listed = Call::get(&path).by(&objects.owner).at(&scene.site);
    let listed = listed.send(&app).await.expect(200);
    assert_eq!(listed.json["items"].as_array().map(Vec::len), Some(1));
}

#[actix_web::test]
async fn where_a_site_wants_two_people_for_terms_one_alone_cannot_give_them() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let limit = Call::put("/api/v1/approval-limits/record_agent_terms").json(&json!({ "quantity_max": 0 }));
    let limit = limit.key("limit").by(&objects.owner).at(&scene.site);
    limit.send(&app).await.expect(200);
    let path = format!("/api/v1/agents/{}/terms", objects.agent_party);
    let body = json!({ "terms": { "levels": [{ "level": 1, "rate": "1" }] } });
    let alone = post(&scene, &objects, &path, "alone", &body).send(&app).await;
    alone.refused(409, "approval_needed");
    let listed = Call::get(&path).by(&objects.owner).at(&scene.site);
    assert_eq!(listed.send(&app).await.expect(200).json["items"], json!([]));
}

#[actix_web::test]
async fn a_simulation_tells_what_each_agent_would_have_earned_as_json_and_as_lines() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let made = post(&scene, &objects, "/api/v1/commission-plans", "solar", &solar());
    let plan = made.send(&app).await.expect(201).text("/id");
    let ask = |query: &str, until: &str| {
        let path = format!("/api/v1/commission-plans/{plan}/simulate{query}");
        let body = json!({ "from": "2026-01-01T00:00:00Z", "until": until });
        Call::post(&path).json(&body).by(&objects.owner).at(&scene.site)
    };
    let said = ask("", "2026-12-31T00:00:00Z").send(&app).await.expect(200);
    // The agent has no grade, so is worth no more than the buyer: by levels, they were given 12 %.
    let orders = said.json["orders"].as_u64().expect("a number");
    assert!(orders > 0);
    assert_eq!(said.json["agents"].as_array().map(Vec::len), Some(1));
    let agent = &said.json["agents"][0];
    assert_eq!(agent["agent"], json!(objects.agent_party));
    assert_eq!(agent["simulated"]["amount"], "0.00");
    let shares = agent["stored_shares"].as_u64().expect("a number");
    assert!((1..=orders).contains(&shares));
    assert_eq!(agent["simulated_shares"], 0);
    let stored = agent["stored"]["amount"].as_str().expect("an amount");
    assert_eq!(agent["difference"]["amount"], json!(format!("-{stored}")));
    assert_eq!(said.json["totals"][0]["stored"], agent["stored"]);

    let lines = ask("?format=csv", "2026-12-31T00:00:00Z")
        .send(&app)
        .await
        .expect(200);
    assert!(lines.header("content-type").starts_with("text/csv"));
    let text = String::from_utf8(lines.bytes).expect("text");
    let currency = scene.site.currency;
    let expected = format!(
        "{},{currency},0.00,0,{stored},{shares},-{stored}",
        objects.agent_party
    );
    assert_eq!(text.lines().nth(1), Some(expected.as_str()), "{text}");

    let nothing = ask("", "2026-01-02T00:00:00Z").send(&app).await.expect(200);
    assert_eq!(nothing.json["agents"], json!([]));
    let backwards = ask("", "2025-12-31T00:00:00Z").send(&app).await;
    backwards.refused(422, "commission_simulation_period_invalid");
    assert_eq!(backwards.field(), "until");
}
