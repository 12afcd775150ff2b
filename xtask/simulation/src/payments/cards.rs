//! The buyer's side of an intent.

use posx_kernel::Money;
use posx_orders::gateway::{IntentId, IntentState};

use super::Payments;
use crate::sim::MINUTE;
use crate::webhooks::Notice;

/// What a buyer's card or bank does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CardDoes {
    Pays,
    Declines,
    Challenges,
    /// A bank debit: it may last.
    Debits {
        arrives: bool,
    },
    PaysOtherAmount,
}

impl Payments {
    fn emit(&self, intent: &str) {
        let found = self.books().intents.get(intent).cloned();
        if let Some(intent) = found {
            let sim = &self.env.sim;
            sim.note(|| format!("{} is {:?}", intent.id, intent.state));
            self.sender.tell(&Notice::Intent(intent));
        }
    }

    /// False: the intent takes no money any more.
    pub(super) fn set(&self, id: &IntentId, state: IntentState) -> bool {
        let mut books = self.books();
        let Some(intent) = books.intents.get_mut(&id.0) else {
            return false;
        };
        if matches!(
            intent.state,
            IntentState::Cancelled | IntentState::Succeeded { .. }
        ) {
            return false;
        }
        intent.state = state;
        drop(books);
        self.emit(&id.0);
        true
    }

    /// The buyer's side. False: nothing can be paid.
    pub(crate) fn card(&self, id: &IntentId, does: CardDoes) -> bool {
        let Some(intent) = self.books().intents.get(&id.0).cloned() else {
            return false;
        };
        // A debit that is under way is not paid a second time.
        if intent.state == IntentState::Processing {
            return false;
        }
        let amount = intent.amount;
        match does {
            CardDoes::Pays => self.set(id, IntentState::Succeeded { received: amount }),
            CardDoes::PaysOtherAmount => {
                let received = Money::from_minor(amount.minor() - 1, amount.currency());
                self.set(id, IntentState::Succeeded { received })
            }
            CardDoes::Declines => {
                let last_decline = Some("card_declined".to_owned());
                self.set(id, IntentState::RequiresPaymentMethod { last_decline })
            }
            CardDoes::Challenges => self.set(id, IntentState::RequiresAction),
            CardDoes::Debits { arrives } => {
                let begun = self.set(id, IntentState::Processing);
                let (payments, id) = (self.clone(), id.clone());
                if begun {
                    self.env.sim.spawn(format!("debit {id}"), async move {
                        payments.env.sim.lag(MINUTE, 25 * MINUTE).await;
                        let last_decline = Some("debit_returned".to_owned());
                        let end = if arrives {
                            IntentState::Succeeded { received: amount }
                        } else {
                            IntentState::RequiresPaymentMethod { last_decline }
                        };
                        payments.set(&id, end);
                    });
                }
                begun
            }
        }
    }
}
