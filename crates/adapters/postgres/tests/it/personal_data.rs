//! What a site holds of one person: all of it is shown, and who it was is forgotten.

use posx_kernel::{IdentityId, PartyId};
use posx_postgres::PERSONAL_DATA_SECTIONS;
use posx_tenancy::{Directory as _, Erasure, Member, PersonalDataStore as _, ReferralCode, Role};
use posx_tiers::ChainFamily;
use serde_json::Value;
use sqlx::Row as _;

use crate::server::superuser;
use crate::world::{World, new_id, noon};

/// Columns that name a person and are in no export, with the reason why.
const NOT_SHOWN: &[(&str, &str, &str)] = &[
    (
        "parties",
        "claimed_referrer_id",
        "shown with the row of who claimed; to the other it is a referral",
    ),
    (
        "orders",
        "referrer_id",
        "shown with the order, to its buyer; to the other it is a referral or a commission",
    ),
    (
        "platform_grants",
        "staff_id",
        "staff of the platform, not of the site",
    ),
    (
        "platform_staff",
        "identity_id",
        "staff of the platform, not of the site",
    ),
    (
        "sessions",
        "identity_id",
        "no site's: a person reads and ends them by the API",
    ),
];

#[tokio::test]
async fn every_column_that_names_a_person_is_in_the_export_or_has_a_reason_not_to_be() {
    let rows = sqlx::query(
        "select c.conrelid::regclass::text, a.attname::text
         from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)
         where c.contype = 'f' and a.attname <> 'site_id'
           and c.confrelid in ('parties'::regclass, 'identities'::regclass, 'memberships'::regclass)
         union
         -- Ids of people in tables that keep no key, because the row outlives them.
         select table_name::text, column_name::text from information_schema.columns
         where table_schema = 'public' and column_name in ('actor_id', 'actor_second_id', 'identity_id', 'party_id', 'holder_id')
           and table_name <> 'platform_audit'",
    )
    .fetch_all(&mut superuser().await)
    .await
    .expect("the catalogue");
    assert!(rows.len() > 20, "the catalogue has {} such columns", rows.len());
    for row in rows {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        let shown = PERSONAL_DATA_SECTIONS.iter().any(|(_, sql)| {
            let asks = |filter: &str| sql.contains(&format!("{column} = {filter}"));
            sql.contains(&format!("from {table}")) && (asks("$1") || asks("$2"))
        });
        let by_account = (table.as_str(), column.as_str()) == ("accounts", "party_id");
        let reasoned = NOT_SHOWN
            .iter()
            .any(|(t, c, _)| (*t, *c) == (table.as_str(), column.as_str()));
        let own_id = (table.as_str(), column.as_str()) == ("parties", "identity_id");
        let of_membership = (table.as_str(), column.as_str()) == ("memberships", "party_id");
        assert!(
            shown || by_account || reasoned || own_id || of_membership,
            "{table}.{column} names a person: show it, or say why not"
        );
    }
}

async fn export(world: &World, party: PartyId) -> Value {
    let text = world
        .database
        .export(&world.scope, party)
        .await
        .expect("a read")
        .expect("the party");
    serde_json::from_str(&text).expect("JSON")
}

fn rows<'a>(export: &'a Value, section: &str) -> &'a [Value] {
    export[section].as_array().expect(section)
}

