//! A JSON body, and exactly what is wrong with it.

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use chrono::{DateTime, Utc};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer};
use serde_json::error::Category;
use serde_path_to_error::Segment;

use super::caller::api_of;
use super::{Extracting, body};
use crate::problem::{ApiError, EdgeError};

/// Of what a client sent, so much comes back in a message.
const ECHO_CHARS_MAX: usize = 200;

#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move { Ok(Self(parse(&read(&req, payload).await?)?)) })
    }
}

/// The bytes of a body that says it is JSON.
pub(super) async fn read(req: &HttpRequest, payload: Payload) -> Result<Vec<u8>, ApiError> {
    let said = req
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = said.and_then(|said| said.split(';').next()).unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(EdgeError::ContentType.into());
    }
    body::read(req, payload, api_of(req).settings.body_limit_bytes).await
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, EdgeError> {
    let text = std::str::from_utf8(body).map_err(|error| EdgeError::JsonMalformed {
        why: format!("not UTF-8 at byte {}", error.valid_up_to()),
    })?;
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path: Vec<_> = error.path().iter().filter_map(segment).collect();
        wrong(path, error.inner())
    })?;
    json.end().map_err(|error| wrong(Vec::new(), &error))?;
    // PostgreSQL keeps no such text.
    if has_nul(text) {
        return Err(whole("a text has no NUL character"));
    }
    // serde would also read a struct from an array of its fields.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(whole("the body is a JSON object"));
    }
    Ok(value)
}

fn whole(message: &str) -> EdgeError {
    let (field, message) = (String::new(), message.to_owned());
    EdgeError::FieldInvalid { field, message }
}

fn wrong(mut path: Vec<String>, error: &serde_json::Error) -> EdgeError {
    let text = error.to_string();
    if error.classify() != Category::Data {
        return EdgeError::JsonMalformed { why: cut(&text) };
    }
    let said = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(said, _)| said);
    let named = |after: &str| Some(said.strip_prefix(after)?.split('`').next()?.to_owned());
    let unknown = named("unknown field `");
    if let Some(name) = unknown.as_ref().or(named("missing field `").as_ref())
        && path.last() != Some(name)
    {
        path.push(name.clone());
    }
    let pointer: Vec<_> = path
        .iter()
        .map(|part| cut(&part.replace('~', "~0").replace('/', "~1")))
        .collect();
    let (field, message) = (pointer.join("/"), cut(said));
    if unknown.is_some() {
        EdgeError::FieldUnknown { field, message }
    } else {
        EdgeError::FieldInvalid { field, message }
    }
}

fn segment(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(ECHO_CHARS_MAX).collect()
}

/// In valid JSON a NUL can only stand as `\u0000`, after an even number of backslashes.
fn has_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json.as_bytes()[..at]
            .iter()
            .rev()
            .take_while(|b| **b == b'\\')
            .count();
        before % 2 == 0
    })
}

/// For an instant in a body: what RFC 3339 can write and the database can keep.
pub fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    use chrono::{Datelike as _, SubsecRound as _};
    let at = DateTime::<Utc>::deserialize(deserializer)?;
    if (1970..=9999).contains(&at.year()) {
        Ok(at.trunc_subsecs(6))
    } else {
        Err(D::Error::custom("an instant is in the years 1970 to 9999"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Body {
        lines: Vec<Line>,
        price: Option<posx_kernel::Money>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Line {
        quantity: u32,
        #[serde(default)]
        note: String,
    }

    fn refused(body: &str) -> (&'static str, String) {
        let error = parse::<Body>(body.as_bytes()).expect_err(body);
        let field = match &error {
            EdgeError::FieldInvalid { field, .. } | EdgeError::FieldUnknown { field, .. } => field.clone(),
            _ => String::new(),
        };
        (error.code(), field)
    }

    #[test]
    fn a_wrong_body_names_its_field() {
        let field = |body, code, field: &str| assert_eq!(refused(body), (code, field.to_owned()), "{body}");
        field(
            r#"{"lines":[{"quantity":1},{"quantity":-1}]}"#,
            "field_invalid",
            "lines/1/quantity",
        );
        field(
            r#"{"lines":[{"quantity":1.5}]}"#,
            "field_invalid",
            "lines/0/quantity",
        );
        field(r#"{"lines":[{}]}"#, "field_invalid", "lines/0/quantity");
        field(
            r#"{"lines":[{"quantity":1,"x/y":1}]}"#,
            "field_unknown",
            "lines/0/x~1y",
        );
        field(r#"{"lines":[],"extra":1}"#, "field_unknown", "extra");
        field("{}", "field_invalid", "lines");
        field("[]", "field_invalid", "");
        field("[[],null]", "field_invalid", "");
        field(
            r#"{"lines":[],"price":{"amount":1.5,"currency":"USD"}}"#,
            "field_invalid",
            "price/amount",
        );
        field(
            r#"{"lines":[{"quantity":1,"note":"a\u0000"}]}"#,
            "field_invalid",
            "",
        );
        assert!(parse::<Body>(br#"{"lines":[{"quantity":1,"note":"a\\u0000"}]}"#).is_ok());
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for body in ["", "{", "{\"lines\":[]} x", "nul", "{\"lines\":[\"\\ud800\"]}"] {
            assert_eq!(refused(body).0, "json_malformed", "{body}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(
            parse::<Value>(deep.as_bytes()).expect_err("deep").code(),
            "json_malformed"
        );
        assert_eq!(
            parse::<Value>(b"\"\xff\"").expect_err("not UTF-8").code(),
            "json_malformed"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_and_never_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse::<Body>(&body);
        }
    }
}
