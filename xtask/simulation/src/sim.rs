//! Virtual time, chance, and tasks that are polled one at a time in a seeded order.
//!
//! Nothing here waits for the machine: when no task can go on, time jumps to the next moment at which one can. Each await
//! of a port is a [`Sim::step`]: another task may come in between, and the process that stands there may be killed.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use chrono::TimeDelta;
use fastrand::Rng;
use posx_kernel::{Clock, Timestamp};

/// Milliseconds since the run began.
pub(crate) type Millis = i64;
pub(crate) const SECOND: Millis = 1_000;
pub(crate) const MINUTE: Millis = 60 * SECOND;
pub(crate) const HOUR: Millis = 60 * MINUTE;
pub(crate) const DAY: Millis = 24 * HOUR;

/// 2026-06-01T12:00:00Z
const BEGAN: i64 = 1_780_315_200_000;

pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parked {
    Ready,
    Until(Millis),
    /// Until a transaction ends.
    OnLock,
    /// Until a job is added, or this moment.
    Idle(Millis),
    Over,
}

struct Task {
    name: String,
    parked: Parked,
}

struct Inner {
    now: Millis,
    /// How far the clock of our machines is off.
    skew: Millis,
    rng: Rng,
    current: usize,
    tasks: Vec<Task>,
    born: Vec<Job>,
    /// A process is killed at one of so many awaits; 0 is never.
    crash_one_in: u32,
    /// What happens outside happens on the beat, all at once; 0 is whenever it will.
    beat: Millis,
    steps: u64,
    hash: u64,
    trace: Option<Vec<String>>,
}

/// Chance and time of one run, shared by everything in it.
pub(crate) struct Sim {
    inner: Mutex<Inner>,
}

/// The process died: what it had not committed is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Killed;

impl Sim {
    pub(crate) fn new(seed: u64, traced: bool) -> Arc<Self> {
        let inner = Inner {
            now: 0,
            skew: 0,
            rng: Rng::with_seed(seed),
            current: 0,
            tasks: Vec::new(),
            born: Vec::new(),
            crash_one_in: 0,
            beat: 0,
            steps: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            trace: traced.then(Vec::new),
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Millis {
        self.inner().now
    }

    /// 0 to `below`, exclusive.
    pub(crate) fn below(&self, below: u64) -> u64 {
        self.inner().rng.u64(0..below)
    }

    pub(crate) fn one_in(&self, many: u64) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn between(&self, from: i64, to: i64) -> i64 {
        self.inner().rng.i64(from..=to)
    }

    pub(crate) fn index(&self, len: usize) -> usize {
        self.inner().rng.usize(0..len)
    }

    pub(crate) fn pick<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }

    pub(crate) fn crash_one_in(&self, many: u32) {
        self.inner().crash_one_in = many;
    }

    /// From now on what people and providers do falls on the same moments: a rush.
    pub(crate) fn beat(&self, every: Millis) {
        self.inner().beat = every;
    }

    /// Waits as long as people and providers take.
    pub(crate) async fn lag(&self, from: Millis, to: Millis) {
        let time = self.between(from, to);
        let until = {
            let inner = self.inner();
            let (at, beat) = (inner.now + time, inner.beat);
            if beat > 0 { (at / beat + 1) * beat } else { at }
        };
        self.park(Parked::Until(until)).await;
    }

    /// The machines' clock is corrected, or goes wrong.
    pub(crate) fn shift_clock(&self, by: Millis) {
        self.inner().skew += by;
    }

    /// Starts a task.
    pub(crate) fn spawn(&self, name: impl Into<String>, job: impl Future<Output = ()> + Send + 'static) {
        let mut inner = self.inner();
        inner.tasks.push(Task {
            name: name.into(),
            parked: Parked::Ready,
        });
        inner.born.push(Box::pin(job));
    }

    /// What happened, for the trace and its hash.
    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        let mut inner = self.inner();
        let what = what();
        inner.mix(what.as_bytes());
        inner.write(&what);
    }

    /// An await of a port: others may run, and a process may die here.
    pub(crate) async fn step(&self, port: &'static str) {
        self.inner().enter(port);
        self.park(Parked::Ready).await;
    }

    pub(crate) async fn sleep(&self, time: Millis) {
        let until = self.now() + time;
        self.park(Parked::Until(until)).await;
    }

    pub(crate) async fn wait_for_lock(&self) {
        self.park(Parked::OnLock).await;
    }

    /// A worker without work: until there is some, or until this moment.
    pub(crate) async fn idle(&self, until: Millis) {
        self.park(Parked::Idle(until)).await;
    }

