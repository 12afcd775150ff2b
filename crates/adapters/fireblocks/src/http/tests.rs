use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Fetches from a server that gives this raw answer to one request.
async fn fetch(answer: String) -> Result<Vec<u8>, FetchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/.well-known/jwks.json", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 8_192];
        let _ = stream.read(&mut buffer).await.unwrap();
        // The client may hang up on an answer that is too long.
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    });
    HttpKeys::new(&url).unwrap().fetch().await
}

#[tokio::test]
async fn f19_keys_are_fetched_without_redirects_and_within_a_size() {
    assert_eq!(
        fetch("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkeys".into())
            .await
            .unwrap(),
        b"keys"
    );
    let elsewhere = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n";
    assert!(matches!(
        fetch(elsewhere.into()).await,
        Err(FetchError::Status(302))
    ));
    let endless = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}",
        "x".repeat(SET_BYTES_MAX + 1)
    );
    assert!(matches!(fetch(endless).await, Err(FetchError::TooLarge { .. })));
}

#[tokio::test]
async fn f21_a_key_server_that_fails_or_is_away_is_fetch_trouble() {
    assert!(matches!(
        fetch("not http".into()).await,
        Err(FetchError::Transport(_))
    ));
    let away = HttpKeys::new("http://127.0.0.1:1/").unwrap();
    assert!(matches!(away.fetch().await, Err(FetchError::Transport(_))));
}

#[test]
fn f19_keys_are_asked_for_over_tls_unless_from_this_machine() {
    for url in [
        "https://keys.fireblocks.io/.well-known/jwks.json",
        "http://localhost:1/",
        "http://[::1]:8/",
    ] {
        HttpKeys::new(url).unwrap();
    }
    for url in [
        "http://keys.fireblocks.io/",
        "http://10.0.0.1/",
        "https://user:pass@keys.fireblocks.io/",
        "ftp://localhost/",
        "",
    ] {
        assert!(
            matches!(HttpKeys::new(url), Err(AddressError::NotAllowed)),
            "{url}"
        );
    }
}
