//! The platform plane over HTTP: whose tokens it takes, who may do what there, and visits to sites.

mod visits;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use chrono::TimeDelta;
use posx_kernel::{Actor, Clock as _, GrantId, Ids as _, SystemIds, Who};
use posx_sandbox::TokenRequest;
use posx_tenancy::{GrantWish, Platform, PlatformCapability, Role, Site, Staff, StaffRole};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::coverage::{Operation, operations};
use crate::objects::furnish;
use crate::world::{Answer, Call, PLATFORM_AUDIENCE, Person, Scene, api};

const REASON: &str = "the owner asked why an order is late";

/// One of the staff, signed in a moment ago with a second factor.
pub struct Staffer {
    pub person: Person,
    staff: Staff,
}

impl Scene {
    fn plane(&self) -> &Platform {
        let plane = self.state.services.platform.as_ref();
        &plane.expect("the scene serves it").platform
    }

    pub async fn staffer(&self, role: StaffRole) -> Staffer {
        let subject = self.stranger().subject;
        let staff = self
            .plane()
            .appoint_staff(self.world.issuer().url(), &subject, "Dana", role);
        let staff = staff.await.expect("appointed");
        Staffer {
            person: self.with_token(TokenRequest::new(&subject, PLATFORM_AUDIENCE)),
            staff,
        }
    }

    fn with_token(&self, request: TokenRequest) -> Person {
        Person {
            token: self.world.issuer().token(&request).expect("a token"),
            subject: request.subject,
        }
    }
}

/// Platform staff is in the site.
pub async fn visit(scene: &Scene, site: &Site) -> GrantId {
    let staff = scene.staffer(StaffRole::Support).await.staff.identity;
    let wish = GrantWish {
        site: site.code.as_str(),
        reason: REASON,
        minutes: 60,
    };
    let plane = scene.plane().by(Actor::of(Who::Person(staff)));
    plane.open_grant(staff, &wish).await.expect("opened").id
}

fn of_the_plane() -> Vec<Operation> {
    let found: Vec<_> = operations()
        .into_iter()
        .filter(Operation::is_on_the_platform)
        .collect();
    assert!(found.len() >= 14, "{}", found.len());
    found
}

/// With names of nothing, so that whoever is let in does no harm.
fn bare(operation: &Operation) -> Call {
    let nobody = format!("idn_{}", "0".repeat(32));
    let id = if operation.path.contains("/grants/") {
        nobody.replace("idn", "grt")
    } else {
        nobody
    };
    Call::new(
        &operation.method,
        &operation.path.replace("{code}", "NOWHERE").replace("{id}", &id),
    )
}

fn open(site: &Site, minutes: u16) -> Call {
    let body = json!({ "site": site.code, "reason": REASON, "minutes": minutes });
    Call::post("/platform/v1/grants").json(&body)
}

async fn look<S, B>(app: &S, site: &Site, person: &Person) -> Answer
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    Call::get("/api/v1/orders?all=true")
        .at(site)
        .by(person)
        .send(app)
        .await
}

#[actix_web::test]
async fn the_plane_takes_its_own_tokens_and_no_other() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let bearer = |token: &str| Person {
        token: token.to_owned(),
        subject: String::new(),
    };
    let wallet = scene.state.services.wallet_issuer.as_ref().expect("on");
    let subject = "eip155:1:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let now = scene.clock.now();
    let wallet = wallet.token(subject, SystemIds.uuid(now), now);
    let wallet = bearer(wallet.expect("a token").token.expose_secret());
    // A good token of the plane's issuer and audience is not enough either.
    let stranger = scene.with_token(TokenRequest::new(scene.stranger().subject, PLATFORM_AUDIENCE));
    let gone = scene.staffer(StaffRole::Admin).await;
    let other = scene.staffer(StaffRole::Admin).await;
    scene
        .plane()
        .disable_staff(gone.staff.identity)
        .await
        .expect("disabled");
    for operation in of_the_plane() {
        bare(&operation).send(&app).await.refused(401, "unauthenticated");
        for foreign in [
            &owner,
            &wallet,
            &bearer("psk_not-a-platform-key"),
            &bearer("a.b.c"),
        ] {
            let answer = bare(&operation).at(&scene.site).by(foreign).send(&app).await;
            assert_eq!(answer.json.get("detail"), None, "no reason is told");
            answer.refused(401, "unauthenticated");
        }
        bare(&operation)
            .by(&stranger)
            .send(&app)
            .await
            .refused(403, "not_platform_staff");
        bare(&operation)
            .by(&gone.person)
            .send(&app)
            .await
            .refused(403, "not_platform_staff");
    }
    Call::get("/platform/v1/me")
        .by(&other.person)
        .send(&app)
        .await
        .expect(200);
}

