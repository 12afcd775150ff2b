//! Every fact that the demo claims, by name.

use std::fmt::{Debug, Display};

use crate::ui;

#[derive(Debug, Default)]
pub struct Invariants {
    held: usize,
    broken: Vec<String>,
}

impl Invariants {
    /// `what` is a whole sentence, true when both are equal.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the callers hand in what they just counted"
    )]
    pub fn equal<A, E>(&mut self, what: impl Display, actual: A, expected: E)
    where
        A: PartialEq<E> + Debug,
        E: Debug,
    {
        if actual == expected {
            self.good(&what);
        } else {
            self.bad(&what, &format!("expected {expected:?}, found {actual:?}"));
        }
    }

    /// `seen` is shown when it does not hold.
    pub fn holds(&mut self, what: impl Display, holds: bool, seen: impl Display) {
        if holds {
            self.good(&what);
        } else {
            self.bad(&what, &seen.to_string());
        }
    }

    fn good(&mut self, what: &impl Display) {
        self.held += 1;
        ui::good(&what.to_string());
    }

    fn bad(&mut self, what: &impl Display, why: &str) {
        ui::bad(&what.to_string());
        ui::detail(why);
        self.broken.push(format!("{what}: {why}"));
    }

    /// Whether all held; names those that did not.
    pub fn conclude(&self) -> bool {
        ui::heading("Invariants");
        if self.broken.is_empty() {
            ui::good(&format!("all {} held", self.held));
            return true;
        }
        for broken in &self.broken {
            ui::bad(broken);
        }
        ui::line(&format!("  {} held, {} did not", self.held, self.broken.len()));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_broken_invariant_is_enough() {
        let mut invariants = Invariants::default();
        invariants.equal("two and two are four", 2 + 2, 4);
        assert!(invariants.conclude());
        invariants.holds("the moon is made of cheese", false, "it is not");
        assert!(!invariants.conclude());
    }
}
