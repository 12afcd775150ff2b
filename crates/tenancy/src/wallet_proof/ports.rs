//! What proofs ask of storage and of who knows the chains.

use async_trait::async_trait;
use posx_kernel::{IdentityId, StoreError, Timestamp, Transaction};

use crate::EvmAddress;

/// A nonce that one message may carry once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChallenge {
    pub nonce: String,
    /// Who asked. None: someone who signs in.
    pub holder: Option<IdentityId>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

#[async_trait]
pub trait WalletChallenges: Send {
    async fn issue(&mut self, challenge: &NewChallenge) -> Result<(), StoreError>;
    /// Whether [`consume`](Self::consume) would take it.
    async fn is_open(
        &mut self,
        nonce: &str,
        holder: Option<IdentityId>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Uses the nonce up, in one guarded statement. False: it is unknown, used, expired, or of another holder. Of any number
    /// of uses at once, one is true.
    async fn consume(
        &mut self,
        nonce: &str,
        holder: Option<IdentityId>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// A transaction in which challenges can be issued and used.
pub trait WalletProofsTx: Transaction {
    fn wallet_challenges(&mut self) -> &mut dyn WalletChallenges;
}

/// What a signature proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// The address' own key signed.
    ByKey,
    /// The contract at the address, on the chain that was asked for, says that it signed (EIP-1271).
    ByContract,
    Invalid,
    /// It can only be a contract's, and no node of the chain is there to ask.
    ContractOff,
}

/// Whether a signature holds cannot be told now.
#[derive(Debug, thiserror::Error)]
#[error("the node cannot be asked")]
pub struct VerifierError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Checks a `personal_sign` signature (EIP-191) of a message.
#[async_trait]
pub trait SignatureVerifier: Send + Sync + std::fmt::Debug {
    /// `signature` is as the wallet gave it: `0x` and hexadecimal digits. Whatever stands there is an answer.
    async fn verify(
        &self,
        address: &EvmAddress,
        chain_id: u64,
        message: &str,
        signature: &str,
    ) -> Result<SignatureVerdict, VerifierError>;
}
