mod master_keys;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::executor::block_on;
use posx_kernel::{
    DataKeys, Ids as _, KeyWrapper, Sealed, SecretError, SecretKeeper as _, SecretPlace, SeededIds, SiteId,
    StoreError, SystemClock, SystemRandomness, Timestamp, WrappedKey,
};
use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use crate::cipher::Bound;
use crate::sealed::key_version;
use crate::{Envelope, LocalMasterKeys, MasterKey};

/// The store in memory; what it holds can be moved about.
#[derive(Debug, Default)]
struct Shelf {
    keys: Mutex<BTreeMap<(SiteId, u32), WrappedKey>>,
}

#[async_trait]
impl DataKeys for Shelf {
    async fn current(&self, site: SiteId) -> Result<Option<WrappedKey>, StoreError> {
        let keys = self.keys.lock().unwrap();
        let of_site = keys.range((site, 0)..=(site, u32::MAX));
        Ok(of_site.last().map(|(_, key)| key.clone()))
    }

    async fn version(&self, site: SiteId, version: u32) -> Result<Option<WrappedKey>, StoreError> {
        Ok(self.keys.lock().unwrap().get(&(site, version)).cloned())
    }

    async fn add(&self, key: &WrappedKey, _: Timestamp) -> Result<bool, StoreError> {
        let mut keys = self.keys.lock().unwrap();
        let place = (key.site, key.version);
        let free = !keys.contains_key(&place);
        keys.entry(place).or_insert_with(|| key.clone());
        Ok(free)
    }
}

fn master(id: &str) -> MasterKey {
    MasterKey::parse(&MasterKey::generate(id, &SystemRandomness)).unwrap()
}

fn masters() -> Arc<LocalMasterKeys> {
    Arc::new(LocalMasterKeys::new(vec![master("m1")], Arc::new(SystemRandomness)).unwrap())
}

fn envelope(shelf: &Arc<Shelf>, masters: &Arc<LocalMasterKeys>) -> Envelope {
    let (clock, randomness) = (Arc::new(SystemClock), Arc::new(SystemRandomness));
    Envelope::new(shelf.clone(), masters.clone(), randomness, clock)
}

fn sites() -> [SiteId; 2] {
    let ids = SeededIds::new(11);
    [(), ()].map(|()| SiteId::from_uuid(ids.uuid(chrono::DateTime::UNIX_EPOCH)))
}

fn place(site: SiteId) -> SecretPlace {
    SecretPlace {
        site,
        table: "provider_accounts",
        row: "stripe".to_owned(),
        column: "secret_key_sealed",
    }
}

fn is_refused<T>(outcome: &Result<T, SecretError>) -> bool {
    matches!(outcome, Err(SecretError::Refused))
}

#[test]
fn a_secret_opens_where_it_was_sealed_in_any_process() {
    let (shelf, masters) = (Arc::default(), masters());
    let [site, _] = sites();
    for secret in [b"sk_live_0123456789".as_slice(), b"", &[0; 5000]] {
        let sealed = block_on(envelope(&shelf, &masters).seal(&place(site), secret)).unwrap();
        let opened = block_on(envelope(&shelf, &masters).open(&place(site), &sealed)).unwrap();
        assert_eq!(opened.expose_secret(), secret);
    }
    assert_eq!(
        shelf.keys.lock().unwrap().len(),
        1,
        "the site's first key is its only one"
    );
}

#[test]
fn the_same_secret_is_sealed_differently_each_time_and_never_shows() {
    let (shelf, masters) = (Arc::default(), masters());
    let (keeper, place) = (envelope(&shelf, &masters), place(sites()[0]));
    let one = block_on(keeper.seal(&place, b"sk_live_0123456789")).unwrap();
    let other = block_on(keeper.seal(&place, b"sk_live_0123456789")).unwrap();
    assert_ne!(one, other);
    assert!(!one.as_bytes().windows(4).any(|bytes| bytes == b"live"));
    let shown = format!("{keeper:?} {one:?} {:?}", shelf.keys.lock().unwrap().values());
    assert!(!shown.contains("live") && shown.len() < 600, "{shown}");
}

