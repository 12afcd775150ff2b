//! The grammar on the reference implementations' vectors, and the use cases on storage in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::{Currency, ManualClock, Refusal as _, SeededIds, SiteId, StoreError, Transaction};
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::{Module, SiteCode, SiteState};

const ALICE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn vectors(json: &str) -> BTreeMap<String, Value> {
    serde_json::from_str(json).expect("the vectors are JSON")
}

fn instant(text: &Value) -> Option<DateTime<Utc>> {
    text.as_str().map(|text| text.parse().expect("an instant"))
}

#[test]
fn every_valid_message_of_the_reference_vectors_is_read_as_they_say() {
    let vectors = vectors(include_str!("vectors/parsing_positive.json"));
    assert!(vectors.len() >= 20);
    for (name, vector) in vectors {
        let text = vector["message"].as_str().expect("a message");
        let message = SignInMessage::parse(text).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let fields = &vector["fields"];
        assert_eq!(fields["domain"], message.domain, "{name}");
        assert_eq!(fields["scheme"].as_str(), message.scheme.as_deref(), "{name}");
        assert_eq!(fields["address"], message.address.as_str(), "{name}");
        assert_eq!(
            fields["statement"].as_str(),
            message.statement.as_deref(),
            "{name}"
        );
        let uri: Url = fields["uri"].as_str().expect("a URI").parse().expect("a URI");
        assert_eq!(uri, message.uri, "{name}");
        assert_eq!(fields["chainId"], message.chain_id, "{name}");
        assert_eq!(fields["nonce"], message.nonce, "{name}");
        assert_eq!(instant(&fields["issuedAt"]), Some(message.issued_at), "{name}");
        assert_eq!(instant(&fields["expirationTime"]), message.expires_at, "{name}");
        assert_eq!(instant(&fields["notBefore"]), message.not_before, "{name}");
        assert_eq!(
            fields["requestId"].as_str(),
            message.request_id.as_deref(),
            "{name}"
        );
        let resources = fields["resources"].as_array().cloned().unwrap_or_default();
        assert_eq!(resources, message.resources, "{name}");
    }
}

#[test]
fn every_invalid_message_of_the_reference_vectors_is_refused() {
    let vectors = vectors(include_str!("vectors/parsing_negative.json"));
    assert!(vectors.len() >= 37);
    for (name, text) in vectors {
        let text = text.as_str().expect("a message");
        assert!(SignInMessage::parse(text).is_err(), "{name}");
    }
}

#[test]
fn an_address_without_its_checksum_is_refused_though_others_only_warn() {
    for (name, vector) in vectors(include_str!("vectors/parsing_warnings.json")) {
        let text = vector["message"].as_str().expect("a message");
        assert_eq!(
            SignInMessage::parse(text),
            Err(message::Malformed("address")),
            "{name}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_an_answer_and_never_a_panic(text in "(?s).{0,300}") {
        let _ = SignInMessage::parse(&text);
    }

    #[test]
    fn a_message_with_one_line_more_or_twice_is_refused(at in 0_usize..20, what in "[A-Za-z]{1,10}: [a-z0-9]{0,10}") {
        let vectors = vectors(include_str!("vectors/parsing_positive.json"));
        let text = vectors["all optional fields"]["message"].as_str().expect("a message");
        let mut lines: Vec<&str> = text.split('\n').collect();
        let at = at % (lines.len() + 1);
        lines.insert(at, &what);
        prop_assert!(SignInMessage::parse(&lines.join("\n")).is_err());
        lines.remove(at);
        let at = at % lines.len();
        // Two of its resources may be the same.
        if !lines[at].starts_with("- ") {
            lines.insert(at, lines[at]);
            prop_assert!(SignInMessage::parse(&lines.join("\n")).is_err());
        }
    }
}

/// Each site's nonces, and whether they are used.
type Nonces = BTreeMap<(SiteId, String), (NewChallenge, bool)>;

#[derive(Debug, Clone, Default)]
struct FakeDb(Arc<Mutex<Nonces>>);

struct FakeTx(FakeDb, SiteId);

#[async_trait]
impl Begin<dyn WalletProofsTx> for FakeDb {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn WalletProofsTx>, StoreError> {
        Ok(Box::new(FakeTx(self.clone(), scope.site())))
    }
}

#[async_trait]
impl Transaction for FakeTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl WalletProofsTx for FakeTx {
    fn wallet_challenges(&mut self) -> &mut dyn WalletChallenges {
        self
    }
}

impl FakeTx {
    /// Marks it as used if `using`.
    fn open(&self, nonce: &str, holder: Option<IdentityId>, now: Timestamp, using: bool) -> bool {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get_mut(&(self.1, nonce.to_owned()));
        let open = found.filter(|(of, used)| !*used && of.holder == holder && of.expires_at > now);
        open.map(|(_, used)| *used = using).is_some()
    }
}

#[async_trait]
impl WalletChallenges for FakeTx {
    async fn issue(&mut self, new: &NewChallenge) -> Result<(), StoreError> {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert((self.1, new.nonce.clone()), (new.clone(), false));
        Ok(())
    }
    async fn is_open(
        &mut self,
        nonce: &str,
        holder: Option<IdentityId>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.open(nonce, holder, now, false))
    }
    async fn consume(
        &mut self,
        nonce: &str,
        holder: Option<IdentityId>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.open(nonce, holder, now, true))
    }
}

