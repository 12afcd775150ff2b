//! The port of allocations to a custodian, on the real one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posx_allocations::CustodyAsset;
use posx_allocations::custody::{Custody, CustodyError, ExternalId, Transfer, TransferRequest, spendable};
use posx_kernel::{Clock, Randomness, SiteId, TokenAmount};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::address::client_for;
use crate::client::{FireblocksClient, IdempotencyKey, RetryPolicy};
use crate::error::FireblocksError;
use crate::event::TransactionView;
use crate::sign::{CredentialsError, RequestSigner};
use crate::vault::{VaultAccount, VaultAsset};
use crate::workspace::{Interlock, Mode, Workspace, WorkspaceError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How Fireblocks is reached. Nothing has a default that moves tokens.
#[derive(Debug, Clone)]
pub struct CustodyConfig {
    pub workspace: Workspace,
    pub interlock: Interlock,
    /// The API user's id.
    pub api_key: SecretString,
    /// The API user's: RSA, in PEM.
    pub private_key: SecretString,
    /// For one try, its answer included; [`Self::TIMEOUT`] unless there is a reason.
    pub timeout: Duration,
    pub retry: RetryPolicy,
}

impl CustodyConfig {
    pub const TIMEOUT: Duration = Duration::from_secs(20);
}

/// What must stop the start. Names what is wrong, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("the HTTP client for Fireblocks cannot be made")]
    Client(#[source] reqwest::Error),
}

/// Transfers at Fireblocks, by one API user of one workspace. Whose vault is whose is for the caller (F25).
#[derive(Debug, Clone)]
pub struct FireblocksCustody {
    pub(crate) client: Arc<FireblocksClient>,
    /// Both locks were open when it was made.
    real: bool,
}

/// What came of the wish to stop a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelOutcome {
    /// It is being cancelled: its state tells when it is.
    Cancelling,
    /// It is on its way to the chain, or has ended.
    NotCancellable,
    NoSuchTransaction,
}

/// One transfer to one address. A batch is many of these: chains have no transfer to several (F16).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewTransaction<'a> {
    operation: &'static str,
    external_tx_id: &'a ExternalId,
    asset_id: &'a str,
    source: Source<'a>,
    destination: Destination<'a>,
    /// In whole tokens; a JSON number would lose digits.
    amount: String,
}

#[derive(Serialize)]
struct Source<'a> {
    r#type: &'static str,
    id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Destination<'a> {
    r#type: &'static str,
    one_time_address: OneTimeAddress<'a>,
}

#[derive(Serialize)]
struct OneTimeAddress<'a> {
    address: &'a str,
}

#[derive(Deserialize)]
struct Cancelled {
    success: bool,
}

