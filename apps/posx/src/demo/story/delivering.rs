//! Step 5: the tokens go to the buyer's wallet, once.

use std::time::Duration;

use posx_kernel::OrderId;
use posx_sandbox::{CustodyCall, Drive, Fault};
use serde_json::json;

use super::buying;
use super::cast::{Sale, Shop};
use super::{Story, StoryError, until};
use crate::demo::client::views::{Allocation, Batch};
use crate::ui;

const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(100);

/// The answer to the first transfer is lost, and the custodian's webhooks come in the opposite order.
pub async fn troubled(story: &mut Story<'_>, shop: &Shop, sale: &Sale) -> Result<(), StoryError> {
    let custodian = story.set.world.custodian().clone();
    let waiting = pending(story, shop, sale).await?;
    let (sent, asked) = (
        custodian.line().calls(CustodyCall::Submit),
        custodian.line().calls(CustodyCall::Find),
    );
    custodian.set_drive(Drive::Manual);
    custodian.webhooks().hold();
    custodian.line().inject(CustodyCall::Submit, Fault::LoseAnswer, 1);
    batch(story, shop, &waiting).await?;
    let mut lost = false;
    let submitted = until("the custodian to be asked", async || {
        let now = both(story, shop, sale).await?;
        if !lost && now.iter().any(|one| one.state == "unknown") {
            lost = true;
            ui::note("an answer is lost: whether the transfer exists is unknown, so nothing is sent");
        }
        Ok(now.iter().all(|one| one.state == "submitted").then_some(now))
    })
    .await?;
    story.invariants.holds(
        "the lost one was looked up by its external id, not sent again",
        lost && custodian.line().calls(CustodyCall::Submit) == sent + 2
            && custodian.line().calls(CustodyCall::Find) > asked
            && submitted.iter().all(|one| one.tries == 1),
        format!("{submitted:?}"),
    );
    custodian.settle_all();
    let notices = custodian.webhooks().held().len();
    custodian.webhooks().release(|mut held| {
        held.reverse();
        held
    });
    ui::note(&format!("the custodian's {notices} webhooks come last first"));
    delivered(story, shop, sale).await?;
    custodian.set_drive(Drive::Automatic { step: STEP });
    Ok(())
}

/// The custodian works by itself, and tells in order.
pub async fn straight(story: &mut Story<'_>, shop: &Shop, sale: &Sale) -> Result<(), StoryError> {
    let waiting = pending(story, shop, sale).await?;
    batch(story, shop, &waiting).await?;
    delivered(story, shop, sale).await
}

async fn pending(story: &mut Story<'_>, shop: &Shop, sale: &Sale) -> Result<Vec<Allocation>, StoryError> {
    let waiting = until("the allocations", async || {
        let found = both(story, shop, sale).await?;
        Ok((found.len() >= 2).then_some(found))
    })
    .await?;
    for one in &waiting {
        let amount = one.amount.in_tokens(one.decimals);
        story.invariants.equal(
            format!(
                "{}: an allocation of {amount} {} waits for {}",
                shop.script.code,
                one.symbol,
                story.name(one.party)
            ),
            one.state.as_str(),
            "pending",
        );
    }
    Ok(waiting)
}

async fn batch(story: &Story<'_>, shop: &Shop, allocations: &[Allocation]) -> Result<(), StoryError> {
    let ids: Vec<_> = allocations.iter().map(|one| one.id).collect();
    let request = story.set.client.post(&shop.admin, "/api/v1/allocation-batches");
    let key = format!("batch-{}", story.run);
    let made = request
        .key(&key)
        .json(&json!({ "allocations": ids }))
        .send()
        .await?;
    let made: Batch = made.expect(201)?;
    ui::note(&format!(
        "{} puts {} allocations in batch {}",
        shop.admin.name, made.size, made.id
    ));
    Ok(())
}

async fn delivered(story: &mut Story<'_>, shop: &Shop, sale: &Sale) -> Result<(), StoryError> {
    let custodian = story.set.world.custodian().clone();
    until("the transfers' confirmation", async || {
        let now = both(story, shop, sale).await?;
        Ok(now.iter().all(|one| one.state == "done").then_some(()))
    })
    .await?;
    let told = custodian.webhooks().idle(PATIENCE).await;
    story.settled(shop).await?;
    for one in both(story, shop, sale).await? {
        let at_custodian = custodian.transfers_to(&one.address);
        let hash = at_custodian.first().and_then(|transfer| transfer.tx_hash.clone());
        let shown = (one.tx_hash.clone(), one.confirmed_at);
        let (Some(tx_hash), Some(confirmed_at)) = shown else {
            story
                .invariants
                .holds("a done allocation has hash and time", false, format!("{one:?}"));
            continue;
        };
        story.invariants.holds(
            format!(
                "{}: done, confirmed {}, {tx_hash}; every webhook is in, and the custodian has one transfer of it",
                story.name(one.party),
                confirmed_at.format("%F %T")
            ),
            told && one.state == "done" && at_custodian.len() == 1 && hash.as_ref() == Some(&tx_hash),
            format!("{one:?}; at the custodian {at_custodian:?}"),
        );
    }
    let order = buying::order(story, &sale.carol.person, sale.carols.order.id).await?;
    story.invariants.equal(
        format!("order {} is delivered", order.order.number),
        order.order.delivery.as_str(),
        "done",
    );
    Ok(())
}

/// Of the second one's order and the third one's.
async fn both(story: &Story<'_>, shop: &Shop, sale: &Sale) -> Result<Vec<Allocation>, StoryError> {
    let mut found = of_order(story, shop, sale.carols.order.id).await?;
    found.extend(of_order(story, shop, sale.bobs.order.id).await?);
    Ok(found)
}

pub async fn of_order(story: &Story<'_>, shop: &Shop, order: OrderId) -> Result<Vec<Allocation>, StoryError> {
    let path = format!("/api/v1/allocations?all=true&order={order}");
    story.set.client.all(&shop.admin, &path).await
}
