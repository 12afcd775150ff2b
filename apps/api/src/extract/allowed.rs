//! What a caller may do at the site.

use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use posx_kernel::{IdentityId, PartyId, SiteScope, Who};
use posx_tenancy::{Capability, Member, Site, SiteError};

use super::caller::api_of;
use super::{Caller, Extracting, SiteContext};
use crate::problem::ApiError;
use crate::state::ApiState;

/// Who acts at the request's site, and by what right.
#[derive(Debug, Clone)]
pub struct SiteCaller {
    context: SiteContext,
    access: Access,
}

#[derive(Debug, Clone)]
enum Access {
    Member(Member),
}

impl SiteCaller {
    pub(super) async fn of(req: &HttpRequest, api: &ApiState) -> Result<Self, ApiError> {
        let caller = Caller::of(req, api).await?;
        let context = SiteContext::of(req, api).await?;
        let member = api.directory.member(context.site.id, caller.identity).await?;
        let access = Access::Member(member.ok_or(SiteError::NotAMember)?);
        Ok(Self {
            context: context.acted_by(req, access.who()),
            access,
        })
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

    pub fn who(&self) -> Who {
        self.access.who()
    }

    pub fn may(&self, capability: Capability) -> bool {
        match &self.access {
            Access::Member(member) => member.role.may(capability),
        }
    }

    pub fn require(&self, capability: Capability) -> Result<(), ApiError> {
        if self.may(capability) {
            Ok(())
        } else {
            Err(SiteError::NotAllowed(capability.as_str()).into())
        }
    }

    /// Whose objects the caller may see or touch: only their own, or everybody's with `everything`.
    pub fn only_own_without(&self, everything: Capability) -> Result<Option<PartyId>, ApiError> {
        if self.may(everything) {
            return Ok(None);
        }
        Ok(Some(self.access.member()?.party))
    }

    /// For lists: one's own unless all are asked for, which needs `everything`. Who is no member has nothing of their own.
    pub fn own_or_all(&self, all: bool, everything: Capability) -> Result<Option<PartyId>, ApiError> {
        if !all && let Ok(member) = self.access.member() {
            return Ok(Some(member.party));
        }
        self.require(everything)?;
        Ok(None)
    }
}

impl Access {
    const fn who(&self) -> Who {
        match self {
            Self::Member(member) => Who::Person(member.identity),
        }
    }

    fn member(&self) -> Result<&Member, SiteError> {
        match self {
            Self::Member(member) => Ok(member),
        }
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
        CorrectSupply = SupplyCorrect;
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

/// A caller whom the policy lets in.
#[derive(Debug)]
pub struct Allowed<P: Policy> {
    caller: SiteCaller,
    policy: PhantomData<P>,
}

impl<P: Policy> Deref for Allowed<P> {
    type Target = SiteCaller;

    fn deref(&self) -> &SiteCaller {
        &self.caller
    }
}

impl<P: Policy> FromRequest for Allowed<P> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let caller = SiteCaller::of(&req, api_of(&req)).await?;
            if P::ANY_OF.iter().any(|capability| caller.may(*capability)) {
                return Ok(Self {
                    caller,
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

/// A member whom the policy lets in: for what a person does for themselves, or answers for by name.
#[derive(Debug)]
pub struct AllowedMember<P: Policy> {
    allowed: Allowed<P>,
    member: Member,
}

impl<P: Policy> AllowedMember<P> {
    pub const fn party(&self) -> PartyId {
        self.member.party
    }

    pub const fn identity(&self) -> IdentityId {
        self.member.identity
    }

    pub const fn member(&self) -> &Member {
        &self.member
    }
}

impl<P: Policy> Deref for AllowedMember<P> {
    type Target = SiteCaller;

    fn deref(&self) -> &SiteCaller {
        &self.allowed
    }
}

impl<P: Policy> FromRequest for AllowedMember<P> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let allowed = Allowed::<P>::from_request(req, payload);
        Box::pin(async move {
            let allowed = allowed.await?;
            let member = allowed.access.member()?.clone();
            Ok(Self { allowed, member })
        })
    }
}
