//! The second factor, asked for in one place: of the identity provider, or a code of ours, at most ten minutes ago.

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};
use actix_web::{FromRequest, HttpRequest};
use chrono::TimeDelta;
use posx_kernel::{IdentityId, SiteScope, Timestamp};
use posx_tenancy::{FactorStanding, Member, PROOF_LIFE, Site, SiteError};

use super::caller::{SignIn, api_of};
use super::{Extracting, SiteCaller};
use crate::problem::{ApiError, SecondFactorHint, SecondFactorWay};
use crate::state::ApiState;

/// How far an issuer's clock may be ahead of ours.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);

/// A member, with their sign-in: for what one does about one's own second factor.
#[derive(Debug)]
pub struct Myself {
    caller: SiteCaller,
    member: Member,
    pub sign_in: SignIn,
}

impl Myself {
    pub const fn scope(&self) -> &SiteScope {
        self.caller.scope()
    }

    pub const fn site(&self) -> &Site {
        self.caller.site()
    }

    pub const fn identity(&self) -> IdentityId {
        self.member.identity
    }

    /// Whether this sign-in has proven a second factor just now.
    pub async fn has_proven(&self, api: &ApiState) -> Result<bool, ApiError> {
        if is_vouched(&self.sign_in, api.clock.now()) {
            return Ok(true);
        }
        let standing = standing(api, self.scope(), self.identity(), &self.sign_in).await?;
        Ok(is_proven(&standing, api.clock.now()))
    }

    /// Whatever the settings say: who changes a second factor has proven one.
    pub async fn prove(&self, api: &ApiState) -> Result<(), ApiError> {
        prove(api, self.scope(), self.identity(), &self.sign_in).await
    }
}

impl FromRequest for Myself {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let caller = SiteCaller::of(&req, api_of(&req)).await?;
            let (member, sign_in) = caller.person()?;
            let (member, sign_in) = (member.clone(), sign_in.clone());
            Ok(Self {
                caller,
                member,
                sign_in,
            })
        })
    }
}

/// For a capability that needs a second factor. Not an error: the caller has proven one, or the settings ask for none.
pub(super) async fn ask(caller: &SiteCaller, api: &ApiState) -> Result<(), ApiError> {
    if !api.step_up.required {
        return Ok(());
    }
    // Keys and devices have no such capability.
    let (member, sign_in) = caller.person()?;
    prove(api, caller.scope(), member.identity, sign_in).await
}

async fn prove(
    api: &ApiState,
    scope: &SiteScope,
    identity: IdentityId,
    sign_in: &SignIn,
) -> Result<(), ApiError> {
    let now = api.clock.now();
    if is_vouched(sign_in, now) {
        return Ok(());
    }
    let standing = standing(api, scope, identity, sign_in).await?;
    if is_proven(&standing, now) {
        return Ok(());
    }
    Err(needed(api, sign_in, standing.confirmed_at.is_some()))
}

/// By the issuer.
fn is_vouched(sign_in: &SignIn, now: Timestamp) -> bool {
    let at = sign_in.authenticated_at.filter(|_| sign_in.second_factor);
    at.is_some_and(|at| at <= now + LEEWAY && now < at + PROOF_LIFE)
}

/// By a code of ours.
fn is_proven(standing: &FactorStanding, now: Timestamp) -> bool {
    standing.proven_until.is_some_and(|until| now < until)
}

async fn standing(
    api: &ApiState,
    scope: &SiteScope,
    identity: IdentityId,
    sign_in: &SignIn,
) -> Result<FactorStanding, ApiError> {
    Ok(api
        .second_factors
        .standing(scope, identity, sign_in.proof_key())
        .await?)
}

/// The refusal says how, for a client as RFC 9470 does.
fn needed(api: &ApiState, sign_in: &SignIn, enrolled: bool) -> ApiError {
    let claims = api.verifier.second_factor_claims(&sign_in.issuer);
    let mut ways = vec![if enrolled {
        SecondFactorWay::Verify
    } else {
        SecondFactorWay::Enrol
    }];
    if claims.is_some_and(|claims| !claims.methods.is_empty() || !claims.contexts.is_empty()) {
        ways.push(SecondFactorWay::SignInAgain);
    }
    let contexts = claims.map_or(String::new(), |claims| claims.contexts.join(" "));
    let max_age_s = PROOF_LIFE.num_seconds();
    let wanted = if contexts.is_empty() {
        String::new()
    } else {
        format!(r#", acr_values="{contexts}""#)
    };
    let challenge = format!(
        r#"Bearer error="insufficient_user_authentication", error_description="A second factor is needed", max_age="{max_age_s}"{wanted}"#
    );
    let hint = SecondFactorHint {
        ways,
        max_age_s,
        acr_values: claims.map_or_else(Vec::new, |claims| claims.contexts.clone()),
    };
    let refusal = ApiError::from(SiteError::SecondFactorNeeded).with_second_factor(hint);
    match HeaderValue::from_str(&challenge) {
        Ok(challenge) => refusal.with_header(WWW_AUTHENTICATE, challenge),
        Err(_) => refusal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> Timestamp {
        "2026-06-01T12:00:00Z".parse().expect("an instant")
    }

    #[test]
    fn an_issuers_word_counts_for_ten_minutes() {
        let vouched = |second_factor, authenticated_at| {
            let sign_in = SignIn {
                issuer: "https://login.example/".to_owned(),
                key: "sid".to_owned(),
                authenticated_at,
                second_factor,
            };
            is_vouched(&sign_in, noon())
        };
        let before = |by| Some(noon() - by);
        assert!(vouched(true, before(TimeDelta::zero())));
        assert!(vouched(true, before(PROOF_LIFE - TimeDelta::seconds(1))));
        assert!(!vouched(true, before(PROOF_LIFE)));
        assert!(vouched(true, before(-LEEWAY)));
        assert!(!vouched(true, before(-LEEWAY - TimeDelta::seconds(1))));
        assert!(!vouched(false, before(TimeDelta::zero())));
        assert!(!vouched(true, None));
    }
}
