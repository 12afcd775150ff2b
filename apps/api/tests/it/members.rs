//! Members, places and invitations as their staff and their guests meet them.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use posx_runtime::Services;
use posx_tenancy::{Role, Site};
use serde_json::{Value, json};

use crate::world::{Answer, Call, Person, Scene, api};

/// A place and a pending invitation to work there.
pub async fn furnish<S, B>(app: &S, site: &Site, owner: &Person) -> (String, String)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let post = |path: &str, body: Value| Call::post(path).by(owner).at(site).key("people").json(&body);
    let place = post("/api/v1/places", json!({ "code": "MAIN", "name": "Main street" }));
    let place = place.send(app).await.expect(201).text("/id");
    let guest = json!({ "email": "guest@example.com", "role": "cashier", "places": [place] });
    let invitation = post("/api/v1/invitations", guest)
        .send(app)
        .await
        .expect(201)
        .text("/id");
    (place, invitation)
}

/// One site of a scene, and its owner.
struct Desk<'a, S> {
    scene: &'a Scene,
    app: &'a S,
    owner: Person,
}

impl<'a, S, B> Desk<'a, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    async fn new(scene: &'a Scene, app: &'a S) -> Self {
        let owner = scene.member(&scene.site, Role::Owner).await;
        Self { scene, app, owner }
    }

    async fn send(&self, call: Call, by: &Person) -> Answer {
        call.by(by).at(&self.scene.site).send(self.app).await
    }

    async fn get(&self, by: &Person, path: &str) -> Answer {
        self.send(Call::get(path), by).await
    }

    async fn act(&self, by: &Person, path: &str) -> Answer {
        self.send(Call::post(path), by).await
    }

    async fn invite(&self, by: &Person, email: &str, body: Value) -> Answer {
        let mut body = body;
        body["email"] = email.into();
        let call = Call::post("/api/v1/invitations").key(email).json(&body);
        self.send(call, by).await
    }

    /// What the invitation's job sent.
    async fn token(&self) -> String {
        let drained = posx_worker::drain_site(&self.scene.state.services, self.scene.site.id).await;
        let drained = drained.expect("drained");
        assert!(drained.failures.is_empty(), "{drained:?}");
        let files = std::fs::read_dir(self.scene.letters.path()).expect("the folder");
        let newest = files
            .map(|file| file.expect("a file").path())
            .max()
            .expect("a message");
        let text = std::fs::read_to_string(newest).expect("text");
        // Quoted-printable (RFC 2045), as much of it as our messages have.
        let text = text.replace("=\r\n", "").replace("=3D", "=");
        let link = format!("https://app.posx.test/{}/join#token=", self.scene.site.code);
        let (_, rest) = text.split_once(&link).expect("a link");
        rest.split_whitespace().next().expect("a token").to_owned()
    }

    async fn accept(&self, by: &Person, token: &str) -> Answer {
        let call = Call::post("/api/v1/invitations/accept").json(&json!({ "token": token }));
        self.send(call, by).await
    }

    async fn identity(&self, person: &Person) -> String {
        self.get(person, "/api/v1/me")
            .await
            .expect(200)
            .text("/identity_id")
    }

    async fn change(&self, by: &Person, member: &str, version: u8, body: Value) -> Answer {
        let call = Call::put(&format!("/api/v1/members/{member}"));
        let call = call.header("if-match", &format!("\"{version}\"")).json(&body);
        self.send(call, by).await
    }
}

