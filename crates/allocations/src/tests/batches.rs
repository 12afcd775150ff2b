//! Vaults, the dry run and the report.

use super::*;
use crate::custody::Transfer;
use crate::{BlockedLine, Booked, GasFloor, LeftOut, Rebuilt, rebuild};

const POLYGON: &str = "POSX_POLYGON";

impl Shop {
    /// One more asset, in this vault.
    fn asset(&self, name: u128, provider_asset: &str, vault: &str) -> ChainAssetId {
        let id = ChainAssetId::from_uuid(Uuid::from_u128(name));
        let asset = CustodyAsset {
            provider_asset: provider_asset.to_owned(),
            vault: vault.to_owned(),
            decimals: 18,
        };
        self.db
            .arrange(&self.scope, |world| drop(world.assets.insert(id, asset)));
        id
    }

    async fn allocated_in(&self, name: u128, asset: ChainAssetId) -> AllocationId {
        let order = self.order(name, 1, |facts| facts.lines[0].asset = asset);
        match self
            .service
            .allocate(&self.scope, order)
            .await
            .expect("allocated")
        {
            Allocated::Applied(made) => made[0],
            Allocated::AlreadyApplied => panic!("the order is new"),
        }
    }
}

#[tokio::test]
async fn f17_one_transfer_of_a_vault_is_in_flight_whatever_its_chain_and_batch() {
    let shop = shop();
    let (bsc, other) = (shop.asset(2, "POSX_BSC", "7"), shop.asset(3, "POSX_ETH", "8"));
    let first = shop.allocated(1, 1).await[0];
    let ids = [shop.allocated_in(2, bsc).await, shop.allocated_in(3, other).await];
    let (one, two) = (shop.batch(&[first]).await, shop.batch(&ids).await);
    let run = async |batch| {
        let run = shop.service.submit_batch(&shop.scope, batch).await;
        run.expect("a run")
    };
    assert_eq!(run(one).await.applied, 1);
    let second = run(two).await;
    assert_eq!((second.applied, second.waiting), (1, 1), "another vault's goes");
    assert_eq!(shop.state(ids[0]), StateName::Queued);
    // Not even a lost answer frees it, or a look that finds it where it was.
    shop.report(&format!("{first}-1"), "PENDING_SIGNATURE", None)
        .await
        .expect("applied");
    assert_eq!(run(two).await.waiting, 1);
    shop.report(&format!("{first}-1"), "BROADCASTING", None)
        .await
        .expect("applied");
    let continued = shop.world().events.pop().expect("said");
    assert_eq!(
        (continued.kind, continued.subject),
        ("allocation_batch.continued", two.as_uuid())
    );
    assert_eq!(run(two).await.applied, 1);
}

#[tokio::test]
async fn f17_a_transfer_that_fails_frees_its_vault() {
    let shop = shop();
    let made = shop.allocated(1, 3).await;
    let batch = shop.batch(&made).await;
    shop.custody
        .script([Answer::Refused("TOO_LOW"), Answer::LostOnTheWayThere]);
    let run = async || shop.service.submit_batch(&shop.scope, batch).await;
    assert!(run().await.is_err(), "nobody knows of the second one");
    let states = || made.iter().map(|id| shop.state(*id).as_str()).collect::<Vec<_>>();
    assert_eq!(states(), ["failed", "unknown", "queued"]);
    shop.custody.lose_lookups(1);
    assert!(run().await.is_err());
    assert_eq!(
        states(),
        ["failed", "unknown", "queued"],
        "the third waits as long as that"
    );
    assert_eq!(run().await.expect("settled").applied, 1);
    shop.report(&format!("{}-1", made[1]), "FAILED", None)
        .await
        .expect("applied");
    assert_eq!(run().await.expect("free").applied, 1);
}

