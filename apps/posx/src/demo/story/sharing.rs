//! Step 4: who earns, how much, why, and when.

use chrono::TimeDelta;
use posx_kernel::{CommissionId, Money, OrderId};
use posx_worker::Tick;

use super::cast::{Member, Sale, Shop};
use super::{Story, StoryError, until};
use crate::demo::client::views::{Commission, Explanation, Tier};
use crate::ui;

const HOLD: TimeDelta = TimeDelta::days(7);

/// The two shares of the third one's order, to the minor unit.
pub async fn shared(story: &mut Story<'_>, shop: &Shop, sale: &Sale) -> Result<(), StoryError> {
    let order = &sale.carols.order;
    let shares = until("the shares", async || {
        let found = of_order(story, shop, order.id).await?;
        Ok((found.len() >= 2).then_some(found))
    })
    .await?;
    story.settled(shop).await?;
    let earned = [(&sale.bob, "12 %", 1), (&sale.alice, "4 %", 2)];
    for ((agent, percent, level), expected) in earned.into_iter().zip(shop.script.shares) {
        let share = shares.iter().find(|share| share.agent == agent.party);
        let share = share.ok_or(StoryError::Missing("a commission"))?;
        story.invariants.equal(
            format!(
                "{} earns {percent} of {}: {}, held",
                agent.person.name, order.total, share.amount
            ),
            (share.level, Some(share.amount), share.state.as_str()),
            (level, Money::parse(expected, shop.site.currency).ok(), "held"),
        );
        explained(story, agent, share.id).await?;
    }
    let count = of_order(story, shop, order.id).await?.len();
    story
        .invariants
        .equal(format!("nobody else earns on order {}", order.number), count, 2);
    Ok(())
}

/// The agent asks, not the staff.
async fn explained(story: &mut Story<'_>, agent: &Member, id: CommissionId) -> Result<(), StoryError> {
    let path = format!("/api/v1/commissions/{id}/explain");
    let explained = story.set.client.get(&agent.person, &path).send().await?;
    let explained: Explanation = explained.expect(200)?;
    for step in &explained.steps {
        ui::detail(&format!("{}: {}", step.step, step.says));
    }
    story.invariants.holds(
        format!(
            "it explains itself to {}, and computes to the same again",
            agent.person.name
        ),
        explained.agrees && !explained.steps.is_empty(),
        explained.recomputed,
    );
    Ok(())
}

/// Nothing ripens before its time.
pub async fn ripened(story: &mut Story<'_>, sales: [(&Shop, &Sale); 2]) -> Result<(), StoryError> {
    posx_worker::tick(&story.set.services, Tick::Mature).await?;
    for (shop, sale) in sales {
        story.settled(shop).await?;
        expect_state(
            story,
            shop,
            sale,
            "held",
            "a tick before its time changes nothing",
        )
        .await?;
    }
    story.set.advance(HOLD + TimeDelta::minutes(1), "7 days later")?;
    posx_worker::tick(&story.set.services, Tick::Mature).await?;
    for (shop, sale) in sales {
        until("ready commissions", async || {
            let shares = of_order(story, shop, sale.carols.order.id).await?;
            Ok(shares.iter().all(|share| share.state == "ready").then_some(()))
        })
        .await?;
        expect_state(story, shop, sale, "ready", "after the hold both are ready").await?;
        promotion_over(story, shop).await?;
    }
    Ok(())
}

async fn promotion_over(story: &mut Story<'_>, shop: &Shop) -> Result<(), StoryError> {
    let path = format!("/api/v1/tiers/{}", shop.seed.id);
    let tier: Tier = story
        .set
        .client
        .get(&shop.admin, &path)
        .send()
        .await?
        .expect(200)?;
    story.invariants.equal(
        format!(
            "{}: the promotion of {} is over: {}",
            shop.script.code, tier.name, tier.price
        ),
        tier.price,
        tier.list_price,
    );
    Ok(())
}

async fn expect_state(
    story: &mut Story<'_>,
    shop: &Shop,
    sale: &Sale,
    state: &str,
    what: &str,
) -> Result<(), StoryError> {
    let shares = of_order(story, shop, sale.carols.order.id).await?;
    let states: Vec<_> = shares.iter().map(|share| share.state.as_str()).collect();
    story
        .invariants
        .equal(format!("{}: {what}", shop.script.code), states, vec![state; 2]);
    Ok(())
}

pub async fn of_order(story: &Story<'_>, shop: &Shop, order: OrderId) -> Result<Vec<Commission>, StoryError> {
    let path = format!("/api/v1/commissions?all=true&order={order}");
    story.set.client.all(&shop.admin, &path).await
}
