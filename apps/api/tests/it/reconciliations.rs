//! The books against the sandbox's own account: a day that was sold, refunded and disputed.

use std::sync::Arc;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use chrono::{Days, NaiveDate, TimeDelta};
use posx_kernel::{Clock as _, PageRequest, SiteScope, SystemRandomness};
use posx_ledger::reconcile::{Provider, Reason, Reconciled, Reconciliations};
use posx_sandbox::{DisputeStatus, RefundStatus};
use posx_stripe::{ClientConfig, Connection, Mode, StripeAccounts, StripeKey, StripeLines};
use posx_tenancy::Site;
use posx_worker::drain_site;
use serde_json::{Value, json};

use crate::objects::{Objects, buy, furnish};
use crate::world::{Call, Person, Scene, api};

/// A run over a day before the site was: nothing to match, and nothing that does not match.
pub async fn furnish_run(scene: &Scene, site: &Site) -> String {
    let day = scene.clock.now().date_naive() - Days::new(40);
    let runs = &scene.state.services.reconciliations;
    let scope = SiteScope::of_claimed_job(site.id);
    let run = runs
        .reconcile(&scope, site.time_zone, Provider::Stripe, day)
        .await;
    run.expect("compared").run.id.to_string()
}

struct Desk<'a, S> {
    scene: &'a Scene,
    app: &'a S,
    objects: Objects,
    scope: SiteScope,
    day: NaiveDate,
    /// On Stripe's own client.
    runs: Reconciliations,
}

impl<'a, S, B> Desk<'a, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    /// On a morning, so that the day does not end meanwhile.
    async fn open(scene: &'a Scene, app: &'a S) -> Self {
        let tomorrow = scene.clock.now().date_naive() + Days::new(1);
        let morning = tomorrow.and_hms_opt(8, 0, 0).expect("a time").and_utc();
        scene.clock.advance(morning - scene.clock.now());
        let objects = furnish(scene, app, &scene.other).await;
        let scope = SiteScope::of_claimed_job(scene.other.id);
        Self {
            scene,
            app,
            objects,
            scope,
            day: tomorrow,
            runs: with_stripes_client(scene),
        }
    }

    async fn works(&self) {
        let drained = drain_site(&self.scene.state.services, self.scene.other.id).await;
        drained.expect("drained");
    }

    async fn refunds(&self, key: &str, amount: &str) -> String {
        let path = format!("/api/v1/orders/{}/refunds", self.objects.order);
        let body = json!({ "amount": { "amount": amount, "currency": "KWD" }, "reason": "duplicate" });
        let call = Call::post(&path)
            .by(&self.objects.owner)
            .at(&self.scene.other)
            .key(key);
        call.json(&body).send(self.app).await.expect(201);
        self.works().await;
        let refunds = self.scene.world.payments().refunds();
        refunds.last().expect("a refund").id.clone()
    }

    async fn tells_of(&self, intent: &str) {
        let orders = &self.scene.state.services.orders;
        let intent = posx_orders::gateway::IntentId(intent.to_owned());
        orders.apply_refunds(&self.scope, &intent).await.expect("applied");
    }

    async fn disputes(&self, intent: &str, minor: i64) -> String {
        let payments = self.scene.world.payments();
        let id = payments.open_dispute(intent, Some(minor), DisputeStatus::NeedsResponse);
        let id = id.expect("opened");
        payments.withdraw_funds(&id, 5_000).expect("withdrawn");
        self.tells_of_dispute(&id).await;
        id
    }

    async fn tells_of_dispute(&self, id: &str) {
        let orders = &self.scene.state.services.orders;
        orders.apply_dispute(&self.scope, id).await.expect("applied");
    }

    /// Two sales; refunds and disputes of every end. The refund that failed before it was through.
    async fn lives_through_a_day(&self) -> String {
        let (payments, site) = (self.scene.world.payments(), &self.scene.other);
        let (intent, buyer) = (&self.objects.intent, self.scene.stranger());
        let joined = Call::post("/api/v1/me").by(&buyer).at(site).json(&json!({}));
        joined.send(self.app).await.expect(201);
        let (_, second) = buy(self.scene, self.app, site, &buyer, &self.objects.tier).await;
        // One refund stays, one bounces after it was paid, one fails before it is through.
        self.refunds("stays", "10.000").await;
        let bounces = self.refunds("bounces", "20.000").await;
        payments
            .settle_refund(&bounces, RefundStatus::Failed)
            .expect("it bounces");
        self.tells_of(intent).await;
        payments.keep_refunds_pending(true);
        let fails = self.refunds("fails", "30.000").await;
        payments
            .settle_refund(&fails, RefundStatus::Failed)
            .expect("it fails");
        self.tells_of(intent).await;
        payments.keep_refunds_pending(false);
        // One dispute is lost, the other won.
        let lost = self.disputes(intent, 40_000).await;
        payments
            .decide_dispute(&lost, DisputeStatus::Lost)
            .expect("decided");
        self.tells_of_dispute(&lost).await;
        let won = self.disputes(&second, 50_000).await;
        payments.reinstate_funds(&won, 5_000).expect("reinstated");
        payments
            .decide_dispute(&won, DisputeStatus::Won)
            .expect("decided");
        self.tells_of_dispute(&won).await;
        fails
    }

    /// At the provider, and POSX is not told: 1.000 and 2.000.
    fn somebody_refunds_twice(&self) -> [String; 2] {
        let payments = self.scene.world.payments();
        let refund = |minor| payments.refund_by_hand(&self.objects.intent, Some(minor));
        [1_000, 2_000].map(|minor| refund(minor).expect("refunded"))
    }

    fn night(&self) {
        let over = self.day + Days::new(1);
        let over = over.and_hms_opt(3, 0, 0).expect("a time").and_utc();
        self.scene.clock.advance(over - self.scene.clock.now());
    }

    async fn run(&self, runs: &Reconciliations) -> Reconciled {
        let zone = self.scene.other.time_zone;
        let run = runs
            .reconcile(&self.scope, zone, Provider::Stripe, self.day)
            .await;
        run.expect("compared")
    }

    /// What the books say that the provider holds, in minor units.
    async fn clearing(&self) -> i64 {
        let services = &self.scene.state.services;
        let rows = services
            .ledger_queries
            .trial_balance(&self.scope, None)
            .await
            .expect("balances");
        let clearing = rows.iter().find(|row| row.account == "provider:clearing");
        clearing.expect("an account").balance.parse().expect("a number")
    }

    fn at_the_provider(&self) -> i64 {
        let lines = self.scene.world.payments().lines();
        lines.iter().map(|line| line.amount - line.fee).sum()
    }

    async fn see(&self, by: &Person, path: &str) -> Value {
        let seen = Call::get(path).by(by).at(&self.scene.other).send(self.app).await;
        seen.expect(200).json
    }
}

