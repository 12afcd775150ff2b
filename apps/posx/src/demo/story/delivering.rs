//! Step 5: two people agree, and the tokens go to the buyer's wallet, once.

use std::time::Duration;

use posx_kernel::OrderId;
use posx_sandbox::{CustodyCall, Drive, Fault};
use posx_tenancy::Role;
use serde_json::json;

use super::buying;
use super::cast::{Sale, Shop};
use super::{Story, StoryError, until};
use crate::demo::client::views::{Allocation, Batch, BatchCheck, BatchReport, DryRun};
use crate::demo::client::{Answer, Person};
use crate::ui;

const BATCHES: &str = "/api/v1/allocation-batches";

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
    let batch = batch(story, shop, &waiting).await?;
    let (mut lost, first) = (false, waiting[0].id);
    let found = until("the custodian to be asked", async || {
        let now = both(story, shop, sale).await?;
        let one = now.iter().find(|one| one.id == first).cloned();
        if !lost && one.as_ref().is_some_and(|one| one.state == "unknown") {
            lost = true;
            ui::note("an answer is lost: whether the transfer exists is unknown, so nothing is sent");
        }
        Ok(one.filter(|one| one.state == "submitted"))
    })
    .await?;
    story.invariants.holds(
        "the lost one was looked up by its external id, not sent again",
        lost && custodian.line().calls(CustodyCall::Submit) == sent + 1
            && custodian.line().calls(CustodyCall::Find) > asked
            && found.tries == 1,
        format!("{found:?}"),
    );
    let others: Vec<_> = both(story, shop, sale)
        .await?
        .into_iter()
        .filter(|one| one.id != first)
        .collect();
    story.invariants.holds(
        "a vault has one transfer on its way at a time: the other one waits",
        !others.is_empty() && others.iter().all(|one| one.state == "queued" && one.tries == 0),
        format!("{others:?}"),
    );
    custodian.settle_all();
    let notices = custodian.webhooks().held().len();
    custodian.webhooks().release(|mut held| {
        held.reverse();
        held
    });
    ui::note(&format!("the custodian's {notices} webhooks come last first"));
    until("the vault to be free", async || {
        let now = both(story, shop, sale).await?;
        let gone = |one: &Allocation| one.id == first || one.state == "submitted";
        Ok(now.iter().all(gone).then_some(()))
    })
    .await?;
    custodian.settle_all();
    delivered(story, shop, sale).await?;
    custodian.set_drive(Drive::Automatic { step: STEP });
    reported(story, shop, &batch).await
}

/// The custodian works by itself, and tells in order.
pub async fn straight(story: &mut Story<'_>, shop: &Shop, sale: &Sale) -> Result<(), StoryError> {
    let waiting = pending(story, shop, sale).await?;
    let batch = batch(story, shop, &waiting).await?;
    delivered(story, shop, sale).await?;
    reported(story, shop, &batch).await
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

/// The admin makes a draft and looks at what it would do; two others agree to it, and it goes.
async fn batch(story: &mut Story<'_>, shop: &Shop, allocations: &[Allocation]) -> Result<Batch, StoryError> {
    let ids: Vec<_> = allocations.iter().map(|one| one.id).collect();
    let request = story.set.client.post(&shop.admin, BATCHES);
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
    let path = format!("{BATCHES}/{}/dry-run", made.id);
    let dry: DryRun = story
        .set
        .client
        .get(&shop.admin, &path)
        .send()
        .await?
        .expect(200)?;
    for total in &dry.totals {
        ui::note(&format!(
            "the dry run: {} transfers of {} {} in all, from vault {}",
            total.lines,
            total.amount.in_tokens(total.decimals),
            total.asset,
            total.vault
        ));
    }
    let payable = dry.totals.iter().all(|total| total.shortfall.is_none());
    story.invariants.holds(
        "the dry run blocks nothing, and moves nothing real",
        payable && dry.blocked.is_empty() && !dry.real_transfers && dry.hash == made.hash,
        format!("{dry:?}"),
    );
    let own = approve(story, &shop.admin, &made).await?;
    story.invariants.equal(
        "whoever made a batch does not approve it",
        own.refusal(),
        "403 batch_own".to_owned(),
    );
    let mut states = Vec::new();
    for name in ["Vera", "Wim"] {
        let checker = checker(story, shop, name).await?;
        let approved: Batch = approve(story, &checker, &made).await?.expect(200)?;
        ui::note(&format!("{name} agrees to {}…", &made.hash[..12]));
        states.push(approved.state);
    }
    // By then the worker may have begun.
    story.invariants.holds(
        "one approval is not enough; with the second it goes",
        states[0] == "draft" && states[1] != "draft",
        format!("{states:?}"),
    );
    Ok(made)
}

async fn approve(story: &Story<'_>, who: &Person, batch: &Batch) -> Result<Answer, StoryError> {
    let path = format!("{BATCHES}/{}/approve", batch.id);
    let key = format!("approve-{}-{}", story.run, who.name);
    let request = story.set.client.post(who, &path).key(&key);
    request.json(&json!({ "hash": batch.hash })).send().await
}

/// An admin who makes nothing and looks at everything.
async fn checker(story: &Story<'_>, shop: &Shop, name: &str) -> Result<Person, StoryError> {
    let checker = Person {
        name: name.to_owned(),
        subject: format!("{}-{}-{}", name.to_lowercase(), shop.script.code, story.run),
        site: shop.script.code,
    };
    let issuer = story.set.world.issuer().url();
    story
        .set
        .platform
        .appoint(&shop.site, issuer, &checker.subject, Role::Admin)
        .await?;
    Ok(checker)
}

/// The batch is over, and its report is what the books and the custodian say.
async fn reported(story: &mut Story<'_>, shop: &Shop, batch: &Batch) -> Result<(), StoryError> {
    let client = &story.set.client;
    let path = format!("{BATCHES}/{}/report", batch.id);
    let report: BatchReport = client.get(&shop.admin, &path).send().await?.expect(200)?;
    let path = format!("{BATCHES}/{}/check", batch.id);
    let check: BatchCheck = client.get(&shop.admin, &path).send().await?.expect(200)?;
    story.invariants.holds(
        format!(
            "batch {}: done, and its report can be rebuilt from the books and the custodian alone",
            batch.id
        ),
        report.batch.state == "done"
            && report.lines.iter().all(|line| line.state == "done")
            && check.rebuilt.len() == report.lines.len()
            && check.differing.is_empty(),
        format!("{report:?}; {check:?}"),
    );
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
