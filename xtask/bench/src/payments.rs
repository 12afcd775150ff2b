//! From the provider's webhook to the paid order: posted over HTTP, stored, applied by a worker that asks the provider for
//! the intent, paid in the order's transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::capture;
use crate::load::{Measured, WARM_UP, closed_loop};
use crate::replay::{Sample, numbered};
use crate::report::Row;
use crate::scene::Scene;
use crate::stripe::Stripe;
use crate::watch::Watch;
use crate::{Outcome, seed};

/// Of intents that pgbench pays: nobody asks the sandbox for them.
const INTENT_PREFIX: &str = "pi_bench_";
const INTAKE_CONNECTIONS: usize = 32;
const PATIENCE: Duration = Duration::from_secs(30);
/// For the server's processes to hear of a setting.
const RELOAD: Duration = Duration::from_millis(500);
/// Orders that are put in besides.
const SPARE: usize = 1000;

pub struct Payments<'a> {
    scene: &'a Scene,
    stripe: Stripe,
    watch: Arc<Watch>,
    seconds: u64,
    /// The number of the next order that is put in.
    next: u64,
}

/// What the product sends.
struct Captured {
    /// An intent whose order is paid.
    intent: String,
    /// For one webhook about that intent, and about order `:n`.
    intake: [String; 2],
    /// For the payment of order `:n`, whose buyer claimed no referrer or (in the second) one.
    paying: [String; 2],
}

impl<'a> Payments<'a> {
    pub async fn prepare(scene: &'a Scene, seconds: u64) -> Outcome<Self> {
        scene.psql(seed::referrers()).await?;
        Ok(Self {
            scene,
            stripe: Stripe::new(&scene.world, &scene.api.base_url).await?,
            watch: Arc::new(scene.watch()?),
            seconds,
            next: 1,
        })
    }

    /// How many orders are under way at once, and how many pgbench places each second on as many connections: it never
    /// pays more.
    pub async fn measure(mut self, loads: impl Iterator<Item = (usize, f64)>) -> Outcome<Vec<Row>> {
        let captured = self.capture().await?;
        let mut rows = vec![self.take_in(&captured).await?];
        for (under_way, placed_per_s) in loads {
            let name = format!("webhook to paid, {under_way} orders under way");
            println!("{name} …");
            let limit = self.limit(&captured, under_way, placed_per_s).await?;
            let measured = self.pay(under_way, limit).await?;
            rows.push(Row::new(name, &measured, limit, None));
        }
        Ok(rows)
    }

    /// Puts in a placed order for each intent; returns the first one's number.
    async fn put_in(&mut self, intents: &[String]) -> Outcome<u64> {
        let first = self.next;
        self.scene.psql(seed::payable(first, intents)).await?;
        self.next += u64::try_from(intents.len())?;
        Ok(first)
    }

    /// Pays two orders while the server logs every statement.
    async fn capture(&mut self) -> Outcome<Captured> {
        let intents = self.stripe.succeeded(&self.scene.world, 2).await?;
        let first = self.put_in(&intents).await?;
        let worker = self.scene.worker().await?;
        self.scene.psql(capture::begin()).await?;
        tokio::time::sleep(RELOAD).await;
        let mut of_webhook = Vec::new();
        let mut of_payment = Vec::new();
        for (n, intent) in (first..).zip(&intents) {
            let begin = capture::position(self.scene.log_file())?;
            let event = format!("evt_sample_{n}");
            let paid = self.watch.paid(seed::id(seed::ORDER_PREFIX, n));
            if !self.stripe.post_as(intent, &event).await {
                return Err("a webhook was not taken in".into());
            }
            tokio::time::timeout(PATIENCE, paid).await??;
            self.scene.until_nothing_waits(PATIENCE).await?;
            let statements = capture::since(self.scene.log_file(), begin)?;
            let paying = capture::paying(&statements)?;
            println!(
                "a payment {} a referrer to bind is {} statements in one transaction",
                if claims(n) { "with" } else { "without" },
                paying.len()
            );
            let intake = std::slice::from_ref(capture::intake(&statements)?).to_vec();
            let sample = || sample(n, &event);
            of_webhook = vec![
                sample().script(&intake),
                sample().with(intent, intent_of_n()).script(&intake),
            ];
            of_payment.push((claims(n), sample().with(intent, intent_of_n()).script(&paying)));
        }
        self.scene.psql(capture::end()).await?;
        drop(worker);
        // False comes first.
        of_payment.sort();
        let of_payment: Vec<String> = of_payment.into_iter().map(|(_, script)| script).collect();
        Ok(Captured {
            intent: intents.into_iter().next_back().ok_or("no intent")?,
            intake: of_webhook.try_into().map_err(|_| "no webhook")?,
            paying: of_payment.try_into().map_err(|_| "no payment")?,
        })
    }

    /// Webhooks alone: verified, stored with their job, answered. Nobody works on the jobs.
    async fn take_in(&mut self, captured: &Captured) -> Outcome<Row> {
        let name = format!("take a webhook in, {INTAKE_CONNECTIONS} connections");
        println!("{name} …");
        let script = format!("{}{}", counted(0, INTAKE_CONNECTIONS), captured.intake[0]);
        let limit = self
            .scene
            .pgbench(&script, INTAKE_CONNECTIONS, self.seconds)
            .await?;
        self.scene.psql(seed::nothing_waits()).await?;
        let (stripe, intent) = (self.stripe.clone(), captured.intent.clone());
        let lasting = Duration::from_secs(self.seconds);
        let measured = closed_loop(INTAKE_CONNECTIONS, lasting, move |_, _| {
            let (stripe, intent) = (stripe.clone(), intent.clone());
            async move { stripe.post(&intent).await }
        })
        .await;
        self.scene.psql(seed::nothing_waits()).await?;
        Ok(Row::new(name, &measured, limit.rate_per_s, None))
    }

