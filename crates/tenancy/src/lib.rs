//! Sites, the people who log in, what they may do, and who referred whom.
//!
//! Invariants:
//! * An [`Identity`](IdentityId) is one (issuer, subject); what it may do in a site comes from its membership there and from
//!   nothing that a token claims.
//! * Routes ask for a [`Capability`]; roles map to capabilities in one table, [`Role::capabilities`].
//! * A membership is changed by who ranks above it, never by its holder; a site keeps an active owner, which the database
//!   enforces as well.
//! * An invitation's token is in one message and nowhere else: its SHA-256 is kept. Whoever holds it becomes, once, what
//!   whoever invited may still grant at that moment.
//! * A wallet is proven by a message of EIP-4361 with a nonce of this site and this holder, which is used once.
//! * Of an API key's or a device's secret only the hash is kept. A key never does what asks for a second factor.
//! * A second factor is proven by one sign-in for ten minutes; no code counts twice, and wrong ones make one wait.
//! * Above a site's limit a second person agrees, once, to exactly one request; maker and checker are never the same.
//! * Platform staff is in one site at a time, under a grant that the site sees, and only reads there. What the platform plane
//!   does is in its audit, in the same transaction.
//! * A refresh token is in one cookie and nowhere else, and good once. Used again later than its grace, it ends its session.
//! * A referral binds once, at the first paid order of the referred party; never self, never a cycle, never changed.

mod api_key;
mod approval;
mod capability;
mod credential;
mod customer;
mod device;
mod email;
mod error;
mod evm_address;
mod grant;
mod invitation;
mod join;
mod limit;
mod mail;
mod member;
mod named;
mod origin;
mod personal_data;
mod place;
mod platform;
mod ports;
mod referral_code;
mod second_factor;
mod session;
mod site;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod wallet_proof;

pub use api_key::{
    ApiKey, ApiKeyError, ApiKeyQueries, ApiKeyRepository, ApiKeys, ApiKeysTx, KeyInUse, KeySecret, NewApiKey,
    RotateApiKey, is_for_keys,
};
pub use approval::{
    APPROVAL_LIFE, Approval, ApprovalError, ApprovalFilter, ApprovalLimitView, ApprovalLimits,
    ApprovalQueries, ApprovalRepository, ApprovalState, ApprovalStateName, ApprovalView, Approvals,
    ApprovalsTx, AskApproval, ReviewedOperation, ReviewedRequest, ReviewedRequestView,
};
pub use capability::{Capability, Proof, Rank, Role};
pub use credential::{CredentialHash, CredentialKind, NewCredential};
pub use customer::{
    Customer, CustomerError, CustomerQueries, CustomerRepository, CustomerView, Customers, CustomersTx,
    NewCustomer,
};
pub use device::{
    Device, DeviceError, DeviceQueries, DeviceRepository, DeviceState, Devices, DevicesTx,
    PAIRING_TRIES_PER_MINUTE, Pairing, Shift, StartedPairing, may_at_device,
};
pub use email::{EmailAddress, EmailAddressError};
pub use error::{JoinError, SiteError};
pub use evm_address::{EvmAddress, EvmAddressError};
pub use grant::{GRANT_CAPABILITIES, Grant, GrantView, GrantWish};
pub use invitation::{
    Accepted, Delivery, INVITATION_DAYS, Invitation, InvitationError, InvitationLink, InvitationLinkError,
    InvitationMail, InvitationQueries, InvitationRefusal, InvitationRepository, InvitationState,
    InvitationToken, InvitationView, Invitations, InvitationsTx, PENDING_MAX, Room, SENDINGS_MAX, Sending,
    TokenHash,
};
pub use join::{Join, Joined, ReferralClaim, Tenancy};
pub use limit::{Bucket, Failures, Penalty, RateLimiter, RateVerdict, SignInGuard};
pub use mail::{Mail, MailOutcome, Mailer, MailerError};
pub use member::{
    MemberError, MemberFilter, MemberQueries, MemberState, MemberTerms, MemberView, Members, Membership,
    MembershipRefusal, MembershipRepository, PLACES_MAX,
};
pub use origin::Origin;
pub use personal_data::{Erasure, PersonalData, PersonalDataError, PersonalDataStore};
pub use place::{
    Place, PlaceError, PlaceQueries, PlaceRepository, PlaceState, PlaceTerms, PlaceView, Places, PlacesTx,
};
pub use platform::{
    Act, ActFilter, ActView, CreateSite, CurrencyFigures, Platform, PlatformCapability, PlatformDirectory,
    PlatformError, PlatformTx, SiteFigures, Span, Staff, StaffRole, StaffState, Visit,
};
pub use ports::{
    Directory, FirstPayment, Member, MemberRepository, NewMember, ReferralEntry, ReferralQueries,
    ReferralRepository, ReferralTree, TenancyTx,
};
pub use posx_kernel::IdentityId;
pub use referral_code::{ReferralCode, ReferralCodeError};
pub use second_factor::{
    Enrolment, FactorStanding, FactorState, PROOF_LIFE, RECOVERY_CODES, RecoveryCode, SecondFactor,
    SecondFactorError, SecondFactorRepository, SecondFactors, SecondFactorsTx, SignInKey, Tried,
};
#[cfg(any(test, feature = "testing"))]
pub use session::testing as session_testing;
pub use session::{
    NewSession, REFRESH_GRACE, RefreshToken, Renewed, Rotation, SESSIONS_MAX, Salt, Session, SessionClient,
    SessionError, SessionRules, SessionStore, SessionView, Sessions, SignInFacts, TokenUse,
};
pub use site::{Module, Site, SiteCode, SiteState};
pub use wallet_proof::{
    CHALLENGE_MINUTES, Challenge, ChallengeWish, MESSAGE_BYTES_MAX, NewChallenge, ProvenWallet,
    SignInMessage, SignatureVerdict, SignatureVerifier, VerifierError, WalletChallenges, WalletProofError,
    WalletProofRules, WalletProofs, WalletProofsTx,
};
