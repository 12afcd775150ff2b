//! What `up` left running, as files: `pids` for `down`, `env` for whoever runs a test.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::catalogue::ALL;
use super::server::ProcessId;
use crate::Failed;

const PIDS: &str = "pids";
pub(crate) const ENV: &str = "env";

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) running: Vec<Running>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) process: ProcessId,
    pub(crate) url: String,
}

impl State {
    /// Nothing, when nothing was ever started.
    pub(crate) fn read(cache: &Path) -> Self {
        let text = fs::read_to_string(cache.join(PIDS)).unwrap_or_default();
        Self {
            running: text.lines().filter_map(running).collect(),
        }
    }

    pub(crate) fn is_up(&self, name: &str) -> bool {
        self.running
            .iter()
            .any(|one| one.name == name && one.process.is_alive())
    }

    pub(crate) fn write(&self, cache: &Path) -> Result<(), Failed> {
        let (mut pids, mut env) = (String::new(), String::new());
        for one in &self.running {
            let ProcessId { pid, started } = one.process;
            let Running { name, url, .. } = one;
            // Writing to a String cannot fail.
            let _ = writeln!(pids, "{name} {pid} {started} {url}");
            if let Some(known) = ALL.iter().find(|known| known.name == *name) {
                let _ = writeln!(env, "{}={url}", known.variable);
            }
        }
        for (name, text) in [(PIDS, pids), (ENV, env)] {
            let path = cache.join(name);
            fs::write(&path, text).map_err(|error| Failed(format!("{}: {error}", path.display())))?;
        }
        Ok(())
    }
}

fn running(line: &str) -> Option<Running> {
    let mut words = line.split(' ');
    Some(Running {
        name: words.next()?.to_owned(),
        process: ProcessId {
            pid: words.next()?.parse().ok()?,
            started: words.next()?.parse().ok()?,
        },
        url: words.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_remembered_and_its_address_is_for_tests() {
        let cache = crate::tidy::planted::directory();
        let state = State {
            running: vec![Running {
                name: "oidc".to_owned(),
                process: ProcessId {
                    pid: 12,
                    started: 345,
                },
                url: "http://127.0.0.1:6789".to_owned(),
            }],
        };
        assert_eq!(State::read(&cache), State::default());
        state.write(&cache).unwrap();
        assert_eq!(State::read(&cache), state);
        let env = fs::read_to_string(cache.join(ENV)).unwrap();
        assert_eq!(env, "POSX_COUNTERPART_OIDC=http://127.0.0.1:6789\n");
        fs::remove_dir_all(cache).unwrap();
    }
}
