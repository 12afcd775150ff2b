//! Counterparts: software that nobody here wrote, to test the adapters against. Installed with pinned versions, served on loopback.
//! What each may be trusted for is said in counterparts/README.md.

mod catalogue;
mod install;
mod schemathesis;
mod server;
mod state;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use crate::tidy::tree::Tree;
use crate::{Failed, cargo};
use catalogue::{ALL, Counterpart, Part, Places};
use install::Missing;
use server::Server;
use state::{Running, State};

/// The adapters with such tests. All their tests are run: those that read no address are quick.
const TESTS: &[&str] = &[
    "test",
    "-p",
    "posx-stripe",
    "-p",
    "posx-fireblocks",
    "-p",
    "posx-oidc",
    "-p",
    "posx-objects",
    "-p",
    "posx-llm",
];

#[derive(Debug, Args)]
pub(crate) struct Counterparts {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Installs and starts them; their addresses are in target/counterparts/env
    Up(Choice),
    /// Ends what `up` started
    Down(Choice),
    /// Says which are up, and where
    Status(Choice),
    /// Starts those that a test reads the address of, runs the adapters' tests, and ends them; then has schemathesis look
    /// at the API
    Test {
        /// These, not all
        #[arg(long, value_name = "NAME", num_args = 1.., value_parser = PossibleValuesParser::new(tested()))]
        only: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Choice {
    /// These, not all
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = PossibleValuesParser::new(ALL.iter().map(|one| one.name)))]
    only: Vec<String>,
}

impl Choice {
    fn has(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|one| one == name)
    }

    fn counterparts(&self) -> Vec<&'static Counterpart> {
        ALL.iter().filter(|one| self.has(one.name)).collect()
    }
}

impl Counterparts {
    pub(crate) fn run(&self, root: &Path) -> Result<(), Failed> {
        let places = Places::of(root);
        match &self.verb {
            Verb::Up(choice) => up(&places, choice),
            Verb::Down(choice) => down(&places, choice),
            Verb::Status(choice) => {
                show(&State::read(&places.cache), choice);
                Ok(())
            }
            Verb::Test { only } => test(root, &places, only).map(drop),
        }
    }
}

/// A counterpart that is not there, and why.
type LeftOut = (&'static str, String);

pub(crate) struct Tested {
    /// Whether there was any counterpart to test against.
    pub(crate) any: bool,
    /// Each with its reason.
    pub(crate) left_out: Vec<String>,
}

/// For the gate.
pub(crate) fn against_all(root: &Path) -> Result<Tested, Failed> {
    let left_out = test(root, &Places::of(root), &[])?;
    Ok(Tested {
        any: left_out.len() < tested().count(),
        left_out: left_out
            .into_iter()
            .map(|(name, why)| format!("{name} ({why})"))
            .collect(),
    })
}

fn up(places: &Places, choice: &Choice) -> Result<(), Failed> {
    let _lock = lock(&places.cache)?;
    let mut state = State::read(&places.cache);
    let wanted = choice.counterparts();
    let missing = wanted.into_iter().filter(|one| !state.is_up(one.name)).collect();
    let directory = places.cache.join("run");
    let (started, left_out) = start(places, missing, &directory)?;
    state.running.retain(|one| one.process.is_alive());
    state.running.extend(started.iter().map(|(one, server)| Running {
        name: one.name.to_owned(),
        process: server.id(),
        url: server.url.clone(),
    }));
    // Written before they are let go: what runs on can always be ended.
    state.write(&places.cache)?;
    for (one, server) in started {
        server
            .keep()
            .map_err(|error| Failed(format!("{}: {error}", one.name)))?;
    }
    show(&state, choice);
    println!("\naddresses: {}", places.cache.join(state::ENV).display());
    say(&left_out);
    Ok(())
}

fn down(places: &Places, choice: &Choice) -> Result<(), Failed> {
    let _lock = lock(&places.cache)?;
    let mut state = State::read(&places.cache);
    let mut stuck = Vec::new();
    for one in state.running.iter().filter(|one| choice.has(&one.name)) {
        match (one.process.is_alive(), one.process.end()) {
            (false, _) => println!("{:<16} had ended", one.name),
            (true, true) => println!("{:<16} ended", one.name),
            (true, false) => stuck.push(format!("{} (pid {})", one.name, one.process.pid)),
        }
    }
    state.running.retain(|one| one.process.is_alive());
    state.write(&places.cache)?;
    if stuck.is_empty() {
        return Ok(());
    }
    Err(Failed(format!("still running: {}", stuck.join(", "))))
}

fn show(state: &State, choice: &Choice) {
    for one in choice.counterparts() {
        let running = state.running.iter().find(|running| running.name == one.name);
        match running.filter(|running| running.process.is_alive()) {
            Some(running) => println!(
                "{:<16} up    {}  pid {}",
                one.name, running.url, running.process.pid
            ),
            None => println!("{:<16} down", one.name),
        }
    }
}

fn say(left_out: &[LeftOut]) {
    for (name, why) in left_out {
        println!("LEFT OUT: {name}: {why}");
    }
}

/// The names of all that there are tests with.
fn tested() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|one| one.name).chain([schemathesis::NAME])
}

fn test(root: &Path, places: &Places, only: &[String]) -> Result<Vec<LeftOut>, Failed> {
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    let servers: Vec<_> = ALL.iter().filter(|one| is_wanted(one.name)).collect();
    let mut left_out = Vec::new();
    if !servers.is_empty() {
        left_out.extend(adapters_beside(root, places, servers)?);
    }
    if is_wanted(schemathesis::NAME) {
        left_out.extend(schemathesis::test(root, places)?);
    }
    // Once more at the end, where it is read.
    say(&left_out);
    Ok(left_out)
}

