//! Sessions of browsers: how they are opened, go on and end, and what their cookie is good for.

mod codes;
mod ends;
mod provider;

use chrono::TimeDelta;
use posx_kernel::{Clock as _, IdentityId};
use posx_tenancy::{Role, SessionClient, SignInFacts};
use serde_json::{Value, json};

use crate::coverage::operations;
use crate::wallets::{ONE, Server, holder_of, message_to_sign_in, sign_in};
use crate::world::{Answer, Call, ORIGIN, Person, Scene, api};

const REFRESH: &str = "/api/v1/sessions/refresh";
const NAME: &str = "__Secure-posx-refresh";

/// What a browser has of a session.
struct Browser {
    person: Person,
    /// As it is sent back.
    cookie: String,
    id: String,
}

impl Browser {
    fn of(answer: &Answer) -> Self {
        Self {
            person: holder_of(answer),
            cookie: cookie_of(answer),
            id: answer.text("/session_id"),
        }
    }
}

fn cookie_of(answer: &Answer) -> String {
    let set = answer.header("set-cookie");
    set.split(';').next().expect("a pair").to_owned()
}

fn is_cleared(answer: &Answer) -> bool {
    let set = answer.header("set-cookie");
    set.starts_with(&format!("{NAME}=;")) && set.contains("; Max-Age=0;")
}

/// Who has no session yet. A session is good at every site, so that tests may not share people as they share none.
async fn somebody(scene: &Scene) -> IdentityId {
    let (directory, issuer) = (&scene.state.services.directory, scene.world.issuer().url());
    let known = directory.identity(issuer, &scene.stranger().subject).await;
    known.expect("an identity")
}

fn facts_of(scene: &Scene, identity: IdentityId) -> SignInFacts {
    SignInFacts {
        identity,
        issuer: scene.world.issuer().url().to_owned(),
        authenticated_at: None,
        methods: Vec::new(),
        context: None,
        second_factor: false,
    }
}

async fn open_for(app: &impl Server, scene: &Scene, identity: IdentityId) -> Browser {
    open_as(app, scene, facts_of(scene, identity)).await
}

async fn open_as(app: &impl Server, scene: &Scene, facts: SignInFacts) -> Browser {
    let sessions = &scene.state.services.sessions;
    let opened = sessions
        .open(facts, SessionClient::default())
        .await
        .expect("opened");
    let cookie = format!("{}={}", name(scene), opened.token.reveal());
    let first = refreshing(&cookie)
        .header("user-agent", "Firefox/1")
        .send(app)
        .await;
    Browser::of(&first.expect(200))
}

fn name(scene: &Scene) -> &'static str {
    let insecure = scene
        .settings
        .sessions
        .as_ref()
        .is_some_and(|sessions| sessions.insecure_cookie);
    if insecure { "posx-refresh" } else { NAME }
}

async fn open(app: &impl Server, scene: &Scene) -> Browser {
    open_for(app, scene, somebody(scene).await).await
}

fn refreshing(cookie: &str) -> Call {
    Call::post(REFRESH)
        .header("origin", ORIGIN)
        .header("cookie", cookie)
        .json(&json!({}))
}

async fn refresh(app: &impl Server, cookie: &str) -> Answer {
    refreshing(cookie).send(app).await
}

async fn me(app: &impl Server, scene: &Scene, person: &Person) -> Answer {
    Call::get("/api/v1/me").by(person).at(&scene.site).send(app).await
}

async fn my_sessions(app: &impl Server, person: &Person) -> Vec<Value> {
    let listed = Call::get("/api/v1/sessions")
        .by(person)
        .send(app)
        .await
        .expect(200);
    listed.json["items"].as_array().expect("a list").clone()
}

#[actix_web::test]
async fn a_wallet_opens_a_session_of_the_same_identity_as_its_own_token() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let message = message_to_sign_in(&app, &scene.site, &ONE).await;
    let opened = Call::post("/api/v1/sessions")
        .at(&scene.site)
        .header("origin", ORIGIN);
    let body = json!({ "wallet": ONE.proof(&message) });
    let opened = opened.json(&body).send(&app).await.expect(201);
    assert_eq!(
        (
            opened.json["expires_in"].as_i64(),
            opened.json["token_type"].as_str()
        ),
        (Some(600), Some("Bearer"))
    );
    let set = opened.header("set-cookie").to_owned();
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    let (name, value) = pair.split_once('=').expect("a value");
    assert_eq!((name, value.len()), (NAME, 64));
    let (before, after) = attributes.split_once("Max-Age=").expect("an age");
    let (age_s, after) = after.split_once("; ").expect("more");
    assert_eq!(before, format!("Path={REFRESH}; "));
    assert_eq!(after, "HttpOnly; SameSite=Strict; Secure");
    let seven_days = 7 * 24 * 3600;
    assert!((seven_days - 60..=seven_days).contains(&age_s.parse().expect("seconds")));
    assert!(
        !String::from_utf8_lossy(&opened.bytes).contains(value),
        "in the cookie alone"
    );

    let browser = Browser::of(&opened);
    let session = me(&app, &scene, &browser.person).await.expect(200);
    let message = message_to_sign_in(&app, &scene.site, &ONE).await;
    let direct = sign_in(&app, &scene.site, &ONE.proof(&message)).await;
    let direct = me(&app, &scene, &holder_of(&direct.expect(200)))
        .await
        .expect(200);
    assert_eq!(session.text("/identity_id"), direct.text("/identity_id"));
    // Its nonce is spent.
    let again = Call::post("/api/v1/sessions")
        .at(&scene.site)
        .header("origin", ORIGIN);
    again
        .json(&body)
        .send(&app)
        .await
        .refused(422, "wallet_nonce_unknown");
}

