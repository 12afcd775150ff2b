//! The query of an address.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;

use crate::problem::{ApiError, EdgeError};

#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(req.query_string()).map(Self).map_err(Into::into))
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, EdgeError> {
    if query.contains("%00") {
        let message = "a text has no NUL character".to_owned();
        return Err(EdgeError::QueryInvalid { message });
    }
    web::Query::from_query(query)
        .map(web::Query::into_inner)
        .map_err(|error| {
            let message = match error {
                actix_web::error::QueryPayloadError::Deserialize(error) => error.to_string(),
                _ => "the query cannot be read".to_owned(),
            };
            EdgeError::QueryInvalid {
                message: message.chars().take(200).collect(),
            }
        })
}
