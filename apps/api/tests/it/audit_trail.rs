//! Whatever changes something says who did it.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use aws_lc_rs::digest::{SHA256, digest};
use posx_tenancy::{Role, Site};
use serde_json::{Value, json};

use crate::coverage::{Operation, operations};
use crate::objects::{Objects, body_for, furnish};
use crate::world::{Call, Person, Scene, api};

/// Operations that keep nothing in the site, and why.
const LEAVES_NOTHING: &[(&str, &str)] = &[
    ("preview_order", "it computes"),
    ("simulate_commission_plan", "it computes"),
    ("validate_promo_code", "it computes"),
    ("create_sign_in_challenge", "a nonce, for a visitor"),
    ("create_wallet_challenge", "a nonce"),
    ("device_heartbeat", "a sign of life"),
    ("sign_in_with_wallet", "a token, of no site"),
    (
        "upload_document_content",
        "a file, whose confirmation leaves an entry",
    ),
];

/// Operations that `furnish` itself has carried out, so that they are refused afterwards; and the kind of their entry.
const DONE_BEFORE: &[(&str, &str)] = &[
    ("create_allocation_batch", "allocation_batch.created"),
    ("checkout_order", "checkout.opened"),
    ("confirm_document_upload", "document.uploaded"),
    ("pair_device", "device.paired"),
];

/// Operations on what is dead, failed, or a secret that nothing here has; and the test that shows their entry.
const SHOWN_ELSEWHERE: &[(&str, &str)] = &[
    (
        "replay_job",
        "posx-postgres, inbox::p39_a_dead_job_is_listed_for_its_site_only_and_replayed_by_it_only",
    ),
    ("make_agent_statements", "agents: when a month is over"),
    ("retry_allocation", "posx-allocations"),
    (
        "ask_assistant",
        "conversations: every step leaves an entry and no word of what was said",
    ),
    (
        "ask_storefront",
        "conversations: a visitor's question leaves an entry of nobody",
    ),
    (
        "approve_allocation_batch",
        "allocation_batches::every_step_leaves_an_entry",
    ),
    (
        "pause_allocation_batch",
        "allocation_batches::every_step_leaves_an_entry",
    ),
    (
        "resume_allocation_batch",
        "allocation_batches::every_step_leaves_an_entry",
    ),
    (
        "settle_token_debt",
        "token_debts::staff_end_a_debt_in_parts_and_it_is_seen_who_did",
    ),
    ("accept_invitation", "posx-tenancy, invitation"),
    ("confirm_second_factor", "posx-postgres, second_factors"),
    ("verify_second_factor", "posx-postgres, second_factors"),
    ("renew_recovery_codes", "posx-postgres, second_factors"),
    ("remove_second_factor", "posx-postgres, second_factors"),
    ("create_settlement", "payouts::every_step_leaves_an_entry"),
    ("preview_settlement", "payouts::every_step_leaves_an_entry"),
    ("approve_settlement", "payouts::every_step_leaves_an_entry"),
    ("discard_settlement", "payouts::every_step_leaves_an_entry"),
    ("retry_payout", "payouts::every_step_leaves_an_entry"),
    ("mark_payout_paid", "payouts::every_step_leaves_an_entry"),
    ("mark_payout_failed", "payouts::every_step_leaves_an_entry"),
    ("give_payout_back", "payouts::every_step_leaves_an_entry"),
    ("create_payout_file", "payouts::every_step_leaves_an_entry"),
    ("write_off_balance", "payouts::every_step_leaves_an_entry"),
    ("request_withdrawal", "payouts::every_step_leaves_an_entry"),
    ("approve_withdrawal", "payouts::every_step_leaves_an_entry"),
    ("reject_withdrawal", "payouts::every_step_leaves_an_entry"),
    ("cancel_withdrawal", "payouts::every_step_leaves_an_entry"),
    ("remove_payout_account", "payouts::every_step_leaves_an_entry"),
];

