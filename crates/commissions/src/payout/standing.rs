//! What the provider tells of agents' connected accounts.

use posx_kernel::SiteScope;
use serde_json::json;

use super::account_use::happened;
use super::gateway::Standing;
use crate::{AccountStanding, PayoutAccount, PayoutError, Payouts};

/// What is kept of an account that the provider knows no more.
const DISCONNECTED: &str = "disconnected";

impl Payouts {
    /// The account is asked for, so the order of the provider's events is no matter. False: no agent of this site has it.
    pub async fn account_changed(&self, scope: &SiteScope, account: &str) -> Result<bool, PayoutError> {
        let mut tx = self.begin(scope).await?;
        let known = tx.accounts().connected(account).await?;
        drop(tx);
        let Some(known) = known else { return Ok(false) };
        self.ask_standing(scope, &known, account).await?;
        Ok(true)
    }

    /// Money on its way from the account to its owner's bank arrived, or came back to the account. None of it is the site's any
    /// more: our transfer arrived, so nothing is booked. Staff see it, because the agent must give the provider another bank
    /// account. False: no agent of this site has it.
    pub async fn bank_payout(
        &self,
        scope: &SiteScope,
        account: &str,
        payout: &str,
        arrived: bool,
    ) -> Result<bool, PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let Some(mut known) = tx.accounts().connected(account).await? else {
            return Ok(false);
        };
        // One that came back had perhaps been called paid before: only another one that arrives shows that the bank takes money.
        let told = known.stuck_payout.as_deref() == Some(payout);
        if told || arrived && known.stuck_payout.is_none() {
            return Ok(true);
        }
        known.stuck_payout = (!arrived).then(|| payout.to_owned());
        let event = if arrived {
            "payout_account.bank_works"
        } else {
            "payout_account.bank_failed"
        };
        tx.accounts().save_stuck_payout(&known).await?;
        tx.outbox().append(happened(event, &known, now)).await?;
        tx.commit().await?;
        if !arrived {
            tracing::error!(agent = %known.agent, payout, "an agent's bank sent a payout back: the agent must see to it");
        }
        Ok(true)
    }

    /// Asks, and keeps the answer where it is another than before.
    pub(super) async fn ask_standing(
        &self,
        scope: &SiteScope,
        account: &PayoutAccount,
        id: &str,
    ) -> Result<(Option<Standing>, AccountStanding), PayoutError> {
        let at = self.clock.now();
        let told = self.gateway.standing(scope.site(), id).await?;
        let standing = AccountStanding::of(told.as_ref(), at);
        let same = account
            .standing
            .as_ref()
            .is_some_and(|old| old.says_the_same(&standing));
        if !same {
            self.keep_standing(scope, account, &standing).await?;
        }
        Ok((told, standing))
    }

    async fn keep_standing(
        &self,
        scope: &SiteScope,
        account: &PayoutAccount,
        standing: &AccountStanding,
    ) -> Result<(), PayoutError> {
        let mut tx = self.begin(scope).await?;
        // What was asked for earlier does not take the place of what was asked for later.
        if tx.accounts().save_standing(account, standing).await? {
            let mut event = happened("payout_account.standing_changed", account, standing.at);
            event.payload["payouts_enabled"] = json!(standing.payouts_enabled);
            event.payload["charges_enabled"] = json!(standing.charges_enabled);
            event.payload["disabled_reason"] = json!(standing.disabled_reason);
            tx.outbox().append(event).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

impl AccountStanding {
    fn of(told: Option<&Standing>, at: posx_kernel::Timestamp) -> Self {
        const REASON_CHARACTERS_MAX: usize = 100;
        let reason = told.map_or(Some(DISCONNECTED.to_owned()), |told| told.disabled_reason.clone());
        Self {
            payouts_enabled: told.is_some_and(|told| told.payouts_enabled),
            charges_enabled: told.is_some_and(|told| told.charges_enabled),
            disabled_reason: reason
                .map(|reason| reason.chars().take(REASON_CHARACTERS_MAX).collect::<String>())
                .filter(|reason| !reason.is_empty()),
            at,
        }
    }

    fn says_the_same(&self, other: &Self) -> bool {
        (self.payouts_enabled, self.charges_enabled, &self.disabled_reason)
            == (
                other.payouts_enabled,
                other.charges_enabled,
                &other.disabled_reason,
            )
    }

    /// Why nothing is sent there, in a stable word.
    pub(super) const fn refusal(&self) -> Option<&'static str> {
        match (self.payouts_enabled, &self.disabled_reason) {
            (true, _) => None,
            (false, Some(_)) => Some("account_disabled"),
            (false, None) => Some("account_not_ready"),
        }
    }
}
