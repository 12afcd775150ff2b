//! The message of EIP-4361: read and written by its grammar.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use posx_kernel::Timestamp;
use url::Url;

use super::WalletProofError;
use crate::EvmAddress;

/// Wallets show the whole text before it is signed: nobody reads more.
pub const MESSAGE_BYTES_MAX: usize = 4096;
const RESOURCES_MAX: usize = 20;
const NONCE_CHARS_MIN: usize = 8;
const INVITATION: &str = " wants you to sign in with your Ethereum account:";
/// RFC 3986: `unreserved`, `gen-delims`, `sub-delims`.
const URI_PUNCTUATION: &[u8] = b"-._~:/?#[]@!$&'()*+,;=";
const PCHAR_PUNCTUATION: &[u8] = b"-._~!$&'()*+,;=:@";

/// What a wallet was asked to sign, as its text says it. Nothing of it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInMessage {
    /// Of the page that asks; absent in most messages.
    pub scheme: Option<String>,
    /// Host and port of the page that asks.
    pub domain: String,
    pub address: EvmAddress,
    pub statement: Option<String>,
    pub uri: Url,
    pub chain_id: u64,
    pub nonce: String,
    pub issued_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub not_before: Option<Timestamp>,
    pub request_id: Option<String>,
    pub resources: Vec<String>,
}

/// Which part of a message does not follow the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl From<Malformed> for WalletProofError {
    fn from(Malformed(part): Malformed) -> Self {
        Self::Message { part }
    }
}

impl SignInMessage {
    /// By the ABNF of EIP-4361: each line at its place, once, and nothing else.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > MESSAGE_BYTES_MAX {
            return Err(Malformed("size"));
        }
        let mut lines = text.split('\n').peekable();
        let first = lines.next().and_then(|line| line.strip_suffix(INVITATION));
        let (scheme, domain) = origin(first.ok_or(Malformed("domain"))?)?;
        let address = lines
            .next()
            .and_then(|line| EvmAddress::parse_canonical(line).ok());
        let address = address.ok_or(Malformed("address"))?;
        let statement = statement(&mut lines)?;
        let mut field = |label: &'static str, part| {
            let line = lines.next().and_then(|line| line.strip_prefix(label));
            line.ok_or(Malformed(part))
        };
        let uri = uri(field("URI: ", "uri")?).ok_or(Malformed("uri"))?;
        if field("Version: ", "version")? != "1" {
            return Err(Malformed("version"));
        }
        let chain_id = chain_id(field("Chain ID: ", "chain id")?).ok_or(Malformed("chain id"))?;
        let nonce = field("Nonce: ", "nonce")?;
        if nonce.len() < NONCE_CHARS_MIN || !nonce.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Malformed("nonce"));
        }
        let issued_at = instant(field("Issued At: ", "issued at")?).ok_or(Malformed("issued at"))?;
        let mut optional = |label: &str| {
            lines
                .next_if(|line| line.starts_with(label))
                .map(|line| &line[label.len()..])
        };
        let time =
            |text: Option<&str>, part| text.map(|text| instant(text).ok_or(Malformed(part))).transpose();
        let expires_at = time(optional("Expiration Time: "), "expiration time")?;
        let not_before = time(optional("Not Before: "), "not before")?;
        let request_id = optional("Request ID: ").map(str::to_owned);
        if request_id
            .as_deref()
            .is_some_and(|id| !is_text_of(id, PCHAR_PUNCTUATION))
        {
            return Err(Malformed("request id"));
        }
        let mut resources = Vec::new();
        if lines.next_if_eq(&"Resources:").is_some() {
            while let Some(line) = lines.next_if(|line| line.starts_with("- ")) {
                uri_text(&line[2..]).ok_or(Malformed("resources"))?;
                resources.push(line[2..].to_owned());
            }
        }
        if lines.next().is_some() || resources.len() > RESOURCES_MAX {
            return Err(Malformed("end"));
        }
        Ok(Self {
            scheme,
            domain,
            address,
            statement,
            uri,
            chain_id,
            nonce: nonce.to_owned(),
            issued_at,
            expires_at,
            not_before,
            request_id,
            resources,
        })
    }
}

/// As it is signed. Reading it back gives the same message, down to the second.
impl fmt::Display for SignInMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: &Timestamp| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}://")?;
        }
        write!(f, "{}{INVITATION}\n{}\n\n", self.domain, self.address)?;
        if let Some(statement) = &self.statement {
            writeln!(f, "{statement}")?;
        }
        write!(
            f,
            "\nURI: {}\nVersion: 1\nChain ID: {}\nNonce: {}\nIssued At: {}",
            self.uri,
            self.chain_id,
            self.nonce,
            time(&self.issued_at)
        )?;
        if let Some(at) = &self.expires_at {
            write!(f, "\nExpiration Time: {}", time(at))?;
        }
        if let Some(at) = &self.not_before {
            write!(f, "\nNot Before: {}", time(at))?;
        }
        if let Some(id) = &self.request_id {
            write!(f, "\nRequest ID: {id}")?;
        }
        if !self.resources.is_empty() {
            write!(f, "\nResources:")?;
        }
        self.resources
            .iter()
            .try_for_each(|resource| write!(f, "\n- {resource}"))
    }
}

/// `[scheme "://"] authority`
fn origin(text: &str) -> Result<(Option<String>, String), Malformed> {
    let (scheme, domain) = match text.split_once("://") {
        Some((scheme, domain)) => (Some(scheme), domain),
        None => (None, text),
    };
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    if scheme.is_some_and(|scheme| !is_scheme(scheme)) {
        return Err(Malformed("scheme"));
    }
    // An authority by itself: anything that would begin a path, a query or a fragment is not part of one.
    let authority = Url::parse(&format!("https://{domain}")).ok();
    if domain.is_empty()
        || domain.contains(['/', '?', '#'])
        || !is_text_of(domain, URI_PUNCTUATION)
        || authority.is_none()
    {
        return Err(Malformed("domain"));
    }
    Ok((scheme.map(str::to_owned), domain.to_owned()))
}

/// The lines between the address and the URI: blank, the statement if there is one, blank.
fn statement<'a>(
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
) -> Result<Option<String>, Malformed> {
    if lines.next() != Some("") {
        return Err(Malformed("statement"));
    }
    let statement = lines.next_if(|line| !line.is_empty());
    let is_said = |c: u8| c == b' ' || c.is_ascii_alphanumeric() || URI_PUNCTUATION.contains(&c);
    if lines.next() != Some("") || !statement.is_none_or(|line| line.bytes().all(is_said)) {
        return Err(Malformed("statement"));
    }
    Ok(statement.map(str::to_owned))
}

/// Letters, digits, these, and bytes as `%41`.
fn is_text_of(text: &str, punctuation: &[u8]) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || punctuation.contains(&byte),
        };
        if !fine {
            return false;
        }
    }
    true
}

fn uri_text(text: &str) -> Option<&str> {
    (is_text_of(text, URI_PUNCTUATION) && Url::parse(text).is_ok()).then_some(text)
}

fn uri(text: &str) -> Option<Url> {
    Url::parse(uri_text(text)?).ok()
}

fn chain_id(text: &str) -> Option<u64> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// RFC 3339 with the `T`: the grammar knows no blank there.
fn instant(text: &str) -> Option<Timestamp> {
    if text.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    Some(at.with_timezone(&Utc))
}
