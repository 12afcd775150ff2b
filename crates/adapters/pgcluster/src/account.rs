//! Which user the server runs as.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown, lchown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::OFlags;

use crate::error::{ClusterError, OrIo as _};

/// The user of the server: the caller, or for root another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    other: Option<Other>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Other {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The caller's own user; for root `postgres`, else `nobody`.
    pub(crate) fn for_server() -> Result<Self, ClusterError> {
        if !is_root() {
            return Ok(Self { other: None });
        }
        let passwd = Path::new("/etc/passwd");
        let users = fs::read_to_string(passwd).or_io("read", passwd)?;
        let other = find_user(&users, "postgres").or_else(|| find_user(&users, "nobody"));
        Ok(Self {
            other: Some(other.ok_or(ClusterError::NoAccount)?),
        })
    }

    /// As `for_server`; for root the owner of data that are there already.
    pub(crate) fn for_data(data: &Path) -> Result<Self, ClusterError> {
        match fs::metadata(data) {
            Ok(there) if is_root() && there.uid() != 0 => {
                let name = format!("#{}", there.uid());
                Ok(Self {
                    other: Some(Other {
                        name,
                        uid: there.uid(),
                        gid: there.gid(),
                    }),
                })
            }
            _ => Self::for_server(),
        }
    }

    pub(crate) fn uid(&self) -> u32 {
        self.other
            .as_ref()
            .map_or_else(|| rustix::process::geteuid().as_raw(), |other| other.uid)
    }

    /// A program of this user: nothing on its input, no `PG…` variable, no locale, away from the terminal's signals.
    /// With `uid` the standard library also drops root's supplementary groups.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .current_dir("/")
            .process_group(0);
        for kept in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        if let Some(other) = &self.other {
            command.uid(other.uid).gid(other.gid);
        }
        command
    }

    /// Makes this user the owner of a directory, and the only one who may look into it.
    pub(crate) fn own(&self, directory: &Path) -> Result<(), ClusterError> {
        let closed = fs::Permissions::from_mode(0o700);
        fs::set_permissions(directory, closed).or_io("set the permissions of", directory)?;
        if let Some(other) = &self.other {
            lchown(directory, Some(other.uid), Some(other.gid)).or_io("set the owner of", directory)?;
        }
        Ok(())
    }

    /// An empty file of this user that nobody else may read, not even for a moment. Root writes into directories of this
    /// user here: a link that lies in wait is not followed.
    pub(crate) fn create_file(&self, path: &Path) -> Result<File, ClusterError> {
        let no_link = OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = File::options();
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(no_link);
        let file = options.open(path).or_io("write", path)?;
        if let Some(other) = &self.other {
            fchown(&file, Some(other.uid), Some(other.gid)).or_io("set the owner of", path)?;
        }
        Ok(file)
    }

    pub(crate) fn write_file(&self, path: &Path, text: &str) -> Result<(), ClusterError> {
        self.create_file(path)?
            .write_all(text.as_bytes())
            .or_io("write", path)
    }

    /// Root's directories are often closed to other users: said before PostgreSQL fails for it.
    pub(crate) fn must_reach(&self, directory: &Path) -> Result<(), ClusterError> {
        let Some(other) = &self.other else { return Ok(()) };
        let mut look = self.command(Path::new("/bin/sh"));
        look.args(["-c", "cd \"$0\"", &directory.to_string_lossy()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if look
            .status()
            .or_io("look as another user at", directory)?
            .success()
        {
            Ok(())
        } else {
            Err(ClusterError::Unreachable {
                path: directory.to_owned(),
                user: other.name.clone(),
            })
        }
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn find_user(passwd: &str, name: &str) -> Option<Other> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then(|| Other {
            name: name.to_owned(),
            uid,
            gid,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (directory.path().join("target"), directory.path().join("link"));
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(Account::for_server().unwrap().create_file(&link).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }

    #[test]
    fn a_user_is_found_by_its_whole_name_and_is_never_root() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\npostgres2:x:5:6:::\npostgres:x:101:104:PostgreSQL,,,:/var:/bin/bash\n";
        let found = find_user(passwd, "postgres").unwrap();
        assert_eq!((found.uid, found.gid), (101, 104));
        assert_eq!(find_user(passwd, "root"), None);
        assert_eq!(find_user(passwd, "nobody"), None);
    }
}
