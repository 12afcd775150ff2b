//! Policy first, input second.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::Extracting;

/// actix polls the arguments of a handler side by side, so a wrong body could be answered before a missing token. Here
/// `I` is not begun until `P` has let the caller in.
#[derive(Debug)]
pub struct Guarded<P, I>(pub P, pub I);

impl<P, I> FromRequest for Guarded<P, I>
where
    P: FromRequest + 'static,
    I: FromRequest + 'static,
{
    type Error = actix_web::Error;
    type Future = Extracting<Self, actix_web::Error>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let policy = P::from_request(req, &mut Payload::None);
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let policy = policy.await.map_err(Into::into)?;
            let input = I::from_request(&req, &mut payload).await.map_err(Into::into)?;
            Ok(Self(policy, input))
        })
    }
}
