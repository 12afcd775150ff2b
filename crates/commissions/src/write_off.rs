//! What agents owe and will not pay.

use chrono::TimeDelta;
use posx_kernel::{
    Event, IdempotentCall, IdentityId, Made, Money, PartyId, SiteScope, Timestamp, WriteOffId,
    made_before_in_tx, remember_in_tx, retry_busy,
};
use posx_ledger::{Account, Entry, EntryKind};
use serde_json::json;

use crate::payout::reason;
use crate::{PayoutError, Payouts, WriteOffRule};

const AT_ONCE: u16 = 100;

/// A debt, or a part of it, that is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOff {
    pub id: WriteOffId,
    pub agent: PartyId,
    /// Positive.
    pub amount: Money,
    pub reason: String,
    /// None: the site's rule.
    pub made_by: Option<IdentityId>,
    pub at: Timestamp,
}

/// How much is given up.
#[derive(Debug, Clone, Copy)]
enum Extent {
    Some(Money),
    /// All of it, if it is no more than this.
    All {
        up_to: Money,
    },
}

impl Payouts {
    /// Gives up `amount` of what the agent owes, which is at least that much.
    pub async fn write_off(
        &self,
        scope: &SiteScope,
        agent: PartyId,
        amount: Money,
        why: &str,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<WriteOffId>, PayoutError> {
        let why = reason(why)?;
        if !amount.is_positive() {
            return Err(PayoutError::Amount);
        }
        let extent = Extent::Some(amount);
        retry_busy(|| self.try_write_off(scope, agent, extent, &why, Some(by), call)).await
    }

    /// Gives up what the site's rules say. Returns how many debts.
    pub async fn write_off_by_rule(&self, scope: &SiteScope) -> Result<usize, PayoutError> {
        let mut tx = self.begin(scope).await?;
        let rules = tx.accounts().all_rules().await?;
        drop(tx);
        let mut written = 0;
        for rule in rules.iter().filter_map(|rules| rules.write_off) {
            written += self.write_off_by(scope, rule).await?;
        }
        Ok(written)
    }

    async fn write_off_by(&self, scope: &SiteScope, rule: WriteOffRule) -> Result<usize, PayoutError> {
        let since_before = self.clock.now() - TimeDelta::days(i64::from(rule.after_days));
        let mut tx = self.begin(scope).await?;
        let owing = tx.balances().owing(rule.up_to, since_before, AT_ONCE).await?;
        drop(tx);
        let mut written = 0;
        let why = format!(
            "owed for {} days, and not more than {}",
            rule.after_days, rule.up_to
        );
        for agent in owing {
            let extent = Extent::All { up_to: rule.up_to };
            match retry_busy(|| self.try_write_off(scope, agent, extent, &why, None, None)).await {
                Ok(_) => written += 1,
                // Netted meanwhile.
                Err(PayoutError::OwesLess) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    async fn try_write_off(
        &self,
        scope: &SiteScope,
        agent: PartyId,
        extent: Extent,
        why: &str,
        by: Option<IdentityId>,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<WriteOffId>, PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, PayoutError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        tx.balances().lock(&[agent]).await?;
        let balances = tx.balances().of(Some(&[agent])).await?;
        let amount = extent.within(|wanted| {
            let one = balances
                .iter()
                .find(|one| one.balance.currency() == wanted.currency());
            one.map_or(0, |one| -one.balance.minor())
        })?;
        let write_off = WriteOff {
            id: WriteOffId::from_uuid(self.id(now)),
            agent,
            amount,
            reason: why.to_owned(),
            made_by: by,
            at: now,
        };
        tx.balances().insert_write_off(&write_off).await?;
        let entry = write_off.entry(self.entry_id(now));
        tx.ledger().post(&entry).await?;
        tx.outbox().append(write_off.happened()).await?;
        remember_in_tx(tx.as_mut(), call, &write_off.id).await?;
        tx.commit().await?;
        Ok(Made::now(write_off.id))
    }
}

impl Extent {
    /// `owed` is what the agent owes in a currency; not above zero: nothing.
    fn within(self, owed: impl Fn(Money) -> i64) -> Result<Money, PayoutError> {
        match self {
            Self::Some(amount) if owed(amount) >= amount.minor() => Ok(amount),
            Self::All { up_to } if (1..=up_to.minor()).contains(&owed(up_to)) => {
                Ok(Money::from_minor(owed(up_to), up_to.currency()))
            }
            _ => Err(PayoutError::OwesLess),
        }
    }
}

impl WriteOff {
    fn entry(&self, id: posx_kernel::EntryId) -> Entry {
        let (debit, credit) = (
            Account::CommissionWrittenOff,
            Account::CommissionPayable(self.agent),
        );
        let kind = EntryKind::CommissionWrittenOff;
        Entry::of_money(id, kind, self.id.as_uuid(), self.at, self.amount, debit, credit)
    }

    fn happened(&self) -> Event {
        Event {
            kind: "balance.written_off",
            subject: self.id.as_uuid(),
            payload: json!({ "agent": self.agent, "amount": self.amount, "by_rule": self.made_by.is_none() }),
            at: self.at,
        }
    }
}
