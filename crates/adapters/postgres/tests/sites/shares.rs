//! Commissions and allocations: their contract suites, and many workers at once.

use std::sync::Arc;

use posx_allocations::custody::Transfer;
use posx_allocations::testing::{Answer, FakeCustody};
use posx_allocations::*;
use posx_commissions::testing::{at, two_levels, usd};
use posx_commissions::*;
use posx_kernel::*;
use posx_postgres::{Database, DatabaseOptions};
use sqlx::{Connection, PgConnection};

struct World {
    db: Database,
    scope: SiteScope,
    elsewhere: SiteScope,
    ids: SystemIds,
    alice: PartyId,
    bob: PartyId,
    carol: PartyId,
    actor: IdentityId,
    order: OrderId,
    unpaid: OrderId,
}

async fn world() -> World {
    let ids = SystemIds;
    let new = || ids.uuid(SystemClock.now());
    let mut su = PgConnection::connect(&posx_testkit::database().superuser_url)
        .await
        .expect("connected");
    let (site, other) = (new(), new());
    for id in [site, other] {
        let code = format!("S{}", &id.simple().to_string()[20..].to_uppercase());
        sqlx::query("insert into sites (id, code, name, currency, time_zone, created_at) values ($1, $2, 'x', 'USD', 'UTC', now())")
            .bind(id).bind(code).execute(&mut su).await.unwrap();
    }
    let actor = new();
    sqlx::query("insert into identities values ($1, 'i', $2, now())")
        .bind(actor)
        .bind(actor.to_string())
        .execute(&mut su)
        .await
        .unwrap();
    sqlx::query("select set_config('app.current_site_id', $1, false)")
        .bind(site.to_string())
        .execute(&mut su)
        .await
        .unwrap();
    let (alice, bob, carol) = (new(), new(), new());
    for (id, claimed) in [(alice, None), (bob, Some(alice)), (carol, Some(bob))] {
        sqlx::query("insert into parties (id, referral_code, claimed_referrer_id, created_at) values ($1, $2, $3, now())")
            .bind(id).bind(id.to_string()).bind(claimed).execute(&mut su).await.unwrap();
    }
    let (asset, tier) = (new(), new());
    sqlx::query("insert into chain_assets (id, chain, symbol, decimals, provider_asset, vault, created_at) values ($1, 'POLYGON', 'POSX', 18, 'POSX_POLYGON', '7', now())").bind(asset).execute(&mut su).await.unwrap();
    sqlx::query("insert into tiers (id, name, asset_id, currency, list_price, tokens_per_unit, max_per_order, created_at, updated_at) values ($1, 't', $2, 'USD', 5000, 10, 100, now(), now())").bind(tier).bind(asset).execute(&mut su).await.unwrap();
    let mut snapshot = two_levels();
    snapshot.plan = PlanId::from_uuid(new());
    sqlx::query("insert into commission_plans (id, name, version, levels, hold_days, created_at) values ($1, $2, 1, $3, 7, now())")
        .bind(snapshot.plan.as_uuid()).bind(&snapshot.name).bind(serde_json::to_value(&snapshot.levels).unwrap()).execute(&mut su).await.unwrap();
    let (first, order, unpaid) = (new(), new(), new());
    for (id, buyer, total, lifecycle, payment, paid) in [
        (first, bob, 5000_i64, "confirmed", "paid", Some(at(0))),
        (order, carol, 10_001, "confirmed", "paid", Some(at(1))),
        (unpaid, carol, 77, "placed", "unpaid", None),
    ] {
        sqlx::query("insert into orders (id, number, kind, buyer_id, lifecycle, payment, delivery, currency, subtotal, total, chain, wallet_address, plan_snapshot, placed_at, expires_at, paid_at) select $1, $2, 'token', $3, $4, $5, 'none', 'USD', $6, $6, 'POLYGON', '0x52908400098527886E0F7030069857D2E4169EE7', jsonb_build_object('plan', 'plan_' || replace(p.id::text, '-', ''), 'name', p.name, 'version', p.version, 'levels', p.levels, 'hold_days', p.hold_days), $8, $8, $9 from commission_plans p where p.id = $7")
            .bind(id).bind(id.to_string()).bind(buyer).bind(lifecycle).bind(payment).bind(total).bind(snapshot.plan.as_uuid()).bind(at(0)).bind(paid)
            .execute(&mut su).await.unwrap();
        for position in 1..=2_i16 {
            sqlx::query("insert into order_lines (order_id, id, position, tier_id, tier_name, asset_id, quantity, unit_price, amount, tokens) values ($1, $2, $3, $4, 't', $5, 1, 0, 0, 340282366920938463463374607431768211455)")
                .bind(id).bind(new()).bind(position).bind(tier).bind(asset).execute(&mut su).await.unwrap();
        }
    }
    sqlx::query(
        "insert into referrals (party_id, referrer_id, order_id, bound_at) values ($1, $2, $3, now())",
    )
    .bind(bob)
    .bind(alice)
    .bind(first)
    .execute(&mut su)
    .await
    .unwrap();
    let db = Database::connect(&posx_testkit::database().app_url, DatabaseOptions::default())
        .await
        .expect("connected");
    let scope = |id| SiteScope::of_claimed_job(SiteId::from_uuid(id));
    let p = PartyId::from_uuid;
    World {
        db,
        scope: scope(site),
        elsewhere: scope(other),
        ids,
        alice: p(alice),
        bob: p(bob),
        carol: p(carol),
        actor: IdentityId::from_uuid(actor),
        order: OrderId::from_uuid(order),
        unpaid: OrderId::from_uuid(unpaid),
    }
}

