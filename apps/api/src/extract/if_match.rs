//! Optimistic editing: the version of an object is its ETag.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};

use crate::problem::{ApiError, EdgeError};

/// The version that the caller saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub i32);

/// The header of an answer that shows version `version`.
pub fn etag(version: i32) -> (header::HeaderName, String) {
    (header::ETAG, format!("\"{version}\""))
}

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(seen(req).map(Self).map_err(Into::into))
    }
}

/// One strong ETag. A list or `*` would mean "whatever it is", which is what the header is to prevent.
fn seen(req: &HttpRequest) -> Result<i32, EdgeError> {
    let mut sent = req.headers().get_all(header::IF_MATCH);
    let first = sent.next().ok_or(EdgeError::IfMatchMissing)?;
    if sent.next().is_some() {
        return Err(EdgeError::IfMatchInvalid);
    }
    let version = first
        .to_str()
        .ok()
        .and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
    let digits = version.filter(|version| version.bytes().all(|b| b.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or(EdgeError::IfMatchInvalid)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_version_is_one_strong_etag() {
        let of = |value: &str| {
            let req = TestRequest::put()
                .insert_header((header::IF_MATCH, value))
                .to_http_request();
            seen(&req).map_err(|error| error.code())
        };
        assert_eq!(of("\"3\""), Ok(3));
        for bad in [
            "3",
            "*",
            "W/\"3\"",
            "\"3\", \"4\"",
            "\"\"",
            "\"-1\"",
            "\"99999999999\"",
        ] {
            assert_eq!(of(bad), Err("if_match_invalid"), "{bad}");
        }
        let none = TestRequest::put().to_http_request();
        assert_eq!(seen(&none).map_err(|error| error.code()), Err("if_match_missing"));
    }
}