    fn park(&self, parked: Parked) -> Park<'_> {
        Park {
            sim: self,
            parked: Some(parked),
        }
    }

    fn wake(&self, sleeping: impl Fn(Parked) -> bool) {
        for task in &mut self.inner().tasks {
            if sleeping(task.parked) {
                task.parked = Parked::Ready;
            }
        }
    }

    pub(crate) fn transaction_ended(&self) {
        self.wake(|parked| parked == Parked::OnLock);
    }

    pub(crate) fn job_added(&self) {
        self.wake(|parked| matches!(parked, Parked::Idle(_)));
    }

    /// Runs what a process does. It may be killed at any of its awaits: all that it holds is dropped there.
    pub(crate) fn process<'a, T: 'a>(
        &'a self,
        work: impl Future<Output = T> + Send + 'a,
    ) -> impl Future<Output = Result<T, Killed>> + Send + 'a {
        Process {
            sim: self,
            work: Some(Box::pin(work)),
        }
    }

    /// Hash of all that happened, and how many steps it took.
    pub(crate) fn fingerprint(&self) -> (u64, u64) {
        let inner = self.inner();
        (inner.hash, inner.steps)
    }

    pub(crate) fn take_trace(&self) -> Vec<String> {
        self.inner().trace.take().unwrap_or_default()
    }
}

impl Inner {
    /// FNV-1a.
    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn enter(&mut self, port: &'static str) {
        self.steps += 1;
        self.now += 1;
        let (current, now) = (self.current, self.now);
        self.mix(&current.to_le_bytes());
        self.mix(&now.to_le_bytes());
        self.mix(port.as_bytes());
        self.write(port);
    }

    fn write(&mut self, what: &str) {
        let (now, current) = (self.now, self.current);
        let name = self.tasks.get(current).map_or("", |task| task.name.as_str());
        if let Some(trace) = &mut self.trace {
            let (seconds, millis) = (now / SECOND, now % SECOND);
            let mut line = String::new();
            // Writing to a string does not fail.
            write!(line, "{seconds:>7}.{millis:03}  {name:<24}  {what}").ok();
            trace.push(line);
        }
    }
}

struct Park<'a> {
    sim: &'a Sim,
    parked: Option<Parked>,
}

impl Future for Park<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.parked.take() {
            Some(parked) => {
                let mut inner = self.sim.inner();
                let current = inner.current;
                inner.tasks[current].parked = parked;
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

struct Process<'a, T> {
    sim: &'a Sim,
    work: Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>,
}

impl<T> Future for Process<'_, T> {
    type Output = Result<T, Killed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let dies = {
            let mut inner = self.sim.inner();
            let one_in = inner.crash_one_in;
            one_in > 0 && inner.rng.u32(0..one_in) == 0
        };
        let Some(work) = self.work.as_mut().filter(|_| !dies) else {
            self.work = None;
            self.sim.note(|| "killed".to_owned());
            return Poll::Ready(Err(Killed));
        };
        work.as_mut().poll(context).map(Ok)
    }
}

/// Owns the tasks of a run and polls them.
pub(crate) struct Executor {
    sim: Arc<Sim>,
    jobs: Vec<Option<Job>>,
}

impl Executor {
    pub(crate) fn new(sim: &Arc<Sim>) -> Self {
        Self {
            sim: Arc::clone(sim),
            jobs: Vec::new(),
        }
    }

    /// Polls until nothing can go on before `until`, or so many steps were taken. False: they were too many.
    pub(crate) fn run(&mut self, until: Millis, steps_max: u64) -> bool {
        loop {
            let next = {
                let mut inner = self.sim.inner();
                self.jobs.extend(inner.born.drain(..).map(Some));
                if inner.steps > steps_max {
                    return false;
                }
                inner.next(until)
            };
            let Some(at) = next else { return true };
            let polled = self.jobs[at]
                .as_mut()
                .map(|job| job.as_mut().poll(&mut Context::from_waker(Waker::noop())));
            if polled.is_none_or(|polled| polled.is_ready()) {
                self.jobs[at] = None;
                self.sim.inner().tasks[at].parked = Parked::Over;
            }
        }
    }
}

impl Inner {
    /// Which task goes on. Time passes only when none can.
    fn next(&mut self, until: Millis) -> Option<usize> {
        loop {
            let now = self.now;
            let can = |task: &Task| match task.parked {
                Parked::Ready => true,
                Parked::Until(at) | Parked::Idle(at) => at <= now,
                Parked::OnLock | Parked::Over => false,
            };
            let ready = self.tasks.iter().filter(|task| can(task)).count();
            if ready > 0 {
                let chosen = self.rng.usize(0..ready);
                let (at, _) = self
                    .tasks
                    .iter()
                    .enumerate()
                    .filter(|(_, task)| can(task))
                    .nth(chosen)?;
                self.current = at;
                return Some(at);
            }
            let wakes = |task: &Task| match task.parked {
                Parked::Until(at) | Parked::Idle(at) => Some(at),
                _ => None,
            };
            self.now = self
                .tasks
                .iter()
                .filter_map(wakes)
                .min()
                .filter(|at| *at < until)?;
        }
    }
}

/// Our machines' clock.
pub(crate) struct SimClock(pub(crate) Arc<Sim>);

impl std::fmt::Debug for SimClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimClock")
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let inner = self.0.inner();
        instant(inner.now + inner.skew)
    }
}

pub(crate) fn instant(millis: Millis) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(BEGAN + millis)
}
