//! Nonces are used once and where they were issued; wallets and what is delivered to them keep their times.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Duration;
use posx_allocations::Allocated;
use posx_kernel::{Begin, IdentityId, Refusal as _, SystemRandomness, Timestamp};
use posx_orders::testing::wallet_contract;
use posx_orders::{COOLING_OFF, OrdersTx, PlaceOrder};
use posx_tenancy::{
    Challenge, ChallengeWish, EvmAddress, ProvenWallet, SignatureVerdict, SignatureVerifier, VerifierError,
    WalletProofError, WalletProofRules, WalletProofs, WalletProofsTx,
};
use posx_tiers::ChainFamily;
use tokio::task::JoinSet;

use crate::world::{ADDRESS, World, noon};

const OTHER: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";

/// What signatures prove is the Ethereum adapter's to test.
#[derive(Debug)]
struct Believing;

#[async_trait]
impl SignatureVerifier for Believing {
    async fn verify(
        &self,
        _: &EvmAddress,
        _: u64,
        _: &str,
        _: &str,
    ) -> Result<SignatureVerdict, VerifierError> {
        Ok(SignatureVerdict::ByKey)
    }
}

impl World {
    pub fn proofs(&self) -> WalletProofs {
        let rules = WalletProofRules {
            domains: Vec::new(),
            chain_ids: vec![1],
        };
        let db = Arc::new(self.database.clone());
        WalletProofs::new(
            db,
            Arc::new(Believing),
            rules,
            self.clock.clone(),
            Arc::new(SystemRandomness),
        )
    }

    pub async fn challenge(&self, holder: Option<IdentityId>, address: &str) -> Challenge {
        let wish = ChallengeWish {
            holder,
            address,
            chain_id: 1,
            domain: None,
        };
        let challenge = self.proofs().challenge(&self.scope, &self.site, wish).await;
        challenge.expect("a challenge")
    }

    async fn prove(
        &self,
        holder: Option<IdentityId>,
        message: &str,
    ) -> Result<ProvenWallet, WalletProofError> {
        self.proofs()
            .prove(&self.scope, &self.site, holder, message, "0x")
            .await
    }

    async fn bind_proven(&self, buyer: &posx_tenancy::Member, address: &str) {
        let challenge = self.challenge(Some(buyer.identity), address).await;
        let proven = self
            .prove(Some(buyer.identity), &challenge.message)
            .await
            .expect("proven");
        let bound = self
            .orders
            .bind_proven_wallet(&self.scope, buyer.party, &proven)
            .await;
        assert_eq!(
            bound.expect("bound").proven_at,
            Some(posx_kernel::Clock::now(self.clock.as_ref()))
        );
    }

    async fn use_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        let begun: Box<dyn WalletProofsTx> = self.database.begin(&self.scope).await.expect("a transaction");
        let mut tx = begun;
        let used = tx
            .wallet_challenges()
            .consume(nonce, None, now)
            .await
            .expect("an answer");
        tx.commit().await.expect("committed");
        used
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_uses_of_one_nonce_at_once_exactly_one_wins() {
    let world = Arc::new(World::with_pool(20).await);
    let message = world.challenge(None, ADDRESS).await.message;
    let mut racing = JoinSet::new();
    for _ in 0..20 {
        let (world, message) = (world.clone(), message.clone());
        racing.spawn(async move { world.prove(None, &message).await.map_err(|error| error.code()) });
    }
    let outcomes = racing.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let lost = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(lost.clone().count() == 19 && lost.clone().all(|code| *code == "wallet_nonce_unknown"));
    // A replay later.
    let replay = world.prove(None, &message).await.expect_err("used");
    assert_eq!(replay.code(), "wallet_nonce_unknown");
}

#[tokio::test]
async fn a_nonce_is_unknown_on_another_site_to_another_holder_and_after_its_time() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let buyer = world.member(None).await.identity;
    let challenge = world.challenge(Some(buyer), ADDRESS).await;
    // The page is taken there as well, so that the nonce alone decides.
    let there = elsewhere
        .proofs()
        .prove(
            &elsewhere.scope,
            &world.site,
            Some(buyer),
            &challenge.message,
            "0x",
        )
        .await;
    assert_eq!(there.expect_err("another site's").code(), "wallet_nonce_unknown");
    for other in [None, Some(world.actor)] {
        let refused = world
            .prove(other, &challenge.message)
            .await
            .expect_err("another's");
        assert_eq!(refused.code(), "wallet_nonce_unknown");
    }
    assert!(world.prove(Some(buyer), &challenge.message).await.is_ok());