    /// A webhook's statement and its payment's transaction, one after the other, each time for another order; nobody works
    /// on the jobs that they add.
    async fn limit(&mut self, captured: &Captured, clients: usize, placed_per_s: f64) -> Outcome<f64> {
        let enough = orders(placed_per_s, self.seconds);
        let numbers = self.next..self.next + u64::try_from(enough)?;
        let intents: Vec<String> = numbers.clone().map(|n| format!("{INTENT_PREFIX}{n}")).collect();
        self.put_in(&intents).await?;
        let [alone, bound] = &captured.paying;
        let script = format!(
            // A client that runs out of orders ends the run with an error.
            "{}\\set left 1 / (case when :n < {} then 1 else 0 end)\n{}\\if :n % 2\n{bound}\\else\n{alone}\\endif\n",
            counted(numbers.start, clients),
            numbers.end,
            captured.intake[1],
        );
        let limit = self.scene.pgbench(&script, clients, self.seconds).await?;
        let paid = self.scene.psql(seed::paid(numbers.start, numbers.end)).await?;
        // The first statement and the last one of the transaction: a script that misses its orders would be fast.
        match paid.trim().split_once('|') {
            Some((paid, sold)) if paid == sold && paid != "0" => {}
            _ => return Err(format!("pgbench did not pay its orders (paid|sold {paid})").into()),
        }
        self.scene.psql(seed::nothing_waits()).await?;
        Ok(limit.rate_per_s)
    }

    async fn pay(&mut self, under_way: usize, limit_per_s: f64) -> Outcome<Measured> {
        let enough = orders(limit_per_s, self.seconds + WARM_UP.as_secs());
        let intents: Arc<[String]> = self.stripe.succeeded(&self.scene.world, enough).await?.into();
        let first = self.put_in(&intents).await?;
        let worker = self.scene.worker().await?;
        let (stripe, watch) = (self.stripe.clone(), Arc::clone(&self.watch));
        let taken = Arc::new(AtomicUsize::new(0));
        let next = Arc::clone(&taken);
        let lasting = Duration::from_secs(self.seconds);
        let mut measured = closed_loop(under_way, lasting, move |_, _| {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (stripe, watch, intents) = (stripe.clone(), Arc::clone(&watch), Arc::clone(&intents));
            async move {
                let Some((intent, n)) = intents.get(at).zip(u64::try_from(at).ok()) else {
                    return false;
                };
                let paid = watch.paid(seed::id(seed::ORDER_PREFIX, first + n));
                stripe.post(intent).await && matches!(tokio::time::timeout(PATIENCE, paid).await, Ok(Ok(())))
            }
        })
        .await;
        if taken.load(Ordering::Relaxed) > enough {
            return Err("the orders to be paid ran out before the time was over".into());
        }
        let left = self.scene.waiting_jobs().await?;
        let ended = Instant::now();
        self.scene.until_nothing_waits(PATIENCE).await?;
        let done_after = ended.elapsed();
        // One that succeeds when it is tried again is seen here alone.
        measured.failed += worker.failed_jobs().await?;
        println!(
            "  {left} jobs of shares and allocations were left, and done after another {:.1} s; peak memory of the worker: {}",
            done_after.as_secs_f64(),
            worker.peak_memory()
        );
        Ok(measured)
    }
}

/// Every second buyer did: see [`seed::payable`].
const fn claims(n: u64) -> bool {
    n % 2 == 1
}

/// What a captured order's values become. The intent is left as it is.
fn sample(n: u64, event: &str) -> Sample {
    let mut sample =
        Sample::new(&[seed::SITE, seed::ASSET]).with(event, "('evt_bench_' || (:n)::text)".to_owned());
    for prefix in [
        seed::PARTY_PREFIX,
        seed::ORDER_PREFIX,
        seed::LINE_PREFIX,
        seed::ATTEMPT_PREFIX,
    ] {
        sample = sample.with(&seed::id(prefix, n), numbered(prefix, "n"));
    }
    sample
        .with(
            &seed::id(seed::TIER_PREFIX, seed::tier_of(n)),
            numbered(seed::TIER_PREFIX, "t"),
        )
        .with(
            &seed::id(seed::REFERRER_PREFIX, seed::referrer_of(n)),
            numbered(seed::REFERRER_PREFIX, "r"),
        )
}

fn intent_of_n() -> String {
    format!("('{INTENT_PREFIX}' || (:n)::text)")
}

/// Each transaction's `:n` is another, from `first` on; its tier and its referrer as [`seed::payable`] has them.
fn counted(first: u64, clients: usize) -> String {
    format!(
        "\\set n {first} + :i * {clients} + :client_id\n\\set i :i + 1\n\\set t :n % {} + 1\n\\set r :n / 2 % {} + 1\n",
        seed::TIERS,
        seed::REFERRERS
    )
}

/// Twice what is paid in so long at such a rate, and some: it was measured a moment ago, and the machine may have others.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a run's orders are some tens of thousands"
)]
fn orders(per_s: f64, seconds: u64) -> usize {
    (2.0 * per_s * seconds as f64) as usize + SPARE
}
