use tokio::signal::unix::{SignalKind, signal};

/// Resolves when the process is asked to stop: SIGTERM, or Ctrl-C. The handlers are installed by the call, not by the
/// first poll. Needs a running tokio.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
