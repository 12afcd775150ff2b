//! Ids in a path. What is no id names nothing: 404, like an id that nobody has.

use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use posx_allocations::{BatchError, RetryError, VestingError};
use posx_assistant::ChatError;
use posx_assistant::documents::DocumentError;
use posx_commissions::{AgentError, PayoutError, PlanError};
use posx_kernel::{
    AllocationId, ApiKeyId, ApprovalId, BatchId, CommissionId, ConversationId, DeviceId, DisputeId,
    DocumentId, IdentityId, InvitationId, OrderId, PartyId, PayoutFileId, PayoutId, PeriodId, PlaceId,
    PlanId, PromoCodeId, ReconciliationId, SessionId, SettlementId, StatementId, TierId, VestingPolicyId,
    VestingScheduleId, WebhookId, WithdrawalId,
};
use posx_ledger::PeriodError;
use posx_ledger::reconcile::ReconcileError;
use posx_orders::OrderError;
use posx_tenancy::{
    ApiKeyError, ApprovalError, DeviceError, InvitationError, MemberError, PersonalDataError, PlaceError,
};
use posx_tiers::{ChainFamily, PromoCodeError, TierError};

use crate::problem::{ApiError, EdgeError};

/// What may stand in a path.
pub trait PathId: Sized + 'static {
    fn read(text: &str) -> Option<Self>;
    fn not_found() -> ApiError;
}

/// The last `{…}` of the route.
#[derive(Debug, Clone, Copy)]
pub struct Id<T>(pub T);

impl<T: PathId> FromRequest for Id<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let found = req.match_info().iter().last().and_then(|(_, text)| T::read(text));
        ready(found.map(Self).ok_or_else(T::not_found))
    }
}

macro_rules! path_ids {
    ($($id:ty => $error:expr;)+) => {$(
        impl PathId for $id {
            fn read(text: &str) -> Option<Self> {
                Self::from_str(text).ok()
            }
            fn not_found() -> ApiError {
                ApiError::from($error)
            }
        }
    )+};
}

path_ids! {
    DisputeId => OrderError::DisputeNotFound;
    ConversationId => ChatError::NotFound;
    DocumentId => DocumentError::NotFound;
    ReconciliationId => ReconcileError::NotFound;
    TierId => TierError::NotFound;
    OrderId => OrderError::NotFound;
    PlanId => PlanError::NotFound;
    PromoCodeId => PromoCodeError::NotFound;
    AllocationId => RetryError::NotFound;
    CommissionId => EdgeError::NotFound { code: "commission_not_found", what: "commission" };
    BatchId => BatchError::NoSuchBatch;
    IdentityId => MemberError::NotFound;
    PartyId => PersonalDataError::NotFound;
    StatementId => EdgeError::NotFound { code: "statement_not_found", what: "statement" };
    PlaceId => PlaceError::NotFound;
    InvitationId => InvitationError::NotFound;
    ApiKeyId => ApiKeyError::NotFound;
    DeviceId => DeviceError::NotFound;
    ApprovalId => ApprovalError::NotFound;
    SettlementId => PayoutError::SettlementNotFound;
    PayoutId => PayoutError::NotFound;
    PayoutFileId => PayoutError::FileNotFound;
    PeriodId => PeriodError::NotFound;
    WithdrawalId => PayoutError::WithdrawalNotFound;
    SessionId => EdgeError::SESSION_NOT_FOUND;
    VestingPolicyId => VestingError::NoSuchPolicy;
    VestingScheduleId => VestingError::NoSuchSchedule;
    WebhookId => EdgeError::NotFound { code: "webhook_event_not_found", what: "webhook event that can be replayed" };
}

/// An agent is named by its party.
#[derive(Debug, Clone, Copy)]
pub struct AgentParty(pub PartyId);

impl PathId for AgentParty {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
    fn not_found() -> ApiError {
        AgentError::NotFound.into()
    }
}

/// An account of the books, as `commission:payable:pty_…`.
#[derive(Debug, Clone)]
pub struct AccountCode(pub String);

impl PathId for AccountCode {
    fn read(text: &str) -> Option<Self> {
        let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, ':' | '_' | '-');
        text.chars().all(named).then(|| Self(text.to_owned()))
    }

    fn not_found() -> ApiError {
        EdgeError::NotFound {
            code: "ledger_account_not_found",
            what: "account, or nothing was ever posted to it in this unit",
        }
        .into()
    }
}

/// A job's number in the queue.
#[derive(Debug, Clone, Copy)]
pub struct JobNumber(pub i64);

impl PathId for JobNumber {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number > 0).map(Self)
    }

    fn not_found() -> ApiError {
        EdgeError::NotFound {
            code: "job_not_found",
            what: "dead job",
        }
        .into()
    }
}

impl PathId for ChainFamily {
    fn read(text: &str) -> Option<Self> {
        Self::from_name(text)
    }

    fn not_found() -> ApiError {
        EdgeError::NotFound {
            code: "wallet_family_not_found",
            what: "family of chains",
        }
        .into()
    }
}