/// Each run has servers of its own: some remember what they were told. They end with us, whatever ends us.
fn adapters_beside(
    root: &Path,
    places: &Places,
    wanted: Vec<&'static Counterpart>,
) -> Result<Vec<LeftOut>, Failed> {
    let tree = Tree::read(root).map_err(|error| Failed(format!("the tree cannot be read: {error}")))?;
    let (read, unread): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|one| is_read(&tree, one));
    if read.is_empty() {
        return Err(Failed("no test reads the address of a counterpart".to_owned()));
    }
    // Built before anything is started.
    cargo::run(root, &[TESTS, &["--no-run"]].concat())?;
    let lock = lock(&places.cache)?;
    let (started, mut left_out) = start(places, read, &places.cache.join("test"))?;
    drop(lock);
    left_out.extend(
        unread
            .iter()
            .map(|one| (one.name, format!("no test reads {}", one.variable))),
    );
    for (one, server) in &started {
        println!("{:<16} up    {}", one.name, server.url);
    }
    say(&left_out);
    if !started.is_empty() {
        run_tests(root, &started)?;
    }
    Ok(left_out)
}

/// Whether some test of an adapter names its variable.
fn is_read(tree: &Tree, one: &Counterpart) -> bool {
    let adapters = tree
        .crates
        .iter()
        .filter(|adapter| TESTS.contains(&&*adapter.name));
    adapters
        .flat_map(|adapter| &adapter.sources)
        .any(|source| source.text.contains(one.variable))
}

fn run_tests(root: &Path, started: &[(&Counterpart, Server)]) -> Result<(), Failed> {
    let mut cargo = cargo::command(root);
    cargo.args(TESTS);
    for one in ALL {
        // Of another `up`.
        cargo.env_remove(one.variable);
    }
    cargo.envs(started.iter().map(|(one, server)| (one.variable, &server.url)));
    cargo::finish(cargo, TESTS)
}

type Started = Vec<(&'static Counterpart, Server)>;

/// Installs what is missing and starts each; all at the same time. One that fails ends the others.
fn start(
    places: &Places,
    wanted: Vec<&'static Counterpart>,
    directory: &Path,
) -> Result<(Started, Vec<LeftOut>), Failed> {
    let mut parts: Vec<Part> = wanted.iter().flat_map(|one| one.needs).copied().collect();
    parts.sort_by_key(|part| part.folder());
    parts.dedup();
    let provided = at_once(&parts, |part| install::provide(*part, places));
    let missing = |one: &Counterpart| {
        let parts = parts.iter().zip(&provided);
        parts
            .filter(|(part, _)| one.needs.contains(part))
            .find_map(|(_, provided)| provided.as_ref().err())
    };
    let (mut ready, mut left_out) = (Vec::new(), Vec::new());
    for one in wanted {
        match missing(one) {
            None => ready.push(one),
            Some(Missing::LeftOut(why)) => left_out.push((one.name, why.clone())),
            Some(Missing::Failed(why)) => return Err(Failed(format!("{}: {why}", one.name))),
        }
    }
    fs::create_dir_all(directory).map_err(|error| Failed(format!("{}: {error}", directory.display())))?;
    let servers = at_once(&ready, |one| Server::start(one, places, directory));
    let mut started = Vec::new();
    for (one, server) in ready.into_iter().zip(servers) {
        let server = server.map_err(|why| Failed(format!("{}: {why}", one.name)))?;
        started.push((one, server));
    }
    Ok((started, left_out))
}

/// Their results in the order of the items.
fn at_once<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = items.iter().map(|item| scope.spawn(move || work(item))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, R>| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).collect()
    })
}

/// One at a time installs, starts or ends.
fn lock(cache: &Path) -> Result<File, Failed> {
    let path: PathBuf = cache.join("lock");
    let failed = |error: std::io::Error| Failed(format!("{}: {error}", path.display()));
    fs::create_dir_all(cache).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            println!("waiting for another `counterparts` on {}", cache.display());
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.lock().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::planted;

    #[test]
    fn a_counterpart_is_started_for_the_adapters_that_read_its_address() {
        let root = planted::directory();
        for (name, variable) in [
            ("posx-oidc", "POSX_COUNTERPART_OIDC"),
            ("posx-api", "POSX_COUNTERPART_COGNITO"),
        ] {
            let folder = root.join(name);
            fs::create_dir_all(folder.join("tests")).unwrap();
            fs::write(
                folder.join("Cargo.toml"),
                format!("[package]\nname = \"{name}\"\n"),
            )
            .unwrap();
            fs::write(
                folder.join("tests/it.rs"),
                format!("const A: &str = \"{variable}\";"),
            )
            .unwrap();
        }
        let tree = Tree::read(&root).unwrap();
        fs::remove_dir_all(root).unwrap();
        let read: Vec<_> = ALL
            .iter()
            .filter(|one| is_read(&tree, one))
            .map(|one| one.name)
            .collect();
        assert_eq!(read, ["oidc"]);
    }

    #[test]
    fn what_is_done_at_once_comes_back_in_order() {
        let slower_first = |n: &u64| {
            thread::sleep(std::time::Duration::from_millis(20 * n));
            *n
        };
        assert_eq!(at_once(&[3, 2, 1, 0], slower_first), [3, 2, 1, 0]);
    }
}
