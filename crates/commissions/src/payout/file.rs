//! Files of payments for the site's bank.

use posx_kernel::{
    Currency, IdempotentCall, IdentityId, Made, Money, PayoutFileId, PayoutId, SecretPlace, SettlementId,
    SiteScope, Timestamp, made_before_in_tx, remember_in_tx, retry_busy,
};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::service::{roll_up_in_tx, save_in_tx};
use crate::{AccountMethod, BankDetails, Debtor, Payout, PayoutAccount, PayoutError, Payouts};

/// In one file.
const PAYMENTS_MAX: u16 = 1_000;

/// Payments that were handed to the bank together: each try of a payout is in one file, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutFile {
    pub id: PayoutFileId,
    pub debtor: Debtor,
    pub total: Money,
    pub created_by: IdentityId,
    pub created_at: Timestamp,
    pub lines: Vec<FileLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    pub payout: PayoutId,
    pub agent: posx_kernel::PartyId,
    pub amount: Money,
    pub attempt: i32,
    pub account_version: i32,
}

/// A line with the account that it goes to, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remittance {
    pub line: FileLine,
    pub to: BankDetails,
}

impl Payouts {
    /// Puts what waits for the bank into a file: from now on it is under way. One whose account changed since it was approved
    /// fails instead.
    pub async fn create_file(
        &self,
        scope: &SiteScope,
        currency: Currency,
        settlement: Option<SettlementId>,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<PayoutFileId>, PayoutError> {
        retry_busy(|| self.try_create_file(scope, currency, settlement, by, call)).await
    }

    async fn try_create_file(
        &self,
        scope: &SiteScope,
        currency: Currency,
        settlement: Option<SettlementId>,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<PayoutFileId>, PayoutError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, PayoutError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        let debtor = tx.accounts().rules(currency).await?.debtor;
        let debtor = debtor.ok_or(PayoutError::NoDebtor)?;
        let waiting = tx.files().waiting(currency, settlement, PAYMENTS_MAX).await?;
        let (mut lines, mut total) = (Vec::with_capacity(waiting.len()), 0_i64);
        let mut some_failed = false;
        for mut payout in waiting {
            payout.begin(now)?;
            save_in_tx(tx.as_mut(), &payout, "payout.sending", now).await?;
            let latest = tx.accounts().latest(payout.agent, AccountMethod::Bank).await?;
            let latest = latest.filter(|account| {
                Some(account.version) == payout.account_version && account.usable(now).is_ok()
            });
            if let Some(account) = latest {
                total = total
                    .checked_add(payout.amount.minor())
                    .ok_or(PayoutError::Amount)?;
                lines.push(line(&payout, &account));
            } else {
                payout.fail("account_changed".to_owned(), now)?;
                save_in_tx(tx.as_mut(), &payout, "payout.failed", now).await?;
                some_failed = true;
            }
            roll_up_in_tx(tx.as_mut(), &payout, now).await?;
        }
        if lines.is_empty() {
            if some_failed {
                tx.commit().await?;
            }
            return Err(PayoutError::NothingWaits);
        }
        let file = PayoutFile {
            id: PayoutFileId::from_uuid(self.id(now)),
            debtor,
            total: Money::from_minor(total, currency),
            created_by: by,
            created_at: now,
            lines,
        };
        tx.files().insert(&file).await?;
        tx.outbox().append(happened(&file, now)).await?;
        remember_in_tx(tx.as_mut(), call, &file.id).await?;
        tx.commit().await?;
        Ok(Made::now(file.id))
    }

    /// A file with its accounts, opened: for writing it, again and again the same.
    pub async fn file(
        &self,
        scope: &SiteScope,
        id: PayoutFileId,
    ) -> Result<(PayoutFile, Vec<Remittance>), PayoutError> {
        let mut tx = self.begin(scope).await?;
        let file = tx.files().find(id).await?.ok_or(PayoutError::FileNotFound)?;
        let mut accounts = Vec::with_capacity(file.lines.len());
        for line in &file.lines {
            let found = tx
                .accounts()
                .version(line.agent, AccountMethod::Bank, line.account_version)
                .await?;
            accounts.push(found.ok_or(PayoutError::DetailsForgotten)?);
        }
        drop(tx);
        let mut remittances = Vec::with_capacity(accounts.len());
        for (line, account) in file.lines.iter().zip(&accounts) {
            let to = self.opened(scope, account).await?;
            remittances.push(Remittance {
                line: line.clone(),
                to,
            });
        }
        Ok((file, remittances))
    }

    async fn opened(&self, scope: &SiteScope, account: &PayoutAccount) -> Result<BankDetails, PayoutError> {
        let sealed = account.details.as_ref().ok_or(PayoutError::DetailsForgotten)?;
        let place = details_place(scope, account.agent, account.version);
        let opened = self.secrets.open(&place, sealed).await?;
        BankDetails::from_bytes(opened.expose_secret()).ok_or(PayoutError::DetailsForgotten)
    }
}

pub(super) fn details_place(scope: &SiteScope, agent: posx_kernel::PartyId, version: i32) -> SecretPlace {
    SecretPlace {
        site: scope.site(),
        table: "payout_accounts",
        row: PayoutAccount::row(agent, version),
        column: "details_sealed",
    }
}

fn line(payout: &Payout, account: &PayoutAccount) -> FileLine {
    FileLine {
        payout: payout.id,
        agent: payout.agent,
        amount: payout.amount,
        attempt: payout.tries,
        account_version: account.version,
    }
}

fn happened(file: &PayoutFile, at: Timestamp) -> posx_kernel::Event {
    posx_kernel::Event {
        kind: "payout_file.created",
        subject: file.id.as_uuid(),
        payload: json!({ "payments": file.lines.len(), "total": file.total }),
        at,
    }
}