#[tokio::test]
async fn a_dry_run_says_what_goes_from_where_and_what_does_not_and_writes_nothing() {
    let mut shop = shop();
    let floor = GasFloor {
        token: POLYGON.to_owned(),
        gas: "MATIC_POLYGON".to_owned(),
        gas_decimals: 18,
        minimum: TokenAmount::from_base_units(40),
    };
    shop.service = shop.service.clone().with_gas_floors(vec![floor]);
    let bsc = shop.asset(2, "POSX_BSC", "8");
    let mut ids = shop.allocated(1, 3).await;
    ids.push(shop.allocated_in(2, bsc).await);
    let batch = shop.draft(&ids).await;
    shop.db.arrange(&shop.scope, |world| {
        world
            .orders
            .get_mut(&order_id(2))
            .expect("the order")
            .facts
            .disputed = true;
    });
    let units = TokenAmount::from_base_units;
    shop.custody.set_balance("7", POLYGON, Some(units(5_000)));
    shop.custody.set_balance("7", "MATIC_POLYGON", Some(units(39)));
    let before = shop.world();
    let dry = shop.service.dry_run(&shop.scope, batch).await.expect("a look");
    assert_eq!(
        dry.blocked,
        [BlockedLine {
            allocation: ids[3],
            reason: LeftOut::OrderDisputed
        }]
    );
    assert!(!dry.real_transfers);
    let [total] = dry.totals.as_slice() else {
        panic!("{dry:?}")
    };
    assert_eq!(
        (total.vault.as_str(), total.asset.as_str(), total.lines),
        ("7", POLYGON, 3)
    );
    assert_eq!(
        (total.amount, total.balance),
        (units(501 + 502 + 503), Some(units(5_000)))
    );
    let gas = total.gas.as_ref().expect("a floor");
    assert_eq!((gas.minimum, gas.balance), (units(40), units(39)));
    assert_eq!(total.shortfall, Some("vault_gas_short"));
    let after = shop.world();
    assert_eq!(before.events.len(), after.events.len());
    assert_eq!(before.batches, after.batches);
    assert_eq!(before.allocations, after.allocations);
    shop.custody.lose_balances(1);
    let deaf = shop
        .service
        .dry_run(&shop.scope, batch)
        .await
        .expect_err("no answer");
    assert_eq!(deaf.code(), "custodian_unavailable");
}

#[tokio::test]
async fn a_report_is_rebuilt_from_the_books_and_the_custodian_alone() {
    let shop = shop();
    let made = shop.allocated(1, 3).await;
    let batch = shop.batch(&made).await;
    shop.custody.script([Answer::Normal, Answer::Refused("NO")]);
    shop.send_all(batch).await.expect("sent");
    for id in [made[0], made[2]] {
        shop.ends(id, "COMPLETED").await;
        let hash = shop.read(id).state.tx_hash().expect("done").to_owned();
        shop.custody
            .change(&format!("{id}-1"), |transfer| transfer.tx_hash = Some(hash));
    }
    let check = async || {
        shop.service
            .check_batch(&shop.scope, batch)
            .await
            .expect("checked")
    };
    let good = check().await;
    assert_eq!(good.differing, []);
    let lines = shop.world().batch_lines[&batch].clone();
    let mut told: Vec<Rebuilt> = lines.iter().filter_map(crate::BatchLine::delivery).collect();
    told.sort();
    assert_eq!((good.rebuilt.len(), &good.rebuilt), (2, &told));
    // What the custodian tells otherwise, and what the books do not know, is named.
    shop.custody.change(&format!("{}-1", made[0]), |transfer| {
        transfer.tx_hash = Some("0xelse".to_owned());
    });
    assert_eq!(check().await.differing, [made[0]]);
    shop.db.arrange(&shop.scope, |world| world.entries.clear());
    assert_eq!(check().await.differing, [made[0], made[2]]);
}

#[test]
fn only_what_is_booked_and_completed_is_rebuilt() {
    let id = AllocationId::from_uuid(Uuid::from_u128(5));
    let booked = Booked {
        allocation: id,
        asset: ChainAssetId::from_uuid(Uuid::from_u128(1)),
        amount: TokenAmount::from_base_units(7),
    };
    let completed = transfer(&format!("{id}-2"), "COMPLETED", Some("0x1"));
    let failed = transfer(&format!("{id}-1"), "FAILED", None);
    let blocked = Transfer {
        sub_status: Some("COMPLETED_BUT_3RD_PARTY_FAILED".to_owned()),
        ..completed.clone()
    };
    let strange = transfer("pay-roll-7", "COMPLETED", Some("0x2"));
    let all = [failed.clone(), completed, strange.clone()];
    let rebuilt = rebuild(std::slice::from_ref(&booked), &all);
    assert_eq!((rebuilt.len(), rebuilt[0].amount.base_units()), (1, 7));
    assert_eq!(rebuilt[0].external_id, format!("{id}-2"));
    assert_eq!(rebuild(&[booked], &[failed, blocked, strange]), []);
    assert_eq!(rebuild(&[], &all), []);
}
