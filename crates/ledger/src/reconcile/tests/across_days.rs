//! Things whose lines and entries stand on several days: each run sees all of them.

use chrono::TimeDelta;
use posx_kernel::{EntryId, Ids as _};

use super::super::*;
use super::runs::{Stage, at, reasons, stage};
use crate::EntryKind;

const MONDAY: &str = "2026-06-01";
const TUESDAY: &str = "2026-06-02";

impl Stage {
    fn line(&self, id: &str, movement: Movement, reference: &str, minor: i64, day: &str) {
        let noon = at(&format!("{day}T12:00:00Z"));
        self.stripe
            .add(Line::of_balance(id, movement, reference, noon, "USD", (minor, 0)));
    }

    fn taken_back(&self, id: &str, minor: i64, day: &str) {
        self.line(id, Movement::TransferReversal, "tr_1", minor, day);
    }

    /// Of the transfer, which was made in May.
    fn books_what_was_taken_back(&self, minor: i64, day: &str) {
        let posted = at(&format!("{day}T12:00:05Z"));
        let entry = Booked {
            entry: EntryId::from_uuid(self.ids.uuid(posted)),
            kind: EntryKind::PayoutReturned.as_str().to_owned(),
            movement: Movement::TransferReversal,
            reference: Some("tr_1".to_owned()),
            line: None,
            moved: Moved::of_minor(minor, "USD"),
            at: posted,
            since: at("2026-05-02T12:00:00Z"),
        };
        self.books.arrange(|rows| rows.entries.push(entry));
    }

    /// Of Stripe, as of a week later.
    async fn runs_of(&self, days: [&str; 2]) -> [Reconciled; 2] {
        self.clock.advance(TimeDelta::days(7));
        [
            self.run(Provider::Stripe, days[0]).await,
            self.run(Provider::Stripe, days[1]).await,
        ]
    }
}

#[tokio::test]
async fn s49_an_entry_whose_line_was_of_another_day_does_not_stand_in_for_one_that_is_missing() {
    let stage = stage();
    stage.taken_back("txn_1", 10, MONDAY);
    stage.taken_back("txn_2", 10, TUESDAY);
    stage.books_what_was_taken_back(10, MONDAY);
    let [monday, tuesday] = stage.runs_of([MONDAY, TUESDAY]).await;
    assert_eq!((monday.run.matched, monday.run.unexplained), (1, 0));
    assert_eq!((tuesday.run.matched, tuesday.run.unexplained), (0, 1));
    assert_eq!(reasons(&tuesday), [Reason::Twice], "10 are not in the books");
}

#[tokio::test]
async fn s49_an_entry_does_not_take_another_days_line_from_its_own_entry() {
    let stage = stage();
    for (id, day) in [("txn_1", MONDAY), ("txn_2", TUESDAY)] {
        stage.taken_back(id, 10, day);
        stage.books_what_was_taken_back(10, day);
    }
    for run in stage.runs_of([MONDAY, TUESDAY]).await {
        assert_eq!((run.run.matched, &run.differences[..]), (1, &[][..]));
    }
}

#[tokio::test]
async fn s49_an_entry_that_came_late_does_not_stand_in_for_a_line_after_it() {
    let stage = stage();
    stage.taken_back("txn_1", 10, MONDAY);
    stage.books_what_was_taken_back(10, TUESDAY);
    let evening = at("2026-06-02T18:00:00Z");
    let second = Line::of_balance(
        "txn_2",
        Movement::TransferReversal,
        "tr_1",
        evening,
        "USD",
        (10, 0),
    );
    stage.stripe.add(second);
    let [monday, tuesday] = stage.runs_of([MONDAY, TUESDAY]).await;
    assert_eq!(reasons(&monday), [Reason::OtherDay]);
    let mut said = reasons(&tuesday);
    said.sort_unstable();
    assert_eq!(said, [Reason::Twice, Reason::OtherDay]);
}