#[actix_web::test]
async fn an_invitation_goes_out_by_mail_is_accepted_once_and_its_guest_works_at_their_place() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::new(&scene, &app).await;
    let (place, invitation) = furnish(&app, &scene.site, &desk.owner).await;
    let old = desk.token().await;
    let one = format!("/api/v1/invitations/{invitation}");
    let seen = desk.get(&desk.owner, &one).await.expect(200);
    assert_eq!(
        (&seen.json["state"], &seen.json["delivery"], &seen.json["sending"]),
        (&json!("pending"), &json!("sent"), &json!(1))
    );
    let resent = desk.act(&desk.owner, &format!("{one}/resend")).await.expect(200);
    assert_eq!(
        (&resent.json["delivery"], &resent.json["sending"]),
        (&json!("waiting"), &json!(2))
    );
    let token = desk.token().await;
    let guest = scene.stranger();
    desk.accept(&guest, &old)
        .await
        .refused(404, "invitation_not_found");
    let elsewhere = Call::post("/api/v1/invitations/accept").json(&json!({ "token": token }));
    let elsewhere = elsewhere.by(&guest).at(&scene.other).send(&app).await;
    elsewhere.refused(404, "invitation_not_found");
    let accepted = desk.accept(&guest, &token).await.expect(201);
    assert_eq!(
        (&accepted.json["role"], &accepted.json["places"]),
        (&json!("cashier"), &json!([place]))
    );
    desk.accept(&guest, &token).await.expect(200);
    desk.accept(&scene.stranger(), &token)
        .await
        .refused(409, "invitation_used");
    let me = desk.get(&guest, "/api/v1/me").await.expect(200);
    assert_eq!(me.json["membership"]["places"], json!([place]));
    let guest = me.text("/identity_id");
    let cashiers = desk
        .get(&desk.owner, "/api/v1/members?role=cashier&state=active")
        .await
        .expect(200);
    assert_eq!(cashiers.json["items"][0]["identity_id"], guest.as_str());
    assert_eq!(cashiers.json["items"].as_array().map(Vec::len), Some(1));
    let seen = desk.get(&desk.owner, &one).await.expect(200);
    assert_eq!(
        (&seen.json["state"], &seen.json["accepted_by"]),
        (&json!("accepted"), &json!(guest))
    );
}

#[actix_web::test]
async fn who_may_not_grant_it_and_what_cannot_be_read_is_refused_by_name() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::new(&scene, &app).await;
    let admin = scene.member(&scene.site, Role::Admin).await;
    desk.invite(&admin, "ann@example.com", json!({ "role": "owner" }))
        .await
        .refused(403, "role_above_yours");
    let manager = scene.member(&scene.site, Role::Manager).await;
    desk.invite(&manager, "ann@example.com", json!({ "role": "viewer" }))
        .await
        .refused(403, "capability_missing");
    for (email, body, status, code, field) in [
        ("ann", json!({ "role": "viewer" }), 422, "email_invalid", "email"),
        (
            "ann@example.com\r\nBcc: eve@example.com",
            json!({ "role": "viewer" }),
            422,
            "email_invalid",
            "email",
        ),
        (
            "ann@example.com",
            json!({ "role": "king" }),
            422,
            "field_invalid",
            "role",
        ),
        (
            "ann@example.com",
            json!({ "role": "viewer", "places": ["plc_00000000000000000000000000000000"] }),
            422,
            "place_not_found",
            "places",
        ),
        (
            "ann@example.com",
            json!({ "role": "viewer", "site_id": "x" }),
            422,
            "field_unknown",
            "site_id",
        ),
    ] {
        let call = Call::post("/api/v1/invitations").key("never-kept");
        let mut body = body;
        body["email"] = email.into();
        let answer = desk.send(call.json(&body), &desk.owner).await;
        answer.refused(status, code);
        assert_eq!(answer.field(), field, "{}", answer.json);
    }
    desk.invite(&desk.owner, "Ann@example.com", json!({ "role": "viewer" }))
        .await
        .expect(201);
    let twice = desk
        .invite(&desk.owner, "ann@EXAMPLE.com", json!({ "role": "viewer" }))
        .await;
    twice.refused(409, "invitation_pending");
    // The same call again is the same invitation.
    let again = desk
        .invite(&desk.owner, "Ann@example.com", json!({ "role": "viewer" }))
        .await
        .expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
}

#[actix_web::test]
async fn without_mail_nobody_is_invited() {
    let scene = Scene::with(|settings| settings.mail = None).await;
    let app = api(&scene).await;
    let desk = Desk::new(&scene, &app).await;
    desk.invite(&desk.owner, "ann@example.com", json!({ "role": "viewer" }))
        .await
        .refused(409, "mail_off");
}

