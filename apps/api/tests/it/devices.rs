//! Devices over HTTP: paired once, heard of, manned, suspended and revoked.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use chrono::TimeDelta;
use posx_kernel::Clock as _;
use posx_tenancy::{Role, Site};
use serde_json::{Value, json};

use crate::api_keys::{forged, looks, machine, made};
use crate::coverage::operations;
use crate::objects::furnish;
use crate::world::{Answer, Call, Person, Scene, api};

/// A place of the site.
pub async fn branch<S, B>(app: &S, site: &Site, owner: &Person, code: &str) -> String
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let body = json!({ "code": code, "name": "Branch" });
    let call = Call::post("/api/v1/places")
        .by(owner)
        .at(site)
        .key(code)
        .json(&body);
    call.send(app).await.expect(201).text("/id")
}

/// A device that was heard of: its id and its token.
pub async fn till<S, B>(scene: &Scene, app: &S, site: &Site, owner: &Person, place: &str) -> (String, String)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let code = start(app, site, owner, place).await;
    let paired = pair(site, &code).send(app).await.expect(201);
    let (id, text) = (paired.text("/device/id"), paired.text("/secret"));
    heartbeat(scene, site, &machine(&text))
        .send(app)
        .await
        .expect(200);
    (id, text)
}

async fn start<S, B>(app: &S, site: &Site, owner: &Person, place: &str) -> String
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let body = json!({ "name": "Till 1", "place": place });
    let call = Call::post("/api/v1/device-pairings")
        .by(owner)
        .at(site)
        .json(&body);
    call.send(app).await.expect(201).text("/code")
}

fn pair(site: &Site, code: &str) -> Call {
    Call::post("/api/v1/devices/pair")
        .at(site)
        .json(&json!({ "code": code }))
}

fn heartbeat(scene: &Scene, site: &Site, device: &Person) -> Call {
    let at = scene.clock.now() + TimeDelta::seconds(90);
    let body = json!({ "app_version": "1.2.3", "device_time": at });
    Call::post("/api/v1/devices/current/heartbeat")
        .by(device)
        .at(site)
        .json(&body)
}

fn sign_on(site: &Site, person: &Person, device: &Person) -> Call {
    let call = Call::post("/api/v1/devices/current/cashier").by(person).at(site);
    call.header("x-device-token", &device.token)
}

/// A key and a device of a site.
#[derive(Debug)]
pub struct Machines {
    pub key: String,
    pub key_text: String,
    pub device: String,
    pub device_text: String,
    pub place: String,
}

pub async fn machines<S, B>(scene: &Scene, app: &S, site: &Site, owner: &Person) -> Machines
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let (key, program) = made(app, site, owner, &["orders:read", "tiers:manage"]).await;
    let place = branch(app, site, owner, "TILLS").await;
    let (device, device_text) = till(scene, app, site, owner, &place).await;
    Machines {
        key,
        key_text: program.token,
        device,
        device_text,
        place,
    }
}

struct Shop {
    scene: Scene,
    owner: Person,
    place: String,
}

impl Shop {
    async fn of(scene: Scene) -> Self {
        let owner = scene.member(&scene.site, Role::Owner).await;
        let place = branch(&api(&scene).await, &scene.site, &owner, "A").await;
        Self { scene, owner, place }
    }

    fn staff(&self, id: &str, what: &str) -> Call {
        let path = format!("/api/v1/devices/{id}{what}");
        let call = if what.is_empty() {
            Call::get(&path)
        } else {
            Call::post(&path)
        };
        call.by(&self.owner).at(&self.scene.site)
    }
}

