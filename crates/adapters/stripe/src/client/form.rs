//! The words of requests and lists.

use std::collections::HashMap;
use std::fmt;

use posx_kernel::Randomness;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::answer::undecodable;
use crate::error::{Refusal, StripeError};

/// What makes a request that is sent twice happen once: 1 to 255 visible ASCII characters. Committed before the call
/// by whoever makes it, and the same for every try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The text cannot be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    pub fn new(text: impl Into<String>) -> Result<Self, IdempotencyKeyError> {
        let text = text.into();
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(text))
        } else {
            Err(IdempotencyKeyError)
        }
    }

    pub(super) fn passing(randomness: &dyn Randomness) -> Self {
        let mut bytes = [0; 16];
        randomness.fill(&mut bytes);
        Self(format!("once-{}", hex::encode(bytes)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What we wrote beside an object, by name; a null at Stripe is the same as nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Metadata(Option<HashMap<String, String>>);

impl Metadata {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name).map(String::as_str)
    }
}

/// Part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// What to ask the next page with; `None` on the last.
    pub next: Option<String>,
}

/// Has an id to go on from.
pub(crate) trait Listed {
    fn id(&self) -> &str;
}

#[derive(Deserialize)]
pub(super) struct List<T> {
    data: Vec<T>,
    has_more: bool,
}

impl<T: Listed> List<T> {
    /// An empty page that is not the last would look like the end.
    pub(super) fn page(self) -> Result<Page<T>, StripeError> {
        let next = match (self.has_more, self.data.last()) {
            (false, _) => None,
            (true, Some(last)) => Some(last.id().to_owned()),
            (true, None) => return Err(StripeError::Field("has_more")),
        };
        Ok(Page {
            items: self.data,
            next,
        })
    }
}

/// An object of which only id and metadata are looked at until it is known to be the one.
pub(super) struct Unread {
    id: String,
    whole: Value,
}

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = Value::deserialize(deserializer)?;
        let id = whole["id"]
            .as_str()
            .ok_or_else(|| D::Error::missing_field("id"))?;
        Ok(Self {
            id: id.to_owned(),
            whole,
        })
    }
}

impl Unread {
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.whole["metadata"][name] == value
    }

    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, StripeError> {
        serde_json::from_value(self.whole).map_err(|error| undecodable(&error))
    }
}

impl Listed for Unread {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Form or query parameters in Stripe's bracket notation.
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub(crate) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn maybe(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(crate) fn metadata(self, metadata: &[(&str, String)]) -> Self {
        metadata.iter().fold(self, |form, (name, value)| {
            form.with(&format!("metadata[{name}]"), value)
        })
    }

    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// An id that would change the path was not made by Stripe: there is nothing under it.
pub(crate) fn segment(id: &str) -> Result<&str, StripeError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.bytes().all(plain) {
        Ok(id)
    } else {
        Err(Refusal::unsent("resource_missing"))
    }
}

#[cfg(test)]
mod tests {
    use posx_kernel::SeededIds;

    use super::*;

    #[test]
    fn s01_a_key_has_1_to_255_visible_characters() {
        for text in ["k".to_owned(), "k".repeat(255), "pat_0190~!".to_owned()] {
            assert_eq!(IdempotencyKey::new(text.clone()).unwrap().as_str(), text);
        }
        for text in [
            String::new(),
            "k".repeat(256),
            "a b".to_owned(),
            "é".to_owned(),
            "a\n".to_owned(),
        ] {
            assert_eq!(IdempotencyKey::new(text), Err(IdempotencyKeyError));
        }
    }

    #[test]
    fn a_passing_key_is_a_key_and_another_one_each_time() {
        let randomness = SeededIds::new(9);
        let [one, other] = [(), ()].map(|()| IdempotencyKey::passing(&randomness));
        assert_ne!(one, other);
        assert!(IdempotencyKey::new(one.as_str()).is_ok());
    }

    #[test]
    fn an_id_cannot_lead_elsewhere() {
        assert_eq!(segment("pi_3Mtw-x").unwrap(), "pi_3Mtw-x");
        for id in ["", ".", "..", "a/b", "a?b", "a#b", "a%2fb", "a b", "é"] {
            assert!(
                matches!(segment(id), Err(StripeError::Refused(refusal)) if refusal.is_missing()),
                "{id:?}"
            );
        }
    }

    #[test]
    fn metadata_may_be_null_or_left_out() {
        #[derive(Deserialize)]
        struct Object {
            #[serde(default)]
            metadata: Metadata,
        }
        for (json, value) in [
            (r#"{"metadata":{"a":"b"}}"#, Some("b")),
            (r#"{"metadata":{}}"#, None),
            (r#"{"metadata":null}"#, None),
            ("{}", None),
        ] {
            let object: Object = serde_json::from_str(json).unwrap();
            assert_eq!(object.metadata.get("a"), value, "{json}");
        }
    }
}
