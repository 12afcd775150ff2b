//! Step 6: what is not paid goes back.

use chrono::TimeDelta;
use posx_sandbox::IntentStatus;
use posx_worker::Tick;
use serde_json::json;

use super::buying::{checkout, new_wallet, order, place};
use super::cast::Shop;
use super::{Story, StoryError, until};
use crate::demo::client::Person;
use crate::demo::client::views::{Me, OrderInFull, Stock, Tier};

const UNITS: u32 = 2;

pub async fn never_paid(story: &mut Story<'_>, shop: &Shop) -> Result<(), StoryError> {
    let dave = Person {
        name: "Dave".to_owned(),
        subject: format!("dave-{}", story.run),
        site: shop.script.code,
    };
    let joined: Me = story
        .set
        .client
        .post(&dave, "/api/v1/me")
        .json(&json!({}))
        .send()
        .await?
        .expect(201)?;
    if let Some(membership) = joined.membership {
        story.names.insert(membership.party_id, dave.name.clone());
    }
    let before = stock(story, shop, &shop.public).await?;
    let placed = place(
        story,
        &dave,
        &shop.public,
        UNITS,
        Some(&new_wallet()),
        &dave.subject,
    )
    .await?;
    let placed: OrderInFull = placed.expect(201)?;
    let id = placed.order.id;
    let checkout = checkout(story, &dave, id).await?;
    let reserved = stock(story, shop, &shop.public).await?;
    story.invariants.equal(
        format!(
            "Dave's order {} reserves {UNITS} units and opens a payment",
            placed.order.number
        ),
        reserved.reserved - before.reserved,
        i64::from(UNITS),
    );
    story.set.advance(TimeDelta::minutes(16), "16 minutes later")?;
    posx_worker::tick(&story.set.services, Tick::Expire).await?;
    let expired = until("the expiry", async || {
        let order = order(story, &dave, id).await?;
        Ok((order.order.lifecycle == "expired").then_some(order))
    })
    .await?;
    story.settled(shop).await?;
    let intent = story.set.world.payments().intent(&checkout.intent_id);
    story.invariants.equal(
        "it expired, and its payment is cancelled at the provider",
        (
            expired.happened("order.expired"),
            intent.map(|intent| intent.status),
        ),
        (1, Some(IntentStatus::Canceled)),
    );
    let after = stock(story, shop, &shop.public).await?;
    story
        .invariants
        .equal("the stock is back as it was", after, before);
    Ok(())
}

/// As the staff sees it.
pub async fn stock(story: &Story<'_>, shop: &Shop, tier: &Tier) -> Result<Stock, StoryError> {
    let path = format!("/api/v1/tiers/{}", tier.id);
    let tier: Tier = story
        .set
        .client
        .get(&shop.admin, &path)
        .send()
        .await?
        .expect(200)?;
    tier.stock.ok_or(StoryError::Missing("the stock that staff sees"))
}
