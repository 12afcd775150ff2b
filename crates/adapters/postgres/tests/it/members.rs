//! Members, places and invitations on the real store.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use posx_kernel::{
    Begin as _, IdentityId, InvitationId, PageRequest, Refusal as _, StoreError, SystemIds, SystemRandomness,
};
use posx_tenancy::testing::{PeopleGiven, PeopleStores, people_contract};
use posx_tenancy::{
    Directory as _, InvitationLink, InvitationMail, InvitationQueries as _, InvitationState, Invitations,
    Join, JoinError, Mail, MailOutcome, Mailer, MailerError, MemberFilter, MemberQueries as _, MemberState,
    MemberTerms, Members, Membership, MembershipRefusal, PlaceQueries as _, PlaceState, Role, TenancyTx,
};

use crate::world::{World, noon, unique};

pub const ISSUER: &str = "https://issuer.test";

/// Keeps messages.
#[derive(Debug, Default)]
pub struct Letters(Mutex<Vec<Mail>>);

#[async_trait]
impl Mailer for Letters {
    async fn send(&self, mail: &Mail) -> Result<MailOutcome, MailerError> {
        self.0.lock().expect("no panic").push(mail.clone());
        Ok(MailOutcome::Accepted)
    }
}

impl Letters {
    fn last_token(&self) -> String {
        let sent = self.0.lock().expect("no panic");
        let body = &sent.last().expect("a message").body;
        let (_, rest) = body.split_once("https://app.test/#").expect("a link");
        rest.split_whitespace().next().expect("a token").to_owned()
    }
}

pub fn everywhere(role: Role) -> MemberTerms {
    MemberTerms {
        role,
        places: std::collections::BTreeSet::new(),
    }
}

impl World {
    pub fn members(&self) -> Members {
        let db = Arc::new(self.database.clone());
        Members::new(db, Arc::new(self.directory.clone()), self.clock.clone())
    }

    fn invitations(&self, letters: Arc<Letters>) -> Invitations {
        let mail = InvitationMail {
            mailer: letters,
            link: InvitationLink::new("https://app.test/#{token}").expect("a link"),
        };
        Invitations::new(
            Arc::new(self.database.clone()),
            Arc::new(self.directory.clone()),
            Some(mail),
            self.clock.clone(),
            Arc::new(SystemIds),
            Arc::new(SystemRandomness),
        )
    }

    pub async fn with_rank(&self, role: Role) -> IdentityId {
        let subject = unique(20);
        let appointed = self.platform.appoint(&self.site, ISSUER, &subject, role);
        appointed.await.expect("appointed")
    }

    pub async fn stranger(&self) -> IdentityId {
        self.directory
            .identity(ISSUER, &unique(20))
            .await
            .expect("an identity")
    }

    async fn tenancy_tx(&self) -> Box<dyn TenancyTx> {
        self.database.begin(&self.scope).await.expect("a transaction")
    }

    pub async fn membership(&self, identity: IdentityId) -> Membership {
        let mut tx = self.tenancy_tx().await;
        let found = tx.memberships().lock(&[identity]).await.expect("a read").pop();
        found.expect("a membership")
    }

    /// Stored past every rule of the domain; the database's own holds.
    pub async fn force(&self, membership: &Membership) -> Result<Result<(), MembershipRefusal>, StoreError> {
        let mut tx = self.tenancy_tx().await;
        let saved = tx.memberships().save(membership).await?;
        if saved.is_ok() {
            tx.commit().await?;
        }
        Ok(saved)
    }

    pub async fn active_owners(&self) -> usize {
        let filter = MemberFilter {
            role: Some(Role::Owner),
            state: Some(MemberState::Active),
        };
        let page = PageRequest::new(None, None);
        let owners = self.database.members(&self.scope, filter, page).await;
        owners.expect("a list").items.len()
    }