#[actix_web::test]
async fn each_role_of_the_staff_may_call_what_its_capabilities_say() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    for role in StaffRole::ALL {
        let person = scene.staffer(*role).await.person;
        for operation in of_the_plane() {
            let answer = bare(&operation).by(&person).send(&app).await;
            let named = PlatformCapability::ALL
                .iter()
                .find(|one| one.as_str() == operation.access);
            let told = named.is_none_or(|capability| role.may(*capability));
            assert!(
                named.is_some() || operation.access == "platform:any",
                "{operation:?}"
            );
            assert_eq!(
                answer.code() != "capability_missing",
                told,
                "{role:?} and {operation:?}: {}",
                answer.json
            );
        }
    }
}

#[actix_web::test]
async fn what_changes_something_on_the_plane_needs_a_second_factor_of_the_last_ten_minutes() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let admin = scene.staffer(StaffRole::Admin).await.person;
    let without = scene.with_token(TokenRequest {
        methods: vec!["pwd".to_owned()],
        ..TokenRequest::new(&admin.subject, PLATFORM_AUDIENCE)
    });
    let changing: Vec<_> = of_the_plane()
        .into_iter()
        .filter(|one| one.method != "GET")
        .collect();
    assert!(changing.len() >= 7);
    let refused = async |person: &Person| {
        for operation in &changing {
            let answer = bare(operation).by(person).send(&app).await;
            assert_eq!(
                answer.json["second_factor"]["ways"],
                json!(["sign_in_again"]),
                "{operation:?}"
            );
            assert!(
                answer
                    .header("www-authenticate")
                    .contains("insufficient_user_authentication")
            );
            answer.refused(403, "second_factor_needed");
        }
    };
    refused(&without).await;
    Call::get("/platform/v1/staff")
        .by(&without)
        .send(&app)
        .await
        .expect(200);
    open(&scene.site, 15).by(&admin).send(&app).await.expect(201);
    scene.clock.advance(TimeDelta::minutes(10));
    refused(&admin).await;
    Call::get("/platform/v1/me")
        .by(&admin)
        .send(&app)
        .await
        .expect(200);
}

#[actix_web::test]
async fn without_its_settings_there_is_no_plane() {
    let scene = Scene::with(|settings| settings.platform = None).await;
    let app = api(&scene).await;
    let subject = scene.stranger().subject;
    let person = scene.with_token(TokenRequest::new(subject, PLATFORM_AUDIENCE));
    for operation in of_the_plane() {
        bare(&operation)
            .by(&person)
            .send(&app)
            .await
            .refused(404, "route_not_found");
    }
    look(&app, &scene.site, &person)
        .await
        .refused(401, "unauthenticated");
}

#[actix_web::test]
async fn nothing_of_a_body_is_read_for_one_who_may_not_send_it() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let support = scene.staffer(StaffRole::Support).await.person;
    for operation in of_the_plane().iter().filter(|one| one.takes_body) {
        let wrong = || bare(operation).raw("application/json", "{");
        wrong().send(&app).await.refused(401, "unauthenticated");
        if operation.access == "platform:grants_open" {
            wrong()
                .by(&support)
                .send(&app)
                .await
                .refused(400, "json_malformed");
        } else {
            wrong()
                .by(&support)
                .send(&app)
                .await
                .refused(403, "capability_missing");
        }
    }
}