#[actix_web::test]
async fn a_refresh_gives_another_token_and_another_cookie_of_the_same_session() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let browser = open(&app, &scene).await;
    scene.clock.advance(TimeDelta::minutes(11));
    me(&app, &scene, &browser.person)
        .await
        .refused(401, "unauthenticated");
    let renewed = Browser::of(&refresh(&app, &browser.cookie).await.expect(200));
    assert_eq!(renewed.id, browser.id);
    assert!(renewed.cookie != browser.cookie && renewed.person.token != browser.person.token);
    me(&app, &scene, &renewed.person).await.expect(200);
}

#[actix_web::test]
async fn tabs_that_refresh_together_go_on_with_one_cookie() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let browser = open(&app, &scene).await;
    let tabs = futures::future::join_all((0..6).map(|_| refresh(&app, &browser.cookie))).await;
    let tabs: Vec<_> = tabs
        .into_iter()
        .map(|tab| Browser::of(&tab.expect(200)))
        .collect();
    assert!(
        tabs.iter()
            .all(|tab| tab.cookie == tabs[0].cookie && tab.id == browser.id)
    );
    // Still within the grace: the answer was lost on its way, and the page asks again.
    scene.clock.advance(TimeDelta::seconds(8));
    let again = refresh(&app, &browser.cookie).await.expect(200);
    assert_eq!(cookie_of(&again), tabs[0].cookie);
    let next = Browser::of(&refresh(&app, &tabs[0].cookie).await.expect(200));
    // A tab that is two behind gives up its own and takes what the browser has by now.
    let behind = refresh(&app, &browser.cookie).await;
    assert_eq!(behind.header("set-cookie"), "", "the newer cookie stays");
    behind.refused(409, "session_superseded");
    refresh(&app, &next.cookie).await.expect(200);
}

#[actix_web::test]
async fn j13_a_stolen_cookie_ends_the_session_for_both_and_at_once() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = open(&app, &scene).await;
    let thief = Browser::of(&refresh(&app, &owner.cookie).await.expect(200));
    me(&app, &scene, &thief.person).await.expect(200);
    scene.clock.advance(TimeDelta::seconds(20));
    let noticed = refresh(&app, &owner.cookie).await;
    assert!(is_cleared(&noticed));
    assert_eq!(noticed.header("www-authenticate"), "Bearer");
    noticed.refused(401, "session_over");
    me(&app, &scene, &thief.person)
        .await
        .refused(401, "unauthenticated");
    me(&app, &scene, &owner.person)
        .await
        .refused(401, "unauthenticated");
    refresh(&app, &thief.cookie).await.refused(401, "session_over");
    // Signing in again is all that it costs.
    me(&app, &scene, &open(&app, &scene).await.person)
        .await
        .expect(200);
}

#[actix_web::test]
async fn a_page_of_another_origin_uses_nobodys_cookie() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let browser = open(&app, &scene).await;
    let with = |origin: Option<&str>| {
        let call = Call::post(REFRESH)
            .header("cookie", &browser.cookie)
            .json(&json!({}));
        match origin {
            Some(origin) => call.header("origin", origin),
            None => call,
        }
    };
    let near = [
        ORIGIN.to_uppercase(),
        format!("{ORIGIN}/"),
        format!("{ORIGIN}:443"),
        ORIGIN.replace("https", "http"),
    ];
    let others = ["https://evil.test", "null", "", "https://evil.console.posx.test"].map(ToOwned::to_owned);
    for origin in others.iter().chain(&near) {
        with(Some(origin))
            .send(&app)
            .await
            .refused(403, "origin_not_allowed");
    }
    with(None).send(&app).await.refused(403, "origin_not_allowed");
    // A site's own list is not asked: its page would be signed in at every other site.
    let listed = with(Some("https://shop.example")).at(&scene.site);
    listed.send(&app).await.refused(403, "origin_not_allowed");
    // A form can send these without asking first.
    for simple in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let call = refreshing(&browser.cookie).raw(simple, "{}");
        call.send(&app).await.refused(415, "content_type_unsupported");
    }
    refreshing(&browser.cookie)
        .raw("application/json", "{")
        .send(&app)
        .await
        .refused(400, "json_malformed");
    refreshing(&browser.cookie)
        .json(&json!({ "a": 1 }))
        .send(&app)
        .await
        .refused(422, "field_unknown");
    let get = Call::get(REFRESH)
        .header("origin", ORIGIN)
        .header("cookie", &browser.cookie);
    assert_eq!(get.send(&app).await.status, 405);
    let opening = Call::post("/api/v1/sessions")
        .at(&scene.site)
        .header("origin", "https://evil.test");
    opening
        .json(&json!({}))
        .send(&app)
        .await
        .refused(403, "origin_not_allowed");
    // None of it spent the token.
    scene.clock.advance(TimeDelta::minutes(1));
    refresh(&app, &browser.cookie).await.expect(200);
}