#[actix_web::test]
async fn every_operation_that_changes_something_leaves_an_entry_with_its_actor() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let (mut silent, mut refused) = (Vec::new(), Vec::new());
    let skipped = |name: &str| {
        LEAVES_NOTHING
            .iter()
            .chain(SHOWN_ELSEWHERE)
            .any(|(other, _)| *other == name)
    };
    let changes = |one: &&Operation| one.is_in_a_site() && one.method != "GET" && !skipped(&one.id);
    for operation in operations().iter().filter(changes) {
        let name = operation.id.as_str();
        // Fresh objects for each: what one operation does, another cannot do again.
        let site = posx_testkit::fresh_site("KWD").await;
        let mut objects = furnish(&scene, &app, &site).await;
        let done = DONE_BEFORE.iter().find(|(other, _)| *other == name);
        let query = if let Some((_, kind)) = done {
            format!("kind={kind}")
        } else {
            let call = prepared(&scene, &app, &site, &mut objects, operation).await;
            let answer = call.header("x-request-id", name).at(&site).send(&app).await;
            if answer.status >= 300 {
                refused.push(format!("{name}: {} {}", answer.status, answer.json));
                continue;
            }
            format!("request_id={name}")
        };
        let trail = Call::get(&format!("/api/v1/audit-trail?{query}"));
        let trail = trail.at(&site).by(&objects.owner).send(&app).await.expect(200);
        let entries = trail.json["items"].as_array().cloned().unwrap_or_default();
        let named = |entry: &Value| {
            let kind = &entry["actor"]["kind"];
            let expected = match name {
                "pair_device" => kind == "visitor",
                "sign_off_at_device" => kind == "device",
                _ => kind == "person",
            };
            expected && entry["address"].is_string()
        };
        if entries.is_empty() || !entries.iter().all(named) {
            silent.push(format!("{name}: {entries:?}"));
        }
    }
    assert!(refused.is_empty(), "not carried out: {refused:#?}");
    assert!(silent.is_empty(), "no entry of their actor: {silent:#?}");
}

/// The operation as it succeeds: by whom it is for, on what is in the state that it starts from.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each operation that starts elsewhere"
)]
async fn prepared<S, B>(
    scene: &Scene,
    app: &S,
    site: &Site,
    objects: &mut Objects,
    operation: &Operation,
) -> Call
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    match operation.id.as_str() {
        "cancel_order" => {
            let order = Call::post("/api/v1/orders")
                .json(&body_for("place_order", objects))
                .key("another");
            objects.order = order
                .at(site)
                .by(&objects.buyer)
                .send(app)
                .await
                .expect(201)
                .text("/id");
            operation.call(objects).by(&objects.buyer)
        }
        "activate_commission_plan" | "schedule_commission_plan" => {
            let plan =
                Call::post("/api/v1/commission-plans").json(&body_for("create_commission_plan", objects));
            objects.plan = plan
                .key("next")
                .at(site)
                .by(&objects.owner)
                .send(app)
                .await
                .expect(201)
                .text("/id");
            operation.call(objects).by(&objects.owner)
        }
        "approve_approval" => {
            let checker = scene.member(site, Role::Admin).await;
            operation
                .bare(objects)
                .json(&json!({ "hash": "07".repeat(32) }))
                .by(&checker)
        }
        "reject_approval" => operation.call(objects).by(&scene.member(site, Role::Admin).await),
        "join_site" => operation.call(objects).by(&scene.stranger()),
        "sign_on_at_device" | "sign_off_at_device" => at_the_till(app, site, objects, operation).await,
        "resume_device" | "enable_member" | "reopen_place" => {
            let there = operations();
            let back = match operation.id.as_str() {
                "resume_device" => "suspend_device",
                "enable_member" => "disable_member",
                _ => "close_place",
            };
            let back = there.iter().find(|one| one.id == back).expect("the way there");
            let done = back.call(objects).at(site).by(&objects.owner).send(app).await;
            assert!(done.status < 300, "{}", done.json);
            let again = operation.call(objects).by(&objects.owner);
            match done.header("etag") {
                "" => again,
                etag => again.header("if-match", etag),
            }
        }
        "remove_stripe_account" => {
            let give =
                Call::put("/api/v1/provider-accounts/stripe").json(&body_for("give_stripe_account", objects));
            assert!(give.at(site).by(&objects.owner).send(app).await.status < 300);
            operation.call(objects).by(&objects.owner)
        }
        // Chosen, then given a key.
        "choose_model" | "give_model_key" | "remove_model_key" => operation
            .call(objects)
            .by(&objects.owner)
            .header("if-match", "\"2\""),
        "withdraw_model_consent" => {
            let give = Call::put("/api/v1/assistant/consents/staff_chat")
                .json(&body_for("give_model_consent", objects));
            give.at(site).by(&objects.owner).send(app).await.expect(200);
            operation.call(objects).by(&objects.owner)
        }
        _ if operation.access.starts_with("orders:buy") => operation.call(objects).by(&objects.buyer),
        _ => operation.call(objects).by(&objects.owner),
    }
}

