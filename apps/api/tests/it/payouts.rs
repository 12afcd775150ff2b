//! Settlements, payouts and withdrawals over HTTP, with a provider that fails.

mod stage;

use posx_commissions::{PayoutError, Sent};
use posx_kernel::Money;
use posx_sandbox::Fault;
use posx_tenancy::Role;
use serde_json::{Value, json};

use self::stage::{IBAN, agent, earn, money, set_bank, set_rules, stage};
pub use self::stage::{PayoutObjects, furnish};
use crate::world::{Call, Person, Scene, api};

#[actix_web::test]
async fn s07_under_every_fault_of_the_provider_a_payout_is_sent_once() {
    for (fault, tries) in [
        (Fault::LoseAnswer, 1),
        (Fault::GatewayTimeout, 1),
        (Fault::RateLimit, 1),
        (Fault::ServerError, 2),
        (
            Fault::Refuse {
                code: "balance_insufficient".to_owned(),
            },
            2,
        ),
    ] {
        let stage = stage().await;
        let app = api(&stage.scene).await;
        stage.onboarded(&app).await;
        let (settlement, id) = stage.settled(&app).await;
        stage.fail(fault.clone());
        let first = stage.send(id).await;
        if matches!(fault, Fault::Refuse { .. }) {
            assert_eq!(
                first.expect("an answer"),
                Sent::Failed("balance_insufficient".to_owned())
            );
        } else {
            assert!(matches!(first, Err(PayoutError::Unsettled)), "{fault:?}");
        }
        if tries == 2 {
            // A failure that is stored under the key stays its answer: only another try gets further (S02, S44).
            let stored = stage.send(id).await.expect("an answer");
            assert_ne!(stored, Sent::Done, "{fault:?}");
            let retry = format!("/api/v1/payouts/{id}/retry");
            let retry = stage
                .call(Call::post(&retry), &stage.maker, "again")
                .send(&app)
                .await;
            assert_eq!(retry.expect(200).json["state"], "approved");
        }
        assert_eq!(stage.send(id).await.expect("sent"), Sent::Done, "{fault:?}");
        let transfers = stage.scene.world.payments().transfers();
        assert_eq!(transfers.len(), 1, "{fault:?}");
        assert_eq!(
            transfers[0].amount,
            Money::parse("100", stage.scene.site.currency).expect("money")
        );
        let path = format!("/api/v1/payouts/{id}");
        let shown = stage.get(&app, &stage.maker, &path).await.expect(200);
        assert_eq!(
            (
                &shown.json["state"],
                &shown.json["tries"],
                &shown.json["reference"]
            ),
            (&json!("done"), &json!(tries), &json!(transfers[0].id)),
            "{fault:?}"
        );
        let path = format!("/api/v1/settlements/{settlement}");
        let done = stage.get(&app, &stage.maker, &path).await.expect(200);
        assert_eq!(done.json["state"], "done", "{fault:?}");
        let balance = stage
            .get(&app, &stage.agent, "/api/v1/me/balances")
            .await
            .expect(200);
        assert_eq!(balance.json["items"][0]["balance"]["amount"], "0.00");
    }
}

#[actix_web::test]
async fn s45_a_transfer_that_the_provider_takes_back_is_the_agents_again() {
    let stage = stage().await;
    let app = api(&stage.scene).await;
    stage.onboarded(&app).await;
    let (_, id) = stage.settled(&app).await;
    assert_eq!(stage.send(id).await.expect("sent"), Sent::Done);
    let transfer = stage.scene.world.payments().transfers()[0].id.clone();
    stage
        .scene
        .world
        .payments()
        .reverse_transfer(&transfer, 4_000)
        .expect("reversed");
    let payouts = &stage.scene.state.services.payouts;
    assert!(
        payouts
            .transfer_changed(&stage.scope, &transfer)
            .await
            .expect("applied")
    );
    let balance = stage
        .get(&app, &stage.agent, "/api/v1/me/balances")
        .await
        .expect(200);
    assert_eq!(balance.json["items"][0]["available"]["amount"], "40.00");
    let shown = stage
        .get(&app, &stage.maker, &format!("/api/v1/payouts/{id}"))
        .await
        .expect(200);
    assert_eq!(shown.json["reversed"]["amount"], "40.00");
}