#[actix_web::test]
async fn members_are_changed_by_who_ranks_above_them_and_in_the_version_that_was_read() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::new(&scene, &app).await;
    let (admin, viewer) = (
        scene.member(&scene.site, Role::Admin).await,
        scene.member(&scene.site, Role::Viewer).await,
    );
    let (owners, admins, viewers) = (
        desk.identity(&desk.owner).await,
        desk.identity(&admin).await,
        desk.identity(&viewer).await,
    );
    let read = desk
        .get(&admin, &format!("/api/v1/members/{viewers}"))
        .await
        .expect(200);
    assert_eq!(read.header("etag"), "\"1\"");
    let promoted = desk
        .change(&admin, &viewers, 1, json!({ "role": "manager" }))
        .await
        .expect(200);
    assert_eq!(
        (promoted.header("etag"), &promoted.json["role"]),
        ("\"2\"", &json!("manager"))
    );
    let stale = desk.change(&admin, &viewers, 1, json!({ "role": "agent" })).await;
    stale.refused(412, "version_stale");
    // The new role holds with the next request of this process: they may see members now.
    desk.get(&viewer, "/api/v1/members").await.expect(200);
    let above = desk.change(&admin, &viewers, 2, json!({ "role": "owner" })).await;
    above.refused(403, "role_above_yours");
    let owner_demoted = desk.change(&admin, &owners, 1, json!({ "role": "viewer" })).await;
    owner_demoted.refused(403, "member_outranks_you");
    for (person, id) in [(&admin, &admins), (&desk.owner, &owners)] {
        let own = desk.change(person, id, 1, json!({ "role": "viewer" })).await;
        own.refused(403, "member_is_self");
        for verb in ["disable", "enable", "remove"] {
            let own = desk.act(person, &format!("/api/v1/members/{id}/{verb}")).await;
            own.refused(403, "member_is_self");
        }
    }
    let nobody = "/api/v1/members/idn_00000000000000000000000000000000";
    desk.get(&admin, nobody).await.refused(404, "member_not_found");
    desk.get(&admin, "/api/v1/members/everyone")
        .await
        .refused(404, "member_not_found");
    desk.get(&admin, "/api/v1/members?role=king")
        .await
        .refused(400, "query_invalid");
}

/// J13: the user is checked at each request, from a cache that is told at once here and is at most a minute old elsewhere.
#[actix_web::test]
async fn j13_a_disabled_member_is_out_with_their_next_request_and_within_a_minute_everywhere() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::new(&scene, &app).await;
    let manager = scene.member(&scene.site, Role::Manager).await;
    let id = desk.identity(&manager).await;
    desk.get(&manager, "/api/v1/members").await.expect(200);
    let elsewhere = Services::connect(&scene.settings, scene.clock.clone())
        .await
        .expect("another process");
    let identity = id.parse().expect("an id");
    let cached = || elsewhere.directory.member(scene.site.id, identity);
    assert!(cached().await.expect("a look").is_some());

    let member = format!("/api/v1/members/{id}");
    let disabled = desk
        .act(&desk.owner, &format!("{member}/disable"))
        .await
        .expect(200);
    assert_eq!(disabled.json["state"], "disabled");
    desk.get(&manager, "/api/v1/members")
        .await
        .refused(403, "not_a_member");
    let join = Call::post("/api/v1/me").json(&json!({}));
    desk.send(join, &manager).await.refused(403, "member_disabled");
    // Another process may still hold what it read, for a minute at most (see the cache's own test); a new one reads.
    let fresh = Services::connect(&scene.settings, scene.clock.clone())
        .await
        .expect("a third process");
    let out = fresh
        .directory
        .member(scene.site.id, identity)
        .await
        .expect("a look");
    assert_eq!(out, None);

    desk.act(&desk.owner, &format!("{member}/enable"))
        .await
        .expect(200);
    desk.get(&manager, "/api/v1/members").await.expect(200);
    let removed = desk
        .act(&desk.owner, &format!("{member}/remove"))
        .await
        .expect(200);
    assert_eq!(removed.json["state"], "removed");
    desk.get(&manager, "/api/v1/members")
        .await
        .refused(403, "not_a_member");
    desk.act(&desk.owner, &format!("{member}/enable"))
        .await
        .refused(409, "member_removed");
    let join = Call::post("/api/v1/me").json(&json!({}));
    let joined = desk.send(join, &manager).await.expect(201);
    assert_eq!(joined.json["membership"]["role"], "member");
    assert_eq!(joined.json["membership"]["party_id"], removed.json["party_id"]);
}

