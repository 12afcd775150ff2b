//! Agents over HTTP: profile, tree, figures, statements, why not.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use chrono::Duration;
use posx_commissions::{AgentsTx, Month, Span, Statement};
use posx_kernel::{Begin as _, Clock as _, Ids as _, Money, SiteScope, StatementId, SystemIds};
use posx_tenancy::{Role, Site};
use serde_json::{Value, json};

use crate::objects::{Objects, furnish};
use crate::world::{Answer, Call, Person, Scene, api};

/// Of the month before, in which nothing happened yet: what is posted from now on is of the next one.
pub async fn statement(scene: &Scene, site: &Site, agent: &str) -> String {
    let zone = site.time_zone;
    let month = Month::of(scene.clock.now(), zone)
        .and_then(Month::before)
        .expect("a month");
    let zero = Money::zero(site.currency);
    let statement = Statement {
        id: StatementId::from_uuid(SystemIds.uuid(scene.clock.now())),
        agent: agent.parse().expect("a party"),
        number: 1,
        month,
        zone,
        span: Span {
            from: month.start(zone),
            to: month.end(zone),
        },
        opening: zero,
        credits: zero,
        debits: zero,
        closing: zero,
        lines: 0,
        at: scene.clock.now(),
    };
    let scope = SiteScope::of_verified_request(site.id);
    let mut tx: Box<dyn AgentsTx> = scene
        .state
        .services
        .database
        .begin(&scope)
        .await
        .expect("a transaction");
    tx.statements()
        .insert(std::slice::from_ref(&statement))
        .await
        .expect("stored");
    tx.commit().await.expect("committed");
    statement.id.to_string()
}

async fn get<S, B>(app: &S, site: &Site, by: &Person, path: &str) -> Answer
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    Call::get(path).by(by).at(site).send(app).await
}

async fn put<S, B>(app: &S, site: &Site, by: &Person, path: &str, version: &str, body: Value) -> Answer
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let call = Call::put(path)
        .by(by)
        .at(site)
        .header("if-match", version)
        .json(&body);
    call.send(app).await
}

/// Somebody else, whom the agent brought, and their paid order.
async fn another_buys<S, B>(scene: &Scene, app: &S, site: &Site, objects: &Objects) -> (Person, String)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let code = get(app, site, &objects.agent, "/api/v1/me")
        .await
        .text("/membership/referral_code");
    let buyer = scene.stranger();
    let join = Call::post("/api/v1/me").json(&json!({ "referral_code": code }));
    join.by(&buyer).at(site).send(app).await.expect(201);
    let wallet = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
    let (order, _) = crate::objects::buy_to(scene, app, site, (&buyer, wallet), &objects.tier).await;
    (buyer, order)
}

