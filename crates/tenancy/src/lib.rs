//! Sites, the people who log in, what they may do, and who referred whom.
//!
//! Invariants:
//! * An [`Identity`](IdentityId) is one (issuer, subject); what it may do in a site comes from its membership there and from
//!   nothing that a token claims.
//! * Routes ask for a [`Capability`]; roles map to capabilities in one table, [`Role::capabilities`].
//! * A wallet is proven by a message of EIP-4361 with a nonce of this site and this holder, which is used once.
//! * A referral binds once, at the first paid order of the referred party; never self, never a cycle, never changed.

mod capability;
mod error;
mod evm_address;
mod join;
mod platform;
mod ports;
mod referral_code;
mod site;
mod wallet_proof;

pub use capability::{Capability, Proof, Role};
pub use error::{JoinError, PlatformError, SiteError};
pub use evm_address::{EvmAddress, EvmAddressError};
pub use join::{Join, Joined, ReferralClaim, Tenancy};
pub use platform::{CreateSite, Platform};
pub use ports::{
    Directory, FirstPayment, Member, MemberRepository, NewMember, PlatformDirectory, RateLimiter,
    RateVerdict, ReferralEntry, ReferralQueries, ReferralRepository, ReferralTree, TenancyTx,
};
pub use posx_kernel::IdentityId;
pub use referral_code::{ReferralCode, ReferralCodeError};
pub use site::{Module, Site, SiteCode, SiteState};
pub use wallet_proof::{
    CHALLENGE_MINUTES, Challenge, ChallengeWish, MESSAGE_BYTES_MAX, NewChallenge, ProvenWallet,
    SignInMessage, SignatureVerdict, SignatureVerifier, VerifierError, WalletChallenges, WalletProofError,
    WalletProofRules, WalletProofs, WalletProofsTx,
};
