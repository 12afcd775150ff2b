//! Step 9: a promo code, money back in part with what hangs on it, and an agent who is paid what is left.

use chrono::TimeDelta;
use posx_kernel::{Money, OrderId, PayoutId, SettlementId, TokenAmount};
use posx_tenancy::Role;
use posx_worker::Tick;
use serde::Deserialize;
use serde_json::{Value, json};

use super::buying::{card, checkout, join, new_wallet, order, paid};
use super::cast::{Member, Sale, Shop};
use super::expiring::stock;
use super::sharing::of_order;
use super::{Story, StoryError, until};
use crate::demo::client::Person;
use crate::demo::client::views::OrderInFull;
use crate::ui;

/// 3 × 50.00, and 10 % off; a third of it goes back. 12 % of 135.00 is 16.20 and 4 % is 5.40: of these a third as well.
const QUANTITY: u32 = 3;
const RATE: &str = "0.1";
const TOTAL: &str = "135.00";
const REFUND: &str = "45.00";
const LEFT: [&str; 2] = ["10.80", "3.60"];
/// With the 83.99 of Carol's order.
const PAYOUT: &str = "94.79";
const HOLD: TimeDelta = TimeDelta::days(7);

#[derive(Debug, Deserialize)]
struct Share {
    agent: posx_kernel::PartyId,
    level: u8,
    left: Money,
}

#[derive(Debug, Deserialize)]
struct Cut {
    amount: TokenAmount,
    cut: TokenAmount,
}

#[derive(Debug, Deserialize)]
struct Settlement {
    id: SettlementId,
    hash: String,
}

