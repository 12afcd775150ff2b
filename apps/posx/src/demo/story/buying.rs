//! Step 2: who refers whom, and how an order is placed and its payment begun.

use std::time::Duration;

use posx_kernel::{Money, OrderId};
use posx_sandbox::DeliveryPlan;
use serde_json::{Value, json};

use super::cast::{Member, Sale, Shop};
use super::{Story, StoryError, random_hex, until};
use crate::demo::client::views::{Checkout, Me, OrderInFull, Quote, Referral, Tier, Wallet};
use crate::demo::client::{Answer, Person};
use crate::ui;

/// What the provider's notices of a successful payment go through in step 3.
const LATE: Duration = Duration::from_millis(1_500);

/// With a repeated request, a wallet, a declined card, and notices that will be late.
pub async fn troubled(story: &mut Story<'_>, shop: &Shop) -> Result<Sale, StoryError> {
    let [alice, bob, carol] = referred(story, shop).await?;
    let bobs = first_purchase(story, shop, &alice, &bob).await?;
    let client = &story.set.client;
    let lines = json!([{ "tier_id": shop.seed.id, "quantity": shop.script.quantity }]);
    let preview = client
        .post(&carol.person, "/api/v1/orders/preview")
        .json(&json!({ "lines": lines }));
    let quote: Quote = preview.send().await?.expect(200)?;
    let total = Money::parse(shop.script.total, shop.site.currency).ok();
    story.invariants.equal(
        format!(
            "Carol previews {} of {}: {}",
            shop.script.quantity, shop.seed.name, quote.total
        ),
        Some(quote.total),
        total,
    );
    let wallet = bind_wallet(story, &carol).await?;
    let key = format!("carol-{}", story.run);
    let placing = async || place(story, &carol.person, &shop.seed, shop.script.quantity, None, &key).await;
    let (once, again) = (placing().await?, placing().await?);
    let order: OrderInFull = once.expect(201)?;
    story.invariants.holds(
        format!(
            "Carol places order {} twice with one key: one order, the very same bytes",
            order.order.number
        ),
        again.status == 201 && again.replayed && !once.replayed && once.body == again.body,
        "the second answer differs",
    );
    story.invariants.equal(
        "it delivers to the wallet that she bound",
        &order.wallet_address,
        &wallet,
    );
    let checkout = checkout(story, &carol.person, order.order.id).await?;
    decline(story, &carol, &order, &checkout).await?;
    let notices = story.set.world.payments().webhooks();
    notices.plan(DeliveryPlan {
        copies: 2,
        delay: LATE,
        last: vec!["payment_intent.processing".to_owned()],
        dropped: Vec::new(),
    });
    let accepted = card(story, &checkout, "pm_card_visa").await?;
    story.invariants.equal(
        "her second card is accepted by the provider",
        accepted.as_str(),
        "succeeded",
    );
    Ok(Sale {
        alice,
        bob,
        carol,
        bobs,
        carols: order,
        checkout,
    })
}

/// Nothing goes wrong.
pub async fn straight(story: &mut Story<'_>, shop: &Shop) -> Result<Sale, StoryError> {
    let notices = story.set.world.payments().webhooks().clone();
    let [alice, bob, carol] = referred(story, shop).await?;
    // Of all notices that are sent from now on; the late ones are on their way with the plan that they had.
    notices.plan(DeliveryPlan::default());
    let bobs = first_purchase(story, shop, &alice, &bob).await?;
    let (order, checkout) = buy(story, &carol, &shop.seed, shop.script.quantity).await?;
    let total = Money::parse(shop.script.total, shop.site.currency).ok();
    story.invariants.equal(
        format!(
            "{}: {} buys {} of {} and pays {}",
            shop.script.code, carol.person.name, shop.script.quantity, shop.seed.name, order.order.total
        ),
        (order.order.payment.as_str(), Some(order.order.total)),
        ("paid", total),
    );
    Ok(Sale {
        alice,
        bob,
        carol,
        bobs,
        carols: order,
        checkout,
    })
}

