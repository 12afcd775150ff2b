//! What a vault must hold before anything leaves it (F17).

use super::*;
use crate::custody::CustodyError;
use crate::{GasFloor, Shortfall};

const ASSET: &str = "POSX_POLYGON";
const GAS: &str = "MATIC_POLYGON";

fn units(units: u128) -> TokenAmount {
    TokenAmount::from_base_units(units)
}

fn floor() -> GasFloor {
    GasFloor {
        token: ASSET.to_owned(),
        gas: GAS.to_owned(),
        gas_decimals: 18,
        minimum: units(40),
    }
}

/// Two lines of 501 and 502 base units, in one batch.
async fn batch_of_two(shop: &Shop) -> (BatchId, Vec<AllocationId>) {
    let made = shop.allocated(1, 2).await;
    (shop.batch(&made).await, made)
}

fn why<T: std::fmt::Debug>(outcome: Result<T, SubmitError>) -> Shortfall {
    match outcome {
        Err(SubmitError::Short(shortfall)) => shortfall,
        other => panic!("not held back: {other:?}"),
    }
}

#[tokio::test]
async fn f17_a_batch_that_its_vault_cannot_pay_for_stays_queued_and_goes_out_once_it_can() {
    let shop = shop();
    let (batch, made) = batch_of_two(&shop).await;
    shop.custody.set_balance("7", ASSET, Some(units(1_002)));
    let run = async || shop.send_all(batch).await;
    let short = why(run().await);
    let expected = Shortfall::Tokens {
        vault: "7".to_owned(),
        asset: ASSET.to_owned(),
        available: units(1_002),
        needed: units(1_003),
    };
    assert_eq!(short, expected);
    let said = short.to_string();
    assert!(
        said.contains("vault 7") && said.contains("1003") && said.contains(ASSET),
        "{said}"
    );
    assert_eq!(
        shop.custody.arrived(),
        [],
        "not even the one that it could pay for"
    );
    for id in &made {
        assert_eq!((shop.state(*id), shop.read(*id).tries), (StateName::Queued, 0));
    }
    shop.custody.set_balance("7", ASSET, Some(units(1_003)));
    assert_eq!(run().await.expect("sent"), 2);
}

#[tokio::test]
async fn f17_a_vault_without_gas_or_without_the_asset_sends_nothing() {
    let mut shop = shop();
    shop.service = shop.service.clone().with_gas_floors(vec![floor()]);
    let (batch, _) = batch_of_two(&shop).await;
    let run = async || shop.send_all(batch).await;
    let (vault, asset) = ("7".to_owned(), ASSET.to_owned());
    shop.custody.set_balance("7", ASSET, None);
    assert_eq!(why(run().await), Shortfall::NoWallet { vault, asset });
    shop.custody.set_balance("7", ASSET, Some(TokenAmount::MAX));
    for (balance, available) in [(Some(units(39)), units(39)), (None, TokenAmount::ZERO)] {
        shop.custody.set_balance("7", GAS, balance);
        let expected = Shortfall::Gas {
            vault: "7".to_owned(),
            asset: GAS.to_owned(),
            available,
            minimum: units(40),
        };
        assert_eq!(why(run().await), expected);
    }
    assert_eq!(shop.custody.arrived(), []);
    shop.custody.set_balance("7", GAS, Some(units(40)));
    assert_eq!(run().await.expect("sent"), 2);
}

#[tokio::test]
async fn f17_a_gas_floor_is_of_its_own_token_only() {
    let mut shop = shop();
    let other = GasFloor {
        token: "POSX_BASE".to_owned(),
        ..floor()
    };
    shop.service = shop.service.clone().with_gas_floors(vec![other]);
    shop.custody.set_balance("7", GAS, None);
    shop.submitted().await;
}

#[tokio::test]
async fn f17_an_empty_vault_holds_back_neither_what_was_sent_nor_another_vaults_lines() {
    let shop = shop();
    let made = shop.allocated(1, 2).await;
    shop.db.arrange(&shop.scope, |world| {
        let elsewhere = ChainAssetId::from_uuid(Uuid::from_u128(2));
        let asset = CustodyAsset {
            provider_asset: "POSX_BASE".to_owned(),
            vault: "8".to_owned(),
            decimals: 18,
        };
        world.assets.insert(elsewhere, asset);
        world
            .allocations
            .entry(made[1])
            .and_modify(|line| line.asset = elsewhere);
    });
    let batch = shop.batch(&made).await;
    shop.custody.script([Answer::LostOnTheWayBack]);
    assert!(shop.service.submit(&shop.scope, made[0]).await.is_err());
    // What it held is on its way.
    shop.custody.set_balance("7", ASSET, Some(TokenAmount::ZERO));
    let run = shop
        .service
        .submit_batch(&shop.scope, batch)
        .await
        .expect("settled");
    assert_eq!(run.applied, 2);
    assert_eq!(shop.custody.arrived().len(), 2);
}

#[tokio::test]
async fn f17_reconciling_does_not_go_round_the_check() {
    let shop = shop();
    let id = shop.queued().await;
    shop.custody.set_balance("7", ASSET, Some(TokenAmount::ZERO));
    shop.clock.advance(STUCK_AFTER + Duration::seconds(1));
    let round = shop.service.reconcile(&shop.scope, 10).await.expect("a round");
    assert_eq!((round.checked, round.moved, round.unsettled), (0, 0, 1));
    assert_eq!(shop.state(id), StateName::Queued);
}

#[tokio::test]
async fn more_than_can_be_counted_is_more_than_a_vault_holds() {
    let shop = shop();
    let made = shop.allocated(1, 2).await;
    shop.db.arrange(&shop.scope, |world| {
        for id in &made {
            world
                .allocations
                .entry(*id)
                .and_modify(|line| line.amount = TokenAmount::MAX);
        }
    });
    let batch = shop.batch(&made).await;
    let below_all = units(u128::MAX - 1);
    shop.custody.set_balance("7", ASSET, Some(below_all));
    let short = why(shop.service.submit_batch(&shop.scope, batch).await);
    assert!(
        matches!(
            short,
            Shortfall::Tokens {
                needed: TokenAmount::MAX,
                ..
            }
        ),
        "{short:?}"
    );
}

#[tokio::test]
async fn a_custodian_that_refuses_our_key_fails_nothing_and_calls_for_a_person() {
    let shop = shop();
    let (id, external_id) = shop.submitted().await;
    shop.broadcast().await;
    let made = shop.allocated(2, 1).await;
    let batch = shop.batch(&made).await;
    shop.custody.lock_out(true);
    let refused = shop
        .service
        .submit_batch(&shop.scope, batch)
        .await
        .expect_err("locked out");
    assert!(matches!(
        refused,
        SubmitError::Unsettled(CustodyError::NotAuthorized { .. })
    ));
    assert_eq!(refused.severity(), posx_kernel::Severity::Error);
    assert_eq!(shop.state(made[0]), StateName::Queued);
    // A look-up without a key must not pass for "there is none".
    shop.report(&external_id, "FAILED", None).await.expect("applied");
    let retried = shop.service.retry(&shop.scope, id).await;
    assert!(matches!(retried, Err(RetryError::Unsettled(_))), "{retried:?}");
    shop.custody.lock_out(false);
    let run = shop.service.submit_batch(&shop.scope, batch).await.expect("sent");
    assert_eq!(run.applied, 1);
}
