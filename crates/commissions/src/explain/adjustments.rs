//! What was taken back and given back afterwards, each counted again.

use crate::{AdjustmentKind, AdjustmentView, CommissionView, ExplainStep, OrderShares};

/// Of this commission, oldest first.
pub(super) fn adjustments_of(commission: &CommissionView, shares: &OrderShares) -> Vec<AdjustmentView> {
    let of_it = |adjustment: &&AdjustmentView| adjustment.commission == commission.id;
    shares.adjustments.iter().filter(of_it).cloned().collect()
}

/// Each step is the target of its facts, and the last one is what is stored.
pub(super) fn reversed_agrees(commission: &CommissionView, adjustments: &[AdjustmentView]) -> bool {
    let on_target = |step: &AdjustmentView| {
        commission.amount.proportion(step.returned, step.total) == Some(step.reversed_after)
    };
    let last = adjustments.last().map_or(0, |step| step.reversed_after.minor());
    adjustments.iter().all(on_target) && commission.reversed.minor() == last
}

pub(super) fn steps_of(commission: &CommissionView, adjustments: &[AdjustmentView]) -> Vec<ExplainStep> {
    adjustments
        .iter()
        .map(|step| ExplainStep {
            step: "adjustment",
            says: says(commission, step),
        })
        .collect()
}

fn says(commission: &CommissionView, step: &AdjustmentView) -> String {
    let AdjustmentView {
        amount,
        returned,
        total,
        at,
        reversed_before: before,
        reversed_after: after,
        ..
    } = step;
    let did = match step.kind {
        AdjustmentKind::Reversal => "taken back",
        AdjustmentKind::Restoration => "given back",
        AdjustmentKind::Clawback => "taken back after it was paid out",
    };
    let share = commission.amount;
    format!(
        "On {} {returned} of {total} had gone back: {share} × {returned} / {total}, rounded half to even, is {after}. \
         {before} had been taken back, so {amount} was {did}.",
        at.to_rfc3339()
    )
}

#[cfg(test)]
mod tests {
    use posx_kernel::{AdjustmentId, CommissionId, Money, OrderId, PlanId};
    use uuid::Uuid;

    use super::*;
    use crate::CommissionState;
    use crate::testing::{at, party, usd};

    /// 12.00, of which 4.00 was taken back when a third of the order had gone back.
    fn commission(reversed: i64) -> CommissionView {
        CommissionView {
            id: CommissionId::from_uuid(Uuid::from_u128(9)),
            order: OrderId::from_uuid(Uuid::from_u128(8)),
            agent: party(2),
            level: 1,
            rate: "0.12".parse().expect("a rate"),
            base: usd(10_001),
            amount: usd(1200),
            reversed: usd(reversed),
            left: usd(1200 - reversed),
            state: CommissionState::Held,
            hold_until: at(7),
            plan: PlanId::from_uuid(Uuid::from_u128(1)),
            created_at: at(0),
            updated_at: at(0),
        }
    }

    fn step(number: u32, kind: AdjustmentKind, returned: i64, [before, after]: [Money; 2]) -> AdjustmentView {
        AdjustmentView {
            id: AdjustmentId::from_uuid(Uuid::from_u128(number.into())),
            commission: commission(0).id,
            order: commission(0).order,
            number,
            kind,
            amount: usd((after.minor() - before.minor()).abs()),
            reversed_before: before,
            reversed_after: after,
            returned: usd(returned),
            total: usd(10_001),
            at: at(1),
        }
    }

    #[test]
    fn each_step_says_what_it_was_counted_from() {
        let steps = [
            step(1, AdjustmentKind::Clawback, 10_001, [usd(0), usd(1200)]),
            step(2, AdjustmentKind::Restoration, 3333, [usd(1200), usd(400)]),
        ];
        assert!(reversed_agrees(&commission(400), &steps));
        let says: Vec<_> = steps_of(&commission(400), &steps)
            .into_iter()
            .map(|step| step.says)
            .collect();
        assert_eq!(
            says,
            [
                "On 2026-01-02T00:00:00+00:00 100.01 USD of 100.01 USD had gone back: 12.00 USD × 100.01 USD / 100.01 USD, \
                 rounded half to even, is 12.00 USD. 0.00 USD had been taken back, so 12.00 USD was taken back after it was paid out.",
                "On 2026-01-02T00:00:00+00:00 33.33 USD of 100.01 USD had gone back: 12.00 USD × 33.33 USD / 100.01 USD, \
                 rounded half to even, is 4.00 USD. 12.00 USD had been taken back, so 8.00 USD was given back.",
            ]
        );
    }

    #[test]
    fn what_was_taken_back_beside_the_target_is_called_out() {
        let right = step(1, AdjustmentKind::Reversal, 3333, [usd(0), usd(400)]);
        let wrong = step(1, AdjustmentKind::Reversal, 3333, [usd(0), usd(401)]);
        assert!(reversed_agrees(&commission(0), &[]));
        assert!(
            !reversed_agrees(&commission(400), &[]),
            "with no step that says so"
        );
        assert!(!reversed_agrees(&commission(401), &[right]));
        assert!(
            !reversed_agrees(&commission(401), &[wrong]),
            "not what the facts give"
        );
    }
}
