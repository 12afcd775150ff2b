//! ID tokens are not for calling the API (J10). The one that comes with a code says how the person signed in.

use chrono::TimeDelta;
use posx_kernel::Timestamp;
use serde::Deserialize;

use super::Verifier;
use crate::claims::{Claims, NumericDate};
use crate::error::{AuthError, Reason};
use crate::token::{Token, TokenType};

/// What the ID token that came with a code is to say.
#[derive(Debug, Clone, Copy)]
pub struct IdTokenWish<'a> {
    /// As the access token that came along says them.
    pub issuer: &'a str,
    pub subject: &'a str,
    /// Whose code it was.
    pub client: &'a str,
    /// The one that went along when the code was asked for; any when absent.
    pub nonce: Option<&'a str>,
}

/// How the person signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentifiedSignIn {
    pub authenticated_at: Option<Timestamp>,
    pub methods: Vec<String>,
    pub context: Option<String>,
    pub second_factor: bool,
}

#[derive(Deserialize)]
struct IdClaims {
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: NumericDate,
    iat: NumericDate,
    nonce: Option<String>,
    /// Cognito's.
    token_use: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Verifier {
    /// By the rules of OpenID Connect Core, section 3.1.3.7.
    pub async fn verify_id_token(
        &self,
        token: &str,
        wish: IdTokenWish<'_>,
    ) -> Result<IdentifiedSignIn, AuthError> {
        let token = Token::parse(token)?;
        let issuer = self.issuer(&token.claimed_issuer()?)?;
        if issuer.config.identity_issuer != wish.issuer {
            return Err(Reason::UnknownIssuer.into());
        }
        if token.typ == TokenType::AccessToken {
            return Err(Reason::WrongType.into());
        }
        issuer.check_signature(&token).await?;
        let claims: IdClaims = serde_json::from_slice(&token.payload).map_err(|_| Reason::MalformedClaims)?;
        claims.check(wish, self.clock.now(), issuer.config.leeway)?;
        let said = Claims::parse(&token.payload)?;
        let (methods, context) = (said.methods(), said.context().map(ToOwned::to_owned));
        Ok(IdentifiedSignIn {
            second_factor: issuer.vouches(&methods, context.as_deref()),
            authenticated_at: said.auth_time.map(|NumericDate(at)| at),
            methods: methods.into_iter().collect(),
            context,
        })
    }
}

impl IdClaims {
    fn check(&self, wish: IdTokenWish<'_>, now: Timestamp, leeway: TimeDelta) -> Result<(), Reason> {
        if self
            .token_use
            .as_deref()
            .is_some_and(|token_use| token_use != "id")
        {
            return Err(Reason::WrongTokenUse);
        }
        let is_ours = match &self.aud {
            Audience::One(one) => one == wish.client,
            // Trusting another audience would be trusting whoever that is.
            Audience::Many(many) => matches!(many.as_slice(), [one] if one == wish.client),
        };
        if !is_ours {
            return Err(Reason::WrongAudience);
        }
        if self.azp.as_deref().is_some_and(|party| party != wish.client) {
            return Err(Reason::WrongClient);
        }
        if now >= self.exp.0 + leeway {
            return Err(Reason::Expired);
        }
        if self.iat.0 > now + leeway {
            return Err(Reason::IssuedInTheFuture);
        }
        let another = wish
            .nonce
            .is_some_and(|nonce| self.nonce.as_deref() != Some(nonce));
        if another || self.sub != wish.subject {
            return Err(Reason::OtherSignIn);
        }
        Ok(())
    }
}
