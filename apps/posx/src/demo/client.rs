//! A client of the API, as anybody could write one: it knows the documented JSON and nothing else.

pub mod views;

use posx_sandbox::{Issuer, TokenRequest};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::story::StoryError;

/// What our API is called in tokens.
pub const AUDIENCE: &str = "posx";

/// Somebody who can log in, at home in one site.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    /// The token's `sub`.
    pub subject: String,
    pub site: &'static str,
}

#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    issuer: Issuer,
}

impl Client {
    pub fn new(http: reqwest::Client, base: String, issuer: Issuer) -> Self {
        Self { http, base, issuer }
    }

    pub fn get(&self, who: &Person, path: &str) -> Request {
        self.request(Method::GET, who, path)
    }

    pub fn post(&self, who: &Person, path: &str) -> Request {
        self.request(Method::POST, who, path)
    }

    pub fn put(&self, who: &Person, path: &str) -> Request {
        self.request(Method::PUT, who, path)
    }

    fn request(&self, method: Method, who: &Person, path: &str) -> Request {
        let what = format!("{} {method} {path}", who.name);
        // A fresh one each time: the demo moves the clock past their end.
        let token = self.issuer.token(&TokenRequest::new(&who.subject, AUDIENCE));
        Request {
            builder: self.http.request(method, format!("{}{path}", self.base)),
            token: token.map_err(StoryError::Token),
            site: who.site,
            what,
        }
    }

    /// A list that comes whole.
    pub async fn whole<T: DeserializeOwned>(&self, who: &Person, path: &str) -> Result<Vec<T>, StoryError> {
        let page: views::Page<T> = self.get(who, path).send().await?.expect(200)?;
        Ok(page.items)
    }

    /// Every page of a list.
    pub async fn all<T: DeserializeOwned>(&self, who: &Person, path: &str) -> Result<Vec<T>, StoryError> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let sign = if path.contains('?') { '&' } else { '?' };
            let page: views::Page<T> = self
                .get(who, &format!("{path}{sign}limit=100{after}"))
                .send()
                .await?
                .expect(200)?;
            items.extend(page.items);
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(items),
            }
        }
    }
}

#[derive(Debug)]
pub struct Request {
    builder: reqwest::RequestBuilder,
    token: Result<String, StoryError>,
    site: &'static str,
    what: String,
}

impl Request {
    pub fn json(self, body: &impl Serialize) -> Self {
        Self {
            builder: self.builder.json(body),
            ..self
        }
    }

    pub fn key(self, key: &str) -> Self {
        Self {
            builder: self.builder.header("idempotency-key", key),
            ..self
        }
    }

    pub fn if_match(self, version: i32) -> Self {
        Self {
            builder: self.builder.header("if-match", format!("\"{version}\"")),
            ..self
        }
    }

    pub fn file(self, media_type: &str, text: &str) -> Self {
        let builder = self.builder.header("content-type", media_type);
        Self {
            builder: builder.body(text.to_owned()),
            ..self
        }
    }

    /// In another site than the person's own.
    pub fn in_site(self, site: &'static str) -> Self {
        Self { site, ..self }
    }

    pub async fn send(self) -> Result<Answer, StoryError> {
        let what = self.what;
        let http = |source| StoryError::Http {
            what: what.clone(),
            source,
        };
        let request = self
            .builder
            .bearer_auth(self.token?)
            .header("x-site-code", self.site);
        let answer = request.send().await.map_err(http)?;
        let status = answer.status().as_u16();
        let replayed = answer.headers().contains_key("idempotent-replayed");
        let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let version = tag.and_then(|tag| tag.trim_matches('"').parse().ok());
        let body = answer.bytes().await.map_err(http)?.to_vec();
        Ok(Answer {
            what,
            status,
            replayed,
            version,
            body,
        })
    }
}

#[derive(Debug)]
pub struct Answer {
    what: String,
    pub status: u16,
    /// The server says that it gave this answer before.
    pub replayed: bool,
    /// Of the ETag, for If-Match.
    pub version: Option<i32>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body, if the status is this one.
    pub fn expect<T: DeserializeOwned>(&self, status: u16) -> Result<T, StoryError> {
        if self.status != status {
            return Err(StoryError::Answer {
                what: self.what.clone(),
                expected: status,
                status: self.status,
                body: String::from_utf8_lossy(&self.body).into_owned(),
            });
        }
        serde_json::from_slice(&self.body).map_err(|source| StoryError::Shape {
            what: self.what.clone(),
            source,
        })
    }

    /// `404 order_not_found`: the status, and the problem document's code.
    pub fn refusal(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or("without a code");
        format!("{} {code}", self.status)
    }
}