#[actix_web::test]
async fn what_is_no_cookie_of_ours_or_one_of_two_is_refused_and_cleared() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let (browser, other) = (open(&app, &scene).await, open(&app, &scene).await);
    let (digits, unknown) = (browser.cookie.split_once('=').expect("a pair").1, "0".repeat(64));
    let none = Call::post(REFRESH).header("origin", ORIGIN).json(&json!({}));
    none.send(&app).await.refused(401, "session_over");
    for cookie in [
        format!("{NAME}="),
        format!("{NAME}={unknown}"),
        format!("{NAME}={}", digits.to_uppercase()),
        format!("{NAME}={digits}0"),
        format!("posx-refresh={digits}"),
        format!("{}; {}", other.cookie, browser.cookie),
    ] {
        let refused = refresh(&app, &cookie).await;
        assert!(is_cleared(&refused), "{cookie}");
        refused.refused(401, "session_over");
    }
    refresh(&app, &format!("a=b; {}; c", browser.cookie))
        .await
        .expect(200);
}

/// The access token is what calls the API; the cookie only gets another one.
#[actix_web::test]
async fn the_cookie_alone_authorises_nothing_but_refreshing() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let browser = open(&app, &scene).await;
    let mut asked = 0;
    for operation in operations() {
        if !operation.path.starts_with("/api/") || operation.access == "public" {
            continue;
        }
        // Who it is, is asked before what they want: no object need be there.
        let segments = operation.path.split('/');
        let segments: Vec<_> = segments
            .map(|part| if part.starts_with('{') { "x" } else { part })
            .collect();
        let call = Call::new(&operation.method, &segments.join("/"))
            .at(&scene.site)
            .header("origin", ORIGIN);
        let answer = call.header("cookie", &browser.cookie).send(&app).await;
        assert_eq!(answer.status, 401, "{operation:?}");
        answer.refused(401, "unauthenticated");
        asked += 1;
    }
    assert!(asked >= 30, "{asked} operations");
    refresh(&app, &browser.cookie).await.expect(200);
}

#[actix_web::test]
async fn without_tls_the_cookie_has_another_name_and_with_it_that_name_is_nobodys() {
    let scene = Scene::with(|settings| {
        settings.sessions.as_mut().expect("sessions").insecure_cookie = true;
    })
    .await;
    let app = api(&scene).await;
    let browser = open(&app, &scene).await;
    assert!(browser.cookie.starts_with("posx-refresh="), "{}", browser.cookie);
    let renewed = refresh(&app, &browser.cookie).await.expect(200);
    let set = renewed.header("set-cookie");
    assert!(
        set.contains("; HttpOnly; SameSite=Strict") && !set.contains("Secure"),
        "{set}"
    );
}

/// A token of ours vouches for nothing by itself: what the provider vouched for goes with the session, and grows old with it.
#[actix_web::test]
async fn a_second_factor_of_the_provider_holds_for_the_session_and_for_ten_minutes() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let (directory, issuer) = (&scene.state.services.directory, scene.world.issuer().url());
    let identity = directory.identity(issuer, &owner.subject).await.expect("known");
    let plain = open_for(&app, &scene, identity).await;
    let facts = SignInFacts {
        authenticated_at: Some(scene.clock.now()),
        second_factor: true,
        ..facts_of(&scene, identity)
    };
    let vouched = open_as(&app, &scene, facts).await;
    let add_plan = async |person: &Person| {
        let call = Call::post("/api/v1/commission-plans").by(person).at(&scene.site);
        call.key("plan").json(&json!({})).send(&app).await
    };
    add_plan(&plain.person).await.refused(403, "second_factor_needed");
    add_plan(&vouched.person).await.refused(422, "field_invalid");
    scene.clock.advance(TimeDelta::minutes(11));
    let later = Browser::of(&refresh(&app, &vouched.cookie).await.expect(200));
    add_plan(&later.person).await.refused(403, "second_factor_needed");
}
