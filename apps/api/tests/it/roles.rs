//! Which role may call what: the table may only change on purpose.

use std::fmt::Write as _;

use posx_tenancy::{Capability, Role};

use crate::coverage::operations;
use crate::objects::furnish;
use crate::world::{Scene, api};

#[actix_web::test]
async fn each_role_may_call_what_its_capabilities_say() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let theirs = furnish(&scene, &app, &scene.other).await;
    let mut people = Vec::new();
    for role in Role::ALL {
        people.push((*role, scene.member(&scene.site, *role).await));
    }
    let mut table = String::new();
    for operation in operations()
        .iter()
        .filter(|operation| operation.needs_capability())
    {
        let named: Vec<_> = operation.access.split(" | ").collect();
        let mut allowed = Vec::new();
        for (role, person) in &people {
            // With another site's ids and no body: whoever is let in is refused for that.
            let answer = operation
                .bare(&theirs)
                .at(&scene.site)
                .by(person)
                .send(&app)
                .await;
            let let_in = answer.code() != "capability_missing";
            let told = Capability::ALL
                .iter()
                .any(|one| named.contains(&one.as_str()) && role.may(*one));
            assert_eq!(let_in, told, "{role:?} and {operation:?}: {}", answer.json);
            if let_in {
                allowed.push(role.as_str());
            }
        }
        writeln!(
            table,
            "{} {} [{}]: {}",
            operation.method,
            operation.path,
            operation.access,
            allowed.join(" ")
        )
        .expect("text");
    }
    insta::assert_snapshot!(table);
}

#[actix_web::test]
async fn only_staff_see_what_is_everybodys() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let get =
        |path: &str, person: &crate::world::Person| crate::world::Call::get(path).by(person).at(&scene.site);
    let everybodys = [
        ("orders", &objects.order),
        ("commissions", &objects.commission),
        ("allocations", &objects.allocation),
    ];
    for (list, buyers) in everybodys {
        let all = format!("/api/v1/{list}?all=true&limit=100");
        get(&all, &objects.buyer)
            .send(&app)
            .await
            .refused(403, "capability_missing");
        let seen = get(&all, &objects.owner).send(&app).await.expect(200);
        let mut seen = seen.json["items"].as_array().expect("items").iter();
        assert!(seen.any(|item| item["id"] == **buyers), "{list}");
        let own = get(&format!("/api/v1/{list}"), &objects.owner)
            .send(&app)
            .await
            .expect(200);
        assert_eq!(own.json["items"], serde_json::json!([]), "{list}");
    }
    // The agent's commission is not the buyer's business, nor the buyer's order the agent's.
    let commission = format!("/api/v1/commissions/{}", objects.commission);
    get(&commission, &objects.agent).send(&app).await.expect(200);
    get(&format!("{commission}/explain"), &objects.agent)
        .send(&app)
        .await
        .expect(200);
    let adjustments = format!("{commission}/adjustments");
    let none = get(&adjustments, &objects.agent).send(&app).await.expect(200);
    assert_eq!(none.json["items"], serde_json::json!([]));
    for of_another in [commission, adjustments] {
        get(&of_another, &objects.buyer)
            .send(&app)
            .await
            .refused(404, "commission_not_found");
    }
    let order = format!("/api/v1/orders/{}", objects.order);
    get(&order, &objects.buyer).send(&app).await.expect(200);
    get(&order, &objects.agent)
        .send(&app)
        .await
        .refused(404, "order_not_found");
    // Counters and custody details are for staff.
    let allocation = format!("/api/v1/allocations/{}", objects.allocation);
    let (mine, staffs) = (
        get(&allocation, &objects.buyer).send(&app).await,
        get(&allocation, &objects.owner).send(&app).await,
    );
    assert!(mine.json.get("batch").is_none() && staffs.json.get("batch").is_some());
    let tier = format!("/api/v1/tiers/{}", objects.tier);
    let (buyers, staffs) = (
        get(&tier, &objects.buyer).send(&app).await,
        get(&tier, &objects.owner).send(&app).await,
    );
    assert!(buyers.json.get("stock").is_none());
    assert_eq!(staffs.json["stock"]["sold"], 2);
    let explained = get(&format!("{order}/commissions/explain"), &objects.owner)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(explained.json["ancestors"][0]["agrees"], true);
}
