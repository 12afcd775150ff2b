//! What every custodian must do, checked through the port: on the scripted one, the sandbox's and the real one.

use async_trait::async_trait;
use posx_kernel::{AllocationId, Ids as _, SeededIds, SiteId, Timestamp, TokenAmount};

use crate::custody::{Custody, CustodyError, ExternalId, Transfer, TransferRequest};
use crate::{CustodyAsset, Standing};

const ASSET: &str = "USDC_POLYGON";
const VAULT: &str = "7";
const DECIMALS: u8 = 6;

/// How a transfer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Completed,
    /// Nothing was broadcast.
    Failed,
    FailedOnChain,
    Blocked,
    /// The chain has it, and the third party behind the address does not.
    CompletedButThirdPartyFailed,
}

/// What happens behind the custodian's counter.
#[async_trait]
pub trait BehindTheCounter: Send + Sync {
    async fn end(&self, external_id: &ExternalId, ending: Ending);
    /// The next submit takes effect, and nobody hears its answer.
    async fn lose_answer(&self);
    /// The next submit meets an internal error and has no effect.
    async fn break_down(&self);
    /// The next submit is refused with this code.
    async fn refuse(&self, code: &'static str);
    /// The next look-up gets no answer.
    async fn lose_lookup(&self);
    /// The next question for a balance gets no answer.
    async fn lose_balance(&self);
    /// In whole tokens; `None`: the vault has no wallet for the asset.
    async fn hold(&self, vault: &str, asset: &str, balance: Option<&str>);
    /// The amounts, in whole tokens, of all transfers to an address.
    async fn sent_to(&self, address: &str) -> Vec<String>;
}

/// A custodian, and what is needed to ask it for things.
#[expect(
    missing_debug_implementations,
    reason = "a custodian prints, what drives it need not"
)]
pub struct Counter<'a> {
    pub custody: &'a dyn Custody,
    /// Another at the same custodian, with a key that it does not know.
    pub stranger: &'a dyn Custody,
    pub behind: &'a dyn BehindTheCounter,
    pub site: SiteId,
    ids: SeededIds,
    now: Timestamp,
}

impl<'a> Counter<'a> {
    /// `seed` keeps the external ids of two runs at one custodian apart.
    pub fn new(
        custody: &'a dyn Custody,
        stranger: &'a dyn Custody,
        behind: &'a dyn BehindTheCounter,
        site: SiteId,
        now: Timestamp,
        seed: u64,
    ) -> Self {
        Self {
            custody,
            stranger,
            behind,
            site,
            ids: SeededIds::new(seed),
            now,
        }
    }

    /// With an external id and an address of its own.
    pub fn request(&self) -> TransferRequest {
        let id = AllocationId::from_uuid(self.ids.uuid(self.now));
        TransferRequest {
            site: self.site,
            external_id: ExternalId(format!("{id}-1")),
            provider_asset: ASSET.to_owned(),
            vault: VAULT.to_owned(),
            to: format!("0x{}", id.as_uuid().simple()),
            amount: TokenAmount::from_base_units(1_500_000),
            decimals: DECIMALS,
        }
    }

    async fn made(&self) -> (TransferRequest, Transfer) {
        let request = self.request();
        let made = self.custody.submit(&request).await.expect("a transfer");
        (request, made)
    }

    async fn find(&self, request: &TransferRequest) -> Option<Transfer> {
        let found = self.custody.find(self.site, &request.external_id).await;
        found.expect("an answer")
    }

    /// As [`Custody::submit`] says: a taken external id makes nothing new.
    async fn submit_again(&self, request: &TransferRequest, first: &Transfer) {
        match self.custody.submit(request).await {
            Ok(again) => assert_eq!(again.provider_id, first.provider_id),
            Err(CustodyError::Duplicate) => {}
            other => panic!("a taken external id: {other:?}"),
        }
    }

    async fn sent(&self, request: &TransferRequest) -> Vec<String> {
        self.behind.sent_to(&request.to).await
    }
}

