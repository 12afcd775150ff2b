//! Where files of documents are.

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::reference::Secret;
use super::weakness::{SECRET_CHARACTERS_MIN, weakness};

/// Without this section no document is taken.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentsSettings {
    /// A folder that API and worker share. Either this or `s3`.
    pub folder: Option<PathBuf>,
    /// An S3-compatible storage. People send their files to it directly.
    pub s3: Option<S3Settings>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Settings {
    /// As people reach it: `https://s3.eu-central-1.amazonaws.com`.
    #[schemars(extend("x-refused" = "an address without https"))]
    pub endpoint: String,
    /// As its signatures name it.
    pub region: String,
    /// For nothing else. Let it delete what is a day old and not complete.
    pub bucket: String,
    /// May put, get, head and delete objects under `sites/`.
    pub access_key: String,
    /// Of the access key.
    #[schemars(with = "Secret")]
    pub secret_key: SecretString,
}

impl DocumentsSettings {
    pub(super) fn check(&self, production: bool, problems: &mut Vec<String>) {
        if self.folder.is_some() == self.s3.is_some() {
            problems.push("documents needs one of documents.folder and documents.s3".into());
        }
        if let Some(s3) = &self.s3 {
            s3.check(production, problems);
        }
    }
}

impl S3Settings {
    fn check(&self, production: bool, problems: &mut Vec<String>) {
        match Url::parse(&self.endpoint) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() => {
                problems.push("documents.s3.endpoint is not an https:// address".into());
            }
            Ok(url) if production && url.scheme() != "https" => {
                problems.push("documents.s3.endpoint is not an https:// address".into());
            }
            Ok(_) => {}
            Err(_) => problems.push("documents.s3.endpoint is not an address".into()),
        }
        for (name, text) in [
            ("region", &self.region),
            ("bucket", &self.bucket),
            ("access_key", &self.access_key),
        ] {
            if text.trim().is_empty() {
                problems.push(format!("documents.s3.{name} is empty"));
            }
        }
        if let Some(weakness) =
            weakness(self.secret_key.expose_secret(), SECRET_CHARACTERS_MIN).filter(|_| production)
        {
            problems.push(format!("documents.s3.secret_key is weak: {weakness}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(production: bool, change: impl FnOnce(&mut DocumentsSettings)) -> Vec<String> {
        let s3 = S3Settings {
            endpoint: "https://s3.eu-central-1.amazonaws.com".into(),
            region: "eu-central-1".into(),
            bucket: "documents".into(),
            access_key: "AKIA4EXAMPLE".into(),
            secret_key: SecretString::from("wJalr-9XUtnFEMI-K7MDENG-bPxRfiCY"),
        };
        let mut settings = DocumentsSettings {
            folder: None,
            s3: Some(s3),
        };
        let mut problems = Vec::new();
        change(&mut settings);
        settings.check(production, &mut problems);
        problems
    }

    #[test]
    fn files_are_in_one_place_and_reached_over_https_in_production() {
        assert_eq!(problems(true, |_| {}), Vec::<String>::new());
        let both = |settings: &mut DocumentsSettings| settings.folder = Some("files".into());
        assert_eq!(
            problems(false, both),
            ["documents needs one of documents.folder and documents.s3"]
        );
        let plain = |settings: &mut DocumentsSettings| {
            settings.s3.as_mut().unwrap().endpoint = "http://127.0.0.1:9000".into();
        };
        assert_eq!(problems(false, plain), Vec::<String>::new());
        assert_eq!(
            problems(true, plain),
            ["documents.s3.endpoint is not an https:// address"]
        );
        let none = |settings: &mut DocumentsSettings| {
            settings.s3.as_mut().unwrap().endpoint = "here".into();
            settings.s3.as_mut().unwrap().bucket = String::new();
        };
        assert_eq!(
            problems(false, none),
            [
                "documents.s3.endpoint is not an address",
                "documents.s3.bucket is empty"
            ]
        );
        let mut settings = DocumentsSettings {
            folder: None,
            s3: None,
        };
        settings.folder = Some("files".into());
        assert!(!format!("{settings:?}").contains("wJalr"));
    }
}
