//! Keys and devices keep their contract on the real store; the limit of live keys holds when many are made at once.

use std::sync::Arc;

use posx_kernel::{ApiKeyId, IdentityId, Refusal as _, SystemIds, SystemRandomness};
use posx_tenancy::testing::{MachineStores, MachinesGiven, machine_contract};
use posx_tenancy::{ApiKeyQueries as _, ApiKeys, Member, NewApiKey, PlaceState, Role, RotateApiKey};
use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;

use crate::world::{World, noon};

impl World {
    pub fn api_keys(&self) -> ApiKeys {
        let (db, ids) = (Arc::new(self.database.clone()), Arc::new(SystemIds));
        ApiKeys::new(
            db.clone(),
            db,
            self.clock.clone(),
            ids,
            Arc::new(SystemRandomness),
        )
    }

    /// A member whose role the domain believes; what the directory says of them is not asked here.
    pub async fn owner(&self) -> Member {
        Member {
            role: Role::Owner,
            ..self.member(None).await
        }
    }

    /// Made as if the member were an owner.
    pub async fn api_key(&self, maker: &Member) -> Result<(ApiKeyId, String), &'static str> {
        let maker = Member {
            role: Role::Owner,
            ..maker.clone()
        };
        let wish = NewApiKey {
            name: "Books".to_owned(),
            scopes: vec!["orders:read".to_owned()],
            lifetime_days: None,
        };
        let made = self.api_keys().create(&self.scope, &maker, &wish, None).await;
        let (made, secret) = made.map_err(|error| error.code())?;
        Ok((made.id, secret.expect("a secret").expose_secret().to_owned()))
    }
}

#[tokio::test]
async fn the_database_keeps_what_a_store_of_machines_promises() {
    let (world, elsewhere) = (World::with_pool(1).await, World::new().await);
    let member: IdentityId = world.member(None).await.identity;
    let given = MachinesGiven {
        member,
        place: world.branch("OPEN", PlaceState::Active).await,
        closed_place: world.branch("SHUT", PlaceState::Closed).await,
        scope: world.scope,
        elsewhere: elsewhere.scope,
        now: noon(),
    };
    machine_contract(&MachineStores::of(Arc::new(world.database)), &given).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_keys_made_at_once_a_site_gets_a_hundred() {
    let world = Arc::new(World::with_pool(8).await);
    let maker = world.owner().await;
    for _ in 0..95 {
        world.api_key(&maker).await.expect("a key");
    }
    let mut racing = JoinSet::new();
    for _ in 0..12 {
        let (world, maker) = (world.clone(), maker.clone());
        racing.spawn(async move { world.api_key(&maker).await.map(|_| ()) });
    }
    let outcomes = racing.join_all().await;
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        5,
        "{outcomes:?}"
    );
    let refused = outcomes
        .iter()
        .filter(|outcome| **outcome == Err("api_keys_too_many"));
    assert_eq!(refused.count(), 7, "{outcomes:?}");
}

#[tokio::test]
async fn p01_a_key_of_another_site_opens_nothing_and_is_neither_rotated_nor_revoked() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let maker = world.owner().await;
    let (id, text) = world.api_key(&maker).await.expect("a key");
    let there = elsewhere.api_keys();
    assert!(
        there
            .verify(&elsewhere.scope, &text)
            .await
            .expect("an answer")
            .is_none()
    );
    let wish = RotateApiKey {
        overlap_days: 0,
        lifetime_days: None,
    };
    let rotated = there.rotate(&elsewhere.scope, &maker, id, wish).await.map(|_| ());
    assert_eq!(rotated.expect_err("unknown there").code(), "api_key_not_found");
    let revoked = there.revoke(&elsewhere.scope, id).await;
    assert_eq!(revoked.expect_err("unknown there").code(), "api_key_not_found");
    assert!(
        world
            .api_keys()
            .verify(&world.scope, &text)
            .await
            .expect("an answer")
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_rotations_at_once_no_more_secrets_are_good_than_a_key_may_have() {
    let world = Arc::new(World::with_pool(8).await);
    let maker = world.owner().await;
    let (id, _) = world.api_key(&maker).await.expect("a key");
    let mut racing = JoinSet::new();
    for _ in 0..10 {
        let (world, maker) = (world.clone(), maker.clone());
        racing.spawn(async move {
            let wish = RotateApiKey {
                overlap_days: 7,
                lifetime_days: None,
            };
            world
                .api_keys()
                .rotate(&world.scope, &maker, id, wish)
                .await
                .is_ok()
        });
    }
    let rotated = racing.join_all().await;
    assert_eq!(rotated.iter().filter(|done| **done).count(), 4, "{rotated:?}");
}

#[tokio::test]
async fn a_scope_that_is_gone_from_the_product_allows_nothing_and_breaks_nothing() {
    let world = World::new().await;
    let (id, text) = world.api_key(&world.owner().await).await.expect("a key");
    let mut admin = crate::server::superuser().await;
    sqlx::query(
        "update api_keys set scopes = '{orders:read,orders:abolished,api_keys:manage}' where id = $1",
    )
    .bind(id.as_uuid())
    .execute(&mut admin)
    .await
    .expect("changed");
    let key = world
        .api_keys()
        .verify(&world.scope, &text)
        .await
        .expect("an answer")
        .expect("it holds")
        .key;
    assert!(key.may(posx_tenancy::Capability::OrdersRead));
    assert!(!key.may(posx_tenancy::Capability::ApiKeysManage));
    assert!(
        world
            .database
            .api_key(&world.scope, id)
            .await
            .expect("a read")
            .is_some()
    );
}
