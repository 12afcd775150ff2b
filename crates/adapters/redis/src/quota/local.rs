use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_assistant::Micros;
use posx_kernel::SiteId;
use tokio::time::Instant;

use super::{REFUSAL_AGE_MAX, Refusals, Remembered, Seen};

/// Above it, everything is forgotten: the database is asked again.
const REFUSALS_MAX: usize = 100_000;

/// Remembers in this process. What goes back to a budget in another one is not heard of here.
#[derive(Debug, Default)]
pub struct LocalRefusals {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts what was forgotten, of all sites.
    generation: u64,
    of_sites: HashMap<SiteId, HashMap<String, (Remembered, Instant)>>,
    remembered: usize,
}

impl LocalRefusals {
    /// Nothing under the lock can be left half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Refusals for LocalRefusals {
    async fn look(&self, site: SiteId, budgets: &[String], worst_case: Micros) -> Seen {
        let (state, now) = (self.state(), Instant::now());
        let of_site = state.of_sites.get(&site);
        let refused = budgets.iter().enumerate().find_map(|(at, budget)| {
            let (refused, fresh_until) = of_site?.get(budget)?;
            (*fresh_until > now && refused.left < worst_case).then_some(Remembered { at, ..*refused })
        });
        refused.map_or_else(
            || Seen::Nothing(Some(state.generation.to_string())),
            Seen::Refused,
        )
    }

    async fn remember(&self, site: SiteId, budget: &str, refused: &Remembered, generation: &str) {
        let mut state = self.state();
        if state.generation.to_string() != generation {
            return;
        }
        if state.remembered >= REFUSALS_MAX {
            state.of_sites.clear();
            state.remembered = 0;
        }
        let fresh_until = Instant::now() + REFUSAL_AGE_MAX;
        let of_site = state.of_sites.entry(site).or_default();
        let new = of_site
            .insert(budget.to_owned(), (*refused, fresh_until))
            .is_none();
        state.remembered += usize::from(new);
    }

    async fn forget(&self, site: SiteId) {
        let mut state = self.state();
        state.generation += 1;
        let gone = state.of_sites.remove(&site).map_or(0, |of_site| of_site.len());
        state.remembered -= gone;
    }
}
