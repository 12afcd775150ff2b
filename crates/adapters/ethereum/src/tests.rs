//! On signatures and calls that ethers made (`vectors/make.mjs`), on one that a browser wallet made, and on a node that
//! answers in every way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

#[derive(Deserialize)]
struct Vectors {
    signatures: Vec<Signed>,
    calls: Vec<Call>,
    answer: String,
    addresses: Vec<String>,
}

#[derive(Deserialize)]
struct Signed {
    address: String,
    message: String,
    hash: String,
    signature: String,
}

#[derive(Deserialize)]
struct Call {
    hash: String,
    signature: String,
    data: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/signatures.json")).expect("the vectors are JSON")
}

fn address(text: &str) -> EvmAddress {
    EvmAddress::parse_canonical(text).expect("an address")
}

async fn by_key(signer: &str, message: &str, signature: &str) -> SignatureVerdict {
    let verifier = WalletVerifier::default();
    let verdict = verifier.verify(&address(signer), 1, message, signature).await;
    verdict.expect("no node is asked")
}

/// Other ways to write the last byte.
fn with_recovery(signature: &str, byte: u8) -> String {
    format!("{}{byte:02x}", &signature[..signature.len() - 2])
}

fn recovery(signature: &str) -> u8 {
    u8::from_str_radix(&signature[signature.len() - 2..], 16).expect("a byte")
}

#[tokio::test]
async fn a_signature_of_ethers_is_its_wallets_and_no_other_wallets_or_messages() {
    let vectors = vectors();
    assert!(vectors.signatures.len() >= 15);
    for signed in &vectors.signatures {
        assert_eq!(
            hex::encode(personal_message_hash(&signed.message)),
            signed.hash[2..]
        );
        let (signer, text, signature) = (&signed.address, &signed.message, &signed.signature);
        assert_eq!(
            by_key(signer, text, signature).await,
            SignatureVerdict::ByKey,
            "{text}"
        );
        let short = with_recovery(signature, recovery(signature) - 27);
        assert_eq!(by_key(signer, text, &short).await, SignatureVerdict::ByKey);
        let tampered = format!("{text}.");
        assert_eq!(
            by_key(signer, &tampered, signature).await,
            SignatureVerdict::Invalid
        );
        for other in vectors.signatures.iter().filter(|other| other.address != *signer) {
            assert_eq!(
                by_key(&other.address, text, signature).await,
                SignatureVerdict::Invalid
            );
        }
        for byte in [2, 3, 26, 29, 30, 255, 27 + 28 - recovery(signature)] {
            let wrong = with_recovery(signature, byte);
            assert_eq!(
                by_key(signer, text, &wrong).await,
                SignatureVerdict::Invalid,
                "{byte}"
            );
        }
    }
}

/// `example message` of the reference implementations' verification vectors (signinwithethereum 0.8.1).
#[tokio::test]
async fn a_browser_wallets_signature_holds() {
    let message = "siwe.xyz wants you to sign in with your Ethereum account:\n0xAE9aA90F1a627c7a20783AF9e8747fCFEDEFAd03\n\n\
        Sign In with Ethereum Example Statement\n\nURI: https://siwe.xyz\nVersion: 1\nChain ID: 1\nNonce: bTyXgcQxn2htgkjJn\n\
        Issued At: 2022-01-27T17:09:38.578Z\nExpiration Time: 2100-01-07T14:31:43.952Z";
    let signature =
        "0x7fcf011b4dff0a6024ce6cea93dcd0ebc4592f43e7685e174d4d3d4a1f942ed75bbf5358841924dc8e1b261f750dfec5\
        dbcc0aad9a3d9439f1e5c4d59d7d98a81c"
            .replace(' ', "");
    let signer = "0xAE9aA90F1a627c7a20783AF9e8747fCFEDEFAd03";
    assert_eq!(by_key(signer, message, &signature).await, SignatureVerdict::ByKey);
}

/// n − s with the other recovery byte verifies as well: who saw one signature could present a second one.
#[tokio::test]
async fn a_signature_with_a_high_s_is_refused() {
    use k256::elliptic_curve::PrimeField as _;
    for signed in vectors().signatures {
        let mut bytes = hex::decode(&signed.signature[2..]).expect("hexadecimal");
        let s = k256::Scalar::from_repr(<[u8; 32]>::try_from(&bytes[32..64]).expect("32 bytes").into());
        let high = -s.expect("a scalar");
        bytes[32..64].copy_from_slice(&high.to_bytes());
        bytes[64] = 27 + 28 - bytes[64];
        let twin = format!("0x{}", hex::encode(&bytes));
        // The curve alone would take it.
        let verified = k256::ecdsa::Signature::from_slice(&bytes[..64]).expect("a signature");
        let key = k256::ecdsa::VerifyingKey::recover_from_prehash(
            &personal_message_hash(&signed.message),
            &verified,
            k256::ecdsa::RecoveryId::from_byte(bytes[64] - 27).expect("a recovery byte"),
        );
        assert!(key.is_ok());
        assert_eq!(
            by_key(&signed.address, &signed.message, &twin).await,
            SignatureVerdict::Invalid
        );
    }
}

#[tokio::test]
async fn what_is_no_signature_is_told_from_one_that_only_a_contract_can_make() {
    let of = vectors().signatures.remove(0);
    let verdict = async |signature: &str| by_key(&of.address, &of.message, signature).await;
    for nothing in ["", "0x", "0x0", "0xzz", "00", &format!("0x{}", "00".repeat(4097))] {
        assert_eq!(verdict(nothing).await, SignatureVerdict::Invalid, "{nothing:.20}");
    }
    for zero in [27, 0] {
        let signature = format!("0x{}{zero:02x}", "00".repeat(64));
        assert_eq!(verdict(&signature).await, SignatureVerdict::Invalid);
    }
    assert_eq!(
        verdict(&format!("0x{}", "11".repeat(130))).await,
        SignatureVerdict::ContractOff
    );
    assert_eq!(
        verdict(&of.signature[..of.signature.len() - 2]).await,
        SignatureVerdict::ContractOff
    );
}