    let late = world.challenge(None, ADDRESS).await;
    assert!(!world.use_nonce(&late.nonce, late.expires_at).await);
    assert!(
        world
            .use_nonce(&late.nonce, late.expires_at - Duration::microseconds(1))
            .await
    );
}

#[tokio::test]
async fn old_nonces_go_and_young_ones_stay() {
    let world = World::new().await;
    let challenge = world.challenge(None, ADDRESS).await;
    let purge = async |before| world.database.purge_wallet_challenges(&world.scope, before).await;
    assert_eq!(purge(challenge.expires_at).await.expect("purged"), 0);
    assert_eq!(
        purge(challenge.expires_at + Duration::seconds(1))
            .await
            .expect("purged"),
        1
    );
    assert!(!world.use_nonce(&challenge.nonce, noon()).await);
}

#[tokio::test]
async fn the_database_keeps_what_a_store_of_wallets_promises() {
    let world = World::new().await;
    let parties = [world.member(None).await.party, world.member(None).await.party];
    let db: &dyn Begin<dyn OrdersTx> = &world.database;
    wallet_contract(db, &world.scope, parties, noon()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_first_wallets_at_once_the_second_one_is_a_replacement() {
    let world = Arc::new(World::with_pool(4).await);
    for _ in 0..5 {
        let party = world.member(None).await.party;
        let mut racing = JoinSet::new();
        // Of their own, so that no round is in another's way.
        for _ in 0..2 {
            let (world, address) = (
                world.clone(),
                format!(
                    "0x{}",
                    &crate::world::new_id().simple().to_string().repeat(2)[..40]
                ),
            );
            racing.spawn(async move {
                world
                    .orders
                    .bind_wallet(&world.scope, party, ChainFamily::Evm, &address)
                    .await
                    .expect("bound")
            });
        }
        let bound = racing.join_all().await;
        assert_eq!(
            bound.iter().filter(|wallet| wallet.usable_from.is_none()).count(),
            1,
            "{bound:?}"
        );
    }
}

#[tokio::test]
async fn a_proven_wallet_that_took_anothers_place_is_delivered_to_after_its_time() {
    let world = World::new().await;
    world.plan().await;
    let (tier, buyer) = (world.tier(10, 10_000).await, world.member(None).await);
    world.bind_proven(&buyer, ADDRESS).await;
    let typed = world
        .orders
        .bind_wallet(&world.scope, buyer.party, ChainFamily::Evm, OTHER)
        .await;
    assert_eq!(
        typed.expect_err("the bound one is proven").code(),
        "wallet_proof_required"
    );
    world.bind_proven(&buyer, OTHER).await;
    let wish = PlaceOrder {
        wallet_address: None,
        ..world.wish(&buyer, tier, 1)
    };
    let posx_orders::Placed::New { order, .. } = world.place_wish(&wish).await.expect("placed") else {
        panic!("no key was given")
    };
    let until = noon() + COOLING_OFF;
    assert_eq!(
        (order.wallet.as_str(), order.wallet_usable_from),
        (OTHER, Some(until))
    );
    world.pay(&order).await;
    let Allocated::Applied(made) = world
        .allocations
        .allocate(&world.scope, order.id)
        .await
        .expect("allocated")
    else {
        panic!("the order is new")
    };
    let batch = async || {
        world
            .allocations
            .create_batch(&world.scope, world.actor, &made, None)
            .await
    };
    world.clock.advance(COOLING_OFF - Duration::microseconds(1));
    assert_eq!(batch().await.expect_err("too early").code(), "wallet_cooling_off");
    world.clock.advance(Duration::microseconds(1));
    batch().await.expect("its time has come");
}
