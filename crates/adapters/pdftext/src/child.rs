//! The process that reads, and how it is called.

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use posx_assistant::documents::{DOCUMENT_BYTES_MAX, PdfError, PdfReader, Unusable};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// A program that is started with this as its only argument is the reader.
pub const CHILD_ARGUMENT: &str = "read-pdf";

/// Address space: a file of 20 MiB with what it unpacks to, and the libraries.
const MEMORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;
const PROCESSOR_S_MAX: u64 = 20;
/// After that it ends without a word, as if somebody else had killed it.
const PROCESSOR_S_END: u64 = PROCESSOR_S_MAX + 10;
const OPEN_FILES_MAX: u64 = 16;
/// How a program ends that panicked.
const PANICKED: i32 = 101;
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

    /// None: it ended of what the file made it do.
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
        if status.success() {
            Ok(Some(answer?))
        } else if is_the_files_doing(status) {
            Ok(None)
        } else {
            Err(io::Error::other(format!("the reader ended: {status}")))
        }
    }
}

/// It panicked, overflowed its stack, or took more memory or processor time than it may. Whatever else ended it (the machine's
/// want of memory, a stop of all our processes, a limit that could not be set) would have ended it with any file.
fn is_the_files_doing(status: ExitStatus) -> bool {
    let signals = [Signal::XCPU, Signal::ABORT, Signal::SEGV].map(Signal::as_raw);
    status.code() == Some(PANICKED) || status.signal().is_some_and(|signal| signals.contains(&signal))
}

#[async_trait]
impl PdfReader for ChildReader {
    async fn pages(&self, pdf: Vec<u8>) -> Result<Vec<String>, PdfError> {
        let answer = match tokio::time::timeout(WALL_TIME_MAX, self.ask(pdf)).await {
            Ok(Ok(Some(answer))) => answer,
            Ok(Err(error)) => return Err(PdfError::Failed(Box::new(error))),
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
    for (resource, most, end) in [
        (Resource::As, MEMORY_BYTES_MAX, MEMORY_BYTES_MAX),
        (Resource::Cpu, PROCESSOR_S_MAX, PROCESSOR_S_END),
        (Resource::Nofile, OPEN_FILES_MAX, OPEN_FILES_MAX),
        (Resource::Core, 0, 0),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(end),
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use rustix::process::{Pid, kill_process};
    use tempfile::TempDir;

    use super::*;

    /// A reader that does this instead. It has no environment.
    fn reader(folder: &TempDir, script: &str) -> ChildReader {
        let program = folder.path().join("reader");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        ChildReader::new(program)
    }

    /// Another test that starts a process just now may hold the script open for a moment.
    async fn asked(reader: &ChildReader) -> Result<Vec<String>, PdfError> {
        let busy = |error: &PdfError| match error {
            PdfError::Failed(source) => source
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::ExecutableFileBusy),
            PdfError::Unusable(_) => false,
        };
        loop {
            let read = reader.pages(b"%PDF-1.7".to_vec()).await;
            if !read.as_ref().is_err_and(busy) {
                return read;
            }
        }
    }

    async fn read(script: &str) -> Result<Vec<String>, PdfError> {
        let folder = tempfile::tempdir().unwrap();
        asked(&reader(&folder, script)).await
    }

    fn too_costly(read: &Result<Vec<String>, PdfError>) -> bool {
        matches!(read, Err(PdfError::Unusable(Unusable::TooCostly)))
    }

    #[tokio::test]
    async fn what_a_file_makes_the_reader_do_is_the_files_fault() {
        for script in [
            "kill -ABRT $$",
            "kill -SEGV $$",
            "exit 101",
            // Of processor time as the reader sets it: the loop ends by the first of two limits.
            "ulimit -S -t 1; while :; do :; done",
        ] {
            let read = read(script).await;
            assert!(too_costly(&read), "{script}: {read:?}");
        }
    }

    #[tokio::test]
    async fn what_ends_the_reader_from_outside_is_not() {
        for script in [
            "kill -TERM $$",
            "kill -KILL $$",
            "kill -INT $$",
            "exit 1",
            "exit 0",
        ] {
            let read = read(script).await;
            assert!(matches!(read, Err(PdfError::Failed(_))), "{script}: {read:?}");
        }
        let gone = ChildReader::new("/nowhere/reader".into());
        assert!(matches!(gone.pages(Vec::new()).await, Err(PdfError::Failed(_))));
    }

    #[tokio::test]
    async fn a_reader_that_is_killed_while_it_reads_is_asked_again_and_then_reads() {
        let folder = tempfile::tempdir().unwrap();
        let noted = folder.path().join("pid");
        let script = format!(
            "echo $$ > {0}.new && /bin/mv {0}.new {0}; exec /bin/sleep 60",
            noted.display()
        );
        let first = reader(&folder, &script);
        let read = tokio::spawn(async move { asked(&first).await });
        let pid = loop {
            match fs::read_to_string(&noted) {
                Ok(text) => break Pid::from_raw(text.trim().parse().unwrap()).unwrap(),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        kill_process(pid, Signal::KILL).unwrap();
        let read = read.await.unwrap();
        assert!(matches!(read, Err(PdfError::Failed(_))), "{read:?}");
        let folder = tempfile::tempdir().unwrap();
        let again = reader(&folder, r#"echo '{"pages":["Order"]}'"#);
        assert_eq!(asked(&again).await.unwrap(), ["Order"]);
    }

    /// The clock of the test goes on by itself: nobody waits a minute.
    #[tokio::test(start_paused = true)]
    async fn a_reader_that_sleeps_is_ended_after_its_time() {
        let began = tokio::time::Instant::now();
        let read = read("exec /bin/sleep 300").await;
        assert!(too_costly(&read), "{read:?}");
        assert!(began.elapsed() >= WALL_TIME_MAX);
    }
}
