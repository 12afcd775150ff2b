use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use posx_kernel::{Currency, IdentityId, PartyId, SeededIds, SiteId, StoreError};
use posx_redis::CachedDirectory;
use posx_tenancy::{Directory, Member, Origin, ReferralCode, Role, Site, SiteCode, SiteState};
use uuid::Uuid;

/// A directory of one site with a list of members, which counts how often it is asked.
#[derive(Default)]
struct Counting {
    asked: AtomicUsize,
    members: Mutex<Vec<Member>>,
}

fn site() -> Site {
    Site {
        id: SiteId::from_uuid(Uuid::from_u128(1)),
        code: SiteCode::new("NA").unwrap(),
        name: "North".into(),
        host_names: vec!["na.example".into()],
        cors_origins: vec![Origin::parse("https://shop.example").unwrap()],
        currency: Currency::from_code("USD").unwrap(),
        time_zone: chrono_tz::UTC,
        state: SiteState::Active,
        modules: Vec::new(),
        order_expiry_minutes: 15,
        created_at: chrono::DateTime::UNIX_EPOCH,
    }
}

impl Counting {
    fn count(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Directory for Counting {
    async fn site_by_code(&self, code: &SiteCode) -> Result<Option<Site>, StoreError> {
        self.count();
        Ok((code.as_str() == "NA").then(site))
    }
    async fn site_by_host(&self, host: &str) -> Result<Option<Site>, StoreError> {
        self.count();
        Ok((host == "na.example").then(site))
    }
    async fn site(&self, _: SiteId) -> Result<Option<Site>, StoreError> {
        self.count();
        Ok(Some(site()))
    }
    async fn knows_origin(&self, origin: &Origin) -> Result<bool, StoreError> {
        self.count();
        Ok(site().cors_origins.contains(origin))
    }
    async fn identity(&self, _: &str, subject: &str) -> Result<IdentityId, StoreError> {
        self.count();
        Ok(IdentityId::from_uuid(Uuid::from_u128(subject.len() as u128)))
    }
    async fn member(&self, _: SiteId, identity: IdentityId) -> Result<Option<Member>, StoreError> {
        self.count();
        let members = self.members.lock().unwrap();
        Ok(members.iter().find(|member| member.identity == identity).cloned())
    }
}

#[tokio::test]
async fn what_was_found_is_asked_for_once() {
    let counting = Arc::new(Counting::default());
    let directory = CachedDirectory::new(counting.clone());
    let code = SiteCode::new("NA").unwrap();
    for _ in 0..3 {
        assert_eq!(directory.site_by_code(&code).await.unwrap(), Some(site()));
        assert_eq!(directory.site_by_host("na.example").await.unwrap(), Some(site()));
        directory.identity("https://issuer/", "ann").await.unwrap();
    }
    assert_eq!(counting.asked.load(Ordering::SeqCst), 3);
    // The same subject of another issuer is somebody else.
    directory.identity("https://other/", "ann").await.unwrap();
    assert_eq!(counting.asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn j13_who_joins_is_a_member_and_who_is_put_out_is_none_with_the_next_request() {
    let counting = Arc::new(Counting::default());
    let directory = CachedDirectory::new(counting.clone());
    let identity = IdentityId::from_uuid(Uuid::from_u128(7));
    assert_eq!(directory.member(site().id, identity).await.unwrap(), None);
    let member = Member {
        identity,
        party: PartyId::from_uuid(Uuid::from_u128(8)),
        role: Role::Member,
        places: std::collections::BTreeSet::new(),
        referral_code: ReferralCode::random(&site().code, &SeededIds::new(1)),
    };
    counting.members.lock().unwrap().push(member.clone());
    let found = directory.member(site().id, identity).await.unwrap();
    assert_eq!(found, Some(member.clone()));
    // …and who is put out is out with the next request, where this process is told.
    counting.members.lock().unwrap().clear();
    let kept = directory.member(site().id, identity).await.unwrap();
    assert_eq!(kept, Some(member), "from the cache");
    directory.forget_member(site().id, identity).await;
    assert_eq!(directory.member(site().id, identity).await.unwrap(), None);
}

#[tokio::test]
async fn a_suspension_is_seen_by_the_job_runner_at_once() {
    let counting = Arc::new(Counting::default());
    let directory = CachedDirectory::new(counting.clone());
    directory.site(site().id).await.unwrap();
    directory.site(site().id).await.unwrap();
    assert_eq!(counting.asked.load(Ordering::SeqCst), 2);
}
