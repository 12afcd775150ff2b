//! The port to where files are.

use async_trait::async_trait;
use posx_kernel::{DocumentId, Kind, Refusal, SiteId, Timestamp};

use super::MediaType;

/// Where a document's file is: under its site's prefix, by ids alone, so that no name reaches a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePlace {
    pub site: SiteId,
    pub document: DocumentId,
}

impl FilePlace {
    /// Above all places of a site.
    pub fn folder(site: SiteId) -> String {
        format!("sites/{}/documents", site.as_uuid().simple())
    }
}

impl std::fmt::Display for FilePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let document = self.document.as_uuid().simple();
        write!(f, "{}/{document}", Self::folder(self.site))
    }
}

/// What the uploader may send.
#[derive(Debug, Clone, Copy)]
pub struct Announced {
    pub media_type: MediaType,
    pub bytes: u32,
    /// Seconds from now.
    pub valid_s: u32,
}

/// `PUT` the file to this address, with exactly these headers.
#[derive(Clone, PartialEq, Eq)]
pub struct UploadTarget {
    /// Absolute, or from the API's root on: then it is a call of the API, with the caller's token.
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
}

/// Whoever has it may upload: it does not print.
impl std::fmt::Debug for UploadTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UploadTarget").finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("no storage for documents is configured")]
    Off,
    #[error("the storage for documents cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Refusal for StorageError {
    fn code(&self) -> &'static str {
        match self {
            Self::Off => "document_storage_off",
            Self::Unavailable(_) => "document_storage_unavailable",
        }
    }

    fn kind(&self) -> Kind {
        Kind::Unavailable
    }
}

#[async_trait]
pub trait FileStorage: Send + Sync + std::fmt::Debug {
    /// Calls nobody.
    fn upload_target(&self, place: FilePlace, announced: Announced) -> Result<UploadTarget, StorageError>;
    /// None: there is no such file.
    async fn size(&self, place: FilePlace) -> Result<Option<u64>, StorageError>;
    /// None: there is no such file, or it is larger than that.
    async fn read(&self, place: FilePlace, bytes_max: u32) -> Result<Option<Vec<u8>>, StorageError>;
    /// Deleting what is not there is fine.
    async fn delete(&self, place: FilePlace) -> Result<(), StorageError>;
    /// Deletes what is left of uploads of the site that broke off before then.
    async fn sweep(&self, site: SiteId, before: Timestamp) -> Result<(), StorageError>;
}