fn with_stripes_client(scene: &Scene) -> Reconciliations {
    let config = ClientConfig {
        base_url: scene.world.stripe_host_url(),
        ..ClientConfig::default()
    };
    let connection = Connection::new(&config, Arc::new(SystemRandomness)).expect("a connection");
    let key = StripeKey::new(&scene.world.secrets().stripe_secret_key.clone().into()).expect("a key");
    let accounts = StripeAccounts::new(&connection, Mode::Test, [(scene.other.id, key)]).expect("accounts");
    let services = &scene.state.services;
    let lines = Arc::new(StripeLines::new(accounts));
    Reconciliations::new(
        &Arc::new(services.database.clone()),
        lines.clone(),
        lines,
        services.clock.clone(),
        services.ids.clone(),
    )
}

fn reasons(reconciled: &Reconciled) -> Vec<(Reason, String)> {
    let reference = |one: &posx_ledger::reconcile::Difference| {
        let line = one.line.as_ref().map(|line| line.reference.clone());
        let entry = one.entry.as_ref().and_then(|entry| entry.reference.clone());
        line.or(entry).unwrap_or_default()
    };
    let found = reconciled
        .differences
        .iter()
        .map(|one| (one.reason, reference(one)));
    found.collect()
}

#[actix_web::test]
async fn s49_a_day_that_was_sold_refunded_and_disputed_agrees_with_the_provider_to_the_last_line() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::open(&scene, &app).await;
    let payments = scene.world.payments();
    let fails = desk.lives_through_a_day().await;
    // And what only the provider knows.
    let kwd = |minor| posx_kernel::Money::from_minor(minor, scene.other.currency);
    payments.pay_out(kwd(100_000)).expect("paid out");
    payments.charge_fee(kwd(2_000)).expect("charged");
    desk.night();

    let (one, other) = tokio::join!(desk.run(&desk.runs), desk.run(&desk.runs));
    for reconciled in [&one, &other] {
        assert_eq!(reconciled.run.unexplained, 0, "{:?}", reconciled.differences);
        let came_to_nothing = (Reason::CameToNothing, fails.clone());
        assert_eq!(reasons(reconciled), [came_to_nothing.clone(), came_to_nothing]);
    }
    // Each payment with its fee; five lines of refunds, three of disputes with a fee each; a payout, a fee.
    let sold = payments
        .intents()
        .iter()
        .filter(|intent| intent.received.is_positive())
        .count();
    let sold = u32::try_from(sold).expect("a few");
    let (lines, matched) = (2 * sold + 5 + 6 + 2, 2 * sold + 3 + 6 + 2);
    assert_eq!((one.run.lines, one.run.matched), (lines, matched));
    let booked = one.run.booked + other.run.booked;
    assert_eq!(booked, sold + 2, "once, by whichever of the two");
    assert_eq!(desk.run(&desk.runs).await.run.booked, 0);
    assert_eq!(desk.clearing().await, desk.at_the_provider());

    // The sandbox's own client knows the payout and the fee for nobody's; what is of the site it reads alike.
    let ours = desk.run(&scene.state.services.reconciliations).await.run;
    assert_eq!(
        (ours.lines, ours.matched, ours.unexplained),
        (lines - 2, matched - 2, 0)
    );
}

