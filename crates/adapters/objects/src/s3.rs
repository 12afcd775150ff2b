//! An S3-compatible storage. Its addresses are signed here, with the type and the length among what is signed: an upload of
//! anything else is refused by the storage itself.

use std::time::Duration;

use async_trait::async_trait;
use posx_assistant::documents::{Announced, FilePlace, FileStorage, StorageError, UploadTarget};
use posx_kernel::{SiteId, Timestamp};
use reqwest::{Client, Response, StatusCode};
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// Of our own calls' signatures.
const SIGNED_FOR: Duration = Duration::from_mins(1);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
const CALL_TIME_MAX: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub struct S3Config {
    pub endpoint: Url,
    pub region: String,
    pub bucket: String,
    pub access_key: String,
    pub secret_key: SecretString,
}

#[derive(Debug, thiserror::Error)]
pub enum S3ConfigError {
    #[error("the storage's address or bucket is not usable")]
    Bucket(#[source] rusty_s3::BucketError),
    #[error("the client cannot be made")]
    Client(#[source] reqwest::Error),
}

#[derive(Clone)]
pub struct S3 {
    bucket: Bucket,
    credentials: Credentials,
    client: Client,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3")
            .field("bucket", &self.bucket.name())
            .finish_non_exhaustive()
    }
}

/// An address has a signature in it: it is never part of an error.
fn unavailable(error: reqwest::Error) -> StorageError {
    StorageError::Unavailable(Box::new(error.without_url()))
}

fn answered(response: Response) -> Result<Option<Response>, StorageError> {
    match response.status() {
        StatusCode::NOT_FOUND => Ok(None),
        status if status.is_success() => Ok(Some(response)),
        status => Err(StorageError::Unavailable(
            format!("the storage answered {status}").into(),
        )),
    }
}

impl S3 {
    /// Calls nobody.
    pub fn new(config: &S3Config) -> Result<Self, S3ConfigError> {
        let (endpoint, name, region) = (
            config.endpoint.clone(),
            config.bucket.clone(),
            config.region.clone(),
        );
        let bucket = Bucket::new(endpoint, UrlStyle::Path, name, region).map_err(S3ConfigError::Bucket)?;
        let client = Client::builder()
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(CALL_TIME_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(S3ConfigError::Client)?;
        Ok(Self {
            bucket,
            credentials: Credentials::new(
                config.access_key.clone(),
                config.secret_key.expose_secret().to_owned(),
            ),
            client,
        })
    }
}

#[async_trait]
impl FileStorage for S3 {
    fn upload_target(&self, place: FilePlace, announced: Announced) -> Result<UploadTarget, StorageError> {
        let (path, length) = (place.to_string(), announced.bytes.to_string());
        let mut put = self.bucket.put_object(Some(&self.credentials), &path);
        put.headers_mut()
            .insert("content-type", announced.media_type.as_str());
        put.headers_mut().insert("content-length", length.clone());
        let url = put.sign(Duration::from_secs(u64::from(announced.valid_s)));
        Ok(UploadTarget {
            url: url.into(),
            headers: vec![
                ("content-type", announced.media_type.as_str().to_owned()),
                ("content-length", length),
            ],
        })
    }

    async fn size(&self, place: FilePlace) -> Result<Option<u64>, StorageError> {
        let url = self
            .bucket
            .head_object(Some(&self.credentials), &place.to_string())
            .sign(SIGNED_FOR);
        let response = answered(self.client.head(url).send().await.map_err(unavailable)?)?;
        let length = |response: &Response| {
            let length = response.headers().get(reqwest::header::CONTENT_LENGTH)?;
            length.to_str().ok()?.parse().ok()
        };
        match response {
            None => Ok(None),
            Some(response) => match length(&response) {
                Some(length) => Ok(Some(length)),
                None => Err(StorageError::Unavailable("the storage says no length".into())),
            },
        }
    }

    async fn read(&self, place: FilePlace, bytes_max: u32) -> Result<Option<Vec<u8>>, StorageError> {
        let url = self
            .bucket
            .get_object(Some(&self.credentials), &place.to_string())
            .sign(SIGNED_FOR);
        let response = answered(self.client.get(url).send().await.map_err(unavailable)?)?;
        let Some(mut response) = response else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unavailable)? {
            if bytes.len() + chunk.len() > bytes_max as usize {
                return Ok(None);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }

    async fn delete(&self, place: FilePlace) -> Result<(), StorageError> {
        let url = self
            .bucket
            .delete_object(Some(&self.credentials), &place.to_string())
            .sign(SIGNED_FOR);
        answered(self.client.delete(url).send().await.map_err(unavailable)?)?;
        Ok(())
    }

    /// An upload is one `PUT`: one that breaks off leaves nothing.
    async fn sweep(&self, _: SiteId, _: Timestamp) -> Result<(), StorageError> {
        Ok(())
    }
}
