//! Pages of other origins.

use posx_tenancy::{Origin, Role, Site};

use crate::world::{Answer, Call, Scene, api};

const SHOP: &str = "https://shop.example";
const OTHER: &str = "https://other.example";

async fn list(scene: &Scene, site: &Site, origins: &[&str]) {
    let origins = origins.iter().map(|text| Origin::parse(text).expect("an origin"));
    scene
        .platform
        .set_cors_origins(site.code.as_str(), origins.collect())
        .await
        .expect("listed");
}

/// Origins of the test's own: preflights on the API's own name ask for those of every site.
fn own(scene: &Scene, origin: &str) -> String {
    origin.replace(
        "https://",
        &format!(
            "https://{}-",
            scene.site.code.as_str().to_lowercase().replace('_', "-")
        ),
    )
}

fn preflight(origin: &str) -> Call {
    Call::new("OPTIONS", "/api/v1/orders")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,x-site-code")
}

fn allowed(answer: &Answer) -> &str {
    let origin = answer.header("access-control-allow-origin");
    assert_eq!(
        answer.header("access-control-allow-credentials") == "true",
        !origin.is_empty()
    );
    assert_ne!(origin, "*");
    origin
}

#[actix_web::test]
async fn a_page_that_the_site_lists_may_read_every_answer_of_it_and_no_other_page_any() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    list(&scene, &scene.site, &[SHOP, "http://localhost:5173"]).await;
    list(&scene, &scene.other, &[OTHER]).await;
    let member = scene.member(&scene.site, Role::Member).await;
    let me = |origin: &str| Call::get("/api/v1/me").at(&scene.site).header("origin", origin);
    for listed in [SHOP, "http://localhost:5173"] {
        let answer = me(listed).by(&member).send(&app).await.expect(200);
        assert_eq!(allowed(&answer), listed);
        assert!(
            answer
                .header("access-control-expose-headers")
                .contains("retry-after")
        );
        // A refusal can be read as well.
        let refused = me(listed).send(&app).await.expect(401);
        assert_eq!(allowed(&refused), listed);
    }
    for foreign in [
        OTHER,
        "null",
        "*",
        "https://shop.example.attacker.example",
        "https://shop.example:8443",
        "http://shop.example",
        "https://SHOP.example",
    ] {
        let answer = me(foreign).by(&member).send(&app).await.expect(200);
        assert_eq!(allowed(&answer), "", "{foreign}");
    }
    let none = Call::get("/health")
        .header("origin", SHOP)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(allowed(&none), "", "no site, no list");
}

#[actix_web::test]
async fn a_browser_that_asks_first_is_answered_before_anybody_signs_in() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let (shop, other) = (own(&scene, SHOP), own(&scene, OTHER));
    list(&scene, &scene.site, &[&shop]).await;
    list(&scene, &scene.other, &[&other]).await;
    // Under the site's own name its list counts…
    let at = |site: &Site, origin: &str| preflight(origin).header("host", &site.host_names[0]);
    let answer = at(&scene.site, &shop).send(&app).await.expect(204);
    assert_eq!(allowed(&answer), shop);
    assert_eq!(answer.header("access-control-max-age"), "600");
    assert!(answer.header("access-control-allow-methods").contains("POST"));
    assert!(
        answer
            .header("access-control-allow-headers")
            .contains("idempotency-key")
    );
    let refused = at(&scene.site, &other).send(&app).await;
    assert_eq!(allowed(&refused), "");
    refused.refused(403, "origin_not_allowed");
    // …and under the API's own, where the site is not named yet, that of any.
    for listed in [&shop, &other] {
        let answer = preflight(listed).send(&app).await.expect(204);
        assert_eq!(allowed(&answer), listed);
    }
    for foreign in ["https://nobody.example", "null", "*", "http://shop.example"] {
        preflight(foreign)
            .send(&app)
            .await
            .refused(403, "origin_not_allowed");
    }
    // Known for a moment, without the database.
    scene.state.services.close().await;
    preflight(&shop).send(&app).await.expect(204);
    at(&scene.site, &shop).send(&app).await.expect(204);
    preflight("https://nobody.example")
        .send(&app)
        .await
        .refused(403, "origin_not_allowed");
}

#[actix_web::test]
async fn what_is_no_question_of_a_browser_is_a_method_that_no_route_knows() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let plain = Call::new("OPTIONS", "/api/v1/orders").header("origin", SHOP);
    plain.send(&app).await.refused(405, "method_not_allowed");
}