#[test]
fn a_site_that_many_seal_for_at_once_gets_one_first_key() {
    let (shelf, masters) = (Arc::default(), masters());
    let [site, _] = sites();
    let keepers: Vec<_> = (0..8).map(|_| envelope(&shelf, &masters)).collect();
    let sealed =
        block_on(futures::future::join_all(keepers.iter().map(|keeper| async {
            keeper.seal(&place(site), b"secret").await.unwrap()
        })));
    assert_eq!(shelf.keys.lock().unwrap().len(), 1);
    for sealed in &sealed {
        let opened = block_on(keepers[0].open(&place(site), sealed)).unwrap();
        assert_eq!(opened.expose_secret(), b"secret");
    }
}

#[test]
fn who_loses_the_race_for_a_version_seals_with_the_winners_key() {
    let (shelf, masters) = (Arc::<Shelf>::default(), masters());
    let [site, _] = sites();
    let (slow, fast) = (envelope(&shelf, &masters), envelope(&shelf, &masters));
    // Both found no key; the other one has stored its own meanwhile.
    block_on(fast.seal(&place(site), b"first")).unwrap();
    let before = shelf.keys.lock().unwrap()[&(site, 1)].clone();
    block_on(slow.add_key(site, 1)).unwrap();
    assert_eq!(shelf.keys.lock().unwrap()[&(site, 1)], before);
    let sealed = block_on(slow.seal(&place(site), b"second")).unwrap();
    assert_eq!(
        block_on(fast.open(&place(site), &sealed))
            .unwrap()
            .expose_secret(),
        b"second"
    );
}

#[test]
fn after_a_new_key_old_secrets_open_and_new_ones_are_sealed_with_it() {
    let (shelf, masters) = (Arc::default(), masters());
    let (keeper, place) = (envelope(&shelf, &masters), place(sites()[0]));
    let old = block_on(keeper.seal(&place, b"old")).unwrap();
    assert_eq!(block_on(keeper.renew_key(place.site)).unwrap(), 2);
    let new = block_on(keeper.seal(&place, b"new")).unwrap();
    assert_eq!((key_version(&old).unwrap(), key_version(&new).unwrap()), (1, 2));
    for (sealed, secret) in [(&old, b"old"), (&new, b"new")] {
        let opened = block_on(envelope(&shelf, &masters).open(&place, sealed)).unwrap();
        assert_eq!(opened.expose_secret(), secret);
    }
}

#[test]
fn a_wrapped_key_that_was_moved_is_refused() {
    let (shelf, masters) = (Arc::<Shelf>::default(), masters());
    let [ours, theirs] = sites();
    let keeper = envelope(&shelf, &masters);
    block_on(keeper.seal(&place(ours), b"ours")).unwrap();
    block_on(keeper.renew_key(ours)).unwrap();
    let wrapped = block_on(shelf.current(ours)).unwrap().unwrap();
    for moved in [
        WrappedKey {
            site: theirs,
            ..wrapped.clone()
        },
        WrappedKey {
            version: 1,
            ..wrapped.clone()
        },
        WrappedKey {
            bytes: wrapped.bytes[1..].to_vec(),
            ..wrapped.clone()
        },
        WrappedKey {
            bytes: Vec::new(),
            ..wrapped.clone()
        },
    ] {
        assert!(is_refused(&block_on(masters.unwrap(&moved))), "{moved:?}");
    }
    let elsewhere = WrappedKey {
        master: "m2".to_owned(),
        ..wrapped
    };
    let outcome = block_on(masters.unwrap(&elsewhere));
    assert!(matches!(outcome, Err(SecretError::NoMasterKey(id)) if id == "m2"));
}

