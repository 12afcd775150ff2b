//! The wiring: which adapter stands behind which port.

use std::sync::Arc;
use std::time::Duration;

use posx_allocations::custody::Custody;
use posx_allocations::{AllocationQueries, Allocations, GasFloor, VestingQueries};
use posx_assistant::documents::{DocumentParts, DocumentQueries, Documents};
use posx_assistant::{
    BudgetQueries, CreditQueries, Gateway, ModelBudgets, Models, PriceBook, Quota, SetupQueries,
};
use posx_assistant::{ChatParts, Chats, ConversationQueries, Conversations};
use posx_commissions::{AgentQueries, Agents, CommissionQueries, Commissions, PayoutQueries, Payouts};
use posx_envelope::MasterKeyError;
use posx_ethereum::NodeAddressError;
use posx_kernel::{
    Clock, Ids, Randomness, SecretError, SecretKeeper, StoreError, SystemIds, SystemRandomness,
};
use posx_ledger::reconcile::{ReconciliationQueries, Reconciliations};
use posx_ledger::{Books, LedgerQueries, PeriodQueries};
use posx_orders::gateway::PaymentGateway;
use posx_orders::{OrderQueries, Orders};
use posx_postgres::{Database, DatabaseOptions, JobsDatabase, PgDirectory};
use posx_redis::{CachedDirectory, LocalLimiter, RedisLimiter};
use posx_stripe::SigningSecret;
use posx_tenancy::{
    ApiKeyQueries, ApiKeys, ApprovalQueries, Approvals, CustomerQueries, Customers, DeviceQueries, Devices,
    Directory, InvitationQueries, Invitations, MemberQueries, Members, PersonalData, PlaceQueries, Places,
    RateLimiter, ReferralQueries, SecondFactors, Sessions, SignInGuard, Site, Tenancy, WalletProofs,
};
use posx_tiers::{PromoCodeQueries, PromoCodes, TierQueries, Tiers};
use secrecy::ExposeSecret as _;

use crate::assistant::{self, Around};
use crate::documents;
use crate::mail;
use crate::model_budgets;
use crate::platform::PlatformPlane;
use crate::provider_accounts::ProviderAccounts;
use crate::providers::{self, Providers};
use crate::secrets::Kept;
use crate::sessions::{self, SessionGate};
use crate::stripe_webhooks::StripeWebhooks;
use crate::wallets;
use crate::{CustodySettings, DatabaseSettings, Environment, GasFloorSettings, Settings, StepUpSettings};

/// Who asked has gone by then: what is left is to settle.
const MODEL_CALLS_END: Duration = Duration::from_secs(10);

/// Everything that a request or a job may use. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    pub environment: Environment,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub randomness: Arc<dyn Randomness>,
    /// On the role `posx_app`.
    pub database: Database,
    /// For what is kept sealed.
    pub secrets: Arc<dyn SecretKeeper>,
    pub provider_accounts: ProviderAccounts,
    /// On the role `posx_jobs`.
    pub jobs_database: JobsDatabase,
    pub directory: Arc<dyn Directory>,
    pub limiter: Arc<dyn RateLimiter>,
    pub sign_in_guard: SignInGuard,
    /// For readiness; absent when none is configured.
    pub redis: Option<Arc<RedisLimiter>>,
    pub tenancy: Tenancy,
    pub members: Members,
    pub invitations: Invitations,
    pub places: Places,
    pub personal_data: PersonalData,
    pub wallet_proofs: WalletProofs,
    pub api_keys: ApiKeys,
    pub devices: Devices,
    pub tiers: Tiers,
    pub promo_codes: PromoCodes,
    pub orders: Orders,
    pub commissions: Commissions,
    pub agents: Agents,
    pub payouts: Payouts,
    pub allocations: Allocations,
    pub conversations: Conversations,
    pub chats: Chats,
    pub conversation_queries: Arc<dyn ConversationQueries>,
    pub approvals: Approvals,
    pub approval_queries: Arc<dyn ApprovalQueries>,
    pub second_factors: SecondFactors,
    pub step_up: StepUpSettings,
    pub tier_queries: Arc<dyn TierQueries>,
    pub promo_code_queries: Arc<dyn PromoCodeQueries>,
    pub order_queries: Arc<dyn OrderQueries>,
    pub ledger_queries: Arc<dyn LedgerQueries>,
    pub books: Books,
    pub period_queries: Arc<dyn PeriodQueries>,
    pub reconciliations: Reconciliations,
    pub reconciliation_queries: Arc<dyn ReconciliationQueries>,
    pub referral_queries: Arc<dyn ReferralQueries>,
    pub member_queries: Arc<dyn MemberQueries>,
    pub invitation_queries: Arc<dyn InvitationQueries>,
    pub place_queries: Arc<dyn PlaceQueries>,
    pub api_key_queries: Arc<dyn ApiKeyQueries>,
    pub device_queries: Arc<dyn DeviceQueries>,
    pub commission_queries: Arc<dyn CommissionQueries>,
    pub agent_queries: Arc<dyn AgentQueries>,
    pub payout_queries: Arc<dyn PayoutQueries>,
    pub allocation_queries: Arc<dyn AllocationQueries>,
    pub vesting_queries: Arc<dyn VestingQueries>,
    pub payments: Arc<dyn PaymentGateway>,
    pub custody: Arc<dyn Custody>,
    /// Where Stripe is the payment provider.
    pub stripe: Option<posx_stripe::StripeAccounts>,
    pub verifier: Arc<posx_oidc::Verifier>,
    /// Whose tokens people get who sign in with a wallet; absent when that is off.
    pub wallet_issuer: Option<Arc<posx_issuer::TokenIssuer>>,
    pub sessions: Sessions,
    /// Absent where browsers have none.
    pub session_gate: Option<Arc<SessionGate>>,
    /// In a server that was given it by [`with_platform`](Self::with_platform).
    pub platform: Option<Arc<PlatformPlane>>,
    /// To language models.
    pub gateway: Gateway,
    pub models: Models,
    pub model_prices: Arc<PriceBook>,
    pub model_quota: Arc<dyn Quota>,
    pub model_budgets: ModelBudgets,
    pub model_budget_queries: Arc<dyn BudgetQueries>,
    pub model_credit_queries: Arc<dyn CreditQueries>,
    pub model_setups: Arc<dyn SetupQueries>,
    pub documents: Documents,
    pub document_queries: Arc<dyn DocumentQueries>,
    /// Where the API takes files itself.
    pub document_folder: Option<posx_objects::Folder>,
    pub customers: Customers,
    pub customer_queries: Arc<dyn CustomerQueries>,
    pub stripe_webhooks: Arc<StripeWebhooks>,
    pub fireblocks_webhooks: Arc<posx_fireblocks::WebhookVerifier>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

