//! The in-memory fakes beside the ports, builders, and the contract suites that every store and every custodian must
//! pass.

mod batches;
mod contract;
mod custodian;
mod custody_contract;
mod fake;
mod vesting;
mod vesting_contract;

use chrono::{Duration, TimeZone, Utc};
use posx_kernel::{
    AllocationId, ChainAssetId, Currency, LineId, Money, OrderId, PartyId, Rate, TierId, Timestamp,
    TokenAmount, VestingPolicyId,
};
use uuid::Uuid;

pub use contract::{Given, contract};
pub use custodian::{Answer, FakeCustody};
pub use custody_contract::{BehindTheCounter, Counter, Ending, custody_contract};
pub use fake::{FakeDb, FakeOrder, World};
pub use vesting_contract::{Seller, VestingGiven, vesting_contract};

use crate::custody::{ExternalId, Transfer};
use crate::{Allocation, AllocationState, LineToDeliver, PeriodUnit, VestingPolicy};

/// Midnight, this many days into 2026.
pub fn at(days: i64) -> Timestamp {
    Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0)
        .single()
        .expect("a date")
        + Duration::days(days)
}

/// Pending, of order, line, party and asset 1.
pub fn allocation(id: u128) -> Allocation {
    let one = Uuid::from_u128(1);
    Allocation {
        id: AllocationId::from_uuid(Uuid::from_u128(id)),
        order: OrderId::from_uuid(one),
        line: LineId::from_uuid(one),
        part: 0,
        party: PartyId::from_uuid(one),
        asset: ChainAssetId::from_uuid(one),
        address: "0x52908400098527886E0F7030069857D2E4169EE7".to_owned(),
        wallet_usable_from: None,
        amount: TokenAmount::from_base_units(1_000_000_000_000_000_000),
        cut: TokenAmount::ZERO,
        owed: TokenAmount::ZERO,
        received: TokenAmount::ZERO,
        waived: TokenAmount::ZERO,
        changes: 0,
        batch: None,
        tries: 0,
        external_id: None,
        state: AllocationState::Pending,
        parked: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// A report of the custodian's transfer `tx-1`.
pub fn transfer(external_id: &str, status: &str, tx_hash: Option<&str>) -> Transfer {
    Transfer {
        provider_id: "tx-1".to_owned(),
        external_id: Some(ExternalId(external_id.to_owned())),
        status: status.to_owned(),
        sub_status: None,
        tx_hash: tx_hash.map(str::to_owned),
        confirmations: 0,
    }
}

/// Minor units of one currency.
pub fn money(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("USD").expect("a currency"))
}

/// One unit of these tokens, of tier and asset 1.
pub fn line(id: u128, tokens: u128) -> LineToDeliver {
    let one = Uuid::from_u128(1);
    LineToDeliver {
        line: LineId::from_uuid(Uuid::from_u128(id)),
        tier: TierId::from_uuid(one),
        quantity: 1,
        counted_per_buyer: false,
        unit_tokens: TokenAmount::from_base_units(tokens),
        asset: ChainAssetId::from_uuid(one),
        tokens: TokenAmount::from_base_units(tokens),
        vesting: None,
    }
}

/// Nothing at the start, no cliff, and no start.
pub fn policy(periods: u16, unit: PeriodUnit) -> VestingPolicy {
    VestingPolicy {
        id: VestingPolicyId::from_uuid(Uuid::from_u128(1)),
        name: "Team".to_owned(),
        version: 1,
        share_at_start: Rate::ZERO,
        cliff_months: 0,
        periods,
        unit,
        revocable: true,
        starts_on: None,
        revision: 1,
        created_at: at(0),
        updated_at: at(0),
    }
}
