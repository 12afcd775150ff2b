//! Callers that are no people: a bearer that is an API key or a device's secret.

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::{FromRequest, rt};
use posx_kernel::SiteScope;
use posx_tenancy::{ApiKey, Capability, CredentialKind, Device, Member, SiteError, may_at_device};

use super::allowed::{Access, Allowed, AllowedMember, SiteCaller, can};
use super::caller::{api_of, bearer};
use super::site::site_of;
use super::{Extracting, SiteContext};
use crate::limit;
use crate::problem::{ApiError, EdgeError};
use crate::state::ApiState;

/// A person's token stands in `Authorization`, and the device where they sign on says who it is here.
const DEVICE_HEADER: &str = "x-device-token";

/// What sort of machine the request says it is from. None: a person, or nobody.
pub(super) fn claimed_kind(req: &HttpRequest) -> Option<CredentialKind> {
    let text = bearer(req).ok()?;
    [CredentialKind::ApiKey, CredentialKind::Device]
        .into_iter()
        .find(|kind| text.starts_with(kind.prefix()))
}

/// The site comes first: a credential of another site is unknown here.
pub(super) async fn at_site(
    req: &HttpRequest,
    api: &ApiState,
    kind: CredentialKind,
) -> Result<(SiteContext, Access), ApiError> {
    let context = SiteContext::of(req, api).await;
    let site = site_of(&context);
    match access(req, api, kind, context).await {
        Ok((context, access)) => {
            limit::count_caller(req, api, &access.who().to_string(), site).await?;
            Ok((context, access))
        }
        Err(refused) => {
            // Guessing counts like any call without a token.
            limit::count_address(req, api, None).await?;
            Err(refused)
        }
    }
}

async fn access(
    req: &HttpRequest,
    api: &ApiState,
    kind: CredentialKind,
    context: Result<SiteContext, ApiError>,
) -> Result<(SiteContext, Access), ApiError> {
    let (context, text) = (context?, bearer(req)?);
    let access = match kind {
        CredentialKind::ApiKey => Access::Key(key(api, &context.scope, text).await?),
        CredentialKind::Device => {
            let device = device(api, &context.scope, text).await?;
            let cashier = cashier(api, &context.scope, &device).await?;
            Access::Device { device, cashier }
        }
        // It opens a chat and nothing else.
        CredentialKind::Visitor => return Err(unauthenticated()),
    };
    Ok((context, access))
}

/// One answer for whatever is wrong with it.
fn unauthenticated() -> ApiError {
    EdgeError::Unauthenticated {
        token_sent: true,
        cause: None,
    }
    .into()
}

async fn key(api: &ApiState, scope: &SiteScope, text: &str) -> Result<ApiKey, ApiError> {
    let found = api.api_keys.verify(scope, text).await?;
    let found = found.ok_or_else(unauthenticated)?;
    if found.use_is_due {
        let (keys, scope, id) = (api.api_keys.clone(), scope.clone(), found.key.id);
        // Nobody waits for it. If it is lost, the next use is noted.
        rt::spawn(async move {
            if let Err(error) = keys.note_use(&scope, id).await {
                tracing::warn!(key = %id, error = &error as &dyn std::error::Error, "a use of a key was not noted");
            }
        });
    }
    Ok(found.key)
}

async fn device(api: &ApiState, scope: &SiteScope, text: &str) -> Result<Device, ApiError> {
    let found = api.devices.verify(scope, text).await?;
    found.ok_or_else(unauthenticated)
}

/// Who stands there, if they still may: without their right the device is a kiosk.
async fn cashier(api: &ApiState, scope: &SiteScope, device: &Device) -> Result<Option<Member>, ApiError> {
    let Some(shift) = device.shift(api.clock.now()) else {
        return Ok(None);
    };
    let member = api.directory.member(scope.site(), shift.cashier).await?;
    Ok(member.filter(|member| may_at_device(member, device.place, Capability::DevicesOperate)))
}

/// A device by its own secret, whoever stands there.
#[derive(Debug)]
pub struct CurrentDevice {
    caller: SiteCaller,
    device: Device,
}

impl CurrentDevice {
    pub const fn scope(&self) -> &SiteScope {
        self.caller.scope()
    }

    pub const fn device(&self) -> &Device {
        &self.device
    }
}

impl FromRequest for CurrentDevice {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let caller = SiteCaller::of(&req, api_of(&req)).await?;
            let device = caller.device().ok_or(SiteError::DeviceNeeded)?.clone();
            Ok(Self { caller, device })
        })
    }
}

/// A member by their own token at a device by its secret: two credentials.
#[derive(Debug)]
pub struct MemberAtDevice {
    pub member: AllowedMember<can::OperateDevices>,
    pub device: Device,
}

impl FromRequest for MemberAtDevice {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let member = AllowedMember::from_request(req, payload);
        let req = req.clone();
        Box::pin(async move {
            let (api, member) = (api_of(&req), member.await?);
            match device_beside(&req, api, member.scope()).await {
                Ok(device) => Ok(Self { member, device }),
                Err(refused) => {
                    limit::count_address(&req, api, None).await?;
                    Err(refused)
                }
            }
        })
    }
}

async fn device_beside(req: &HttpRequest, api: &ApiState, scope: &SiteScope) -> Result<Device, ApiError> {
    let mut sent = req.headers().get_all(DEVICE_HEADER);
    let text = sent.next().filter(|_| sent.next().is_none());
    let text = text.and_then(|value| value.to_str().ok());
    device(api, scope, text.unwrap_or_default()).await
}

/// Staff who manage devices where they are, and keys that do.
pub type DeviceStaff = Allowed<can::ManageDevices>;