#[actix_web::test]
async fn bank_details_go_in_and_come_out_in_a_file_only() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let objects = furnish(&scene, &app, &scene.site, &owner).await;
    let get = |path: &str| Call::get(path).by(&owner).at(&scene.site);
    let path = format!("/api/v1/payout-files/{}/document", objects.file);
    let file = get(&path).send(&app).await.expect(200);
    assert_eq!(file.header("content-type"), "application/xml");
    let text = String::from_utf8(file.bytes.clone()).expect("text");
    assert!(
        text.contains(IBAN) && text.contains("<InstdAmt Ccy=\"USD\">80.00</InstdAmt>"),
        "{text}"
    );
    assert_eq!(
        get(&path).send(&app).await.expect(200).bytes,
        file.bytes,
        "the same bytes"
    );
    let viewer = scene.member(&scene.site, Role::Viewer).await;
    let looked = Call::get(&path).by(&viewer).at(&scene.site).send(&app).await;
    looked.refused(403, "capability_missing");

    let (agent, _) = agent(&scene, &app, &scene.site).await;
    let bad = json!({ "bank": { "holder": "Ann", "iban": "DE89370400440532013001" } });
    let bad = Call::put("/api/v1/me/payout-accounts/bank")
        .by(&agent)
        .at(&scene.site)
        .json(&bad);
    let bad = bad.send(&app).await;
    assert_eq!(bad.field(), "bank/iban");
    assert!(!String::from_utf8_lossy(&bad.bytes).contains("3704004405"));
    bad.refused(422, "payout_account_invalid");
    set_bank(&app, &scene.site, &agent).await.expect(204);
    let accounts = Call::get("/api/v1/me/payout-accounts").by(&agent).at(&scene.site);
    let accounts = accounts.send(&app).await.expect(200);
    assert_eq!(accounts.json["items"][0]["masked"], "DE…3000");
    assert!(!String::from_utf8_lossy(&accounts.bytes).contains("370400440532"));
    let trail = get("/api/v1/audit-trail?limit=100").send(&app).await.expect(200);
    assert!(!String::from_utf8_lossy(&trail.bytes).contains("370400440532"));

    // Another account in its place: nothing goes there for three days.
    set_bank(&app, &scene.site, &agent).await.expect(204);
    let wish = json!({ "amount": money(&scene.site, "20"), "method": "bank" });
    let asked = Call::post("/api/v1/me/withdrawals")
        .by(&agent)
        .at(&scene.site)
        .key("out");
    asked
        .json(&wish)
        .send(&app)
        .await
        .refused(409, "payout_account_cooling_off");
}

#[actix_web::test]
async fn a_withdrawal_above_the_sites_limit_needs_a_second_person() {
    let stage = stage().await;
    let app = api(&stage.scene).await;
    let site = &stage.scene.site;
    set_bank(&app, site, &stage.agent).await.expect(204);
    let limit = Call::put("/api/v1/approval-limits/approve_withdrawal");
    let limit = stage
        .call(limit, &stage.maker, "limit")
        .json(&json!({ "quantity_max": 1_999 }));
    limit.send(&app).await.expect(200);
    let wish = json!({ "amount": money(site, "20"), "method": "bank" });
    let asked = stage
        .post(&app, &stage.agent, "/api/v1/me/withdrawals", &wish)
        .await
        .expect(201);
    let path = format!("/api/v1/withdrawals/{}/approve", asked.text("/id"));
    let approve = || stage.call(Call::post(&path), &stage.maker, "approve");
    let refused = approve().send(&app).await;
    let (approval, hash) = (refused.text("/approval/id"), refused.text("/approval/hash"));
    refused.refused(409, "approval_needed");
    let agree = format!("/api/v1/approvals/{approval}/approve");
    stage
        .post(&app, &stage.checker, &agree, &json!({ "hash": hash }))
        .await
        .expect(200);
    let approved = approve()
        .header("approval", &approval)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(approved.json["state"], "approved");
    let others = stage.scene.stranger();
    let join = Call::post("/api/v1/me").by(&others).at(site).json(&json!({}));
    join.send(&app).await.expect(201);
    let look = format!("/api/v1/withdrawals/{}", asked.text("/id"));
    stage
        .get(&app, &others, &look)
        .await
        .refused(404, "withdrawal_not_found");
    assert_eq!(
        stage.get(&app, &stage.agent, &look).await.expect(200).json["state"],
        "approved"
    );
    let cancel = Call::post(&format!("{look}/cancel"));
    let late = stage.call(cancel, &stage.agent, "cancel").send(&app).await;
    late.refused(409, "payout_state");
}

