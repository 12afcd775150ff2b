//! Sessions that a code of an identity provider opens.

use posx_kernel::Clock as _;
use posx_sandbox::TokenRequest;
use serde_json::{Value, json};

use super::provider::{Provider, REDIRECT_URI, VERIFIER};
use super::{Browser, me, refresh};
use crate::wallets::Server;
use crate::world::{AUDIENCE, Answer, Call, ORIGIN, Person, Scene, api};

fn body(provider: &Provider, code: &str) -> Value {
    json!({ "authorization_code": {
        "issuer": provider.url(), "code": code, "code_verifier": VERIFIER, "redirect_uri": REDIRECT_URI,
    } })
}

fn with(provider: &Provider, code: &str, name: &str, value: &str) -> Value {
    let mut body = body(provider, code);
    body["authorization_code"][name] = value.into();
    body
}

async fn post(app: &impl Server, body: &Value) -> Answer {
    let opening = Call::post("/api/v1/sessions").header("origin", ORIGIN);
    opening.json(body).send(app).await
}

async fn scene(provider: &Provider) -> Scene {
    Scene::with(|settings| provider.configure(settings)).await
}

#[actix_web::test]
async fn a_code_opens_a_session_of_the_same_identity_as_the_issuers_token() {
    let provider = Provider::start();
    let scene = scene(&provider).await;
    let app = api(&scene).await;
    let access = provider.access("ann", scene.clock.now().timestamp());
    provider.grant("c-1", &access, None);
    let opened = post(&app, &body(&provider, "c-1")).await.expect(201);
    let shown = String::from_utf8_lossy(&opened.bytes).into_owned();
    assert!(
        !shown.contains("the provider's own"),
        "its refresh token is dropped"
    );
    let browser = Browser::of(&opened);
    let direct = Person {
        token: provider.sign("at+jwt", &access),
        subject: String::new(),
    };
    let (session, direct) = (
        me(&app, &scene, &browser.person).await.expect(200),
        me(&app, &scene, &direct).await.expect(200),
    );
    assert_eq!(session.text("/identity_id"), direct.text("/identity_id"));
    refresh(&app, &browser.cookie).await.expect(200);
    // It is good once.
    post(&app, &body(&provider, "c-1"))
        .await
        .refused(422, "session_code_refused");
}

#[actix_web::test]
async fn a_code_without_what_the_page_kept_for_it_opens_nothing() {
    let provider = Provider::start();
    let scene = scene(&provider).await;
    let app = api(&scene).await;
    let access = provider.access("ann", scene.clock.now().timestamp());
    let grant = |code: &str| provider.grant(code, &access, None);
    grant("c-1");
    let stolen = with(&provider, "c-1", "code_verifier", &"a".repeat(43));
    let refused = post(&app, &stolen).await;
    assert_eq!(
        (refused.field(), refused.header("set-cookie")),
        ("authorization_code/code", "")
    );
    refused.refused(422, "session_code_refused");
    for (name, value, code) in [
        ("issuer", "https://evil.test/", "session_issuer_unknown"),
        ("issuer", scene.world.issuer().url(), "session_issuer_unknown"),
        (
            "redirect_uri",
            "https://evil.test/callback",
            "session_redirect_uri_refused",
        ),
        (
            "redirect_uri",
            &format!("{REDIRECT_URI}/"),
            "session_redirect_uri_refused",
        ),
        ("code_verifier", "short", "session_code_verifier_invalid"),
        ("code_verifier", &"é".repeat(43), "session_code_verifier_invalid"),
    ] {
        let refused = post(&app, &with(&provider, "c-2", name, value)).await;
        assert_eq!(refused.field(), format!("authorization_code/{name}"));
        refused.refused(422, code);
    }
    let mut both = body(&provider, "c-2");
    both["wallet"] = json!({ "message": "m", "signature": "s" });
    for neither in [both, json!({})] {
        post(&app, &neither).await.refused(422, "field_invalid");
    }
    let missing = json!({ "authorization_code": { "issuer": provider.url(), "code": "c" } });
    let missing = post(&app, &missing).await;
    assert_eq!(missing.field(), "authorization_code/code_verifier");
}

