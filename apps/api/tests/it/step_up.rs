//! What moves money asks for a second factor, not older than ten minutes: the issuer's or one of ours.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use chrono::TimeDelta;
use posx_kernel::Clock as _;
use posx_runtime::StepUpIssuerSettings;
use posx_sandbox::TokenRequest;
use posx_tenancy::{Capability, Proof, Role};
use serde_json::json;
use totp_rs::{Builder, Secret, Totp};

use crate::coverage::operations;
use crate::objects::furnish;
use crate::world::{AUDIENCE, Answer, Call, Person, Scene, api};

const FACTOR: &str = "/api/v1/me/second-factor";

impl Scene {
    /// Another token of the same person.
    pub fn again(&self, person: &Person, change: impl FnOnce(&mut TokenRequest)) -> Person {
        let mut request = TokenRequest::new(&person.subject, AUDIENCE);
        change(&mut request);
        Person {
            token: self.world.issuer().token(&request).expect("a token"),
            subject: person.subject.clone(),
        }
    }

    /// …of a sign-in without a second factor.
    pub fn plain(&self, person: &Person) -> Person {
        self.again(person, |request| request.methods = vec!["pwd".to_owned()])
    }

    fn code(&self, totp: &Totp) -> String {
        let now = u64::try_from(self.clock.now().timestamp()).expect("after 1970");
        totp.generate(now).to_string()
    }

    /// The next code: each is good once.
    fn next_code(&self, totp: &Totp) -> String {
        self.clock.advance(TimeDelta::seconds(30));
        self.code(totp)
    }
}

/// Creating a key moves no money and needs the factor all the same.
async fn asks<S, B>(scene: &Scene, app: &S, person: &Person) -> Answer
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let missing = "/api/v1/commission-plans/plan_00000000000000000000000000000000/activate";
    Call::post(missing).by(person).at(&scene.site).send(app).await
}

/// Past the second factor nothing is there.
#[track_caller]
fn let_in(answer: &Answer) {
    answer.refused(404, "commission_plan_not_found");
}

async fn offered<S, B>(scene: &Scene, app: &S, person: &Person) -> Totp
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let offered = Call::post(FACTOR)
        .by(person)
        .at(&scene.site)
        .send(app)
        .await
        .expect(201);
    let secret = offered.text("/secret");
    assert!(offered.text("/otpauth_uri").starts_with("otpauth://totp/"));
    assert_eq!(offered.header("cache-control"), "no-store");
    let secret = Secret::try_from_base32(&secret).expect("base 32");
    Builder::new().with_secret(secret).build().expect("a TOTP")
}

async fn typed<S, B>(scene: &Scene, app: &S, person: &Person, what: &str, code: &str) -> Answer
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let call = Call::post(&format!("{FACTOR}/{what}")).by(person).at(&scene.site);
    call.json(&json!({ "code": code })).send(app).await
}

#[actix_web::test]
async fn every_route_whose_capability_wants_a_second_factor_asks_for_one_and_no_other_does() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let theirs = furnish(&scene, &app, &scene.other).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let plain = scene.plain(&owner);
    let mut asked = 0;
    for operation in operations()
        .iter()
        .filter(|operation| operation.needs_capability())
    {
        let named: Vec<_> = operation.access.split(" | ").collect();
        let mut capabilities = Capability::ALL.iter().filter(|one| named.contains(&one.as_str()));
        let wanted = capabilities.all(|one| one.proof() == Proof::SecondFactor);
        let send = async |person| {
            operation
                .bare(&theirs)
                .at(&scene.site)
                .by(person)
                .send(&app)
                .await
        };
        let (without, with) = (send(&plain).await, send(&owner).await);
        assert_eq!(
            without.code() == "second_factor_needed",
            wanted,
            "{operation:?}: {}",
            without.json
        );
        assert_ne!(with.code(), "second_factor_needed", "{operation:?}");
        asked += usize::from(wanted);
    }
    assert!(asked >= 10, "{asked} routes ask");
}