#[actix_web::test]
async fn what_does_not_agree_is_kept_and_read_by_page() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::open(&scene, &app).await;
    let unknown = desk.somebody_refunds_twice();
    desk.night();
    let run = desk.run(&scene.state.services.reconciliations).await.run;
    // Tokens do not live so long.
    let owner = &scene.plain(&desk.objects.owner);
    let id = run.id.to_string();
    let path = "/api/v1/ledger/reconciliations";
    let listed = desk.see(owner, &format!("{path}?provider=stripe&limit=1")).await;
    let shown = &listed["items"][0];
    assert_eq!(
        [&shown["id"], &shown["day"], &shown["provider"]],
        [&json!(id), &json!(desk.day), &json!("stripe")]
    );
    assert_eq!(
        [&shown["unexplained"], &shown["booked"]],
        [&json!(2), &json!(run.booked)]
    );
    assert!(listed["next"].is_string(), "the run that was there before");
    assert_eq!(desk.see(owner, &format!("{path}/{id}")).await, *shown);

    let differences = format!("{path}/{id}/differences?limit=1");
    let first = desk.see(owner, &differences).await;
    let next = first["next"].as_str().expect("more");
    let second = desk.see(owner, &format!("{differences}&after={next}")).await;
    assert_eq!(second["next"], Value::Null);
    let mut seen = Vec::new();
    for page in [&first, &second] {
        let (found, line) = (&page["items"][0], &page["items"][0]["line"]);
        assert_eq!(
            [&found["reason"], &found["entry"]],
            [&json!("missing_here"), &Value::Null]
        );
        assert_eq!(
            [&line["movement"], &line["unit"]],
            [&json!("refund"), &json!("KWD")]
        );
        seen.push((line["reference"].clone(), line["amount"].clone()));
    }
    seen.sort_by_key(|(_, amount)| amount.to_string());
    let [one, two] = unknown.map(|id| json!(id));
    assert_eq!(seen, [(one, json!("-1000")), (two, json!("-2000"))]);
    let of_none = desk.see(owner, &format!("{path}?provider=fireblocks")).await;
    assert_eq!(of_none["items"], json!([]));
}

#[actix_web::test]
async fn what_is_booked_late_is_explained_by_the_next_run_and_the_earlier_one_stays() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::open(&scene, &app).await;
    let mut expected = desk.somebody_refunds_twice().map(|id| (Reason::MissingHere, id));
    desk.night();
    let services = &scene.state.services;
    let found = desk.run(&services.reconciliations).await;
    let mut missing = reasons(&found);
    missing.sort();
    expected.sort();
    assert_eq!(missing, expected);

    desk.tells_of(&desk.objects.intent).await;
    scene.clock.advance(TimeDelta::minutes(1));
    let again = desk.run(&services.reconciliations).await;
    let counts = (again.run.unexplained, again.run.explained);
    assert_eq!(counts, (0, 2), "booked on another day: {:?}", again.differences);
    let page = PageRequest::new(None, None);
    let queries = &services.reconciliation_queries;
    let kept = queries
        .differences(&desk.scope, found.run.id, page)
        .await
        .expect("read");
    assert_eq!(
        kept.expect("the run").items.len(),
        2,
        "what a run found is never changed"
    );
}

#[actix_web::test]
async fn a_run_that_is_not_there_is_not_found() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let missing = "rcn_00000000000070008000000000000000";
    for path in ["", "/differences"] {
        let path = format!("/api/v1/ledger/reconciliations/{missing}{path}");
        let call = Call::get(&path).by(&objects.owner).at(&scene.other);
        call.send(&app).await.refused(404, "reconciliation_not_found");
    }
}
