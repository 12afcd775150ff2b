//! One round: some buy and pay, the owner delivers, pays agents and gives money back, some go to their bank, and meanwhile
//! somebody kills.

use std::time::{Duration, Instant};

use futures::future::join_all;
use posx_sandbox::DisputeStatus;
use posx_stage::{Outcome, Stage};
use reqwest::Method;
use serde_json::json;

use crate::books::{self, Tally};
use crate::cast::{Cast, PRICE};
use crate::patient::Patient;
use crate::victims::{Victim, Victims};

const ORDERS: u32 = 4;
const KILLS: u32 = 3;
/// What becomes of an order, after the ways of giving money back.
const WON: u8 = 4;
const LOST: u8 = 5;
/// Of the provider for a dispute, in cents.
const FEE: i64 = 1_500;
/// The schedule's job: the plan holds nothing back.
const MATURE: &str = "select graphile_worker.enqueue_for_site(id, 'mature_commissions', '{}', id || ':mature', 0, 0, 5) from sites";
/// Within which the kills of a round fall.
const DANGER: Duration = Duration::from_millis(900);
/// For what is left after the last kill, a dead worker's jobs included.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Round<'a> {
    pub stage: &'a Stage,
    pub victims: &'a Victims,
    pub cast: &'a Cast,
    pub number: u32,
}

