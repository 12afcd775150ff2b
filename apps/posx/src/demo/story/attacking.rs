//! Step 8: a foreign admin, by the front door and by the database.

use posx_kernel::SiteId;
use serde_json::{Value, json};

use super::cast::{Sale, Shop};
use super::{Story, StoryError, delivering, sharing};
use crate::demo::client::Request;
use crate::demo::client::views::Order;
use crate::ui;

/// What is asked for, with the code that it gets under one's own site: another site's object is not there.
struct Target {
    path: String,
    by_post: bool,
    not_found: Option<&'static str>,
}

impl Target {
    fn list(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            by_post: false,
            not_found: None,
        }
    }

    fn one(path: String, not_found: &'static str) -> Self {
        Self {
            path,
            by_post: false,
            not_found: Some(not_found),
        }
    }

    fn change(path: String, not_found: &'static str) -> Self {
        Self {
            by_post: true,
            ..Self::one(path, not_found)
        }
    }

    fn shown(&self) -> String {
        let path = self.path.trim_start_matches("/api/v1");
        // The ids are long and say nothing here.
        let short: Vec<_> = path
            .split('/')
            .map(|part| part.split_once('_').map_or(part, |(kind, _)| kind))
            .collect();
        format!(
            "{} {}",
            if self.by_post { "POST" } else { "GET" },
            short.join("/")
        )
    }

    fn request(&self, story: &Story<'_>, mallory: &Shop) -> Request {
        let client = &story.set.client;
        if self.by_post {
            client
                .post(&mallory.admin, &self.path)
                .if_match(1)
                .json(&json!({}))
        } else {
            client.get(&mallory.admin, &self.path)
        }
    }
}

pub async fn attack(
    story: &mut Story<'_>,
    victim: &Shop,
    sale: &Sale,
    mallory: &Shop,
) -> Result<(), StoryError> {
    let targets = targets(story, victim, sale).await?;
    for target in &targets {
        let answer = target
            .request(story, mallory)
            .in_site(victim.script.code)
            .send()
            .await?;
        story.invariants.equal(
            format!(
                "{} as {}: {}",
                target.shown(),
                victim.script.code,
                answer.refusal()
            ),
            answer.refusal(),
            "403 not_a_member".to_owned(),
        );
    }
    let with_id = targets
        .iter()
        .filter_map(|target| Some((target, target.not_found?)));
    for (target, code) in with_id {
        let answer = target.request(story, mallory).send().await?;
        story.invariants.equal(
            format!(
                "{} of NA's as {}: {}",
                target.shown(),
                mallory.script.code,
                answer.refusal()
            ),
            answer.refusal(),
            format!("404 {code}"),
        );
    }
    own_lists(story, victim, mallory).await?;
    by_database(story, victim.site.id, mallory.site.id).await
}

async fn targets(story: &Story<'_>, victim: &Shop, sale: &Sale) -> Result<Vec<Target>, StoryError> {
    let order = sale.carols.order.id;
    let commissions = sharing::of_order(story, victim, order).await?;
    let commission = commissions.first().ok_or(StoryError::Missing("a commission"))?.id;
    let allocations = delivering::of_order(story, victim, order).await?;
    let allocation = allocations
        .first()
        .ok_or(StoryError::Missing("an allocation"))?
        .id;
    let tier = victim.public.id;
    Ok(vec![
        Target::list("/api/v1/orders?all=true"),
        Target::list("/api/v1/tiers"),
        Target::list("/api/v1/commissions?all=true"),
        Target::list("/api/v1/allocations?all=true"),
        Target::list("/api/v1/ledger/trial-balance"),
        Target::one(format!("/api/v1/orders/{order}"), "order_not_found"),
        Target::one(
            format!("/api/v1/commissions/{commission}"),
            "commission_not_found",
        ),
        Target::one(
            format!("/api/v1/commissions/{commission}/explain"),
            "commission_not_found",
        ),
        Target::one(
            format!("/api/v1/allocations/{allocation}"),
            "allocation_not_found",
        ),
        Target::one(format!("/api/v1/tiers/{tier}"), "tier_not_found"),
        Target::change(format!("/api/v1/orders/{order}/cancel"), "order_not_found"),
        Target::change(format!("/api/v1/tiers/{tier}/deactivate"), "tier_not_found"),
    ])
}

async fn own_lists(story: &mut Story<'_>, victim: &Shop, mallory: &Shop) -> Result<(), StoryError> {
    let client = &story.set.client;
    let theirs: Vec<Order> = client.all(&victim.admin, "/api/v1/orders?all=true").await?;
    let own: Vec<Order> = client.all(&mallory.admin, "/api/v1/orders?all=true").await?;
    let shared = own
        .iter()
        .filter(|order| theirs.iter().any(|other| other.id == order.id))
        .count();
    story.invariants.equal(
        format!(
            "her own list has ASIA's {} orders and none of NA's {}",
            own.len(),
            theirs.len()
        ),
        shared,
        0,
    );
    let tiers: Value = client
        .get(&mallory.admin, "/api/v1/tiers")
        .send()
        .await?
        .expect(200)?;
    let mixed = tiers.to_string().contains(&victim.public.id.to_string());
    story
        .invariants
        .holds("her list of tiers has none of NA's", !mixed, tiers);
    Ok(())
}

/// With the app role's own connection, as an injected query would have it.
async fn by_database(story: &mut Story<'_>, victim: SiteId, mallory: SiteId) -> Result<(), StoryError> {
    let database = &story.set.database;
    let tables = database.site_tables().await?;
    let (mut as_mallory, mut as_nobody, mut as_victim) = (0, 0, 0);
    for table in &tables {
        as_mallory += database.rows_seen(table, victim, Some(mallory)).await?;
        as_nobody += database.rows_seen(table, victim, None).await?;
        as_victim += database.rows_seen(table, victim, Some(victim)).await?;
    }
    ui::note(&format!(
        "as the app role, every row of NA's in {} tables is asked for; NA itself has {as_victim}",
        tables.len()
    ));
    story.invariants.equal(
        "inside ASIA's transaction she sees none, and without a site none",
        (as_mallory, as_nobody, as_victim > 0),
        (0, 0, true),
    );
    Ok(())
}
