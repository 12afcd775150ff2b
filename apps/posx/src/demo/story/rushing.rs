//! Step 7: more buyers than units.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::future::join_all;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use serde_json::json;

use super::buying::{new_wallet, place};
use super::cast::Shop;
use super::expiring::stock;
use super::{Story, StoryError};
use crate::demo::client::Person;
use crate::demo::client::views::{Me, Tier};
use crate::ui;

const BUYERS: usize = 200;
const UNITS: usize = 50;
const JOINING_AT_ONCE: usize = 16;

pub async fn rush(story: &mut Story<'_>, shop: &Shop) -> Result<(), StoryError> {
    let people: Vec<Person> = (1..=BUYERS)
        .map(|number| Person {
            name: format!("Buyer {number}"),
            subject: format!("buyer-{number}-{}", story.run),
            site: shop.script.code,
        })
        .collect();
    let this = &*story;
    futures::stream::iter(&people)
        .map(|person| join(this, person))
        .buffer_unordered(JOINING_AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    ui::note(&format!("{BUYERS} buyers have joined; all place an order now"));
    let began = Instant::now();
    let placing = people.iter().map(|person| place_one(this, person, &shop.hot));
    let answers = join_all(placing)
        .await
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let took = began.elapsed();
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for answer in answers {
        *counted.entry(answer).or_default() += 1;
    }
    ui::note(&format!("answered in {:.2} s: {counted:?}", took.as_secs_f64()));
    let expected = BTreeMap::from([
        ("201".to_owned(), UNITS),
        ("409 tier_sold_out".to_owned(), BUYERS - UNITS),
    ]);
    story.invariants.equal(
        format!("exactly {UNITS} orders, {} clear refusals", BUYERS - UNITS),
        counted,
        expected,
    );
    let stock = stock(story, shop, &shop.hot).await?;
    story.invariants.equal(
        format!(
            "sold {} + reserved {} = {UNITS}, none is left",
            stock.sold, stock.reserved
        ),
        (stock.sold + stock.reserved, stock.available),
        (50, 0),
    );
    let seen: Tier = story
        .set
        .client
        .get(&people[0], &format!("/api/v1/tiers/{}", shop.hot.id))
        .send()
        .await?
        .expect(200)?;
    story.invariants.equal(
        "buyers see it as sold out, without counters",
        (seen.availability.as_str(), seen.stock),
        ("sold_out", None),
    );
    Ok(())
}

async fn join(story: &Story<'_>, person: &Person) -> Result<(), StoryError> {
    let request = story.set.client.post(person, "/api/v1/me").json(&json!({}));
    let _: Me = request.send().await?.expect(201)?;
    Ok(())
}

async fn place_one(story: &Story<'_>, person: &Person, tier: &Tier) -> Result<String, StoryError> {
    let answer = place(story, person, tier, 1, Some(&new_wallet()), &person.subject).await?;
    Ok(match answer.status {
        201 => "201".to_owned(),
        _ => answer.refusal(),
    })
}