#[actix_web::test]
async fn sites_are_made_and_run_on_the_plane_and_its_audit_says_by_whom() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let operator = scene.staffer(StaffRole::Operator).await;
    let admin = scene.staffer(StaffRole::Admin).await.person;
    let code = format!(
        "N{}",
        hex::encode(operator.staff.identity.as_uuid().as_bytes())[14..30].to_uppercase()
    );
    let host = format!("{}.example", code.to_lowercase());
    let body = json!({ "code": code, "name": "New", "currency": "KWD", "time_zone": "Asia/Kuwait", "host_names": [host] });
    let post = |path: String, body: Option<Value>| {
        let call = Call::post(&path)
            .by(&operator.person)
            .header("x-request-id", "plane-1");
        body.iter().fold(call, Call::json)
    };
    let sites = || "/platform/v1/sites".to_owned();
    let of = |what: &str| format!("/platform/v1/sites/{code}/{what}");
    let made = post(sites(), Some(body.clone())).send(&app).await.expect(201);
    assert_eq!(made.json["host_names"], json!([host]));
    post(sites(), Some(body.clone()))
        .send(&app)
        .await
        .refused(409, "site_code_taken");
    let taken = json!({ "code": format!("{code}2"), "name": "Two", "currency": "USD", "host_names": [host] });
    post(sites(), Some(taken))
        .send(&app)
        .await
        .refused(409, "site_host_taken");
    for (member, wrong, refusal) in [
        ("code", json!("lower"), "site_code_invalid"),
        ("name", json!(" "), "site_name_invalid"),
        ("host_names", json!(["10.0.0.1"]), "site_host_invalid"),
        ("time_zone", json!("Moon/Sea"), "field_invalid"),
        ("currency", json!("XXX"), "field_invalid"),
    ] {
        let mut body = body.clone();
        body[member] = wrong;
        let answer = post(sites(), Some(body)).send(&app).await;
        assert!(answer.field().starts_with(member), "{}", answer.json);
        answer.refused(422, refusal);
    }
    let moved = json!({ "add": [format!("b.{host}")], "remove": [host] });
    let moved = post(of("host-names"), Some(moved)).send(&app).await.expect(200);
    assert_eq!(moved.json["host_names"], json!([format!("b.{host}")]));
    post(of("suspend"), None).send(&app).await.expect(200);
    let suspended = json!({ "site": code, "reason": REASON, "minutes": 15 });
    post("/platform/v1/grants".to_owned(), Some(suspended))
        .send(&app)
        .await
        .refused(409, "grant_site_suspended");
    let active = post(of("reactivate"), None).send(&app).await.expect(200);
    assert_eq!(active.json["state"], "active");

    let audit = Call::get(&format!("/platform/v1/audit?site={code}"))
        .by(&admin)
        .send(&app)
        .await
        .expect(200);
    let acts = audit.json["items"].as_array().expect("acts");
    let actions: Vec<_> = acts
        .iter()
        .map(|act| act["action"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(
        actions,
        [
            "site.reactivated",
            "site.suspended",
            "site.hosts_changed",
            "site.created"
        ]
    );
    for act in acts {
        assert_eq!(act["actor_kind"], "person");
        assert_eq!(act["actor_id"], json!(operator.staff.identity.as_uuid()));
        assert_eq!(act["request_id"], "plane-1");
        assert_eq!(act["address"].as_str().map(str::len), Some(32));
    }
    let list = Call::get("/platform/v1/sites?limit=1")
        .by(&operator.person)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(list.json["items"].as_array().map(Vec::len), Some(1));
    assert!(list.json["next"].is_string());
    let one = Call::get(&format!("/platform/v1/sites/{code}"))
        .by(&operator.person)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(one.json["time_zone"], "Asia/Kuwait");
    Call::get("/platform/v1/sites/NOWHERE")
        .by(&operator.person)
        .send(&app)
        .await
        .refused(404, "site_unknown");
}

#[actix_web::test]
async fn p01_what_the_plane_tells_of_a_site_is_numbers() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let canary = "canary-of-this-site";
    let tier = json!({
        "name": canary, "description": canary, "asset_id": objects.asset,
        "list_price": { "amount": "20", "currency": "USD" }, "tokens_per_unit": "5", "supply": 10,
    });
    let tier = Call::post("/api/v1/tiers")
        .by(&objects.owner)
        .at(&scene.site)
        .key("canary")
        .json(&tier);
    tier.send(&app).await.expect(201);
    let admin = scene.staffer(StaffRole::Admin).await.person;
    let get = async |path: &str| Call::get(path).by(&admin).send(&app).await.expect(200);
    let mut path = "/platform/v1/figures?limit=100".to_owned();
    let figures = loop {
        let page = get(&path).await;
        assert!(!String::from_utf8_lossy(&page.bytes).contains(canary));
        let items = page.json["items"].as_array().expect("items").clone();
        let found = items
            .into_iter()
            .find(|site| site["code"] == json!(scene.site.code));
        match found {
            Some(site) => break site,
            None => path = format!("/platform/v1/figures?limit=100&after={}", page.text("/next")),
        }
    };
    // Owner, agent, buyer, one who only joined, and two more whom the objects need.
    assert_eq!(figures["members"], 6);
    let usd = &figures["currencies"][0];
    assert_eq!(
        (&usd["orders_placed"], &usd["orders_paid"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(usd["captured"], json!({ "amount": "220.00", "currency": "USD" }));
    assert_eq!(
        usd["commissions"],
        json!({ "amount": "24.00", "currency": "USD" })
    );
    let long = "/platform/v1/figures?since=2020-01-01T00:00:00Z&before=2022-01-01T00:00:00Z";
    Call::get(long)
        .by(&admin)
        .send(&app)
        .await
        .refused(400, "figures_span_invalid");
    for path in [
        "/platform/v1/audit",
        "/platform/v1/sites?limit=100",
        "/platform/v1/staff",
    ] {
        assert!(
            !String::from_utf8_lossy(&get(path).await.bytes).contains(canary),
            "{path}"
        );
    }
}
