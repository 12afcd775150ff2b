//! A vault is one site's: by the platform's word, whoever writes.

use posx_kernel::Refusal as _;
use posx_tiers::{Chain, CreateAsset};
use sqlx::PgConnection;

use crate::server::{connect, shared, superuser};
use crate::world::{World, new_id, unique};

impl World {
    async fn names(&self, vault: &str) -> Option<&'static str> {
        let wish = CreateAsset {
            chain: Chain::Eth,
            symbol: unique(8),
            decimals: 6,
            provider_asset: "PSX_ETH".to_owned(),
            vault: vault.to_owned(),
        };
        let made = self.tiers.create_asset(&self.scope, wish, None).await;
        made.err().map(|refused| refused.code())
    }

    async fn vaults(&self, added: &[&str], removed: &[&str]) -> Result<Vec<String>, &'static str> {
        let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let (code, added, removed) = (self.site.code.as_str(), owned(added), owned(removed));
        let changed = self.platform.change_vaults(code, &added, &removed);
        changed.await.map_err(|refused| refused.code())
    }

    fn own_vault(&self) -> String {
        self.site.id.to_string()
    }
}

async fn refused(connection: &mut PgConnection, sql: String) -> Option<String> {
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await;
    let error = done.expect_err("refused");
    let error = error.as_database_error().expect("by the database");
    error.constraint().map(str::to_owned)
}

#[tokio::test]
async fn f25_a_vault_is_one_sites() {
    let (here, elsewhere) = (World::new().await, World::new().await);
    let (own, theirs) = (here.own_vault(), elsewhere.own_vault());
    let shared_vault = unique(12);
    assert_eq!(
        here.vaults(&[&shared_vault], &[]).await,
        Ok({
            let mut both = vec![own.clone(), shared_vault.clone()];
            both.sort();
            both
        })
    );
    assert_eq!(
        elsewhere.vaults(&[&shared_vault], &[]).await,
        Err("site_vault_taken")
    );
    assert_eq!(here.names(&own).await, None);
    // The same answer for another's and for one that there is not.
    for foreign in [theirs.as_str(), "no-such-vault"] {
        assert_eq!(here.names(foreign).await, Some("chain_asset_vault_foreign"));
    }
    // Taken away, it may be given to another.
    assert_eq!(here.vaults(&[], &[&shared_vault, &theirs]).await, Ok(vec![own]));
    assert!(elsewhere.vaults(&[&shared_vault], &[]).await.is_ok());
    assert_eq!(here.names(&shared_vault).await, Some("chain_asset_vault_foreign"));
    assert_eq!(elsewhere.names(&shared_vault).await, None);
}

#[tokio::test]
async fn f25_no_hand_names_another_sites_vault() {
    let (here, elsewhere) = (World::new().await, World::new().await);
    let theirs = elsewhere.own_vault();
    let id = new_id();
    let insert = format!(
        "insert into chain_assets (site_id, id, chain, symbol, decimals, provider_asset, vault, created_at)
         values ('{}', '{id}', 'ETH', 'X', 6, 'X', '{theirs}', now())",
        here.site.id.as_uuid()
    );
    let within = format!(
        "begin; set local app.current_site_id = '{}'",
        here.site.id.as_uuid()
    );
    let mut app = connect(&shared().app_url).await;
    let begun = sqlx::raw_sql(sqlx::AssertSqlSafe(within)).execute(&mut app).await;
    begun.expect("begun");
    let own_vault = Some("chain_assets_own_vault".to_owned());
    assert_eq!(refused(&mut app, insert.clone()).await, own_vault);
    assert_eq!(refused(&mut superuser().await, insert).await, own_vault);
    here.tier(1, 100).await;
    let update = format!(
        "update chain_assets set vault = '{theirs}' where site_id = '{}'",
        here.site.id.as_uuid()
    );
    assert_eq!(refused(&mut superuser().await, update).await, own_vault);
    // It sees who has which no more than other rows of the plane.
    let mut app = connect(&shared().app_url).await;
    let looked = sqlx::raw_sql("select * from site_vaults").execute(&mut app).await;
    assert!(looked.is_err());
}

#[tokio::test]
async fn f25_what_was_agreed_to_is_not_sent_from_a_vault_that_was_taken_away() {
    let world = World::new().await;
    let ids = world.waiting(1).await;
    let batch = world.approved(&ids).await;
    world
        .vaults(&[], &[&world.own_vault()])
        .await
        .expect("taken away");
    let run = world.allocations.submit_batch(&world.scope, batch).await;
    assert_eq!(run.expect("a run").applied, 0);
    assert!(world.custody.arrived().is_empty());
    let report =
        posx_allocations::AllocationQueries::batch_report(&world.database, &world.scope, batch).await;
    let report = report.expect("read").expect("the batch");
    assert_eq!(
        report.lines[0].left_out,
        Some(posx_allocations::LeftOut::VaultNotAssigned)
    );
}
