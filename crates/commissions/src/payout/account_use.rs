//! What agents do with their accounts, and the site with its rules.

use posx_kernel::{Event, PartyId, SiteScope, Timestamp};
use serde_json::json;

use super::file::details_place;
use super::gateway::{NewRecipient, Onboarding, Readiness};
use crate::{
    AccountMethod, BankDetails, PayoutAccount, PayoutError, PayoutMethod, PayoutRules, Payouts, PayoutsTx,
};

const URL_CHARACTERS_MAX: usize = 2_000;

/// Where the agent comes from and goes back to.
#[derive(Debug, Clone, Copy)]
pub struct NewConnectAccount<'a> {
    /// ISO 3166, two letters.
    pub country: &'a str,
    /// A page of ours that asks for another link.
    pub refresh_url: &'a str,
    pub return_url: &'a str,
}

impl Payouts {
    /// Takes the place of the agent's bank account, if there is one: then no money goes there for a while.
    pub async fn set_bank_account(
        &self,
        scope: &SiteScope,
        agent: PartyId,
        details: &BankDetails,
    ) -> Result<(), PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let replaced = tx.accounts().latest(agent, AccountMethod::Bank).await?;
        drop(tx);
        let version = replaced.as_ref().map_or(1, |account| account.version + 1);
        let place = details_place(scope, agent, version);
        let sealed = self.secrets.seal(&place, &details.to_bytes()).await?;
        let account = PayoutAccount {
            agent,
            method: AccountMethod::Bank,
            version,
            details: Some(sealed),
            masked: details.iban().masked(),
            connect_account: None,
            created_at: now,
            usable_from: PayoutAccount::usable_from(replaced.as_ref(), now),
            removed_at: None,
            standing: None,
            stuck_payout: None,
        };
        self.keep(scope, &account, now).await
    }

    /// A link to where the agent fills in their account at the provider, which is opened if there is none.
    pub async fn onboard(
        &self,
        scope: &SiteScope,
        agent: PartyId,
        new: NewConnectAccount<'_>,
    ) -> Result<Onboarding, PayoutError> {
        if new.country.len() != 2 || !new.country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(PayoutError::Country);
        }
        let page = |url: &str| {
            url.starts_with("https://")
                && url.len() <= URL_CHARACTERS_MAX
                && url.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !page(new.return_url) || !page(new.refresh_url) {
            return Err(PayoutError::ReturnUrl);
        }
        let account = self.connected(scope, agent, new.country).await?;
        let link = self
            .gateway
            .onboarding(scope.site(), &account, new.refresh_url, new.return_url)
            .await?;
        Ok(link)
    }

    /// Whether the agent's account may be sent to, and for one at the provider whether the provider says so now. None: there is
    /// no such account.
    pub async fn readiness(
        &self,
        scope: &SiteScope,
        agent: PartyId,
        method: AccountMethod,
    ) -> Result<Option<Readiness>, PayoutError> {
        let mut tx = self.begin(scope).await?;
        let latest = tx.accounts().latest(agent, method).await?;
        drop(tx);
        let Some(account) = latest.filter(|account| account.removed_at.is_none()) else {
            return Ok(None);
        };
        if account.usable(self.clock.now()).is_err() {
            let missing = vec!["cooling_off".to_owned()];
            return Ok(Some(Readiness::NotReady { missing }));
        }
        match &account.connect_account {
            Some(id) => {
                let (standing, _) = self.ask_standing(scope, &account, id).await?;
                Ok(Some(standing.into()))
            }
            None => Ok(Some(Readiness::Ready)),
        }
    }

    /// Nothing is paid there any more. What is under way already stays under way.
    pub async fn remove_account(
        &self,
        scope: &SiteScope,
        agent: PartyId,
        method: AccountMethod,
    ) -> Result<(), PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let latest = tx.accounts().latest(agent, method).await?;
        let account = latest.filter(|account| account.removed_at.is_none());
        let account = account.ok_or(PayoutError::NoAccount)?;
        tx.accounts().remove(&account, now).await?;
        tx.outbox()
            .append(happened("payout_account.removed", &account, now))
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// `rules.version` is the one that was read; 0 when there were none.
    pub async fn set_rules(&self, scope: &SiteScope, rules: &PayoutRules) -> Result<(), PayoutError> {
        rules.check()?;
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let next = PayoutRules {
            version: rules.version + 1,
            updated_at: Some(now),
            ..rules.clone()
        };
        if !tx.accounts().save_rules(&next, now).await? {
            return Err(PayoutError::Stale);
        }
        let (maximum, write_off) = (next.maximum, next.write_off);
        let payload = json!({
            "minimum": next.minimum, "maximum": maximum,
            "write_off_up_to": write_off.map(|rule| rule.up_to),
            "write_off_after_days": write_off.map(|rule| rule.after_days),
            "debtor": next.debtor.as_ref().map(|debtor| debtor.iban.masked()),
            "version": next.version,
        });
        let event = Event {
            kind: "payout_rules.changed",
            subject: scope.site().as_uuid(),
            payload,
            at: now,
        };
        tx.outbox().append(event).await?;
        tx.commit().await?;
        Ok(())
    }

    pub async fn rules(
        &self,
        scope: &SiteScope,
        currency: posx_kernel::Currency,
    ) -> Result<PayoutRules, PayoutError> {
        let mut tx = self.begin(scope).await?;
        Ok(tx.accounts().rules(currency).await?)
    }

    /// The provider's id of the agent's account; opened now if there is none.
    async fn connected(
        &self,
        scope: &SiteScope,
        agent: PartyId,
        country: &str,
    ) -> Result<String, PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let replaced = tx.accounts().latest(agent, AccountMethod::Connect).await?;
        drop(tx);
        if let Some(account) = &replaced
            && account.removed_at.is_none()
            && let Some(id) = &account.connect_account
        {
            return Ok(id.clone());
        }
        let version = replaced.as_ref().map_or(1, |account| account.version + 1);
        let new = NewRecipient {
            site: scope.site(),
            agent,
            version,
            country,
        };
        let opened = self.gateway.open_account(&new).await?;
        let account = PayoutAccount {
            agent,
            method: AccountMethod::Connect,
            version,
            details: None,
            masked: masked(&opened),
            connect_account: Some(opened.clone()),
            created_at: now,
            usable_from: PayoutAccount::usable_from(replaced.as_ref(), now),
            removed_at: None,
            standing: None,
            stuck_payout: None,
        };
        self.keep(scope, &account, now).await?;
        Ok(opened)
    }

    async fn keep(
        &self,
        scope: &SiteScope,
        account: &PayoutAccount,
        now: Timestamp,
    ) -> Result<(), PayoutError> {
        let mut tx = self.begin(scope).await?;
        if !tx.accounts().insert(account).await? {
            return Err(PayoutError::AccountBusy);
        }
        if let Some(id) = &account.connect_account {
            tx.accounts().claim_connected(id).await?;
        }
        tx.outbox()
            .append(happened("payout_account.changed", account, now))
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// The account that money of this method goes to now, if it may.
    pub(crate) async fn usable_account_in_tx(
        &self,
        tx: &mut dyn PayoutsTx,
        agent: PartyId,
        method: PayoutMethod,
        now: Timestamp,
    ) -> Result<i32, PayoutError> {
        let kind = method.account().ok_or(PayoutError::NoAccount)?;
        let account = tx.accounts().latest(agent, kind).await?;
        let account = account.ok_or(PayoutError::NoAccount)?;
        account.payable(now)?;
        Ok(account.version)
    }
}

fn masked(id: &str) -> String {
    let tail: Vec<char> = id.chars().rev().take(4).collect();
    format!("…{}", tail.into_iter().rev().collect::<String>())
}

pub(super) fn happened(kind: &'static str, account: &PayoutAccount, at: Timestamp) -> Event {
    Event {
        kind,
        subject: account.agent.as_uuid(),
        payload: json!({
            "method": account.method, "version": account.version, "masked": account.masked,
            "usable_from": account.usable_from,
        }),
        at,
    }
}
