//! Approvals of a second person, and the limits above which one is needed.

use async_trait::async_trait;
use posx_kernel::{
    ApprovalId, ApprovalUse, Begin, IdempotentCall, IdentityId, Outbox, Page, PageRequest, SiteScope,
    StoreError, Timestamp,
};
use posx_tenancy::{
    Approval, ApprovalFilter, ApprovalLimitView, ApprovalLimits, ApprovalQueries, ApprovalRepository,
    ApprovalState, ApprovalStateName, ApprovalView, ApprovalsTx, Capability, ReviewedOperation,
    ReviewedRequest, Role,
};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row};

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

const APPROVAL: &str =
    "select id, operation, quantity, method, path, body, request_hash, maker_id, state, checker_id, decided_at, reason,
            ended_at, created_at, expires_at
     from approvals where true";

#[async_trait]
impl Begin<dyn ApprovalsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn ApprovalsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl ApprovalsTx for SiteTx {
    fn approvals(&mut self) -> &mut dyn ApprovalRepository {
        self
    }
    fn limits(&mut self) -> &mut dyn ApprovalLimits {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

/// As the table keeps a state: name, who decided and when, why, when it ended.
type Columns<'a> = (
    &'static str,
    Option<IdentityId>,
    Option<Timestamp>,
    Option<&'a str>,
    Option<Timestamp>,
);

fn columns(state: &ApprovalState) -> Columns<'_> {
    match state {
        ApprovalState::Draft => ("draft", None, None, None, None),
        ApprovalState::Submitted => ("submitted", None, None, None, None),
        ApprovalState::Approved { checker, at } => ("approved", Some(*checker), Some(*at), None, None),
        ApprovalState::Rejected { checker, at, reason } => {
            ("rejected", Some(*checker), Some(*at), Some(reason), None)
        }
        ApprovalState::Withdrawn { at } => ("withdrawn", None, None, None, Some(*at)),
        ApprovalState::Applied {
            checker,
            approved_at,
            at,
        } => ("applied", Some(*checker), Some(*approved_at), None, Some(*at)),
    }
}

#[async_trait]
impl ApprovalRepository for SiteTx {
    async fn insert(&mut self, approval: &Approval) -> Result<(), StoreError> {
        let (state, checker, decided_at, reason, ended_at) = columns(&approval.state);
        let request = &approval.request;
        sqlx::query(
            "insert into approvals (id, operation, quantity, method, path, body, request_hash, maker_id, state, checker_id,
                                    decided_at, reason, ended_at, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(approval.id.as_uuid())
        .bind(approval.operation.as_str())
        .bind(approval.quantity)
        .bind(&request.method)
        .bind(&request.path)
        .bind(&request.body)
        .bind(request.hash.as_slice())
        .bind(approval.maker.as_uuid())
        .bind(state)
        .bind(checker.map(IdentityId::as_uuid))
        .bind(decided_at)
        .bind(reason)
        .bind(ended_at)
        .bind(approval.created_at)
        .bind(approval.expires_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn for_update(&mut self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(APPROVAL);
        sql.push(" and id = ").push_bind(id.as_uuid()).push(" for update");
        let row = sql.build().fetch_optional(self.connection()).await.store()?;
        row.as_ref().map(approval).transpose()
    }

    async fn save(&mut self, approval: &Approval) -> Result<(), StoreError> {
        let (state, checker, decided_at, reason, ended_at) = columns(&approval.state);
        let saved = sqlx::query(
            "update approvals set state = $2, checker_id = $3, decided_at = $4, reason = $5, ended_at = $6 where id = $1",
        )
        .bind(approval.id.as_uuid())
        .bind(state)
        .bind(checker.map(IdentityId::as_uuid))
        .bind(decided_at)
        .bind(reason)
        .bind(ended_at)
        .execute(self.connection())
        .await
        .store()?;
        if saved.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::broken("an approval that is saved is not there"))
        }
    }

    async fn open(
        &mut self,
        maker: IdentityId,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Approval>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(APPROVAL);
        sql.push(" and state in ('submitted', 'approved') and maker_id = ")
            .push_bind(maker.as_uuid())
            .push(" and request_hash = ")
            .push_bind(hash.as_slice())
            .push(" and expires_at > ")
            .push_bind(now)
            .push(" order by id desc limit 1");
        let row = sql.build().fetch_optional(self.connection()).await.store()?;
        row.as_ref().map(approval).transpose()
    }

    async fn count_submitted(&mut self, maker: IdentityId, now: Timestamp) -> Result<u32, StoreError> {
        let row = sqlx::query(
            "select count(*) from approvals where maker_id = $1 and state = 'submitted' and expires_at > $2",
        )
        .bind(maker.as_uuid())
        .bind(now)
        .fetch_one(self.connection())
        .await
        .store()?;
        let count: i64 = row.try_get(0).store()?;
        u32::try_from(count).map_err(|_| StoreError::broken("a count of approvals"))
    }
}

#[async_trait]
impl ApprovalLimits for SiteTx {
    async fn find(&mut self, operation: ReviewedOperation) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query("select quantity_max from approval_limits where operation = $1")
            .bind(operation.as_str())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.map_or(Ok(None), |row| row.try_get(0).store())
    }