    /// Invited and sent: the id and the token.
    pub async fn invited(&self, by: IdentityId, terms: MemberTerms) -> (InvitationId, String) {
        let letters = Arc::new(Letters::default());
        let invitations = self.invitations(letters.clone());
        let email = format!("{}@example.com", unique(12));
        let made = invitations
            .create(&self.scope, by, &email, terms, None)
            .await
            .expect("invited");
        let sent = invitations.send(&self.scope, &self.site, made.id, 1).await;
        sent.expect("sent");
        (made.id, letters.last_token())
    }

    pub async fn accept(&self, identity: IdentityId, token: &str) -> Result<bool, &'static str> {
        let invitations = self.invitations(Arc::new(Letters::default()));
        let accepted = invitations.accept(&self.scope, &self.site, identity, token).await;
        accepted
            .map(|accepted| accepted.new)
            .map_err(|error| error.code())
    }

    pub async fn invite(&self, by: IdentityId, email: &str) -> Result<InvitationId, &'static str> {
        let invitations = self.invitations(Arc::new(Letters::default()));
        let made = invitations
            .create(&self.scope, by, email, everywhere(Role::Viewer), None)
            .await;
        made.map(|made| made.id).map_err(|error| error.code())
    }

    /// A branch, and someone who was invited to work there only and came.
    pub async fn staffed_branch(&self) {
        let branch = self.branch("STAFFED", PlaceState::Active).await;
        let terms = MemberTerms {
            role: Role::Cashier,
            places: std::collections::BTreeSet::from([branch]),
        };
        let (_, token) = self.invited(self.with_rank(Role::Owner).await, terms).await;
        assert_eq!(self.accept(self.stranger().await, &token).await, Ok(true));
    }
}

#[tokio::test]
async fn people_keep_their_contract() {
    let (world, elsewhere) = (World::with_pool(1).await, World::new().await);
    let given = PeopleGiven {
        scope: world.scope.clone(),
        elsewhere: elsewhere.scope,
        owner: world.with_rank(Role::Owner).await,
        buyer: world.member(None).await.identity,
        now: noon(),
    };
    let database = Arc::new(world.database);
    let stores = PeopleStores {
        places: database.clone(),
        invitations: database,
    };
    people_contract(stores, &given).await;
}

#[tokio::test]
async fn an_invitation_adds_the_job_that_sends_it_and_the_job_names_no_one() {
    let world = World::new().await;
    let owner = world.with_rank(Role::Owner).await;
    let invitations = world.invitations(Arc::new(Letters::default()));
    let email = "Ann.Secret@example.com";
    let made = invitations
        .create(&world.scope, owner, email, everywhere(Role::Viewer), None)
        .await;
    let id = made.expect("made").id;
    invitations
        .resend(&world.scope, owner, id)
        .await
        .expect("asked again");
    let jobs = world
        .database
        .jobs(&world.scope, false, None, 100)
        .await
        .expect("jobs");
    let sending: Vec<_> = jobs.iter().filter(|job| job.task == "send_invitation").collect();
    assert_eq!(sending.len(), 2);
    for job in sending {
        assert_eq!(job.payload["invitation"], id.as_uuid().to_string());
        assert!(
            !job.payload.to_string().to_lowercase().contains("secret"),
            "{}",
            job.payload
        );
    }
}