/// The signature says what it proves: cryptography is the adapter's.
#[derive(Debug)]
struct Spelled;

#[async_trait]
impl SignatureVerifier for Spelled {
    async fn verify(
        &self,
        _: &EvmAddress,
        _: u64,
        _: &str,
        signature: &str,
    ) -> Result<SignatureVerdict, VerifierError> {
        match signature {
            "key" => Ok(SignatureVerdict::ByKey),
            "contract" => Ok(SignatureVerdict::ByContract),
            "off" => Ok(SignatureVerdict::ContractOff),
            "down" => Err(VerifierError("no answer".into())),
            _ => Ok(SignatureVerdict::Invalid),
        }
    }
}

struct World {
    proofs: WalletProofs,
    clock: Arc<ManualClock>,
    site: Site,
    scope: SiteScope,
}

fn world() -> World {
    let now = "2026-03-01T12:00:00Z".parse().expect("an instant");
    let clock = Arc::new(ManualClock::stopped_at(now));
    let rules = WalletProofRules {
        domains: vec!["localhost:5173".to_owned()],
        chain_ids: vec![1, 137],
    };
    let id = SiteId::from_uuid(Uuid::from_u128(1));
    World {
        proofs: WalletProofs::new(
            Arc::new(FakeDb::default()),
            Arc::new(Spelled),
            rules,
            clock.clone(),
            Arc::new(SeededIds::new(7)),
        ),
        clock,
        site: Site {
            id,
            code: SiteCode::new("NA").expect("a code"),
            name: "North".to_owned(),
            host_names: vec!["na.posx.test".to_owned()],
            cors_origins: Vec::new(),
            currency: Currency::from_code("USD").expect("a currency"),
            time_zone: chrono_tz::UTC,
            state: SiteState::Active,
            modules: vec![Module::TokenSale],
            order_expiry_minutes: 15,
            created_at: now,
        },
        scope: SiteScope::of_verified_request(id),
    }
}

fn identity(name: u128) -> IdentityId {
    IdentityId::from_uuid(Uuid::from_u128(name))
}

impl World {
    async fn challenge(&self, holder: Option<IdentityId>) -> Challenge {
        let wish = ChallengeWish {
            holder,
            address: ALICE,
            chain_id: 137,
            domain: None,
        };
        self.proofs
            .challenge(&self.scope, &self.site, wish)
            .await
            .expect("a challenge")
    }

    async fn prove(
        &self,
        holder: Option<IdentityId>,
        text: &str,
        signature: &str,
    ) -> Result<ProvenWallet, WalletProofError> {
        self.proofs
            .prove(&self.scope, &self.site, holder, text, signature)
            .await
    }

    async fn refused(&self, text: &str) -> &'static str {
        self.prove(None, text, "key").await.expect_err(text).code()
    }
}

#[tokio::test]
async fn a_message_that_the_wallet_signed_proves_it_once() {
    let world = world();
    let challenge = world.challenge(None).await;
    let read = SignInMessage::parse(&challenge.message).expect("our own message");
    assert_eq!(read.to_string(), challenge.message);
    let proven = world
        .prove(None, &challenge.message, "key")
        .await
        .expect("proven");
    assert_eq!(proven.address().as_str(), ALICE);
    assert_eq!(
        proven.account(),
        format!("eip155:1:{ALICE}"),
        "a key is the same on every chain"
    );
    assert_eq!(world.refused(&challenge.message).await, "wallet_nonce_unknown");
}

#[tokio::test]
async fn a_contract_wallet_is_one_of_its_chain() {
    let world = world();
    let challenge = world.challenge(None).await;
    let proven = world
        .prove(None, &challenge.message, "contract")
        .await
        .expect("proven");
    assert_eq!(proven.account(), format!("eip155:137:{ALICE}"));
}

