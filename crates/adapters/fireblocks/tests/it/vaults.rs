//! What vaults hold.

use posx_allocations::CustodyAsset;
use posx_allocations::custody::Custody as _;
use posx_fireblocks::FireblocksError;
use posx_kernel::TokenAmount;
use serde_json::{Value, json};

use crate::server::{Reply, Server, refused};
use crate::support::{cause, custody, site};

fn wallet(available: &str) -> Value {
    json!({
        "id": "USDC_POLYGON", "total": "100", "available": available, "pending": "1", "frozen": "2",
        "lockedAmount": "3.5", "blockHeight": "19911062",
    })
}

fn asset() -> CustodyAsset {
    CustodyAsset {
        provider_asset: "USDC_POLYGON".to_owned(),
        vault: "7".to_owned(),
        decimals: 6,
    }
}

#[tokio::test]
async fn f17_only_what_may_leave_the_vault_counts() {
    let server = Server::with([Reply::Json(200, wallet("9.0000019")), refused(404, 1006)]).await;
    let custody = custody(&server.url());
    let available = custody.available(site(), &asset()).await.unwrap();
    assert_eq!(available, Some(TokenAmount::from_base_units(9_000_001)));
    assert_eq!(custody.available(site(), &asset()).await.unwrap(), None);
    assert_eq!(server.asked()[0], "GET /v1/vault/accounts/7/USDC_POLYGON");
}

#[tokio::test]
async fn f17_a_balance_that_cannot_be_read_is_not_zero() {
    for available in ["", "-1", "1e-7", "plenty"] {
        let server = Server::with([Reply::Json(200, wallet(available))]).await;
        let outcome = custody(&server.url()).available(site(), &asset()).await;
        assert!(
            matches!(cause(outcome), FireblocksError::Field("available")),
            "{available:?}"
        );
    }
    let number = json!({ "id": "USDC_POLYGON", "available": 9.5 });
    let server = Server::with([Reply::Json(200, number)]).await;
    cause(custody(&server.url()).available(site(), &asset()).await);
}

#[tokio::test]
async fn f17_a_vault_tells_its_assets_and_whether_it_is_kept_in_gas() {
    let vault = json!({
        "id": "7", "name": "Deliveries", "hiddenOnUI": false, "autoFuel": true, "assets": [wallet("9")],
    });
    let bare = json!({ "id": "8", "name": "", "hiddenOnUI": true, "assets": [] });
    let server = Server::with([
        Reply::Json(200, vault),
        Reply::Json(200, bare),
        refused(404, 1004),
    ])
    .await;
    let custody = custody(&server.url());
    let account = custody.vault_account("7").await.unwrap().unwrap();
    assert_eq!(
        (account.id.as_str(), account.name.as_str(), account.auto_fuel),
        ("7", "Deliveries", true)
    );
    let held = &account.assets[0];
    assert_eq!(
        (
            held.total.as_str(),
            held.available.as_str(),
            held.locked_amount.as_str()
        ),
        ("100", "9", "3.5")
    );
    assert!(!custody.vault_account("8").await.unwrap().unwrap().auto_fuel);
    assert_eq!(custody.vault_account("9").await.unwrap(), None);
}
