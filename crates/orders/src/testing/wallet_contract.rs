//! What every store of bound wallets promises.

use chrono::TimeDelta;
use posx_kernel::{Begin, PartyId, SiteScope, Timestamp};

use crate::{Bound, NewWallet, OrdersTx, Wallet, WalletAddress};

const FIRST: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const SECOND: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
const THIRD: &str = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB";
const TRON: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";

fn wait() -> TimeDelta {
    TimeDelta::hours(24)
}

fn new(text: &str, at: Timestamp) -> NewWallet {
    let family = if text.starts_with('T') {
        posx_tiers::ChainFamily::Tron
    } else {
        posx_tiers::ChainFamily::Evm
    };
    NewWallet {
        address: WalletAddress::from_stored(text.to_owned(), family),
        at,
        proven: false,
        contract_chain: None,
        usable_from: at + wait(),
    }
}

fn proven(text: &str, at: Timestamp) -> NewWallet {
    NewWallet {
        proven: true,
        ..new(text, at)
    }
}

/// `alice` and `bob` have bound nothing before.
pub async fn wallet_contract(
    db: &dyn Begin<dyn OrdersTx>,
    scope: &SiteScope,
    [alice, bob]: [PartyId; 2],
    at: Timestamp,
) {
    let later = |minutes: i64| at + TimeDelta::minutes(minutes);
    let bind = async |party: PartyId, wallet: &NewWallet| {
        let mut tx = db.begin(scope).await.expect("a transaction");
        let bound = tx.wallets().bind(party, wallet).await.expect("an answer");
        if matches!(bound, Bound::Bound(_)) {
            tx.commit().await.expect("committed");
        }
        bound
    };
    let as_bound = |text: &str, bound_at: Timestamp, proven_at: Option<Timestamp>, usable_from| {
        Bound::Bound(Wallet {
            address: new(text, at).address,
            bound_at,
            proven_at,
            contract_chain: None,
            usable_from,
        })
    };
    // The first one of a family is usable at once; binding it again changes nothing, and a proof is noted.
    let first = as_bound(FIRST, at, None, None);
    assert_eq!(bind(alice, &new(FIRST, at)).await, first);
    assert_eq!(bind(alice, &new(FIRST, later(1))).await, first);
    let first = as_bound(FIRST, at, Some(later(2)), None);
    assert_eq!(bind(alice, &proven(FIRST, later(2))).await, first);
    assert_eq!(bind(alice, &new(FIRST, later(3))).await, first, "it stays proven");
    assert_eq!(bind(alice, &new(TRON, at)).await, as_bound(TRON, at, None, None));
    // A proven one yields to proof only, and what takes its place waits.
    assert_eq!(bind(alice, &new(SECOND, later(4))).await, Bound::ProofRequired);
    let second = as_bound(SECOND, later(5), Some(later(5)), Some(later(5) + wait()));
    assert_eq!(bind(alice, &proven(SECOND, later(5))).await, second);
    let again = as_bound(SECOND, later(5), Some(later(6)), Some(later(5) + wait()));
    assert_eq!(
        bind(alice, &proven(SECOND, later(6))).await,
        again,
        "waiting begins once"
    );
    // Going back is a replacement as well.
    let back = as_bound(FIRST, later(7), Some(later(7)), Some(later(7) + wait()));
    assert_eq!(bind(alice, &proven(FIRST, later(7))).await, back);
    // Another's is taken, also for who proves it.
    assert_eq!(bind(bob, &proven(FIRST, later(8))).await, Bound::Taken);
    // What was only typed may be replaced by what was only typed, and waits too.
    assert_eq!(
        bind(bob, &new(SECOND, at)).await,
        as_bound(SECOND, at, None, None)
    );
    let third = as_bound(THIRD, later(1), None, Some(later(1) + wait()));
    assert_eq!(bind(bob, &new(THIRD, later(1))).await, third);
    let contract = NewWallet {
        contract_chain: Some(137),
        ..proven(THIRD, later(2))
    };
    let Bound::Bound(wallet) = bind(bob, &contract).await else {
        panic!("it is bob's")
    };
    assert_eq!(
        (wallet.contract_chain, wallet.usable_from),
        (Some(137), Some(later(1) + wait()))
    );
    assert!(wallet.receives_on(posx_tiers::Chain::Polygon) && !wallet.receives_on(posx_tiers::Chain::Eth));
    let mut tx = db.begin(scope).await.expect("a transaction");
    assert_eq!(tx.wallets().of_party(bob).await.expect("a read"), [wallet]);
    assert_eq!(tx.wallets().of_party(alice).await.expect("a read").len(), 2);
}