/// Who stands there signs on by their own token and the till's, and off by the till's alone.
async fn at_the_till<S, B>(app: &S, site: &Site, objects: &Objects, operation: &Operation) -> Call
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let till = Person {
        token: objects.machines.device_text.clone(),
        subject: String::new(),
    };
    let signed = |call: Call| call.by(&objects.owner).header("x-device-token", &till.token);
    if operation.id == "sign_on_at_device" {
        return signed(operation.call(objects));
    }
    let on = signed(Call::post("/api/v1/devices/current/cashier"))
        .at(site)
        .send(app)
        .await;
    assert!(on.status < 300, "{}", on.json);
    operation.call(objects).by(&till)
}

#[actix_web::test]
async fn the_trail_is_read_by_page_and_filter_and_taken_away_sealed() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    furnish(&scene, &app, &scene.other).await;
    let get = |path: &str| Call::get(path).at(&scene.site).by(&objects.owner);
    let all = get("/api/v1/audit-trail?limit=100").send(&app).await.expect(200);
    let all = all.json["items"].as_array().cloned().expect("entries");
    let mut paged = Vec::new();
    let mut path = "/api/v1/audit-trail?limit=3".to_owned();
    loop {
        let page = get(&path).send(&app).await.expect(200);
        paged.extend(page.json["items"].as_array().cloned().expect("entries"));
        let Some(next) = page.json["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/audit-trail?limit=3&after={next}");
    }
    assert_eq!(paged, all);
    assert!(all.len() > 5, "{all:#?}");
    let of_tier = format!("/api/v1/audit-trail?subject={}", objects.tier);
    let of_tier = get(&of_tier).send(&app).await.expect(200);
    assert_eq!(of_tier.json["items"][0]["kind"], "tier.created");
    let mine = of_tier.text("/items/0/actor/id");
    let by_me = get(&format!(
        "/api/v1/audit-trail?actor={mine}&kind=chain_asset.created"
    ))
    .send(&app)
    .await;
    assert_eq!(by_me.expect(200).json["items"].as_array().map(Vec::len), Some(1));
    get("/api/v1/audit-trail?since=2999-01-01T00:00:00Z")
        .send(&app)
        .await
        .expect(200);
    get("/api/v1/audit-trail?subject=nobody")
        .send(&app)
        .await
        .refused(400, "query_invalid");
    get("/api/v1/audit-trail?since=yesterday")
        .send(&app)
        .await
        .refused(400, "query_invalid");

    let scope = posx_kernel::SiteScope::of_claimed_job(scene.site.id);
    let database = &scene.state.services.database;
    database
        .seal_events(&scope, posx_kernel::Clock::now(scene.clock.as_ref()), false)
        .await
        .expect("sealed");
    let export = get("/api/v1/audit-trail/export").send(&app).await.expect(200);
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let text = String::from_utf8(export.bytes).expect("text");
    let mut before = Vec::new();
    for (position, line) in (1..).zip(text.lines()) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        before.extend(line["event"].as_str().expect("an event").bytes());
        before = digest(&SHA256, &before).as_ref().to_vec();
        assert_eq!(
            (&line["position"], line["digest"].as_str()),
            (&Value::from(position), Some(hex::encode(&before).as_str()))
        );
    }
    assert_eq!(text.lines().count(), all.len());
    let rest = get("/api/v1/audit-trail/export?after=3")
        .send(&app)
        .await
        .expect(200);
    let rest = String::from_utf8(rest.bytes).expect("text");
    assert_eq!(
        rest.lines().collect::<Vec<_>>(),
        text.lines().skip(3).collect::<Vec<_>>()
    );
}
