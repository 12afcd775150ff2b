//! The provider's side of payouts: agents' accounts and transfers to them, under keys, on the run's clock.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_commissions::payout_gateway::{
    NewRecipient, Onboarding, PayoutGateway, PayoutGatewayError, SendPayout, Standing, Transfer,
};
use posx_kernel::{Money, PayoutId, SiteId};

use crate::bugs::Bug;
use crate::env::Env;
use crate::faults::Fault;
use crate::sim::{HOUR, MINUTE};
use crate::webhooks::{Notice, Sender};

#[derive(Debug, Default)]
struct Book {
    /// In the order in which they were made, each under its key.
    made: Vec<(String, Transfer)>,
    /// Keys under which a failure is stored.
    failed: BTreeSet<String>,
    keys: u64,
}

#[derive(Clone)]
pub(crate) struct Transfers {
    env: Arc<Env>,
    sender: Sender,
    book: Arc<Mutex<Book>>,
}

impl std::fmt::Debug for Transfers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transfers")
    }
}

fn lost() -> PayoutGatewayError {
    PayoutGatewayError::Unknown("the connection was lost".into())
}

fn refused(code: &str) -> PayoutGatewayError {
    PayoutGatewayError::Refused {
        code: code.to_owned(),
    }
}

impl Transfers {
    pub(crate) fn new(env: &Arc<Env>, sender: Sender) -> Self {
        Self {
            env: Arc::clone(env),
            sender,
            book: Arc::default(),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn made(&self) -> Vec<Transfer> {
        self.book()
            .made
            .iter()
            .map(|(_, transfer)| transfer.clone())
            .collect()
    }

    /// False: the request is lost on its way.
    async fn arrives(&self, call: &'static str) -> bool {
        let sim = &self.env.sim;
        sim.step(call).await;
        sim.sleep(sim.between(20, 400)).await;
        !self.env.strikes(Fault::LostAnswers, 10)
    }

    async fn answers<T: Send>(&self, answer: T) -> Result<T, PayoutGatewayError> {
        self.env.sim.step("answer").await;
        if self.env.strikes(Fault::LostAnswers, 8) {
            return Err(lost());
        }
        Ok(answer)
    }

    /// What a bad driver makes of a request without an answer.
    fn timed_out(&self) -> PayoutGatewayError {
        if self.env.planted(Bug::TransferTimeoutTakenAsRefusal) {
            return refused("timeout");
        }
        lost()
    }

    fn key(&self, request: &SendPayout) -> String {
        if self.env.planted(Bug::TransferSentAgain) {
            let mut book = self.book();
            book.keys += 1;
            return format!("key-{}", book.keys);
        }
        format!("{}-{}", request.payout, request.attempt)
    }

    fn of_payout(&self, payout: PayoutId) -> Option<Transfer> {
        if self.env.planted(Bug::TransferSentAgain) {
            // Who makes new keys does not look up either.
            return None;
        }
        let of_it = |one: &&Transfer| one.payout == Some(payout);
        self.made().iter().find(of_it).cloned()
    }

    /// What is under the key, or a new one.
    fn make(&self, key: &str, request: &SendPayout) -> Transfer {
        let mut book = self.book();
        if let Some((_, old)) = book.made.iter().find(|(one, _)| one == key) {
            return old.clone();
        }
        let transfer = Transfer {
            reference: format!("tr_{}", book.made.len() + 1),
            payout: Some(request.payout),
            amount: request.amount,
            reversed: Money::zero(request.amount.currency()),
        };
        book.made.push((key.to_owned(), transfer.clone()));
        drop(book);
        self.env
            .sim
            .note(|| format!("{} goes to {}", transfer.reference, request.payout));
        if self.env.strikes(Fault::FailingPayouts, 4) {
            let (transfers, reference) = (self.clone(), transfer.reference.clone());
            self.env.sim.spawn(format!("reversal {reference}"), async move {
                transfers.takes_back(&reference).await;
            });
        }
        transfer
    }

    /// In one or two steps, a part or all of it.
    async fn takes_back(&self, reference: &str) {
        let sim = &self.env.sim;
        for _ in 0..sim.between(1, 2) {
            sim.lag(MINUTE, HOUR).await;
            let mut book = self.book();
            let Some((_, transfer)) = book.made.iter_mut().find(|(_, one)| one.reference == reference) else {
                return;
            };
            let left = transfer.amount.minor() - transfer.reversed.minor();
            let back = if sim.one_in(2) { left } else { left / 2 };
            let reversed = transfer.reversed.minor() + back;
            transfer.reversed = Money::from_minor(reversed, transfer.amount.currency());
            drop(book);
            sim.note(|| format!("{reference}: {reversed} taken back"));
            self.sender.tell(&Notice::ToAgent(reference.to_owned()));
        }
    }
}

#[async_trait]
impl PayoutGateway for Transfers {
    async fn open_account(&self, new: &NewRecipient<'_>) -> Result<String, PayoutGatewayError> {
        Ok(format!("acct_{}_{}", new.agent.as_uuid().simple(), new.version))
    }

    async fn onboarding(
        &self,
        _: SiteId,
        _: &str,
        _: &str,
        _: &str,
    ) -> Result<Onboarding, PayoutGatewayError> {
        Err(refused("nobody asks for it here"))
    }

    async fn standing(&self, _: SiteId, _: &str) -> Result<Option<Standing>, PayoutGatewayError> {
        if !self.arrives("transfers.standing").await {
            return Err(lost());
        }
        let disabled = self.env.strikes(Fault::FailingPayouts, 8);
        let standing = Standing {
            payouts_enabled: !disabled,
            charges_enabled: !disabled,
            disabled_reason: disabled.then(|| "requirements.past_due".to_owned()),
            missing: Vec::new(),
        };
        self.answers(Some(standing)).await
    }

    async fn send(&self, request: &SendPayout) -> Result<Transfer, PayoutGatewayError> {
        if !self.arrives("transfers.send").await {
            return Err(self.timed_out());
        }
        let key = self.key(request);
        if self.book().failed.contains(&key) {
            // The stored failure is the key's answer: what came of it is looked up.
            return self
                .of_payout(request.payout)
                .ok_or_else(|| refused("stored_server_error"));
        }
        if self.env.strikes(Fault::FailingPayouts, 5) && self.of_payout(request.payout).is_none() {
            return self.answers(()).await.and(Err(refused("balance_insufficient")));
        }
        if self.env.strikes(Fault::StoredFailures, 10) {
            if self.env.sim.one_in(2) {
                self.make(&key, request);
            }
            self.book().failed.insert(key);
            return Err(self.timed_out());
        }
        let made = self.make(&key, request);
        self.answers(made).await.map_err(|_| self.timed_out())
    }

    async fn find(&self, _: SiteId, payout: PayoutId) -> Result<Option<Transfer>, PayoutGatewayError> {
        if !self.arrives("transfers.find").await {
            return Err(lost());
        }
        let found = self.of_payout(payout);
        self.answers(found).await
    }

    async fn transfer(&self, _: SiteId, reference: &str) -> Result<Option<Transfer>, PayoutGatewayError> {
        if !self.arrives("transfers.transfer").await {
            return Err(lost());
        }
        let of_it = |one: &&Transfer| one.reference == reference;
        let found = self.made().iter().find(of_it).cloned();
        self.answers(found).await
    }
}
