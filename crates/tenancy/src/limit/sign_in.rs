use std::sync::Arc;

use super::{Bucket, Penalty, RateLimiter, RateVerdict};

/// People mistype; who guesses goes on. An account's own failures weigh most.
const ACCOUNT_FREE: u32 = 5;
const ACCOUNT_WAIT_S_MAX: u32 = 15 * 60;
/// A shop's tills fail once in a while behind one address, all together.
const ADDRESS_FREE: u32 = 50;
const ADDRESS_WAIT_S_MAX: u32 = 60;
const FORGET_AFTER_S: u32 = 60 * 60;
/// Many tries at the same moment are all checked before the first has failed: so many, and no more.
const TRIES_AT_ONCE: u32 = 10;
const TRIES_PER_MINUTE: u32 = 30;

/// Makes guessing at sign-in slow: [`check`](Self::check) before, then [`failed`](Self::failed) or
/// [`succeeded`](Self::succeeded).
///
/// An account waits for its own failures, whatever address they came from. An address's failures make only those accounts
/// wait that failed themselves: who signs in right is never kept out by their neighbours. `account` is any text that stays the
/// same for one login and is not secret; `address` is the client's network.
#[derive(Debug, Clone)]
pub struct SignInGuard {
    limiter: Arc<dyn RateLimiter>,
}

impl SignInGuard {
    pub fn new(limiter: Arc<dyn RateLimiter>) -> Self {
        Self { limiter }
    }

    /// Before anything is compared. The error: how many seconds to wait.
    pub async fn check(&self, account: &str, address: &str) -> Result<(), u32> {
        let (own, shared) = (account_key(account), address_key(address));
        let known = self.limiter.failures(&[&own, &shared]).await;
        let [of_account, of_address] = known[..] else {
            return Ok(());
        };
        let wait_s = if of_account.count > 0 {
            of_account.wait_s.max(of_address.wait_s)
        } else {
            0
        };
        if wait_s > 0 {
            return Err(wait_s);
        }
        let tries = Bucket::per_minute("sign_in", account, TRIES_PER_MINUTE).burst(TRIES_AT_ONCE);
        match self.limiter.check(&[tries]).await {
            RateVerdict::Allowed { .. } => Ok(()),
            RateVerdict::Refused { retry_after_s, .. } => Err(retry_after_s),
        }
    }

    /// The proof did not hold. Not for what says nothing of who asks: a store that is away, a malformed body.
    pub async fn failed(&self, account: &str, address: &str) {
        let own = Penalty {
            key: account_key(account),
            free: ACCOUNT_FREE,
            wait_s_max: ACCOUNT_WAIT_S_MAX,
            forget_after_s: FORGET_AFTER_S,
        };
        let shared = Penalty {
            key: address_key(address),
            free: ADDRESS_FREE,
            wait_s_max: ADDRESS_WAIT_S_MAX,
            forget_after_s: FORGET_AFTER_S,
        };
        self.limiter.fail(&[own, shared]).await;
    }

    /// Forgets the account's failures. The address's stay: one good login among a thousand guesses proves nothing.
    pub async fn succeeded(&self, account: &str) {
        self.limiter.forget(&account_key(account)).await;
    }
}

fn account_key(account: &str) -> String {
    format!("account:{account}")
}

fn address_key(address: &str) -> String {
    format!("address:{address}")
}
