//! The process that reads, and how it is called.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use posx_assistant::documents::{DOCUMENT_BYTES_MAX, PdfError, PdfReader, Unusable};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// A program that is started with this as its only argument is the reader.
pub const CHILD_ARGUMENT: &str = "read-pdf";

/// Address space: a file of 20 MiB with what it unpacks to, and the libraries.
const MEMORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;
const PROCESSOR_S_MAX: u64 = 20;
const OPEN_FILES_MAX: u64 = 16;
const WALL_TIME_MAX: Duration = Duration::from_mins(1);
/// Text of the pages as JSON, escaped.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Pages(Vec<String>),
    Unusable(Unusable),
}

/// Reads each PDF in a process of its own.
#[derive(Debug, Clone)]
pub struct ChildReader {
    program: PathBuf,
}

impl ChildReader {
    /// `program` calls [`run_child`] when [`is_child`] says so, before anything else.
    pub const fn new(program: PathBuf) -> Self {
        Self { program }
    }

    async fn ask(&self, pdf: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let mut child = Command::new(&self.program)
            .arg(CHILD_ARGUMENT)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (mut stdin, stdout) = stdin.zip(stdout).ok_or(io::ErrorKind::BrokenPipe)?;
        let sent = async move {
            // One that has ended early says why by how it ended.
            let _ = stdin.write_all(&pdf).await;
        };
        let received = async move {
            let mut answer = Vec::new();
            stdout
                .take(ANSWER_BYTES_MAX)
                .read_to_end(&mut answer)
                .await
                .map(|_| answer)
        };
        let ((), answer) = tokio::join!(sent, received);
        let status = child.wait().await?;
        Ok(status.success().then_some(answer?))
    }
}

#[async_trait]
impl PdfReader for ChildReader {
    async fn pages(&self, pdf: Vec<u8>) -> Result<Vec<String>, PdfError> {
        let answer = match tokio::time::timeout(WALL_TIME_MAX, self.ask(pdf)).await {
            Ok(Ok(Some(answer))) => answer,
            Ok(Err(error)) => return Err(PdfError::Failed(Box::new(error))),
            // It was killed, by a limit or by us, or it panicked: the file made it.
            Ok(Ok(None)) | Err(_) => return Err(PdfError::Unusable(Unusable::TooCostly)),
        };
        match serde_json::from_slice(&answer) {
            Ok(Answer::Pages(pages)) => Ok(pages),
            Ok(Answer::Unusable(reason)) => Err(PdfError::Unusable(reason)),
            Err(error) => Err(PdfError::Failed(Box::new(error))),
        }
    }
}

/// Whether this process was started to read a PDF.
pub fn is_child() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().is_some_and(|first| first == CHILD_ARGUMENT) && arguments.next().is_none()
}

/// Reads a PDF from standard input and writes its pages to standard output, within limits.
pub fn run_child() -> ExitCode {
    match limit_and_read() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn limit_and_read() -> io::Result<()> {
    for (resource, most) in [
        (Resource::As, MEMORY_BYTES_MAX),
        (Resource::Cpu, PROCESSOR_S_MAX),
        (Resource::Nofile, OPEN_FILES_MAX),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)?;
    }
    let mut pdf = Vec::new();
    io::stdin()
        .lock()
        .take(u64::from(DOCUMENT_BYTES_MAX) + 1)
        .read_to_end(&mut pdf)?;
    let answer = match crate::pages(&pdf) {
        Ok(pages) => Answer::Pages(pages),
        Err(reason) => Answer::Unusable(reason),
    };
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &answer)?;
    out.flush()
}
