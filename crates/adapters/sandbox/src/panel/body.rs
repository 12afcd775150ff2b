//! JSON bodies, and exactly what is wrong with them.

use std::fmt::Display;
use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, Path, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::PanelError;
use crate::keys::OldKeys;

/// Served by one system at once: a key set has a size.
const KEYS_SERVED_MAX: usize = 20;

pub(super) type IdPath = Result<Path<String>, PathRejection>;

/// Whatever its content type says, so that `curl -d` is enough. An absent body is an empty object.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = PanelError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PanelError> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| PanelError::Malformed(rejection.body_text()))?;
        parse(&bytes).map(Self)
    }
}

/// Of a call that needs to be told nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Succeeded {
    pub(super) succeeded: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    old: OldKeys,
}

impl Rotation {
    /// What becomes of the keys that are served until now.
    pub(super) fn checked(self, served: usize) -> Result<OldKeys, PanelError> {
        if self.old == OldKeys::Keep && served >= KEYS_SERVED_MAX {
            let message = format!("{served} keys are served: drop the old ones first");
            return Err(PanelError::Conflict(message));
        }
        Ok(self.old)
    }
}

pub(super) fn within<T: PartialOrd + Display>(
    field: &str,
    value: T,
    allowed: RangeInclusive<T>,
) -> Result<T, PanelError> {
    if allowed.contains(&value) {
        Ok(value)
    } else {
        let message = format!("it is from {} to {}", allowed.start(), allowed.end());
        Err(PanelError::field(field, message))
    }
}

pub(super) fn id(path: IdPath) -> Result<String, PanelError> {
    path.map(|Path(id)| id)
        .map_err(|rejection| PanelError::field("id", rejection.body_text()))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, PanelError> {
    let body = match body.trim_ascii() {
        [] => b"{}",
        // serde would also read a struct from an array of its fields.
        [b'{', ..] => body,
        _ => return Err(PanelError::Malformed("it does not begin with {".to_owned())),
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| wrong(&error.path().to_string(), error.inner()))?;
    json.end()
        .map_err(|error| PanelError::Malformed(error.to_string()))?;
    Ok(value)
}

fn wrong(path: &str, error: &serde_json::Error) -> PanelError {
    let text = error.to_string();
    if !error.is_data() {
        return PanelError::Malformed(text);
    }
    let message = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(said, _)| said);
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|what| message.strip_prefix(what)?.split('`').next());
    PanelError::field(named.unwrap_or(path), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Wish {
        times: u32,
        #[serde(default)]
        last: Vec<String>,
    }

    #[test]
    fn a_wrong_body_names_its_field() {
        for (body, expected) in [
            ("", "times"),
            ("{}", "times"),
            (r#"{"times":-1}"#, "times"),
            (r#"{"times":1.5}"#, "times"),
            (r#"{"times":"1"}"#, "times"),
            (r#"{"times":null}"#, "times"),
            (r#"{"times":1,"times":2}"#, "times"),
            (r#"{"times":1,"time":2}"#, "time"),
            (r#"{"times":1,"last":["a",2]}"#, "last[1]"),
        ] {
            let error = parse::<Wish>(body.as_bytes()).expect_err(body);
            assert!(
                matches!(&error, PanelError::Field { field, .. } if field == expected),
                "{body}: {error:?}"
            );
        }
    }

    #[test]
    fn a_key_set_that_is_full_takes_a_new_key_only_for_the_old_ones() {
        let checked = |old, served| Rotation { old }.checked(served);
        assert!(checked(OldKeys::Keep, KEYS_SERVED_MAX - 1).is_ok());
        assert!(matches!(
            checked(OldKeys::Keep, KEYS_SERVED_MAX),
            Err(PanelError::Conflict(_))
        ));
        assert!(checked(OldKeys::Drop, KEYS_SERVED_MAX).is_ok());
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for body in ["[1]", "null", "{", r#"{"times":1} x"#, "times=1", "\"\u{fffd}\""] {
            let error = parse::<Wish>(body.as_bytes()).expect_err(body);
            assert!(matches!(error, PanelError::Malformed(_)), "{body}: {error:?}");
        }
    }
}
