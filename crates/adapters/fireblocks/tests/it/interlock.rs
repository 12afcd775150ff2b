//! Nothing that could move real tokens is made without both locks open.

use std::sync::Arc;

use posx_allocations::custody::Custody as _;
use posx_fireblocks::{
    ConfigError, CredentialsError, CustodyConfig, FireblocksCustody, HttpKeys, Interlock, Mode, Region,
    Workspace, WorkspaceError,
};
use posx_kernel::{SeededIds, SystemClock};

use crate::support::config;

fn made(config: CustodyConfig) -> Result<FireblocksCustody, ConfigError> {
    FireblocksCustody::new(config, Arc::new(SystemClock), Arc::new(SeededIds::new(5)))
}

fn at(workspace: Workspace, mode: Mode, real_transfers: bool) -> CustodyConfig {
    CustodyConfig {
        workspace,
        interlock: Interlock { mode, real_transfers },
        ..config("")
    }
}

#[test]
fn p27_a_custody_of_a_real_workspace_is_not_made_without_both_locks() {
    for region in [Region::Us, Region::Eu, Region::Eu2] {
        let workspace = Workspace::Region(region);
        for (mode, real_transfers) in [(Mode::Sandbox, false), (Mode::Sandbox, true), (Mode::Live, false)] {
            let refused = made(at(workspace.clone(), mode, real_transfers)).unwrap_err();
            let locked = matches!(refused, ConfigError::Workspace(WorkspaceError::Locked { .. }));
            assert!(locked, "{refused}");
            assert!(refused.to_string().contains("(it is not set)"), "{refused}");
        }
        let live = made(at(workspace, Mode::Live, true)).unwrap();
        assert!(live.moves_real_tokens(), "and it says so in the dry run");
    }
    for real_transfers in [false, true] {
        let sandbox = at(Workspace::Region(Region::Sandbox), Mode::Sandbox, real_transfers);
        assert!(!made(sandbox).unwrap().moves_real_tokens(), "neither lock alone");
    }
    let refused = made(at(Workspace::Region(Region::Sandbox), Mode::Live, true)).unwrap_err();
    assert!(matches!(
        refused,
        ConfigError::Workspace(WorkspaceError::NotReal { .. })
    ));
}

#[test]
fn f02_unusable_credentials_stop_the_start() {
    let mut nameless = config("http://127.0.0.1:1");
    nameless.api_key = "".into();
    let refused = made(nameless).unwrap_err();
    assert!(matches!(
        refused,
        ConfigError::Credentials(CredentialsError::ApiKey)
    ));
    let mut keyless = config("http://127.0.0.1:1");
    keyless.private_key = "no key".into();
    let refused = made(keyless).unwrap_err();
    assert!(matches!(
        refused,
        ConfigError::Credentials(CredentialsError::PrivateKey)
    ));
}

#[test]
fn f21_every_region_has_a_webhook_key_set_to_fetch() {
    for region in Region::ALL {
        let keys = HttpKeys::of_region(region).unwrap();
        assert!(format!("{keys:?}").contains(region.webhook_keys_url().split('/').nth(2).unwrap()));
    }
}
