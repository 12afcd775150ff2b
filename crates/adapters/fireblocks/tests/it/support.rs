use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA512, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use posx_allocations::custody::{CustodyError, ExternalId, TransferRequest};
use posx_fireblocks::{
    CustodyConfig, FireblocksCustody, FireblocksError, Interlock, Mode, RetryPolicy, Workspace,
};
use posx_kernel::{Clock, Ids as _, ManualClock, SeededIds, SiteId, Timestamp, TokenAmount};
use secrecy::SecretString;
use serde_json::{Value, json};

pub const API_KEY: &str = "0b5a3c1e-7d0f-4a1b-9c55-2f6f1f6f9a01";

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

pub fn pem() -> SecretString {
    let der: Pkcs8V1Der<'_> = KEY.as_der().unwrap();
    let text = STANDARD.encode(&*der);
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n").into()
}

pub fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

pub fn site() -> SiteId {
    SiteId::from_uuid(SeededIds::new(1).uuid(now()))
}

pub fn config(base_url: &str) -> CustodyConfig {
    CustodyConfig {
        workspace: Workspace::At(base_url.to_owned()),
        interlock: Interlock {
            mode: Mode::Sandbox,
            real_transfers: false,
        },
        api_key: API_KEY.into(),
        private_key: pem(),
        timeout: Duration::from_secs(5),
        retry: RetryPolicy {
            first_pause: Duration::from_millis(2),
            longest_pause: Duration::from_secs(1),
            ..RetryPolicy::default()
        },
    }
}

pub fn custody_of(config: CustodyConfig) -> FireblocksCustody {
    custody_at(config, Arc::new(ManualClock::stopped_at(now())))
}

pub fn custody_at(config: CustodyConfig, clock: Arc<dyn Clock>) -> FireblocksCustody {
    FireblocksCustody::new(config, clock, Arc::new(SeededIds::new(5))).unwrap()
}

pub fn custody(base_url: &str) -> FireblocksCustody {
    custody_of(config(base_url))
}

pub fn request(external_id: &str) -> TransferRequest {
    TransferRequest {
        site: site(),
        external_id: ExternalId(external_id.to_owned()),
        provider_asset: "USDC_POLYGON".to_owned(),
        vault: "7".to_owned(),
        to: "0x52908400098527886E0F7030069857D2E4169EE7".to_owned(),
        amount: TokenAmount::from_base_units(1_500_000),
        decimals: 6,
    }
}

/// What the specification requires of a transaction that is told.
pub fn transaction(external_id: &str, status: &str) -> Value {
    json!({ "id": "tx-1", "externalTxId": external_id, "status": status, "subStatus": "", "txHash": "" })
}

/// Checks a request's signature as Fireblocks does, and gives its claims.
pub fn claims(authorization: &str, api_key: &str, uri: &str, body: &[u8]) -> Value {
    let token = authorization.strip_prefix("Bearer ").unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let public = KEY.public_key();
    let components = RsaPublicKeyComponents {
        n: public.modulus().big_endian_without_leading_zero(),
        e: public.exponent().big_endian_without_leading_zero(),
    };
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    components
        .verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature)
        .unwrap();
    let claims = URL_SAFE_NO_PAD
        .decode(message.split_once('.').unwrap().1)
        .unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let hash = hex::encode(digest(&SHA256, body));
    assert_eq!((api_key, &claims["sub"]), (API_KEY, &json!(API_KEY)));
    assert_eq!((&claims["uri"], &claims["bodyHash"]), (&json!(uri), &json!(hash)));
    let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!(issued < expires && expires < issued + 30, "{claims}");
    claims
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Our key as one of Fireblocks' for webhooks.
pub fn jwk(kid: &str) -> Value {
    let public = KEY.public_key();
    let n = base64(public.modulus().big_endian_without_leading_zero());
    let e = base64(public.exponent().big_endian_without_leading_zero());
    json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS512", "n": n, "e": e })
}

/// The header of a delivery that was signed with it.
pub fn sign_webhook(kid: &str, body: &[u8]) -> String {
    let header = base64(json!({ "alg": "RS512", "kid": kid }).to_string());
    let message = format!("{header}.{}", base64(body));
    let mut signature = vec![0; KEY.public_modulus_len()];
    KEY.sign(
        &RSA_PKCS1_SHA512,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{header}..{}", base64(signature))
}

/// The cause of an unknown outcome.
#[track_caller]
pub fn cause<T: std::fmt::Debug>(outcome: Result<T, CustodyError>) -> FireblocksError {
    match outcome {
        Err(CustodyError::Unknown(cause)) => *cause.downcast::<FireblocksError>().unwrap(),
        other => panic!("not unknown: {other:?}"),
    }
}