#[actix_web::test]
async fn the_issuers_word_counts_for_ten_minutes_and_the_refusal_says_how() {
    let issuer = std::sync::Mutex::new(String::new());
    let scene = Scene::with(|settings| {
        let name = settings.issuers[0].issuer.clone();
        name.clone_into(&mut issuer.lock().expect("alone"));
        settings.step_up.issuers = vec![StepUpIssuerSettings {
            issuer: name,
            methods: vec!["hwk".to_owned()],
            contexts: vec!["urn:gold".to_owned()],
        }];
    })
    .await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    // Not what this issuer is configured for.
    let refused = asks(&scene, &app, &owner).await;
    refused.refused(403, "second_factor_needed");
    assert_eq!(
        refused.header("www-authenticate"),
        "Bearer error=\"insufficient_user_authentication\", error_description=\"A second factor is needed\", \
         max_age=\"600\", acr_values=\"urn:gold\""
    );
    assert_eq!(
        refused.json["second_factor"],
        json!({ "ways": ["enrol", "sign_in_again"], "max_age_s": 600, "acr_values": ["urn:gold"] })
    );
    let by_key = scene.again(&owner, |request| request.methods = vec!["hwk".to_owned()]);
    let by_context = scene.again(&owner, |request| {
        request.methods.clear();
        request.context = Some("urn:gold".to_owned());
    });
    for proven in [&by_key, &by_context] {
        let_in(&asks(&scene, &app, proven).await);
    }
    scene.clock.advance(TimeDelta::seconds(590));
    let_in(&asks(&scene, &app, &by_key).await);
    scene.clock.advance(TimeDelta::seconds(10));
    for stale in [&by_key, &by_context] {
        asks(&scene, &app, stale)
            .await
            .refused(403, "second_factor_needed");
    }
}

#[actix_web::test]
async fn a_code_of_ours_proves_one_sign_in_for_ten_minutes() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let (laptop, phone) = (scene.plain(&owner), scene.plain(&owner));
    let none = typed(&scene, &app, &laptop, "verify", "000000").await;
    none.refused(409, "second_factor_not_enrolled");
    let none = typed(&scene, &app, &laptop, "confirm", "000000").await;
    none.refused(409, "second_factor_not_pending");

    let totp = offered(&scene, &app, &laptop).await;
    asks(&scene, &app, &laptop)
        .await
        .refused(403, "second_factor_needed");
    let confirmed = typed(&scene, &app, &laptop, "confirm", &scene.code(&totp))
        .await
        .expect(200);
    assert_eq!(
        confirmed.json["recovery_codes"].as_array().map(Vec::len),
        Some(10)
    );
    let_in(&asks(&scene, &app, &laptop).await);
    let other = asks(&scene, &app, &phone).await;
    assert_eq!(
        other.json["second_factor"]["ways"],
        json!(["verify", "sign_in_again"])
    );
    other.refused(403, "second_factor_needed");

    let code = scene.next_code(&totp);
    let proven = typed(&scene, &app, &phone, "verify", &code).await.expect(200);
    assert!(!proven.text("/proven_until").is_empty());
    let_in(&asks(&scene, &app, &phone).await);
    let again = typed(&scene, &app, &laptop, "verify", &code).await;
    assert_eq!(again.field(), "code");
    again.refused(422, "second_factor_code_wrong");

    let standing = Call::get(FACTOR)
        .by(&phone)
        .at(&scene.site)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(
        (&standing.json["recovery_codes"], &standing.json["pending"]),
        (&json!(10), &json!(false))
    );
    assert!(standing.json["proven_until"].is_string());
    scene.clock.advance(TimeDelta::minutes(10));
    asks(&scene, &app, &phone)
        .await
        .refused(403, "second_factor_needed");
    let standing = Call::get(FACTOR)
        .by(&phone)
        .at(&scene.site)
        .send(&app)
        .await
        .expect(200);
    assert!(standing.json.get("proven_until").is_none() && standing.json["confirmed_at"].is_string());

    // At another site nothing of it counts, and nobody learns of it.
    let subject = phone.subject.clone();
    let there = scene
        .platform
        .appoint(&scene.other, scene.world.issuer().url(), &subject, Role::Owner);
    there.await.expect("appointed");
    let elsewhere = Call::get(FACTOR)
        .by(&phone)
        .at(&scene.other)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(elsewhere.json, json!({ "pending": false, "recovery_codes": 0 }));
}

