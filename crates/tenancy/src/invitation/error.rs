use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError};

use super::InvitationRefusal;
use crate::{EmailAddressError, MailerError, MemberError, SiteError};

/// Why an invitation is not made, sent or accepted.
#[derive(Debug, thiserror::Error)]
pub enum InvitationError {
    /// Also: the token is another site's, or an older one than was sent last.
    #[error("there is no such invitation")]
    NotFound,
    #[error("give an e-mail address")]
    Email(#[source] EmailAddressError),
    #[error("an invitation to this address is pending: revoke it or send it again")]
    Pending,
    #[error("{max} invitations are pending: revoke some first", max = super::PENDING_MAX)]
    TooMany,
    #[error("it was sent {max} times: revoke it and invite anew", max = super::SENDINGS_MAX)]
    SentTooOften,
    #[error("this installation sends no e-mail: its section [mail] is missing")]
    MailOff,
    #[error("the invitation was accepted before")]
    Used,
    #[error("the invitation's time is up")]
    Expired,
    #[error("the invitation was revoked")]
    Revoked,
    #[error("whoever invited may not grant this any more")]
    InviterLost,
    #[error("the membership is disabled")]
    Disabled,
    #[error("no free referral code was found")]
    NoFreeCode,
    #[error("the message did not go out")]
    Mail(#[source] MailerError),
    #[error(transparent)]
    Member(#[from] MemberError),
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for InvitationError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "invitation_not_found",
            Self::Email(_) => "email_invalid",
            Self::Pending => "invitation_pending",
            Self::TooMany => "invitations_too_many",
            Self::SentTooOften => "invitation_sent_too_often",
            Self::MailOff => "mail_off",
            Self::Used => "invitation_used",
            Self::Expired => "invitation_expired",
            Self::Revoked => "invitation_revoked",
            Self::InviterLost => "invitation_inviter_lost_right",
            Self::Disabled => "member_disabled",
            Self::NoFreeCode => "referral_codes_exhausted",
            Self::Mail(_) => "mail_unavailable",
            Self::Member(error) => error.code(),
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Email(_) => Kind::Invalid,
            Self::Pending
            | Self::TooMany
            | Self::SentTooOften
            | Self::MailOff
            | Self::Used
            | Self::Expired
            | Self::Revoked
            | Self::InviterLost => Kind::Conflict,
            Self::Disabled => Kind::Forbidden,
            Self::NoFreeCode | Self::Mail(_) => Kind::Unavailable,
            Self::Member(error) => error.kind(),
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Email(_) | Self::Pending => Some("email".into()),
            Self::Member(error) => error.field(),
            _ => None,
        }
    }
}

impl From<SiteError> for InvitationError {
    fn from(error: SiteError) -> Self {
        MemberError::from(error).into()
    }
}

impl From<InvitationRefusal> for InvitationError {
    fn from(refusal: InvitationRefusal) -> Self {
        match refusal {
            InvitationRefusal::Pending => Self::Pending,
            InvitationRefusal::NoSuchPlace => MemberError::NoSuchPlace.into(),
        }
    }
}
