//! Platform staff in a site, over HTTP.

use chrono::TimeDelta;
use posx_tenancy::{Role, Site, StaffRole};
use serde_json::{Value, json};

use super::{REASON, Staffer, look, open};
use crate::coverage::operations;
use crate::objects::furnish;
use crate::world::{Call, Person, Scene, api};

#[actix_web::test]
async fn platform_staff_is_in_a_site_only_under_a_grant_and_only_in_that_one() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let visitor = scene.staffer(StaffRole::Support).await.person;
    look(&app, &scene.site, &visitor)
        .await
        .refused(403, "not_a_member");
    let grant = open(&scene.site, 15)
        .by(&visitor)
        .send(&app)
        .await
        .expect(201)
        .text("/id");
    let seen = look(&app, &scene.site, &visitor).await.expect(200);
    let mut ids = seen.json["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| &one["id"]);
    assert!(ids.any(|id| *id == objects.order.as_str()), "{}", seen.json);
    look(&app, &scene.other, &visitor)
        .await
        .refused(403, "not_a_member");
    // A visitor is nobody's member and has nothing of their own.
    for path in ["/api/v1/me", "/api/v1/me/wallets"] {
        let answer = Call::get(path).at(&scene.site).by(&visitor).send(&app).await;
        assert!([401, 403].contains(&answer.status), "{path}: {}", answer.json);
    }
    let second = open(&scene.other, 15).by(&visitor).send(&app).await;
    second.refused(409, "grant_open");
    let me = Call::get("/platform/v1/me")
        .by(&visitor)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(me.text("/visit/grant_id"), grant);

    scene.clock.advance(TimeDelta::minutes(14));
    look(&app, &scene.site, &visitor).await.expect(200);
    scene.clock.advance(TimeDelta::minutes(1));
    look(&app, &scene.site, &visitor)
        .await
        .refused(403, "not_a_member");
}

#[actix_web::test]
async fn a_visitor_reads_what_a_viewer_does_and_changes_nothing() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let visitor = scene.staffer(StaffRole::Admin).await.person;
    open(&scene.site, 60).by(&visitor).send(&app).await.expect(201);
    let mut reads = 0;
    for operation in operations().iter().filter(|one| one.is_in_a_site()) {
        let answer = operation
            .bare(&objects)
            .at(&scene.site)
            .by(&visitor)
            .send(&app)
            .await;
        // A simulation is asked for by POST, and writes nothing.
        let changes = operation.method != "GET" && operation.id != "simulate_commission_plan";
        if changes && operation.access != "public" {
            let outside = [401, 403].contains(&answer.status);
            assert!(outside, "{operation:?} got {}: {}", answer.status, answer.json);
        }
        reads += usize::from(operation.needs_capability() && answer.status == 200);
    }
    assert!(reads >= 8, "{reads} reads were let through");
}

#[actix_web::test]
async fn the_owner_sees_each_visit_and_shows_the_visitor_out_at_once() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let (stranger, viewer) = (
        scene.member(&scene.other, Role::Owner).await,
        scene.member(&scene.site, Role::Viewer).await,
    );
    let staffer = scene.staffer(StaffRole::Support).await;
    let visitor = &staffer.person;
    let grant = open(&scene.site, 120)
        .by(visitor)
        .send(&app)
        .await
        .expect(201)
        .text("/id");
    let list = async |person: &Person, site: &Site| {
        Call::get("/api/v1/platform-grants")
            .at(site)
            .by(person)
            .send(&app)
            .await
    };
    let seen = list(&owner, &scene.site).await.expect(200).json["items"][0].clone();
    assert_eq!(seen["id"], json!(grant));
    assert_eq!(seen["staff_id"], json!(staffer.staff.identity));
    assert_eq!(
        (&seen["staff_name"], &seen["reason"]),
        (&json!("Dana"), &json!(REASON))
    );
    assert_eq!(
        (&seen["ended_at"], seen["until"].is_string()),
        (&Value::Null, true)
    );
    assert_eq!(
        list(&stranger, &scene.other).await.expect(200).json["items"],
        json!([])
    );
    list(&viewer, &scene.site)
        .await
        .refused(403, "capability_missing");

    let end = |person: &Person, site: &Site| {
        Call::post(&format!("/api/v1/platform-grants/{grant}/end"))
            .at(site)
            .by(person)
    };
    end(&viewer, &scene.site)
        .send(&app)
        .await
        .refused(403, "capability_missing");
    end(visitor, &scene.site)
        .send(&app)
        .await
        .refused(403, "capability_missing");
    end(&stranger, &scene.other)
        .send(&app)
        .await
        .refused(404, "grant_not_found");
    look(&app, &scene.site, visitor).await.expect(200);
    end(&owner, &scene.site).send(&app).await.expect(204);
    look(&app, &scene.site, visitor)
        .await
        .refused(403, "not_a_member");
    end(&owner, &scene.site)
        .send(&app)
        .await
        .refused(404, "grant_not_found");
    let seen = list(&owner, &scene.site).await.expect(200);
    assert!(seen.json["items"][0]["ended_at"].is_string());

    // …and the visitor may end it themselves.
    let own = open(&scene.other, 15)
        .by(visitor)
        .send(&app)
        .await
        .expect(201)
        .text("/id");
    let end = |person: &Person| Call::post(&format!("/platform/v1/grants/{own}/end")).by(person);
    let colleague = scene.staffer(StaffRole::Admin).await.person;
    end(&colleague).send(&app).await.refused(404, "grant_not_found");
    end(visitor).send(&app).await.expect(204);
    look(&app, &scene.other, visitor)
        .await
        .refused(403, "not_a_member");
    let path = format!("/platform/v1/sites/{}/grants", scene.other.code);
    let history = Call::get(&path).by(&colleague).send(&app).await.expect(200);
    assert_eq!(history.text("/items/0/id"), own);
    assert_eq!(
        history.json["items"][0]["ended_by"],
        json!(staffer.staff.identity)
    );
}

#[actix_web::test]
async fn a_disabled_staff_member_is_out_of_the_site_and_of_the_plane_at_once() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let staffer = scene.staffer(StaffRole::Support).await;
    open(&scene.site, 60)
        .by(&staffer.person)
        .send(&app)
        .await
        .expect(201);
    look(&app, &scene.site, &staffer.person).await.expect(200);
    let admin = scene.staffer(StaffRole::Admin).await;
    let disable = |staffer: &Staffer| {
        Call::post(&format!("/platform/v1/staff/{}/disable", staffer.staff.identity)).by(&admin.person)
    };
    disable(&admin).send(&app).await.refused(403, "staff_own_place");
    let disabled = disable(&staffer).send(&app).await.expect(200);
    assert_eq!(disabled.json["state"], "disabled");
    look(&app, &scene.site, &staffer.person)
        .await
        .refused(403, "not_a_member");
    let me = Call::get("/platform/v1/me").by(&staffer.person).send(&app).await;
    me.refused(403, "not_platform_staff");
}
