use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use actix_web::body::to_bytes;
use posx_kernel::{StoreError, StoreFault};
use posx_orders::OrderError;
use serde_json::Value;

use super::*;

fn sources() -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates");
    let entries = std::fs::read_dir(crates).expect("the crates");
    let files = entries.map(|entry| entry.expect("an entry").path().join("src/error.rs"));
    files.filter(|file| file.exists()).collect()
}

/// The literals between `fn code` and the next function.
fn codes_of(source: &str) -> Vec<String> {
    let bodies = source
        .split("fn code(&self)")
        .skip(1)
        .filter_map(|after| after.split("fn ").next());
    let literals = bodies.flat_map(|body| body.split('"').skip(1).step_by(2));
    literals.map(ToOwned::to_owned).collect()
}

#[test]
fn every_code_of_every_domain_is_in_the_catalogue() {
    let known: BTreeSet<_> = error_catalogue().iter().map(|row| row.code).collect();
    let mut seen = 0;
    for file in sources() {
        let source = std::fs::read_to_string(&file).expect("a source");
        for code in codes_of(&source) {
            seen += 1;
            assert!(
                known.contains(code.as_str()),
                "{code} of {} is not in the catalogue",
                file.display()
            );
        }
    }
    assert!(seen > 60, "the sources were read: {seen}");
    for code in codes_of(&include_str!("edge.rs").replace("pub const fn code(&self)", "fn code(&self)")) {
        assert!(
            known.contains(code.as_str()),
            "{code} of the edge is not in the catalogue"
        );
    }
}

#[test]
fn a_code_stands_once_in_the_catalogue() {
    let rows = error_catalogue();
    let keys: BTreeSet<_> = rows.iter().map(|row| (row.code, row.status)).collect();
    assert_eq!(keys.len(), rows.len());
    assert!(
        rows.iter()
            .all(|row| (400..600).contains(&row.status) && row.meaning.ends_with('.'))
    );
}

fn header<'a>(answer: &'a HttpResponse, name: &str) -> &'a str {
    answer
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
}

async fn document(error: ApiError) -> (u16, Value) {
    let answer = error.answer(Some("r-1"));
    let status = answer.status().as_u16();
    assert_eq!(header(&answer, "content-type"), CONTENT_TYPE);
    let body = to_bytes(answer.into_body()).await.expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

#[actix_web::test]
async fn a_refusal_says_its_code_its_field_and_what_was_wrong() {
    let (status, problem) = document(
        OrderError::SoldOut {
            line: 2,
            available: 3,
        }
        .into(),
    )
    .await;
    assert_eq!(status, 409);
    assert_eq!(
        problem,
        serde_json::json!({
            "type": "urn:posx:problem:tier_sold_out",
            "title": "Not enough units are left.",
            "status": 409,
            "detail": "not enough is left: 3 units",
            "code": "tier_sold_out",
            "instance": "urn:request:r-1",
            "errors": [{ "field": "lines/2/quantity", "message": "not enough is left: 3 units" }],
        })
    );
}

#[actix_web::test]
async fn a_fault_of_ours_says_nothing_but_the_request_id_and_keeps_its_cause_for_the_log() {
    let secret = std::io::Error::other("password of the database");
    let error = ApiError::from(OrderError::from(StoreError::new(StoreFault::Broken, secret)));
    assert!(error.chain().contains("password of the database"));
    assert_eq!(error.severity(), Severity::Error);
    let (status, problem) = document(error).await;
    assert_eq!(
        (status, &problem["code"], &problem["detail"]),
        (500, &"internal".into(), &Value::Null)
    );
    assert!(!problem.to_string().contains("password"));
}

#[test]
fn what_may_heal_says_when_to_come_back() {
    let away = StoreError::new(StoreFault::Unavailable, "no route to the database");
    let answer = ApiError::from(away).answer(None);
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&answer, "retry-after"), "2");
}

#[test]
fn a_refused_token_gets_a_challenge_and_no_reason() {
    let refused = EdgeError::Unauthenticated {
        token_sent: true,
        cause: Some("expired".into()),
    };
    let error = ApiError::from(refused);
    assert!(error.chain().contains("expired"));
    assert_eq!(error.0.detail, None);
    assert_eq!(
        header(&error.answer(None), "www-authenticate"),
        r#"Bearer error="invalid_token""#
    );
}
