//! Wallets, and who referred whom.

use chrono::Duration;
use posx_kernel::{PartyId, Timestamp};
use posx_tenancy::FirstPayment;

use super::{Suite, wallet};
use crate::{Bound, NewWallet, Order, OrdersTx, Wallet};

const ONE: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
const TWO: &str = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB";
const ON_TRON: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";

fn typed(address: &str, at: Timestamp) -> NewWallet {
    NewWallet {
        address: wallet(address),
        at,
        proven: false,
        contract_chain: None,
        usable_from: at + Duration::hours(24),
    }
}

/// Typed, and nothing was there before.
fn first(new: &NewWallet) -> Wallet {
    Wallet {
        address: new.address.clone(),
        bound_at: new.at,
        proven_at: None,
        contract_chain: None,
        usable_from: None,
    }
}

async fn bind(tx: &mut dyn OrdersTx, party: PartyId, new: &NewWallet) -> Bound {
    let bound = tx.wallets().bind(party, new).await;
    bound.expect("a value, not an error")
}

impl Suite<'_> {
    /// By family: those on EVM chains first.
    async fn wallets_of(&self, party: PartyId) -> Vec<Wallet> {
        let of_party = self.begin().await.wallets().of_party(party).await;
        let mut wallets = of_party.expect("a read");
        let shown = self.queries.wallets(&self.given.scope, party).await;
        assert_eq!(shown.expect("a read"), wallets);
        let facts = self
            .queries
            .facts(&self.given.scope, party, &[self.tier.id], None, self.given.now)
            .await;
        let mut facts = facts.expect("a read").wallets;
        for wallets in [&mut wallets, &mut facts] {
            wallets.sort_by_key(|wallet| wallet.address.family().as_str());
        }
        assert_eq!(facts, wallets, "placing reads the same ones");
        wallets
    }

    /// How one takes another's place has a suite of its own.
    pub(super) async fn wallets_are_their_sites_and_every_read_sees_them(&self) {
        let [alice, bob, ..] = self.given.parties;
        let (now, later) = (self.given.now, self.given.now + Duration::hours(1));
        let (one, tron) = (typed(ONE, now), typed(ON_TRON, now));
        for dropped in [true, false] {
            let mut tx = self.begin().await;
            for new in [&one, &tron] {
                assert_eq!(bind(tx.as_mut(), alice, new).await, Bound::Bound(first(new)));
                assert_eq!(bind(tx.as_mut(), bob, new).await, Bound::Taken);
            }
            if !dropped {
                tx.commit().await.expect("committed");
            }
        }
        assert_eq!(self.wallets_of(alice).await, [first(&one), first(&tron)]);
        assert!(self.wallets_of(bob).await.is_empty());

        let two = typed(TWO, later);
        let replaced = Wallet {
            usable_from: Some(two.usable_from),
            ..first(&two)
        };
        let mut tx = self.begin().await;
        let bound = bind(tx.as_mut(), alice, &two).await;
        assert_eq!(bound, Bound::Bound(replaced.clone()));
        let freed = bind(tx.as_mut(), bob, &one).await;
        assert_eq!(freed, Bound::Bound(first(&one)), "it is free again");
        tx.commit().await.expect("committed");
        assert_eq!(self.wallets_of(alice).await, [replaced, first(&tron)]);
        assert_eq!(self.wallets_of(bob).await, [first(&one)]);

        let mut tx = self.begin_elsewhere().await;
        let foreign = tx.wallets().of_party(alice).await.expect("a read");
        assert!(foreign.is_empty());
        let own = bind(tx.as_mut(), self.given.stranger, &two).await;
        assert_eq!(
            own,
            Bound::Bound(first(&two)),
            "another site's party holds its own"
        );
        drop(tx);
        let shown = self.queries.wallets(&self.given.elsewhere, alice).await;
        assert!(shown.expect("a read").is_empty());
    }

    /// The first payment of a new order of the party, committed.
    async fn pays(&self, party: PartyId, named: Option<PartyId>) -> Option<PartyId> {
        let order = self.placed(party).await;
        let payment = FirstPayment {
            order: order.id,
            party,
            named,
            at: self.given.now,
        };
        let mut tx = self.begin().await;
        let bound = tx.referrals().bind(payment).await;
        tx.commit().await.expect("a refusal can be committed");
        bound.expect("a value, not an error")
    }

    pub(super) async fn p20_the_first_payment_binds_for_ever(&self) {
        let [alice, bob, carol, ..] = self.given.parties;
        let [dave, erin] = self.given.claimants;
        let order = self.placed(erin).await;
        let payment = FirstPayment {
            order: order.id,
            party: erin,
            named: None,
            at: self.given.now,
        };
        for _ in 0..2 {
            let mut tx = self.begin().await;
            let bound = tx.referrals().bind(payment).await.expect("a value, not an error");
            assert_eq!(bound, Some(alice), "then dropped");
            let again = tx.referrals().bind(payment).await.expect("a value, not an error");
            assert_eq!(again, None);
        }
        let mut tx = self.begin_elsewhere().await;
        let foreign = tx.referrals().bind(payment).await.expect("a value, not an error");
        assert_eq!(foreign, None, "nobody claimed there");
        drop(tx);
        assert_eq!(self.pays(erin, None).await, Some(alice), "claimed when joining");
        assert_eq!(
            self.pays(dave, Some(bob)).await,
            Some(bob),
            "named before claimed"
        );
        for named in [None, Some(bob), Some(carol)] {
            assert_eq!(self.pays(dave, named).await, None, "it is bound");
        }
    }

    /// Bob referred Dave before.
    pub(super) async fn p20_nobody_is_bound_to_itself_or_below_itself(&self) {
        let [alice, bob, carol, ..] = self.given.parties;
        let [dave, _] = self.given.claimants;
        assert_eq!(self.pays(carol, None).await, None, "nobody was named");
        assert_eq!(self.pays(carol, Some(carol)).await, None);
        assert_eq!(self.pays(bob, Some(dave)).await, None, "one below");
        assert_eq!(self.pays(bob, Some(carol)).await, Some(carol));
        assert_eq!(self.pays(carol, Some(dave)).await, None, "two below");
        assert_eq!(
            self.pays(carol, Some(alice)).await,
            Some(alice),
            "no refusal was kept"
        );
    }

    pub(super) async fn p20_after_another_payment_nothing_binds(&self) {
        let [alice, .., frank] = self.given.parties;
        let paid = Order {
            paid_at: Some(self.given.now),
            ..self.order(frank)
        };
        let payment = |order: &Order| FirstPayment {
            order: order.id,
            party: frank,
            named: Some(alice),
            at: self.given.now,
        };
        let next = self.placed(frank).await;
        let mut tx = self.begin().await;
        self.insert(tx.as_mut(), &paid).await;
        let late = tx.referrals().bind(payment(&next)).await;
        assert_eq!(late.expect("a value, not an error"), None);
        let itself = tx.referrals().bind(payment(&paid)).await;
        assert_eq!(
            itself.expect("a value, not an error"),
            Some(alice),
            "the payment that binds is not another one"
        );
    }
}
