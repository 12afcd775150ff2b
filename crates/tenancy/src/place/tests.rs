//! The use cases on storage in memory.

use posx_kernel::{ManualClock, Refusal as _, SeededIds};

use super::*;
use crate::member::tests::scope;
use crate::testing::PeopleStore;

fn terms(name: &str, time_zone: Option<&str>) -> PlaceTerms {
    PlaceTerms {
        name: name.to_owned(),
        time_zone: time_zone.map(ToOwned::to_owned),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, PlaceError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "done")
}

#[tokio::test]
async fn a_place_is_made_edited_closed_and_opened_again_each_with_its_event() {
    let (store, scope) = (PeopleStore::default(), scope(1));
    let places = Places::new(
        Arc::new(store.clone()),
        Arc::new(ManualClock::default()),
        Arc::new(SeededIds::new(5)),
    );
    let create = |code: &str, terms: PlaceTerms| {
        let (places, scope, code) = (places.clone(), scope.clone(), code.to_owned());
        async move { places.create(&scope, code, &terms, None).await }
    };
    let main = create("MAIN", terms(" Main street ", Some("Asia/Kuwait")))
        .await
        .expect("made");
    for (wanted, name, zone, refused) in [
        ("MAIN", "Other", None, "place_code_taken"),
        ("main", "Other", None, "place_code_invalid"),
        ("", "Other", None, "place_code_invalid"),
        ("A-VERY-LONG-CODE-21-X", "Other", None, "place_code_invalid"),
        ("SIDE", "  ", None, "place_name_invalid"),
        ("SIDE", "Side\nstreet", None, "place_name_invalid"),
        ("SIDE", "Side", Some("Mars/Olympus"), "place_time_zone_invalid"),
    ] {
        assert_eq!(code(create(wanted, terms(name, zone)).await), refused);
    }
    let id = main.id;
    let [edited, outdated] = ["Main street 2", "Main street 3"].map(|name| terms(name, None));
    assert_eq!(code(places.edit(&scope, id, 1, &edited).await), "done");
    assert_eq!(code(places.edit(&scope, id, 1, &outdated).await), "version_stale");
    for (seen, state) in [
        (2, PlaceState::Closed),
        (3, PlaceState::Closed),
        (3, PlaceState::Active),
    ] {
        assert_eq!(code(places.set_state(&scope, id, seen, state).await), "done");
    }
    let elsewhere = crate::member::tests::scope(2);
    let foreign = places.set_state(&elsewhere, id, 4, PlaceState::Closed);
    assert_eq!(code(foreign.await), "place_not_found");
    let state = store.of(&scope);
    assert_eq!(state.places.len(), 1);
    let place = &state.places[&id];
    assert_eq!(
        (place.name.as_str(), place.time_zone, place.state, place.version),
        ("Main street 2", None, PlaceState::Active, 4)
    );
    let events: Vec<_> = state
        .events
        .iter()
        .map(|event| (event.kind, &event.payload))
        .collect();
    assert_eq!(events.len(), 4, "what changes nothing is no event");
    let changes = json!({ "name": ["Main street", "Main street 2"], "time_zone": ["Asia/Kuwait", null] });
    assert_eq!(events[1], ("place.edited", &json!({ "changes": changes })));
    assert_eq!(
        events[2],
        (
            "place.closed",
            &json!({ "changes": { "state": ["active", "closed"] } })
        )
    );
}