impl World {
    fn commissions(&self) -> Commissions {
        Commissions::new(
            Arc::new(self.db.clone()),
            Arc::new(ManualClock::stopped_at(at(2))),
            Arc::new(self.ids),
        )
    }
    fn allocations(&self, custody: &Arc<FakeCustody>) -> Allocations {
        Allocations::new(
            Arc::new(self.db.clone()),
            custody.clone(),
            Arc::new(ManualClock::stopped_at(at(2))),
            Arc::new(self.ids),
        )
    }
    async fn count(&self, sql: &str) -> i64 {
        let mut su = PgConnection::connect(&posx_testkit::database().superuser_url)
            .await
            .expect("connected");
        sqlx::query_scalar(sqlx::AssertSqlSafe(
            sql.replace("$site", &format!("'{}'", self.scope.site().as_uuid())),
        ))
        .fetch_one(&mut su)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn commissions_pass_the_contract() {
    let w = world().await;
    let given = posx_commissions::testing::Given {
        scope: w.scope.clone(),
        elsewhere: w.elsewhere.clone(),
        order: w.order,
        paid_at: at(1),
        buyer: w.carol,
        referrer: w.bob,
        grand: w.alice,
    };
    posx_commissions::testing::contract(Arc::new(w.db.clone()), &given).await;
}

#[tokio::test]
async fn allocations_pass_the_contract() {
    let w = world().await;
    let given = posx_allocations::testing::Given {
        scope: w.scope.clone(),
        elsewhere: w.elsewhere.clone(),
        order: w.order,
        unpaid: w.unpaid,
        actor: w.actor,
        now: at(2),
    };
    posx_allocations::testing::contract(Arc::new(w.db.clone()), &given).await;
    assert_eq!(w.count("select count(*) from orders where site_id = $site and delivery = 'done' and lifecycle = 'fulfilled'").await, 1);
    assert_eq!(
        w.count("select count(*) from entries where site_id = $site and kind = 'tokens.delivered'")
            .await,
        2
    );
    let jobs = w.db.jobs(&w.scope, false, None, 50).await.unwrap();
    assert_eq!(jobs.iter().filter(|job| job.task == "submit_batch").count(), 1);
    assert_eq!(
        w.count("select coalesce(sum(amount), 0)::bigint from postings where site_id = $site")
            .await,
        0
    );
    let page =
        w.db.allocations(
            &w.scope,
            &AllocationFilter {
                order: Some(w.order),
                ..Default::default()
            },
            PageRequest::new(Some(1), None),
        )
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    let v = &page.items[0];
    let next =
        w.db.allocations(
            &w.scope,
            &AllocationFilter {
                party: Some(w.carol),
                state: Some(StateName::Done),
                batch: v.batch,
                needs_person: Some(false),
                order: None,
            },
            PageRequest::new(Some(1), page.next),
        )
        .await
        .unwrap();
    assert_eq!(next.items.len(), 1);
    assert!(next.next.is_none());
    assert!(
        w.db.allocation(&w.scope, v.id, Some(w.carol))
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        w.db.allocation(&w.scope, v.id, Some(w.bob))
            .await
            .unwrap()
            .is_none()
    );
    assert!(w.db.allocation(&w.elsewhere, v.id, None).await.unwrap().is_none());
    let batches =
        w.db.batches(&w.scope, PageRequest::new(None, None))
            .await
            .unwrap();
    assert_eq!(
        w.db.batch(&w.scope, batches.items[0].id)
            .await
            .unwrap()
            .unwrap()
            .size,
        2
    );
    assert!(
        w.db.batch(&w.elsewhere, batches.items[0].id)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p23_eight_runs_at_once_pay_once_and_explain() {
    let w = world().await;
    let mut runs = Vec::new();
    for _ in 0..8 {
        let (service, scope, order) = (w.commissions(), w.scope.clone(), w.order);
        runs.push(tokio::spawn(async move { service.accrue(&scope, order).await }));
    }
    let mut applied = 0;
    for run in runs {
        if matches!(run.await.unwrap().unwrap(), Accrued::Applied(_)) {
            applied += 1;
        }
    }
    assert_eq!(applied, 1);
    assert_eq!(
        w.count("select count(*) from commissions where site_id = $site")
            .await,
        2
    );
    assert_eq!(
        w.count("select count(*) from entries where site_id = $site")
            .await,
        2
    );
    let mine =
        w.db.commissions(
            &w.scope,
            &CommissionFilter {
                agent: Some(w.bob),
                state: Some(CommissionState::Held),
                order: Some(w.order),
            },
            PageRequest::new(Some(1), None),
        )
        .await
        .unwrap();
    assert_eq!((mine.items.len(), mine.next), (1, None));
    let id = mine.items[0].id;
    let e = w.db.explain(&w.scope, id, Some(w.bob)).await.unwrap().unwrap();
    assert!(e.agrees);
    assert!(w.db.explain(&w.scope, id, Some(w.alice)).await.unwrap().is_none());
    assert!(w.db.explain(&w.elsewhere, id, None).await.unwrap().is_none());
    let o = w.db.explain_order(&w.scope, w.order).await.unwrap().unwrap();
    assert_eq!(o.sum, usd(1600));
    assert!(o.ancestors.iter().all(|a| a.agrees));
    let u = w.db.explain_order(&w.scope, w.unpaid).await.unwrap().unwrap();
    assert_eq!(u.nobody, Some(NobodyEarned::NotPaid));
    assert!(w.db.explain_order(&w.elsewhere, w.order).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn plans_made_and_activated_at_once_have_versions_of_their_own_and_one_is_active() {
    let w = world().await;
    let mut runs = Vec::new();
    for _ in 0..6 {
        let (service, scope) = (w.commissions(), w.scope.clone());
        runs.push(tokio::spawn(async move {
            let wish = NewPlan {
                name: "P".into(),
                levels: vec![posx_commissions::testing::level(1, "0.1", 0)],
                hold_days: 7,
            };
            let plan = service.create_plan(&scope, usd(0).currency(), wish).await?;
            service.activate_plan(&scope, plan.id).await?;
            Ok::<_, PlanError>(plan.version)
        }));
    }
    let mut versions = Vec::new();
    for run in runs {
        versions.push(run.await.unwrap().unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        w.count("select count(*) from commission_plans where site_id = $site and active")
            .await,
        1
    );
    assert_eq!(w.db.plans(&w.scope).await.unwrap().len(), 7);
    assert!(w.db.plans(&w.elsewhere).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p24_many_workers_with_lost_answers_send_one_transfer_for_each_allocation() {
    let w = world().await;
    let custody = Arc::new(FakeCustody::default());
    let service = w.allocations(&custody);
    let mut runs = Vec::new();
    for _ in 0..4 {
        let (service, scope, order) = (service.clone(), w.scope.clone(), w.order);
        runs.push(tokio::spawn(async move {
            service.allocate(&scope, order).await.unwrap()
        }));
    }
    let mut made = Vec::new();
    for run in runs {
        if let Allocated::Applied(ids) = run.await.unwrap() {
            made.extend(ids);
        }
    }
    assert_eq!(made.len(), 2);
    let batch = service.create_batch(&w.scope, w.actor, &made).await.unwrap();
    custody.script([
        Answer::LostOnTheWayBack,
        Answer::LostOnTheWayThere,
        Answer::LostOnTheWayBack,
    ]);
    let mut runs = Vec::new();
    for _ in 0..8 {
        let (service, scope) = (service.clone(), w.scope.clone());
        runs.push(tokio::spawn(async move {
            let _ = service.submit_batch(&scope, batch.id).await;
        }));
    }
    for run in runs {
        run.await.unwrap();
    }
    service.submit_batch(&w.scope, batch.id).await.unwrap();
    assert_eq!(custody.transfers().len(), 2);
    let mut runs = Vec::new();
    for (n, held) in custody.transfers().into_iter().enumerate() {
        for status in ["COMPLETED", "CONFIRMING", "COMPLETED"] {
            let (service, scope) = (service.clone(), w.scope.clone());
            let report = Transfer {
                status: status.into(),
                tx_hash: Some(format!("0x{n}")),
                ..held.clone()
            };
            runs.push(tokio::spawn(async move {
                service.apply_report(&scope, &report).await.unwrap();
            }));
        }
    }
    for run in runs {
        run.await.unwrap();
    }
    assert_eq!(w.count("select count(*) from orders where site_id = $site and delivery = 'done' and lifecycle = 'fulfilled'").await, 1);
    assert_eq!(
        w.count("select count(*) from entries where site_id = $site and kind = 'tokens.delivered'")
            .await,
        2
    );
}
