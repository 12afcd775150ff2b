//! The API and the worker in one process, started and stopped together.

use std::net::TcpListener;

use posx_runtime::{Services, Settings};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    #[error("the API stopped")]
    Api(#[from] posx_api::ServeError),
    #[error("the worker stopped")]
    Worker(#[from] posx_worker::RunError),
    #[error("the {0} ended without being asked to")]
    Ended(&'static str),
    #[error("a server broke off")]
    Broken(#[from] JoinError),
}

/// Two running servers. Dropped, they end at once; stopped, they finish what they do.
#[derive(Debug)]
pub struct Servers {
    stop: watch::Sender<bool>,
    running: JoinSet<Result<&'static str, ServersError>>,
    services: [Services; 2],
}

impl Servers {
    /// Each gets services of its own, because a connection belongs to the threads that opened it.
    pub fn start(api: Services, worker: Services, settings: &Settings, listener: TcpListener) -> Self {
        let (stop, _) = watch::channel(false);
        let mut running = JoinSet::new();
        let (services, of_api) = (api.clone(), settings.server.clone());
        let stopped = until(stop.subscribe());
        running.spawn(async move {
            posx_api::serve(services, &of_api, listener, stopped).await?;
            Ok("API")
        });
        let (services, of_worker) = (worker.clone(), settings.worker.clone());
        let stopped = until(stop.subscribe());
        running.spawn(async move {
            posx_worker::run(services, &of_worker, stopped).await?;
            Ok("worker")
        });
        Self {
            stop,
            running,
            services: [api, worker],
        }
    }

    /// Resolves when one of them ends by itself, which is always a fault.
    pub async fn ended(&mut self) -> ServersError {
        match self.running.join_next().await {
            Some(Ok(Ok(name))) => ServersError::Ended(name),
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => error.into(),
            None => ServersError::Ended("process"),
        }
    }

    /// Both finish what they do, and the connections are closed.
    pub async fn stop(mut self) -> Result<(), ServersError> {
        self.stop.send_replace(true);
        let mut first = Ok(());
        while let Some(ended) = self.running.join_next().await {
            let ended = ended.map_err(ServersError::from).and_then(|ended| ended);
            first = first.and(ended.map(drop));
        }
        for services in &self.services {
            services.close().await;
        }
        first
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it everything that could wait for more.
    stopped.wait_for(|stop| *stop).await.ok();
}
