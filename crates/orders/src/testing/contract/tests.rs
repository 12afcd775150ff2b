//! The fake passes this context's suite, and that of tiers.

use std::sync::Arc;

use chrono::{TimeZone as _, Utc};
use posx_kernel::{PartyId, SiteId, SiteScope, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::{Given, contract};
use crate::testing::FakeStore;

fn scope(name: u128) -> SiteScope {
    SiteScope::of_claimed_job(SiteId::from_uuid(Uuid::from_u128(name)))
}

const fn party(name: u128) -> PartyId {
    PartyId::from_uuid(Uuid::from_u128(name))
}

fn noon() -> Timestamp {
    let noon = Utc.with_ymd_and_hms(2026, 6, 1, 12, 0, 0);
    noon.single().expect("an instant")
}

#[tokio::test]
async fn the_fake_passes_the_contract() {
    let store = FakeStore::default();
    let given = Given {
        scope: scope(1),
        elsewhere: scope(2),
        parties: [1, 2, 3, 4, 5].map(party),
        claimants: [6, 7].map(party),
        stranger: party(8),
        plan: json!({ "plan": "plan_1" }),
        now: noon(),
    };
    store
        .arrange(|state| {
            state.plan_snapshot = Some(given.plan.clone());
            state.claimed = given.claimants.map(|party| (party, given.parties[0])).into();
        })
        .await;
    let store = Arc::new(store);
    contract(store.clone(), store, &given).await;
}

#[tokio::test]
async fn the_fake_passes_the_contract_of_tiers() {
    let given = posx_tiers::testing::Given {
        scope: scope(1),
        elsewhere: scope(2),
        buyers: [1, 2].map(party),
        now: noon(),
    };
    posx_tiers::testing::contract(Arc::new(FakeStore::default()), &given).await;
}