#[tokio::test]
async fn p01_people_of_another_site_are_not_there() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let (owner, theirs) = (
        world.with_rank(Role::Owner).await,
        elsewhere.with_rank(Role::Owner).await,
    );
    let (id, token) = elsewhere.invited(theirs, everywhere(Role::Admin)).await;
    let branch = elsewhere.branch("B", PlaceState::Active).await;
    let scope = &world.scope;
    assert_eq!(world.database.member(scope, theirs).await.expect("a read"), None);
    assert_eq!(world.database.place(scope, branch).await.expect("a read"), None);
    let found = world
        .database
        .invitation(scope, id, noon())
        .await
        .expect("a read");
    assert_eq!(found, None);
    assert_eq!(
        world.accept(world.stranger().await, &token).await,
        Err("invitation_not_found")
    );
    let members = world.members();
    let codes = [
        members
            .disable(scope, owner, theirs)
            .await
            .expect_err("theirs")
            .code(),
        members
            .change(scope, owner, theirs, 1, everywhere(Role::Viewer))
            .await
            .expect_err("theirs")
            .code(),
    ];
    assert_eq!(codes, ["member_not_found"; 2]);
    let narrowed = MemberTerms {
        role: Role::Cashier,
        places: std::collections::BTreeSet::from([branch]),
    };
    let ours = world.member(None).await.identity;
    let narrowed = members.change(scope, owner, ours, 1, narrowed).await;
    assert_eq!(narrowed.expect_err("their place").code(), "place_not_found");
    assert_eq!(world.membership(ours).await.version, 1);
}

#[tokio::test]
async fn j13_a_disabled_member_is_out_and_joining_does_not_help_and_a_removed_one_comes_back_as_a_buyer() {
    let world = World::new().await;
    let owner = world.with_rank(Role::Owner).await;
    let (members, scope) = (world.members(), &world.scope);
    let who = world.with_rank(Role::Manager).await;
    let party = world.membership(who).await.party;
    let member = async || world.directory.member(world.site.id, who).await.expect("a look");
    let join = async || {
        let join = Join {
            site: &world.site,
            identity: who,
            referral_code: None,
        };
        world.tenancy.join(scope, join).await
    };
    members.disable(scope, owner, who).await.expect("disabled");
    assert_eq!(member().await, None);
    let refused = join().await;
    assert!(matches!(refused, Err(JoinError::Disabled)), "{refused:?}");
    members.enable(scope, owner, who).await.expect("enabled");
    assert_eq!(member().await.map(|member| member.role), Some(Role::Manager));
    members.remove(scope, owner, who).await.expect("removed");
    assert_eq!(member().await, None);
    let back = join().await.expect("joined");
    assert!(back.new);
    assert_eq!((back.member.role, back.member.party), (Role::Member, party));
    assert!(!join().await.expect("a member").new);
}

#[tokio::test]
async fn lists_are_filtered_and_come_in_pages() {
    let world = World::new().await;
    let owner = world.with_rank(Role::Owner).await;
    let mut buyers = Vec::new();
    for _ in 0..5 {
        buyers.push(world.member(None).await.identity);
    }
    world
        .members()
        .disable(&world.scope, owner, buyers[2])
        .await
        .expect("disabled");
    let list = async |filter: MemberFilter| {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = PageRequest::new(Some(2), after);
            let page = world
                .database
                .members(&world.scope, filter, page)
                .await
                .expect("a page");
            seen.extend(page.items.into_iter().map(|view| view.identity_id));
            match page.next {
                Some(next) => after = Some(next),
                None => return seen,
            }
        }
    };
    let (role, state) = (Some(Role::Member), Some(MemberState::Active));
    let disabled = buyers[2];
    buyers.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(list(MemberFilter { role, state: None }).await, buyers);
    buyers.retain(|buyer| *buyer != disabled);
    assert_eq!(list(MemberFilter { role, state }).await, buyers);
    assert_eq!(list(MemberFilter::default()).await.len(), 6);
    let (id, _) = world.invited(owner, everywhere(Role::Viewer)).await;
    let late = noon() + chrono::Duration::days(8);
    for (now, state, found) in [
        (noon(), InvitationState::Pending, true),
        (noon(), InvitationState::Expired, false),
        (late, InvitationState::Pending, false),
        (late, InvitationState::Expired, true),
    ] {
        let page = PageRequest::new(None, None);
        let listed = world
            .database
            .invitations(&world.scope, Some(state), now, page)
            .await;
        let ids: Vec<_> = listed
            .expect("a list")
            .items
            .into_iter()
            .map(|view| view.id)
            .collect();
        assert_eq!(ids == [id], found, "{state:?}");
    }
}
