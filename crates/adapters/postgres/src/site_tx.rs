//! The open transaction of one site. It lends every repository.

use async_trait::async_trait;
use posx_kernel::{
    Actor, Begin, Idempotency, IdempotentTx, IdentityId, Outbox, SiteId, SiteScope, StoreError, Transaction,
    Who,
};
use posx_ledger::{LedgerRepository, LedgerTx};
use posx_orders::{
    AttemptRepository, DisputeRepository, OrderRepository, OrdersTx, RefundRepository, WalletRepository,
};
use posx_tenancy::{MemberRepository, MembershipRepository, ReferralRepository, TenancyTx};
use posx_tiers::{AssetRepository, PromoCodeRepository, StockRepository, TierRepository, TiersTx};
use sqlx::{PgConnection, PgPool, Postgres};
use uuid::Uuid;

use crate::connection::Database;
use crate::error::StoreResult;

/// `kind,id,second id,request,address`, as `app.actor_part` takes it apart. Ids and hexadecimal digits only: it is printed into a
/// statement.
pub(crate) struct ActorSetting<'a>(pub(crate) &'a Actor);

impl std::fmt::Display for ActorSetting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, id, second) = match self.0.who {
            Who::Visitor => ("visitor", None, None),
            Who::Person(identity) => ("person", Some(identity.as_uuid()), None),
            Who::Staff { identity, grant } => ("staff", Some(identity.as_uuid()), Some(grant.as_uuid())),
            Who::Key(key) => ("key", Some(key.as_uuid()), None),
            Who::Device { device, cashier } => {
                ("device", Some(device.as_uuid()), cashier.map(IdentityId::as_uuid))
            }
            Who::System => ("system", None, None),
        };
        let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
        write!(f, "{kind},{},{},", text(id), text(second))?;
        let request = self.0.request.as_deref().unwrap_or_default();
        request.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(",")?;
        let address = self.0.address.as_ref();
        address
            .into_iter()
            .flatten()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Sees and changes one site's rows. Dropped without a commit it rolls back.
#[derive(Debug)]
pub struct SiteTx {
    tx: sqlx::Transaction<'static, Postgres>,
    site: SiteId,
}

impl SiteTx {
    /// `begin` and the site go in one message. `SET` takes no parameters: what is printed into the text is a UUID, which
    /// has hexadecimal digits and dashes only.
    pub(crate) async fn begin(pool: &PgPool, site: SiteId, begin: &'static str) -> Result<Self, StoreError> {
        let uuid = site.as_uuid();
        let text = format!("{begin}; SET LOCAL app.current_site_id = '{uuid}'");
        let tx = crate::connection::begin(pool, sqlx::AssertSqlSafe(text)).await?;
        Ok(Self { tx, site })
    }

    /// To write, in the name of the scope's actor: `app.actor` is read by the defaults of what is kept about it.
    pub(crate) async fn begin_by(pool: &PgPool, scope: &SiteScope) -> Result<Self, StoreError> {
        let (site, actor) = (scope.site(), ActorSetting(scope.actor()));
        let uuid = site.as_uuid();
        let text =
            format!("BEGIN; SET LOCAL app.current_site_id = '{uuid}'; SET LOCAL app.actor = '{actor}'");
        let tx = crate::connection::begin(pool, sqlx::AssertSqlSafe(text)).await?;
        Ok(Self { tx, site })
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    pub(crate) const fn site(&self) -> SiteId {
        self.site
    }
}

#[async_trait]
impl Transaction for SiteTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.tx.commit().await.store()
    }
}

impl LedgerTx for SiteTx {
    fn ledger(&mut self) -> &mut dyn LedgerRepository {
        self
    }
}

impl TenancyTx for SiteTx {
    fn members(&mut self) -> &mut dyn MemberRepository {
        self
    }
    fn memberships(&mut self) -> &mut dyn MembershipRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

impl TiersTx for SiteTx {
    fn assets(&mut self) -> &mut dyn AssetRepository {
        self
    }
    fn tiers(&mut self) -> &mut dyn TierRepository {
        self
    }
    fn stock(&mut self) -> &mut dyn StockRepository {
        self
    }
    fn promo_codes(&mut self) -> &mut dyn PromoCodeRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

impl IdempotentTx for SiteTx {
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        self
    }
}

impl OrdersTx for SiteTx {
    fn referrals(&mut self) -> &mut dyn ReferralRepository {
        self
    }
    fn orders(&mut self) -> &mut dyn OrderRepository {
        self
    }
    fn attempts(&mut self) -> &mut dyn AttemptRepository {
        self
    }
    fn refunds(&mut self) -> &mut dyn RefundRepository {
        self
    }
    fn disputes(&mut self) -> &mut dyn DisputeRepository {
        self
    }
    fn wallets(&mut self) -> &mut dyn WalletRepository {
        self
    }
}

macro_rules! begins {
    ($($tx:path),+) => {$(
        #[async_trait]
        impl Begin<dyn $tx> for Database {
            async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn $tx>, StoreError> {
                Ok(Box::new(self.begin_site(scope).await?))
            }
        }
    )+};
}

begins!(TenancyTx, TiersTx, OrdersTx);