async fn referred(story: &mut Story<'_>, shop: &Shop) -> Result<[Member; 3], StoryError> {
    let [first, second, third] = shop.script.people;
    let alice = join(story, shop, first, None).await?;
    let bob = join(story, shop, second, Some(&alice.code)).await?;
    let carol = join(story, shop, third, Some(&bob.code)).await?;
    ui::note(&format!(
        "{}: {first} joins ({}), {second} with her code ({}), {third} with that one",
        shop.script.code, alice.code, bob.code
    ));
    Ok([alice, bob, carol])
}

pub async fn join(
    story: &mut Story<'_>,
    shop: &Shop,
    name: &str,
    code: Option<&str>,
) -> Result<Member, StoryError> {
    let person = Person {
        name: name.to_owned(),
        subject: format!("{}-{}", name.to_lowercase(), story.run),
        site: shop.script.code,
    };
    let wish = code.map_or_else(|| json!({}), |code| json!({ "referral_code": code }));
    let joined: Me = story
        .set
        .client
        .post(&person, "/api/v1/me")
        .json(&wish)
        .send()
        .await?
        .expect(201)?;
    if code.is_some() {
        let claim = joined.referral.as_deref().unwrap_or("nothing");
        story
            .invariants
            .equal(format!("{name}'s referral code is accepted"), claim, "accepted");
    }
    let membership = joined
        .membership
        .ok_or(StoryError::Missing("a new member's membership"))?;
    story.names.insert(membership.party_id, name.to_owned());
    Ok(Member::of(person, membership))
}

/// A referral binds with the first paid order: in a job that follows the payment, and the next one's shares need it.
async fn first_purchase(
    story: &mut Story<'_>,
    shop: &Shop,
    alice: &Member,
    bob: &Member,
) -> Result<OrderInFull, StoryError> {
    let (order, _) = buy(story, bob, &shop.public, 1).await?;
    let since = until("the referral to be bound", async || {
        let referred: Vec<Referral> = story.set.client.all(&alice.person, "/api/v1/referrals").await?;
        let bobs = referred.into_iter().find(|one| one.party == bob.party);
        Ok(bobs.and_then(|one| one.bound_at))
    })
    .await?;
    story.invariants.holds(
        format!(
            "{}: {} buys one {} for {}: {} referred him, bound at {}",
            shop.script.code,
            bob.person.name,
            shop.public.name,
            order.order.total,
            alice.person.name,
            since.format("%F %T")
        ),
        order.happened("order.paid") == 1,
        format!("{:?}", order.history),
    );
    Ok(order)
}

/// Places, pays by card, and waits until it is paid.
async fn buy(
    story: &Story<'_>,
    who: &Member,
    tier: &Tier,
    quantity: u32,
) -> Result<(OrderInFull, Checkout), StoryError> {
    let key = format!("{}-first", who.person.subject);
    let wallet = new_wallet();
    let placed = place(story, &who.person, tier, quantity, Some(&wallet), &key).await?;
    let order: OrderInFull = placed.expect(201)?;
    let checkout = checkout(story, &who.person, order.order.id).await?;
    card(story, &checkout, "pm_card_visa").await?;
    Ok((paid(story, &who.person, order.order.id).await?, checkout))
}

pub async fn place(
    story: &Story<'_>,
    who: &Person,
    tier: &Tier,
    quantity: u32,
    wallet: Option<&str>,
    key: &str,
) -> Result<Answer, StoryError> {
    let mut wish = json!({ "lines": [{ "tier_id": tier.id, "quantity": quantity }] });
    if let Some(wallet) = wallet {
        wish["wallet_address"] = wallet.into();
    }
    let request = story.set.client.post(who, "/api/v1/orders");
    request.key(key).json(&wish).send().await
}

pub async fn checkout(story: &Story<'_>, who: &Person, order: OrderId) -> Result<Checkout, StoryError> {
    let path = format!("/api/v1/orders/{order}/checkout");
    let request = story.set.client.post(who, &path).key(&format!("pay-{order}"));
    request.send().await?.expect(200)
}

