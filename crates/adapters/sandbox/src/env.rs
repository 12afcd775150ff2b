//! What every stand-in needs of its surroundings: time, ids, randomness, and a place for its tasks.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posx_kernel::{Clock, Ids, Randomness, Timestamp};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use uuid::Uuid;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A stand-in's state stays usable after a test panicked with it in hand.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Clone)]
pub(crate) struct Env {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) randomness: Arc<dyn Randomness>,
    pub(crate) tasks: Arc<Tasks>,
}

impl Env {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn uuid(&self) -> Uuid {
        self.ids.uuid(self.now())
    }

    /// `pi_` and 24 letters and digits, as Stripe makes its ids.
    pub(crate) fn stripe_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}", base62(self.randomness.as_ref(), 24))
    }

    pub(crate) fn chain_hash(&self) -> String {
        let mut bytes = [0; 32];
        self.randomness.fill(&mut bytes);
        format!("0x{}", hex::encode(bytes))
    }
}

/// Not quite uniform (256 is no multiple of 62), which an id and a sandbox's secret can bear.
pub(crate) fn base62(randomness: &dyn Randomness, length: usize) -> String {
    let mut bytes = vec![0; length];
    randomness.fill(&mut bytes);
    bytes
        .into_iter()
        .map(|byte| char::from(BASE62[usize::from(byte) % BASE62.len()]))
        .collect()
}

/// The tasks of one world. They can be started from any thread and end with the world.
#[derive(Debug)]
pub(crate) struct Tasks {
    runtime: Handle,
    /// `None` once the world has ended: nothing starts any more.
    running: Mutex<Option<JoinSet<()>>>,
}

impl Tasks {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            running: Mutex::new(Some(JoinSet::new())),
        }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(running) = lock(&self.running).as_mut() {
            while running.try_join_next().is_some() {}
            running.spawn_on(task, &self.runtime);
        }
    }

    /// Ends every task where it waits. Dropping what this returns is enough; awaiting it waits for the end.
    pub(crate) fn end(&self) -> JoinSet<()> {
        let mut running = lock(&self.running).take().unwrap_or_default();
        running.abort_all();
        running
    }
}