#[actix_web::test]
async fn a_device_is_paired_heard_of_manned_suspended_resumed_and_revoked() {
    let shop = Shop::of(Scene::new().await).await;
    let app = api(&shop.scene).await;
    let (id, device) = pairs_and_is_manned(&shop, &app).await;
    let (scene, site) = (&shop.scene, &shop.scene.site);
    shop.staff(&id, "/suspend").send(&app).await.expect(200);
    heartbeat(scene, site, &device)
        .send(&app)
        .await
        .refused(401, "unauthenticated");
    shop.staff(&id, "/pairings")
        .send(&app)
        .await
        .refused(409, "device_suspended");
    shop.staff(&id, "/resume").send(&app).await.expect(200);
    heartbeat(scene, site, &device).send(&app).await.expect(200);
    let again = shop.staff(&id, "/pairings").send(&app).await.expect(201);
    let paired = pair(site, &again.text("/code")).send(&app).await.expect(201);
    assert_eq!(paired.text("/device/id"), id);
    heartbeat(scene, site, &device)
        .send(&app)
        .await
        .refused(401, "unauthenticated");
    let device = machine(&paired.text("/secret"));
    heartbeat(scene, site, &device).send(&app).await.expect(200);
    shop.staff(&id, "/revoke").send(&app).await.expect(200);
    heartbeat(scene, site, &device)
        .send(&app)
        .await
        .refused(401, "unauthenticated");
    shop.staff(&id, "/resume")
        .send(&app)
        .await
        .refused(409, "device_revoked");
}

/// From the code to a cashier who stands there.
async fn pairs_and_is_manned<S, B>(shop: &Shop, app: &S) -> (String, Person)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let (scene, site) = (&shop.scene, &shop.scene.site);
    let code = start(app, site, &shop.owner, &shop.place).await;
    let paired = pair(site, &code.to_lowercase().replace('-', " "))
        .send(app)
        .await
        .expect(201);
    let (id, device) = (paired.text("/device/id"), machine(&paired.text("/secret")));
    assert_eq!(
        (&paired.json["device"]["state"], &paired.json["device"]["online"]),
        (&json!("paired"), &json!(false))
    );
    pair(site, &code)
        .send(app)
        .await
        .refused(422, "device_code_unknown");

    let cashier = scene.member(site, Role::Cashier).await;
    sign_on(site, &cashier, &device)
        .send(app)
        .await
        .refused(409, "device_not_active");
    let heard = heartbeat(scene, site, &device).send(app).await.expect(200);
    let ahead = heard.json["clock_ahead_ms"].as_i64().expect("a number");
    assert!((80_000..=90_000).contains(&ahead), "{ahead}");
    let shown = shop.staff(&id, "").send(app).await.expect(200);
    assert_eq!(
        (&shown.json["state"], &shown.json["online"]),
        (&json!("active"), &json!(true))
    );
    assert_eq!(
        (shown.text("/app_version"), shown.text("/place")),
        ("1.2.3".to_owned(), shop.place.clone())
    );
    assert!(!String::from_utf8_lossy(&shown.bytes).contains(&device.token[17..]));

    let manned = sign_on(site, &cashier, &device).send(app).await.expect(200);
    let who = manned.text("/cashier/identity");
    let heard = heartbeat(scene, site, &device).send(app).await.expect(200);
    assert_eq!(heard.text("/cashier/identity"), who);
    let end = || {
        Call::post("/api/v1/devices/current/cashier/end")
            .by(&device)
            .at(site)
    };
    assert_eq!(end().send(app).await.expect(200).json["cashier"], Value::Null);
    sign_on(site, &cashier, &device).send(app).await.expect(200);
    (id, device)
}

#[actix_web::test]
async fn after_twelve_hours_nobody_stands_there_and_an_unheard_device_is_away() {
    let shop = Shop::of(Scene::new().await).await;
    let (scene, site) = (&shop.scene, &shop.scene.site);
    let app = api(scene).await;
    let (id, device) = pairs_and_is_manned(&shop, &app).await;
    scene.clock.advance(TimeDelta::hours(12));
    // The token of who paired it is too old by then.
    let owner = scene.member(site, Role::Owner).await;
    let shown = Call::get(&format!("/api/v1/devices/{id}"))
        .by(&owner)
        .at(site)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(
        (&shown.json["cashier"], &shown.json["online"]),
        (&Value::Null, &json!(false))
    );
    let heard = heartbeat(scene, site, &device).send(&app).await.expect(200);
    assert_eq!(heard.json["cashier"], Value::Null);
}

