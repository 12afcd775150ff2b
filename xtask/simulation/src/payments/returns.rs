//! Money that goes back at the provider: refunds of ours and of its own dashboard, and disputes.

use std::sync::Arc;

use posx_kernel::Money;
use posx_orders::gateway::{
    CreateRefund, DisputeMovement, GatewayError, IntentId, IntentState, ProviderDispute,
    ProviderDisputeState, ProviderRefund, RefundState,
};

use super::{Books, Line, Payments};
use crate::bugs::Bug;
use crate::faults::Fault;
use crate::sim::{HOUR, MINUTE, SECOND, instant};
use crate::webhooks::Notice;

/// What becomes of refunds that are not simply paid.
const WAYS: &[&[RefundState]] = &[
    &[RefundState::Succeeded],
    &[RefundState::RequiresAction, RefundState::Succeeded],
    &[RefundState::Failed],
    &[RefundState::RequiresAction, RefundState::Cancelled],
    &[RefundState::Succeeded, RefundState::Failed],
];

impl Books {
    fn received(&self, intent: &IntentId) -> Option<Money> {
        match self.intents.get(&intent.0)?.state {
            IntentState::Succeeded { received } => Some(received),
            _ => None,
        }
    }

    /// Of what was received, what neither a refund nor a dispute has taken.
    fn left(&self, intent: &IntentId) -> i64 {
        let alive = |refund: &ProviderRefund| refund.state.counts();
        let refunds = self
            .refunds
            .values()
            .filter(|(of, refund)| of == intent && alive(refund));
        let refunded: i64 = refunds.map(|(_, refund)| refund.amount.minor()).sum();
        let disputes = self
            .disputes
            .values()
            .filter(|dispute| dispute.intent.as_ref() == Some(intent));
        let lines = disputes.flat_map(|dispute| &dispute.movements);
        let moved: i64 = lines.map(|line| line.amount.minor()).sum();
        self.received(intent).map_or(0, Money::minor) - refunded + moved
    }
}

impl Payments {
    pub(super) fn refunds_of(&self, intent: &IntentId) -> Vec<ProviderRefund> {
        let books = self.books();
        let of_intent = books.refunds.values().filter(|(of, _)| of == intent);
        let mut refunds: Vec<_> = of_intent
            .map(|(_, refund)| self.shown_refund(refund.clone()))
            .collect();
        if self.env.planted(Bug::DashboardRefundIgnored) {
            refunds.retain(|refund| refund.refund.is_some());
        }
        refunds
    }

    pub(super) fn shown_refund(&self, mut refund: ProviderRefund) -> ProviderRefund {
        if self.env.planted(Bug::PendingRefundTakenAsPaid) && refund.state.is_open() {
            refund.state = RefundState::Succeeded;
        }
        if self.env.planted(Bug::BouncedRefundIgnored) && refund.state == RefundState::Failed {
            refund.state = RefundState::Succeeded;
        }
        refund
    }

    /// The answer to a wish, or how the line swallowed it.
    pub(super) fn make_refund(
        &self,
        request: &CreateRefund,
        line: Line,
    ) -> Result<Result<ProviderRefund, Line>, GatewayError> {
        let key = self.key(format!("refund:{}", request.refund), Bug::RefundSentAgain);
        let left = self.books().left(&request.intent);
        if request.amount.minor() > left && self.stored(&key).is_none() {
            let code = "charge_already_refunded".to_owned();
            return Err(GatewayError::Refused { code });
        }
        let made = self.under_key(&key, line, |books| {
            let id = books.next("re");
            let refund = ProviderRefund {
                id: id.clone(),
                refund: Some(request.refund),
                amount: request.amount,
                state: RefundState::Pending,
                reason: None,
            };
            books.refunds.insert(id.clone(), (request.intent.clone(), refund));
            id
        });
        // Also what nobody hears of goes its way.
        let ids: Vec<_> = {
            let books = self.books();
            let ours = books
                .refunds
                .iter()
                .filter(|(_, (_, made))| made.refund == Some(request.refund));
            ours.map(|(id, _)| id.clone()).collect()
        };
        for id in ids {
            self.refund_goes(&id);
        }
        Ok(made.and_then(|id| {
            let found = self.books().refunds.get(&id).map(|(_, refund)| refund.clone());
            found.ok_or(Line::LostBack)
        }))
    }

    /// Somebody at the provider's dashboard gives money back.
    pub(crate) fn refund_at_dashboard(&self, intent: &IntentId) {
        let id = {
            let mut books = self.books();
            let Some(received) = books.received(intent) else {
                return;
            };
            let step = received.currency().charge_step();
            let amount = books.left(intent) / 2 / step * step;
            if amount <= 0 {
                return;
            }
            let id = books.next("re");
            let refund = ProviderRefund {
                id: id.clone(),
                refund: None,
                amount: Money::from_minor(amount, received.currency()),
                state: RefundState::Pending,
                reason: Some("requested_by_customer".to_owned()),
            };
            books.refunds.insert(id.clone(), (intent.clone(), refund));
            id
        };
        self.refund_goes(&id);
    }

