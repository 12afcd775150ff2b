//! Reports over HTTP.

use serde_json::json;

use crate::objects::furnish;
use crate::world::{Call, Scene, api};

#[actix_web::test]
async fn a_report_is_json_or_csv_as_the_reader_asks() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let staff = |path: &str| Call::get(path).at(&scene.other).by(&objects.owner);
    for name in ["overview", "sales", "leaderboard", "commissions", "anomalies"] {
        let path = format!("/api/v1/reports/{name}");
        let plain = staff(&path).send(&app).await.expect(200);
        assert_eq!(plain.header("content-type"), "application/json");
        let items = plain.json["items"].as_array().expect("items").len();
        let asked = staff(&format!("{path}?format=csv")).send(&app).await.expect(200);
        let accepted = staff(&path)
            .header("accept", "text/csv")
            .send(&app)
            .await
            .expect(200);
        assert_eq!(asked.header("content-type"), "text/csv; charset=utf-8");
        assert_eq!(
            asked.header("content-disposition"),
            format!("attachment; filename=\"{name}.csv\"")
        );
        assert_eq!(asked.bytes, accepted.bytes);
        let mut csv = csv::Reader::from_reader(asked.bytes.as_slice());
        assert_eq!(csv.records().flatten().count(), items, "{name}");
        let forced = staff(&format!("{path}?format=json")).header("accept", "text/csv");
        assert_eq!(forced.send(&app).await.expect(200).json, plain.json);
        staff(&format!("{path}?format=pdf"))
            .send(&app)
            .await
            .refused(400, "query_invalid");
    }
}

#[actix_web::test]
async fn what_was_sold_is_in_the_reports_and_a_name_is_no_formula() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let staff = |call: Call| call.at(&scene.other).by(&objects.owner);
    let tier = format!("/api/v1/tiers/{}", objects.tier);
    let terms = json!({ "name": "=1+1", "list_price": { "amount": "100", "currency": "KWD" } });
    let renamed = staff(Call::put(&tier)).header("if-match", "\"1\"").json(&terms);
    renamed.send(&app).await.expect(200);
    let kwd = |amount: &str| json!({ "amount": amount, "currency": "KWD" });
    let sales = staff(Call::get("/api/v1/reports/sales"))
        .send(&app)
        .await
        .expect(200);
    let rows = sales.json["items"].as_array().expect("items");
    let row = rows.iter().find(|row| row["tier_id"] == objects.tier);
    let row = row.expect("the tier's row");
    assert_eq!(
        (&row["units"], &row["sales"], &row["returned"], &row["net"]),
        (&json!(2), &kwd("200.000"), &kwd("0.000"), &kwd("200.000"))
    );
    let csv = staff(Call::get("/api/v1/reports/sales?format=csv"))
        .send(&app)
        .await
        .expect(200);
    let text = String::from_utf8(csv.bytes).expect("text");
    let line = text.lines().find(|line| line.contains(&objects.tier));
    let line = line.expect("the tier's line");
    assert!(line.contains(",'=1+1,1,2,"), "{line}");
    assert!(line.ends_with(",200.000,200.000,0.000,200.000,KWD"), "{line}");

    let best = staff(Call::get(
        "/api/v1/reports/leaderboard?of=buyers&by=units&limit=1",
    ))
    .send(&app)
    .await
    .expect(200);
    assert_eq!(best.json["items"][0]["rank"], 1);
    assert!(best.text("/items/0/id").starts_with("pty_"));
    let shares = staff(Call::get("/api/v1/reports/commissions"))
        .send(&app)
        .await
        .expect(200);
    let shares = shares.json["items"].as_array().cloned().expect("items");
    assert!(!shares.is_empty());
    for row in shares {
        assert_eq!(
            (&row["booked"], &row["difference"]),
            (&row["left"], &kwd("0.000"))
        );
    }
}

#[actix_web::test]
async fn a_period_is_named_by_its_days_and_has_an_end() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, posx_tenancy::Role::Owner).await;
    let sales = |query: &str| {
        let path = format!("/api/v1/reports/sales?{query}");
        Call::get(&path).at(&scene.site).by(&owner)
    };
    sales("from=2026-01-01&until=2029-01-01")
        .send(&app)
        .await
        .expect(200);
    for wrong in [
        "from=2026-01-02&until=2026-01-02",
        "from=2020-01-01&until=2029-01-01",
        "from=yesterday",
        "until=262142-12-31",
        "until=0001-01-01",
        "page=2",
    ] {
        sales(wrong).send(&app).await.refused(400, "query_invalid");
    }
}
