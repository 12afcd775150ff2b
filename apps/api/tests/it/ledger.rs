//! Statements of accounts, balances as of any time, and periods of the books over HTTP.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::Clock as _;
use posx_tenancy::{Role, Site};
use serde_json::{Value, json};

use crate::objects::furnish;
use crate::world::{Answer, Call, Person, Scene, api};

/// Closed up to long before anything happened.
pub async fn period<S, B>(app: &S, site: &Site, owner: &Person) -> String
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let body = json!({ "until": "2020-01-01T00:00:00Z" });
    let close = Call::post("/api/v1/ledger/periods")
        .by(owner)
        .at(site)
        .key("period");
    close.json(&body).send(app).await.expect(201).text("/id")
}

struct Desk<'a, S> {
    scene: &'a Scene,
    app: &'a S,
    site: &'a Site,
    owner: Person,
}

impl<S, B> Desk<'_, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    async fn get(&self, path: &str) -> Answer {
        let call = Call::get(path).by(&self.owner).at(self.site);
        call.send(self.app).await
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        let call = Call::post(path).by(&self.owner).at(self.site).key(key);
        call.json(body).send(self.app).await
    }

    async fn close(&self, key: &str, until: DateTime<Utc>) -> Answer {
        let body = json!({ "until": until });
        self.post("/api/v1/ledger/periods", key, &body).await
    }

    fn now(&self) -> DateTime<Utc> {
        self.scene.clock.now()
    }
}

fn query(at: DateTime<Utc>) -> String {
    at.to_rfc3339().replace('+', "%2B")
}

#[actix_web::test]
async fn an_account_is_stated_as_of_any_time_and_another_sites_is_not_there() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let theirs = furnish(&scene, &app, &scene.other).await;
    let desk = Desk {
        scene: &scene,
        app: &app,
        site: &scene.other,
        owner: theirs.owner,
    };
    let path = "/api/v1/ledger/accounts/sales/statement";
    let all = desk.get(path).await.expect(200).json;
    assert_eq!(
        (&all["account"], &all["unit"], &all["class"]),
        (&json!("sales"), &json!("KWD"), &json!("income"))
    );
    let lines = all["lines"]["items"].as_array().cloned().expect("lines");
    let (first, last) = (&lines[0], lines.last().expect("a line"));
    assert_eq!(
        (&all["opening"], &all["closing"]),
        (&json!("0"), &last["balance"]),
        "the lines lead from one to the other"
    );
    assert_eq!(
        (&first["kind"], &first["balance"]),
        (&json!("payment.captured"), &first["amount"])
    );
    let paid_at: DateTime<Utc> = serde_json::from_value(first["posted_at"].clone()).expect("an instant");
    let at_once = lines.iter().rfind(|line| line["posted_at"] == first["posted_at"]);
    let held = at_once.expect("the first")["balance"].as_str().expect("text");
    for (as_of, expected) in [(paid_at, "0"), (paid_at + TimeDelta::microseconds(1), held)] {
        let part = desk
            .get(&format!("{path}?until={}", query(as_of)))
            .await
            .expect(200);
        assert_eq!(part.json["closing"], expected);
        for list in ["accounts", "trial-balance"] {
            let rows = desk
                .get(&format!("/api/v1/ledger/{list}?as_of={}", query(as_of)))
                .await;
            let rows = rows.expect(200).json["items"].as_array().cloned().expect("items");
            let named = |row: &&Value| row["account"] == "sales" || row["code"] == "sales";
            assert_eq!(
                rows.iter().find(named).expect("sales")["balance"],
                expected,
                "{list}"
            );
        }
    }
    let asset = desk
        .get(&format!(
            "/api/v1/ledger/accounts/tokens:sold/statement?unit={}",
            theirs.asset
        ))
        .await;
    assert_eq!(asset.expect(200).json["class"], "tokens");

    let agents = format!(
        "/api/v1/ledger/accounts/commission:payable:{}/statement",
        theirs.agent_party
    );
    desk.get(&agents).await.expect(200);
    let ours = Desk {
        site: &scene.site,
        owner: scene.member(&scene.site, Role::Owner).await,
        ..desk
    };
    ours.get(&agents).await.refused(404, "ledger_account_not_found");
    for (path, code) in [
        (
            "/api/v1/ledger/accounts/Sales/statement",
            "ledger_account_not_found",
        ),
        (
            "/api/v1/ledger/accounts/nothing/statement",
            "ledger_account_not_found",
        ),
    ] {
        ours.get(path).await.refused(404, code);
    }
    for wrong in [
        "unit=money",
        "from=yesterday",
        "from=2026-02-01T00:00:00Z&until=2026-01-01T00:00:00Z",
        "as_of=2026-01-01T00:00:00Z",
    ] {
        ours.get(&format!("{path}?{wrong}"))
            .await
            .refused(400, "query_invalid");
    }
    ours.get("/api/v1/ledger/trial-balance?as_of=12")
        .await
        .refused(400, "query_invalid");
}

