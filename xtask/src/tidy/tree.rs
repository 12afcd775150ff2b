//! The tree as the rules see it: every file that could be in version control, and the crates with their manifests.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::source::Source;

/// Everything under the root, read once.
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
    pub(crate) crates: Vec<Crate>,
}

pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    /// Empty for what is not UTF-8.
    pub(crate) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Kernel,
    Domain,
    /// `posx-keyset`: used by adapters, owned by none.
    Shared,
    Adapter,
    /// Settings and wiring, the library of the apps.
    Runtime,
    App,
    Testkit,
    Tool,
}

pub(crate) struct Crate {
    /// The package's name, or the directory's when the manifest cannot be read.
    pub(crate) name: String,
    /// Relative to the root: `crates/orders`.
    pub(crate) dir: String,
    pub(crate) layer: Layer,
    pub(crate) manifest_text: String,
    /// Or what is wrong with it.
    pub(crate) manifest: Result<toml::Table, String>,
    pub(crate) sources: Vec<Source>,
}

/// What is not in version control: see .gitignore.
const NOT_OURS: &[&str] = &[".git", "target", ".posx"];

impl Tree {
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        walk(root, root, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let crates = crates(&files);
        Ok(Self { files, crates })
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    pub(crate) fn package(&self, name: &str) -> Option<&Crate> {
        self.crates.iter().find(|one| one.name == name)
    }
}

impl Crate {
    pub(crate) fn manifest_path(&self) -> String {
        format!("{}/Cargo.toml", self.dir)
    }

    /// Where a key of the manifest stands; the first line when it is not found.
    pub(crate) fn line_of(&self, key: &str) -> usize {
        line_of_key(&self.manifest_text, key)
    }
}

pub(crate) fn line_of_key(toml: &str, key: &str) -> usize {
    let at = toml.lines().position(|line| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
    });
    at.map_or(1, |index| index + 1)
}

fn walk(root: &Path, directory: &Path, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A link could lead out of the tree, and round in it.
        let kind = fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() && !NOT_OURS.contains(&&*name) {
            walk(root, &path, files)?;
        } else if kind.is_file() && !name.ends_with(".log") {
            files.push(File {
                path: relative(root, &path),
                text: String::from_utf8(fs::read(&path)?).unwrap_or_default(),
            });
        }
    }
    Ok(())
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}

fn crates(files: &[File]) -> Vec<Crate> {
    let manifests = files.iter().filter_map(|file| {
        let dir = file.path.strip_suffix("/Cargo.toml")?;
        Some((dir, file))
    });
    manifests
        .map(|(dir, file)| {
            let manifest = file
                .text
                .parse::<toml::Table>()
                .map_err(|error| error.message().to_owned());
            let named = manifest
                .as_ref()
                .ok()
                .and_then(|table| table.get("package")?.get("name")?.as_str());
            let name = named.map_or_else(|| dir.rsplit('/').next().unwrap_or(dir).to_owned(), str::to_owned);
            Crate {
                layer: layer(dir),
                name,
                dir: dir.to_owned(),
                manifest_text: file.text.clone(),
                manifest,
                sources: sources(files, dir),
            }
        })
        .collect()
}

fn layer(dir: &str) -> Layer {
    match dir {
        "crates/kernel" => Layer::Kernel,
        "crates/keyset" => Layer::Shared,
        "crates/testkit" => Layer::Testkit,
        "apps/runtime" => Layer::Runtime,
        _ if dir.starts_with("crates/adapters/") => Layer::Adapter,
        _ if dir.starts_with("crates/") => Layer::Domain,
        _ if dir.starts_with("apps/") => Layer::App,
        _ => Layer::Tool,
    }
}

fn sources(files: &[File], dir: &str) -> Vec<Source> {
    let is_rust = |file: &&File| {
        Path::new(&file.path)
            .extension()
            .is_some_and(|extension| extension == "rs")
    };
    let of_crate = files
        .iter()
        .filter(is_rust)
        .filter(|file| home(files, &file.path) == Some(dir));
    of_crate.map(|file| Source::new(&file.path, &file.text)).collect()
}

/// The directory of the crate that a file belongs to: the nearest one above it with a manifest.
fn home<'a>(files: &[File], path: &'a str) -> Option<&'a str> {
    let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
    let is_crate = |dir: &&str| {
        files
            .iter()
            .any(|file| file.path.strip_suffix("/Cargo.toml") == Some(*dir))
    };
    above.rfind(is_crate)
}

/// `a/b/../c.md` as `a/c.md`; `None` when it leaves the tree.
pub(crate) fn normal(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(PathBuf::from_iter(parts).to_string_lossy().into_owned())
}
