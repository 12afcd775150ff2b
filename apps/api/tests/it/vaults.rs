//! A vault is one site's, as the platform says; who names it else is refused.

use posx_tenancy::{Role, StaffRole};
use posx_testkit::vault_of;
use serde_json::json;

use crate::objects::furnish;
use crate::world::{Call, Scene, api};

#[actix_web::test]
async fn f25_a_vault_is_one_sites() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let admin = scene.staffer(StaffRole::Admin).await.person;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let (own, theirs) = (vault_of(&scene.site), vault_of(&scene.other));
    let code = scene.site.code.as_str();
    let path = format!("/platform/v1/sites/{code}/vaults");
    let change = async |body| {
        let call = Call::post(&path).by(&admin).json(&body);
        call.send(&app).await
    };
    let asset = async |symbol: &str, vault: &str| {
        let body = json!({
            "chain": "ETH", "symbol": symbol, "decimals": 6, "provider_asset": "TOK_ETH", "vault": vault,
        });
        let call = Call::post("/api/v1/chain-assets").by(&owner).at(&scene.site);
        call.key(symbol).json(&body).send(&app).await
    };
    asset("OWN", &own).await.expect(201);
    for (symbol, foreign) in [("THEIRS", theirs.as_str()), ("NOBODYS", "no-such-vault")] {
        let refused = asset(symbol, foreign).await;
        assert_eq!(refused.field(), "vault", "{}", refused.json);
        refused.refused(422, "chain_asset_vault_foreign");
    }

    let taken = change(json!({ "add": [theirs] })).await;
    assert_eq!(taken.field(), "vaults");
    taken.refused(409, "site_vault_taken");
    change(json!({ "add": ["a b"] }))
        .await
        .refused(422, "site_vault_invalid");
    let second = format!("{own}-2");
    let changed = change(json!({ "add": [second], "remove": [own, theirs] })).await;
    assert_eq!(changed.expect(200).json, json!({ "vaults": [second] }));
    let seen = Call::get(&path).by(&admin).send(&app).await.expect(200);
    assert_eq!(seen.json, json!({ "vaults": [second] }));
    asset("OLD", &own).await.refused(422, "chain_asset_vault_foreign");
    asset("NEW", &second).await.expect(201);

    let support = scene.staffer(StaffRole::Support).await.person;
    let call = Call::post(&path).by(&support).json(&json!({ "add": ["7"] }));
    call.send(&app).await.refused(403, "capability_missing");
    let audit = Call::get(&format!("/platform/v1/audit?site={code}"));
    let audit = audit.by(&admin).send(&app).await.expect(200);
    let line = &audit.json["items"][0];
    assert_eq!(
        (&line["action"], &line["changes"]),
        (
            &json!("site.vaults_changed"),
            &json!({ "vaults": [[own], [second]] })
        )
    );
}

#[actix_web::test]
async fn f25_what_is_queued_is_not_sent_from_a_vault_that_was_taken_away() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let path = format!("/api/v1/allocation-batches/{}", objects.batch);
    let taken = [objects.vault.clone()];
    let code = scene.site.code.as_str();
    let changed = scene.platform.change_vaults(code, &[], &taken).await;
    assert!(changed.expect("taken away").is_empty());
    let looked = Call::get(&format!("{path}/dry-run")).by(&objects.owner);
    let looked = looked.at(&scene.site).send(&app).await.expect(200);
    assert_eq!(looked.json["totals"], json!([]));
    assert_eq!(looked.json["blocked"][0]["reason"], "vault_not_assigned");
}
