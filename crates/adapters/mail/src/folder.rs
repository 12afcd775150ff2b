//! Messages as files: for development and the demo.

use std::path::PathBuf;

use async_trait::async_trait;
use posx_tenancy::{Mail, MailOutcome, Mailer, MailerError};

use crate::compose::Sender;

/// Writes each message into `{id}.eml` of a folder that is made when it is missing; names sort by time.
#[derive(Debug, Clone)]
pub struct FolderMailer {
    folder: PathBuf,
    sender: Sender,
}

impl FolderMailer {
    pub const fn new(folder: PathBuf, sender: Sender) -> Self {
        Self { folder, sender }
    }
}

#[async_trait]
impl Mailer for FolderMailer {
    async fn send(&self, mail: &Mail) -> Result<MailOutcome, MailerError> {
        let (id, message) = self.sender.compose(mail)?;
        let file = self.folder.join(format!("{}.eml", id.simple()));
        let written = async {
            tokio::fs::create_dir_all(&self.folder).await?;
            tokio::fs::write(file, message.formatted()).await
        };
        written.await.map_err(|error| MailerError(Box::new(error)))?;
        Ok(MailOutcome::Accepted)
    }
}
