//! `/metrics` on a private port, for a process that has no HTTP server of its own or keeps it apart.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::MetricsHandle;

const REQUEST_BYTES_MAX: usize = 8 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers `GET /metrics` until it is dropped. One connection at a time: a scraper is alone here.
pub async fn serve_metrics(listener: TcpListener, metrics: MetricsHandle) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let answer = tokio::time::timeout(PATIENCE, answer(stream, &metrics)).await;
                if !matches!(answer, Ok(Ok(()))) {
                    tracing::debug!("a scraper went away before its answer");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the metrics port takes no connection now");
                tokio::time::sleep(PATIENCE).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, metrics: &MetricsHandle) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).await?;
        if read == 0 || request.len() + read > REQUEST_BYTES_MAX {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..read]);
    }
    let (status, body) = if request.starts_with(b"GET /metrics ") {
        ("200 OK", metrics.render())
    } else {
        ("404 Not Found", String::new())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