#[derive(Debug, Deserialize)]
struct Line {
    agent: posx_kernel::PartyId,
    amount: Money,
    left_because: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Payout {
    id: PayoutId,
    agent: posx_kernel::PartyId,
    amount: Money,
    state: String,
    reference: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Balance {
    balance: Money,
}

pub async fn rewarded(story: &mut Story<'_>, shop: &Shop, sale: &Sale) -> Result<(), StoryError> {
    let order = discounted(story, shop, &sale.bob).await?;
    returned(story, shop, sale, order).await?;
    story.set.advance(HOLD + TimeDelta::minutes(1), "7 days later")?;
    posx_worker::tick(&story.set.services, Tick::Mature).await?;
    until("the ready commission", async || {
        let shares = of_order(story, shop, order).await?;
        Ok(shares.iter().all(|share| share.state == "ready").then_some(()))
    })
    .await?;
    settled(story, shop, sale).await
}

/// Bob brings somebody, who has a code.
async fn discounted(story: &mut Story<'_>, shop: &Shop, bob: &Member) -> Result<OrderId, StoryError> {
    let code = format!("FRIEND-{}", story.run.to_uppercase());
    let wish = json!({ "code": code, "discount": { "rate": RATE }, "tier_ids": [shop.public.id] });
    let client = &story.set.client;
    let made = client
        .post(&shop.admin, "/api/v1/promo-codes")
        .key(&code)
        .json(&wish);
    made.send().await?.expect::<Value>(201)?;
    let erin = join(story, shop, "Erin", Some(&bob.code)).await?;
    let wish = json!({
        "lines": [{ "tier_id": shop.public.id, "quantity": QUANTITY }], "wallet_address": new_wallet(),
        "promo_code": code.to_lowercase(),
    });
    let placed = story.set.client.post(&erin.person, "/api/v1/orders");
    let placed = placed
        .key(&format!("erin-{}", story.run))
        .json(&wish)
        .send()
        .await?;
    let placed: OrderInFull = placed.expect(201)?;
    let id = placed.order.id;
    story.invariants.equal(
        format!(
            "Erin buys {QUANTITY} of {} with {code}: {}, a tenth less",
            shop.public.name, placed.order.total
        ),
        Some(placed.order.total),
        Money::parse(TOTAL, shop.site.currency).ok(),
    );
    let checkout = checkout(story, &erin.person, id).await?;
    card(story, &checkout, "pm_card_visa").await?;
    paid(story, &erin.person, id).await?;
    until("the shares", async || {
        Ok((of_order(story, shop, id).await?.len() >= 2).then_some(()))
    })
    .await?;
    story.settled(shop).await?;
    Ok(id)
}

/// A third of the money, and with it a third of the shares, of the tokens and of the units.
async fn returned(story: &mut Story<'_>, shop: &Shop, sale: &Sale, id: OrderId) -> Result<(), StoryError> {
    let sold = stock(story, shop, &shop.public).await?.sold;
    let wish = json!({
        "amount": { "amount": REFUND, "currency": shop.script.currency }, "reason": "requested_by_customer",
    });
    let path = format!("/api/v1/orders/{id}/refunds");
    let asked = story
        .set
        .client
        .post(&shop.admin, &path)
        .key(&format!("refund-{}", story.run));
    asked.json(&wish).send().await?.expect::<Value>(201)?;
    story.settled(shop).await?;
    let seen = order(story, &shop.admin, id).await?;
    story.invariants.equal(
        format!("{REFUND} of order {} go back to the card", seen.order.number),
        seen.order.payment.as_str(),
        "partly_refunded",
    );
    let client = &story.set.client;
    let mut shares: Vec<Share> = client
        .all(&shop.admin, &format!("/api/v1/commissions?all=true&order={id}"))
        .await?;
    shares.sort_by_key(|share| share.level);
    let cut: Vec<Cut> = client
        .all(&shop.admin, &format!("/api/v1/allocations?all=true&order={id}"))
        .await?;
    for ((agent, share), left) in [&sale.bob, &sale.alice].into_iter().zip(&shares).zip(LEFT) {
        story.invariants.equal(
            format!(
                "a third of {}'s share goes back as well: {} are left",
                agent.person.name, share.left
            ),
            (share.agent, Some(share.left)),
            (agent.party, Money::parse(left, shop.site.currency).ok()),
        );
    }
    let third = |one: &Cut| one.cut.checked_mul(QUANTITY).ok() == Some(one.amount);
    let units = sold - stock(story, shop, &shop.public).await?.sold;
    story.invariants.holds(
        "a third of the tokens is not sent, and one of the three units is for sale again",
        cut.len() == 1 && cut.iter().all(third) && units == 1,
        format!("{cut:?}, {units} units"),
    );
    Ok(())
}

/// One makes the settlement, another approves of it, and the provider pays.
async fn settled(story: &mut Story<'_>, shop: &Shop, sale: &Sale) -> Result<(), StoryError> {
    onboarded(story, &sale.bob).await?;
    let client = &story.set.client;
    let made = client.post(&shop.admin, "/api/v1/settlements");
    let made = made
        .key(&format!("settle-{}", story.run))
        .json(&json!({ "method": "connect" }));
    let made: Settlement = made.send().await?.expect(201)?;
    let lines: Vec<Line> = client
        .all(&shop.admin, &format!("/api/v1/settlements/{}/lines", made.id))
        .await?;
    let of = |agent: &Member| {
        let line = lines.iter().find(|line| line.agent == agent.party);
        line.map(|line| (line.amount, line.left_because.as_deref()))
    };
    let (bobs, alices) = (of(&sale.bob), of(&sale.alice));
    let expected = Money::parse(PAYOUT, shop.site.currency).ok();
    story.invariants.equal(
        format!("{} settles what agents have: {PAYOUT} for Bob", shop.admin.name),
        bobs,
        expected.map(|amount| (amount, None)),
    );
    story.invariants.holds(
        "and nothing for Alice, who has no account to be paid to",
        alices.is_some_and(|(_, left)| left == Some("no_account")),
        format!("{alices:?}"),
    );
    let path = format!("/api/v1/settlements/{}/approve", made.id);
    let approve = async |who: &Person| {
        let asked = story
            .set
            .client
            .post(who, &path)
            .key(&format!("approve-{}", who.subject));
        asked.json(&json!({ "hash": made.hash })).send().await
    };
    let (own, olga) = (approve(&shop.admin).await?, second_person(story, shop).await?);
    let approved = approve(&olga).await?;
    story.invariants.holds(
        format!(
            "whoever made it does not approve it ({}); Olga does",
            own.refusal()
        ),
        (400..500).contains(&own.status) && approved.status == 200,
        approved.refusal(),
    );
    sent_once(story, shop, sale, made.id).await
}

async fn sent_once(
    story: &mut Story<'_>,
    shop: &Shop,
    sale: &Sale,
    settlement: SettlementId,
) -> Result<(), StoryError> {
    let path = format!("/api/v1/payouts?settlement={settlement}");
    let bobs = until("the payout", async || {
        let payouts: Vec<Payout> = story.set.client.all(&shop.admin, &path).await?;
        let bobs = payouts.into_iter().find(|payout| payout.agent == sale.bob.party);
        Ok(bobs.filter(|payout| payout.state == "done"))
    })
    .await?;
    story.settled(shop).await?;
    let group = bobs.id.to_string();
    let transfers = story.set.world.payments().transfers();
    let of_it: Vec<_> = transfers
        .iter()
        .filter(|transfer| transfer.group.as_deref() == Some(group.as_str()))
        .map(|transfer| (transfer.id.clone(), transfer.amount))
        .collect();
    let expected = vec![(bobs.reference.clone().unwrap_or_default(), bobs.amount)];
    story.invariants.equal(
        format!(
            "{} are on Bob's account at the provider, in one transfer",
            bobs.amount
        ),
        of_it,
        expected,
    );
    let balances: Vec<Balance> = story
        .set
        .client
        .all(&sale.bob.person, "/api/v1/me/balances")
        .await?;
    story.invariants.holds(
        "and nothing is left of his balance",
        balances
            .iter()
            .all(|one| one.balance == Money::zero(shop.site.currency)),
        format!("{balances:?}"),
    );
    Ok(())
}

/// Bob opens an account at the provider and fills it in.
async fn onboarded(story: &Story<'_>, bob: &Member) -> Result<(), StoryError> {
    let wish = json!({
        "country": "US", "refresh_url": "https://shop.example/again", "return_url": "https://shop.example/done",
    });
    let opened = story
        .set
        .client
        .post(&bob.person, "/api/v1/me/payout-accounts/connect");
    opened.json(&wish).send().await?.expect::<Value>(201)?;
    let payments = story.set.world.payments();
    for account in payments.accounts() {
        // It was listed a moment ago.
        payments.set_account_ready(&account.id, true).ok();
    }
    ui::note("Bob opens an account at the provider, and tells it what it asks for");
    Ok(())
}

async fn second_person(story: &Story<'_>, shop: &Shop) -> Result<Person, StoryError> {
    let olga = Person {
        name: "Olga".to_owned(),
        subject: format!("olga-{}-{}", shop.script.code, story.run),
        site: shop.script.code,
    };
    let issuer = story.set.world.issuer().url();
    let appointed = story
        .set
        .platform
        .appoint(&shop.site, issuer, &olga.subject, Role::Admin);
    appointed.await?;
    Ok(olga)
}
