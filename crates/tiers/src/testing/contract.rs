//! What every store of this context must do, checked through its ports.

use std::sync::Arc;

use chrono::Duration;
use posx_kernel::{
    Begin, ChainAssetId, Currency, IdentityId, Ids as _, Money, MovementId, PartyId, SeededIds, SiteScope,
    TierId, Timestamp, TokenAmount,
};

use crate::{
    AssetRefusal, Chain, ChainAsset, Promotion, Stock, StockChange, StockMove, StockRefusal, StockRepository,
    Tier, TiersTx,
};

/// What the caller has put into the store.
#[derive(Debug)]
pub struct Given {
    pub scope: SiteScope,
    /// Another site, without assets as well.
    pub elsewhere: SiteScope,
    /// Two parties of the site.
    pub buyers: [PartyId; 2],
    pub now: Timestamp,
}

/// Runs on a store without assets. Leaves it changed.
pub async fn contract(db: Arc<dyn Begin<dyn TiersTx>>, given: &Given) {
    let suite = Suite {
        db,
        given,
        ids: SeededIds::new(23),
    };
    suite.an_asset_is_unique_by_chain_and_symbol().await;
    suite.tiers_are_read_back_as_they_were_stored().await;
    suite.p08_a_stale_edit_changes_nothing().await;
    suite.p07_stock_moves_within_its_supply().await;
    suite.a_refused_move_and_a_dropped_one_leave_nothing().await;
    suite.stock_is_of_one_tier_and_one_site().await;
    suite.p07_a_buyer_is_counted_within_the_limit().await;
}

struct Suite<'a> {
    db: Arc<dyn Begin<dyn TiersTx>>,
    given: &'a Given,
    ids: SeededIds,
}

const fn stock(supply: i64, reserved: i64, sold: i64) -> Stock {
    Stock {
        supply,
        reserved,
        sold,
    }
}

const fn not_enough(available: i64) -> Result<Stock, StockRefusal> {
    Err(StockRefusal::NotEnough { available })
}

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("USD").expect("a currency"))
}

