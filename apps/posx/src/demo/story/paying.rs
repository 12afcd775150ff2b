//! Step 3: the provider tells of one payment several times, in a bad order. It is booked once.

use std::time::Duration;

use posx_sandbox::{DeliveryPlan, Outcome};

use super::buying::paid;
use super::cast::{Sale, Shop};
use super::{Story, StoryError};
use crate::demo::client::views::Entry;
use crate::ui;

const PATIENCE: Duration = Duration::from_secs(30);

pub async fn paid_once(story: &mut Story<'_>, shop: &Shop, sale: &Sale) -> Result<(), StoryError> {
    let (person, id) = (&sale.carol.person, sale.carols.order.id);
    paid(story, person, id).await?;
    let notices = story.set.world.payments().webhooks();
    let delivered = notices.idle(PATIENCE).await;
    notices.plan(DeliveryPlan::default());
    story.settled(shop).await?;
    let kinds = told(story, sale);
    ui::note(&format!("delivered to us, signed: {}", kinds.join(", ")));
    story.invariants.holds(
        "the success came late and twice, and `processing` after it, also twice",
        delivered && kinds == ["succeeded", "succeeded", "processing", "processing"],
        kinds.join(", "),
    );
    let order = paid(story, person, id).await?;
    story.invariants.equal(
        format!("order {} is confirmed and paid once", order.order.number),
        (
            order.order.lifecycle.as_str(),
            order.order.payment.as_str(),
            order.happened("order.paid"),
        ),
        ("confirmed", "paid", 1),
    );
    let cause = sale.checkout.attempt_id.to_string();
    let uuid = cause.rsplit('_').next().unwrap_or_default();
    let path = format!("/api/v1/ledger/entries?kind=payment.captured&cause={uuid}");
    let entries: Vec<Entry> = story.set.client.all(&shop.admin, &path).await?;
    story.invariants.equal(
        format!("the {} are captured once in the books", sale.checkout.amount),
        entries.len(),
        1,
    );
    Ok(())
}

/// Kinds of the accepted notices of the order's payment, in the order in which they arrived. Those before the second card
/// are told in step 2.
fn told(story: &Story<'_>, sale: &Sale) -> Vec<String> {
    let notices = story.set.world.payments().webhooks();
    let of_intent: Vec<String> = notices
        .notices()
        .into_iter()
        .filter(|notice| notice.resource == sale.checkout.intent_id)
        .map(|notice| notice.id)
        .collect();
    let accepted = |outcome| matches!(outcome, Outcome::Answered(200..=299));
    notices
        .deliveries()
        .into_iter()
        .filter(|delivery| of_intent.contains(&delivery.notice) && accepted(delivery.outcome))
        .filter_map(|delivery| delivery.kind.strip_prefix("payment_intent.").map(str::to_owned))
        .filter(|kind| kind == "succeeded" || kind == "processing")
        .collect()
}
