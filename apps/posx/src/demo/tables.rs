//! What a site looks like after the story.

use posx_kernel::{Money, TokenAmount};

use super::client::views::{Allocation, Commission, Explanation, Order, TrialBalanceRow};
use super::story::books::sums;
use super::story::cast::{Sale, Shop};
use super::story::{Story, StoryError};
use crate::ui;

pub async fn show(story: &Story<'_>, shop: &Shop, sale: &Sale) -> Result<(), StoryError> {
    ui::heading(&format!("{} · {}", shop.script.code, shop.script.name));
    orders(story, shop).await?;
    commissions(story, shop, sale).await?;
    allocations(story, shop, sale).await?;
    trial_balance(story, shop).await
}

/// Those of people with a name; the others are counted.
async fn orders(story: &Story<'_>, shop: &Shop) -> Result<(), StoryError> {
    let all: Vec<Order> = story
        .set
        .client
        .all(&shop.admin, "/api/v1/orders?all=true")
        .await?;
    let (named, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|order| story.names.contains_key(&order.buyer_id));
    let row = |order: &Order| {
        vec![
            order.number.clone(),
            story.name(order.buyer_id),
            order.lifecycle.clone(),
            order.payment.clone(),
            order.delivery.clone(),
            order.total.to_string(),
        ]
    };
    ui::table(
        ["order", "buyer", "lifecycle", "payment", "delivery", "total"],
        named.iter().rev().map(row).collect(),
    );
    if !others.is_empty() {
        ui::line(&format!("and {} orders of other buyers", others.len()));
    }
    Ok(())
}

async fn commissions(story: &Story<'_>, shop: &Shop, sale: &Sale) -> Result<(), StoryError> {
    let mut rows = Vec::new();
    for bought in [&sale.bobs.order, &sale.carols.order] {
        let path = format!("/api/v1/commissions?all=true&order={}", bought.id);
        let mut shares: Vec<Commission> = story.set.client.all(&shop.admin, &path).await?;
        shares.sort_by_key(|share| share.level);
        for share in shares {
            let path = format!("/api/v1/commissions/{}/explain", share.id);
            let explained = story.set.client.get(&shop.admin, &path).send().await?;
            let explained: Explanation = explained.expect(200)?;
            let why = |step: &str| {
                let found = explained.steps.iter().find(|one| one.step == step);
                found.map_or_else(String::new, |one| one.says.clone())
            };
            rows.push(vec![
                bought.number.clone(),
                story.name(share.agent),
                share.level.to_string(),
                share.rate.to_string(),
                share.amount.to_string(),
                share.state.clone(),
                format!("{} {}", why("share"), why("rounding")),
            ]);
        }
    }
    ui::table(
        ["order", "agent", "level", "rate", "commission", "state", "why"],
        rows,
    );
    Ok(())
}

async fn allocations(story: &Story<'_>, shop: &Shop, sale: &Sale) -> Result<(), StoryError> {
    let mut rows = Vec::new();
    for bought in [&sale.bobs.order, &sale.carols.order] {
        let path = format!("/api/v1/allocations?all=true&order={}", bought.id);
        let found: Vec<Allocation> = story.set.client.all(&shop.admin, &path).await?;
        rows.extend(found.into_iter().map(|one| {
            let confirmed = one.confirmed_at.map(|at| at.format("%F %T").to_string());
            vec![
                bought.number.clone(),
                story.name(one.party),
                format!("{} {}", one.amount.in_tokens(one.decimals), one.symbol),
                one.state,
                one.tx_hash.unwrap_or_default(),
                confirmed.unwrap_or_default(),
            ]
        }));
    }
    ui::table(
        ["order", "buyer", "tokens", "state", "transaction", "confirmed"],
        rows,
    );
    Ok(())
}

async fn trial_balance(story: &Story<'_>, shop: &Shop) -> Result<(), StoryError> {
    let path = "/api/v1/ledger/trial-balance";
    let trial: Vec<TrialBalanceRow> = story.set.client.whole(&shop.admin, path).await?;
    let mut rows: Vec<_> = trial
        .iter()
        .map(|row| {
            let amount = |text: &str| shown(shop, &row.unit, text);
            vec![
                row.account.clone(),
                amount(&row.debit),
                amount(&row.credit),
                amount(&row.balance),
            ]
        })
        .collect();
    for (unit, sum) in sums(trial.iter().map(|row| (row.unit.as_str(), row.balance.as_str()))) {
        let sum = sum.map_or_else(
            || "not a number".to_owned(),
            |sum| shown(shop, unit, &sum.to_string()),
        );
        rows.push(vec!["sum".to_owned(), String::new(), String::new(), sum]);
    }
    ui::table(["account", "debit", "credit", "balance"], rows);
    Ok(())
}

/// Minor or base units in the unit that people use.
fn shown(shop: &Shop, unit: &str, text: &str) -> String {
    let plain = || format!("{text} {unit}");
    if unit == shop.site.currency.code() {
        let minor = text.parse::<i64>().ok();
        return minor.map_or_else(plain, |minor| {
            Money::from_minor(minor, shop.site.currency).to_string()
        });
    }
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    match digits.parse::<u128>() {
        Ok(amount) if unit == shop.asset.id.to_string() => {
            let tokens = TokenAmount::from_base_units(amount).in_tokens(shop.asset.decimals);
            format!("{sign}{tokens} {}", shop.asset.symbol)
        }
        _ => plain(),
    }
}
