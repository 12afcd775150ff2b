//! `posx site vaults`: which of the custodian's vaults a site sends from.

use std::process::{Command, Output};

use posx_sandbox::{World, WorldConfig};
use posx_tenancy::Site;
use posx_testkit::{fresh_site_in, vault_of};
use serde_json::{Value, json};

use super::doctor::{database, settings};
use super::said;

fn vaults(env: &[(String, String)], site: &Site, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posx"));
    command
        .args(["site", "vaults", site.code.as_str(), "--json"])
        .args(more)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .output()
        .expect("posx runs")
}

#[tokio::test]
async fn f25_a_vault_is_given_to_one_site_and_taken_away() {
    let clock = std::sync::Arc::new(posx_kernel::SystemClock);
    let world = World::start(WorldConfig::new(clock)).await.expect("a world");
    let folder = tempfile::tempdir().expect("a folder");
    let letters = folder.path().display().to_string();
    let env = settings(&world, &[("MAIL__FOLDER", &letters)]).await;
    let (site, other) = (
        fresh_site_in(database().await, "USD").await,
        fresh_site_in(database().await, "KWD").await,
    );
    let has = |site: &Site, more: &[&str]| {
        let output = vaults(&env, site, more);
        assert!(output.status.success(), "{}", said(&output));
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        answer["vaults"].clone()
    };
    let (own, theirs) = (vault_of(&site), vault_of(&other));
    assert_eq!(has(&site, &[]), json!([own]));
    assert_eq!(has(&site, &["--add", "7", "--remove", &own]), json!(["7"]));
    let refused = vaults(&env, &other, &["--add", "7"]);
    assert!(!refused.status.success());
    assert!(
        said(&refused).contains("another site has the vault 7"),
        "{}",
        said(&refused)
    );
    assert_eq!(has(&other, &[]), json!([theirs]));
}