#[actix_web::test]
async fn who_changes_a_second_factor_has_proven_it() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let member = scene.member(&scene.site, Role::Member).await;
    let me = scene.plain(&member);
    let totp = offered(&scene, &app, &me).await;
    let confirmed = typed(&scene, &app, &me, "confirm", &scene.code(&totp))
        .await
        .expect(200);
    let thief = scene.plain(&member);
    for (method, path) in [
        ("POST", FACTOR),
        ("DELETE", FACTOR),
        ("POST", "/api/v1/me/second-factor/recovery-codes"),
    ] {
        let refused = Call::new(method, path)
            .by(&thief)
            .at(&scene.site)
            .send(&app)
            .await;
        assert_eq!(refused.json["second_factor"]["ways"][0], "verify");
        refused.refused(403, "second_factor_needed");
    }
    let recovery = confirmed.text("/recovery_codes/0");
    typed(&scene, &app, &thief, "verify", &recovery).await.expect(200);
    let renewed = Call::post(&format!("{FACTOR}/recovery-codes"))
        .by(&thief)
        .at(&scene.site);
    let renewed = renewed.send(&app).await.expect(200);
    assert_ne!(renewed.json, confirmed.json);
    let old = confirmed.text("/recovery_codes/1");
    typed(&scene, &app, &me, "verify", &old)
        .await
        .refused(422, "second_factor_code_wrong");
    let next = offered(&scene, &app, &thief).await;
    typed(&scene, &app, &thief, "confirm", &scene.code(&next))
        .await
        .expect(200);
    let remove = async |person| {
        Call::new("DELETE", FACTOR)
            .by(person)
            .at(&scene.site)
            .send(&app)
            .await
    };
    // What the old one proved is forgotten.
    remove(&me).await.refused(403, "second_factor_needed");
    remove(&thief).await.expect(204);
    let gone = typed(&scene, &app, &thief, "verify", &scene.next_code(&next)).await;
    gone.refused(409, "second_factor_not_enrolled");
}

#[actix_web::test]
async fn wrong_codes_make_one_wait_and_the_answer_says_how_long() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let me = scene.plain(&scene.member(&scene.site, Role::Owner).await);
    let totp = offered(&scene, &app, &me).await;
    typed(&scene, &app, &me, "confirm", &scene.code(&totp))
        .await
        .expect(200);
    let wrong = if scene.code(&totp) == "123456" {
        "654321"
    } else {
        "123456"
    };
    for code in [wrong, wrong, "no code at all", wrong, ""] {
        typed(&scene, &app, &me, "verify", code)
            .await
            .refused(422, "second_factor_code_wrong");
    }
    let locked = typed(&scene, &app, &me, "verify", wrong).await;
    locked.refused(429, "sign_in_delayed");
    let wait_s: i64 = locked.header("retry-after").parse().expect("seconds");
    assert!((25..=31).contains(&wait_s), "{wait_s}");
    scene.clock.advance(TimeDelta::seconds(wait_s));
    let fresh = scene.next_code(&totp);
    typed(&scene, &app, &me, "verify", &fresh).await.expect(200);
}

#[actix_web::test]
async fn a_stranger_enrols_nothing() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let stranger = scene.stranger();
    let refused = Call::post(FACTOR).by(&stranger).at(&scene.site).send(&app).await;
    refused.refused(403, "not_a_member");
}

#[actix_web::test]
async fn where_the_settings_ask_for_none_nobody_is_asked() {
    let scene = Scene::with(|settings| settings.step_up.required = false).await;
    let app = api(&scene).await;
    let owner = scene.plain(&scene.member(&scene.site, Role::Owner).await);
    let_in(&asks(&scene, &app, &owner).await);
}

#[actix_web::test]
async fn who_makes_an_admin_proves_a_second_factor() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let plain = scene.plain(&owner);
    let site = &scene.site;
    let invite = async |person: &Person, role: &str| {
        let body = json!({ "email": format!("{role}@posx.test"), "role": role });
        let call = Call::post("/api/v1/invitations").by(person).at(site);
        call.key(role).json(&body).send(&app).await
    };
    for role in ["admin", "owner"] {
        invite(&plain, role).await.refused(403, "second_factor_needed");
    }
    for role in ["manager", "member", "cashier", "agent", "viewer"] {
        invite(&plain, role).await.expect(201);
    }
    invite(&owner, "admin").await.expect(201);

    scene.member(site, Role::Viewer).await;
    let all = Call::get("/api/v1/members?role=viewer").by(&owner).at(site);
    let id = all.send(&app).await.expect(200).text("/items/0/identity_id");
    let path = format!("/api/v1/members/{id}");
    let promote = async |person: &Person, role: &str, version: u8| {
        let call = Call::new("PUT", &path).by(person).at(site);
        let call = call.header("if-match", &format!("\"{version}\""));
        call.json(&json!({ "role": role })).send(&app).await
    };
    promote(&plain, "admin", 1)
        .await
        .refused(403, "second_factor_needed");
    promote(&plain, "manager", 1).await.expect(200);
    promote(&owner, "admin", 2).await.expect(200);
    // Nor is one let in again by a stolen sign-in.
    let step = async |person: &Person, what: &str| {
        let call = Call::post(&format!("{path}/{what}"));
        call.by(person).at(site).send(&app).await
    };
    step(&plain, "disable").await.expect(200);
    step(&plain, "enable").await.refused(403, "second_factor_needed");
    step(&owner, "enable").await.expect(200);
}
