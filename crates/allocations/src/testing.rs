//! The in-memory fakes beside the ports, builders, and the contract suites that every store and every custodian must
//! pass.

mod contract;
mod custodian;
mod custody_contract;
mod fake;

use chrono::{Duration, TimeZone, Utc};
use posx_kernel::{AllocationId, ChainAssetId, LineId, OrderId, PartyId, Timestamp, TokenAmount};
use uuid::Uuid;

pub use contract::{Given, contract};
pub use custodian::{Answer, FakeCustody};
pub use custody_contract::{BehindTheCounter, Counter, Ending, custody_contract};
pub use fake::{FakeDb, FakeOrder, World};

use crate::custody::{ExternalId, Transfer};
use crate::{Allocation, AllocationState};

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
        party: PartyId::from_uuid(one),
        asset: ChainAssetId::from_uuid(one),
        address: "0x52908400098527886E0F7030069857D2E4169EE7".to_owned(),
        wallet_usable_from: None,
        amount: TokenAmount::from_base_units(1_000_000_000_000_000_000),
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
