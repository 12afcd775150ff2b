//! What every payment provider must do with money that goes back: refunds that move later or are made by hand, and disputes.

use async_trait::async_trait;
use posx_kernel::Money;

use super::Stage;
use crate::RefundState;
use crate::gateway::{Intent, ProviderDispute, ProviderDisputeState, ProviderRefund};

/// What happens at the provider's other side.
#[async_trait]
pub trait Bank: Send + Sync {
    /// Somebody refunds at the provider's dashboard. The provider's id.
    async fn refunds_by_hand(&self, intent: &Intent, minor: i64) -> String;
    async fn refund_becomes(&self, refund: &str, state: RefundState);
    /// The provider's id. No money has moved yet.
    async fn disputes(&self, intent: &Intent, minor: i64, state: ProviderDisputeState) -> String;
    /// Takes the disputed amount away, and a fee.
    async fn withdraws(&self, dispute: &str, fee_minor: i64);
    /// Gives the disputed amount back.
    async fn reinstates(&self, dispute: &str);
    async fn decides(&self, dispute: &str, state: ProviderDisputeState);
}

/// Runs at a provider that may have seen other things before.
pub async fn return_contract(stage: &Stage<'_>, bank: &dyn Bank) {
    s32_a_refund_is_told_in_every_state_it_comes_to(stage, bank).await;
    a_refund_made_by_hand_is_among_the_intents_refunds(stage, bank).await;
    s37_a_dispute_is_told_in_every_state(stage, bank).await;
    s38_the_lines_of_a_disputes_balance_are_told_once_each(stage, bank).await;
    a_dispute_that_nobody_opened_is_not_there(stage).await;
}

async fn refunds(stage: &Stage<'_>, intent: &Intent) -> Vec<ProviderRefund> {
    let all = stage.gateway.refunds(stage.site, &intent.id).await;
    all.expect("an answer")
}

async fn dispute(stage: &Stage<'_>, id: &str) -> ProviderDispute {
    let found = stage.gateway.dispute(stage.site, id).await;
    found.expect("an answer").expect("the dispute")
}

async fn s32_a_refund_is_told_in_every_state_it_comes_to(stage: &Stage<'_>, bank: &dyn Bank) {
    let paid = stage.paid(2_500).await;
    assert!(refunds(stage, &paid).await.is_empty());
    let wish = stage.refund_of(&paid, 1_000);
    let made = stage.gateway.create_refund(&wish).await.expect("a refund");
    for state in [
        RefundState::RequiresAction,
        RefundState::Pending,
        RefundState::Succeeded,
        RefundState::Failed,
        RefundState::Cancelled,
    ] {
        bank.refund_becomes(&made.id, state).await;
        let all = refunds(stage, &paid).await;
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].id.as_str(), all[0].state), (made.id.as_str(), state));
        let found = stage.gateway.refund(stage.site, &paid.id, wish.refund).await;
        assert_eq!(found.expect("an answer").map(|found| found.state), Some(state));
    }
}

async fn a_refund_made_by_hand_is_among_the_intents_refunds(stage: &Stage<'_>, bank: &dyn Bank) {
    let (paid, other) = (stage.paid(2_500).await, stage.paid(2_500).await);
    let id = bank.refunds_by_hand(&paid, 700).await;
    let all = refunds(stage, &paid).await;
    assert_eq!(all.len(), 1);
    let amount = Money::from_minor(700, paid.amount.currency());
    assert_eq!(
        (all[0].id.as_str(), all[0].refund, all[0].amount),
        (id.as_str(), None, amount)
    );
    assert!(refunds(stage, &other).await.is_empty());
}

