//! Where documents are kept, and who reads their PDFs.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use posx_assistant::documents::{Announced, FilePlace, FileStorage, StorageError, UploadTarget};
use posx_kernel::{SiteId, Timestamp};
use posx_objects::{Folder, S3, S3Config};
use posx_pdftext::ChildReader;
use url::Url;

use crate::{DocumentsSettings, StartError};

/// The storage, and the folder where our own API takes the files.
pub(crate) fn storage(
    settings: Option<&DocumentsSettings>,
) -> Result<(Arc<dyn FileStorage>, Option<Folder>), StartError> {
    let Some(settings) = settings else {
        return Ok((Arc::new(NoStorage), None));
    };
    if let Some(root) = &settings.folder {
        let folder = Folder::new(root.clone());
        return Ok((Arc::new(folder.clone()), Some(folder)));
    }
    let Some(s3) = &settings.s3 else {
        return Ok((Arc::new(NoStorage), None));
    };
    let config = S3Config {
        endpoint: Url::parse(&s3.endpoint).map_err(|error| StartError::Documents(Box::new(error)))?,
        region: s3.region.clone(),
        bucket: s3.bucket.clone(),
        access_key: s3.access_key.clone(),
        secret_key: s3.secret_key.clone(),
    };
    let storage = S3::new(&config).map_err(|error| StartError::Documents(Box::new(error)))?;
    Ok((Arc::new(storage), None))
}

/// This program, started anew for each PDF.
pub(crate) fn pdf_reader() -> Result<ChildReader, StartError> {
    let program = std::env::current_exe().map_err(|error| StartError::Documents(Box::new(error)))?;
    Ok(ChildReader::new(program))
}

/// Whether this process was started to read a PDF: a program of ours asks before anything else.
pub fn is_pdf_reader() -> bool {
    posx_pdftext::is_child()
}

/// Reads the PDF on standard input, within limits.
pub fn read_pdf() -> ExitCode {
    posx_pdftext::run_child()
}

/// Nothing is configured: no document is taken.
#[derive(Debug)]
struct NoStorage;

#[async_trait]
impl FileStorage for NoStorage {
    fn upload_target(&self, _: FilePlace, _: Announced) -> Result<UploadTarget, StorageError> {
        Err(StorageError::Off)
    }
    async fn size(&self, _: FilePlace) -> Result<Option<u64>, StorageError> {
        Err(StorageError::Off)
    }
    async fn read(&self, _: FilePlace, _: u32) -> Result<Option<Vec<u8>>, StorageError> {
        Err(StorageError::Off)
    }
    async fn delete(&self, _: FilePlace) -> Result<(), StorageError> {
        Err(StorageError::Off)
    }
    async fn sweep(&self, _: SiteId, _: Timestamp) -> Result<(), StorageError> {
        Ok(())
    }
}
