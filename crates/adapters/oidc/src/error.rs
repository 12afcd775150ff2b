use posx_keyset::KeyError;

/// What a caller of the verifier acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// 401, `WWW-Authenticate: Bearer error="invalid_token"`, and no detail for the client.
    #[error("the token is not valid")]
    Invalid(#[source] Reason),
    /// 503: the issuer's keys cannot be had, so the token may well be good.
    #[error("the token cannot be checked now")]
    KeysUnavailable(#[source] KeyError),
}

impl AuthError {
    /// Stable, for logs and counters; not for the client.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(reason) => reason.code(),
            Self::KeysUnavailable(_) => "keys_unavailable",
        }
    }
}

impl From<KeyError> for AuthError {
    fn from(error: KeyError) -> Self {
        match error {
            // A client comes back with its token anyway: it is not told to wait for a key that may never be.
            KeyError::Unknown | KeyError::Unasked => Self::Invalid(Reason::UnknownKey),
            KeyError::Unavailable => Self::KeysUnavailable(error),
        }
    }
}

impl From<Reason> for AuthError {
    fn from(reason: Reason) -> Self {
        Self::Invalid(reason)
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $code:literal $text:literal;)+) => {
        /// Why a token was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        pub enum Reason {
            $($(#[$doc])* #[error($text)] $variant,)+
        }

        impl Reason {
            /// Stable, for logs and counters.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }
        }
    };
}

reasons! {
    TooLarge "token_too_large" "the token is larger than allowed";
    /// Auth0 gives such a token to a client that asked for no audience.
    OpaqueToken "opaque_token" "the token is opaque or encrypted, for the issuer's own use: its client must ask the issuer for our audience";
    NotAJwt "not_a_jwt" "the token is not three segments of base64url";
    MalformedHeader "malformed_header" "the header is not what a JWT has";
    CriticalHeader "critical_header" "the header demands an extension";
    WrongType "wrong_type" "the header names another type than the issuer's access tokens have";
    AlgorithmNotAllowed "algorithm_not_allowed" "the algorithm is not one that the issuer may use";
    MalformedClaims "malformed_claims" "the claims are not what an access token has";
    UnknownIssuer "unknown_issuer" "the issuer is not configured";
    NoKeyId "no_key_id" "the header names no key";
    UnknownKey "unknown_key" "the issuer has no such key";
    BadSignature "bad_signature" "the signature does not hold";
    NoExpiry "no_expiry" "the token never expires";
    Expired "expired" "the token has expired";
    NotYetValid "not_yet_valid" "the token is not valid yet";
    IssuedInTheFuture "issued_in_the_future" "the token was issued in the future";
    NoSubject "no_subject" "the token has no usable subject";
    WrongAudience "wrong_audience" "the token is for another API";
    IdToken "id_token" "the token says who signed in and is no access token";
    WrongClient "wrong_client" "the token was given to a client that is not allowed";
    /// Cognito only.
    WrongTokenUse "wrong_token_use" "the token says that it is for another use than access";
    WrongProfile "wrong_profile" "the token lacks what the issuer's access tokens have, or has what they lack";
    WrongOrganization "wrong_organization" "the token is not for the organisation that the issuer is bound to";
    OtherSignIn "other_sign_in" "the ID token is of another sign-in than was asked for";
    ServiceCaller "service_caller" "the token is a service's, where only a person is let in";
}
