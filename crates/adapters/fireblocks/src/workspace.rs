//! Which workspace is talked to, and the two locks before one that moves real tokens (P27).

use reqwest::Url;

use crate::address::{allowed, is_this_machine};
use crate::region::Region;

/// Fireblocks' documents write its addresses with the version, which is in our paths.
const VERSION: &str = "/v1";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Workspace {
    Region(Region),
    /// An address of the operator's: https, or http on this machine. One on this machine counts as a sandbox: what
    /// stands there must not lead on to a real workspace.
    At(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Sandbox,
    Live,
}

/// Real tokens move only if both are set, each by a setting of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interlock {
    pub mode: Mode,
    pub real_transfers: bool,
}

/// Why a workspace must not be talked to with these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkspaceError {
    #[error("the address of Fireblocks is not https, or is more than an address")]
    Address,
    #[error(
        "{host} is not Fireblocks' sandbox: transfers there are real and need both the mode `live`{} and the interlock \
         for real transfers{}",
        if *.live { " (it is set)" } else { " (it is not set)" },
        if *.real_transfers { " (it is set)" } else { " (it is not set)" }
    )]
    Locked {
        host: String,
        live: bool,
        real_transfers: bool,
    },
    #[error("the mode is `live`, and {host} moves no real tokens")]
    NotReal { host: String },
}

impl Workspace {
    /// The address to talk to, if the interlock lets us.
    pub(crate) fn unlocked(&self, interlock: Interlock) -> Result<Url, WorkspaceError> {
        let text = match self {
            Self::Region(region) => region.api_url(),
            Self::At(url) => {
                let url = url.trim_end_matches('/');
                url.strip_suffix(VERSION).unwrap_or(url)
            }
        };
        let url = allowed(text)
            .filter(|url| url.query().is_none())
            .ok_or(WorkspaceError::Address)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let live = interlock.mode == Mode::Live;
        match (moves_real_tokens(&url), live, interlock.real_transfers) {
            (true, true, true) | (false, false, _) => Ok(url),
            (true, live, real_transfers) => Err(WorkspaceError::Locked {
                host,
                live,
                real_transfers,
            }),
            (false, true, _) => Err(WorkspaceError::NotReal { host }),
        }
    }
}

/// Whatever is not known to be a sandbox. A testnet workspace cannot be told from a real one by its address.
fn moves_real_tokens(url: &Url) -> bool {
    let sandbox = Url::parse(Region::Sandbox.api_url()).ok();
    let is_sandbox = sandbox.is_some_and(|sandbox| sandbox.host_str() == url.host_str());
    !(is_sandbox || is_this_machine(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: [(Mode, bool); 4] = [
        (Mode::Sandbox, false),
        (Mode::Sandbox, true),
        (Mode::Live, false),
        (Mode::Live, true),
    ];

    fn unlocked(workspace: &Workspace, mode: Mode, real_transfers: bool) -> Result<Url, WorkspaceError> {
        let interlock = Interlock { mode, real_transfers };
        workspace.unlocked(interlock)
    }

    fn at(url: &str) -> Workspace {
        Workspace::At(url.to_owned())
    }

    #[test]
    fn p27_real_transfers_need_the_mode_and_the_second_interlock() {
        let real = [
            Workspace::Region(Region::Us),
            Workspace::Region(Region::Eu),
            Workspace::Region(Region::Eu2),
            at("https://api.fireblocks.io/v1"),
            at("https://proxy.example"),
            at("https://10.0.0.1"),
            at("https://sandbox-api.fireblocks.io.example"),
            at("https://sandbox-api.fireblocks.io."),
        ];
        for workspace in &real {
            for (mode, real_transfers) in SETTINGS {
                let outcome = unlocked(workspace, mode, real_transfers);
                if mode == Mode::Live && real_transfers {
                    assert!(outcome.is_ok(), "{workspace:?}");
                    continue;
                }
                let refused = outcome.unwrap_err();
                assert!(matches!(refused, WorkspaceError::Locked { .. }), "{workspace:?}");
            }
        }
    }

    #[test]
    fn p27_what_is_missing_is_said() {
        let us = Workspace::Region(Region::Us);
        let said = unlocked(&us, Mode::Live, false).unwrap_err().to_string();
        let expected = "api.fireblocks.io is not Fireblocks' sandbox: transfers there are real and need both the mode \
                        `live` (it is set) and the interlock for real transfers (it is not set)";
        assert_eq!(said, expected);
        let said = unlocked(&us, Mode::Sandbox, true).unwrap_err().to_string();
        assert!(
            said.contains("`live` (it is not set)") && said.ends_with("(it is set)"),
            "{said}"
        );
    }

    #[test]
    fn p27_a_sandbox_is_not_reached_in_live_mode() {
        let sandboxes = [
            Workspace::Region(Region::Sandbox),
            at("https://sandbox-api.fireblocks.io/v1/"),
            at("http://127.0.0.1:9/fireblocks"),
            at("http://localhost:9"),
            at("https://[::1]:9"),
        ];
        for workspace in &sandboxes {
            for (mode, real_transfers) in SETTINGS {
                let outcome = unlocked(workspace, mode, real_transfers);
                match mode {
                    Mode::Sandbox => assert!(outcome.is_ok(), "{workspace:?}"),
                    Mode::Live => assert!(matches!(outcome, Err(WorkspaceError::NotReal { .. }))),
                }
            }
        }
    }

    #[test]
    fn f02_an_address_is_taken_without_its_version_and_never_over_plain_http() {
        for url in [
            "http://127.0.0.1:9",
            "http://127.0.0.1:9/",
            "http://127.0.0.1:9/v1",
            "http://127.0.0.1:9/v1/",
        ] {
            let url = unlocked(&at(url), Mode::Sandbox, false).unwrap();
            assert_eq!(url.as_str(), "http://127.0.0.1:9/");
        }
        for url in [
            "http://api.fireblocks.io",
            "http://10.0.0.1",
            "https://user:password@api.fireblocks.io",
            "https://api.fireblocks.io/?a=b",
            "https://api.fireblocks.io/#a",
            "api.fireblocks.io",
            "",
        ] {
            for (mode, real_transfers) in SETTINGS {
                let outcome = unlocked(&at(url), mode, real_transfers);
                assert_eq!(outcome, Err(WorkspaceError::Address), "{url}");
            }
        }
    }
}
