//! What a caller may do at the site.

use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use posx_kernel::{IdentityId, PartyId, SiteScope};
use posx_tenancy::{Capability, Member, Site, SiteError};

use super::caller::api_of;
use super::{Caller, Extracting, SiteContext};
use crate::problem::ApiError;
use crate::state::ApiState;

/// An identity with an active membership of the request's site.
#[derive(Debug, Clone)]
pub struct SiteMember {
    context: SiteContext,
    member: Member,
}

impl SiteMember {
    pub(super) async fn of(req: &HttpRequest, api: &ApiState) -> Result<Self, ApiError> {
        let caller = Caller::of(req, api).await?;
        let context = SiteContext::of(req, api).await?;
        let member = api.directory.member(context.site.id, caller.identity).await?;
        let member = member.ok_or(SiteError::NotAMember)?;
        Ok(Self { context, member })
    }

    pub(super) const fn context(&self) -> &SiteContext {
        &self.context
    }

    pub const fn scope(&self) -> &SiteScope {
        &self.context.scope
    }

    pub const fn site(&self) -> &Site {
        &self.context.site
    }

    pub const fn party(&self) -> PartyId {
        self.member.party
    }

    pub const fn identity(&self) -> IdentityId {
        self.member.identity
    }

    pub const fn member(&self) -> &Member {
        &self.member
    }

    pub fn may(&self, capability: Capability) -> bool {
        self.member.role.may(capability)
    }

    pub fn require(&self, capability: Capability) -> Result<(), ApiError> {
        if self.may(capability) {
            Ok(())
        } else {
            Err(SiteError::NotAllowed(capability.as_str()).into())
        }
    }

    /// Whose objects the caller may see or touch: only their own, or everybody's with `everything`.
    pub fn only_own_without(&self, everything: Capability) -> Option<PartyId> {
        (!self.may(everything)).then_some(self.party())
    }

    /// For lists: one's own unless all are asked for, which needs `everything`.
    pub fn own_or_all(&self, all: bool, everything: Capability) -> Result<Option<PartyId>, ApiError> {
        if !all {
            return Ok(Some(self.party()));
        }
        self.require(everything)?;
        Ok(None)
    }
}

/// What a route asks for: one of these capabilities is enough.
pub trait Policy: 'static {
    const ANY_OF: &'static [Capability];

    /// As the OpenAPI document names it: `orders:buy | orders:read`.
    fn names() -> String {
        let names: Vec<_> = Self::ANY_OF
            .iter()
            .map(|capability| capability.as_str())
            .collect();
        names.join(" | ")
    }
}

/// The policies of this API. A name says what one may do.
pub mod can {
    use posx_tenancy::Capability;

    use super::Policy;

    macro_rules! policies {
        ($($name:ident = $($capability:ident)|+;)+) => {$(
            #[derive(Debug)]
            pub struct $name;
            impl Policy for $name {
                const ANY_OF: &'static [Capability] = &[$(Capability::$capability),+];
            }
        )+};
    }

    policies! {
        Buy = Buy;
        ManageTiers = TiersManage;
        ManageAssets = AssetsManage;
        SeeAssets = AssetsManage | TiersManage | AllocationsRead;
        SeeOrders = Buy | OrdersRead;
        CancelOrders = Buy | OrdersManage;
        SeeCommissions = Buy | CommissionsRead;
        ReadCommissions = CommissionsRead;
        ManagePlans = PlansManage;
        SeePlans = PlansManage | CommissionsRead;
        SeeAllocations = Buy | AllocationsRead;
        ReadAllocations = AllocationsRead;
        SendAllocations = AllocationsSend;
        ReadLedger = LedgerRead;
        ReadJobs = JobsRead;
        ReplayJobs = JobsReplay;
    }
}

/// A member whom the policy lets in.
#[derive(Debug)]
pub struct Allowed<P: Policy> {
    member: SiteMember,
    policy: PhantomData<P>,
}

impl<P: Policy> Deref for Allowed<P> {
    type Target = SiteMember;

    fn deref(&self) -> &SiteMember {
        &self.member
    }
}

impl<P: Policy> FromRequest for Allowed<P> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let member = SiteMember::of(&req, api_of(&req)).await?;
            if P::ANY_OF.iter().any(|capability| member.may(*capability)) {
                return Ok(Self {
                    member,
                    policy: PhantomData,
                });
            }
            let missing = P::ANY_OF
                .first()
                .map_or("anything", |capability| capability.as_str());
            Err(SiteError::NotAllowed(missing).into())
        })
    }
}