/// What the buyer's browser does at the provider, with the client secret: the intent's status, or why it was refused.
pub async fn card(story: &Story<'_>, checkout: &Checkout, method: &str) -> Result<String, StoryError> {
    let url = format!(
        "{}/v1/payment_intents/{}/confirm",
        story.set.world.stripe_url(),
        checkout.intent_id
    );
    let form = [
        ("client_secret", checkout.client_secret.as_str()),
        ("payment_method", method),
    ];
    let http = |source| StoryError::Http {
        what: "confirming a card at the provider".to_owned(),
        source,
    };
    let answer = story.set.http.post(url).form(&form).send().await.map_err(http)?;
    let body: Value = answer.json().await.map_err(http)?;
    let said = body["status"].as_str().or_else(|| body["error"]["code"].as_str());
    Ok(said.unwrap_or("nothing").to_owned())
}

pub async fn order(story: &Story<'_>, who: &Person, id: OrderId) -> Result<OrderInFull, StoryError> {
    let path = format!("/api/v1/orders/{id}");
    story.set.client.get(who, &path).send().await?.expect(200)
}

pub async fn paid(story: &Story<'_>, who: &Person, id: OrderId) -> Result<OrderInFull, StoryError> {
    until("the payment", async || {
        let order = order(story, who, id).await?;
        Ok((order.order.payment == "paid").then_some(order))
    })
    .await
}

/// In lower case, which carries no checksum.
pub fn new_wallet() -> String {
    format!("0x{}", random_hex(20))
}

async fn bind_wallet(story: &mut Story<'_>, carol: &Member) -> Result<String, StoryError> {
    let typed = new_wallet();
    let client = &story.set.client;
    let path = "/api/v1/me/wallets/EVM";
    let bound: Wallet = client
        .put(&carol.person, path)
        .json(&json!({ "address": typed }))
        .send()
        .await?
        .expect(200)?;
    story.invariants.holds(
        format!(
            "Carol binds a wallet; it is kept with its EIP-55 checksum: {}",
            bound.address
        ),
        bound.address.eq_ignore_ascii_case(&typed),
        &bound.address,
    );
    // One letter in the other case breaks the checksum; digits have no case.
    let mistyped: String = flip_one_letter(&bound.address);
    let refused = client
        .put(&carol.person, path)
        .json(&json!({ "address": mistyped }))
        .send()
        .await?;
    story.invariants.holds(
        format!("a mistyped one is refused: {}", refused.refusal()),
        mistyped == bound.address || refused.status == 422,
        refused.refusal(),
    );
    Ok(bound.address)
}

fn flip_one_letter(address: &str) -> String {
    let at = address
        .char_indices()
        .skip(2)
        .find(|(_, letter)| letter.is_ascii_alphabetic());
    let flipped = |letter: char| {
        if letter.is_ascii_lowercase() {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        }
    };
    let flip = |(index, letter): (usize, char)| match at {
        Some((chosen, _)) if chosen == index => flipped(letter),
        _ => letter,
    };
    address.char_indices().map(flip).collect()
}

async fn decline(
    story: &mut Story<'_>,
    carol: &Member,
    order_placed: &OrderInFull,
    checkout: &Checkout,
) -> Result<(), StoryError> {
    let declined = card(story, checkout, "pm_card_chargeDeclined").await?;
    let told = until("the notice of the declined card", async || {
        let order = order(story, &carol.person, order_placed.order.id).await?;
        Ok((order.happened("payment.declined") > 0).then_some(order))
    })
    .await?;
    story.invariants.equal(
        format!("her first card is declined ({declined}); the order stays placed and can be paid"),
        (
            told.order.lifecycle.as_str(),
            told.order.payment.as_str(),
            declined.as_str(),
        ),
        ("placed", "unpaid", "card_declined"),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_and_no_digit_is_flipped() {
        assert_eq!(flip_one_letter("0x12aB"), "0x12AB");
        assert_eq!(flip_one_letter("0x1234"), "0x1234");
    }
}
