//! Closing the next period, and opening the last one again.

use posx_kernel::{
    Event, IdempotentCall, IdentityId, Made, PeriodId, SiteScope, Timestamp, made_before_in_tx,
    remember_in_tx, retry_busy,
};
use serde_json::{Value, json};

use super::{Closing, Period, PeriodError};
use crate::Books;

/// Who opens the last period again, and why.
#[derive(Debug, Clone, Copy)]
pub struct ReopenPeriod<'a> {
    pub id: PeriodId,
    /// 1 to 500 characters.
    pub because: &'a str,
    pub by: IdentityId,
}

impl Books {
    /// Closes the books from where they are closed up to `until`, an hour ago at the latest, and keeps what every account
    /// held then.
    pub async fn close_period(
        &self,
        scope: &SiteScope,
        until: Timestamp,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<PeriodId>, PeriodError> {
        retry_busy(|| self.try_close(scope, until, by, call)).await
    }

    async fn try_close(
        &self,
        scope: &SiteScope,
        until: Timestamp,
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<PeriodId>, PeriodError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, PeriodError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        let last = tx.periods().lock_last().await?;
        let closing = Closing {
            id: PeriodId::from_uuid(self.ids.uuid(now)),
            last: last.as_ref(),
            until,
            by,
            now,
        };
        closing.check()?;
        let balances = tx.periods().balances(until).await?;
        let period = closing.close(&balances)?;
        tx.periods().insert(&period, &balances).await?;
        let payload = json!({
            "number": period.number, "from": period.from, "until": period.until, "hash": hex::encode(period.hash),
        });
        tx.outbox()
            .append(happened("books.period_closed", &period, payload, now))
            .await?;
        remember_in_tx(tx.as_mut(), call, &period.id).await?;
        tx.commit().await?;
        Ok(Made::now(period.id))
    }

    /// Opens the last closed period again: entries may be dated into it from now on, and the next closing begins where it began.
    pub async fn reopen_period(
        &self,
        scope: &SiteScope,
        wish: ReopenPeriod<'_>,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PeriodError> {
        retry_busy(|| self.try_reopen(scope, wish, call)).await
    }

    async fn try_reopen(
        &self,
        scope: &SiteScope,
        wish: ReopenPeriod<'_>,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PeriodError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let made = made_before_in_tx::<_, PeriodId, PeriodError>(tx.as_mut(), call).await?;
        if made.is_some() {
            return Ok(());
        }
        let last = tx.periods().lock_last().await?;
        let found = tx.periods().find(wish.id).await?;
        let mut period = found.ok_or(PeriodError::NotFound)?;
        period.reopen(last.as_ref(), wish.by, wish.because, now)?;
        tx.periods().save(&period).await?;
        // The reason is staff's own words: it is shown with the period, and kept out of the trail.
        let payload = json!({ "number": period.number, "from": period.from, "until": period.until });
        tx.outbox()
            .append(happened("books.period_reopened", &period, payload, now))
            .await?;
        remember_in_tx(tx.as_mut(), call, &period.id).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn happened(kind: &'static str, period: &Period, payload: Value, at: Timestamp) -> Event {
    Event {
        kind,
        subject: period.id.as_uuid(),
        payload,
        at,
    }
}
