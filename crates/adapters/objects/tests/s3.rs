//! Against an S3 that nobody here wrote: ministack, which verifies signatures and knows the key `test`. Runs when
//! `POSX_COUNTERPART_S3` has its address, and says so when it has not.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like tests")]

use std::io::Write as _;
use std::time::Duration;

use posx_assistant::documents::{
    Announced, FilePlace, FileStorage as _, MediaType, StorageError, UploadTarget,
};
use posx_kernel::{DocumentId, Ids as _, SiteId, SystemIds};
use posx_objects::{S3, S3Config};
use reqwest::{Client, StatusCode};
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use secrecy::SecretString;
use url::Url;

const BUCKET: &str = "documents";
const REGION: &str = "us-east-1";

fn address() -> Option<Url> {
    let address = std::env::var_os("POSX_COUNTERPART_S3").and_then(|address| address.into_string().ok());
    if address.is_none() {
        // Past the capture of tests that pass: what was left out is to be seen.
        std::io::stderr()
            .write_all(b"left out: POSX_COUNTERPART_S3 is not set\n")
            .unwrap();
    }
    address.map(|address| address.parse().unwrap())
}

async fn storage(endpoint: Url, secret: &str) -> S3 {
    let bucket = Bucket::new(endpoint.clone(), UrlStyle::Path, BUCKET, REGION).unwrap();
    let url = bucket
        .create_bucket(&Credentials::new("test", "test"))
        .sign(Duration::from_mins(1));
    Client::new().put(url).send().await.unwrap();
    let config = S3Config {
        endpoint,
        region: REGION.to_owned(),
        bucket: BUCKET.to_owned(),
        access_key: "test".to_owned(),
        secret_key: SecretString::from(secret),
    };
    S3::new(&config).unwrap()
}

fn place() -> FilePlace {
    let id = || SystemIds.uuid(posx_kernel::Clock::now(&posx_kernel::SystemClock));
    FilePlace {
        site: SiteId::from_uuid(id()),
        document: DocumentId::from_uuid(id()),
    }
}

fn announced(storage: &S3, place: FilePlace, bytes: u32) -> UploadTarget {
    let announced = Announced {
        media_type: MediaType::Pdf,
        bytes,
        valid_s: 900,
    };
    storage.upload_target(place, announced).unwrap()
}

async fn put(url: &str, media_type: &str, body: &'static [u8]) -> StatusCode {
    let put = Client::new()
        .put(url)
        .header("content-type", media_type)
        .body(body);
    put.send().await.unwrap().status()
}

#[tokio::test]
async fn a_file_of_the_announced_type_and_length_is_taken_and_no_other() {
    let Some(endpoint) = address() else { return };
    let storage = storage(endpoint, "test").await;
    let place = place();
    assert_eq!(storage.size(place).await.unwrap(), None);
    let target = announced(&storage, place, 9);
    assert!(target.headers.contains(&("content-length", "9".to_owned())));
    assert_eq!(
        put(&target.url, "application/pdf", b"%PDF-1.7\n and more").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        put(&target.url, "text/html", b"%PDF-1.7\n").await,
        StatusCode::FORBIDDEN
    );
    let elsewhere = target.url.replace("documents/", "documents/x");
    assert_eq!(
        put(&elsewhere, "application/pdf", b"%PDF-1.7\n").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        storage.size(place).await.unwrap(),
        None,
        "nothing of that arrived"
    );

    assert_eq!(
        put(&target.url, "application/pdf", b"%PDF-1.7\n").await,
        StatusCode::OK
    );
    assert_eq!(storage.size(place).await.unwrap(), Some(9));
    assert_eq!(
        storage.read(place, 9).await.unwrap().as_deref(),
        Some(&b"%PDF-1.7\n"[..])
    );
    assert_eq!(
        storage.read(place, 8).await.unwrap(),
        None,
        "larger than asked for"
    );
    storage.delete(place).await.unwrap();
    storage.delete(place).await.unwrap();
    assert_eq!(
        (
            storage.size(place).await.unwrap(),
            storage.read(place, 9).await.unwrap()
        ),
        (None, None)
    );
}

#[tokio::test]
async fn a_wrong_key_is_a_storage_that_cannot_be_reached_and_no_address_is_told() {
    let Some(endpoint) = address() else { return };
    let storage = storage(endpoint, "not-the-key").await;
    let refused = storage.size(place()).await.unwrap_err();
    assert!(matches!(refused, StorageError::Unavailable(_)));
    assert!(!format!("{refused:?}").contains("X-Amz-Signature"), "{refused:?}");
}