async fn s37_a_dispute_is_told_in_every_state(stage: &Stage<'_>, bank: &dyn Bank) {
    let paid = stage.paid(2_500).await;
    let id = bank
        .disputes(&paid, 2_500, ProviderDisputeState::WarningNeedsResponse)
        .await;
    let opened = dispute(stage, &id).await;
    assert_eq!(
        (opened.id.as_str(), opened.intent.as_ref(), opened.amount),
        (id.as_str(), Some(&paid.id), paid.amount)
    );
    assert!(opened.refundable && opened.movements.is_empty() && !opened.reason.is_empty());
    for state in ProviderDisputeState::ALL.iter().copied() {
        if state.ours().is_some() {
            bank.decides(&id, state).await;
            assert_eq!(dispute(stage, &id).await.state, state);
        }
    }
}

async fn s38_the_lines_of_a_disputes_balance_are_told_once_each(stage: &Stage<'_>, bank: &dyn Bank) {
    let paid = stage.paid(2_500).await;
    let id = bank
        .disputes(&paid, 2_000, ProviderDisputeState::NeedsResponse)
        .await;
    bank.withdraws(&id, 1_500).await;
    bank.decides(&id, ProviderDisputeState::Won).await;
    bank.reinstates(&id).await;
    let lines = dispute(stage, &id).await.movements;
    let moved: Vec<_> = lines
        .iter()
        .map(|line| (line.amount.minor(), line.fee.minor()))
        .collect();
    assert_eq!(moved, [(-2_000, 1_500), (2_000, 0)]);
    assert_ne!(lines[0].id, lines[1].id);
    assert_eq!(dispute(stage, &id).await.movements, lines, "and keep their ids");
}

async fn a_dispute_that_nobody_opened_is_not_there(stage: &Stage<'_>) {
    for nothing in ["dp_nobody", "../refunds", ""] {
        let found = stage.gateway.dispute(stage.site, nothing).await;
        assert_eq!(found.expect("an answer"), None, "{nothing:?}");
    }
}

#[cfg(test)]
mod tests {
    use posx_kernel::{Ids as _, SeededIds, SiteId};

    use super::super::ScriptedGateway;
    use super::super::gateway_contract::tests::Script;
    use super::*;

    struct ScriptedBank<'a>(&'a ScriptedGateway);

    impl ScriptedBank<'_> {
        fn moves(&self, dispute: &str, sign: i64, fee_minor: i64) {
            let amount = self.0.disputed_amount(dispute).expect("a dispute");
            let (currency, minor) = (amount.currency(), amount.minor() * sign);
            let money = |minor| Money::from_minor(minor, currency);
            self.0
                .moves_disputed_money(dispute, money(minor), money(fee_minor));
        }
    }

    #[async_trait]
    impl Bank for ScriptedBank<'_> {
        async fn refunds_by_hand(&self, intent: &Intent, minor: i64) -> String {
            let amount = Money::from_minor(minor, intent.amount.currency());
            self.0.refunds_by_hand(&intent.id, amount, None)
        }
        async fn refund_becomes(&self, refund: &str, state: RefundState) {
            self.0.refund_becomes(refund, state);
        }
        async fn disputes(&self, intent: &Intent, minor: i64, state: ProviderDisputeState) -> String {
            let amount = Money::from_minor(minor, intent.amount.currency());
            self.0.disputes(&intent.id, amount, state)
        }
        async fn withdraws(&self, dispute: &str, fee_minor: i64) {
            self.moves(dispute, -1, fee_minor);
        }
        async fn reinstates(&self, dispute: &str) {
            self.moves(dispute, 1, 0);
        }
        async fn decides(&self, dispute: &str, state: ProviderDisputeState) {
            self.0.decides(dispute, state);
        }
    }

    #[tokio::test]
    async fn the_scripted_provider_keeps_the_contract_of_returns() {
        let gateway = ScriptedGateway::default();
        let now = "2026-06-01T12:00:00Z".parse().expect("an instant");
        let site = SiteId::from_uuid(SeededIds::new(1).uuid(now));
        let script = Script(&gateway);
        let stage = Stage::new(&gateway, &script, site, now, 3);
        return_contract(&stage, &ScriptedBank(&gateway)).await;
    }
}
