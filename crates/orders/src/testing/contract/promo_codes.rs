//! Promo codes, and how often they are used.

use chrono::Duration;
use posx_kernel::{OrderId, PartyId, PromoCodeId, TokenAmount};
use posx_tiers::{Bonus, Discount, PromoCode, PromoCodeText, PromoRefusal, PromoTerms, PromoUse, PromoUses};

use super::{Suite, usd};
use crate::{Order, OrdersTx};

const fn tokens(units: u128) -> TokenAmount {
    TokenAmount::from_base_units(units)
}

fn text(code: &str) -> PromoCodeText {
    PromoCodeText::parse(code).expect("a code")
}

impl Suite<'_> {
    /// 10 % and 100 tokens of at most 350, three times and twice a buyer.
    fn promo_code(&self, code: &str) -> PromoCode {
        let bonus = Bonus {
            asset: self.asset.id,
            tokens: tokens(100),
            tokens_max: Some(tokens(350)),
        };
        PromoCode {
            id: PromoCodeId::from_uuid(self.uuid()),
            code: text(code),
            terms: PromoTerms {
                discount: Some(Discount::Rate("0.1".parse().expect("a rate"))),
                bonus: Some(bonus),
                from: Some(self.given.now),
                until: Some(self.given.now + Duration::days(1)),
                uses_max: Some(3),
                uses_per_buyer: Some(2),
                minimum: usd(100),
                tiers: vec![self.tier.id],
                active: true,
            },
            version: 1,
            created_at: self.given.now,
            updated_at: self.given.now,
        }
    }

    async fn stored_code(&self, code: &PromoCode) {
        let mut tx = self.begin().await;
        assert!(tx.promo_codes().insert(code).await.expect("stored"));
        tx.commit().await.expect("committed");
    }

    async fn read_code(&self, id: PromoCodeId) -> Option<PromoCode> {
        self.begin().await.promo_codes().find(id).await.expect("a read")
    }

    pub(super) async fn a_promo_code_is_unique_and_reads_back_as_it_was_stored(&self) {
        let code = self.promo_code("READ-BACK_1");
        let mut tx = self.begin().await;
        assert!(
            tx.promo_codes().insert(&code).await.expect("stored"),
            "then dropped"
        );
        drop(tx);
        assert_eq!(self.read_code(code.id).await, None);
        self.stored_code(&code).await;
        assert_eq!(self.read_code(code.id).await.as_ref(), Some(&code));
        let mut tx = self.begin().await;
        let twin = PromoCode {
            id: PromoCodeId::from_uuid(self.uuid()),
            ..code.clone()
        };
        assert!(
            !tx.promo_codes()
                .insert(&twin)
                .await
                .expect("a value, not an error")
        );
        drop(tx);
        let mut tx = self.begin_elsewhere().await;
        assert_eq!(tx.promo_codes().find(code.id).await.expect("a read"), None);
        let plain = PromoTerms {
            discount: Some(Discount::Amount(usd(50))),
            bonus: None,
            from: None,
            until: None,
            uses_max: None,
            uses_per_buyer: None,
            minimum: usd(0),
            tiers: Vec::new(),
            active: false,
        };
        let same_text = PromoCode {
            terms: plain,
            ..twin.clone()
        };
        assert!(
            tx.promo_codes().insert(&same_text).await.expect("stored"),
            "another site's"
        );
        let found = tx.promo_codes().find(same_text.id).await.expect("a read");
        assert_eq!(found, Some(same_text));
    }

    pub(super) async fn p08_a_stale_edit_of_a_promo_code_changes_nothing(&self) {
        let code = self.promo_code("STALE");
        self.stored_code(&code).await;
        let mut edited = code.clone();
        edited.terms.bonus = None;
        edited.terms.discount = Some(Discount::Amount(usd(70)));
        edited.terms.uses_max = None;
        edited.terms.active = false;
        (edited.version, edited.updated_at) = (2, self.given.now + Duration::hours(1));
        let mut tx = self.begin_elsewhere().await;
        assert!(
            !tx.promo_codes()
                .save(&edited, 1)
                .await
                .expect("a value, not an error")
        );
        drop(tx);
        let mut tx = self.begin().await;
        assert!(tx.promo_codes().save(&edited, 1).await.expect("saved"));
        assert!(
            !tx.promo_codes()
                .save(&code, 1)
                .await
                .expect("a value, not an error")
        );
        tx.commit().await.expect("committed");
        assert_eq!(self.read_code(code.id).await, Some(edited));
    }

    async fn uses(&self, code: &PromoCode, order: &Order) -> Result<(), PromoRefusal> {
        let mut tx = self.begin().await;
        let counted = count(tx.as_mut(), code, order).await;
        if counted.is_ok() {
            tx.commit().await.expect("committed");
        }
        counted
    }

    async fn gives_back(&self, order: OrderId) -> bool {
        let mut tx = self.begin().await;
        let given = tx.promo_codes().give_back(order, self.given.now).await;
        tx.commit().await.expect("committed");
        given.expect("a value, not an error")
    }

    async fn uses_of(&self, code: &PromoCode, buyer: PartyId) -> PromoUses {
        let now = self.given.now;
        let facts = self
            .queries
            .facts(&self.given.scope, buyer, &[], Some(&code.code), now);
        facts.await.expect("a read").promo.expect("the code").uses
    }

    pub(super) async fn p07_uses_of_a_promo_code_stay_within_its_limits(&self) {
        let [alice, bob, ..] = self.given.parties;
        let code = self.promo_code("LIMITED");
        self.stored_code(&code).await;
        let mut orders = Vec::new();
        for buyer in [alice, alice, alice, bob, bob] {
            orders.push(self.placed(buyer).await);
        }
        assert_eq!(self.uses(&code, &orders[0]).await, Ok(()));
        assert_eq!(self.uses(&code, &orders[1]).await, Ok(()));
        assert_eq!(self.uses(&code, &orders[2]).await, Err(PromoRefusal::BuyerLimit));
        assert_eq!(self.uses(&code, &orders[3]).await, Ok(()));
        assert_eq!(self.uses(&code, &orders[4]).await, Err(PromoRefusal::Exhausted));
        let after = PromoUses {
            used: 3,
            bonus_given: tokens(300),
            by_buyer: 1,
        };
        assert_eq!(self.uses_of(&code, bob).await, after, "a refusal counts nothing");
        let mut more = code.clone();
        more.terms.uses_max = None;
        assert_eq!(
            self.uses(&more, &orders[4]).await,
            Err(PromoRefusal::Exhausted),
            "350 tokens are less than four bonuses"
        );
        let mut tx = self.begin_elsewhere().await;
        let found = tx.promo_codes().give_back(orders[0].id, self.given.now).await;
        assert!(!found.expect("a value, not an error"), "another site's order");
    }

    pub(super) async fn a_use_is_given_back_once_and_taken_again(&self) {
        let [alice, bob, ..] = self.given.parties;
        let mut code = self.promo_code("BACK");
        code.terms.uses_max = Some(1);
        self.stored_code(&code).await;
        let (first, second) = (self.placed(alice).await, self.placed(bob).await);
        assert!(!self.gives_back(first.id).await, "it has used none");
        assert_eq!(self.uses(&code, &first).await, Ok(()));
        assert_eq!(self.uses(&code, &second).await, Err(PromoRefusal::Exhausted));
        assert!(self.gives_back(first.id).await);
        assert!(!self.gives_back(first.id).await, "once");
        assert_eq!(self.uses_of(&code, alice).await, PromoUses::default());
        assert_eq!(self.uses(&code, &first).await, Ok(()), "its money came after all");
        assert_eq!(self.uses_of(&code, alice).await.used, 1);
        let mut tx = self.begin().await;
        let mut unlimited = code.clone();
        unlimited.terms.uses_max = None;
        let twice = tx.promo_codes().count_use(&unlimited, &used(&first)).await;
        assert!(twice.is_err(), "an order uses its code once");
    }

    pub(super) async fn placing_reads_the_code_and_its_uses(&self) {
        let [alice, bob, ..] = self.given.parties;
        let code = self.promo_code("FACTS");
        self.stored_code(&code).await;
        let order = self.placed(alice).await;
        assert_eq!(self.uses(&code, &order).await, Ok(()));
        let wanted = text(" facts ");
        for (buyer, by_buyer) in [(alice, 1), (bob, 0)] {
            let mut tx = self.begin().await;
            let placing = tx
                .orders()
                .begin_placing(None, buyer, &[], Some(&wanted), self.given.now)
                .await;
            let found = placing.expect("a read").1.promo.expect("the code");
            assert_eq!(
                (&found.code, found.uses.used, found.uses.by_buyer),
                (&code, 1, by_buyer)
            );
            assert_eq!(found.uses.bonus_given, tokens(100));
        }
        let unknown = text("NO-SUCH");
        let elsewhere = [(&self.given.scope, &unknown), (&self.given.elsewhere, &wanted)];
        for (scope, text) in elsewhere {
            let facts = self
                .queries
                .facts(scope, alice, &[], Some(text), self.given.now)
                .await;
            assert_eq!(facts.expect("a read").promo, None);
        }
    }
}

fn used(order: &Order) -> PromoUse {
    PromoUse {
        order: order.id,
        buyer: order.buyer,
        discount: order.discount,
        bonus: tokens(100),
        at: order.placed_at,
    }
}

async fn count(tx: &mut dyn OrdersTx, code: &PromoCode, order: &Order) -> Result<(), PromoRefusal> {
    let counted = tx.promo_codes().count_use(code, &used(order)).await;
    counted.expect("a value, not an error")
}
