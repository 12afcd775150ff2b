//! Step 1: a site, and what it sells.

use chrono::{SecondsFormat, TimeDelta};
use posx_kernel::{Clock as _, Currency, Money};
use posx_tenancy::{CreateSite, Module, PlatformError, Role};
use serde_json::{Value, json};

use super::cast::{Script, Shop};
use super::{Story, StoryError};
use crate::demo::client::Person;
use crate::demo::client::views::{Asset, Plan, Tier};
use crate::ui;

const PLAN: &str = "Launch";
const PROMOTION: TimeDelta = TimeDelta::days(3);

pub async fn open(story: &mut Story<'_>, script: &'static Script) -> Result<Shop, StoryError> {
    site(story, script).await?;
    let modules = [Module::TokenSale, Module::Assistant];
    let site = story.set.platform.set_modules(script.code, &modules).await?;
    let vault = [vault(script)];
    story.set.platform.change_vaults(script.code, &vault, &[]).await?;
    let admin = Person {
        name: script.admin.to_owned(),
        subject: format!("{}-{}", script.admin.to_lowercase(), story.run),
        site: script.code,
    };
    let issuer = story.set.world.issuer().url();
    story
        .set
        .platform
        .appoint(&site, issuer, &admin.subject, Role::Admin)
        .await?;
    ui::note(&format!("{} is the admin of {}", admin.name, script.code));
    let asset = asset(story, &admin, script).await?;
    let [seed, public, hot] = tiers(story, &admin, script, &asset).await?;
    let plan = plan(story, &admin, script).await?;
    let shop = Shop {
        script,
        site,
        admin,
        asset,
        plan,
        seed,
        public,
        hot,
    };
    verify(story, &shop);
    Ok(shop)
}

/// At the custodian: no other site's.
fn vault(script: &Script) -> String {
    format!("{}-tokens", script.code.to_lowercase())
}

/// Kept data have it already.
async fn site(story: &Story<'_>, script: &Script) -> Result<(), StoryError> {
    let wish = CreateSite {
        code: script.code.to_owned(),
        name: script.name.to_owned(),
        host_names: vec![format!("{}.posx.localhost", script.code.to_lowercase())],
        currency: Currency::from_code(script.currency).ok_or(StoryError::Missing("a currency"))?,
        time_zone: script
            .time_zone
            .parse()
            .map_err(|_| StoryError::Missing("a time zone"))?,
    };
    match story.set.platform.create(wish).await {
        Ok(site) => ui::note(&format!("the site {} is made, in {}", site.code, site.currency)),
        Err(PlatformError::CodeTaken) => ui::note(&format!("the site {} is there from before", script.code)),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn asset(story: &Story<'_>, admin: &Person, script: &Script) -> Result<Asset, StoryError> {
    let path = "/api/v1/chain-assets";
    let known: Vec<Asset> = story.set.client.all(admin, path).await?;
    let ours = known
        .into_iter()
        .find(|asset| asset.chain == script.chain && asset.symbol == script.symbol);
    if let Some(asset) = ours {
        return Ok(asset);
    }
    let wish = json!({
        "chain": script.chain, "symbol": script.symbol, "decimals": script.decimals,
        "provider_asset": format!("{}_{}", script.symbol, script.chain), "vault": vault(script),
    });
    story
        .set
        .client
        .post(admin, path)
        .key(&format!("asset-{}", story.run))
        .json(&wish)
        .send()
        .await?
        .expect(201)
}

async fn tiers(
    story: &Story<'_>,
    admin: &Person,
    script: &Script,
    asset: &Asset,
) -> Result<[Tier; 3], StoryError> {
    let now = story.set.clock().now();
    let money = |amount: &str| json!({ "amount": amount, "currency": script.currency });
    let tokens = |whole: u32| format!("{whole}{}", "0".repeat(usize::from(asset.decimals)));
    let instant = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let tier = |name: &str, price: &str, supply: u32, position: u8| {
        json!({
            "name": format!("{name} {}", story.run), "asset_id": asset.id, "list_price": money(price),
            "tokens_per_unit": tokens(1_000), "supply": supply, "position": position,
        })
    };
    let mut seed = tier("Seed", script.seed_list, 1_000, 1);
    seed["bonus_per_unit"] = tokens(50).into();
    seed["promotion"] = json!({
        "price": money(script.seed_promotion),
        "from": instant(now - TimeDelta::hours(1)), "until": instant(now + PROMOTION),
    });
    Ok([
        create(story, admin, &seed).await?,
        create(story, admin, &tier("Public", script.public_price, 500, 2)).await?,
        create(story, admin, &tier("Hot", script.hot_price, 50, 3)).await?,
    ])
}

async fn create(story: &Story<'_>, admin: &Person, wish: &Value) -> Result<Tier, StoryError> {
    let made = story
        .set
        .client
        .post(admin, "/api/v1/tiers")
        .key(&format!("tier-{}", wish["name"]).replace(' ', "-"))
        .json(wish)
        .send()
        .await?;
    made.expect(201)
}

async fn plan(story: &Story<'_>, admin: &Person, script: &Script) -> Result<Plan, StoryError> {
    let nothing = json!({ "amount": "0", "currency": script.currency });
    let level = |level: u8, rate: &str| json!({ "level": level, "rate": rate, "minimum_sales": nothing });
    let wish = json!({ "name": PLAN, "hold_days": 7, "levels": [level(1, "0.12"), level(2, "0.04")] });
    let client = &story.set.client;
    let made: Plan = client
        .post(admin, "/api/v1/commission-plans")
        .key(&format!("plan-{}", story.run))
        .json(&wish)
        .send()
        .await?
        .expect(201)?;
    let path = format!("/api/v1/commission-plans/{}/activate", made.id);
    client.post(admin, &path).send().await?.expect(200)
}

fn verify(story: &mut Story<'_>, shop: &Shop) {
    let Shop {
        script, seed, plan, ..
    } = shop;
    let price = |amount: &str| Money::parse(amount, shop.site.currency).ok();
    story.invariants.equal(
        format!(
            "{}: three tiers; {} costs {} in its promotion, {} after it",
            script.code, seed.name, seed.price, seed.list_price
        ),
        (Some(seed.price), Some(seed.list_price)),
        (price(script.seed_promotion), price(script.seed_list)),
    );
    story.invariants.holds(
        format!(
            "{}: the plan {PLAN} v{} is active: 12 %, 4 %, held for 7 days; the asset is {} on {}, {} decimals",
            script.code, plan.version, shop.asset.symbol, shop.asset.chain, shop.asset.decimals
        ),
        plan.active,
        "the plan is not active",
    );
}
