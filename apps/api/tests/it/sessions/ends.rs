//! How sessions end: by time, by their holder, and not by a fault of ours.

use chrono::TimeDelta;
use posx_issuer::SessionGrant;
use posx_kernel::{Clock as _, IdentityId};
use posx_runtime::RateLimits;
use posx_tenancy::Role;
use serde_json::{Value, json};

use super::{Browser, is_cleared, me, my_sessions, open, open_for, refresh, somebody};
use crate::world::{Call, ORIGIN, Person, Scene, api};

#[actix_web::test]
async fn one_sees_and_ends_ones_own_sessions_and_nobody_elses() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let identity = somebody(&scene).await;
    let (here, there, stranger) = (
        open_for(&app, &scene, identity).await,
        open_for(&app, &scene, identity).await,
        open(&app, &scene).await,
    );
    let mine = my_sessions(&app, &here.person).await;
    let shown = |id: &str| mine.iter().find(|item| item["id"] == id).expect("listed");
    assert_eq!(
        (
            mine.len(),
            &shown(&here.id)["current"],
            &shown(&there.id)["current"]
        ),
        (2, &json!(true), &json!(false))
    );
    assert_eq!(shown(&there.id)["user_agent"], "Firefox/1");
    assert_eq!(shown(&there.id)["address"].as_str().map(str::len), Some(8));
    assert!(!mine.iter().any(|item| item.to_string().contains("192.0.2.1")));

    let end = |id: &str, by: &Browser| Call::new("DELETE", &format!("/api/v1/sessions/{id}")).by(&by.person);
    end(&here.id, &stranger)
        .send(&app)
        .await
        .refused(404, "session_not_found");
    end("ses_1", &here)
        .send(&app)
        .await
        .refused(404, "session_not_found");
    let ended = end(&there.id, &here).send(&app).await.expect(204);
    assert_eq!(ended.header("set-cookie"), "", "of another browser");
    me(&app, &scene, &there.person)
        .await
        .refused(401, "unauthenticated");
    refresh(&app, &there.cookie).await.refused(401, "session_over");
    end(&there.id, &here)
        .send(&app)
        .await
        .refused(404, "session_not_found");
    me(&app, &scene, &here.person).await.expect(200);

    let out = Call::post("/api/v1/sessions/end")
        .by(&here.person)
        .send(&app)
        .await
        .expect(204);
    assert!(is_cleared(&out));
    me(&app, &scene, &here.person)
        .await
        .refused(401, "unauthenticated");
    refresh(&app, &here.cookie).await.refused(401, "session_over");
    assert_eq!(my_sessions(&app, &stranger.person).await.len(), 1);
}

#[actix_web::test]
async fn signing_out_everywhere_ends_every_session_of_the_identity() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let identity = somebody(&scene).await;
    let (here, there, stranger) = (
        open_for(&app, &scene, identity).await,
        open_for(&app, &scene, identity).await,
        open(&app, &scene).await,
    );
    let out = Call::new("DELETE", "/api/v1/sessions")
        .by(&here.person)
        .send(&app)
        .await
        .expect(204);
    assert!(is_cleared(&out));
    for browser in [&here, &there] {
        me(&app, &scene, &browser.person)
            .await
            .refused(401, "unauthenticated");
        refresh(&app, &browser.cookie).await.refused(401, "session_over");
    }
    me(&app, &scene, &stranger.person).await.expect(200);
    // A token that is of no session ends none.
    let member = scene.member(&scene.site, Role::Member).await;
    let none = Call::post("/api/v1/sessions/end").by(&member).send(&app).await;
    none.refused(404, "session_not_found");
}

