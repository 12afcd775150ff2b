//! Credits: what a site may spend beyond its month's limit.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{CreditId, Page, PageRequest, SiteScope, StoreError, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Micros;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreditKind {
    /// Given.
    Grant,
    /// Bought.
    TopUp,
}

impl CreditKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::TopUp => "top_up",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    pub id: CreditId,
    pub kind: CreditKind,
    pub amount: Micros,
    pub note: Option<String>,
    /// Exclusive. None: it does not lapse.
    pub expires_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

/// What one credit can give now, or gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    pub credit: CreditId,
    pub amount: Micros,
}

/// Takes `needed` from what is there, in its order: by expiry, what never lapses last; then by age. `Err`: what is there is not
/// enough, and how much it is.
pub fn take(needed: Micros, there: &[Portion]) -> Result<Vec<Portion>, Micros> {
    let mut left = needed;
    let mut taken = Vec::new();
    for portion in there {
        if left == Micros::ZERO {
            break;
        }
        let amount = left.min(portion.amount);
        if amount > Micros::ZERO {
            taken.push(Portion { amount, ..*portion });
            left = left.saturating_sub(amount);
        }
    }
    if left == Micros::ZERO {
        Ok(taken)
    } else {
        Err(needed.saturating_sub(left))
    }
}

/// How a call's cost is paid: from the month's limit as far as there is room in it now, the call's own hold included; what is
/// beyond comes from the credits that were held for it, in the order in which they were held.
pub fn pay(cost: Micros, room: Micros, held: &[Portion]) -> (Micros, Vec<Portion>) {
    let beyond = cost.saturating_sub(room);
    // The credits and the hold together are the worst case, and the cost is at most that: nothing is missing.
    let from_credits = take(beyond, held).unwrap_or_else(|_| held.to_vec());
    let paid = from_credits
        .iter()
        .fold(Micros::ZERO, |sum, portion| sum.saturating_add(portion.amount));
    (cost.saturating_sub(paid), from_credits)
}

/// A credit with what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CreditView {
    pub id: CreditId,
    pub kind: CreditKind,
    pub amount_micros: Micros,
    pub spent_micros: Micros,
    /// Held for calls under way.
    pub reserved_micros: Micros,
    pub note: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

#[async_trait]
pub trait CreditQueries: Send + Sync {
    /// Newest first.
    async fn credits(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<CreditView>, StoreError>;
    async fn credit(&self, scope: &SiteScope, id: CreditId) -> Result<Option<CreditView>, StoreError>;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn portions(amounts: &[u64]) -> Vec<Portion> {
        let portion = |(at, amount): (usize, &u64)| Portion {
            credit: CreditId::from_uuid(Uuid::from_u128(at as u128)),
            amount: Micros::new(*amount).unwrap(),
        };
        amounts.iter().enumerate().map(portion).collect()
    }

    fn total(portions: &[Portion]) -> u64 {
        portions.iter().map(|portion| portion.amount.get()).sum()
    }

    proptest! {
        #[test]
        fn credits_are_burnt_in_their_order_exactly(needed in 0..5_000_u64, amounts in prop::collection::vec(0..1_000_u64, 0..8)) {
            let there = portions(&amounts);
            match take(Micros::new(needed).unwrap(), &there) {
                Ok(taken) => {
                    prop_assert_eq!(total(&taken), needed);
                    // All but the last are taken whole.
                    let whole = taken.len().saturating_sub(1);
                    for portion in &taken[..whole] {
                        prop_assert!(there.contains(portion));
                    }
                    let given: Vec<_> = there.iter().filter(|credit| credit.amount > Micros::ZERO).collect();
                    for (taken, credit) in taken.iter().zip(given) {
                        prop_assert_eq!(taken.credit, credit.credit);
                    }
                }
                Err(enough_for) => {
                    prop_assert!(total(&there) < needed);
                    prop_assert_eq!(enough_for.get(), total(&there));
                }
            }
        }

        /// The parts are the whole, the month's limit comes first, and no credit gives more than was held.
        #[test]
        fn a_cost_is_paid_from_the_month_first(hold in 0..2_000_u64, more_room in 0..2_000_u64, share in 0..=100_u64,
            amounts in prop::collection::vec(0..1_000_u64, 0..5)) {
            let held = portions(&amounts);
            let cost = (hold + total(&held)) * share / 100;
            let room = hold + more_room;
            let (from_month, from_credits) = pay(Micros::new(cost).unwrap(), Micros::new(room).unwrap(), &held);
            prop_assert_eq!(from_month.get() + total(&from_credits), cost);
            prop_assert_eq!(from_month.get(), cost.min(room));
            prop_assert!(total(&from_credits) <= total(&held));
        }
    }
}
