//! One site with something to sell, and a chain of three who refer each other.

use posx_kernel::Currency;
use posx_stage::{Outcome, Stage};
use posx_tenancy::{CreateSite, Role};
use serde_json::{Value, json};

use crate::patient::Patient;
use crate::victims::Victims;

pub const SITE: &str = "RACK";
/// At the custodian.
const VAULT: &str = "0";
/// In cents, of one unit.
pub const PRICE: i64 = 9_999;
/// More than any run sells.
const SUPPLY: u32 = 1_000_000;
const CHECKERS: [&str; 2] = ["checker", "second-checker"];
/// Two addresses that are nobody's.
const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

pub struct Cast {
    pub owner: Patient,
    /// Two who agree to what the owner wants.
    pub checker: Patient,
    pub second_checker: Patient,
    /// The one in the middle, whom the first payment of their own binds to who referred them.
    pub link: Patient,
    /// The third in the chain: each order earns two commissions.
    pub buyer: Patient,
    pub tier: String,
}

impl Cast {
    pub async fn assemble(stage: &Stage, victims: &Victims) -> Outcome<Self> {
        let platform = stage.platform().await?;
        let site = platform
            .create(CreateSite {
                code: SITE.to_owned(),
                name: "Rack".to_owned(),
                host_names: Vec::new(),
                currency: Currency::from_code("USD").ok_or("no dollar")?,
                time_zone: "UTC".parse()?,
            })
            .await?;
        platform.change_vaults(SITE, &[VAULT.to_owned()], &[]).await?;
        platform
            .appoint(&site, stage.world.issuer().url(), "owner", Role::Owner)
            .await?;
        for checker in CHECKERS {
            platform
                .appoint(&site, stage.world.issuer().url(), checker, Role::Admin)
                .await?;
        }
        let person = |name| sign_in(stage, victims, name);
        let owner = person("owner")?;
        let tier = offer(&owner).await?;
        let (first, second, third) = (person("first")?, person("second")?, person("third")?);
        let code = join(&first, "first", None).await?;
        let code = join(&second, "second", Some(&code)).await?;
        join(&third, "third", Some(&code)).await?;
        for agent in [&first, &second] {
            connect(stage, agent).await?;
        }
        Ok(Self {
            owner,
            checker: person(CHECKERS[0])?,
            second_checker: person(CHECKERS[1])?,
            link: second,
            buyer: third,
            tier,
        })
    }

    /// A second factor counts for ten minutes, and a token for an hour: less than all rounds take.
    pub fn sign_in_again(&mut self, stage: &Stage, victims: &Victims) -> Outcome<()> {
        let people = [
            (&mut self.owner, "owner"),
            (&mut self.checker, CHECKERS[0]),
            (&mut self.second_checker, CHECKERS[1]),
            (&mut self.link, "second"),
            (&mut self.buyer, "third"),
        ];
        for (person, name) in people {
            *person = sign_in(stage, victims, name)?;
        }
        Ok(())
    }

    /// The body of an order.
    pub fn wish(&self, quantity: u32) -> Value {
        json!({ "lines": [{ "tier_id": self.tier, "quantity": quantity }], "wallet_address": WALLET })
    }
}

fn sign_in(stage: &Stage, victims: &Victims, name: &str) -> Outcome<Patient> {
    Ok(Patient::new(name, &stage.token(name)?, SITE, victims.base_url()))
}

/// The agent opens an account at the provider and fills it in.
async fn connect(stage: &Stage, agent: &Patient) -> Outcome<()> {
    let body = json!({
        "country": "DE", "refresh_url": "https://rack.test/again", "return_url": "https://rack.test/done",
    });
    agent
        .post("/api/v1/me/payout-accounts/connect", &agent.name, &body)
        .await?;
    for account in stage.world.payments().accounts() {
        stage.world.payments().set_account_ready(&account.id, true)?;
    }
    Ok(())
}

/// The code of one who joins.
async fn join(one: &Patient, name: &str, referrer: Option<&str>) -> Outcome<String> {
    let wish = referrer.map_or_else(|| json!({}), |code| json!({ "referral_code": code }));
    let me = one.post("/api/v1/me", name, &wish).await?;
    let code = me["membership"]["referral_code"].as_str();
    Ok(code.ok_or("a member without a code")?.to_owned())
}

async fn offer(owner: &Patient) -> Outcome<String> {
    let asset = json!({
        "chain": "POLYGON", "symbol": "PSX", "decimals": 18, "provider_asset": "PSX_POLYGON", "vault": VAULT,
    });
    let asset = owner.post("/api/v1/chain-assets", "asset", &asset).await?;
    let money =
        |cents: i64| json!({ "amount": format!("{}.{:02}", cents / 100, cents % 100), "currency": "USD" });
    let level = |level: u8, rate: &str| json!({ "level": level, "rate": rate, "minimum_sales": money(0) });
    let plan = json!({ "name": "Rack", "hold_days": 0, "levels": [level(1, "0.12"), level(2, "0.04")] });
    let plan = owner.post("/api/v1/commission-plans", "plan", &plan).await?;
    let plan = plan["id"].as_str().ok_or("a plan without an id")?.to_owned();
    owner
        .post(
            &format!("/api/v1/commission-plans/{plan}/activate"),
            "activate",
            &json!({}),
        )
        .await?;
    let tier = json!({
        "name": "Rack", "asset_id": asset["id"], "list_price": money(PRICE),
        "tokens_per_unit": "1000000000000000000", "supply": SUPPLY, "max_per_order": 10,
    });
    let tier = owner.post("/api/v1/tiers", "tier", &tier).await?;
    Ok(tier["id"].as_str().ok_or("a tier without an id")?.to_owned())
}
