//! What everybody who moves money to agents must keep.

use async_trait::async_trait;
use posx_kernel::{Money, PayoutId, SiteId};
use uuid::Uuid;

use super::{party, usd};
use crate::payout_gateway::{NewRecipient, PayoutGateway, PayoutGatewayError, SendPayout};

/// The world behind the provider.
#[async_trait]
pub trait BehindPayouts: Sync {
    /// The account's owner has told all that is asked for; or something does not hold any more.
    async fn set_ready(&self, account: &str, ready: bool);
    /// The next transfer is made, and the answer is lost.
    async fn lose_answer(&self);
    /// The next transfer is refused for want of money.
    async fn run_short(&self);
    /// So much of a transfer is taken back, of what is left of it.
    async fn take_back(&self, reference: &str, amount: Money);
}

/// `site` is one that the provider works for.
pub async fn payout_contract(gateway: &dyn PayoutGateway, behind: &dyn BehindPayouts, site: SiteId) {
    let account = opens_an_account_once(gateway, site).await;
    let request = |name: u128, attempt| SendPayout {
        site,
        payout: PayoutId::from_uuid(Uuid::from_u128(name)),
        attempt,
        account: account.clone(),
        amount: usd(5_000),
    };
    behind.set_ready(&account, false).await;
    let standing = gateway.standing(site, &account).await.expect("an answer");
    let standing = standing.expect("the account");
    assert!(
        !standing.payouts_enabled && !standing.missing.is_empty(),
        "{standing:?}"
    );
    let refused = gateway.send(&request(1, 1)).await;
    assert!(
        matches!(refused, Err(PayoutGatewayError::Refused { .. })),
        "{refused:?}"
    );
    behind.set_ready(&account, true).await;
    let standing = gateway.standing(site, &account).await.expect("an answer");
    assert!(standing.is_some_and(|standing| standing.payouts_enabled));
    assert_eq!(
        gateway.standing(site, "acct_nobody").await.expect("an answer"),
        None
    );

    let one = request(2, 1);
    assert_eq!(gateway.find(site, one.payout).await.expect("a look"), None);
    let sent = gateway.send(&one).await.expect("sent");
    assert_eq!(
        (sent.payout, sent.amount, sent.reversed),
        (Some(one.payout), usd(5_000), usd(0))
    );
    let again = gateway.send(&one).await.expect("the same answer");
    assert_eq!(
        again.reference, sent.reference,
        "the same key is the same transfer"
    );
    assert_eq!(
        gateway.find(site, one.payout).await.expect("a look"),
        Some(sent.clone())
    );

    fails_and_is_settled(gateway, behind, &request).await;
    for (more, reversed) in [(1_000, 1_000), (4_000, 5_000)] {
        behind.take_back(&sent.reference, usd(more)).await;
        let now = gateway
            .transfer(site, &sent.reference)
            .await
            .expect("a look")
            .expect("it");
        assert_eq!((now.reversed, now.payout), (usd(reversed), Some(one.payout)));
    }
    assert_eq!(gateway.transfer(site, "tr_nobodys").await.expect("a look"), None);
}

/// An answer that was lost is found; what was refused did not happen, and another try has another key.
async fn fails_and_is_settled(
    gateway: &dyn PayoutGateway,
    behind: &dyn BehindPayouts,
    request: &(dyn Fn(u128, i32) -> SendPayout + Sync),
) {
    let lost = request(3, 1);
    behind.lose_answer().await;
    let unknown = gateway.send(&lost).await;
    assert!(
        matches!(unknown, Err(PayoutGatewayError::Unknown(_))),
        "{unknown:?}"
    );
    let found = gateway
        .find(lost.site, lost.payout)
        .await
        .expect("a look")
        .expect("it was made");
    assert_eq!(found.payout, Some(lost.payout));

    behind.run_short().await;
    match gateway.send(&request(4, 1)).await {
        Err(PayoutGatewayError::Refused { code }) => assert_eq!(code, "balance_insufficient"),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        gateway
            .find(lost.site, request(4, 1).payout)
            .await
            .expect("a look"),
        None
    );
    let next = gateway
        .send(&request(4, 2))
        .await
        .expect("another try, another key");
    assert_eq!(next.payout, Some(request(4, 2).payout));
}

async fn opens_an_account_once(gateway: &dyn PayoutGateway, site: SiteId) -> String {
    let new = NewRecipient {
        site,
        agent: party(7),
        version: 1,
        country: "DE",
    };
    let opened = gateway.open_account(&new).await.expect("opened");
    assert_eq!(gateway.open_account(&new).await.expect("the same"), opened);
    let other = NewRecipient { version: 2, ..new };
    assert_ne!(gateway.open_account(&other).await.expect("another"), opened);
    let link = gateway
        .onboarding(site, &opened, "https://shop.test/again", "https://shop.test/done")
        .await
        .expect("a link");
    assert!(link.url.starts_with("https://"));
    assert!(
        !format!("{link:?}").contains(&link.url),
        "whoever has the address is let in"
    );
    opened
}
