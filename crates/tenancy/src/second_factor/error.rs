use std::borrow::Cow;

use posx_kernel::{Kind, Refusal, SecretError, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum SecondFactorError {
    #[error("there is no second factor to use: enrol one")]
    NotEnrolled,
    #[error("no enrolment is under way: begin one")]
    NotPending,
    /// The present one has not been proven just now.
    #[error("replacing a second factor needs the present one")]
    PresentNeeded,
    #[error("the code is wrong, or was used before")]
    WrongCode,
    #[error("too many wrong codes: wait {wait_s} s")]
    Locked { wait_s: u32 },
    #[error("a second factor cannot be shown")]
    Show,
    #[error("the secret cannot be read or kept now")]
    Secret(#[source] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for SecondFactorError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotEnrolled => "second_factor_not_enrolled",
            Self::NotPending => "second_factor_not_pending",
            Self::PresentNeeded => "second_factor_needed",
            Self::WrongCode => "second_factor_code_wrong",
            Self::Locked { .. } => "sign_in_delayed",
            Self::Show => "internal",
            Self::Secret(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotEnrolled | Self::NotPending => Kind::Conflict,
            Self::PresentNeeded | Self::Locked { .. } => Kind::Forbidden,
            Self::WrongCode => Kind::Invalid,
            Self::Show => Kind::Internal,
            Self::Secret(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        matches!(self, Self::WrongCode).then(|| "code".into())
    }
}
