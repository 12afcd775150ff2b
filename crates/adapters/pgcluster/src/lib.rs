//! A private PostgreSQL for the demo, the tests and the measurements: found or fetched, started, and gone afterwards.
//!
//! This crate owns the server *process* and the directories it lives in. It knows no SQL and opens no connection: the
//! caller gets a URL. Everything here blocks; an async caller uses `spawn_blocking`.
//!
//! Invariants:
//!
//! * A server never outlives its owners. Each one is the child of a watchdog (`watch.sh`), a shell that polls the owners'
//!   pids, so that even `kill -9` of the owner stops the server and removes its temporary directory.
//! * Only processes that this crate started are signalled, by pid, after a look at their command line. No fixed port.
//! * Access is by password only, on 127.0.0.1 and on a socket in a directory of mode 0700; the password is random.
//! * PostgreSQL refuses to run as root. When the caller is root, the server, its watchdog and its directories belong to
//!   the user `postgres`, or `nobody` where there is none.
//! * One [`SharedCluster`] life is initialised at most once per name, whatever the number of processes that use it.
//!
//! Read from the environment, and nothing else: `PATH` (to find programs), `XDG_CACHE_HOME` and `HOME` (where
//! [`Options::cache_dir`] is not given), `TMPDIR` (where the state of a shared cluster lives).
//!
//! On disk: `/tmp/posx-pg-XXXXXX` is one life of one server (socket, users, log, and the data unless they are kept);
//! `$TMPDIR/posx-test-<uid>-<key>` holds the lock of a shared cluster and a link to its current life, and is left behind,
//! empty but for these.

mod account;
mod binaries;
mod cluster;
mod datadir;
mod error;
mod launch;
mod options;
mod process;
mod rundir;
mod server;
mod shared;
mod wheel;

pub use cluster::Cluster;
pub use error::{ClusterError, OnceError};
pub use options::{Durability, Options, Source};
pub use server::{Server, Version};
pub use shared::SharedCluster;
