//! E-mail addresses that messages can be sent to.

use std::fmt;

use serde::{Serialize, Serializer};

const BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 63;

/// A dot-atom address (RFC 5321) in ASCII at a domain of two labels at least. It is personal data: `Debug` does not show
/// it, and nothing logs it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct EmailAddressError;

impl EmailAddress {
    /// White space around it is left out, upper case is kept. No control character, quote or angle bracket passes, so an
    /// address is safe in a header.
    pub fn parse(text: &str) -> Result<Self, EmailAddressError> {
        let text = text.trim();
        let (local, domain) = text.split_once('@').ok_or(EmailAddressError)?;
        let fine = text.len() <= BYTES_MAX && is_local(local) && is_domain(domain);
        if fine {
            Ok(Self(text.to_owned()))
        } else {
            Err(EmailAddressError)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_local(local: &str) -> bool {
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    local.len() <= LOCAL_BYTES_MAX && local.split('.').all(is_atom)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    domain.contains('.') && domain.split('.').all(is_label)
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl utoipa::PartialSchema for EmailAddress {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl utoipa::ToSchema for EmailAddress {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_has_one_at_sign_and_a_real_domain() {
        for good in [
            "ann@example.com",
            " Ann.B+tag@Mail.Example.co ",
            "o'neil@a-b.example",
            "x@1.de",
        ] {
            assert_eq!(
                EmailAddress::parse(good).map(|address| address.0),
                Ok(good.trim().to_owned())
            );
        }
        let long = format!("{}@example.com", "a".repeat(65));
        let longer = format!("a@{}.com", "b.".repeat(130));
        for bad in [
            "",
            "ann",
            "ann@",
            "@example.com",
            "ann@localhost",
            "a@b@example.com",
            "ann@example..com",
            ".ann@example.com",
            "ann.@example.com",
            "ann@-example.com",
            "ann@example.com.",
            "Ann <ann@example.com>",
            "\"ann b\"@example.com",
            "ann@[127.0.0.1]",
            "ann@example.com, bob@example.com",
            "jürgen@example.com",
            "ann@exämple.com",
            &long,
            &longer,
        ] {
            assert_eq!(EmailAddress::parse(bad), Err(EmailAddressError), "{bad:?}");
        }
    }

    #[test]
    fn an_address_is_not_printed() {
        let address = EmailAddress::parse("ann@example.com").expect("an address");
        assert!(!format!("{address:?}").contains("ann"));
    }

    proptest! {
        #[test]
        fn no_line_ever_breaks_inside_an_address(before in "[a-z]{0,5}", breaks in "[\r\n\u{0}\t ,;<>\"]", after in "[a-z@.: ]{0,20}") {
            for text in [
                format!("{before}{breaks}{after}@example.com"),
                format!("{before}a@example{breaks}{after}.com"),
                format!("{before}a@example.com{breaks}{after}x"),
            ] {
                if let Ok(address) = EmailAddress::parse(&text) {
                    prop_assert!(address.as_str().bytes().all(|b| b.is_ascii_graphic()));
                    prop_assert_eq!(address.as_str(), text.trim());
                }
            }
        }
    }
}