#[actix_web::test]
async fn a_kiosk_sees_what_everyone_sees_and_may_nothing_else() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let kiosk = machine(&objects.machines.device_text);
    let tier = Call::get(&format!("/api/v1/tiers/{}", objects.tier))
        .by(&kiosk)
        .at(&scene.site);
    assert!(tier.send(&app).await.expect(200).json.get("stock").is_none());
    for operation in operations()
        .iter()
        .filter(|one| one.is_in_a_site() && one.needs_capability())
    {
        let answer = operation
            .bare(&objects)
            .at(&scene.site)
            .by(&kiosk)
            .send(&app)
            .await;
        answer.refused(403, "capability_missing");
    }
}

#[actix_web::test]
async fn with_a_cashier_a_device_may_a_tills_work_and_nothing_else_of_theirs() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let till = machine(&objects.machines.device_text);
    // An owner stands there, who may everything by their own token.
    sign_on(&scene.site, &objects.owner, &till)
        .send(&app)
        .await
        .expect(200);
    for operation in operations()
        .iter()
        .filter(|one| one.is_in_a_site() && one.needs_capability())
    {
        let answer = operation
            .bare(&objects)
            .at(&scene.site)
            .by(&till)
            .send(&app)
            .await;
        if operation.access == "devices:operate" {
            // To sign on takes the person's own token.
            answer.refused(403, "person_needed");
        } else {
            answer.refused(403, "capability_missing");
        }
    }
}

#[actix_web::test]
async fn to_sign_on_takes_a_cashiers_token_and_the_devices_own() {
    let shop = Shop::of(Scene::new().await).await;
    let (scene, site) = (&shop.scene, &shop.scene.site);
    let app = api(scene).await;
    let (_, text) = till(scene, &app, site, &shop.owner, &shop.place).await;
    let (device, cashier) = (machine(&text), scene.member(site, Role::Cashier).await);
    let viewer = scene.member(site, Role::Viewer).await;
    sign_on(site, &viewer, &device)
        .send(&app)
        .await
        .refused(403, "capability_missing");
    sign_on(site, &scene.stranger(), &device)
        .send(&app)
        .await
        .refused(403, "not_a_member");
    let elsewhere = scene.member(&scene.other, Role::Owner).await;
    let there = branch(&app, &scene.other, &elsewhere, "A").await;
    let (_, foreign) = till(scene, &app, &scene.other, &elsewhere, &there).await;
    for wrong in [foreign, forged(&text), "psd_".to_owned(), cashier.token.clone()] {
        let refused = sign_on(site, &cashier, &machine(&wrong)).send(&app).await;
        refused.refused(401, "unauthenticated");
    }
    let alone = Call::post("/api/v1/devices/current/cashier")
        .by(&cashier)
        .at(site);
    alone.send(&app).await.refused(401, "unauthenticated");
    sign_on(site, &cashier, &device).send(&app).await.expect(200);
}

#[actix_web::test]
async fn j13_a_cashier_who_is_out_leaves_a_kiosk_behind() {
    let shop = Shop::of(Scene::new().await).await;
    let (scene, site) = (&shop.scene, &shop.scene.site);
    let app = api(scene).await;
    let (_, text) = till(scene, &app, site, &shop.owner, &shop.place).await;
    let (device, cashier) = (machine(&text), scene.member(site, Role::Cashier).await);
    let manned = sign_on(site, &cashier, &device).send(&app).await.expect(200);
    // What lets the cashier in at the till: a route for them is refused as one for people, to a kiosk as not allowed.
    let probe = || Call::post("/api/v1/devices/current/cashier").by(&device).at(site);
    probe().send(&app).await.refused(403, "person_needed");
    let disable = format!("/api/v1/members/{}/disable", manned.text("/cashier/identity"));
    Call::post(&disable)
        .by(&shop.owner)
        .at(site)
        .send(&app)
        .await
        .expect(200);
    probe().send(&app).await.refused(403, "capability_missing");
    heartbeat(scene, site, &device).send(&app).await.expect(200);
}

