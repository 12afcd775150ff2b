//! Files that are derived from the code. What the API knows its own binary prints, so that this tool need not link it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::Args;

use crate::{Failed, cargo, coverage};

struct Derived {
    path: &'static str,
    /// What `posx-api --print …` is asked for.
    what: &'static str,
}

const DERIVED: &[Derived] = &[
    Derived {
        path: "docs/openapi.json",
        what: "openapi",
    },
    Derived {
        path: "docs/errors.md",
        what: "errors",
    },
    Derived {
        path: "docs/configuration.md",
        what: "configuration",
    },
    Derived {
        path: ".env.example",
        what: "env-example",
    },
];

#[derive(Debug, Args)]
pub(crate) struct Regen {
    /// Writes nothing; fails and names the files that are out of date
    #[arg(long)]
    pub(crate) check: bool,
    /// Builds the API in the release profile, as the demo does
    #[arg(long)]
    pub(crate) release: bool,
}

impl Regen {
    pub(crate) fn run(&self, root: &Path) -> Result<(), Failed> {
        let mut stale = Vec::new();
        stale.extend(self.put(root, coverage::PATH, &coverage::document(root)?)?);
        let api = cargo::build(root, "posx-api", self.build_arguments())?;
        for derived in DERIVED {
            stale.extend(self.put(root, derived.path, &print(&api, derived.what)?)?);
        }
        verdict(&stale)
    }

    /// Writes the text, or only looks; the path if it is out of date.
    fn put(&self, root: &Path, path: &'static str, text: &str) -> Result<Option<&'static str>, Failed> {
        let file = root.join(path);
        if fs::read_to_string(&file).is_ok_and(|there| there == text) {
            println!("{path} is up to date");
            return Ok(None);
        }
        if self.check {
            return Ok(Some(path));
        }
        fs::write(&file, text).map_err(|error| Failed(format!("{}: {error}", file.display())))?;
        println!("{path} written");
        Ok(None)
    }

    /// The demo's package is selected too: the same features, hence the same build of every dependency.
    fn build_arguments(&self) -> &'static [&'static str] {
        let arguments = &["--package", "posx-api", "--package", "posx", "--release"];
        if self.release { arguments } else { &arguments[..4] }
    }
}

fn verdict(stale: &[&str]) -> Result<(), Failed> {
    if stale.is_empty() {
        return Ok(());
    }
    Err(Failed(format!(
        "out of date: {}; run `cargo xtask regen` and commit the difference",
        stale.join(", ")
    )))
}

fn print(api: &Path, what: &str) -> Result<String, Failed> {
    let shown = format!("posx-api --print {what}");
    let output = Command::new(api)
        .args(["--print", what])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failed(format!("`{shown}` did not start: {error}")))?;
    if !output.status.success() {
        return Err(Failed(format!("`{shown}` failed ({})", output.status)));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| Failed(format!("`{shown}` printed something that is not UTF-8")))?;
    // One line end at the end, whatever was printed.
    Ok(format!("{}\n", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_the_api_prints_ends_with_one_line_end() {
        let directory = crate::tidy::planted::directory();
        let fake = directory.join("api");
        fs::write(&fake, "#!/bin/sh\nprintf '%s %s\\n\\n' \"$1\" \"$2\"\n").unwrap();
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(print(&fake, "errors").unwrap(), "--print errors\n");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_check_names_what_is_stale_and_writes_nothing() {
        let root = crate::tidy::planted::directory();
        let (check, write) = [true, false]
            .map(|check| Regen {
                check,
                release: false,
            })
            .into();
        assert_eq!(check.put(&root, "a.md", "new").unwrap(), Some("a.md"));
        assert!(!root.join("a.md").exists());
        assert_eq!(write.put(&root, "a.md", "new").unwrap(), None);
        assert_eq!(check.put(&root, "a.md", "new").unwrap(), None);
        assert_eq!(check.put(&root, "a.md", "newer").unwrap(), Some("a.md"));
        assert_eq!(fs::read_to_string(root.join("a.md")).unwrap(), "new");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_stale_file_is_named_with_what_to_do() {
        assert!(verdict(&[]).is_ok());
        let said = verdict(&["docs/errors.md"]).unwrap_err().to_string();
        assert!(
            said.contains("docs/errors.md") && said.contains("cargo xtask regen"),
            "{said}"
        );
    }
}
