//! Against the vendor's own API document, served strictly by software of others: the shape of what we send. Runs when
//! its address is in `POSX_COUNTERPART_FIREBLOCKS_SPEC`, and says so when it is not. Its answers are empty objects, which
//! no outcome may be read from.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posx_allocations::CustodyAsset;
use posx_allocations::custody::{Custody as _, CustodyError};
use posx_fireblocks::{FireblocksCustody, FireblocksError};
use posx_kernel::SystemClock;
use serde::Deserialize;
use serde_json::Value;

use crate::support::{cause, claims, config, custody_at, request, site};

const VARIABLE: &str = "POSX_COUNTERPART_FIREBLOCKS_SPEC";

/// What the server notes of each request, and of each that the document does not allow.
#[derive(Deserialize)]
struct Noted {
    #[serde(default)]
    invalid: bool,
    method: Option<String>,
    uri: Option<String>,
    headers: Option<Value>,
    /// The body's bytes, in base64.
    raw: Option<String>,
    errors: Option<Value>,
}

struct Counterpart {
    url: String,
    http: reqwest::Client,
    custody: FireblocksCustody,
}

impl Counterpart {
    fn there() -> Option<Self> {
        let Some(url) = std::env::var_os(VARIABLE).and_then(|url| url.into_string().ok()) else {
            eprintln!("left out: {VARIABLE} is not set");
            return None;
        };
        let url = url.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        Some(Self {
            custody: custody_at(config(&url), Arc::new(SystemClock)),
            http: http.build().unwrap(),
            url,
        })
    }

    /// The requests whose address has this in it: others may be asking at the same time.
    async fn noted(&self, of: &str) -> Vec<Noted> {
        let all = self
            .http
            .get(format!("{}/__requests", self.url))
            .send()
            .await
            .unwrap();
        let all: Vec<Noted> = all.json().await.unwrap();
        let refused = all.iter().find(|one| one.invalid).map(|one| &one.errors);
        assert!(
            refused.is_none(),
            "the document does not allow what was sent: {refused:?}"
        );
        all.into_iter()
            .filter(|one| one.uri.as_deref().unwrap().contains(of))
            .collect()
    }
}

/// Checks the signature over what arrived.
fn body_of(noted: &Noted, method: &str) -> Vec<u8> {
    assert_eq!(noted.method.as_deref(), Some(method));
    let body = STANDARD.decode(noted.raw.as_ref().unwrap()).unwrap();
    let header = |name: &str| noted.headers.as_ref().unwrap()[name].as_str().unwrap();
    let uri = noted.uri.as_deref().unwrap();
    claims(header("authorization"), header("x-api-key"), uri, &body);
    body
}

#[tokio::test]
async fn f01_f04_f13_counterpart_a_new_transaction_is_in_the_documents_shape_and_signed_as_it_arrived() {
    let Some(counterpart) = Counterpart::there() else {
        return;
    };
    let external_id = format!("alc_{}-1", std::process::id());
    let outcome = counterpart.custody.submit(&request(&external_id)).await;
    assert!(matches!(cause(outcome), FireblocksError::Undecodable { .. }));
    let mut found = None;
    for noted in counterpart.noted("/v1/transactions").await {
        let body = noted.raw.as_ref().map(|raw| STANDARD.decode(raw).unwrap());
        if body.is_some_and(|body| String::from_utf8_lossy(&body).contains(&external_id)) {
            found = Some(noted);
        }
    }
    let noted = found.unwrap();
    let body: Value = serde_json::from_slice(&body_of(&noted, "POST")).unwrap();
    assert_eq!(
        (&body["externalTxId"], &body["amount"]),
        (&external_id.into(), &"1.5".into())
    );
    assert_eq!(noted.uri.as_deref(), Some("/v1/transactions"));
    let key = noted.headers.as_ref().unwrap()["idempotency-key"]
        .as_str()
        .unwrap();
    assert_eq!(key.len(), 40);
}

#[tokio::test]
async fn f01_f11_counterpart_look_ups_and_cancellations_are_at_the_documents_addresses() {
    let Some(counterpart) = Counterpart::there() else {
        return;
    };
    let custody = &counterpart.custody;
    let wish = request("counterpart a/b?c");
    cause(custody.find(wish.site, &wish.external_id).await);
    assert!(matches!(
        custody.transaction("counterpart-tx").await,
        Err(FireblocksError::Undecodable { .. })
    ));
    assert!(matches!(
        custody.cancel("counterpart-tx").await,
        Err(FireblocksError::Undecodable { .. })
    ));
    for (part, method) in [
        ("/v1/transactions/external_tx_id/counterpart%20a%2Fb%3Fc", "GET"),
        ("/v1/transactions/counterpart-tx/cancel", "POST"),
    ] {
        let noted = counterpart.noted(part).await;
        assert_eq!(body_of(noted.last().unwrap(), method), b"");
    }
    let noted = counterpart.noted("/v1/transactions/counterpart-tx").await;
    assert!(
        noted
            .iter()
            .any(|noted| noted.uri.as_deref() == Some("/v1/transactions/counterpart-tx"))
    );
}

#[tokio::test]
async fn f17_counterpart_vaults_are_asked_for_at_the_documents_addresses() {
    let Some(counterpart) = Counterpart::there() else {
        return;
    };
    let custody = &counterpart.custody;
    let asset = CustodyAsset {
        provider_asset: "USDC_POLYGON".to_owned(),
        vault: "70001".to_owned(),
        decimals: 6,
    };
    let outcome = custody.available(site(), &asset).await;
    assert!(matches!(outcome, Err(CustodyError::Unknown(_))), "{outcome:?}");
    assert!(matches!(
        custody.vault_account("70002").await,
        Err(FireblocksError::Undecodable { .. })
    ));
    for address in [
        "/v1/vault/accounts/70001/USDC_POLYGON",
        "/v1/vault/accounts/70002",
    ] {
        let noted = counterpart.noted(address).await;
        assert_eq!(body_of(noted.last().unwrap(), "GET"), b"");
    }
}
