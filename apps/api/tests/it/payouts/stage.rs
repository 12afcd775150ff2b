//! Sites whose agents are paid, over HTTP.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use posx_commissions::{PayoutError, PayoutsTx, Sent};
use posx_kernel::{Begin, Clock as _, EntryId, Ids as _, Money, PartyId, PayoutId, SiteScope, SystemIds};
use posx_ledger::{Account, Entry, EntryKind};
use posx_sandbox::{Fault, PaymentCall};
use posx_tenancy::{Role, Site};
use serde_json::{Value, json};

use crate::world::{Answer, Call, Person, Scene, api};

pub const IBAN: &str = "DE89370400440532013000";

/// Ids of what became of one agent's earnings.
#[derive(Debug)]
pub struct PayoutObjects {
    pub settlement: String,
    pub payout: String,
    pub file: String,
    pub withdrawal: String,
}

/// Books so much as earned, long ago.
pub async fn earn(scene: &Scene, site: &Site, agent: &str, amount: &str) {
    let agent: PartyId = agent.parse().expect("an id");
    let (scope, now) = (SiteScope::of_claimed_job(site.id), scene.clock.now());
    let mut tx = Begin::<dyn PayoutsTx>::begin(&scene.state.services.database, &scope)
        .await
        .expect("a transaction");
    let money = Money::parse(amount, site.currency).expect("money");
    let (debit, credit) = (Account::CommissionExpense, Account::CommissionPayable(agent));
    let (id, kind) = (
        EntryId::from_uuid(SystemIds.uuid(now)),
        EntryKind::CommissionAccrued,
    );
    let entry = Entry::of_money(id, kind, SystemIds.uuid(now), now, money, debit, credit);
    tx.ledger().post(&entry).await.expect("posted");
    tx.commit().await.expect("committed");
}

pub fn money(site: &Site, amount: &str) -> Value {
    json!({ "amount": amount, "currency": site.currency })
}

/// Someone who has earned 100, and their party.
pub async fn agent<S, B>(scene: &Scene, app: &S, site: &Site) -> (Person, String)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let agent = scene.stranger();
    let joined = Call::post("/api/v1/me").by(&agent).at(site).json(&json!({}));
    let party = joined.send(app).await.expect(201).text("/membership/party_id");
    earn(scene, site, &party, "100").await;
    (agent, party)
}

pub async fn set_rules<S, B>(app: &S, site: &Site, owner: &Person)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let rules = json!({
        "minimum": money(site, "10"),
        "debtor": { "name": "The shop", "iban": "GB82WEST12345698765432" },
    });
    let set = Call::put(&format!("/api/v1/payout-rules/{}", site.currency)).header("if-match", "\"0\"");
    set.by(owner).at(site).json(&rules).send(app).await.expect(200);
}

pub async fn set_bank<S, B>(app: &S, site: &Site, agent: &Person) -> Answer
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let bank = json!({ "bank": { "holder": "Ann Agent", "iban": IBAN } });
    let set = Call::put("/api/v1/me/payout-accounts/bank").by(agent).at(site);
    set.json(&bank).send(app).await
}

/// A withdrawal, a settlement that another person approved, its payout, and the file that it is in.
pub async fn furnish<S, B>(scene: &Scene, app: &S, site: &Site, owner: &Person) -> PayoutObjects
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let (agent, _) = agent(scene, app, site).await;
    set_rules(app, site, owner).await;
    set_bank(app, site, &agent).await.expect(204);
    let wish = json!({ "amount": money(site, "20"), "method": "bank" });
    let asked = Call::post("/api/v1/me/withdrawals")
        .by(&agent)
        .at(site)
        .key("out");
    let withdrawal = asked.json(&wish).send(app).await.expect(201).text("/id");
    let staff = |path: &str, body: &Value| Call::post(path).by(owner).at(site).key("furnish").json(body);
    let made = staff("/api/v1/settlements", &json!({ "method": "bank" }));
    let made = made.send(app).await.expect(201);
    let settlement = made.text("/id");
    let checker = scene.member(site, Role::Admin).await;
    let approve = Call::post(&format!("/api/v1/settlements/{settlement}/approve"));
    let approve = approve.by(&checker).at(site).key("furnish");
    let seen = json!({ "hash": made.text("/hash") });
    approve.json(&seen).send(app).await.expect(200);
    let body = json!({ "currency": site.currency, "settlement": settlement });
    let file = staff("/api/v1/payout-files", &body)
        .send(app)
        .await
        .expect(201)
        .text("/id");
    let payouts = Call::get(&format!("/api/v1/payouts?settlement={settlement}"))
        .by(owner)
        .at(site);
    let payout = payouts.send(app).await.expect(200).text("/items/0/id");
    PayoutObjects {
        settlement,
        payout,
        file,
        withdrawal,
    }
}

