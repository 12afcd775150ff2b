//! A server of raw answers on this machine, which keeps what it was sent.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// As it came: line, headers and body.
#[derive(Debug, Clone)]
pub(crate) struct Request(String);

/// `answer` gets the request and the server's own address. An empty answer hangs up.
pub(crate) async fn serve(answer: impl Fn(&Request, &str) -> String + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server {
        url: url.clone(),
        requests: Arc::default(),
    };
    let requests = Arc::clone(&server.requests);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = Request(read(&mut stream).await);
            requests.lock().unwrap().push(request.clone());
            // The client may hang up on an answer that is too long.
            let _ = stream.write_all(answer(&request, &url).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    server
}

async fn read(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        let request = Request(text);
        if count == 0 || request.is_whole() {
            return request.0;
        }
        text = request.0;
    }
}

pub(crate) fn ok(body: &str) -> String {
    with_status("200 OK", body)
}

pub(crate) fn with_status(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

impl Server {
    /// Nobody listens there.
    pub(crate) fn away() -> Self {
        Self {
            url: "http://127.0.0.1:1".into(),
            requests: Arc::default(),
        }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.0.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n")?;
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    fn is_whole(&self) -> bool {
        let length = self
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        self.0.contains("\r\n\r\n") && self.body().len() >= length
    }
}