#[tokio::test]
async fn an_export_has_everything_of_one_person_and_nothing_of_another() {
    let (world, elsewhere) = (World::lived_in().await, World::lived_in().await);
    let bob = buyer(&world).await;
    let export = export(&world, bob).await;
    for section in [
        "parties",
        "memberships",
        "orders",
        "order_lines",
        "payment_attempts",
        "refunds",
        "allocations",
        "wallets",
        "referrals",
        "events",
    ] {
        assert!(!rows(&export, section).is_empty(), "{section}");
    }
    let text = export.to_string();
    assert!(!text.contains("site_id"));
    for hidden in ["secret_sealed", "token_hash", "code_hash"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    let stranger = buyer(&elsewhere).await;
    assert!(!text.contains(&stranger.as_uuid().to_string()));
    assert_eq!(
        world
            .database
            .export(&world.scope, stranger)
            .await
            .expect("a read"),
        None
    );
}

/// Who has bought something.
async fn buyer(world: &World) -> PartyId {
    let row = sqlx::query("select buyer_id from orders where site_id = $1 limit 1")
        .bind(world.site.id.as_uuid())
        .fetch_one(&mut superuser().await)
        .await;
    PartyId::from_uuid(row.expect("an order").get(0))
}

async fn erase(world: &World, party: PartyId) -> Erasure {
    let stand_in = PartyId::from_uuid(new_id());
    let code = ReferralCode::random(&world.site.code, &posx_kernel::SystemRandomness);
    let erased = world
        .database
        .erase(&world.scope, party, (stand_in, &code), "asked for it", noon());
    erased.await.expect("an answer")
}

#[tokio::test]
async fn nobody_is_erased_while_something_is_owed_or_under_way() {
    let world = World::lived_in().await;
    let bob = buyer(&world).await;
    let Erasure::OpenBusiness(open) = erase(&world, bob).await else {
        panic!("bob's tokens are not delivered")
    };
    assert!(
        open.contains(&"allocations".to_owned()) && open.contains(&"refunds".to_owned()),
        "{open:?}"
    );
    let alice = rows(&export(&world, bob).await, "referrals")[0]["referrer_id"].clone();
    let alice: uuid::Uuid = alice.as_str().expect("an id").parse().expect("an id");
    let Erasure::OpenBusiness(open) = erase(&world, PartyId::from_uuid(alice)).await else {
        panic!("alice has a commission")
    };
    assert!(
        open.contains(&"commissions".to_owned()) && open.contains(&"balance".to_owned()),
        "{open:?}"
    );
    let subject = crate::world::unique(20);
    let appointed = world
        .platform
        .appoint(&world.site, "https://issuer.test", &subject, Role::Cashier)
        .await;
    let cashier = world
        .directory
        .member(world.site.id, appointed.expect("appointed"))
        .await;
    let cashier = cashier.expect("a read").expect("a member");
    assert_eq!(
        erase(&world, cashier.party).await,
        Erasure::OpenBusiness(vec!["membership".to_owned()])
    );
    assert_eq!(
        erase(&world, PartyId::from_uuid(new_id())).await,
        Erasure::NotFound
    );
}

/// Someone who bought and whose order was closed unpaid.
async fn former_buyer(world: &World) -> Member {
    let carol = world.member(None).await;
    let tier = world.tier(10, 5000).await;
    world
        .orders
        .bind_wallet(&world.scope, carol.party, ChainFamily::Evm, crate::world::ADDRESS)
        .await
        .expect("bound");
    let order = world.place(&carol, tier, 1).await.expect("placed");
    assert_eq!(
        erase(world, carol.party).await,
        Erasure::OpenBusiness(vec!["orders".to_owned()])
    );
    world
        .orders
        .cancel(&world.scope, order.id, Some(carol.party))
        .await
        .expect("cancelled");
    carol
}

async fn login(identity: IdentityId) -> (String, String) {
    let row = sqlx::query("select issuer, subject from identities where id = $1")
        .bind(identity.as_uuid())
        .fetch_one(&mut superuser().await)
        .await
        .expect("the identity");
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn an_erased_person_is_nobody_and_what_they_did_stays() {
    let (world, elsewhere) = (World::new().await, World::lived_in().await);
    let carol = former_buyer(&world).await;
    let (issuer, subject) = login(carol.identity).await;
    let bystanders = [buyer(&elsewhere).await];
    let before = export(&elsewhere, bystanders[0]).await;
    assert_eq!(
        erase(&world, carol.party).await,
        Erasure::Done {
            login_forgotten: true
        }
    );
    assert_eq!(erase(&world, carol.party).await, Erasure::NotFound, "once");
    assert_eq!(login(carol.identity).await.0, "erased");
    assert_eq!(
        world
            .directory
            .member(world.site.id, carol.identity)
            .await
            .expect("a read"),
        None
    );
    let left = export(&world, carol.party).await;
    assert_eq!(rows(&left, "orders").len(), 1, "the order stays");
    assert!(rows(&left, "wallets").is_empty() && rows(&left, "memberships").is_empty());
    assert!(rows(&left, "parties")[0]["identity_id"].is_null());
    let told = rows(&left, "events")
        .iter()
        .any(|event| event["kind"] == "party.erased");
    assert!(told, "the history says so");
    // The same login is somebody new.
    let again = world
        .directory
        .identity(&issuer, &subject)
        .await
        .expect("an identity");
    assert_ne!(again, carol.identity);
    assert_eq!(
        export(&elsewhere, bystanders[0]).await,
        before,
        "another site's people are as they were"
    );
}

#[tokio::test]
async fn a_login_that_is_somebody_elsewhere_is_not_forgotten() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let carol = former_buyer(&world).await;
    let (issuer, subject) = login(carol.identity).await;
    let join = posx_tenancy::Join {
        site: &elsewhere.site,
        identity: carol.identity,
        referral_code: None,
    };
    elsewhere
        .tenancy
        .join(&elsewhere.scope, join)
        .await
        .expect("joined");
    assert_eq!(
        erase(&world, carol.party).await,
        Erasure::Done {
            login_forgotten: false
        }
    );
    assert_eq!(login(carol.identity).await, (issuer, subject));
    assert!(
        elsewhere
            .directory
            .member(elsewhere.site.id, carol.identity)
            .await
            .expect("a read")
            .is_some()
    );
    assert!(
        world
            .directory
            .member(world.site.id, carol.identity)
            .await
            .expect("a read")
            .is_none()
    );
    // Another site's staff erase nobody here.
    assert_eq!(erase(&elsewhere, carol.party).await, Erasure::NotFound);
}

#[tokio::test]
async fn the_address_of_an_invitation_is_forgotten_a_while_after_its_end() {
    let world = World::lived_in().await;
    let all = noon() + chrono::Duration::days(400);
    let purge = async |before| {
        let purged = world
            .database
            .purge_invitation_addresses(&world.scope, before)
            .await;
        purged.expect("purged")
    };
    let on_site = async |sql: &'static str| {
        let query = sqlx::query(sql).bind(world.site.id.as_uuid()).bind(noon());
        query
            .execute(&mut superuser().await)
            .await
            .expect(sql)
            .rows_affected()
    };
    purge(all).await;
    let invite = "insert into invitations (site_id, id, email, role, invited_by, created_at, expires_at)
       select site_id, gen_random_uuid(), 'new@person.example', 'viewer', identity_id, $2, $2 + interval '7 days'
       from memberships where site_id = $1 limit 1";
    assert_eq!(on_site(invite).await, 1);
    assert_eq!(purge(all).await, 0, "a pending one keeps it");
    let revoke = "update invitations set state = 'revoked', finished_at = $2
       where site_id = $1 and email = 'new@person.example'";
    assert_eq!(on_site(revoke).await, 1);
    assert_eq!(purge(noon()).await, 0, "not yet");
    assert_eq!(purge(all).await, 1);
    let left = "update invitations set email = email where site_id = $1 and email = 'new@person.example' and $2 is not null";
    assert_eq!(on_site(left).await, 0);
}