    async fn for_update(
        &mut self,
        operation: ReviewedOperation,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError> {
        // A row that is not there cannot be locked.
        sqlx::query(
            "insert into approval_limits (operation, changed_at) values ($1, $2) on conflict do nothing",
        )
        .bind(operation.as_str())
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        let row = sqlx::query("select quantity_max from approval_limits where operation = $1 for update")
            .bind(operation.as_str())
            .fetch_one(self.connection())
            .await
            .store()?;
        row.try_get(0).store()
    }

    async fn save(
        &mut self,
        operation: ReviewedOperation,
        quantity_max: Option<i64>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into approval_limits (operation, quantity_max, changed_at) values ($1, $2, $3)
             on conflict (site_id, operation) do update set quantity_max = $2, changed_at = $3",
        )
        .bind(operation.as_str())
        .bind(quantity_max)
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn has_other_checker(&mut self, than: IdentityId) -> Result<bool, StoreError> {
        let roles: Vec<_> = Role::ALL
            .iter()
            .filter(|role| role.may(Capability::ApprovalsDecide))
            .map(|role| role.as_str())
            .collect();
        let found = sqlx::query(
            "select from memberships where state = 'active' and role = any($1) and identity_id <> $2 limit 1",
        )
        .bind(roles)
        .bind(than.as_uuid())
        .fetch_optional(self.connection())
        .await
        .store()?;
        Ok(found.is_some())
    }
}

impl SiteTx {
    /// Joins the effect's own transaction: the row stays locked until that ends, so of two uses at once the second finds
    /// it applied.
    pub(crate) async fn use_approval_of(
        &mut self,
        call: &IdempotentCall,
        id: ApprovalId,
    ) -> Result<ApprovalUse, StoreError> {
        let Some(mut approval) = ApprovalRepository::for_update(self, id).await? else {
            return Ok(ApprovalUse::Unknown);
        };
        let outcome = approval.apply(call);
        if outcome == ApprovalUse::Applied {
            ApprovalRepository::save(self, &approval).await?;
            self.append(approval.happened("approval.applied", call.at))
                .await?;
        }
        Ok(outcome)
    }
}

#[async_trait]
impl ApprovalQueries for Database {
    async fn approvals(
        &self,
        scope: &SiteScope,
        filter: ApprovalFilter,
        page: PageRequest,
        now: Timestamp,
    ) -> Result<Page<ApprovalView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(APPROVAL);
        match filter.state {
            None => {}
            Some(ApprovalStateName::Expired) => {
                sql.push(" and state in ('submitted', 'approved') and expires_at <= ")
                    .push_bind(now);
            }
            Some(state @ (ApprovalStateName::Submitted | ApprovalStateName::Approved)) => {
                sql.push(" and expires_at > ")
                    .push_bind(now)
                    .push(" and state = ")
                    .push_bind(state.as_str());
            }
            Some(state) => {
                sql.push(" and state = ").push_bind(state.as_str());
            }
        }
        if let Some(after) = page.after_id() {
            sql.push(" and id < ").push_bind(after);
        }
        sql.push(" order by id desc limit ")
            .push_bind(i32::from(page.limit()) + 1);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let view = |row| Ok(ApprovalView::of(&approval(row)?, now));
        let views = rows.iter().map(view).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn approval(
        &self,
        scope: &SiteScope,
        id: ApprovalId,
        now: Timestamp,
    ) -> Result<Option<ApprovalView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(APPROVAL);
        sql.push(" and id = ").push_bind(id.as_uuid());
        let mut tx = self.read_site(scope).await?;
        let row = sql.build().fetch_optional(tx.connection()).await.store()?;
        row.map(|row| Ok(ApprovalView::of(&approval(&row)?, now)))
            .transpose()
    }