#[tokio::test]
async fn a_nonce_is_its_holders_and_its_sites() {
    let world = world();
    let mine = world.challenge(Some(identity(1))).await;
    for other in [None, Some(identity(2))] {
        let refused = world
            .prove(other, &mine.message, "key")
            .await
            .expect_err("another's");
        assert_eq!(refused.code(), "wallet_nonce_unknown");
    }
    let elsewhere = SiteScope::of_verified_request(SiteId::from_uuid(Uuid::from_u128(2)));
    let refused = world
        .proofs
        .prove(&elsewhere, &world.site, Some(identity(1)), &mine.message, "key")
        .await;
    assert_eq!(
        refused.expect_err("another site's").code(),
        "wallet_nonce_unknown"
    );
    assert!(world.prove(Some(identity(1)), &mine.message, "key").await.is_ok());
}

#[tokio::test]
async fn what_is_refused_before_leaves_the_nonce_as_it_is() {
    let world = world();
    let text = world.challenge(None).await.message;
    for (signature, code) in [
        ("0x00", "wallet_signature_invalid"),
        ("off", "wallet_contract_unsupported"),
        ("down", "wallet_node_unavailable"),
    ] {
        let refused = world.prove(None, &text, signature).await.expect_err(signature);
        assert_eq!(refused.code(), code);
    }
    assert!(world.prove(None, &text, "key").await.is_ok());
}

#[tokio::test]
async fn a_message_for_another_page_chain_or_nonce_is_refused() {
    let world = world();
    let text = world.challenge(None).await.message;
    for (from, to, code) in [
        (
            "na.posx.test wants",
            "evil.test wants",
            "wallet_message_domain_mismatch",
        ),
        (
            "https://na.posx.test/",
            "https://evil.test/",
            "wallet_message_uri_mismatch",
        ),
        (
            "https://na.posx.test/",
            "https://na.posx.test@evil.test/",
            "wallet_message_uri_mismatch",
        ),
        (
            "https://na.posx.test/",
            "http://na.posx.test/",
            "wallet_message_uri_mismatch",
        ),
        (
            "na.posx.test wants",
            "http://na.posx.test wants",
            "wallet_message_uri_mismatch",
        ),
        ("Chain ID: 137", "Chain ID: 5", "wallet_chain_not_allowed"),
        ("Version: 1", "Version: 2", "wallet_message_invalid"),
        ("Nonce: ", "Nonce: 0", "wallet_nonce_unknown"),
    ] {
        assert!(text.contains(from), "{from}");
        assert_eq!(world.refused(&text.replacen(from, to, 1)).await, code, "{to}");
    }
    // A page of a developer, as configured.
    let mut local = text.replacen("na.posx.test wants", "localhost:5173 wants", 1);
    local = local.replacen("https://na.posx.test/", "http://localhost:5173/login", 1);
    assert!(world.prove(None, &local, "key").await.is_ok());
}

#[tokio::test]
async fn times_are_held_to_with_a_minute_of_leeway() {
    let world = world();
    let text = world.challenge(None).await.message;
    let at = |line: &str, minute: u32| format!("{line}: 2026-03-01T12:{minute:02}:00Z");
    let (issued, expires) = (at("Issued At", 0), at("Expiration Time", 10));
    let later = format!("{expires}\n{}", at("Not Before", 2));
    assert_eq!(
        world.refused(&text.replace(&issued, &at("Issued At", 2))).await,
        "wallet_message_not_yet_valid"
    );
    assert_eq!(
        world.refused(&text.replace(&expires, &later)).await,
        "wallet_message_not_yet_valid"
    );
    let past = "Issued At: 2026-03-01T11:48:59Z";
    assert_eq!(
        world.refused(&text.replace(&issued, past)).await,
        "wallet_message_expired"
    );
    let over = "Expiration Time: 2026-03-01T11:59:00Z";
    assert_eq!(
        world.refused(&text.replace(&expires, over)).await,
        "wallet_message_expired"
    );
    // The message's own times give a minute; the nonce is ours and gives none.
    world.clock.advance(TimeDelta::minutes(10));
    assert_eq!(world.refused(&text).await, "wallet_nonce_unknown");
    world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(world.refused(&text).await, "wallet_message_expired");
}

#[tokio::test]
async fn no_message_is_made_that_would_not_be_taken() {
    let world = world();
    let good = ChallengeWish {
        holder: None,
        address: ALICE,
        chain_id: 1,
        domain: None,
    };
    for (wish, code) in [
        (
            ChallengeWish {
                address: "0x1",
                ..good
            },
            "wallet_address_invalid",
        ),
        (ChallengeWish { chain_id: 5, ..good }, "wallet_chain_not_allowed"),
        (
            ChallengeWish {
                domain: Some("evil.test"),
                ..good
            },
            "wallet_message_domain_mismatch",
        ),
        (
            ChallengeWish {
                domain: Some("a b"),
                ..good
            },
            "wallet_message_domain_mismatch",
        ),
    ] {
        let refused = world
            .proofs
            .challenge(&world.scope, &world.site, wish)
            .await
            .expect_err(code);
        assert_eq!(refused.code(), code);
    }
}
