use super::*;
use crate::testing::{at, by_difference, usd};

#[test]
fn a_snapshot_reads_back_from_its_json_and_a_broken_one_does_not() {
    let snapshot = crate::testing::two_levels();
    let json = serde_json::to_value(&snapshot).expect("JSON");
    assert_eq!(
        serde_json::from_value::<PlanSnapshot>(json.clone()).expect("and back"),
        snapshot
    );
    assert_eq!(json["plan"], "plan_00000000000000000000000000000001");
    assert_eq!(json["levels"][0]["rate"], "0.12");
    assert_eq!(
        json["levels"][0]["minimum_sales"],
        serde_json::to_value(usd(0)).expect("JSON")
    );
    let mut broken = json;
    broken["levels"][0]["level"] = serde_json::json!(2);
    assert!(serde_json::from_value::<PlanSnapshot>(broken).is_err());
    let graded = by_difference(&[("bronze", "0.1"), ("gold", "0.2")]);
    let json = serde_json::to_value(&graded).expect("JSON");
    assert_eq!(json["difference"]["grades"][1]["rate"], "0.2");
    assert_eq!(
        serde_json::from_value::<PlanSnapshot>(json).expect("and back"),
        graded
    );
}

#[test]
fn a_snapshot_from_before_limits_and_grades_is_still_read() {
    let first = r#"{"plan": "plan_00000000000000000000000000000001", "name": "Standard", "version": 1, "hold_days": 7,
        "levels": [{"level": 1, "rate": "0.12", "minimum_sales": {"amount": "0.00", "currency": "USD"}},
                   {"level": 2, "rate": "0.04", "minimum_sales": {"amount": "0.00", "currency": "USD"}}]}"#;
    let read: PlanSnapshot = serde_json::from_str(first).expect("a snapshot");
    assert_eq!(read, crate::testing::two_levels());
}

#[test]
fn a_plan_has_levels_or_a_difference() {
    let Rules::Difference(difference) = by_difference(&[("bronze", "0.1")]).rules else {
        panic!("by difference")
    };
    let levels = vec![crate::testing::level(1, "0.1", 0)];
    assert!(matches!(
        Rules::of(levels, Some(difference)),
        Err(PlanError::Mode)
    ));
    assert!(matches!(Rules::of(vec![], None), Err(PlanError::Levels)));
}

#[test]
fn a_commission_is_held_at_most_a_year() {
    assert!(HoldDays::new(365).is_ok());
    assert!(matches!(HoldDays::new(366), Err(PlanError::HoldDays)));
}

fn window(from: i64, until: Option<i64>) -> Window {
    Window {
        from: at(from),
        until: until.map(at),
        activation: 1,
    }
}

fn plan() -> Plan {
    let snapshot = crate::testing::two_levels();
    Plan {
        id: snapshot.plan,
        name: snapshot.name,
        version: 1,
        rules: snapshot.rules,
        hold_days: snapshot.hold_days,
        window: None,
        created_at: at(0),
    }
}

#[test]
fn a_window_that_has_begun_is_not_moved_and_none_begins_in_the_past() {
    let mut plan = plan();
    assert!(matches!(
        plan.schedule(window(4, None), at(5)),
        Err(PlanError::Window)
    ));
    assert!(matches!(
        plan.schedule(window(6, Some(6)), at(5)),
        Err(PlanError::Window)
    ));
    plan.schedule(window(6, Some(8)), at(5)).expect("scheduled");
    plan.schedule(window(7, None), at(5))
        .expect("moved while it is to come");
    assert!(matches!(
        plan.schedule(window(9, None), at(7)),
        Err(PlanError::Begun)
    ));
}

#[test]
fn an_end_takes_off_what_is_to_come_and_stops_what_is_in_force_once() {
    let mut plan = plan();
    assert!(!plan.end(at(1)), "never meant to be in force");
    plan.schedule(window(6, None), at(5)).expect("scheduled");
    assert!(plan.end(at(5)));
    assert_eq!(plan.window, None);
    plan.schedule(window(6, None), at(5)).expect("scheduled again");
    assert!(plan.end(at(7)));
    assert!(!plan.end(at(8)), "it has ended");
    assert_eq!(plan.window.and_then(|window| window.until), Some(at(7)));
}
