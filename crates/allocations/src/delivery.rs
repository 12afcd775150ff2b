//! How far an order's delivery is.

use crate::StateName;

/// An order's delivery: derived from its allocations, never set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    None,
    Pending,
    Partial,
    Done,
    Failed,
}

impl Delivery {
    pub const ALL: &'static [Self] = &[Self::None, Self::Pending, Self::Partial, Self::Done, Self::Failed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pending => "pending",
            Self::Partial => "partial",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// Failed: none is delivered and none is under way. What is cancelled is not to be delivered.
    pub fn of(states: &[StateName]) -> Self {
        let states: Vec<_> = states
            .iter()
            .filter(|state| **state != StateName::Cancelled)
            .collect();
        let done = states.iter().filter(|state| ***state == StateName::Done).count();
        let failed = states
            .iter()
            .filter(|state| ***state == StateName::Failed)
            .count();
        match states.len() {
            0 => Self::None,
            all if done == all => Self::Done,
            all if failed == all => Self::Failed,
            _ if done > 0 => Self::Partial,
            _ => Self::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_is_derived_from_the_states_of_all_allocations() {
        use StateName::{Cancelled, Confirming, Done, Failed, Pending};
        assert_eq!(Delivery::of(&[]), Delivery::None);
        assert_eq!(Delivery::of(&[Pending, Failed]), Delivery::Pending);
        assert_eq!(Delivery::of(&[Done, Confirming]), Delivery::Partial);
        assert_eq!(Delivery::of(&[Done, Failed]), Delivery::Partial);
        assert_eq!(Delivery::of(&[Failed, Failed]), Delivery::Failed);
        assert_eq!(Delivery::of(&[Done, Done]), Delivery::Done);
        assert_eq!(
            Delivery::of(&[Done, Cancelled]),
            Delivery::Done,
            "cut is not owed"
        );
        assert_eq!(Delivery::of(&[Failed, Cancelled]), Delivery::Failed);
        assert_eq!(Delivery::of(&[Cancelled, Cancelled]), Delivery::None);
    }
}