/// Two people of the site, and an agent with an account at the provider that may be sent to.
pub struct Stage {
    pub scene: Scene,
    pub maker: Person,
    pub checker: Person,
    pub agent: Person,
    pub party: String,
    pub scope: SiteScope,
}

pub async fn stage() -> Stage {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let maker = scene.member(&scene.site, Role::Owner).await;
    let checker = scene.member(&scene.site, Role::Admin).await;
    let (agent, party) = agent(&scene, &app, &scene.site).await;
    let scope = SiteScope::of_claimed_job(scene.site.id);
    drop(app);
    Stage {
        scene,
        maker,
        checker,
        agent,
        party,
        scope,
    }
}

impl Stage {
    pub fn call(&self, call: Call, person: &Person, key: &str) -> Call {
        call.by(person).at(&self.scene.site).key(key)
    }

    pub async fn post<S, B>(&self, app: &S, person: &Person, path: &str, body: &Value) -> Answer
    where
        S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody,
    {
        let call = self.call(Call::post(path), person, &format!("{path}{body}"));
        call.json(body).send(app).await
    }

    pub async fn get<S, B>(&self, app: &S, person: &Person, path: &str) -> Answer
    where
        S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody,
    {
        Call::get(path).by(person).at(&self.scene.site).send(app).await
    }

    /// The agent fills in their account at the provider.
    pub async fn onboarded<S, B>(&self, app: &S)
    where
        S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody,
    {
        let body = json!({ "country": "DE", "refresh_url": "https://shop.test/a", "return_url": "https://shop.test/b" });
        let link = self
            .post(app, &self.agent, "/api/v1/me/payout-accounts/connect", &body)
            .await;
        let link = link.expect(201);
        assert!(link.text("/url").starts_with("https://"));
        assert_eq!(link.header("cache-control"), "no-store");
        let readiness = "/api/v1/me/payout-accounts/connect/readiness";
        let before = self.get(app, &self.agent, readiness).await.expect(200);
        assert_eq!(
            before.json,
            json!({ "ready": false, "missing": ["external_account"] })
        );
        for account in self.scene.world.payments().accounts() {
            self.scene
                .world
                .payments()
                .set_account_ready(&account.id, true)
                .expect("an account");
        }
        let after = self.get(app, &self.agent, readiness).await.expect(200);
        assert_eq!(after.json["ready"], true);
    }

    /// By the provider, approved by the second person: the settlement and its one payout.
    pub async fn settled<S, B>(&self, app: &S) -> (String, PayoutId)
    where
        S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody,
    {
        let made = self
            .post(
                app,
                &self.maker,
                "/api/v1/settlements",
                &json!({ "method": "connect" }),
            )
            .await;
        let made = made.expect(201);
        let settlement = made.text("/id");
        let approve = format!("/api/v1/settlements/{settlement}/approve");
        let seen = json!({ "hash": made.text("/hash") });
        let own = self.post(app, &self.maker, &approve, &seen).await;
        own.refused(403, "settlement_own");
        let given = self.post(app, &self.checker, &approve, &seen).await.expect(200);
        assert_eq!(given.json["state"], "approved");
        let again = self.post(app, &self.checker, &approve, &seen).await.expect(200);
        assert_eq!(again.json["state"], "approved");
        let path = format!("/api/v1/payouts?settlement={settlement}");
        let payout = self
            .get(app, &self.maker, &path)
            .await
            .expect(200)
            .text("/items/0/id");
        (settlement, payout.parse().expect("an id"))
    }

    pub async fn send(&self, id: PayoutId) -> Result<Sent, PayoutError> {
        self.scene.state.services.payouts.send(&self.scope, id).await
    }

    pub fn fail(&self, fault: Fault) {
        self.scene
            .world
            .payments()
            .line()
            .inject(PaymentCall::CreateTransfer, fault, 1);
    }
}
