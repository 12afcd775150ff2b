//! Who and what is in the story, with the amounts that everybody can check by hand.

use posx_kernel::PartyId;
use posx_tenancy::Site;

use crate::demo::client::Person;
use crate::demo::client::views::{Asset, Checkout, Membership, OrderInFull, Plan, Tier};

/// What is written down before the curtain rises.
#[derive(Debug)]
pub struct Script {
    pub code: &'static str,
    pub name: &'static str,
    pub currency: &'static str,
    pub time_zone: &'static str,
    pub chain: &'static str,
    pub symbol: &'static str,
    pub decimals: u8,
    pub admin: &'static str,
    /// Each refers the next one.
    pub people: [&'static str; 3],
    pub seed_list: &'static str,
    /// In the first three days.
    pub seed_promotion: &'static str,
    pub public_price: &'static str,
    pub hot_price: &'static str,
    /// How many of the promoted tier the third one buys.
    pub quantity: u32,
    pub total: &'static str,
    /// 12 % and 4 % of the total, rounded half to even.
    pub shares: [&'static str; 2],
}

/// 7 × 99.99 = 699.93; 12 % is 83.9916, 4 % is 27.9972.
pub const NA: Script = Script {
    code: "NA",
    name: "North America",
    currency: "USD",
    time_zone: "America/New_York",
    chain: "POLYGON",
    symbol: "PSX",
    decimals: 18,
    admin: "Nora",
    people: ["Alice", "Bob", "Carol"],
    seed_list: "125.00",
    seed_promotion: "99.99",
    public_price: "50.00",
    hot_price: "10.00",
    quantity: 7,
    total: "699.93",
    shares: ["83.99", "28.00"],
};

/// 3 × 12.370 = 37.110; 12 % is 4.4532, 4 % is 1.4844.
pub const ASIA: Script = Script {
    code: "ASIA",
    name: "Asia",
    currency: "KWD",
    time_zone: "Asia/Kuwait",
    chain: "BSC",
    symbol: "PSA",
    decimals: 6,
    admin: "Mallory",
    people: ["Aisha", "Badr", "Chandra"],
    seed_list: "15.450",
    seed_promotion: "12.370",
    public_price: "6.250",
    hot_price: "1.250",
    quantity: 3,
    total: "37.110",
    shares: ["4.453", "1.484"],
};

/// A site that is open for business.
#[derive(Debug)]
pub struct Shop {
    pub script: &'static Script,
    pub site: Site,
    pub admin: Person,
    pub asset: Asset,
    pub plan: Plan,
    /// Promoted in its first three days.
    pub seed: Tier,
    pub public: Tier,
    /// Fifty units.
    pub hot: Tier,
}

#[derive(Debug)]
pub struct Member {
    pub person: Person,
    pub party: PartyId,
    pub code: String,
}

impl Member {
    pub fn of(person: Person, membership: Membership) -> Self {
        Self {
            person,
            party: membership.party_id,
            code: membership.referral_code,
        }
    }
}

/// Three people, each referred by the one before, and what the later two bought.
#[derive(Debug)]
pub struct Sale {
    pub alice: Member,
    pub bob: Member,
    pub carol: Member,
    pub bobs: OrderInFull,
    pub carols: OrderInFull,
    pub checkout: Checkout,
}
