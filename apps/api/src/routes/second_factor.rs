//! One's own second factor at a site: enrolling, proving, recovery codes, removing.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, delete, get, post};
use chrono::{DateTime, Utc};
use posx_tenancy::{RecoveryCode, SecondFactorError};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{Guarded, Json, Myself};
use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(get_factor).service(enrol).service(confirm);
    config.service(verify).service(renew_codes).service(remove);
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SecondFactorView {
    /// Since when it counts; absent: none is enrolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<DateTime<Utc>>,
    /// An enrolment waits for its first code.
    pub pending: bool,
    /// How many are left.
    pub recovery_codes: u32,
    /// After wrong codes: until then none is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<DateTime<Utc>>,
    /// Until then this sign-in counts as proven, by a code of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proven_until: Option<DateTime<Utc>>,
}

/// What an authenticator takes. It is shown this once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EnrolmentView {
    /// `otpauth://…`: what the QR code says.
    pub otpauth_uri: String,
    /// In base 32, to type.
    pub secret: String,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = SecondFactorCode)]
#[serde(deny_unknown_fields)]
pub struct CodeBody {
    /// Six digits of the authenticator; for verifying also a recovery code.
    code: String,
}

/// They are shown this once; each is good once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RecoveryCodesView {
    pub recovery_codes: Vec<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProvenView {
    pub proven_until: DateTime<Utc>,
}

impl RecoveryCodesView {
    fn of(codes: &[RecoveryCode]) -> Self {
        Self {
            recovery_codes: codes.iter().map(RecoveryCode::shown).collect(),
        }
    }
}

#[utoipa::path(tag = "me", operation_id = "get_second_factor", extensions(("x-capability" = json!("signed-in"))),
    responses((status = 200, body = SecondFactorView)))]
#[get("/api/v1/me/second-factor")]
async fn get_factor(api: Api, me: Myself) -> Result<Answer<SecondFactorView>, ApiError> {
    let standing = api
        .second_factors
        .standing(me.scope(), me.identity(), me.sign_in.proof_key())
        .await?;
    let now = api.clock.now();
    Ok(Answer(SecondFactorView {
        confirmed_at: standing.confirmed_at,
        pending: standing.pending,
        recovery_codes: standing.recovery_codes,
        locked_until: standing.locked_until,
        proven_until: standing.proven_until.filter(|until| now < *until),
    }))
}

/// Shows a new secret, which counts from its first code on. Who has a second factor proves it first.
#[utoipa::path(tag = "me", operation_id = "enrol_second_factor", extensions(("x-capability" = json!("signed-in"))),
    responses((status = 201, body = EnrolmentView)))]
#[post("/api/v1/me/second-factor")]
async fn enrol(api: Api, me: Myself) -> Result<HttpResponse, ApiError> {
    let proven = me.has_proven(&api).await?;
    let enrolled = api
        .second_factors
        .enrol(me.scope(), &me.site().name, me.identity(), proven)
        .await;
    let enrolment = match enrolled {
        // The refusal that says how.
        Err(SecondFactorError::PresentNeeded) => {
            me.prove(&api).await?;
            return Err(SecondFactorError::PresentNeeded.into());
        }
        enrolled => enrolled.map_err(refused)?,
    };
    Ok(HttpResponse::Created().json(EnrolmentView {
        otpauth_uri: enrolment.uri.expose_secret().to_owned(),
        secret: enrolment.secret.expose_secret().to_owned(),
    }))
}

/// The first code of a new secret: from now on it counts, in place of the one before. This sign-in has proven it.
#[utoipa::path(tag = "me", operation_id = "confirm_second_factor", request_body = CodeBody,
    extensions(("x-capability" = json!("signed-in"))),
    responses((status = 200, body = RecoveryCodesView), (status = 409, description = "No enrolment is under way.")))]
#[post("/api/v1/me/second-factor/confirm")]
async fn confirm(
    api: Api,
    Guarded(me, Json(body)): Guarded<Myself, Json<CodeBody>>,
) -> Result<Answer<RecoveryCodesView>, ApiError> {
    let codes = api
        .second_factors
        .confirm(me.scope(), me.identity(), me.sign_in.proof_key(), &body.code)
        .await
        .map_err(refused)?;
    Ok(Answer(RecoveryCodesView::of(&codes)))
}

/// Proves the second factor for this sign-in, for ten minutes. A code is good once; wrong ones make one wait.
#[utoipa::path(tag = "me", operation_id = "verify_second_factor", request_body = CodeBody,
    extensions(("x-capability" = json!("signed-in"))),
    responses((status = 200, body = ProvenView), (status = 409, description = "None is enrolled.")))]
#[post("/api/v1/me/second-factor/verify")]
async fn verify(
    api: Api,
    Guarded(me, Json(body)): Guarded<Myself, Json<CodeBody>>,
) -> Result<Answer<ProvenView>, ApiError> {
    let proven_until = api
        .second_factors
        .verify(me.scope(), me.identity(), me.sign_in.proof_key(), &body.code)
        .await
        .map_err(refused)?;
    Ok(Answer(ProvenView { proven_until }))
}

/// Another set of recovery codes: the ones before are void. Needs a second factor that was proven just now.
#[utoipa::path(tag = "me", operation_id = "renew_recovery_codes", extensions(("x-capability" = json!("signed-in"))),
    responses((status = 200, body = RecoveryCodesView), (status = 409, description = "None is enrolled.")))]
#[post("/api/v1/me/second-factor/recovery-codes")]
async fn renew_codes(api: Api, me: Myself) -> Result<Answer<RecoveryCodesView>, ApiError> {
    me.prove(&api).await?;
    let codes = api.second_factors.renew_codes(me.scope(), me.identity()).await?;
    Ok(Answer(RecoveryCodesView::of(&codes)))
}

/// Needs a second factor that was proven just now.
#[utoipa::path(tag = "me", operation_id = "remove_second_factor", extensions(("x-capability" = json!("signed-in"))),
    responses((status = 204), (status = 409, description = "None is enrolled.")))]
#[delete("/api/v1/me/second-factor")]
async fn remove(api: Api, me: Myself) -> Result<HttpResponse, ApiError> {
    me.prove(&api).await?;
    api.second_factors.remove(me.scope(), me.identity()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// 429 for who must wait.
fn refused(error: SecondFactorError) -> ApiError {
    match error {
        SecondFactorError::Locked { wait_s } => EdgeError::SignInDelayed {
            retry_after_s: wait_s,
        }
        .into(),
        error => error.into(),
    }
}