#[actix_web::test]
async fn who_is_narrowed_to_a_place_manages_that_place_and_no_other() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::new(&scene, &app).await;
    let make = async |code: &str| {
        let call = Call::post("/api/v1/places").key(code);
        let call = call.json(&json!({ "code": code, "name": "A street", "time_zone": "Asia/Kuwait" }));
        desk.send(call, &desk.owner).await.expect(201)
    };
    let (north, south) = (make("NORTH").await, make("SOUTH").await);
    assert_eq!(north.json["time_zone"], "Asia/Kuwait");
    let location = north.header("location").to_owned();
    desk.get(&desk.owner, &location).await.expect(200);
    let (north, south) = (north.text("/id"), south.text("/id"));
    let branch_admin = scene.member(&scene.site, Role::Admin).await;
    let id = desk.identity(&branch_admin).await;
    let narrowed = json!({ "role": "admin", "places": [north] });
    desk.change(&desk.owner, &id, 1, narrowed).await.expect(200);

    let edit = |place: &str, version: u8| {
        let call = Call::put(&format!("/api/v1/places/{place}"));
        let call = call.header("if-match", &format!("\"{version}\""));
        call.json(&json!({ "name": "Another street" }))
    };
    let close = |place: &str, version: u8| {
        let call = Call::post(&format!("/api/v1/places/{place}/close"));
        call.header("if-match", &format!("\"{version}\""))
    };
    let edited = desk.send(edit(&north, 1), &branch_admin).await.expect(200);
    assert_eq!(
        (edited.header("etag"), edited.json.get("time_zone")),
        ("\"2\"", None)
    );
    desk.send(edit(&north, 1), &branch_admin)
        .await
        .refused(412, "version_stale");
    desk.send(edit(&south, 1), &branch_admin)
        .await
        .refused(403, "place_not_yours");
    desk.send(close(&south, 1), &branch_admin)
        .await
        .refused(403, "place_not_yours");
    let new = Call::post("/api/v1/places")
        .key("new")
        .json(&json!({ "code": "NEW", "name": "New" }));
    desk.send(new, &branch_admin)
        .await
        .refused(403, "place_not_yours");
    let closed = desk.send(close(&north, 2), &branch_admin).await.expect(200);
    assert_eq!(closed.json["state"], "closed");
    let open = desk
        .get(&branch_admin, "/api/v1/places?state=active")
        .await
        .expect(200);
    assert_eq!(open.json["items"][0]["id"], south.as_str());
    let reopen = Call::post(&format!("/api/v1/places/{north}/reopen")).header("if-match", "\"3\"");
    desk.send(reopen, &branch_admin).await.expect(200);

    // …and invites and changes people of that place only.
    let everywhere = desk
        .invite(&branch_admin, "a@example.com", json!({ "role": "cashier" }))
        .await;
    everywhere.refused(403, "places_beyond_yours");
    let there = json!({ "role": "cashier", "places": [south] });
    desk.invite(&branch_admin, "b@example.com", there)
        .await
        .refused(403, "places_beyond_yours");
    let here = json!({ "role": "cashier", "places": [north] });
    desk.invite(&branch_admin, "c@example.com", here)
        .await
        .expect(201);
    let buyer = scene.member(&scene.site, Role::Member).await;
    let buyer = desk.identity(&buyer).await;
    let buyer = desk
        .act(&branch_admin, &format!("/api/v1/members/{buyer}/disable"))
        .await;
    buyer.refused(403, "places_beyond_yours");

    let twice = Call::post("/api/v1/places")
        .key("twice")
        .json(&json!({ "code": "NORTH", "name": "North" }));
    desk.send(twice, &desk.owner)
        .await
        .refused(409, "place_code_taken");
    let lost = json!({ "code": "MARS", "name": "Mars", "time_zone": "Mars/Olympus" });
    let lost = desk
        .send(Call::post("/api/v1/places").key("lost").json(&lost), &desk.owner)
        .await;
    lost.refused(422, "place_time_zone_invalid");
    assert_eq!(lost.field(), "time_zone");
}

/// Property of the audit: who did what is known, and no address or token is in it.
#[actix_web::test]
async fn every_change_of_people_is_an_event_with_who_did_it_and_without_personal_data() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::new(&scene, &app).await;
    furnish(&app, &scene.site, &desk.owner).await;
    let token = desk.token().await;
    let guest = scene.stranger();
    desk.accept(&guest, &token).await.expect(201);
    let guest = desk.identity(&guest).await;
    desk.change(&desk.owner, &guest, 1, json!({ "role": "viewer" }))
        .await
        .expect(200);
    desk.act(&desk.owner, &format!("/api/v1/members/{guest}/remove"))
        .await
        .expect(200);
    let trail = desk.get(&desk.owner, "/api/v1/audit-trail?limit=100").await;
    let text = trail.json.to_string();
    for kind in [
        "place.created",
        "invitation.created",
        "invitation.sent",
        "invitation.accepted",
        "member.joined",
        "member.role_changed",
        "member.removed",
    ] {
        assert!(text.contains(kind), "{kind} is missing in {text}");
    }
    assert!(
        !text.contains("guest@example.com") && !text.contains(&token),
        "{text}"
    );
}