#[actix_web::test]
async fn staff_name_an_agent_suspend_them_and_place_them_elsewhere() {
    let scene = Scene::new().await;
    let (app, site) = (api(&scene).await, &scene.site);
    let Objects {
        owner,
        agent_party,
        party,
        ..
    } = furnish(&scene, &app, site).await;
    let listed = get(&app, site, &owner, "/api/v1/agents").await.expect(200);
    assert_eq!(listed.json["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed.json["items"][0]["id"], json!(agent_party));
    let path = format!("/api/v1/agents/{agent_party}");
    let edit = async |version: &str, body: Value| put(&app, site, &owner, &path, version, body).await;
    let named = edit("\"1\"", json!({ "display_name": "Mona", "state": "suspended" }))
        .await
        .expect(200);
    assert_eq!(
        (&named.json["display_name"], &named.json["state"]),
        (&json!("Mona"), &json!("suspended"))
    );
    assert_eq!(named.header("etag"), "\"2\"");
    edit("\"1\"", json!({ "state": "active" }))
        .await
        .refused(412, "version_stale");
    let refused = edit("\"2\"", json!({ "display_name": "", "state": "active" })).await;
    refused.refused(422, "agent_display_name_invalid");
    assert_eq!(refused.field(), "display_name");
    let suspended = get(&app, site, &owner, "/api/v1/agents?state=suspended")
        .await
        .expect(200);
    assert_eq!(suspended.json["items"].as_array().map(Vec::len), Some(1));

    let place = format!("{path}/parent");
    let place = async |version: &str, parent: Value| {
        put(&app, site, &owner, &place, version, json!({ "parent": parent })).await
    };
    let below = get(&app, site, &owner, &format!("{path}/tree"))
        .await
        .expect(200)
        .text("/items/0/party");
    place("\"2\"", json!(below))
        .await
        .refused(409, "agent_tree_cycle");
    place("\"2\"", json!("pty_00000000000000000000000000000000"))
        .await
        .refused(422, "agent_parent_not_found");
    let placed = place("\"2\"", json!(party)).await.expect(200);
    assert_eq!(
        (&placed.json["parent"], &placed.json["depth"]),
        (&json!(party), &json!(1))
    );
    let tree = get(
        &app,
        site,
        &owner,
        &format!("/api/v1/agents/{party}/tree?depth=2"),
    )
    .await
    .expect(200);
    let nodes: Vec<_> = tree.json["items"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| (node["party"].clone(), node["depth"].clone()))
        .collect();
    assert_eq!(nodes, [(json!(agent_party), json!(1)), (json!(below), json!(2))]);
    let trail = get(&app, site, &owner, "/api/v1/audit-trail?kind=agent.placed")
        .await
        .expect(200);
    assert_eq!(trail.json["items"].as_array().map(Vec::len), Some(1));
    let trail = get(&app, site, &owner, "/api/v1/audit-trail").await.expect(200);
    assert!(
        !trail.json.to_string().contains("Mona"),
        "a name is not in the trail"
    );
}

#[actix_web::test]
async fn an_agent_sees_their_own_customers_sales_commissions_and_balance() {
    let scene = Scene::new().await;
    let (app, site) = (api(&scene).await, &scene.site);
    let objects = furnish(&scene, &app, site).await;
    let mine = get(&app, site, &objects.agent, "/api/v1/me/agent")
        .await
        .expect(200);
    assert_eq!(mine.json["agent"]["id"], json!(objects.agent_party));
    let figures = &mine.json["figures"];
    assert_eq!(
        (&figures["direct_customers"], &figures["total_customers"]),
        (&json!(1), &json!(1))
    );
    let dollars = |amount: &str| json!({ "amount": amount, "currency": "USD" });
    assert_eq!(
        figures["sales"],
        json!([{ "direct": dollars("200.00"), "team": dollars("200.00"), "orders": 1 }])
    );
    assert_eq!(figures["commissions"][0]["state"], "held");
    assert_eq!(
        figures["balances"],
        json!([{ "balance": dollars("24.00"), "held_back": dollars("24.00"), "available": dollars("0.00"), "pending": dollars("0.00") }])
    );
    let same = get(
        &app,
        site,
        &objects.owner,
        &format!("/api/v1/agents/{}/figures", objects.agent_party),
    )
    .await
    .expect(200);
    assert_eq!(&same.json, figures);
    let customers = get(&app, site, &objects.agent, "/api/v1/me/agent/customers")
        .await
        .expect(200);
    assert_eq!(customers.json["items"][0]["sales"], json!([dollars("200.00")]));
    let board = get(
        &app,
        site,
        &objects.owner,
        "/api/v1/agent-leaderboard?metric=commissions",
    )
    .await
    .expect(200);
    assert_eq!(board.json["items"][0]["agent"], json!(objects.agent_party));
    assert_eq!(board.json["items"][0]["amount"], dollars("24.00"));
    for bad in [
        "from=2026-02-02&to=2026-02-01",
        "currency=XXX",
        "metric=luck",
        "from=yesterday",
    ] {
        let refused = get(
            &app,
            site,
            &objects.owner,
            &format!("/api/v1/agent-leaderboard?{bad}"),
        )
        .await;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.json);
    }
    get(&app, site, &objects.agent, "/api/v1/agents")
        .await
        .refused(403, "capability_missing");
}

#[actix_web::test]
async fn p21_a_statement_is_made_once_its_month_is_over_and_read_as_json_csv_and_pdf() {
    let scene = Scene::new().await;
    let (app, site) = (api(&scene).await, &scene.site);
    let objects = furnish(&scene, &app, site).await;
    let agent = &objects.agent_party;
    let zone = site.time_zone;
    let month = Month::of(scene.clock.now(), zone).expect("a month");
    let make = async |by: &Person, key: &str| {
        let call = Call::post(&format!("/api/v1/agents/{agent}/statements")).json(&json!({ "month": month }));
        call.by(by).at(site).key(key).send(&app).await
    };
    let early = make(&objects.owner, "early").await;
    early.refused(422, "statement_month_not_over");
    assert_eq!(early.field(), "month");
    scene
        .clock
        .advance(month.end(zone) - scene.clock.now() + Duration::hours(1));
    // Tokens are over by now.
    let owner = scene.member(site, Role::Owner).await;
    let made = make(&owner, "made").await.expect(200);
    let statement = &made.json["items"][0];
    let dollars = |amount: &str| json!({ "amount": amount, "currency": "USD" });
    assert_eq!(
        (&statement["number"], &statement["month"], &statement["lines"]),
        (&json!(2), &json!(month), &json!(1))
    );
    assert_eq!(
        (&statement["opening"], &statement["closing"]),
        (&dollars("0.00"), &dollars("24.00"))
    );
    assert_eq!(make(&owner, "made").await.expect(200).json, made.json, "p10");
    assert_eq!(
        make(&owner, "again").await.expect(200).json,
        made.json,
        "it is made once"
    );
    let trail = get(&app, site, &owner, "/api/v1/audit-trail?kind=agent.stated")
        .await
        .expect(200);
    assert_eq!(trail.json["items"].as_array().map(Vec::len), Some(1));

    let path = format!(
        "/api/v1/agent-statements/{}",
        statement["id"].as_str().expect("an id")
    );
    let lines = get(&app, site, &owner, &format!("{path}/lines"))
        .await
        .expect(200);
    assert_eq!(lines.json["items"][0]["amount"], dollars("24.00"));
    assert_eq!(lines.json["items"][0]["order"], json!(objects.order));
    let says = lines.text("/items/0/says");
    assert!(
        says.starts_with("Share of order ") && says.ends_with(" at level 1."),
        "{says}"
    );
    let csv = get(&app, site, &owner, &format!("{path}/csv")).await.expect(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let mut reader = csv::Reader::from_reader(csv.bytes.as_slice());
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    let cells = |row: usize| [1, 4, 5, 6].map(|cell| rows[row][cell].to_owned());
    assert_eq!(cells(0), ["opening", "", "0.00", "USD"]);
    assert_eq!(cells(1), ["commission.accrued", "24.00", "24.00", "USD"]);
    assert_eq!(cells(2), ["closing", "", "24.00", "USD"]);
    let pdf = get(&app, site, &owner, &format!("{path}/pdf")).await.expect(200);
    assert_eq!(pdf.header("content-type"), "application/pdf");
    let document = lopdf::Document::load_mem(&pdf.bytes).expect("a PDF");
    let text = document.extract_text(&[1]).expect("its text");
    assert!(
        text.contains("24.00 USD") && text.contains(says.trim_end_matches(" at level 1.")),
        "{text}"
    );
    let again = get(&app, site, &owner, &format!("{path}/pdf")).await.expect(200);
    assert_eq!(pdf.bytes, again.bytes, "the same statement, the same bytes");
}

#[actix_web::test]
async fn an_agent_sees_their_own_statements_and_nobody_elses() {
    let scene = Scene::new().await;
    let (app, site) = (api(&scene).await, &scene.site);
    let objects = furnish(&scene, &app, site).await;
    let mine = get(&app, site, &objects.agent, "/api/v1/me/agent/statements")
        .await
        .expect(200);
    assert_eq!(mine.json["items"][0]["id"], json!(objects.statement));
    let path = format!("/api/v1/agent-statements/{}", objects.statement);
    for what in ["", "/lines", "/csv", "/pdf"] {
        get(&app, site, &objects.agent, &format!("{path}{what}"))
            .await
            .expect(200);
        let others = get(&app, site, &objects.buyer, &format!("{path}{what}")).await;
        others.refused(404, "statement_not_found");
    }
}

#[actix_web::test]
async fn everyone_above_a_buyer_is_told_what_they_got_and_why_not_more() {
    let scene = Scene::new().await;
    let (app, site) = (api(&scene).await, &scene.site);
    let objects = furnish(&scene, &app, site).await;
    let (owner, agent_party, party) = (&objects.owner, &objects.agent_party, &objects.party);
    let place = format!("/api/v1/agents/{agent_party}/parent");
    put(&app, site, owner, &place, "\"1\"", json!({ "parent": party }))
        .await
        .expect(200);
    let (buyer, order) = another_buys(&scene, &app, site, &objects).await;
    let ask = async |by: &Person, order: &str, query: &str| {
        get(
            &app,
            site,
            by,
            &format!("/api/v1/orders/{order}/commissions/why-not{query}"),
        )
        .await
    };
    let reasons = |answer: &Answer| -> Vec<Value> {
        let items = answer.json["items"].as_array().expect("items");
        items
            .iter()
            .map(|item| json!([item["agent"], item["level"], item["reason"]]))
            .collect()
    };
    let all = ask(owner, &order, "").await.expect(200);
    assert_eq!(
        reasons(&all),
        [
            json!([agent_party, 1, null]),
            json!([party, 2, "beyond_plan_depth"])
        ]
    );
    assert_eq!(all.json["items"][0]["amount"]["amount"], "24.00");
    let first = ask(owner, &order, "?limit=1").await.expect(200);
    assert_eq!((reasons(&first).len(), &first.json["next"]), (1, &json!(1)));
    let second = ask(owner, &order, "?limit=1&after=1").await.expect(200);
    assert_eq!(
        (reasons(&second), &second.json["next"]),
        (vec![json!([party, 2, "beyond_plan_depth"])], &Value::Null)
    );
    // Who came above later stands above what is paid later.
    let before = ask(owner, &objects.order, &format!("?agent={party}"))
        .await
        .expect(200);
    assert_eq!(reasons(&before), [json!([party, null, "not_above_the_buyer"])]);
    let own = ask(&objects.agent, &order, "").await.expect(200);
    assert_eq!(reasons(&own), [json!([agent_party, 1, null])]);
    let buyer = get(&app, site, &buyer, "/api/v1/me")
        .await
        .text("/membership/party_id");
    assert!(
        !own.json.to_string().contains(&buyer),
        "who the buyer is, is not said"
    );
    ask(&objects.agent, &order, &format!("?agent={party}"))
        .await
        .refused(404, "order_not_found");
    ask(&objects.buyer, &order, "")
        .await
        .refused(404, "order_not_found");
}

#[actix_web::test]
async fn a_suspended_agent_earns_nothing_of_what_is_paid_meanwhile() {
    let scene = Scene::new().await;
    let (app, site) = (api(&scene).await, &scene.site);
    let objects = furnish(&scene, &app, site).await;
    let path = format!("/api/v1/agents/{}", objects.agent_party);
    put(
        &app,
        site,
        &objects.owner,
        &path,
        "\"1\"",
        json!({ "state": "suspended" }),
    )
    .await
    .expect(200);
    let (_, order) = another_buys(&scene, &app, site, &objects).await;
    let why = get(
        &app,
        site,
        &objects.agent,
        &format!("/api/v1/orders/{order}/commissions/why-not"),
    )
    .await
    .expect(200);
    assert_eq!(why.json["items"][0]["reason"], "inactive_agent");
    let mine = get(&app, site, &objects.agent, "/api/v1/me/agent")
        .await
        .expect(200);
    assert_eq!(
        mine.json["figures"]["commissions"][0]["count"], 1,
        "what was earned before stays"
    );
}
