//! What a caller may do at the site.

use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use posx_kernel::{GrantId, IdentityId, PartyId, PlaceId, SiteScope, Who};
use posx_tenancy::{
    ApiKey, Capability, Device, GRANT_CAPABILITIES, Member, Proof, Role, Site, SiteError, may_at_device,
};

use super::caller::{SignIn, api_of};
use super::{Caller, Extracting, SiteContext, machine, platform, step_up};
use crate::problem::ApiError;
use crate::state::ApiState;

/// Who acts at the request's site, and by what right.
#[derive(Debug, Clone)]
pub struct SiteCaller {
    context: SiteContext,
    access: Access,
    /// Of a person.
    sign_in: Option<SignIn>,
    /// Whether they were asked for a second factor, and have proven it.
    proven: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Access {
    Member(Member),
    /// It has no person behind it.
    Key(ApiKey),
    Device {
        device: Device,
        /// Who stands there and still may; a kiosk without.
        cashier: Option<Member>,
    },
    /// Of the platform, under a grant that the site sees.
    Staff {
        identity: IdentityId,
        grant: GrantId,
    },
}

impl SiteCaller {
    pub(super) async fn of(req: &HttpRequest, api: &ApiState) -> Result<Self, ApiError> {
        if let Some(kind) = machine::claimed_kind(req) {
            let (context, access) = machine::at_site(req, api, kind).await?;
            return Ok(Self {
                context: context.acted_by(req, access.who()),
                access,
                sign_in: None,
                proven: false,
            });
        }
        let (caller, context) = match Caller::at_site(req, api).await {
            Ok(called) => called,
            Err(refused) => return Self::staff(req, api, refused).await,
        };
        let member = api.directory.member(context.site.id, caller.identity).await?;
        let access = Access::Member(member.ok_or(SiteError::NotAMember)?);
        Ok(Self {
            context: context.acted_by(req, access.who()),
            access,
            sign_in: Some(caller.sign_in),
            proven: false,
        })
    }

