//! Access tokens that one core verifies, the whole way from text to claims with a warm key set, beside the bare signatures
//! that the library verifies in the same time.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posx_kernel::SystemClock;
use posx_oidc::{IssuerConfig, Verifier};
use posx_sandbox::{TokenRequest, World};

use crate::Outcome;
use crate::load::closed_loop;
use crate::report::Row;
use crate::scene::AUDIENCE;

/// One task, so that one core does all of it.
const ONE_CORE: usize = 1;

pub async fn measure(world: &World, seconds: u64) -> Outcome<Row> {
    println!("token verification …");
    let token: Arc<str> = world
        .issuer()
        .token(&TokenRequest::new("bench|token", AUDIENCE))?
        .into();
    let lasting = Duration::from_secs(seconds);

    let key = Arc::new(signing_key(world).await?);
    let (message, signature) = token.rsplit_once('.').ok_or("the token has no signature")?;
    let (message, signature) = (Arc::<str>::from(message), URL_SAFE_NO_PAD.decode(signature)?);
    let signature: Arc<[u8]> = signature.into();
    let bare = closed_loop(ONE_CORE, lasting, move |_, _| {
        let (key, message, signature) = (Arc::clone(&key), Arc::clone(&message), Arc::clone(&signature));
        async move { key.verify_sig(message.as_bytes(), &signature).is_ok() }
    })
    .await;

    let config = IssuerConfig::new(world.issuer().url(), AUDIENCE);
    let verifier = Arc::new(Verifier::new(vec![config], Arc::new(SystemClock))?);
    // The key set is warm before anything is counted.
    verifier.verify(&token).await?;
    let measured = closed_loop(ONE_CORE, lasting, move |_, _| {
        let (verifier, token) = (Arc::clone(&verifier), Arc::clone(&token));
        async move { verifier.verify(&token).await.is_ok() }
    })
    .await;
    if bare.failed > 0 {
        return Err("a good signature was refused".into());
    }
    Ok(Row::new(
        "token verification, RS256 with 2048 bits, one core",
        &measured,
        bare.rate_per_s,
        None,
    ))
}

/// The one that the issuer signs with now: the first of its set.
async fn signing_key(world: &World) -> Outcome<ParsedPublicKey> {
    let url = format!("{}.well-known/jwks.json", world.issuer().url());
    let client = reqwest::Client::builder().no_proxy().build()?;
    let set: serde_json::Value = client.get(url).send().await?.error_for_status()?.json().await?;
    let part = |name: &str| {
        let text = set["keys"][0][name].as_str().unwrap_or_default();
        URL_SAFE_NO_PAD.decode(text)
    };
    let (n, e) = (part("n")?, part("e")?);
    Ok(RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)?)
}
