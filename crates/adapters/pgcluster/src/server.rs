//! A running server, as its users see it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A PostgreSQL version, as in `18.6`. Never a pre-release's full name: `19beta1` is 19.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
}

impl Version {
    /// From `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`.
    pub(crate) fn parse(shown: &str) -> Option<Self> {
        let text = shown.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
        let (major, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let minor = rest
            .strip_prefix('.')
            .and_then(|minor| minor.parse().ok())
            .unwrap_or(0);
        Some(Self {
            major: major.parse().ok()?,
            minor,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// How to reach a server. Printing it does not show the password; a URL does.
#[derive(Clone)]
pub struct Server {
    pub(crate) port: u16,
    pub(crate) run_dir: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) bindir: PathBuf,
    pub(crate) version: Version,
    /// Hexadecimal digits only: it needs no escaping in a URL.
    pub(crate) password: String,
}

impl Server {
    /// `postgres://postgres:…@127.0.0.1:PORT/postgres`
    pub fn superuser_url(&self) -> String {
        self.superuser_url_of("postgres")
    }

    /// The superuser's URL of another database, whose name must need no escaping in a URL.
    pub fn superuser_url_of(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// Always on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the Unix socket is. For root it belongs to the user who runs the server.
    pub fn socket_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Where `psql` and `pgbench` of the same version are, if they are installed.
    pub fn bindir(&self) -> &Path {
        &self.bindir
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// What the server writes while it runs.
    pub fn log_file(&self) -> &Path {
        &self.log
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("port", &self.port)
            .field("run_dir", &self.run_dir)
            .field("bindir", &self.bindir)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The last lines of a log, for a message.
pub(crate) fn tail(log: &Path) -> String {
    let Ok(bytes) = fs::read(log) else {
        return format!("(no log at {})", log.display());
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        let parse = |shown: &str| Version::parse(shown).map(|version| version.to_string());
        assert_eq!(
            parse("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n").as_deref(),
            Some("15.13")
        );
        assert_eq!(parse("postgres (PostgreSQL) 18.6").as_deref(), Some("18.6"));
        assert_eq!(parse("postgres (PostgreSQL) 19beta1").as_deref(), Some("19.0"));
        assert_eq!(parse("command not found"), None);
    }

    #[test]
    fn a_printed_server_shows_no_password() {
        let server = Server {
            port: 5,
            run_dir: "/r".into(),
            log: "/l".into(),
            bindir: "/b".into(),
            version: Version { major: 18, minor: 6 },
            password: "5ec2e7".into(),
        };
        assert!(!format!("{server:?}").contains("5ec2e7"));
        assert_eq!(
            server.superuser_url(),
            "postgres://postgres:5ec2e7@127.0.0.1:5/postgres"
        );
    }
}