#[test]
fn addresses_have_the_case_that_ethers_gives_them() {
    for known in vectors().addresses {
        let parsed = EvmAddress::parse(&known.to_lowercase()).expect("an address");
        assert_eq!(parsed.as_str(), known);
    }
}

#[test]
fn the_call_of_a_contract_is_written_as_ethers_writes_it() {
    let vectors = vectors();
    for call in vectors.calls {
        let hash = hex::decode(&call.hash[2..]).expect("hexadecimal");
        let signature = hex::decode(&call.signature[2..]).expect("hexadecimal");
        let hash = hash.try_into().expect("32 bytes");
        assert_eq!(contract::call_data(&hash, &signature), call.data);
    }
    assert!(contract::is_yes(&vectors.answer));
    let one = format!("0x{:064x}", 1);
    let longer = format!("{}00", vectors.answer);
    for no in ["0x", "", "0x1626ba7e", "0xffffffff", &one, &longer] {
        assert!(!contract::is_yes(no), "{no}");
    }
}

/// A node of chain 1 that gives `eth_call` this answer, and notes what it was asked.
async fn node(answer: Value) -> (WalletVerifier, Arc<Mutex<Vec<Value>>>) {
    type Script = (Value, Arc<Mutex<Vec<Value>>>);
    async fn rpc(State((answer, asked)): State<Script>, Json(request): Json<Value>) -> Json<Value> {
        let said = if request["method"] == "eth_chainId" {
            json!({ "jsonrpc": "2.0", "id": 1, "result": "0x1" })
        } else {
            asked.lock().expect("no test panics in it").push(request);
            answer
        };
        Json(said)
    }
    let asked = Arc::new(Mutex::new(Vec::new()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let here: SocketAddr = listener.local_addr().expect("an address");
    let router = Router::new()
        .route("/", post(rpc))
        .with_state((answer, asked.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let of = |chain| (chain, Node::new(&format!("http://{here}")).expect("a node"));
    (WalletVerifier::new([of(1), of(137)].into()), asked)
}

const CONTRACT: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

async fn by_contract(answer: Value) -> Result<SignatureVerdict, VerifierError> {
    let (verifier, _) = node(answer).await;
    verifier
        .verify(&address(CONTRACT), 1, "hello world", "0x0102")
        .await
}

#[tokio::test]
async fn a_contract_wallet_is_asked_on_its_chain_and_its_word_counts() {
    let yes = json!({ "jsonrpc": "2.0", "id": 1, "result": vectors().answer });
    let (verifier, asked) = node(yes).await;
    let signature = format!("0x{}", "cd".repeat(65));
    let verdict = verifier
        .verify(&address(CONTRACT), 1, "hello world", &signature)
        .await;
    assert_eq!(verdict.expect("an answer"), SignatureVerdict::ByContract);
    let asked = asked.lock().expect("no test panics in it").clone();
    assert_eq!(asked[0]["params"][0]["to"], CONTRACT);
    assert_eq!(asked[0]["params"][0]["data"], vectors().calls[3].data);
    // A node of another chain than it is configured for knows nothing of this one's contracts.
    assert!(
        verifier
            .verify(&address(CONTRACT), 137, "hello world", &signature)
            .await
            .is_err()
    );
    // A chain without a node.
    let off = verifier
        .verify(&address(CONTRACT), 56, "hello world", "0x0102")
        .await;
    assert_eq!(off.expect("an answer"), SignatureVerdict::ContractOff);
}

#[tokio::test]
async fn a_contract_that_says_no_reverts_or_is_not_there_did_not_sign() {
    let result = |text: &str| json!({ "jsonrpc": "2.0", "id": 1, "result": text });
    let error = |code: i64, message: &str| json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": code, "message": message } });
    for no in [
        result("0x"),
        result(&format!("0xffffffff{}", "00".repeat(28))),
        error(3, "execution reverted"),
        error(-32000, "execution reverted: GS026"),
        error(-32015, "VM execution error: Reverted"),
    ] {
        let verdict = by_contract(no.clone()).await;
        assert_eq!(verdict.expect("an answer"), SignatureVerdict::Invalid, "{no}");
    }
    for unclear in [
        error(-32005, "daily request count exceeded"),
        json!({ "jsonrpc": "2.0", "id": 1 }),
        json!("no"),
        result(&"0".repeat(70_000)),
    ] {
        assert!(by_contract(unclear.clone()).await.is_err(), "{unclear:.60}");
    }
}

#[tokio::test]
async fn a_node_that_is_away_is_no_answer_and_its_address_is_not_shown() {
    let url = "http://127.0.0.1:1/secret-key";
    let verifier = WalletVerifier::new([(1, Node::new(url).expect("a node"))].into());
    let error = verifier
        .verify(&address(CONTRACT), 1, "hello world", "0x0102")
        .await;
    let error = error.expect_err("nobody is there");
    let mut shown = format!("{verifier:?} {error:?}");
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        shown = format!("{shown} {cause} {cause:?}");
        next = cause.source();
    }
    assert!(!shown.contains("secret-key"), "{shown}");
    assert!(matches!(
        Node::new("http://node.test/"),
        Err(NodeAddressError::Scheme)
    ));
}