/// Runs at a custodian that may have seen other things before.
pub async fn custody_contract(counter: &Counter<'_>) {
    f05_an_external_id_has_one_transfer_that_is_found_by_it(counter).await;
    f05_what_was_never_sent_is_certainly_not_there(counter).await;
    f06_a_transfer_whose_answer_was_lost_is_found_and_not_made_again(counter).await;
    f04_after_an_internal_error_the_same_transfer_can_be_sent(counter).await;
    a_refusal_makes_nothing_and_says_why(counter).await;
    f13_amounts_are_exact(counter).await;
    f08_f09_f10_each_end_is_told_with_its_words_and_a_hash_only_if_on_chain(counter).await;
    p24_a_look_up_without_an_answer_is_not_an_empty_one(counter).await;
    an_unknown_key_is_an_error_and_never_an_answer(counter).await;
    f17_a_vaults_balance_is_told_in_base_units(counter).await;
}

async fn f05_an_external_id_has_one_transfer_that_is_found_by_it(counter: &Counter<'_>) {
    let (request, made) = counter.made().await;
    assert_eq!(made.external_id.as_ref(), Some(&request.external_id));
    assert_eq!(Standing::of(&made.status, None), Standing::Submitted, "{made:?}");
    assert_eq!((&made.tx_hash, made.confirmations), (&None, 0));
    assert_eq!(counter.find(&request).await, Some(made.clone()));
    counter.submit_again(&request, &made).await;

    let mut other = request.clone();
    other.amount = TokenAmount::from_base_units(9);
    let refused = counter.custody.submit(&other).await;
    assert!(matches!(refused, Err(CustodyError::Duplicate)), "{refused:?}");
    assert_eq!(counter.sent(&request).await, ["1.5"]);

    counter.behind.end(&request.external_id, Ending::Failed).await;
    let refused = counter.custody.submit(&other).await;
    assert!(matches!(refused, Err(CustodyError::Duplicate)), "{refused:?}");
    let (_, another) = counter.made().await;
    assert_ne!(another.provider_id, made.provider_id);
}

async fn f05_what_was_never_sent_is_certainly_not_there(counter: &Counter<'_>) {
    assert_eq!(counter.find(&counter.request()).await, None);
    for nothing in [
        "",
        ".",
        "..",
        "../transactions",
        "a/b c?%2F#é",
        "x".repeat(300).as_str(),
    ] {
        let external_id = ExternalId(nothing.to_owned());
        let found = counter.custody.find(counter.site, &external_id).await;
        assert_eq!(found.expect("an answer"), None, "{nothing:?}");
    }
}

async fn f06_a_transfer_whose_answer_was_lost_is_found_and_not_made_again(counter: &Counter<'_>) {
    let request = counter.request();
    counter.behind.lose_answer().await;
    assert_unknown(&counter.custody.submit(&request).await);
    let found = counter.find(&request).await.expect("it was made");
    counter.submit_again(&request, &found).await;
    assert_eq!(counter.sent(&request).await.len(), 1);
}

async fn f04_after_an_internal_error_the_same_transfer_can_be_sent(counter: &Counter<'_>) {
    let request = counter.request();
    counter.behind.break_down().await;
    assert_unknown(&counter.custody.submit(&request).await);
    assert_eq!(counter.find(&request).await, None);
    let made = counter.custody.submit(&request).await.expect("sent");
    assert_eq!(counter.find(&request).await, Some(made));
    assert_eq!(counter.sent(&request).await.len(), 1);
}

async fn a_refusal_makes_nothing_and_says_why(counter: &Counter<'_>) {
    let request = counter.request();
    counter.behind.refuse("1427").await;
    match counter.custody.submit(&request).await {
        Err(CustodyError::Refused { code }) => assert_eq!(code, "1427"),
        other => panic!("not refused: {other:?}"),
    }
    assert_eq!(counter.find(&request).await, None);
    assert!(counter.sent(&request).await.is_empty());
}

