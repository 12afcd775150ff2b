//! How a job ends that does not end well.

use std::error::Error;
use std::fmt::Write as _;

use posx_kernel::{Kind, Refusal, Severity};

type Source = Box<dyn Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    /// No repetition would change it: the job is over.
    #[error("refused ({code})")]
    Refused {
        code: &'static str,
        #[source]
        source: Source,
    },
    /// Tried again with back-off.
    #[error("failed ({code})")]
    Failed {
        code: &'static str,
        severity: Severity,
        #[source]
        source: Source,
    },
    /// The site is suspended: the job waits, and this try does not count.
    #[error("the site is suspended")]
    Suspended,
    #[error("the job's payload is not readable")]
    Payload(#[source] serde_json::Error),
    #[error("the job carries no site")]
    NoSite,
    #[error("the job's site does not exist")]
    UnknownSite,
    #[error("this version knows no such task")]
    UnknownTask,
    #[error("the job panicked: {0}")]
    Panicked(String),
}

impl<E: Refusal> From<E> for JobError {
    fn from(error: E) -> Self {
        let (code, severity) = (error.code(), error.severity());
        let source: Source = Box::new(error);
        match severity {
            Severity::Refusal => Self::Refused { code, source },
            Severity::Warning | Severity::Error => Self::Failed {
                code,
                severity,
                source,
            },
        }
    }
}

impl JobError {
    /// For a refusal that time may heal: what it asks for is perhaps still being written.
    pub(crate) fn worth_a_retry(error: impl Refusal) -> Self {
        Self::Failed {
            code: error.code(),
            severity: match error.kind() {
                Kind::Internal => Severity::Error,
                _ => Severity::Warning,
            },
            source: Box::new(error),
        }
    }

    /// Stable, for logs, counters and the list of dead jobs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } | Self::Failed { code, .. } => code,
            Self::Suspended => "site_suspended",
            Self::Payload(_) => "job_payload_unreadable",
            Self::NoSite => "job_without_site",
            Self::UnknownSite => "site_not_found",
            Self::UnknownTask => "job_task_unknown",
            Self::Panicked(_) => "job_panicked",
        }
    }

    pub(crate) fn severity(&self) -> Severity {
        match self {
            Self::Refused { .. } => Severity::Refusal,
            Self::Failed { severity, .. } => *severity,
            Self::Suspended => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// The whole chain, for the log.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }
}

pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a string does not fail.
        write!(text, ": {error}").ok();
        source = error.source();
    }
    text
}
