//! A folder of this machine, for one machine's installations and for the demo. Files come in through our own API.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use posx_assistant::documents::{Announced, FilePlace, FileStorage, StorageError, UploadTarget};
use posx_kernel::{SiteId, Timestamp};
use tokio::fs;
use tokio::io::AsyncWriteExt as _;

/// How the name of a file ends that is on its way in.
const PART: &str = "part";

#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

/// A file on its way in. Dropped before [`finish`](Self::finish), nothing is there.
#[derive(Debug)]
pub struct Arrival {
    file: fs::File,
    temporary: PathBuf,
    path: PathBuf,
    left: u32,
}

fn unavailable(error: Error) -> StorageError {
    StorageError::Unavailable(Box::new(error))
}

impl Folder {
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, place: FilePlace) -> PathBuf {
        self.root.join(place.to_string())
    }

    /// Of exactly so many bytes. `unique` tells two uploads of one file apart.
    pub async fn receive(&self, place: FilePlace, bytes: u32, unique: &str) -> Result<Arrival, StorageError> {
        let path = self.path(place);
        let folder = path.parent().ok_or(StorageError::Off)?;
        fs::create_dir_all(folder).await.map_err(unavailable)?;
        let temporary = path.with_extension(format!("{unique}.{PART}"));
        let file = fs::File::create(&temporary).await.map_err(unavailable)?;
        Ok(Arrival {
            file,
            temporary,
            path,
            left: bytes,
        })
    }
}

impl Arrival {
    /// False: that is more than was announced, and it is not written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<bool, StorageError> {
        let left = u32::try_from(bytes.len())
            .ok()
            .and_then(|more| self.left.checked_sub(more));
        let Some(left) = left else { return Ok(false) };
        self.file.write_all(bytes).await.map_err(unavailable)?;
        self.left = left;
        Ok(true)
    }

    /// Puts the whole file in its place. False: something is missing, and nothing is there.
    pub async fn finish(mut self) -> Result<bool, StorageError> {
        if self.left > 0 {
            return Ok(false);
        }
        self.file.flush().await.map_err(unavailable)?;
        self.file.sync_all().await.map_err(unavailable)?;
        fs::rename(&self.temporary, &self.path)
            .await
            .map_err(unavailable)?;
        Ok(true)
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        // After `finish` it is not there any more.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

#[async_trait]
impl FileStorage for Folder {
    fn upload_target(&self, place: FilePlace, announced: Announced) -> Result<UploadTarget, StorageError> {
        Ok(UploadTarget {
            url: format!("/api/v1/documents/{}/content", place.document),
            headers: vec![
                ("content-type", announced.media_type.as_str().to_owned()),
                ("content-length", announced.bytes.to_string()),
            ],
        })
    }

    async fn size(&self, place: FilePlace) -> Result<Option<u64>, StorageError> {
        match fs::metadata(self.path(place)).await {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn read(&self, place: FilePlace, bytes_max: u32) -> Result<Option<Vec<u8>>, StorageError> {
        if self
            .size(place)
            .await?
            .is_none_or(|size| size > u64::from(bytes_max))
        {
            return Ok(None);
        }
        match fs::read(self.path(place)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn delete(&self, place: FilePlace) -> Result<(), StorageError> {
        match fs::remove_file(self.path(place)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(unavailable(error)),
            _ => Ok(()),
        }
    }

    /// A process that was killed has not dropped its [`Arrival`]s.
    async fn sweep(&self, site: SiteId, before: Timestamp) -> Result<(), StorageError> {
        let mut entries = match fs::read_dir(self.root.join(FilePlace::folder(site))).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unavailable(error)),
        };
        while let Some(entry) = entries.next_entry().await.map_err(unavailable)? {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != PART) {
                continue;
            }
            match remove_if_older(&path, before).await {
                // It has arrived meanwhile.
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(unavailable(error)),
                _ => {}
            }
        }
        Ok(())
    }
}

async fn remove_if_older(path: &Path, before: Timestamp) -> std::io::Result<()> {
    if fs::metadata(path).await?.modified()? < before.into() {
        fs::remove_file(path).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use posx_kernel::DocumentId;
    use uuid::Uuid;

    use super::*;

    fn place(document: u128) -> FilePlace {
        FilePlace {
            site: SiteId::from_uuid(Uuid::from_u128(1)),
            document: DocumentId::from_uuid(Uuid::from_u128(document)),
        }
    }

    #[tokio::test]
    async fn a_file_arrives_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().to_owned());
        let mut arrival = folder.receive(place(1), 6, "a").await.unwrap();
        assert!(arrival.write(b"abc").await.unwrap());
        assert!(!arrival.write(b"defg").await.unwrap(), "more than was announced");
        assert!(arrival.write(b"def").await.unwrap());
        assert_eq!(
            folder.size(place(1)).await.unwrap(),
            None,
            "not before it is whole"
        );
        assert!(arrival.finish().await.unwrap());
        assert_eq!(folder.size(place(1)).await.unwrap(), Some(6));
        assert_eq!(
            folder.read(place(1), 6).await.unwrap().as_deref(),
            Some(&b"abcdef"[..])
        );
        assert_eq!(
            folder.read(place(1), 5).await.unwrap(),
            None,
            "larger than asked for"
        );
        assert_eq!(
            folder.read(place(2), 6).await.unwrap(),
            None,
            "another document's place"
        );

        let mut broken = folder.receive(place(2), 6, "b").await.unwrap();
        assert!(broken.write(b"abc").await.unwrap());
        assert!(!broken.finish().await.unwrap());
        let left = std::fs::read_dir(root.path().join(place(2).to_string()).parent().unwrap()).unwrap();
        assert_eq!(left.count(), 1, "the whole file, and no part of the other");
        folder.delete(place(1)).await.unwrap();
        folder.delete(place(1)).await.unwrap();
        assert_eq!(folder.size(place(1)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_swept_and_what_is_arriving_is_not() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path().to_owned());
        let site = place(1).site;
        let now = Timestamp::from(std::fs::metadata(root.path()).unwrap().modified().unwrap());
        let day = Duration::from_hours(24);
        folder.sweep(site, now).await.unwrap();
        let mut whole = folder.receive(place(1), 1, "a").await.unwrap();
        assert!(whole.write(b"a").await.unwrap() && whole.finish().await.unwrap());
        let left = folder.receive(place(2), 6, "b").await.unwrap();
        let left = std::mem::ManuallyDrop::new(left);
        let mut arriving = folder.receive(place(3), 1, "c").await.unwrap();
        let old = |path: &Path| {
            let file = std::fs::File::options().append(true).open(path).unwrap();
            file.set_modified((now - day * 2).into()).unwrap();
        };
        old(&left.temporary);
        old(&folder.path(place(1)));
        folder.sweep(site, now - day).await.unwrap();
        assert!(!left.temporary.exists());
        assert_eq!(folder.size(place(1)).await.unwrap(), Some(1));
        assert!(arriving.write(b"a").await.unwrap() && arriving.finish().await.unwrap());
        folder.sweep(site, now - day).await.unwrap();
        assert_eq!(folder.size(place(3)).await.unwrap(), Some(1));
    }
}