impl Round<'_> {
    pub async fn play(&self, random: &mut fastrand::Rng, tally: &mut Tally) -> Outcome<()> {
        let wishes: Vec<_> = (0..ORDERS).map(|_| random.u32(1..=3)).collect();
        let refunds: Vec<_> = (0..ORDERS).map(|_| random.u8(0..=LOST)).collect();
        let mut killer = random.fork();
        let buying = async {
            let buyers = wishes.iter().enumerate().map(|(at, wish)| self.buy(at, *wish));
            let mut bought = Vec::new();
            for one in join_all(buyers).await {
                bought.push(one?);
            }
            Outcome::Ok(bought)
        };
        self.stage.psql(MATURE.to_owned()).await?;
        let (bought, delivered, settled, done) =
            tokio::join!(buying, self.deliver(), self.settle(), self.kill(&mut killer));
        let (bought, (), ()) = (bought?, delivered?, settled?);
        done?;
        let (orders, intents): (Vec<_>, Vec<_>) = bought.into_iter().unzip();
        for (order, quantity) in orders.iter().zip(&wishes) {
            tally.bought(order, i64::from(*quantity) * PRICE, self.ancestors());
        }
        self.until_paid(&orders).await?;
        let mut killer = random.fork();
        let (returned, done) = tokio::join!(
            self.give_back(&orders, &wishes, &refunds, tally),
            self.kill(&mut killer)
        );
        returned?;
        done?;
        let mut killer = random.fork();
        let (disputed, done) = tokio::join!(
            self.dispute(&orders, &intents, &refunds, tally),
            self.kill(&mut killer)
        );
        disputed?;
        done?;
        self.until_quiet().await
    }

    /// Some buyers go to their bank instead: it takes the money away, and gives it back or not.
    async fn dispute(
        &self,
        orders: &[String],
        intents: &[String],
        choices: &[u8],
        tally: &mut Tally,
    ) -> Outcome<()> {
        let payments = self.stage.world.payments();
        for ((order, intent), choice) in orders.iter().zip(intents).zip(choices) {
            let lost = *choice == LOST;
            if !lost && *choice != WON {
                continue;
            }
            let dispute = payments.open_dispute(intent, None, DisputeStatus::NeedsResponse)?;
            payments.withdraw_funds(&dispute, FEE)?;
            tokio::time::sleep(DANGER / 3).await;
            if lost {
                payments.decide_dispute(&dispute, DisputeStatus::Lost)?;
            } else {
                payments.reinstate_funds(&dispute, 0)?;
                payments.decide_dispute(&dispute, DisputeStatus::Won)?;
            }
            tally.disputed(order, &dispute, lost, FEE);
        }
        Ok(())
    }

    /// In the first round the middle of the chain, so that there is a chain for the others.
    const fn buyer(&self) -> &Patient {
        if self.number == 1 {
            &self.cast.link
        } else {
            &self.cast.buyer
        }
    }

    const fn ancestors(&self) -> usize {
        if self.number == 1 { 1 } else { 2 }
    }

    /// Places an order, twice at once with one key as an impatient finger does, and pays it: the order and its intent.
    async fn buy(&self, at: usize, quantity: u32) -> Outcome<(String, String)> {
        let key = format!("order-{}-{at}", self.number);
        let wish = self.cast.wish(quantity);
        let buyer = self.buyer();
        let (once, again) = tokio::join!(
            buyer.post("/api/v1/orders", &key, &wish),
            buyer.post("/api/v1/orders", &key, &wish)
        );
        let (once, again) = (once?, again?);
        if once["id"] != again["id"] {
            return Err(format!("{key} made two orders").into());
        }
        let order = once["id"].as_str().ok_or("an order without an id")?.to_owned();
        let path = format!("/api/v1/orders/{order}/checkout");
        let checkout = buyer.post(&path, &format!("{key}-pay"), &json!({})).await?;
        let intent = checkout["intent_id"].as_str().ok_or("no intent")?;
        self.stage
            .world
            .payments()
            .receive(intent, i64::from(quantity) * PRICE)?;
        Ok((order, intent.to_owned()))
    }

    /// Some orders get a part of their money back, in one or two steps, some all of it.
    async fn give_back(
        &self,
        orders: &[String],
        wishes: &[u32],
        choices: &[u8],
        tally: &mut Tally,
    ) -> Outcome<()> {
        for ((order, quantity), choice) in orders.iter().zip(wishes).zip(choices) {
            let total = i64::from(*quantity) * PRICE;
            let parts: &[i64] = match choice {
                1 => &[total / 3],
                2 => &[total / 3, total / 7],
                3 => &[total],
                _ => &[],
            };
            for (at, part) in parts.iter().enumerate() {
                let body = json!({
                    "amount": { "amount": format!("{}.{:02}", part / 100, part % 100), "currency": "USD" },
                    "reason": "requested_by_customer",
                });
                let path = format!("/api/v1/orders/{order}/refunds");
                let key = format!("refund-{}-{order}-{at}", self.number);
                self.cast.owner.post(&path, &key, &body).await?;
                tally.returned(order, *part);
            }
        }
        Ok(())
    }

    async fn kill(&self, random: &mut fastrand::Rng) -> Outcome<()> {
        for _ in 0..random.u32(1..=KILLS) {
            let pause = random.u64(0..u64::try_from(DANGER.as_millis())?) / u64::from(KILLS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let victim = match random.u8(0..5) {
                0 | 1 => Victim::Api,
                2 | 3 => Victim::Worker,
                _ => Victim::Sessions,
            };
            let away = Duration::from_millis(random.u64(0..150));
            self.victims.kill(self.stage, victim, away).await?;
        }
        Ok(())
    }

    async fn until_paid(&self, orders: &[String]) -> Outcome<()> {
        let end = Instant::now() + PATIENCE;
        for order in orders {
            let path = format!("/api/v1/orders/{order}");
            loop {
                let seen = self
                    .buyer()
                    .ask(Method::GET, &path, None, None)
                    .await?
                    .map_err(|(status, code)| format!("GET {path}: {status} {code}"))?;
                if seen["payment"] == "paid" {
                    break;
                }
                if Instant::now() > end {
                    return Err(format!(
                        "order {order} is paid at the provider and {} here; {}",
                        seen["payment"],
                        books::waiting(self.stage).await?
                    )
                    .into());
                }
                self.victims.revive(self.stage).await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// No webhook on its way, and no job that is due.
    async fn until_quiet(&self) -> Outcome<()> {
        self.victims.revive(self.stage).await?;
        let world = &self.stage.world;
        let told = world.payments().webhooks().idle(PATIENCE).await
            && world.custodian().webhooks().idle(PATIENCE).await;
        if !told {
            return Err("the providers' webhooks do not get through".into());
        }
        let end = Instant::now() + PATIENCE;
        while self.stage.count(books::DUE_JOBS).await? > 0 {
            if Instant::now() > end {
                let waiting = books::waiting(self.stage).await?;
                return Err(format!("the jobs do not come to an end; {waiting}").into());
            }
            self.victims.revive(self.stage).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