#[tokio::test]
async fn s49_steps_of_several_days_that_were_booked_as_one_are_matched_on_each_of_them() {
    for booked_on in [TUESDAY, "2026-06-04"] {
        let stage = stage();
        stage.taken_back("txn_0", 7, "2026-05-20");
        stage.books_what_was_taken_back(7, "2026-05-20");
        stage.taken_back("txn_1", 30, MONDAY);
        stage.taken_back("txn_2", 20, TUESDAY);
        stage.books_what_was_taken_back(50, booked_on);
        // And once more, in two other steps.
        stage.taken_back("txn_3", 4, "2026-06-05");
        stage.taken_back("txn_4", 5, "2026-06-05");
        stage.books_what_was_taken_back(9, "2026-06-05");
        for run in stage.runs_of([MONDAY, TUESDAY]).await {
            assert_eq!((run.run.matched, run.run.unexplained), (1, 0), "{run:?}");
        }
        let [booked, later] = stage.runs_of([booked_on, "2026-06-05"]).await;
        assert_eq!((booked.run.entries, booked.run.unexplained), (1, 0));
        assert_eq!(
            (later.run.matched, &later.differences[..]),
            (2, &[][..]),
            "both steps"
        );
    }
}

#[tokio::test]
async fn s49_an_old_entry_is_not_that_of_a_new_line_however_long_ago_its_own_was() {
    let stage = stage();
    // Its line is older than what is looked at.
    stage.books_what_was_taken_back(10, "2026-04-20");
    stage.taken_back("txn_2", 10, MONDAY);
    let found = stage.run(Provider::Stripe, MONDAY).await;
    assert_eq!(reasons(&found), [Reason::MissingHere]);
}

#[tokio::test]
async fn s32_a_refund_that_failed_came_to_nothing_only_if_its_money_came_back() {
    let stage = stage();
    let since = at("2026-05-20T12:00:00Z");
    stage.books.arrange(|rows| {
        for refund in ["re_back", "re_gone", "re_part"] {
            let came_to_nothing = Unbooked::CameToNothing { since };
            rows.unbooked.insert(refund.to_owned(), came_to_nothing);
        }
    });
    for refund in ["re_back", "re_gone", "re_part"] {
        stage.line(&format!("txn_{refund}"), Movement::Refund, refund, -500, MONDAY);
    }
    stage.line("txn_5", Movement::RefundFailure, "re_back", 500, "2026-06-05");
    stage.line("txn_6", Movement::RefundFailure, "re_part", 499, "2026-06-05");
    let [left, came_back] = stage.runs_of([MONDAY, "2026-06-05"]).await;
    let said = |run: &Reconciled| -> Vec<_> {
        run.differences
            .iter()
            .filter_map(|one| Some((one.line.as_ref()?.reference.clone(), one.reason)))
            .collect()
    };
    let expected = |all: &[(&str, Reason)]| -> Vec<_> {
        all.iter()
            .map(|(refund, reason)| ((*refund).to_owned(), *reason))
            .collect()
    };
    assert_eq!(
        said(&left),
        expected(&[
            ("re_back", Reason::CameToNothing),
            ("re_gone", Reason::MissingHere),
            ("re_part", Reason::MissingHere),
        ])
    );
    assert_eq!(
        said(&came_back),
        expected(&[
            ("re_back", Reason::CameToNothing),
            ("re_part", Reason::MissingHere)
        ])
    );
}

#[tokio::test]
async fn s32_no_refund_is_on_its_way_for_ever() {
    let stage = stage();
    stage.line("txn_1", Movement::Refund, "re_1", -500, MONDAY);
    stage.books.arrange(|rows| {
        rows.unbooked.insert("re_1".to_owned(), Unbooked::OnItsWay);
    });
    let first = stage.run(Provider::Stripe, MONDAY).await;
    assert_eq!(reasons(&first), [Reason::OnItsWay]);
    stage.clock.advance(TimeDelta::days(30));
    let late = stage.run(Provider::Stripe, MONDAY).await;
    assert_eq!(reasons(&late), [Reason::MissingHere]);
}
