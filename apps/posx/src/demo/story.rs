//! The story of issue 2, step by step, over HTTP. One file per step.

mod assisting;
mod attacking;
pub mod books;
mod buying;
pub mod cast;
mod delivering;
mod expiring;
mod farewell;
mod paying;
mod rewarding;
mod rushing;
mod setup;
mod sharing;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use posx_kernel::{
    Clock as _, PartyId, Randomness as _, StoreError, SystemClock, SystemRandomness, Timestamp,
};
use posx_sandbox::KeyError;
use posx_tenancy::PlatformError;

use super::checks::Invariants;
use super::client::views::Job;
use super::stage::{Set, StageError};
use super::tables;
use crate::ui;
use cast::{ASIA, NA, Sale, Shop};

/// What a step waits for happens within seconds, or not at all.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Nothing is silent for longer.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// Why the story cannot go on. A fact that does not hold is none: it is an invariant that broke.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    #[error("{what}: no answer")]
    Http {
        what: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{what}: {status} instead of {expected}: {body}")]
    Answer {
        what: String,
        expected: u16,
        status: u16,
        body: String,
    },
    #[error("{what}: the answer does not have the documented shape")]
    Shape {
        what: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{what} did not come within {} s", PATIENCE.as_secs())]
    Waiting { what: String },
    #[error("the job {task} is dead: {why}")]
    DeadJob { task: String, why: String },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("a token cannot be made")]
    Token(#[source] KeyError),
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stage(#[from] StageError),
}

/// What the steps share.
#[derive(Debug)]
pub struct Story<'a> {
    pub set: &'a Set,
    pub invariants: Invariants,
    /// In names of this run's people and keys, so that kept data never meet them again.
    pub run: String,
    pub names: BTreeMap<PartyId, String>,
    /// By the machine's clock, as jobs are stamped.
    began: Timestamp,
}

/// Tells the whole story; whether every invariant held.
pub async fn tell(set: &Set) -> Result<bool, StoryError> {
    let began = Instant::now();
    let mut story = Story {
        set,
        invariants: Invariants::default(),
        run: random_hex(3),
        names: BTreeMap::new(),
        began: SystemClock.now(),
    };
    ui::heading("1 · Two sites, with tiers, a commission plan and an asset each");
    let na = setup::open(&mut story, &NA).await?;
    let asia = setup::open(&mut story, &ASIA).await?;
    let (first, second) = loop_of_both(&mut story, &na, &asia).await?;
    ui::heading("6 · Dave places an order and never pays");
    expiring::never_paid(&mut story, &na).await?;
    ui::heading("7 · Fifty units, two hundred buyers at once");
    rushing::rush(&mut story, &na).await?;
    ui::heading("8 · Mallory, admin of ASIA, wants what is NA's");
    attacking::attack(&mut story, &na, &first, &asia).await?;
    ui::heading("9 · A promo code, money back in part, and an agent who is paid");
    rewarding::rewarded(&mut story, &na, &first).await?;
    ui::heading("10 · A language model that cannot write and cannot overspend");
    assisting::assisted(&mut story, &na).await?;
    ui::heading("11 · The books");
    for shop in [&na, &asia] {
        books::balance(&mut story, shop).await?;
    }
    for (shop, sale) in [(&na, &first), (&asia, &second)] {
        tables::show(&story, shop, sale).await?;
    }
    let held = story.invariants.conclude();
    farewell::show(&story, [(&na, &first), (&asia, &second)])?;
    ui::line(&format!(
        "\nThe story took {:.1} s.",
        began.elapsed().as_secs_f64()
    ));
    Ok(held)
}

/// Steps 2 to 5: NA with everything that can go wrong, ASIA the straight way in three decimals.
async fn loop_of_both(story: &mut Story<'_>, na: &Shop, asia: &Shop) -> Result<(Sale, Sale), StoryError> {
    ui::heading("2 · Referred, previewed, placed twice, declined once");
    let first = buying::troubled(story, na).await?;
    let second = buying::straight(story, asia).await?;
    ui::heading("3 · A webhook that comes late, twice and out of order");
    paying::paid_once(story, na, &first).await?;
    ui::heading("4 · Shares, held until the clock says otherwise");
    for (shop, sale) in [(na, &first), (asia, &second)] {
        sharing::shared(story, shop, sale).await?;
    }
    sharing::ripened(story, [(na, &first), (asia, &second)]).await?;
    ui::heading("5 · Tokens delivered, though the custodian's first answer is lost");
    delivering::troubled(story, na, &first).await?;
    delivering::straight(story, asia, &second).await?;
    Ok((first, second))
}

impl Story<'_> {
    /// Waits until no job of the site is due or about to be tried again. What an earlier run left in kept data, whose
    /// sandbox is forgotten, is not waited for.
    pub async fn settled(&self, shop: &Shop) -> Result<(), StoryError> {
        until("the end of all jobs", async || {
            let jobs: Vec<Job> = self.set.client.all(&shop.admin, "/api/v1/jobs").await?;
            // Jobs come due by the machine's clock. One that only waits for its time is no work left over.
            let now = SystemClock.now();
            let open = jobs
                .into_iter()
                .filter(|job| job.created_at >= self.began)
                .find(|job| job.dead || job.last_error.is_some() || job.run_at <= now);
            match open {
                Some(job) if job.dead => Err(StoryError::DeadJob {
                    task: job.task,
                    why: job.last_error.unwrap_or_default(),
                }),
                Some(_) => Ok(None),
                None => Ok(Some(())),
            }
        })
        .await
    }

    pub fn name(&self, party: PartyId) -> String {
        self.names
            .get(&party)
            .cloned()
            .unwrap_or_else(|| party.to_string())
    }
}

/// Asks until there is an answer, and says so when that takes long.
pub async fn until<T>(
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<Option<T>, StoryError>,
) -> Result<T, StoryError> {
    let began = Instant::now();
    let mut told = began;
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if began.elapsed() > PATIENCE {
            return Err(StoryError::Waiting {
                what: what.to_owned(),
            });
        }
        if told.elapsed() > SILENCE_MAX {
            told = Instant::now();
            ui::detail(&format!("waiting for {what} … {} s", began.elapsed().as_secs()));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

pub fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    SystemRandomness.fill(&mut random);
    random.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