    /// Begins the way of a refund that waits: through at once, or some time later; or it fails; or it bounces.
    fn refund_goes(&self, id: &str) {
        let begun = self
            .books()
            .refunds
            .get(id)
            .is_none_or(|(_, refund)| refund.state != RefundState::Pending);
        if begun || !self.on_its_way(id) {
            return;
        }
        let difficult = self.env.has(Fault::FailingRefunds);
        let way: &[RefundState] = WAYS[self.env.sim.index(WAYS.len())];
        if !difficult {
            self.set_refund(id, RefundState::Succeeded);
            return;
        }
        let (payments, id) = (self.clone(), id.to_owned());
        self.env.sim.spawn(format!("refund {id}"), async move {
            for state in way {
                payments.env.sim.lag(5 * SECOND, 20 * MINUTE).await;
                payments.set_refund(&id, *state);
            }
        });
    }

    /// False: it is on its way already.
    fn on_its_way(&self, id: &str) -> bool {
        self.books().under_way.insert(id.to_owned())
    }

    fn set_refund(&self, id: &str, state: RefundState) {
        let mut books = self.books();
        let Some((intent, refund)) = books.refunds.get_mut(id) else {
            return;
        };
        refund.state = state;
        let (intent, id) = (intent.clone(), id.to_owned());
        drop(books);
        self.env.sim.note(|| format!("{id} is {state:?}"));
        self.sender.tell(&Notice::Refund { intent, id });
    }

    /// A buyer goes to their bank. It ends, after some time, in every way there is.
    pub(crate) fn dispute_opens(&self, intent: &IntentId) {
        let sim = Arc::clone(&self.env.sim);
        let id = {
            let mut books = self.books();
            let (Some(received), left) = (books.received(intent), books.left(intent)) else {
                return;
            };
            if left <= 0 {
                return;
            }
            let id = books.next("dp");
            let dispute = ProviderDispute {
                id: id.clone(),
                intent: Some(intent.clone()),
                amount: Money::from_minor(left, received.currency()),
                state: ProviderDisputeState::WarningNeedsResponse,
                reason: "product_not_received".to_owned(),
                refundable: false,
                evidence_due_by: Some(instant(sim.now() + 30 * HOUR)),
                movements: Vec::new(),
                opened_at: instant(sim.now()),
            };
            books.disputes.insert(id.clone(), dispute);
            id
        };
        let (payments, inquiry) = (self.clone(), sim.one_in(3));
        self.env.sim.spawn(format!("dispute {id}"), async move {
            if inquiry {
                payments.dispute_moves(&id, ProviderDisputeState::WarningNeedsResponse, 0);
                sim.lag(MINUTE, HOUR).await;
                if sim.one_in(2) {
                    payments.dispute_moves(&id, ProviderDisputeState::WarningClosed, 0);
                    return;
                }
            }
            payments.dispute_moves(&id, ProviderDisputeState::NeedsResponse, -1);
            sim.lag(MINUTE, 2 * HOUR).await;
            payments.dispute_moves(&id, ProviderDisputeState::UnderReview, 0);
            sim.lag(MINUTE, 2 * HOUR).await;
            let won = sim.one_in(2);
            let verdict = if won {
                ProviderDisputeState::Won
            } else {
                ProviderDisputeState::Lost
            };
            payments.dispute_moves(&id, verdict, i64::from(won));
            if sim.one_in(3) {
                sim.lag(MINUTE, HOUR).await;
                let turned = if won {
                    ProviderDisputeState::Lost
                } else {
                    ProviderDisputeState::Won
                };
                payments.dispute_moves(&id, turned, if won { -1 } else { 1 });
            }
        });
    }

    /// With what it does to the balance: taken away with a fee, or given back.
    fn dispute_moves(&self, id: &str, state: ProviderDisputeState, sign: i64) {
        let mut books = self.books();
        let line = books.next("txn");
        let Some(intent) = books.disputes.get(id).and_then(|dispute| dispute.intent.clone()) else {
            return;
        };
        let left = books.left(&intent);
        let Some(dispute) = books.disputes.get_mut(id) else {
            return;
        };
        let currency = dispute.amount.currency();
        if sign < 0 {
            // What a refund took in the meantime is not taken again.
            dispute.amount = Money::from_minor(dispute.amount.minor().min(left).max(0), currency);
        }
        dispute.state = state;
        if sign != 0 && dispute.amount.is_positive() {
            let fee = if sign < 0 { 15 * currency.charge_step() } else { 0 };
            dispute.movements.push(DisputeMovement {
                id: line,
                amount: Money::from_minor(sign * dispute.amount.minor(), currency),
                fee: Money::from_minor(fee, currency),
            });
        }
        drop(books);
        self.env.sim.note(|| format!("{id} is {state:?}"));
        let id = id.to_owned();
        self.sender.tell(&Notice::Dispute { intent, id });
    }
}