/// Parts as someone could choose them to look like others.
fn part() -> impl Strategy<Value = String> {
    "[a-c/:_]{0,4}"
}

proptest! {
    #[test]
    fn nothing_opens_in_another_place(
        [table, row, column] in [part(), part(), part()],
        [other_table, other_row, other_column] in [part(), part(), part()],
        another_site in any::<bool>(),
    ) {
        let [site, other_site] = sites();
        let leaked = |text: String| -> &'static str { text.leak() };
        let here = SecretPlace { site, table: leaked(table), row, column: leaked(column) };
        let there = SecretPlace {
            site: if another_site { other_site } else { site },
            table: leaked(other_table),
            row: other_row,
            column: leaked(other_column),
        };
        let (shelf, masters) = (Arc::default(), masters());
        let keeper = envelope(&shelf, &masters);
        let sealed = block_on(keeper.seal(&here, b"secret")).unwrap();
        // The other site has a key of the same version.
        block_on(keeper.seal(&there, b"theirs")).unwrap();
        let moved = block_on(keeper.open(&there, &sealed));
        prop_assert_eq!(moved.is_ok(), here == there);
        prop_assert!(here == there || is_refused(&moved));
    }

    #[test]
    fn no_altered_byte_opens(at in any::<prop::sample::Index>(), bit in 0_u8..8, secret in prop::collection::vec(any::<u8>(), 0..64)) {
        let (shelf, masters) = (Arc::default(), masters());
        let (keeper, place) = (envelope(&shelf, &masters), place(sites()[0]));
        let sealed = block_on(keeper.seal(&place, &secret)).unwrap();
        block_on(keeper.renew_key(place.site)).unwrap();
        let mut bytes = sealed.as_bytes().to_vec();
        // Format, version, nonce, ciphertext and tag alike.
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(is_refused(&block_on(keeper.open(&place, &Sealed::from_bytes(bytes)))));
    }

    #[test]
    fn no_shortened_or_made_up_secret_opens(bytes in prop::collection::vec(any::<u8>(), 0..80), cut in any::<prop::sample::Index>()) {
        let (shelf, masters) = (Arc::default(), masters());
        let (keeper, place) = (envelope(&shelf, &masters), place(sites()[0]));
        let sealed = block_on(keeper.seal(&place, b"secret")).unwrap();
        let kept = cut.index(sealed.as_bytes().len());
        let shortened = Sealed::from_bytes(sealed.as_bytes()[..kept].to_vec());
        prop_assert!(is_refused(&block_on(keeper.open(&place, &shortened))));
        prop_assert!(is_refused(&block_on(keeper.open(&place, &Sealed::from_bytes(bytes)))));
    }

    /// An old and a new version of a site's key exist, and the head is rewritten from the one to the other.
    #[test]
    fn a_secret_of_one_version_does_not_open_as_another(from in 1_u32..4, to in 1_u32..4) {
        let (shelf, masters) = (Arc::default(), masters());
        let (keeper, place) = (envelope(&shelf, &masters), place(sites()[0]));
        let mut sealed = Vec::new();
        for _ in 1..4 {
            sealed.push(block_on(keeper.seal(&place, b"secret")).unwrap());
            block_on(keeper.renew_key(place.site)).unwrap();
        }
        let mut bytes = sealed[from as usize - 1].as_bytes().to_vec();
        bytes[1..5].copy_from_slice(&to.to_be_bytes());
        let opened = block_on(keeper.open(&place, &Sealed::from_bytes(bytes)));
        prop_assert_eq!(opened.is_ok(), from == to);
    }

    #[test]
    fn no_two_lists_are_bound_alike(one in prop::collection::vec(part(), 0..4), other in prop::collection::vec(part(), 0..4)) {
        let bound = |parts: &[String]| parts.iter().fold(Bound::to("x"), |bound, part| bound.and(part.as_bytes()));
        prop_assert_eq!(format!("{:?}", bound(&one)) == format!("{:?}", bound(&other)), one == other);
    }
}