/// Every step has an entry of its actor.
#[actix_web::test]
async fn every_step_leaves_an_entry() {
    let stage = stage().await;
    let app = api(&stage.scene).await;
    let (site, maker, checker) = (&stage.scene.site, &stage.maker, &stage.checker);
    set_rules(&app, site, maker).await;
    set_bank(&app, site, &stage.agent).await.expect(204);
    let count = std::cell::Cell::new(0);
    let step = async |person: &Person, method: &str, path: &str, body: Option<Value>| {
        count.set(count.get() + 1);
        let name = format!("step-{}", count.get());
        let call = stage
            .call(Call::new(method, path), person, &name)
            .header("x-request-id", &name);
        let call = match &body {
            Some(body) => call.json(body),
            None => call,
        };
        let answer = call.send(&app).await;
        assert!(answer.status < 300, "{path}: {}", answer.json);
        let trail = format!("/api/v1/audit-trail?request_id={name}");
        let trail = stage.get(&app, maker, &trail).await.expect(200);
        let entries = trail.json["items"].as_array().expect("entries");
        let persons = entries.iter().all(|entry| entry["actor"]["kind"] == "person");
        assert!(!entries.is_empty() && persons, "{path}: {entries:?}");
        answer
    };
    let why = || Some(json!({ "reason": "not this way" }));
    let out = |amount: &str| Some(json!({ "amount": money(site, amount), "method": "bank" }));

    for (amount, end) in [("20", "cancel"), ("21", "reject"), ("22", "approve")] {
        let asked = step(&stage.agent, "POST", "/api/v1/me/withdrawals", out(amount)).await;
        let path = format!("/api/v1/withdrawals/{}/{end}", asked.text("/id"));
        match end {
            "cancel" => step(&stage.agent, "POST", &path, None).await,
            "reject" => step(maker, "POST", &path, why()).await,
            _ => step(maker, "POST", &path, None).await,
        };
    }
    let settle = |method: &str| Some(json!({ "method": method }));
    let made = step(maker, "POST", "/api/v1/settlements", settle("bank")).await;
    let path = format!("/api/v1/settlements/{}", made.text("/id"));
    let made = step(maker, "POST", &format!("{path}/preview"), None).await;
    assert_eq!(made.json["revision"], 2);
    let seen = Some(json!({ "hash": made.text("/hash") }));
    step(checker, "POST", &format!("{path}/approve"), seen).await;
    let file = Some(json!({ "currency": site.currency }));
    step(maker, "POST", "/api/v1/payout-files", file).await;
    let payouts = stage
        .get(&app, maker, "/api/v1/payouts?state=sending")
        .await
        .expect(200);
    let [one, two] = ["/items/0/id", "/items/1/id"].map(|at| format!("/api/v1/payouts/{}", payouts.text(at)));
    step(
        maker,
        "POST",
        &format!("{one}/paid"),
        Some(json!({ "reference": "statement 7" })),
    )
    .await;
    step(maker, "POST", &format!("{two}/failed"), why()).await;
    step(maker, "POST", &format!("{two}/retry"), None).await;
    step(maker, "POST", &format!("{two}/give-back"), why()).await;

    earn(&stage.scene, site, &stage.party, "50").await;
    let body = settle("manual").expect("a body");
    let draft = stage
        .call(Call::post("/api/v1/settlements"), maker, "second")
        .json(&body);
    let draft = draft.send(&app).await.expect(201).text("/id");
    step(
        maker,
        "POST",
        &format!("/api/v1/settlements/{draft}/discard"),
        None,
    )
    .await;
    step(&stage.agent, "DELETE", "/api/v1/me/payout-accounts/bank", None).await;

    let balances = stage
        .get(&app, &stage.agent, "/api/v1/me/balances")
        .await
        .expect(200);
    assert!(!balances.text("/items/0/available/amount").starts_with('-'));
    let (_, debtor) = agent(&stage.scene, &app, site).await;
    earn(&stage.scene, site, &debtor, "-130").await;
    let owing = stage
        .get(&app, maker, "/api/v1/negative-balances")
        .await
        .expect(200);
    assert_eq!(
        (
            &owing.json["items"][0]["owes"]["amount"],
            &owing.json["items"][0]["age"]
        ),
        (&json!("30.00"), &json!("0-30"))
    );
    let body = json!({ "agent": debtor, "amount": money(site, "30"), "reason": "moved away" });
    step(maker, "POST", "/api/v1/write-offs", Some(body)).await;
    let owing = stage
        .get(&app, maker, "/api/v1/negative-balances")
        .await
        .expect(200);
    assert_eq!(owing.json["items"], json!([]));
    let trial = stage.get(&app, maker, "/api/v1/write-offs").await.expect(200);
    assert_eq!(trial.json["items"][0]["amount"]["amount"], "30.00");
}
