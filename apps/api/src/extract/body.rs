//! The bytes of a body, bounded in size and time.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::BytesMut;
use actix_web::{FromRequest, HttpRequest};
use futures::StreamExt as _;

use super::Extracting;
use super::caller::api_of;
use crate::limit;
use crate::problem::{ApiError, EdgeError};
use crate::state::WEBHOOK_BYTES_MAX;

/// What is read of a body that is too large, so that its sender gets to read the answer.
const DRAIN_BYTES_MAX: usize = 1024 * 1024;

pub async fn read(req: &HttpRequest, mut payload: Payload, bytes_max: usize) -> Result<Vec<u8>, ApiError> {
    let encoding = req.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(EdgeError::ContentType.into());
    }
    let within = Duration::from_secs(u64::from(api_of(req).settings.body_timeout_s));
    tokio::time::timeout(within, collect(&mut payload, bytes_max))
        .await
        .map_err(|_| EdgeError::BodyTooSlow)?
        .map_err(Into::into)
}

async fn collect(payload: &mut Payload, bytes_max: usize) -> Result<Vec<u8>, EdgeError> {
    let mut body = BytesMut::new();
    let mut seen = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| EdgeError::BodyIncomplete(error.to_string().into()))?;
        seen = seen.saturating_add(chunk.len());
        if seen <= bytes_max {
            body.extend_from_slice(&chunk);
        } else if seen > DRAIN_BYTES_MAX {
            break;
        }
    }
    if seen > bytes_max {
        return Err(EdgeError::TooLarge { bytes_max });
    }
    Ok(body.into())
}

/// A provider's server: whether it is one, the signature over the body tells. Calls count by address.
#[derive(Debug)]
pub struct Provider;

impl FromRequest for Provider {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            limit::count_delivery(&req, api_of(&req)).await?;
            Ok(Self)
        })
    }
}

/// A provider's delivery, as it came: a signature is over these bytes.
#[derive(Debug)]
pub struct RawBody(pub Vec<u8>);

impl FromRequest for RawBody {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move { read(&req, payload, WEBHOOK_BYTES_MAX).await.map(Self) })
    }
}