    async fn approval_limits(&self, scope: &SiteScope) -> Result<Vec<ApprovalLimitView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows =
            sqlx::query("select operation, quantity_max, changed_at from approval_limits order by operation")
                .fetch_all(tx.connection())
                .await
                .store()?;
        rows.iter().map(limit).collect()
    }
}

fn limit(row: &PgRow) -> Result<ApprovalLimitView, StoreError> {
    let operation = ReviewedOperation::from_name(row.try_get("operation").store()?);
    Ok(ApprovalLimitView {
        operation: operation.ok_or_else(|| StoreError::broken("the operation of a limit"))?,
        quantity_max: row.try_get("quantity_max").store()?,
        changed_at: row.try_get("changed_at").store()?,
    })
}

fn approval(row: &PgRow) -> Result<Approval, StoreError> {
    let operation = ReviewedOperation::from_name(row.try_get("operation").store()?);
    let hash: Vec<u8> = row.try_get("request_hash").store()?;
    Ok(Approval {
        id: ApprovalId::from_uuid(row.try_get("id").store()?),
        operation: operation.ok_or_else(|| StoreError::broken("an approval's operation"))?,
        quantity: row.try_get("quantity").store()?,
        request: ReviewedRequest {
            method: row.try_get("method").store()?,
            path: row.try_get("path").store()?,
            body: row.try_get("body").store()?,
            hash: hash
                .try_into()
                .map_err(|_| StoreError::broken("an approval's hash"))?,
        },
        maker: IdentityId::from_uuid(row.try_get("maker_id").store()?),
        state: state(row)?,
        created_at: row.try_get("created_at").store()?,
        expires_at: row.try_get("expires_at").store()?,
    })
}

fn state(row: &PgRow) -> Result<ApprovalState, StoreError> {
    let checker = || Ok(IdentityId::from_uuid(row.try_get("checker_id").store()?));
    let decided_at = || row.try_get("decided_at").store();
    let ended_at = || row.try_get("ended_at").store();
    Ok(match row.try_get("state").store()? {
        "submitted" => ApprovalState::Submitted,
        "approved" => ApprovalState::Approved {
            checker: checker()?,
            at: decided_at()?,
        },
        "rejected" => ApprovalState::Rejected {
            checker: checker()?,
            at: decided_at()?,
            reason: row.try_get("reason").store()?,
        },
        "withdrawn" => ApprovalState::Withdrawn { at: ended_at()? },
        "applied" => ApprovalState::Applied {
            checker: checker()?,
            approved_at: decided_at()?,
            at: ended_at()?,
        },
        _ => return Err(StoreError::broken("an approval's state")),
    })
}
