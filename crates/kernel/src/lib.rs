//! What every context of POSX shares, and nothing that has a business name of its own: typed ids, money, token
//! amounts, rates, time and randomness as ports, the scope of a site, the open transaction, errors and pages.
//!
//! Invariants:
//! * A [`Money`] is integer minor units of one currency; two currencies never mix, nothing is lost in silence.
//! * A [`SiteScope`] is made by two callers only: the request's verified caller and the runner of a claimed job.
//! * Time, ids and randomness come through [`Clock`], [`Ids`] and [`Randomness`], so that a run can be repeated.

pub mod actor;
pub mod clock;
pub mod currency;
pub mod error;
pub mod event;
pub mod idempotency;
pub mod ids;
pub mod money;
pub mod page;
pub mod rate;
pub mod scope;
pub mod secret;
pub mod token;
pub mod transaction;

pub use actor::{Actor, Who};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use currency::Currency;
pub use error::{Kind, Refusal, Severity, StoreError, StoreFault};
pub use event::{Event, Outbox, changes};
pub use idempotency::{
    ApprovalUse, Claim, Idempotency, IdempotentCall, IdempotentTx, KeyRefusal, Made, RememberedAnswers,
    Review, StoredAnswer, made_before_in_tx, remember_in_tx,
};
pub use ids::{
    AdjustmentId, AllocationId, ApiKeyId, ApprovalId, BatchId, ChainAssetId, CommissionId, ConversationId,
    CreditId, DeviceId, DisputeId, DocumentId, DraftId, EntryId, EventId, FactorId, GrantId, IdError,
    IdentityId, Ids, InvitationId, JobKey, LineId, MessageId, ModelCallId, MovementId, OrderId, PartyId,
    PaymentAttemptId, PayoutFileId, PayoutId, PeriodId, PlaceId, PlanId, PromoCodeId, Randomness,
    ReconciliationId, RefundId, SeededIds, SessionId, SettlementId, SiteId, StatementId, SystemIds,
    SystemRandomness, TierId, TokenSettlementId, VestingPolicyId, VestingReleaseId, VestingScheduleId,
    VisitorId, WebhookId, WithdrawalId, WriteOffId,
};
pub use money::{Money, MoneyError};
pub use page::{Cursor, CursorError, Page, PageRequest};
pub use rate::{Rate, RateError};
pub use scope::SiteScope;
pub use secret::{DataKey, DataKeys, KeyWrapper, Sealed, SecretError, SecretKeeper, SecretPlace, WrappedKey};
pub use token::{TokenAmount, TokenError};
pub use transaction::{Begin, Transaction, retry_busy};