async fn f13_amounts_are_exact(counter: &Counter<'_>) {
    for (units, decimals, told) in [
        (1, 18, "0.000000000000000001"),
        (
            1_234_567_890_123_456_789_012_345,
            18,
            "1234567.890123456789012345",
        ),
        (100_000_000, 6, "100"),
        (7, 0, "7"),
    ] {
        let request = TransferRequest {
            amount: TokenAmount::from_base_units(units),
            decimals,
            ..counter.request()
        };
        counter.custody.submit(&request).await.expect("a transfer");
        assert_eq!(counter.sent(&request).await, [told]);
    }
}

async fn f08_f09_f10_each_end_is_told_with_its_words_and_a_hash_only_if_on_chain(counter: &Counter<'_>) {
    let failed = |needs_person| Standing::Failed { needs_person };
    for (ending, standing, on_chain) in [
        (Ending::Completed, Standing::Completed, true),
        (Ending::Failed, failed(false), false),
        (Ending::FailedOnChain, failed(false), true),
        (Ending::Blocked, failed(true), false),
        (Ending::CompletedButThirdPartyFailed, failed(true), true),
    ] {
        let (request, made) = counter.made().await;
        counter.behind.end(&request.external_id, ending).await;
        let ended = counter.find(&request).await.expect("it is there");
        assert_eq!(ended.provider_id, made.provider_id);
        let words = (ended.status.as_str(), ended.sub_status.as_deref());
        assert_eq!(Standing::of(words.0, words.1), standing, "{ending:?}: {words:?}");
        let told = (ended.tx_hash.is_some(), ended.confirmations > 0);
        assert_eq!(told, (on_chain, on_chain), "{ending:?}: {ended:?}");
        counter.submit_again(&request, &ended).await;
    }
}

async fn p24_a_look_up_without_an_answer_is_not_an_empty_one(counter: &Counter<'_>) {
    let (request, made) = counter.made().await;
    counter.behind.lose_lookup().await;
    assert_unknown(&counter.custody.find(counter.site, &request.external_id).await);
    assert_eq!(counter.find(&request).await, Some(made));
}

async fn an_unknown_key_is_an_error_and_never_an_answer(counter: &Counter<'_>) {
    let (known, _) = counter.made().await;
    let request = counter.request();
    assert_locked_out(&counter.stranger.submit(&request).await);
    assert_locked_out(&counter.stranger.find(counter.site, &known.external_id).await);
    assert_locked_out(
        &counter
            .stranger
            .available(counter.site, &wallet("USDC_POLYGON"))
            .await,
    );
    assert_eq!(counter.find(&request).await, None);
    // What a stranger tried is not used up.
    counter.custody.submit(&request).await.expect("a transfer");
}

async fn f17_a_vaults_balance_is_told_in_base_units(counter: &Counter<'_>) {
    let available = async |asset: &str| counter.custody.available(counter.site, &wallet(asset)).await;
    for (balance, units) in [
        ("12.5", Some(12_500_000)),
        ("0.0000019", Some(1)),
        ("0", Some(0)),
        ("340000000", Some(340_000_000_000_000)),
    ] {
        counter.behind.hold(VAULT, "POSX_POLYGON", Some(balance)).await;
        let told = available("POSX_POLYGON").await.expect("an answer");
        assert_eq!(told, units.map(TokenAmount::from_base_units), "{balance}");
    }
    counter.behind.hold(VAULT, "POSX_POLYGON", None).await;
    assert_eq!(available("POSX_POLYGON").await.expect("an answer"), None);
    counter.behind.hold(VAULT, "POSX_POLYGON", Some("1")).await;
    counter.behind.lose_balance().await;
    assert_unknown(&available("POSX_POLYGON").await);
}

fn wallet(asset: &str) -> CustodyAsset {
    CustodyAsset {
        provider_asset: asset.to_owned(),
        vault: VAULT.to_owned(),
        decimals: DECIMALS,
    }
}

fn assert_unknown<T: std::fmt::Debug>(outcome: &Result<T, CustodyError>) {
    assert!(matches!(outcome, Err(CustodyError::Unknown(_))), "{outcome:?}");
}

fn assert_locked_out<T: std::fmt::Debug>(outcome: &Result<T, CustodyError>) {
    match outcome {
        Err(CustodyError::NotAuthorized { code }) => assert!(!code.is_empty()),
        other => panic!("let in: {other:?}"),
    }
}