impl Suite<'_> {
    async fn begin(&self) -> Box<dyn TiersTx> {
        self.db.begin(&self.given.scope).await.expect("a transaction")
    }

    async fn begin_elsewhere(&self) -> Box<dyn TiersTx> {
        self.db.begin(&self.given.elsewhere).await.expect("a transaction")
    }

    fn asset(&self, chain: Chain, symbol: &str) -> ChainAsset {
        ChainAsset {
            id: ChainAssetId::from_uuid(self.ids.uuid(self.given.now)),
            chain,
            symbol: symbol.to_owned(),
            decimals: 6,
            provider_asset: format!("{symbol}_TEST"),
            vault: self.given.scope.site().to_string(),
            active: false,
            created_at: self.given.now,
        }
    }

    fn tier(&self, asset: &ChainAsset) -> Tier {
        Tier {
            id: TierId::from_uuid(self.ids.uuid(self.given.now)),
            name: "Seed".to_owned(),
            description: String::new(),
            asset: asset.id,
            list_price: usd(100),
            promotion: None,
            tokens_per_unit: TokenAmount::from_base_units(1),
            bonus_per_unit: TokenAmount::ZERO,
            max_per_order: 1,
            max_per_buyer: None,
            active: true,
            position: 0,
            version: 1,
            created_at: self.given.now,
            updated_at: self.given.now,
        }
    }

    async fn insert(&self, tx: &mut dyn TiersTx, tier: &Tier, supply: i64) {
        let movement = MovementId::from_uuid(self.ids.uuid(self.given.now));
        let actor = IdentityId::from_uuid(self.ids.uuid(self.given.now));
        tx.tiers()
            .insert(tier, supply, movement, Some(actor))
            .await
            .expect("stored");
    }

    /// A new tier of this supply, committed.
    async fn stocked(&self, symbol: &str, supply: i64) -> TierId {
        let asset = self.asset(Chain::Eth, symbol);
        let tier = self.tier(&asset);
        let mut tx = self.begin().await;
        assert_eq!(tx.assets().insert(&asset).await.expect("stored"), Ok(()));
        self.insert(tx.as_mut(), &tier, supply).await;
        tx.commit().await.expect("committed");
        tier.id
    }

    async fn change(
        &self,
        stock: &mut dyn StockRepository,
        tier: TierId,
        change: &StockChange,
        quantity: i64,
    ) -> Result<Stock, StockRefusal> {
        let movement = StockMove {
            id: MovementId::from_uuid(self.ids.uuid(self.given.now)),
            tier,
            quantity,
            order: None,
            at: self.given.now,
        };
        stock
            .change(&movement, change)
            .await
            .expect("a value, not an error")
    }

    fn correction(&self) -> StockChange {
        StockChange::Correct {
            reason: "counted again".to_owned(),
            actor: IdentityId::from_uuid(self.ids.uuid(self.given.now)),
        }
    }

    async fn an_asset_is_unique_by_chain_and_symbol(&self) {
        let first = self.asset(Chain::Eth, "ONE");
        for _ in 0..2 {
            let mut tx = self.begin().await;
            assert_eq!(
                tx.assets().insert(&first).await.expect("stored"),
                Ok(()),
                "then dropped"
            );
        }
        let mut tx = self.begin().await;
        assert_eq!(tx.assets().insert(&first).await.expect("stored"), Ok(()));
        let second = self.asset(Chain::Eth, "ONE");
        assert_eq!(
            tx.assets().insert(&second).await.expect("a value, not an error"),
            Err(AssetRefusal::Taken)
        );
        let others = [Chain::Polygon, Chain::Bsc, Chain::Tron].map(|chain| self.asset(chain, "ONE"));
        for other in &others {
            assert_eq!(tx.assets().insert(other).await.expect("another chain"), Ok(()));
        }
        tx.commit().await.expect("committed");

        let mut tx = self.begin().await;
        for asset in others.iter().chain([&first]) {
            let found = tx.assets().find(asset.id).await.expect("a read");
            assert_eq!(found.as_ref(), Some(asset));
        }
        assert_eq!(tx.assets().find(second.id).await.expect("a read"), None);
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        assert_eq!(tx.assets().find(first.id).await.expect("a read"), None);
        let second = ChainAsset {
            vault: self.given.elsewhere.site().to_string(),
            ..second
        };
        assert_eq!(tx.assets().insert(&second).await.expect("its own"), Ok(()));
        tx.commit().await.expect("committed");
    }

    async fn tiers_are_read_back_as_they_were_stored(&self) {
        let asset = self.asset(Chain::Tron, "TWO");
        let plain = self.tier(&asset);
        let full = Tier {
            name: "Frühling".to_owned(),
            description: "With a promotion".to_owned(),
            promotion: Some(Promotion {
                price: usd(0),
                from: self.given.now,
                until: self.given.now + Duration::microseconds(1),
            }),
            tokens_per_unit: TokenAmount::from_base_units(u128::MAX / 2),
            bonus_per_unit: TokenAmount::from_base_units(3),
            max_per_order: 1000,
            max_per_buyer: Some(1),
            active: false,
            position: -4,
            ..self.tier(&asset)
        };
        for dropped in [true, false] {
            let mut tx = self.begin().await;
            assert_eq!(tx.tiers().find(full.id).await.expect("a read"), None);
            assert_eq!(tx.assets().insert(&asset).await.expect("stored"), Ok(()));
            self.insert(tx.as_mut(), &plain, 5).await;
            self.insert(tx.as_mut(), &full, 0).await;
            if !dropped {
                tx.commit().await.expect("committed");
            }
        }
        let unknown = self.tier(&asset).id;
        let wanted = [full.id, unknown, plain.id, full.id];
        let mut tx = self.begin().await;
        for tier in [&plain, &full] {
            assert_eq!(
                tx.tiers().find(tier.id).await.expect("a read").as_ref(),
                Some(tier)
            );
        }
        assert_eq!(tx.tiers().find(unknown).await.expect("a read"), None);
        let mut many = tx.tiers().find_many(&wanted).await.expect("a read");
        many.sort_by_key(|(tier, _)| tier.position);
        assert_eq!(many, [(full, asset.clone()), (plain, asset)], "each once");
        assert!(tx.tiers().find_many(&[]).await.expect("a read").is_empty());
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        assert_eq!(tx.tiers().find(wanted[0]).await.expect("a read"), None);
        assert!(tx.tiers().find_many(&wanted).await.expect("a read").is_empty());
    }

    async fn p08_a_stale_edit_changes_nothing(&self) {
        let id = self.stocked("EDITED", 1).await;
        let mut tx = self.begin().await;
        let stored = tx.tiers().find(id).await.expect("a read").expect("the tier");
        let edited = Tier {
            name: "Spring".to_owned(),
            description: "Edited".to_owned(),
            list_price: usd(250),
            promotion: Some(Promotion {
                price: usd(200),
                from: self.given.now,
                until: self.given.now + Duration::days(1),
            }),
            max_per_order: 7,
            max_per_buyer: Some(8),
            active: false,
            position: 9,
            version: 2,
            updated_at: self.given.now + Duration::seconds(1),
            ..stored
        };
        let late = Tier {
            name: "Too late".to_owned(),
            ..edited.clone()
        };
        assert!(tx.tiers().save(&edited, 1).await.expect("saved"));
        assert!(!tx.tiers().save(&late, 1).await.expect("a value, not an error"));
        assert!(!tx.tiers().save(&late, 3).await.expect("a value, not an error"));
        tx.commit().await.expect("committed");
        let mut tx = self.begin_elsewhere().await;
        assert!(!tx.tiers().save(&late, 2).await.expect("a value, not an error"));
        tx.commit().await.expect("committed");
        let mut tx = self.begin().await;
        assert_eq!(tx.tiers().find(id).await.expect("a read"), Some(edited));
        let unknown = self.tier(&self.asset(Chain::Eth, "NONE"));
        assert!(!tx.tiers().save(&unknown, 1).await.expect("a value, not an error"));
    }

    async fn p07_stock_moves_within_its_supply(&self) {
        use StockChange::{Release, Reserve, Sell, SellFree};
        let tier = self.stocked("STOCK", 10).await;
        let mut tx = self.begin().await;
        // One transaction: each refusal leaves it usable, and the counters as they were.
        for (change, quantity, outcome) in [
            (Reserve, 4, Ok(stock(10, 4, 0))),
            (Reserve, 7, not_enough(6)),
            (Reserve, 6, Ok(stock(10, 10, 0))),
            (Reserve, 1, not_enough(0)),
            (SellFree, 1, not_enough(0)),
            (Release, 2, Ok(stock(10, 8, 0))),
            (Release, 9, not_enough(2)),
            (Sell, 3, Ok(stock(10, 5, 3))),
            (Sell, 6, not_enough(2)),
            (SellFree, 3, not_enough(2)),
            (SellFree, 2, Ok(stock(10, 5, 5))),
            (self.correction(), -1, not_enough(0)),
            (self.correction(), 5, Ok(stock(15, 5, 5))),
            (self.correction(), -6, not_enough(5)),
            (self.correction(), -5, Ok(stock(10, 5, 5))),
            (Release, 5, Ok(stock(10, 0, 5))),
            (Release, 1, not_enough(5)),
            (Sell, 1, not_enough(5)),
        ] {
            let found = self.change(tx.stock(), tier, &change, quantity).await;
            assert_eq!(found, outcome, "{change:?} {quantity}");
        }
        tx.commit().await.expect("committed");
        let mut tx = self.begin().await;
        let kept = self.change(tx.stock(), tier, &Reserve, 5).await;
        assert_eq!(kept, Ok(stock(10, 5, 5)));
    }

    async fn a_refused_move_and_a_dropped_one_leave_nothing(&self) {
        let tier = self.stocked("DROPPED", 3).await;
        for _ in 0..2 {
            let mut tx = self.begin().await;
            let moved = self.change(tx.stock(), tier, &StockChange::Reserve, 2).await;
            assert_eq!(moved, Ok(stock(3, 2, 0)), "then dropped");
        }
        let mut tx = self.begin().await;
        let refused = self.change(tx.stock(), tier, &StockChange::Reserve, 4).await;
        assert_eq!(refused, not_enough(3));
        tx.commit().await.expect("a refusal can be committed");
        let mut tx = self.begin().await;
        let all = self.change(tx.stock(), tier, &StockChange::Reserve, 3).await;
        assert_eq!(all, Ok(stock(3, 3, 0)));
    }

    async fn stock_is_of_one_tier_and_one_site(&self) {
        let tier = self.stocked("MINE", 3).await;
        let unknown = TierId::from_uuid(self.ids.uuid(self.given.now));
        let mut tx = self.begin().await;
        let nowhere = self.change(tx.stock(), unknown, &StockChange::Reserve, 1).await;
        assert_eq!(nowhere, Err(StockRefusal::NoSuchTier));
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        for change in [StockChange::Reserve, StockChange::SellFree, self.correction()] {
            let foreign = self.change(tx.stock(), tier, &change, 1).await;
            assert_eq!(foreign, Err(StockRefusal::NoSuchTier), "{change:?}");
        }
        tx.commit().await.expect("committed");
        let mut tx = self.begin().await;
        let whole = self.change(tx.stock(), tier, &StockChange::Reserve, 3).await;
        assert_eq!(whole, Ok(stock(3, 3, 0)), "the other site took nothing");
    }

    async fn p07_a_buyer_is_counted_within_the_limit(&self) {
        let [alice, bob] = self.given.buyers;
        let tier = self.stocked("LIMITED", 100).await;
        let other = self.stocked("OTHER", 100).await;
        let refused = Err(StockRefusal::BuyerLimit);
        for dropped in [true, false] {
            let mut tx = self.begin().await;
            for (tier, buyer, quantity, limit, outcome) in [
                (tier, alice, 6, Some(5), refused),
                (tier, alice, -1, Some(5), refused),
                (tier, alice, 3, Some(5), Ok(())),
                (tier, alice, 3, Some(5), refused),
                (tier, alice, 2, Some(5), Ok(())),
                (tier, alice, 1, Some(5), refused),
                (tier, bob, 5, Some(5), Ok(())),
                (other, alice, 5, Some(5), Ok(())),
                (tier, alice, 20, None, Ok(())),
                // The limit was lowered in the meantime: what is given back is taken all the same.
                (tier, alice, -1, Some(5), Ok(())),
                (tier, alice, 1, Some(5), refused),
                (tier, alice, -25, None, refused),
                (tier, alice, -24, None, Ok(())),
                (tier, alice, 5, Some(5), Ok(())),
            ] {
                let found = tx.stock().count_for_buyer(tier, buyer, quantity, limit).await;
                let found = found.expect("a value, not an error");
                assert_eq!(found, outcome, "{quantity} within {limit:?}");
            }
            if !dropped {
                tx.commit().await.expect("committed");
            }
        }
        let mut tx = self.begin().await;
        let more = tx.stock().count_for_buyer(tier, bob, 1, Some(5)).await;
        assert_eq!(more.expect("a value, not an error"), refused, "it was committed");
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        let back = tx.stock().count_for_buyer(tier, alice, -1, None).await;
        assert_eq!(back.expect("a value, not an error"), refused);
        let foreign = tx.stock().count_for_buyer(tier, alice, 1, None).await;
        assert!(foreign.is_err(), "a tier that is not there counts nobody");
    }
}