    /// Platform staff, if the token that was refused here is one of the plane's.
    async fn staff(req: &HttpRequest, api: &ApiState, refused: ApiError) -> Result<Self, ApiError> {
        if refused.code() != "unauthenticated" {
            return Err(refused);
        }
        let (context, access) = platform::at_site(req, api).await?.ok_or(refused)?;
        Ok(Self {
            context: context.acted_by(req, access.who()),
            access,
            sign_in: None,
            proven: false,
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
            Access::Key(key) => key.may(capability),
            Access::Staff { .. } => GRANT_CAPABILITIES.contains(&capability),
            Access::Device { device, cashier } => cashier
                .as_ref()
                .is_some_and(|cashier| may_at_device(cashier, device.place, capability)),
        }
    }

    /// One that needs a second factor is granted where the route's policy asked for it.
    pub fn require(&self, capability: Capability) -> Result<(), ApiError> {
        if !self.may(capability) {
            return Err(SiteError::NotAllowed(capability.as_str()).into());
        }
        if capability.proof() == Proof::SecondFactor && !self.proven {
            return Err(SiteError::SecondFactorNeeded.into());
        }
        Ok(())
    }

    /// For who gives somebody this role, or gives it back.
    pub async fn may_grant(&self, api: &ApiState, role: Role) -> Result<(), ApiError> {
        if role.is_granted_with_proof() {
            step_up::ask(self, api).await?;
        }
        Ok(())
    }

    /// One of these is enough; one that needs no second factor comes first.
    async fn pass(&mut self, api: &ApiState, any_of: &[Capability]) -> Result<(), ApiError> {
        let held: Vec<_> = any_of.iter().filter(|one| self.may(**one)).collect();
        if held.is_empty() {
            let missing = any_of.first().map_or("anything", |one| one.as_str());
            return Err(SiteError::NotAllowed(missing).into());
        }
        if held.iter().all(|one| one.proof() == Proof::SecondFactor) {
            step_up::ask(self, api).await?;
            self.proven = true;
        }
        Ok(())
    }

    /// The member and their sign-in.
    pub(super) fn person(&self) -> Result<(&Member, &SignIn), ApiError> {
        let sign_in = self.sign_in.as_ref().ok_or(SiteError::PersonNeeded)?;
        Ok((self.access.member()?, sign_in))
    }

    /// As [`Self::may`], at a place: a membership may be narrowed to some.
    pub fn may_at(&self, capability: Capability, place: PlaceId) -> bool {
        self.may(capability) && self.access.reaches(place)
    }

    /// Where the caller's rights hold; the whole site when empty.
    pub fn places(&self) -> Vec<PlaceId> {
        match &self.access {
            Access::Member(member) if member.is_everywhere() => Vec::new(),
            Access::Member(member) => member.places.iter().copied().collect(),
            Access::Key(_) | Access::Staff { .. } => Vec::new(),
            Access::Device { device, .. } => vec![device.place],
        }
    }

    /// The device that calls, if it is one.
    pub(super) const fn device(&self) -> Option<&Device> {
        match &self.access {
            Access::Device { device, .. } => Some(device),
            Access::Member(_) | Access::Key(_) | Access::Staff { .. } => None,
        }
    }

    pub fn require_at(&self, capability: Capability, place: PlaceId) -> Result<(), ApiError> {
        self.require(capability)?;
        if self.may_at(capability, place) {
            Ok(())
        } else {
            Err(SiteError::PlaceNotYours.into())
        }
    }

    /// For what concerns the whole site: not for who is narrowed to places.
    pub fn require_everywhere(&self, capability: Capability) -> Result<(), ApiError> {
        self.require(capability)?;
        if self.access.is_everywhere() {
            Ok(())
        } else {
            Err(SiteError::PlaceNotYours.into())
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
    pub(super) const fn who(&self) -> Who {
        match self {
            Self::Member(member) => Who::Person(member.identity),
            Self::Key(key) => Who::Key(key.id),
            Self::Staff { identity, grant } => Who::Staff {
                identity: *identity,
                grant: *grant,
            },
            Self::Device { device, cashier } => Who::Device {
                device: device.id,
                cashier: match cashier {
                    Some(member) => Some(member.identity),
                    None => None,
                },
            },
        }
    }

    fn reaches(&self, place: PlaceId) -> bool {
        match self {
            Self::Member(member) => member.reaches(place),
            Self::Key(_) | Self::Staff { .. } => true,
            Self::Device { device, .. } => device.place == place,
        }
    }

    fn is_everywhere(&self) -> bool {
        match self {
            Self::Member(member) => member.is_everywhere(),
            Self::Key(_) | Self::Staff { .. } => true,
            Self::Device { .. } => false,
        }
    }

    fn member(&self) -> Result<&Member, SiteError> {
        match self {
            Self::Member(member) => Ok(member),
            Self::Key(_) | Self::Device { .. } => Err(SiteError::PersonNeeded),
            Self::Staff { .. } => Err(SiteError::NotAMember),
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
        ManagePromoCodes = PromoCodesManage;
        ReadReports = ReportsRead;
        ManageAssets = AssetsManage;
        SeeAssets = AssetsManage | TiersManage | AllocationsRead;
        SeeOrders = Buy | OrdersRead;
        CancelOrders = Buy | OrdersManage;
        ReadOrders = OrdersRead;
        ManageOrders = OrdersManage;
        RefundOrders = OrdersRefund;
        SeeCommissions = Buy | CommissionsRead;
        ReadCommissions = CommissionsRead;
        ManagePlans = PlansManage;
        SeePlans = PlansManage | CommissionsRead;
        SeeAllocations = Buy | AllocationsRead;
        ReadAllocations = AllocationsRead;
        SendAllocations = AllocationsSend;
        SeeVesting = AllocationsRead | TiersManage;
        ManageVesting = VestingManage;
        ReadLedger = LedgerRead;
        ClosePeriods = PeriodsClose;
        ReadApprovals = ApprovalsRead;
        DecideApprovals = ApprovalsDecide;
        ManageApprovalLimits = ApprovalLimitsManage;
        ReadPayouts = PayoutsRead;
        ManagePayouts = PayoutsManage;
        SeeWithdrawals = Buy | PayoutsRead;
        RequestWithdrawals = WithdrawalsRequest;
        SeeMembers = MembersRead;
        ManageMembers = MembersManage;
        SeePlaces = PlacesManage | MembersRead | DevicesManage;
        ManagePlaces = PlacesManage;
        ReadAudit = AuditRead;
        EndPlatformGrants = PlatformGrantsEnd;
        ManagePersonalData = PersonalDataManage;
        ManageKeys = ApiKeysManage;
        ManageDevices = DevicesManage;
        OperateDevices = DevicesOperate;
        ManageProviderAccounts = ProviderAccountsManage;
        SeeAgents = AgentsRead;
        ManageAgents = AgentsManage;
        SeeStatements = Buy | AgentsRead;
        ReadJobs = JobsRead;
        ReplayJobs = JobsReplay;
        UseAssistant = AssistantUse;
        ManageAssistant = AssistantManage;
        ReadDocuments = DocumentsRead;
        ManageDocuments = DocumentsManage;
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
            let api = api_of(&req);
            let mut caller = SiteCaller::of(&req, api).await?;
            caller.pass(api, P::ANY_OF).await?;
            Ok(Self {
                caller,
                policy: PhantomData,
            })
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