#[actix_web::test]
async fn a_token_of_ours_that_names_anothers_session_is_refused() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let browser = open(&app, &scene).await;
    let identity = me(&app, &scene, &browser.person).await.text("/identity_id");
    let issuer = scene.state.services.wallet_issuer.clone().expect("an issuer");
    let now = scene.clock.now();
    let nobody = IdentityId::from_uuid(scene.state.services.ids.uuid(now)).to_string();
    let call = async |subject: &str, session: &str| {
        let grant = SessionGrant {
            subject,
            session,
            authenticated_at: None,
            methods: &[],
            context: None,
            session_until: now + TimeDelta::hours(1),
        };
        let id = scene.state.services.ids.uuid(now);
        let token = issuer.session_token(grant, id, now).expect("a token");
        let token = secrecy::ExposeSecret::expose_secret(&token.token).to_owned();
        let subject = String::new();
        me(&app, &scene, &Person { token, subject }).await
    };
    call(&identity, &browser.id).await.expect(200);
    call(&nobody, &browser.id).await.refused(401, "unauthenticated");
    for session in ["ses_00000000000000000000000000000000", "ses_", ""] {
        call(&identity, session).await.refused(401, "unauthenticated");
    }
}

#[actix_web::test]
async fn while_the_database_is_away_nobody_is_signed_out() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let browser = open(&app, &scene).await;
    scene.state.services.close().await;
    let away = refresh(&app, &browser.cookie).await;
    assert_eq!(away.header("set-cookie"), "", "the cookie stays");
    away.refused(503, "store_unavailable");
    let out = Call::new("DELETE", "/api/v1/sessions")
        .by(&browser.person)
        .send(&app)
        .await;
    assert_eq!(out.header("set-cookie"), "");
    out.refused(503, "store_unavailable");
}

#[actix_web::test]
async fn where_sessions_are_off_there_is_no_such_thing() {
    let scene = Scene::with(|settings| settings.sessions = None).await;
    let app = api(&scene).await;
    let opening = Call::post("/api/v1/sessions")
        .at(&scene.site)
        .header("origin", ORIGIN);
    opening
        .json(&json!({}))
        .send(&app)
        .await
        .refused(404, "sessions_off");
    refresh(&app, "a=b").await.refused(404, "sessions_off");
    let member = scene.member(&scene.site, Role::Member).await;
    assert_eq!(my_sessions(&app, &member).await, Vec::<Value>::new());
}

#[actix_web::test]
async fn who_opens_sessions_all_the_time_waits() {
    let scene = Scene::with(|settings| {
        settings.server.rate_limits = RateLimits {
            auth_per_minute: 2,
            ..RateLimits::all(1_000)
        };
    })
    .await;
    let app = api(&scene).await;
    let opening = || {
        Call::post("/api/v1/sessions")
            .at(&scene.site)
            .header("origin", ORIGIN)
            .json(&json!({}))
    };
    for _ in 0..2 {
        opening().send(&app).await.refused(422, "field_invalid");
    }
    opening().send(&app).await.refused(429, "rate_limited");
}
#[actix_web::test]
async fn a_session_is_over_when_it_was_idle_or_lived_long_enough() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let (idle, mut used) = (open(&app, &scene).await, open(&app, &scene).await);
    for _ in 0..4 {
        scene.clock.advance(TimeDelta::days(7) - TimeDelta::minutes(1));
        let renewed = refresh(&app, &used.cookie).await.expect(200);
        used = Browser::of(&renewed);
    }
    refresh(&app, &idle.cookie).await.refused(401, "session_over");
    // 30 days less 4 minutes are left of 30 days: 2 days and 4 minutes.
    let left = TimeDelta::days(2) + TimeDelta::minutes(4) - TimeDelta::minutes(3);
    scene.clock.advance(left);
    let last = refresh(&app, &used.cookie).await.expect(200);
    let (expires_in, set) = (last.json["expires_in"].as_i64(), last.header("set-cookie"));
    assert!(
        expires_in.is_some_and(|seconds| (1..=180).contains(&seconds)),
        "{expires_in:?}"
    );
    let max_age = set
        .split("Max-Age=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    let max_age: i64 = max_age.expect("an age").parse().expect("seconds");
    assert!((1..=180).contains(&max_age), "{set}");
    let last = Browser::of(&last);
    scene.clock.advance(TimeDelta::minutes(4));
    let over = refresh(&app, &last.cookie).await;
    assert!(is_cleared(&over));
    over.refused(401, "session_over");
}