/// Why a process does not start. Names what is wrong, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the database cannot be reached as {role}")]
    Database {
        role: &'static str,
        #[source]
        source: StoreError,
    },
    /// Row-level security would not hold.
    #[error("the database role must not serve: {}", .0.join("; "))]
    Posture(Vec<String>),
    #[error("the token issuers are not usable")]
    Issuers(#[source] posx_oidc::ConfigError),
    #[error("a webhook secret is not usable")]
    WebhookSecret(#[source] posx_stripe::SecretError),
    #[error("custody.jwks_url is not usable")]
    CustodyKeys(#[source] posx_fireblocks::AddressError),
    #[error("sign_in is not usable")]
    WalletIssuer(#[source] posx_issuer::IssuerError),
    #[error("a node in wallets.nodes is not usable")]
    Node(#[source] NodeAddressError),
    #[error("documents is not usable")]
    Documents(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("mail is not usable")]
    Mail(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("secrets.master_keys is not usable")]
    MasterKeys(#[source] MasterKeyError),
    #[error("assistant is not usable: {0}")]
    Assistant(String),
    #[error("Redis is not usable")]
    Redis(#[source] posx_redis::RedisAddressError),
    #[error("assistant.prices: {} is not as it was recorded; a new price is a new version", .0.join(", "))]
    PricesEdited(Vec<String>),
    #[error("{setting} names the site {code}, and there is none")]
    NoSuchSite { setting: &'static str, code: String },
    #[error("the client of the {kind} provider cannot be made")]
    Provider {
        kind: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Services {
    /// Opens the pools, checks that row-level security holds for the app role, and wires everything. Neither issuers nor
    /// providers nor Redis are called: a start depends on the database only.
    pub async fn connect(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let pools = open(&settings.database).await?;
        model_budgets::record_prices(settings, &pools.1, clock.now()).await?;
        let kept = Kept::new(settings, &pools.0, &clock)?;
        let directory = PgDirectory::new(pools.0.clone(), clock.clone(), Arc::new(SystemIds));
        let world = providers::World {
            directory: &directory,
            clock: clock.clone(),
            randomness: Arc::new(SystemRandomness),
            own_keys: Arc::new(kept.accounts.clone()),
        };
        let providers = providers::of_settings(settings, &world).await?;
        Self::wire(settings, clock, pools, kept, providers)
    }

    /// As [`connect`](Self::connect), with providers of the caller's: tests inject theirs.
    pub async fn connect_with(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        providers: Providers,
    ) -> Result<Self, StartError> {
        let pools = open(&settings.database).await?;
        model_budgets::record_prices(settings, &pools.1, clock.now()).await?;
        let kept = Kept::new(settings, &pools.0, &clock)?;
        Self::wire(settings, clock, pools, kept, providers)
    }

    #[expect(
        clippy::too_many_lines,
        reason = "a flat list: which adapter stands behind which port"
    )]
    fn wire(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        (database, jobs_database): (Database, JobsDatabase),
        kept: Kept,
        providers: Providers,
    ) -> Result<Self, StartError> {
        let (verifier, wallet_issuer) = wallets::verifier(settings, clock.clone())?;
        let stripe_webhooks = StripeWebhooks::new(&settings.payments)?;
        let keys =
            posx_fireblocks::HttpKeys::new(&settings.custody.jwks_url).map_err(StartError::CustodyKeys)?;
        let fireblocks_webhooks = posx_fireblocks::WebhookVerifier::new(Arc::new(keys), clock.clone());
        let redis = match &settings.redis {
            Some(redis) => {
                let limiter = RedisLimiter::new(redis.url.expose_secret()).map_err(StartError::Redis)?;
                Some(Arc::new(limiter))
            }
            None => None,
        };
        let limiter: Arc<dyn RateLimiter> = match &redis {
            Some(redis) => redis.clone(),
            None => Arc::new(LocalLimiter::default()),
        };
        let ids: Arc<dyn Ids> = Arc::new(SystemIds);
        let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
        let directory = PgDirectory::new(database.clone(), clock.clone(), ids.clone());
        let directory: Arc<dyn Directory> = Arc::new(CachedDirectory::new(Arc::new(directory)));
        let db = Arc::new(database.clone());
        let Providers {
            payments,
            payouts,
            custody,
            payment_lines,
            custody_lines,
            stripe,
            language_model,
        } = providers;
        let book = assistant::book(&settings.assistant)?;
        let budgets = model_budgets::wire(
            &database,
            book.limits,
            settings.redis.as_ref(),
            (clock.clone(), ids.clone()),
        )?;
        let model_quota = budgets.quota;
        let around = Around {
            secrets: kept.secrets.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            randomness: randomness.clone(),
        };
        let behind = (language_model, model_quota.clone());
        let (gateway, models) =
            assistant::wire(&settings.assistant, &db, behind, book.prices.clone(), around);
        let orders = Orders::new(
            db.clone(),
            db.clone(),
            payments.clone(),
            clock.clone(),
            ids.clone(),
            randomness.clone(),
        )
        .with_cooling_off(settings.wallets.cooling_off());
        let customers = Customers::new(db.clone(), clock.clone(), ids.clone(), randomness.clone());
        let (file_storage, document_folder) = documents::storage(settings.documents.as_ref())?;
        let documents = Documents::new(DocumentParts {
            db: db.clone(),
            queries: db.clone(),
            storage: file_storage,
            pdf: Arc::new(documents::pdf_reader()?),
            gateway: gateway.clone(),
            orders: orders.clone(),
            customers: customers.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        });
        Ok(Self {
            environment: settings.environment,
            directory: directory.clone(),
            sign_in_guard: SignInGuard::new(limiter.clone()),
            limiter,
            redis,
            members: Members::new(db.clone(), directory.clone(), clock.clone()),
            invitations: Invitations::new(
                db.clone(),
                directory,
                mail::invitations(settings.mail.as_ref(), clock.clone(), ids.clone())?,
                clock.clone(),
                ids.clone(),
                randomness.clone(),
            ),
            personal_data: PersonalData::new(db.clone(), clock.clone(), ids.clone(), randomness.clone()),
            places: Places::new(db.clone(), clock.clone(), ids.clone()),
            tenancy: Tenancy::new(db.clone(), clock.clone(), ids.clone(), randomness.clone()),
            wallet_proofs: wallets::proofs(&settings.wallets, db.clone(), clock.clone(), randomness.clone())?,
            api_keys: ApiKeys::new(
                db.clone(),
                db.clone(),
                clock.clone(),
                ids.clone(),
                randomness.clone(),
            ),
            devices: Devices::new(
                db.clone(),
                db.clone(),
                clock.clone(),
                ids.clone(),
                randomness.clone(),
            ),
            tiers: Tiers::new(db.clone(), clock.clone(), ids.clone()),
            promo_codes: PromoCodes::new(db.clone(), clock.clone(), ids.clone()),
            orders,
            commissions: Commissions::new(db.clone(), clock.clone(), ids.clone()),
            agents: Agents::new(db.clone(), clock.clone(), ids.clone()),
            payouts: Payouts::new(
                db.clone(),
                payouts,
                kept.secrets.clone(),
                clock.clone(),
                ids.clone(),
            ),
            allocations: Allocations::new(db.clone(), custody.clone(), clock.clone(), ids.clone())
                .with_gas_floors(gas_floors(&settings.custody)),
            conversations: Conversations::new(db.clone(), clock.clone(), ids.clone()),
            chats: Chats::new(ChatParts {
                db: db.clone(),
                gateway: gateway.clone(),
                staff: db.clone(),
                public: db.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
                randomness: randomness.clone(),
            }),
            conversation_queries: db.clone(),
            approvals: Approvals::new(db.clone(), clock.clone(), ids.clone()),
            approval_queries: db.clone(),
            second_factors: SecondFactors::new(
                db.clone(),
                kept.secrets.clone(),
                clock.clone(),
                ids.clone(),
                randomness.clone(),
            ),
            step_up: settings.step_up.clone(),
            tier_queries: db.clone(),
            promo_code_queries: db.clone(),
            order_queries: db.clone(),
            ledger_queries: db.clone(),
            books: Books::new(db.clone(), db.clone(), clock.clone(), ids.clone()),
            period_queries: db.clone(),
            reconciliations: Reconciliations::new(
                &db,
                payment_lines,
                custody_lines,
                clock.clone(),
                ids.clone(),
            ),
            reconciliation_queries: db.clone(),
            referral_queries: db.clone(),
            member_queries: db.clone(),
            invitation_queries: db.clone(),
            place_queries: db.clone(),
            api_key_queries: db.clone(),
            device_queries: db.clone(),
            commission_queries: db.clone(),
            agent_queries: db.clone(),
            payout_queries: db.clone(),
            allocation_queries: db.clone(),
            vesting_queries: db.clone(),
            gateway,
            models,
            model_prices: book.prices,
            model_quota,
            model_budgets: budgets.kept,
            model_budget_queries: budgets.queries,
            model_credit_queries: db.clone(),
            document_queries: db.clone(),
            customer_queries: db.clone(),
            documents,
            document_folder,
            customers,
            model_setups: db,
            verifier: Arc::new(verifier),
            session_gate: sessions::gate(settings.sessions.as_ref(), wallet_issuer.as_ref())?,
            sessions: sessions::sessions(
                settings.sessions.as_ref(),
                &database,
                clock.clone(),
                ids.clone(),
                randomness.clone(),
            ),
            wallet_issuer,
            platform: None,
            stripe_webhooks: Arc::new(stripe_webhooks),
            secrets: kept.secrets,
            provider_accounts: kept.accounts,
            fireblocks_webhooks: Arc::new(fireblocks_webhooks),
            clock,
            ids,
            randomness,
            database,
            jobs_database,
            payments,
            custody,
            stripe,
        })
    }

    /// With the platform plane, where it is configured: for the API. A worker has no business there.
    pub async fn with_platform(self, settings: &Settings) -> Result<Self, StartError> {
        let platform = PlatformPlane::connect(settings, self.clock.clone()).await?;
        Ok(Self { platform, ..self })
    }

    /// The secrets of the site's own endpoint for Stripe's events; none: its events come to the shared one. The account that
    /// the site gave wins over the one of the settings.
    pub async fn stripe_endpoint_of(&self, site: &Site) -> Result<Vec<SigningSecret>, SecretError> {
        if let Some(own) = self.provider_accounts.stripe_of(site.id).await? {
            return Ok(own.webhook_secrets.clone());
        }
        Ok(self
            .stripe_webhooks
            .sites
            .get(&site.code)
            .cloned()
            .unwrap_or_default())
    }

    /// Settles the calls of models that are under way, waits until every connection is back, and closes the pools.
    pub async fn close(&self) {
        if !self.gateway.drain(MODEL_CALLS_END).await {
            tracing::warn!("calls of models were under way at the end: their reservations expire");
        }
        if let Some(platform) = &self.platform {
            platform.close().await;
        }
        self.database.close().await;
        self.jobs_database.pool().close().await;
    }
}

async fn open(settings: &DatabaseSettings) -> Result<(Database, JobsDatabase), StartError> {
    let options = DatabaseOptions {
        pool_size: settings.pool_size,
        ..DatabaseOptions::default()
    };
    let as_app = |source| StartError::Database {
        role: "posx_app",
        source,
    };
    let database = Database::connect(settings.app_url.expose_secret(), options)
        .await
        .map_err(as_app)?;
    let posture = database.posture().await.map_err(as_app)?;
    if !posture.is_sound() {
        return Err(StartError::Posture(posture.problems));
    }
    let jobs_database = JobsDatabase::connect(settings.jobs_url.expose_secret(), settings.jobs_pool_size)
        .await
        .map_err(|source| StartError::Database {
            role: "posx_jobs",
            source,
        })?;
    Ok((database, jobs_database))
}

fn gas_floors(settings: &CustodySettings) -> Vec<GasFloor> {
    let floor = |floor: &GasFloorSettings| GasFloor {
        token: floor.token.clone(),
        gas: floor.gas.clone(),
        gas_decimals: floor.gas_decimals,
        minimum: floor.minimum,
    };
    settings.gas_floors.iter().map(floor).collect()
}