#[actix_web::test]
async fn j12_whatever_is_wrong_with_a_devices_token_the_refusal_looks_the_same() {
    let shop = Shop::of(Scene::new().await).await;
    let (scene, site) = (&shop.scene, &shop.scene.site);
    let app = api(scene).await;
    let (suspended, suspended_text) = till(scene, &app, site, &shop.owner, &shop.place).await;
    let (revoked, revoked_text) = till(scene, &app, site, &shop.owner, &shop.place).await;
    let (_, good) = till(scene, &app, site, &shop.owner, &shop.place).await;
    shop.staff(&suspended, "/suspend").send(&app).await.expect(200);
    shop.staff(&revoked, "/revoke").send(&app).await.expect(200);
    let mut seen = Vec::new();
    for text in [
        suspended_text,
        revoked_text,
        forged(&good),
        "psd_".to_owned(),
        format!("{good}0"),
    ] {
        let answer = heartbeat(scene, site, &machine(&text)).send(&app).await;
        answer.refused(401, "unauthenticated");
        seen.push(looks(&answer));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
    heartbeat(scene, site, &machine(&good))
        .send(&app)
        .await
        .expect(200);
}

#[actix_web::test]
async fn who_guesses_codes_waits_longer_each_time_and_holds_up_nobody_else() {
    let scene = Scene::with(|settings| settings.server.trusted_proxies = 1).await;
    let shop = Shop::of(scene).await;
    let site = &shop.scene.site;
    let app = api(&shop.scene).await;
    let code = start(&app, site, &shop.owner, &shop.place).await;
    let try_from = async |address: &str, code: &str| -> Answer {
        pair(site, code)
            .header("x-forwarded-for", address)
            .send(&app)
            .await
    };
    let mut answers = Vec::new();
    for n in 0..10 {
        answers.push(try_from("198.51.100.7", &format!("0000000{n}")).await);
    }
    let delayed = answers
        .iter()
        .position(|answer| answer.status == 429)
        .expect("who guesses waits");
    assert!((4..=6).contains(&delayed), "after {delayed}");
    assert!(
        answers[delayed]
            .header("retry-after")
            .parse::<u32>()
            .is_ok_and(|seconds| seconds >= 1)
    );
    // Even with the right code, the guesser waits; the shop next door does not.
    assert_eq!(try_from("198.51.100.7", &code).await.status, 429);
    try_from("203.0.113.9", &code).await.expect(201);
}

#[actix_web::test]
async fn no_more_codes_are_tried_in_a_minute_than_the_arithmetic_counts_on() {
    let scene = Scene::with(|settings| settings.server.trusted_proxies = 1).await;
    let shop = Shop::of(scene).await;
    let app = api(&shop.scene).await;
    let mut tried = 0;
    for n in 0..60 {
        let call = pair(&shop.scene.site, "00000000").header("x-forwarded-for", &format!("198.51.100.{n}"));
        tried += u32::from(call.send(&app).await.status == 422);
    }
    // One more each two seconds, while this test runs.
    assert!((30..=40).contains(&tried), "{tried}");
}

#[actix_web::test]
async fn devices_are_listed_by_place() {
    let shop = Shop::of(Scene::new().await).await;
    let (scene, site) = (&shop.scene, &shop.scene.site);
    let app = api(scene).await;
    let other = branch(&app, site, &shop.owner, "B").await;
    let (here, _) = till(scene, &app, site, &shop.owner, &shop.place).await;
    let (there, _) = till(scene, &app, site, &shop.owner, &other).await;
    let list = async |query: &str| {
        let call = Call::get(&format!("/api/v1/devices{query}"))
            .by(&shop.owner)
            .at(site);
        let answer = call.send(&app).await.expect(200);
        let items = answer.json["items"].as_array().expect("items").clone();
        items
            .iter()
            .map(|item| item["id"].as_str().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(list("").await, [there.clone(), here.clone()]);
    assert_eq!(list(&format!("?place={}", shop.place)).await, [here]);
    assert_eq!(list(&format!("?place={other}")).await, [there]);
}
