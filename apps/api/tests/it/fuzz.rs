//! Whatever is sent, nothing breaks: never a 500, and every refusal is a problem document.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::coverage::operations;
use crate::objects::{Objects, body_for, furnish};
use crate::world::{Answer, Call, Scene, api};

const BODIES_PER_OPERATION: usize = 60;

fn any_json() -> impl Strategy<Value = Value> {
    let huge = || {
        prop_oneof![
            Just("1e400"),
            Just("-1e400"),
            Just("123456789012345678901234567890"),
            Just("1.0000000000000000001")
        ]
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        huge().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[\u{0}-\u{1f}\u{202e}\u{1f600}\u{10ffff}]{0,8}".prop_map(Value::from),
        "(tier|ord|asset|alc)_[0-9a-f]{32}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            btree_map("[a-z_]{1,12}", inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every place of a body, as JSON pointers.
fn places(body: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match body {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| places(value, &format!("{at}/{name}"), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(n, item)| places(item, &format!("{at}/{n}"), found)),
        _ => {}
    }
}

#[track_caller]
fn is_sound(answer: &Answer, sent: &str) {
    assert!(
        answer.status < 500,
        "{sent} got {}: {}",
        answer.status,
        answer.json
    );
    if answer.status >= 400 {
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{sent}"
        );
        assert!(!answer.code().is_empty(), "{sent}");
    }
}

/// Something of the same kind, so that it gets past the form and meets the rules and the database.
fn like(value: &Value) -> BoxedStrategy<Value> {
    let text = prop_oneof![
        "\\PC{1,60}",
        "[\u{1}-\u{7f}\u{202e}\u{1f600}\u{10ffff}]{1,30}",
        "[0-9]{1,45}"
    ];
    match value {
        Value::String(_) => text.prop_map(Value::from).boxed(),
        Value::Number(_) => prop_oneof![-2_i64..20, any::<i32>().prop_map(i64::from), any::<i64>()]
            .prop_map(Value::from)
            .boxed(),
        _ => any_json().boxed(),
    }
}

fn bodies(operation: &str, objects: &Objects, runner: &mut TestRunner) -> Vec<Value> {
    let draw = |strategy: BoxedStrategy<Value>, runner: &mut TestRunner| {
        strategy.new_tree(runner).expect("a value").current()
    };
    let good = body_for(operation, objects);
    let mut spots = Vec::new();
    places(&good, "", &mut spots);
    let mut bodies: Vec<_> = (0..BODIES_PER_OPERATION / 3)
        .map(|_| draw(any_json().boxed(), runner))
        .collect();
    for round in 0..BODIES_PER_OPERATION {
        let mut body = good.clone();
        // A symbol is free once.
        if let Some(symbol) = body.get_mut("symbol") {
            *symbol = format!("F{round}").into();
        }
        if let Some(place) = body.pointer_mut(&spots[round % spots.len()]) {
            let strategy = if round % 3 == 0 {
                any_json().boxed()
            } else {
                like(place)
            };
            *place = draw(strategy, runner);
        }
        bodies.push(body);
    }
    bodies
}

#[actix_web::test]
async fn any_json_on_any_route_is_answered_and_never_with_a_fault() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let mut runner = TestRunner::deterministic();
    let mut accepted = 0;
    for operation in operations()
        .iter()
        .filter(|one| one.takes_body && !one.is_on_the_platform())
    {
        for body in bodies(&operation.id, &objects, &mut runner) {
            let call = operation
                .bare(&objects)
                .at(&scene.other)
                .by(&objects.owner)
                .json(&body);
            let answer = call.send(&app).await;
            is_sound(&answer, &format!("{} {body}", operation.id));
            accepted += usize::from(answer.status < 300);
        }
    }
    assert!(
        accepted > 20,
        "some of it is good enough to reach the database: {accepted}"
    );
}

#[actix_web::test]
async fn any_address_and_query_is_answered_and_never_with_a_fault() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let mut runner = TestRunner::deterministic();
    let part = proptest::string::string_regex("[A-Za-z0-9_.~%:+-]{1,40}").expect("an expression");
    let query = proptest::string::string_regex(
        "((limit|after|all|state|kind|cause|dead|order)=[A-Za-z0-9%_+-]{0,40}&?){0,3}",
    );
    let query = query.expect("an expression");
    for operation in operations().iter().filter(|operation| operation.is_in_a_site()) {
        for _ in 0..15 {
            let id = part.new_tree(&mut runner).expect("text").current();
            let query = query.new_tree(&mut runner).expect("text").current();
            let path = format!(
                "{}?{query}",
                operation.path.replace("{id}", &id).replace("{family}", &id)
            );
            if path.parse::<actix_web::http::Uri>().is_err() {
                continue;
            }
            let call = Call::new(&operation.method, &path)
                .at(&scene.site)
                .by(&objects.owner)
                .key("k");
            is_sound(&call.send(&app).await, &format!("{} {path}", operation.method));
        }
    }
}