#[actix_web::test]
async fn a_nonce_that_was_sent_along_is_in_the_id_token_or_nobody_is_signed_in() {
    let provider = Provider::start();
    let scene = scene(&provider).await;
    let app = api(&scene).await;
    let now = scene.clock.now().timestamp();
    let access = provider.access("ann", now);
    let asks = |code: &str| with(&provider, code, "nonce", "n-1");
    provider.grant("right", &access, Some(&provider.id_token("ann", "n-1", now)));
    post(&app, &asks("right")).await.expect(201);
    provider.grant("none", &access, None);
    provider.grant("other", &access, Some(&provider.id_token("ann", "n-2", now)));
    provider.grant("bob's", &access, Some(&provider.id_token("bob", "n-1", now)));
    let mut elsewhere = provider.id_token("ann", "n-1", now);
    elsewhere["aud"] = "another".into();
    provider.grant("elsewhere", &access, Some(&elsewhere));
    for code in ["none", "other", "bob's", "elsewhere"] {
        let refused = post(&app, &asks(code)).await;
        assert_eq!(refused.header("set-cookie"), "", "{code}");
        refused.refused(422, "session_id_token_refused");
    }
    // Who sent none along is not asked for one; one that is there must hold all the same.
    provider.grant("unasked", &access, Some(&provider.id_token("ann", "n-9", now)));
    post(&app, &body(&provider, "unasked")).await.expect(201);
    provider.grant("wrong", &access, Some(&elsewhere));
    post(&app, &body(&provider, "wrong"))
        .await
        .refused(422, "session_id_token_refused");
}

#[actix_web::test]
async fn j10_what_is_no_persons_access_token_for_this_api_signs_nobody_in() {
    let provider = Provider::start();
    let scene = scene(&provider).await;
    let app = api(&scene).await;
    let now = scene.clock.now().timestamp();
    let mut elsewhere = provider.access("ann", now);
    elsewhere["aud"] = "https://another.api".into();
    let mut machine = provider.access("console", now);
    machine["gty"] = "client-credentials".into();
    // Another issuer's, that we take from whoever sends it: not from this provider.
    let sandbox = scene.world.issuer();
    let mut foreign = provider.access("ann", now);
    foreign["iss"] = sandbox.url().into();
    for (code, claims) in [
        ("elsewhere", &elsewhere),
        ("machine", &machine),
        ("foreign", &foreign),
        ("id", &provider.id_token("ann", "n-1", now)),
    ] {
        provider.grant(code, claims, None);
        let refused = post(&app, &body(&provider, code)).await;
        refused.refused(422, "session_access_token_refused");
    }
    let genuine = sandbox
        .token(&TokenRequest::new("ann", AUDIENCE))
        .expect("a token");
    provider.grant_token("mixed up", &genuine);
    let refused = post(&app, &body(&provider, "mixed up")).await;
    refused.refused(422, "session_access_token_refused");
}

#[actix_web::test]
async fn a_provider_that_is_away_is_no_refusal() {
    let provider = Provider::start();
    let scene = Scene::with(|settings| {
        provider.configure(settings);
        let sessions = settings.sessions.as_mut().expect("sessions");
        // Nobody listens there: the port was given back.
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
        sessions.providers[0].token_url = format!("http://{}/token", free.expect("a port"));
    })
    .await;
    let app = api(&scene).await;
    let away = post(&app, &body(&provider, "c-1")).await;
    assert_eq!(away.header("retry-after"), "2");
    away.refused(503, "identity_provider_unavailable");
}

/// What the provider vouched for when the session was opened, holds for the session.
#[actix_web::test]
async fn the_sign_in_of_a_session_is_that_of_its_id_token() {
    let provider = Provider::start();
    let scene = scene(&provider).await;
    let app = api(&scene).await;
    let now = scene.clock.now().timestamp();
    let id_token = provider.id_token("ann", "n-1", now);
    provider.grant("c-1", &provider.access("ann", now), Some(&id_token));
    let browser = Browser::of(&post(&app, &body(&provider, "c-1")).await.expect(201));
    let sign_in = scene
        .state
        .services
        .sessions
        .sign_in(browser.id.parse().expect("an id"));
    let facts = sign_in.await.expect("an answer").expect("it goes on");
    assert_eq!(facts.issuer, provider.url());
    assert_eq!(facts.methods, ["otp", "pwd"]);
    assert_eq!(facts.authenticated_at.map(|at| at.timestamp()), Some(now - 60));
    let claims = claims_of(&browser.person.token);
    assert_eq!(
        (&claims["sid"], &claims["amr"]),
        (&json!(browser.id), &json!(["otp", "pwd"]))
    );
    assert_eq!(claims["auth_time"].as_i64(), Some(now - 60));
}

fn claims_of(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload);
    serde_json::from_slice(&payload.expect("base64")).expect("JSON")
}
