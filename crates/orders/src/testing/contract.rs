//! What every store of this context must do, checked through its ports. Assets, tiers and stock have their own suite, in
//! their own context.

mod books;
mod orders;
mod payments;
mod people;
mod placing;
mod promo_codes;
mod returns;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::Duration;
use posx_kernel::{
    Begin, ChainAssetId, Currency, IdentityId, Ids as _, LineId, Money, MovementId, OrderId, PartyId,
    SeededIds, SiteScope, TierId, Timestamp, TokenAmount,
};
use posx_tiers::{Chain, ChainAsset, ChainFamily, Tier};
use uuid::Uuid;

use crate::{
    Approval, Delivery, Lifecycle, Line, NewOrder, Order, OrderKind, OrderNumber, OrderQueries, OrdersTx,
    WalletAddress,
};

/// What the caller has put into the store.
#[derive(Debug)]
pub struct Given {
    pub scope: SiteScope,
    /// Another site, with no orders, tiers and plans in it.
    pub elsewhere: SiteScope,
    /// Parties of the site that named nobody when they joined.
    pub parties: [PartyId; 5],
    /// Joined and named the first of the parties.
    pub claimants: [PartyId; 2],
    /// A party of the other site.
    pub stranger: PartyId,
    /// The site's active commission plan, as it is frozen on an order.
    pub plan: serde_json::Value,
    pub now: Timestamp,
}

/// Runs on a store without orders. Leaves it changed.
pub async fn contract(db: Arc<dyn Begin<dyn OrdersTx>>, queries: Arc<dyn OrderQueries>, given: &Given) {
    let suite = Suite::stocked(db, queries, given).await;
    suite.placing_reads_what_is_there().await;
    suite.p10_a_placed_order_answers_its_key_from_then_on().await;
    suite.p10_a_key_that_is_taken_stores_no_order().await;
    suite.an_order_is_read_back_as_it_was_placed_and_saved().await;
    suite.an_order_is_its_sites_and_its_buyers().await;
    suite
        .pages_go_on_where_the_last_one_ended_and_filters_hold()
        .await;
    suite.due_orders_come_longest_due_first_and_page_by_page().await;
    suite
        .a_promo_code_is_unique_and_reads_back_as_it_was_stored()
        .await;
    suite.p08_a_stale_edit_of_a_promo_code_changes_nothing().await;
    suite.p07_uses_of_a_promo_code_stay_within_its_limits().await;
    suite.a_use_is_given_back_once_and_taken_again().await;
    suite.placing_reads_the_code_and_its_uses().await;
    suite.one_attempt_of_an_order_is_open().await;
    suite.an_attempt_is_found_by_its_intent().await;
    suite.unsettled_attempts_come_oldest_first().await;
    suite.an_object_of_the_provider_belongs_to_one_site().await;
    suite
        .an_attempt_is_refunded_once_by_itself_and_by_staff_any_number_of_times()
        .await;
    suite
        .p15_more_than_was_captured_is_never_stored_as_refunded()
        .await;
    suite.unsettled_refunds_come_longest_untouched_first().await;
    suite.a_dispute_is_its_sites_and_known_by_the_providers_id().await;
    suite.open_disputes_and_their_due_evidence_are_found().await;
    suite.wallets_are_their_sites_and_every_read_sees_them().await;
    suite.p20_the_first_payment_binds_for_ever().await;
    suite.p20_nobody_is_bound_to_itself_or_below_itself().await;
    suite.p20_after_another_payment_nothing_binds().await;
    suite.p31_a_fact_is_booked_once().await;
    suite.an_event_is_kept_with_its_commit_only().await;
    suite.p10_an_answer_is_stored_once().await;
}

struct Suite<'a> {
    db: Arc<dyn Begin<dyn OrdersTx>>,
    queries: Arc<dyn OrderQueries>,
    given: &'a Given,
    ids: SeededIds,
    asset: ChainAsset,
    tier: Tier,
}

const SUPPLY: i64 = 77;

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("USD").expect("a currency"))
}

fn wallet(text: &str) -> WalletAddress {
    let family = if text.starts_with('T') {
        ChainFamily::Tron
    } else {
        ChainFamily::Evm
    };
    WalletAddress::parse(text, family).expect("an address")
}

