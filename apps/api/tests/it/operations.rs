//! What operators and staff ask.

use serde_json::json;

use crate::objects::furnish;
use crate::world::{Call, Scene, api};

#[actix_web::test]
async fn a_sound_process_is_ready_and_tells_names_only() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let ready = Call::get("/ready").send(&app).await.expect(200);
    let names: Vec<_> = ready.json["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .map(|check| check["name"].clone())
        .collect();
    let issuer = format!("keys {}", scene.world.issuer().url());
    assert_eq!(
        json!(names),
        json!([
            "database",
            "migrations",
            "role",
            issuer,
            "keys https://api.posx.test/",
            "keys fireblocks-webhooks"
        ])
    );
    assert_eq!(
        Call::get("/version").send(&app).await.expect(200).json["name"],
        "posx"
    );
}

#[actix_web::test]
async fn staff_read_the_books_and_they_balance() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let get = |path: &str| Call::get(path).by(&objects.owner).at(&scene.site);
    let balance = get("/api/v1/ledger/trial-balance").send(&app).await.expect(200);
    let mut sums = std::collections::BTreeMap::new();
    for row in balance.json["items"].as_array().expect("rows") {
        let amount: i128 = row["balance"].as_str().expect("text").parse().expect("a number");
        *sums.entry(row["unit"].to_string()).or_insert(0) += amount;
    }
    assert_eq!(sums.len(), 2, "money and tokens");
    assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
    let accounts = get("/api/v1/ledger/accounts").send(&app).await.expect(200);
    assert!(
        accounts.json["items"]
            .as_array()
            .is_some_and(|accounts| accounts.len() >= 4)
    );
    let first = get("/api/v1/ledger/entries?limit=1").send(&app).await.expect(200);
    let next = first.text("/next");
    let second = get(&format!("/api/v1/ledger/entries?limit=1&after={next}"))
        .send(&app)
        .await
        .expect(200);
    assert_ne!(first.json["items"], second.json["items"]);
    let cause = first.json["items"][0]["cause"]
        .as_str()
        .expect("a cause")
        .to_owned();
    let of_one = get(&format!("/api/v1/ledger/entries?cause={cause}"))
        .send(&app)
        .await
        .expect(200);
    assert!(
        of_one.json["items"]
            .as_array()
            .is_some_and(|items| items.iter().all(|entry| entry["cause"] == cause))
    );
}

#[actix_web::test]
async fn waiting_jobs_are_listed_page_by_page_and_only_the_dead_are_replayed() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let get = |path: &str| Call::get(path).by(&objects.owner).at(&scene.site);
    let first = get("/api/v1/jobs?limit=1").send(&app).await.expect(200);
    let next = first.text("/next");
    let second = get(&format!("/api/v1/jobs?limit=1&after={next}"))
        .send(&app)
        .await
        .expect(200);
    assert_ne!(first.json["items"], second.json["items"]);
    assert_eq!(
        get("/api/v1/jobs?dead=true").send(&app).await.expect(200).json["items"],
        json!([])
    );
    let replay = Call::post(&format!("/api/v1/jobs/{}/replay", objects.job))
        .by(&objects.owner)
        .at(&scene.site);
    replay.send(&app).await.refused(404, "job_not_found");
}
