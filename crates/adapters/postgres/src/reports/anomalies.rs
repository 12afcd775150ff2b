//! What a person should look at.

use chrono::{DateTime, Duration, Utc};
use posx_kernel::{SiteScope, StoreError, Timestamp};
use serde::Serialize;
use sqlx::Row;
use uuid::Uuid;

use crate::connection::Database;
use crate::error::StoreResult;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $prefix:literal, $days:literal, $sql:literal;)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum AnomalyKind { $($(#[$doc])* $name,)+ }

        impl AnomalyKind {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What its subjects' ids begin with.
            const fn prefix(self) -> &'static str {
                match self { $(Self::$name => $prefix,)+ }
            }

            /// How old it must be.
            const fn days(self) -> i64 {
                match self { $(Self::$name => $days,)+ }
            }

            /// `id`, `since` and `detail` of each that stands so since before `$1`.
            const fn sql(self) -> &'static str {
                match self { $(Self::$name => $sql,)+ }
            }
        }
    };
}

kinds! {
    /// Its hold is over, and it is still held.
    CommissionStuck = "commission_stuck", "com", 1,
        "select id, hold_until as since, state as detail from commissions where state = 'held' and hold_until < $1";
    /// It is frozen, and its order is not disputed.
    CommissionFrozen = "commission_frozen", "com", 1,
        "select c.id, c.updated_at as since, c.state as detail from commissions c join orders o on o.id = c.order_id
         where c.state = 'frozen' and not o.disputed and c.updated_at < $1";
    /// On its way, and nothing happens.
    AllocationStuck = "allocation_stuck", "alc", 1,
        "select id, updated_at as since, state as detail from allocations
         where state in ('queued', 'unknown', 'submitted', 'confirming') and updated_at < $1";
    /// Nobody has put it into a batch.
    AllocationWaiting = "allocation_waiting", "alc", 7,
        "select id, updated_at as since, state as detail from allocations where state = 'pending' and updated_at < $1";
    AllocationFailed = "allocation_failed", "alc", 0,
        "select id, updated_at as since, coalesce(reason, state) as detail from allocations where state = 'failed' and updated_at < $1";
    /// Of the buyer's bank. `detail` says until when evidence is taken.
    DisputeOpen = "dispute_open", "dsp", 0,
        "select id, opened_at as since, coalesce('evidence due by ' || to_char(evidence_due_by at time zone 'UTC',
           'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), provider_state) as detail
         from disputes where state = 'open' and opened_at < $1";
    RefundStuck = "refund_stuck", "ref", 3,
        "select id, updated_at as since, state as detail from refunds where state in ('pending', 'requires_action') and updated_at < $1";
    /// Nobody has decided.
    WithdrawalPending = "withdrawal_pending", "wdr", 3,
        "select id, updated_at as since, state as detail from payouts
         where settlement_id is null and state in ('requested', 'approved', 'failed') and updated_at < $1";
    /// It was sent, and nobody knows whether it arrived.
    PayoutStuck = "payout_stuck", "pyt", 1,
        "select id, updated_at as since, state as detail from payouts where state = 'sending' and updated_at < $1";
    /// The provider pays nothing out to the agent's account.
    PayoutAccountDisabled = "payout_account_disabled", "pty", 0,
        "select party_id as id, standing_at as since, coalesce(disabled_reason, 'not_ready') as detail from payout_accounts a
         where removed_at is null and payouts_enabled = false and standing_at < $1
           and not exists (select from payout_accounts later where later.party_id = a.party_id and later.method = a.method
                           and later.version > a.version)";
    /// Money did not get from the agent's account to their bank: they must give the provider another one.
    PayoutAccountBankFailed = "payout_account_bank_failed", "pty", 0,
        "select party_id as id, coalesce(standing_at, created_at) as since, stuck_payout as detail from payout_accounts a
         where removed_at is null and stuck_payout is not null and coalesce(standing_at, created_at) < $1
           and not exists (select from payout_accounts later where later.party_id = a.party_id and later.method = a.method
                           and later.version > a.version)";
    /// Nobody whom the agent brought has earned them anything.
    AgentIdle = "agent_idle", "pty", 90,
        "select a.party_id as id, greatest(a.joined_at, c.last) as since, 'no commission' as detail
         from agents a left join lateral (
           select c.created_at as last from commissions c where c.agent_id = a.party_id order by c.id desc limit 1) c on true
         where greatest(a.joined_at, c.last) < $1
           and not exists (select from agent_suspensions s where s.agent_id = a.party_id and s.until is null)";
    OrderNeedsPerson = "order_needs_person", "ord", 0,
        "select id, coalesce(paid_at, placed_at) as since, attention as detail from orders
         where attention is not null and coalesce(paid_at, placed_at) < $1";
}

/// Something that should not stand so for so long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AnomalyRow {
    pub kind: AnomalyKind,
    /// What it is about; the prefix says of which sort.
    pub id: String,
    pub since: DateTime<Utc>,
    pub detail: String,
}

/// How far a reader is: a kind, and the last row of it that was read.
#[derive(Debug, Clone, Copy)]
pub struct AnomalyPlace {
    kind: usize,
    after: Option<(DateTime<Utc>, Uuid)>,
}

impl AnomalyPlace {
    pub const START: Self = Self { kind: 0, after: None };

    const fn next_kind(self) -> Option<Self> {
        if self.kind + 1 < AnomalyKind::ALL.len() {
            Some(Self {
                kind: self.kind + 1,
                after: None,
            })
        } else {
            None
        }
    }
}

/// Rows of one read of the database.
const STEP: usize = 500;

impl Database {
    /// From `place` on, kind by kind, oldest first; and where to go on.
    pub async fn anomalies(
        &self,
        scope: &SiteScope,
        now: Timestamp,
        place: AnomalyPlace,
    ) -> Result<(Vec<AnomalyRow>, Option<AnomalyPlace>), StoreError> {
        let kind = AnomalyKind::ALL[place.kind];
        let mut tx = self.read_site(scope).await?;
        let sql = format!(
            "select id, since, detail from ({}) x
             where $2::timestamptz is null or (since, id) > ($2, $3) order by since, id limit $4",
            kind.sql()
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(now - Duration::days(kind.days()))
            .bind(place.after.map(|after| after.0))
            .bind(place.after.map(|after| after.1))
            .bind(i64::try_from(STEP).unwrap_or(i64::MAX))
            .fetch_all(tx.connection())
            .await
            .store()?;
        let mut found = Vec::with_capacity(rows.len());
        let mut last = None;
        for row in &rows {
            let (id, since): (Uuid, _) = (row.try_get("id").store()?, row.try_get("since").store()?);
            last = Some((since, id));
            found.push(AnomalyRow {
                kind,
                id: format!("{}_{}", kind.prefix(), id.simple()),
                since,
                detail: row.try_get("detail").store()?,
            });
        }
        let next = if rows.len() == STEP {
            Some(AnomalyPlace { after: last, ..place })
        } else {
            place.next_kind()
        };
        Ok((found, next))
    }
}