#[actix_web::test]
async fn the_books_are_closed_and_opened_again_by_the_rules() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let desk = Desk {
        scene: &scene,
        app: &app,
        site: &scene.site,
        owner: objects.owner,
    };
    let recent = desk.close("recent", desk.now()).await;
    recent.refused(422, "ledger_period_too_recent");
    let until = desk.now() - TimeDelta::hours(2);
    let closed = desk.close("close", until).await.expect(201);
    assert_eq!(
        (&closed.json["number"], &closed.json["from"]),
        (&json!(2), &json!("2020-01-01T00:00:00Z"))
    );
    let again = desk.close("close", until).await.expect(201);
    assert_eq!(
        (again.header("idempotent-replayed"), &again.json),
        ("true", &closed.json)
    );
    desk.close("before", until)
        .await
        .refused(409, "ledger_period_not_after_last");
    let unknown = json!({ "until": until, "force": true });
    desk.post("/api/v1/ledger/periods", "unknown", &unknown)
        .await
        .refused(422, "field_unknown");

    let id = closed.text("/id");
    let seen = desk
        .get(&format!("/api/v1/ledger/periods/{id}"))
        .await
        .expect(200);
    assert_eq!(seen.json, closed.json);
    let balances = desk
        .get(&format!("/api/v1/ledger/periods/{id}/balances"))
        .await
        .expect(200);
    assert!(balances.json["items"].is_array());
    let list = desk.get("/api/v1/ledger/periods?limit=1").await.expect(200);
    assert_eq!(
        (&list.json["items"][0]["id"], list.json["next"].is_string()),
        (&json!(id), true)
    );

    let reopen = |id: &str| format!("/api/v1/ledger/periods/{id}/reopen");
    let why = json!({ "reason": "an invoice was missing" });
    desk.post(&reopen(&objects.period), "first", &why)
        .await
        .refused(409, "ledger_period_not_last");
    desk.post(&reopen(&id), "silent", &json!({ "reason": " " }))
        .await
        .refused(422, "ledger_period_reason_invalid");
    let opened = desk.post(&reopen(&id), "open", &why).await.expect(200);
    assert_eq!(opened.json["reopened_because"], "an invoice was missing");
    assert_eq!(
        desk.post(&reopen(&id), "open", &why).await.expect(200).json,
        opened.json
    );
    let next = desk.close("next", until).await.expect(201);
    assert_eq!(next.json["number"], 2);
}

#[actix_web::test]
async fn where_the_site_wants_it_a_second_person_agrees_to_a_closing() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let desk = Desk {
        scene: &scene,
        app: &app,
        site: &scene.site,
        owner: objects.owner,
    };
    let limit = Call::put("/api/v1/approval-limits/close_ledger_period")
        .by(&desk.owner)
        .at(&scene.site)
        .key("limit")
        .json(&json!({ "quantity_max": 0 }));
    limit.send(&app).await.expect(200);
    let until = desk.now() - TimeDelta::hours(2);
    let asked = desk.close("close", until).await;
    asked.refused(409, "approval_needed");
    let (id, hash) = (asked.text("/approval/id"), asked.text("/approval/hash"));
    let admin = scene.member(&scene.site, Role::Admin).await;
    Call::post(&format!("/api/v1/approvals/{id}/approve"))
        .by(&admin)
        .at(&scene.site)
        .key("approve")
        .json(&json!({ "hash": hash }))
        .send(&app)
        .await
        .expect(200);
    let close = Call::post("/api/v1/ledger/periods")
        .by(&desk.owner)
        .at(&scene.site)
        .key("close")
        .header("approval", &id)
        .json(&json!({ "until": until }));
    close.send(&app).await.expect(201);
}
