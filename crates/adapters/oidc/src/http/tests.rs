use super::*;
use crate::testing::{Server, ok, serve};

/// Discovery at its place, with this issuer and key address; anything else answers `keys`.
async fn serve_discovery(document: impl Fn(&str) -> String + Send + 'static) -> Server {
    serve(move |request, url| {
        if request.path() == DISCOVERY_PATH {
            ok(&document(url))
        } else {
            ok("keys")
        }
    })
    .await
}

async fn discover(server: &Server, slash: &str) -> Result<Vec<u8>, FetchError> {
    let issuer = format!("{}{slash}", server.url);
    HttpKeys::for_issuer(&IssuerConfig::new(issuer, "api"))
        .unwrap()
        .fetch()
        .await
}

async fn fetch(server: &Server) -> Result<Vec<u8>, FetchError> {
    let config = IssuerConfig::new("https://login.example/", "api").jwks_url(format!("{}/jwks", server.url));
    HttpKeys::for_issuer(&config).unwrap().fetch().await
}

#[tokio::test]
async fn j08_keys_come_from_the_discovery_of_the_configured_issuer() {
    let server = serve_discovery(|url| format!(r#"{{"issuer":"{url}","jwks_uri":"{url}/jwks"}}"#)).await;
    assert_eq!(discover(&server, "").await.unwrap(), b"keys");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn j14_the_slash_of_an_issuer_belongs_to_its_name_and_not_to_its_path() {
    let server = serve_discovery(|url| format!(r#"{{"issuer":"{url}/","jwks_uri":"{url}/jwks"}}"#)).await;
    assert_eq!(discover(&server, "/").await.unwrap(), b"keys");
    assert!(matches!(
        discover(&server, "").await,
        Err(FetchError::Unusable(_))
    ));
}

#[tokio::test]
async fn j08_a_discovery_document_of_another_issuer_is_not_followed() {
    let server =
        serve_discovery(|url| format!(r#"{{"issuer":"https://other.example","jwks_uri":"{url}/jwks"}}"#))
            .await;
    assert!(matches!(
        discover(&server, "").await,
        Err(FetchError::Unusable(_))
    ));
    let server = serve_discovery(|_| "[]".into()).await;
    assert!(matches!(
        discover(&server, "").await,
        Err(FetchError::Unusable(_))
    ));
    let server =
        serve_discovery(|url| format!(r#"{{"issuer":"{url}","jwks_uri":"http://keys.example/"}}"#)).await;
    assert!(matches!(
        discover(&server, "").await,
        Err(FetchError::Unusable(_))
    ));
}

#[tokio::test]
async fn j08_a_redirect_is_not_followed() {
    let server =
        serve(|_, url| format!("HTTP/1.1 302 Found\r\nLocation: {url}/there\r\nContent-Length: 0\r\n\r\n"))
            .await;
    assert!(matches!(fetch(&server).await, Err(FetchError::Status(302))));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn j08_an_endless_answer_is_cut_while_it_streams() {
    let large = "x".repeat(SET_BYTES_MAX + 1);
    let unannounced = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{large}");
    let server = serve(move |_, _| unannounced.clone()).await;
    assert!(matches!(fetch(&server).await, Err(FetchError::TooLarge { .. })));
    let server = serve(|_, _| ok(&"x".repeat(SET_BYTES_MAX))).await;
    assert_eq!(fetch(&server).await.unwrap().len(), SET_BYTES_MAX);
}

#[tokio::test]
async fn j12_a_server_that_fails_or_is_away_is_fetch_trouble() {
    let server = serve(|_, _| "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".into()).await;
    assert!(matches!(fetch(&server).await, Err(FetchError::Status(500))));
    let server = serve(|_, _| "not http".into()).await;
    assert!(matches!(fetch(&server).await, Err(FetchError::Transport(_))));
    let away = Server::away();
    assert!(matches!(fetch(&away).await, Err(FetchError::Transport(_))));
}

#[test]
fn j08_keys_are_asked_for_over_tls_unless_from_this_machine() {
    for url in [
        "https://login.example/jwks",
        "http://localhost:1/jwks",
        "http://127.0.0.9/",
        "http://[::1]:8/",
    ] {
        assert!(allowed(url).is_some(), "{url}");
    }
    for url in [
        "http://login.example/jwks",
        "http://localhost.example/",
        "http://10.0.0.1/",
        "https://user@login.example/",
        "https://:secret@login.example/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "data:text/plain,{}",
        "login.example/jwks",
        "",
    ] {
        assert!(allowed(url).is_none(), "{url}");
    }
}