impl<'a> Suite<'a> {
    /// With a tier of its own.
    async fn stocked(
        db: Arc<dyn Begin<dyn OrdersTx>>,
        queries: Arc<dyn OrderQueries>,
        given: &'a Given,
    ) -> Self {
        let (ids, now) = (SeededIds::new(29), given.now);
        let asset = ChainAsset {
            id: ChainAssetId::from_uuid(ids.uuid(now)),
            chain: Chain::Polygon,
            symbol: "CONTRACT".to_owned(),
            decimals: 18,
            provider_asset: "CONTRACT_POLYGON".to_owned(),
            vault: given.scope.site().to_string(),
            active: true,
            created_at: now,
        };
        let tier = Tier {
            id: TierId::from_uuid(ids.uuid(now)),
            name: "Seed".to_owned(),
            description: String::new(),
            asset: asset.id,
            list_price: usd(500),
            promotion: None,
            tokens_per_unit: TokenAmount::from_base_units(1000),
            bonus_per_unit: TokenAmount::from_base_units(50),
            max_per_order: 10,
            max_per_buyer: None,
            active: true,
            position: 0,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let mut tx = db.begin(&given.scope).await.expect("a transaction");
        assert_eq!(tx.assets().insert(&asset).await.expect("stored"), Ok(()));
        let (movement, actor) = (
            MovementId::from_uuid(ids.uuid(now)),
            IdentityId::from_uuid(ids.uuid(now)),
        );
        tx.tiers()
            .insert(&tier, SUPPLY, movement, Some(actor))
            .await
            .expect("stored");
        tx.commit().await.expect("committed");
        Self {
            db,
            queries,
            given,
            ids,
            asset,
            tier,
        }
    }

    async fn begin(&self) -> Box<dyn OrdersTx> {
        self.db.begin(&self.given.scope).await.expect("a transaction")
    }

    async fn begin_elsewhere(&self) -> Box<dyn OrdersTx> {
        self.db.begin(&self.given.elsewhere).await.expect("a transaction")
    }

    fn uuid(&self) -> Uuid {
        self.ids.uuid(self.given.now)
    }

    fn line(&self, quantity: u32, counted_per_buyer: bool) -> Line {
        Line {
            id: LineId::from_uuid(self.uuid()),
            tier: self.tier.id,
            tier_name: self.tier.name.clone(),
            asset: self.asset.id,
            quantity,
            unit_price: usd(500),
            amount: usd(500 * i64::from(quantity)),
            tokens: TokenAmount::from_base_units(1050),
            promo_tokens: TokenAmount::ZERO,
            counted_per_buyer,
        }
    }

    /// Just placed, with two lines and every sum of its own.
    fn order(&self, buyer: PartyId) -> Order {
        let (id, now) = (self.uuid(), self.given.now);
        Order {
            id: OrderId::from_uuid(id),
            number: OrderNumber::from_stored(format!("NO-{}", id.simple())),
            kind: OrderKind::Token,
            buyer,
            lines: vec![self.line(3, true), self.line(1, false)],
            lifecycle: Lifecycle::Placed,
            delivery: Delivery::None,
            approval: Approval::NotNeeded,
            disputed: false,
            attention: None,
            subtotal: usd(2000),
            discount: usd(300),
            tax: usd(20),
            shipping: usd(1),
            total: usd(1721),
            captured: usd(0),
            refunded: usd(0),
            returned: usd(0),
            chain: Chain::Polygon,
            wallet: wallet("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
            wallet_usable_from: None,
            referrer: None,
            promo_code: None,
            plan_snapshot: None,
            placed_at: now,
            expires_at: now + Duration::minutes(15),
            paid_at: None,
            closed_at: None,
        }
    }

    async fn insert(&self, tx: &mut dyn OrdersTx, order: &Order) {
        let new = NewOrder {
            order,
            entries: &[],
            events: &[],
            answer: None,
        };
        tx.orders().insert(new).await.expect("stored");
    }

    /// An order as just placed, committed.
    async fn placed(&self, buyer: PartyId) -> Order {
        let order = self.order(buyer);
        let mut tx = self.begin().await;
        self.insert(tx.as_mut(), &order).await;
        tx.commit().await.expect("committed");
        order
    }
}
