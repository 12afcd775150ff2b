use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::testing::{Server, ok, serve, with_status};

const GRANT: &str = r#"{"access_token":"at-1","token_type":"Bearer","refresh_token":"rt-2","id_token":"it-1","expires_in":300}"#;

fn client(server: &Server, secret: Option<&str>) -> TokenClient {
    let address = |path: &str| format!("{}/{path}", server.url);
    TokenClient::new(
        &address("token"),
        Some(&address("revoke")),
        "app/1",
        secret.map(SecretString::from),
    )
    .unwrap()
}

async fn refresh(server: &Server) -> Result<GrantedTokens, TokenError> {
    client(server, Some("s3cret")).refresh(&"rt-1".into()).await
}

#[tokio::test]
async fn a_code_is_exchanged_with_its_verifier() {
    let server = serve(|_, _| ok(GRANT)).await;
    let tokens = client(&server, None)
        .exchange_code(&"c&1".into(), "https://shop.example/cb", &"v-1".into())
        .await
        .unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "at-1");
    assert_eq!(tokens.id_token.unwrap().expose_secret(), "it-1");
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "rt-2");
    let request = &server.requests()[0];
    assert_eq!(request.path(), "/token");
    assert_eq!(
        request.body(),
        "grant_type=authorization_code&code=c%261&redirect_uri=https%3A%2F%2Fshop.example%2Fcb&code_verifier=v-1&\
         client_id=app%2F1"
    );
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test]
async fn a_secret_goes_as_basic_and_never_in_the_body() {
    let server = serve(|_, _| ok(GRANT)).await;
    client(&server, Some("a+b c"))
        .refresh(&"rt-1".into())
        .await
        .unwrap();
    let request = &server.requests()[0];
    assert_eq!(
        request.body(),
        "grant_type=refresh_token&refresh_token=rt-1&client_id=app%2F1"
    );
    let basic = format!("Basic {}", STANDARD.encode("app%2F1:a%2Bb+c"));
    assert_eq!(request.header("authorization"), Some(basic.as_str()));
}

#[tokio::test]
async fn an_issuer_that_does_not_rotate_gives_no_new_refresh_token() {
    let server = serve(|_, _| ok(r#"{"access_token":"at-1","token_type":"bearer"}"#)).await;
    assert!(refresh(&server).await.unwrap().refresh_token.is_none());
}

#[tokio::test]
async fn revocation_names_the_refresh_token() {
    let server = serve(|_, _| ok("")).await;
    client(&server, None).revoke(&"rt-1".into()).await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(
        (request.path(), request.body()),
        (
            "/revoke",
            "token=rt-1&token_type_hint=refresh_token&client_id=app%2F1"
        )
    );
}

#[tokio::test]
async fn who_has_no_address_to_revoke_at_is_told_so_and_nobody_is_asked() {
    let server = serve(|_, _| ok("")).await;
    let client = TokenClient::new(&format!("{}/token", server.url), None, "app", None).unwrap();
    let error = client.revoke(&"rt-1".into()).await.unwrap_err();
    assert_eq!(name(&error), "without an address to revoke at");
    assert_eq!(server.requests().len(), 0);
}

fn name(error: &TokenError) -> &'static str {
    match error {
        TokenError::SignInAgain => "sign_in_again",
        TokenError::Refused(why) => why,
        TokenError::Unavailable(_) => "unavailable",
        TokenError::Unknown(_) => "unknown",
    }
}

#[tokio::test]
async fn each_refusal_says_what_to_do_next() {
    for (status, body, expected) in [
        ("400 Bad Request", r#"{"error":"invalid_grant"}"#, "sign_in_again"),
        (
            "403 Forbidden",
            r#"{"error":"invalid_grant","error_description":"rt-1"}"#,
            "sign_in_again",
        ),
        (
            "401 Unauthorized",
            r#"{"error":"invalid_client"}"#,
            "invalid_client",
        ),
        ("400 Bad Request", r#"{"error":"invalid_scope"}"#, "invalid_scope"),
        (
            "400 Bad Request",
            r#"{"error":"rt-1"}"#,
            "an error of no standard name",
        ),
        ("400 Bad Request", r#"{"error":"server_error"}"#, "unknown"),
        (
            "404 Not Found",
            "<html>",
            "without an OAuth error; is the address right?",
        ),
        ("302 Found", "", "without an OAuth error; is the address right?"),
        (
            "429 Too Many Requests",
            r#"{"error":"invalid_grant"}"#,
            "unavailable",
        ),
        ("503 Service Unavailable", "", "unknown"),
        (
            "500 Internal Server Error",
            r#"{"error":"invalid_grant"}"#,
            "unknown",
        ),
        ("408 Request Timeout", "", "unknown"),
        ("204 No Content", "", "unknown"),
        ("200 OK", "{}", "unknown"),
        (
            "200 OK",
            r#"{"access_token":"at-1","token_type":"DPoP"}"#,
            "it grants no bearer token",
        ),
    ] {
        let server = serve(move |_, _| with_status(status, body)).await;
        let error = refresh(&server).await.unwrap_err();
        assert_eq!(name(&error), expected, "{status} {body}");
        assert_eq!(server.requests().len(), 1, "{status}: never repeated here");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_unknown_and_a_server_that_is_away_is_not() {
    let away = refresh(&Server::away()).await.unwrap_err();
    assert_eq!(name(&away), "unavailable");
    let hung_up = serve(|_, _| String::new()).await;
    assert_eq!(name(&refresh(&hung_up).await.unwrap_err()), "unknown");
    let endless = serve(|_, _| ok(&"x".repeat(70_000))).await;
    assert_eq!(name(&refresh(&endless).await.unwrap_err()), "unknown");
}

#[tokio::test]
async fn nothing_that_is_shown_has_a_token_or_the_secret_in_it() {
    let server = serve(|_, _| with_status("400 Bad Request", r#"{"error":"rt-1 s3cret"}"#)).await;
    let error = refresh(&server).await.unwrap_err();
    let lost = serve(|_, _| ok(r#"{"access_token":["at-1"],"token_type":"rt-1"}"#)).await;
    let lost = refresh(&lost).await.unwrap_err();
    let granted = serve(|_, _| ok(GRANT)).await;
    let granted = refresh(&granted).await.unwrap();
    let client = client(&server, Some("s3cret"));
    let shown = format!("{error} {error:?} {lost} {lost:?} {granted:?} {client:?}");
    for secret in ["rt-1", "rt-2", "at-1", "it-1", "s3cret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn each_provider_has_its_addresses_and_they_are_https() {
    let auth0 = TokenClient::auth0("login.example", "app", None).unwrap();
    assert_eq!(auth0.token_url.as_str(), "https://login.example/oauth/token");
    assert_eq!(
        auth0.revocation_url.unwrap().as_str(),
        "https://login.example/oauth/revoke"
    );
    let cognito = TokenClient::cognito("shop.auth.eu-west-1.amazoncognito.com", "app", None).unwrap();
    let base = "https://shop.auth.eu-west-1.amazoncognito.com/oauth2";
    assert_eq!(cognito.token_url.as_str(), format!("{base}/token"));
    assert_eq!(cognito.revocation_url.unwrap().as_str(), format!("{base}/revoke"));
    for (token, revocation) in [
        ("http://login.example/token", "https://login.example/revoke"),
        ("https://login.example/token", "http://login.example/revoke"),
    ] {
        assert!(TokenClient::new(token, Some(revocation), "app", None).is_err());
    }
}