impl FireblocksCustody {
    /// Calls nobody. Refuses a workspace that the interlock does not open.
    pub fn new(
        config: CustodyConfig,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Self, ConfigError> {
        let base = config.workspace.unlocked(config.interlock)?;
        // A workspace that moves real tokens is unlocked by both, and a sandbox only while the mode is not live.
        let real = config.interlock.mode == Mode::Live && config.interlock.real_transfers;
        let signer = RequestSigner::new(
            config.api_key,
            &config.private_key,
            clock,
            Arc::clone(&randomness),
        )?;
        let http = client_for(&base)
            .connect_timeout(CONNECT_TIMEOUT)
            // A request is signed for one use, and what may be sent again is decided here.
            .retry(reqwest::retry::never())
            .build()
            .map_err(ConfigError::Client)?;
        let (timeout, retry) = (config.timeout, config.retry);
        let client = FireblocksClient::new(http, base, signer, timeout, retry, randomness);
        Ok(Self {
            client: Arc::new(client),
            real,
        })
    }

    pub async fn transaction(&self, id: &str) -> Result<Option<TransactionView>, FireblocksError> {
        self.transaction_at(&["transactions", id]).await
    }

    /// Works only before the transaction is broadcast (F11). A second wish changes nothing.
    pub async fn cancel(&self, id: &str) -> Result<CancelOutcome, FireblocksError> {
        let key = self.client.fresh_key();
        let path = ["transactions", id, "cancel"];
        let answer = match self.client.post::<Cancelled>(&path, &key, b"").await {
            Ok(answer) => Some(answer),
            Err(error) => error.unless_missing()?,
        };
        Ok(match answer {
            Some(Cancelled { success: true }) => CancelOutcome::Cancelling,
            Some(Cancelled { success: false }) => CancelOutcome::NotCancellable,
            None => CancelOutcome::NoSuchTransaction,
        })
    }

    pub async fn vault_account(&self, id: &str) -> Result<Option<VaultAccount>, FireblocksError> {
        self.client.find(&["vault", "accounts", id]).await
    }

    pub async fn vault_asset(&self, vault: &str, asset: &str) -> Result<Option<VaultAsset>, FireblocksError> {
        self.client.find(&["vault", "accounts", vault, asset]).await
    }

    async fn transaction_at(&self, path: &[&str]) -> Result<Option<TransactionView>, FireblocksError> {
        let found = self.client.find::<Value>(path).await?;
        Ok(found.map(TransactionView::from_data).transpose()?)
    }

    async fn by_external_id(&self, external_id: &ExternalId) -> Result<Option<Transfer>, FireblocksError> {
        let path = ["transactions", "external_tx_id", &external_id.0];
        let found = self.transaction_at(&path).await?.map(Transfer::from);
        match found {
            // Another's transfer must never pass for this one.
            Some(Transfer {
                external_id: Some(other),
                ..
            }) if other != *external_id => Err(FireblocksError::Field("externalTxId")),
            found => Ok(found),
        }
    }

    async fn create(
        &self,
        request: &TransferRequest,
        key: &IdempotencyKey,
        body: &[u8],
    ) -> Result<Transfer, FireblocksError> {
        let made = self.client.post::<Value>(&["transactions"], key, body).await?;
        Ok(Transfer {
            // The answer to a new transaction does not repeat it.
            external_id: Some(request.external_id.clone()),
            ..TransactionView::from_data(made)?.into()
        })
    }

    /// The first request with this key broke down inside Fireblocks. Whether it made the transfer, only a look-up says;
    /// then the key is of no more use (F04). The external id stays, and would still be refused a second time.
    async fn create_with_new_key(
        &self,
        request: &TransferRequest,
        body: &[u8],
    ) -> Result<Transfer, CustodyError> {
        // Whatever keeps the look-up from an answer says nothing of the transfer.
        let unknown = |error| CustodyError::Unknown(Box::new(error));
        match self.by_external_id(&request.external_id).await.map_err(unknown)? {
            Some(found) => Ok(found),
            None => Ok(self.create(request, &self.client.fresh_key(), body).await?),
        }
    }
}

#[async_trait]
impl Custody for FireblocksCustody {
    fn provider(&self) -> &'static str {
        "fireblocks"
    }

    fn moves_real_tokens(&self) -> bool {
        self.real
    }

    async fn submit(&self, request: &TransferRequest) -> Result<Transfer, CustodyError> {
        let body = NewTransaction::of(request).bytes()?;
        match self.create(request, &IdempotencyKey::of(&body), &body).await {
            Err(FireblocksError::KeySpent) => self.create_with_new_key(request, &body).await,
            outcome => Ok(outcome?),
        }
    }

    async fn find(&self, _site: SiteId, external_id: &ExternalId) -> Result<Option<Transfer>, CustodyError> {
        Ok(self.by_external_id(external_id).await?)
    }

    async fn available(
        &self,
        _site: SiteId,
        asset: &CustodyAsset,
    ) -> Result<Option<TokenAmount>, CustodyError> {
        let wallet = self.vault_asset(&asset.vault, &asset.provider_asset).await?;
        let spendable = wallet.map(|wallet| spendable(&wallet.available, asset.decimals));
        let spendable = spendable.transpose();
        Ok(spendable.map_err(|_| FireblocksError::Field("available"))?)
    }
}

impl<'a> NewTransaction<'a> {
    fn of(request: &'a TransferRequest) -> Self {
        Self {
            operation: "TRANSFER",
            external_tx_id: &request.external_id,
            asset_id: &request.provider_asset,
            source: Source {
                r#type: "VAULT_ACCOUNT",
                id: &request.vault,
            },
            destination: Destination {
                r#type: "ONE_TIME_ADDRESS",
                one_time_address: OneTimeAddress { address: &request.to },
            },
            amount: request.amount.in_tokens(request.decimals),
        }
    }

    /// What is hashed, and what is sent.
    fn bytes(&self) -> Result<Vec<u8>, FireblocksError> {
        serde_json::to_vec(self).map_err(|error| (&error).into())
    }
}

impl From<TransactionView> for Transfer {
    fn from(transaction: TransactionView) -> Self {
        let confirmations = transaction.confirmations.unwrap_or_default();
        Self {
            provider_id: transaction.id,
            external_id: transaction.external_tx_id.map(ExternalId),
            status: transaction.status.name().to_owned(),
            sub_status: transaction.sub_status.map(|reason| reason.as_str().to_owned()),
            tx_hash: transaction.tx_hash,
            confirmations: u32::try_from(confirmations).unwrap_or(u32::MAX),
        }
    }
}
