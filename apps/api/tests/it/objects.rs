//! One of everything that a site can have, and a body for every route.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use aws_lc_rs::hmac;
use posx_kernel::{Clock as _, SiteScope};
use posx_orders::gateway::IntentId;
use posx_tenancy::{Role, SessionClient, SignInFacts, Site};
use posx_testkit::vault_of;
use serde_json::{Value, json};

use crate::devices::{Machines, machines};
use crate::payouts::PayoutObjects;
use crate::world::{Call, Person, Scene};

pub const WALLET: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

/// Ids of a site where someone bought something.
#[derive(Debug)]
pub struct Objects {
    pub owner: Person,
    pub buyer: Person,
    pub agent: Person,
    pub agent_party: String,
    /// Of the agent: the month before, in which nothing happened.
    pub statement: String,
    pub asset: String,
    /// The site's own.
    pub vault: String,
    pub tier: String,
    pub promo_code: String,
    pub plan: String,
    pub order: String,
    pub intent: String,
    /// A closed inquiry about the payment.
    pub dispute: String,
    pub commission: String,
    pub allocation: String,
    pub batch: String,
    pub vesting_policy: String,
    pub vesting_schedule: String,
    pub approval: String,
    pub webhook: String,
    pub job: String,
    pub member: String,
    /// Of one who joined and did nothing else.
    pub party: String,
    pub place: String,
    pub payouts: PayoutObjects,
    pub invitation: String,
    pub reconciliation: String,
    pub period: String,
    pub grant: String,
    pub session: String,
    pub machines: Machines,
    /// Of the owner.
    pub conversation: String,
    pub site_code: String,
    /// With an open draft.
    pub document: String,
    pub customer: String,
}

impl Objects {
    /// What stands for the `{id}` of a route.
    pub fn id_for(&self, path: &str) -> &str {
        let collection = path
            .trim_start_matches("/api/v1/")
            .split('/')
            .next()
            .unwrap_or("");
        match collection {
            "agents" => &self.agent_party,
            "agent-statements" => &self.statement,
            "tiers" => &self.tier,
            "promo-codes" => &self.promo_code,
            "orders" => &self.order,
            "disputes" => &self.dispute,
            "commissions" => &self.commission,
            "settlements" => &self.payouts.settlement,
            "payouts" => &self.payouts.payout,
            "payout-files" => &self.payouts.file,
            "withdrawals" => &self.payouts.withdrawal,
            "commission-plans" => &self.plan,
            "allocations" | "token-debts" => &self.allocation,
            "allocation-batches" => &self.batch,
            "vesting-policies" => &self.vesting_policy,
            "vesting-schedules" => &self.vesting_schedule,
            "approvals" => &self.approval,
            "jobs" => &self.job,
            "members" => &self.member,
            "places" => &self.place,
            "invitations" => &self.invitation,
            "parties" => &self.party,
            "platform-grants" => &self.grant,
            "sessions" => &self.session,
            "api-keys" => &self.machines.key,
            "devices" => &self.machines.device,
            "webhook-events" => &self.webhook,
            "assistant" => &self.conversation,
            "documents" => &self.document,
            "customers" => &self.customer,
            "ledger" if path.contains("/reconciliations/") => &self.reconciliation,
            "ledger" if path.contains("/periods/") => &self.period,
            other => panic!("what is an id of {other}? Make one in objects.rs"),
        }
    }
}

/// A body that the operation accepts when its ids are good.
#[expect(clippy::too_many_lines, reason = "one row for each operation")]
pub fn body_for(operation: &str, objects: &Objects) -> Value {
    let line = json!({ "tier_id": objects.tier, "quantity": 1 });
    let terms = |extra: Value| {
        let mut terms = json!({ "name": "Silver", "list_price": { "amount": "20.000", "currency": "KWD" } });
        if let (Some(terms), Some(extra)) = (terms.as_object_mut(), extra.as_object()) {
            terms.extend(extra.clone());
        }
        terms
    };
    match operation {
        "choose_model" => json!({ "main": { "provider": "sandbox", "model": "sandbox-1" } }),
        "give_model_key" => json!({ "key": "sk-of-the-sites-own" }),
        "give_model_consent" => json!({ "text_version": 1 }),
        "announce_document" => {
            json!({ "name": "a.pdf", "media_type": "application/pdf", "bytes": 9, "kind": "order" })
        }
        "edit_document_draft" => json!({ "customer": { "name": "Gamma" } }),
        "reject_document_draft" => json!({ "reason": "a twin" }),
        "register_customer" => json!({ "name": "Beta AG" }),
        "create_conversation" => json!({ "title": "Sales" }),
        "ask_assistant" | "ask_storefront" => json!({ "message": "What is open?" }),
        "set_assistant_retention" => json!({ "days": 30 }),
        "preview_order" => json!({ "lines": [line] }),
        "validate_promo_code" => json!({ "code": "GOLD10", "lines": [line] }),
        "create_promo_code" => {
            json!({ "code": "NEW10", "discount": { "rate": "0.1" }, "tier_ids": [objects.tier] })
        }
        "edit_promo_code" => json!({ "discount": { "rate": "0.2" } }),
        "place_order" => json!({ "lines": [line], "wallet_address": WALLET }),
        "refund_order" => {
            json!({ "amount": { "amount": "10.000", "currency": "KWD" }, "reason": "duplicate" })
        }
        "create_tier" => terms(json!({ "asset_id": objects.asset, "tokens_per_unit": "5", "supply": 10 })),
        "edit_tier" => terms(json!({ "position": 3 })),
        "correct_tier_supply" => json!({ "quantity": 5, "reason": "more were minted" }),
        "create_chain_asset" => {
            json!({ "chain": "BSC", "symbol": "NEW", "decimals": 18, "provider_asset": "NEW_BSC", "vault": objects.vault })
        }
        "create_commission_plan" => json!({
            "name": "Fuzzed",
            "levels": [{ "level": 1, "rate": "0.1", "minimum_sales": { "amount": "0", "currency": "KWD" } }],
            "hold_days": 7,
        }),
        "schedule_commission_plan" => json!({ "from": "2099-01-01T00:00:00Z" }),
        "simulate_commission_plan" => {
            json!({ "from": "2026-01-01T00:00:00Z", "until": "2026-12-31T00:00:00Z" })
        }
        "record_agent_terms" => json!({ "terms": { "grade": "gold" } }),
        "create_allocation_batch" => json!({ "allocations": [objects.allocation] }),
        "set_model_budgets" => {
            json!({ "limits": [{ "scope": "site", "period": "month", "limit_micros": 5_000_000 }] })
        }
        "add_model_credit" => json!({ "kind": "grant", "amount_micros": 1_000_000 }),
        "close_ledger_period" => json!({ "until": "2021-01-01T00:00:00Z" }),
        "reopen_ledger_period" => json!({ "reason": "an invoice was missing" }),
        "edit_agent" => json!({ "display_name": "Mona", "state": "suspended" }),
        "place_agent" => json!({ "parent": objects.party }),
        "make_agent_statements" => json!({ "month": "2020-01" }),
        "create_vesting_policy" => json!({
            "name": "Team", "share_at_start": "0.1", "cliff_months": 6, "periods": 24, "unit": "month",
        }),
        "move_vesting_start" => json!({ "starts_on": "2099-01-31" }),
        "set_tier_vesting" => json!({ "policy": objects.vesting_policy }),
        "settle_token_debt" => json!({ "how": "waived", "amount": "1", "reason": "as agreed" }),
        "revoke_vesting" => json!({ "reason": "left the programme" }),
        "erase_personal_data" => json!({ "reason": "asked for it" }),
        "change_member" => json!({ "role": "viewer" }),
        "create_place" => json!({ "code": "NEW", "name": "New street", "time_zone": "Asia/Kuwait" }),
        "edit_place" => json!({ "name": "New street 2" }),
        "create_invitation" => {
            json!({ "email": "new@example.com", "role": "cashier", "places": [objects.place] })
        }
        "accept_invitation" => json!({ "token": "0".repeat(64) }),
        "approve_approval" | "approve_settlement" | "approve_allocation_batch" => {
            json!({ "hash": "0".repeat(64) })
        }
        "reject_approval" => json!({ "reason": "not this way" }),
        "change_approval_limit" => json!({ "quantity_max": 10 }),
        "confirm_second_factor" | "verify_second_factor" => json!({ "code": "000000" }),
        "give_stripe_account" => {
            json!({ "secret_key": "sk_test_0123456789abcdef", "webhook_secrets": ["whsec_0123456789abcdef"] })
        }
        "join_site" => json!({ "referral_code": "NOBODY-ABCDEF" }),
        "create_sign_in_challenge" => json!({ "address": WALLET, "chain_id": 1, "domain": "localhost:5173" }),
        "create_session" => {
            json!({ "wallet": { "message": "not one that was signed", "signature": "0x00" } })
        }
        "accept_document_draft" | "refresh_session" => json!({}),
        "create_api_key" => json!({ "name": "Books", "scopes": ["orders:read"] }),
        "rotate_api_key" => json!({ "overlap_days": 1 }),
        "start_device_pairing" => json!({ "name": "Till 2", "place": objects.machines.place }),
        "pair_device" => json!({ "code": "0000-0000" }),
        "device_heartbeat" => json!({ "app_version": "1.0", "device_time": "2026-06-01T12:00:00Z" }),
        "sign_in_with_wallet" => json!({ "message": "not one that was signed", "signature": "0x00" }),
        "create_wallet_challenge" => {
            json!({ "address": WALLET, "chain_id": 137, "domain": "localhost:5173" })
        }
        "bind_wallet" => json!({ "address": WALLET }),
        "create_settlement" => json!({ "method": "manual" }),
        "mark_payout_paid" => json!({ "reference": "statement 7" }),
        "mark_payout_failed" | "give_payout_back" | "reject_withdrawal" => {
            json!({ "reason": "not this way" })
        }
        "create_payout_file" => json!({ "currency": "KWD" }),
        "edit_payout_rules" => json!({ "minimum": { "amount": "5", "currency": "KWD" } }),
        "write_off_balance" => {
            json!({ "agent": objects.party, "amount": { "amount": "1", "currency": "KWD" }, "reason": "moved away" })
        }
        "request_withdrawal" => json!({ "amount": { "amount": "20", "currency": "KWD" }, "method": "bank" }),
        "set_bank_account" => json!({ "bank": { "holder": "Ann Agent", "iban": "DE89370400440532013000" } }),
        "onboard_connect_account" => json!({
            "country": "DE", "refresh_url": "https://shop.test/again", "return_url": "https://shop.test/done",
        }),
        other => panic!("what does {other} take? Say so in objects.rs"),
    }
}

/// Signs as Stripe does. The sandbox signs too, over a socket: see `webhooks`.
pub fn stripe_signature(scene: &Scene, body: &[u8], at: i64) -> String {
    signed_by(&scene.world.secrets().stripe_webhook[0], body, at)
}

pub fn signed_by(secret: &str, body: &[u8], at: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let message = [at.to_string().as_bytes(), b".", body].concat();
    format!("t={at},v1={}", hex::encode(hmac::sign(&key, &message)))
}

pub fn stripe_event(id: &str, kind: &str, intent: &str) -> Vec<u8> {
    let object = json!({ "id": intent, "object": "payment_intent" });
    let event = json!({
        "id": id, "object": "event", "type": kind, "created": 1_767_225_600, "livemode": false,
        "api_version": posx_sandbox::STRIPE_API_VERSION, "data": { "object": object },
    });
    event.to_string().into_bytes()
}

/// Owner, agent and buyer; asset, plan and tier; a paid order with its commission, allocation, webhook event and jobs.
#[expect(clippy::too_many_lines, reason = "one of everything")]
pub async fn furnish<S, B>(scene: &Scene, app: &S, site: &Site) -> Objects
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let owner = scene.member(site, Role::Owner).await;
    let (asset, plan, tier) = offer(app, site, &owner).await;
    let promo_code = promo_code(app, site, &owner).await;
    let (agent, buyer) = (scene.stranger(), scene.stranger());
    let join = |person: &Person, body: Value| Call::post("/api/v1/me").by(person).at(site).json(&body);
    let joined = join(&agent, json!({})).send(app).await.expect(201);
    let agent_party = joined.text("/membership/party_id");
    let code = joined.text("/membership/referral_code");
    let joined = join(&buyer, json!({ "referral_code": code }))
        .send(app)
        .await
        .expect(201);
    assert_eq!(joined.json["referral"], "accepted");

    let (order, intent) = buy(scene, app, site, &buyer, &tier).await;
    deliver(scene, app, &order, &intent).await;
    crate::refunds::inquiry(scene, &SiteScope::of_claimed_job(site.id), &intent).await;
    let list = async |path: &str| Call::get(path).by(&owner).at(site).send(app).await.expect(200);
    let dispute = list("/api/v1/disputes").await.text("/items/0/id");
    let of_order = async |what: &str| {
        list(&format!("/api/v1/{what}?all=true&order={order}"))
            .await
            .text("/items/0/id")
    };
    let (commission, allocation) = (of_order("commissions").await, of_order("allocations").await);
    let batch = Call::post("/api/v1/allocation-batches").json(&json!({ "allocations": [allocation] }));
    let batch = batch.by(&owner).at(site).key("batch").send(app).await;
    let batch = batch.expect(201).text("/id");
    let (vesting_policy, vesting_schedule) =
        crate::vesting::furnish(scene, app, site, (&owner, &agent), &asset).await;
    let statement = crate::agents::statement(scene, site, &agent_party).await;
    let approval = crate::approvals::asked(scene, site, &owner).await;
    let webhook = list("/api/v1/webhook-events").await.text("/items/0/id");
    let job = list("/api/v1/jobs").await.json["items"][0]["id"].to_string();
    let grant = crate::platform::visit(scene, site).await.to_string();
    let member = Call::get("/api/v1/me")
        .by(&buyer)
        .at(site)
        .send(app)
        .await
        .text("/identity_id");
    let party = join(&scene.stranger(), json!({}))
        .send(app)
        .await
        .expect(201)
        .text("/membership/party_id");
    let (place, invitation) = crate::members::furnish(app, site, &owner).await;
    let session = open_session(scene, &buyer).await;
    let machines = machines(scene, app, site, &owner).await;
    let period = crate::ledger::period(app, site, &owner).await;
    let reconciliation = crate::reconciliations::furnish_run(scene, site).await;
    let payouts = crate::payouts::furnish(scene, app, site, &owner).await;
    let conversation = Call::post("/api/v1/assistant/conversations").json(&json!({}));
    let conversation = conversation.by(&owner).at(site).key("talk").send(app).await;
    let conversation = conversation.expect(201).text("/id");
    let (document, customer) = crate::documents::furnish(scene, app, site, &owner).await;
    crate::models::furnish(app, site, &owner).await;
    Objects {
        document,
        customer,
        conversation,
        site_code: site.code.as_str().to_owned(),
        owner,
        buyer,
        agent,
        agent_party,
        statement,
        asset,
        vault: vault_of(site),
        tier,
        promo_code,
        plan,
        order,
        intent,
        dispute,
        commission,
        allocation,
        batch,
        vesting_policy,
        vesting_schedule,
        approval,
        webhook,
        job,
        member,
        party,
        place,
        payouts,
        invitation,
        reconciliation,
        period,
        grant,
        session,
        machines,
    }
}

/// Ten per cent, once a buyer.
async fn promo_code<S, B>(app: &S, site: &Site, owner: &Person) -> String
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let body = json!({ "code": "GOLD10", "discount": { "rate": "0.1" } });
    let made = Call::post("/api/v1/promo-codes")
        .by(owner)
        .at(site)
        .key("promo")
        .json(&body);
    made.send(app).await.expect(201).text("/id")
}

/// The provider tells of the payment.
async fn deliver<S, B>(scene: &Scene, app: &S, order: &str, intent: &str)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let event = format!("evt_{}", order.trim_start_matches("ord_"));
    let delivery = stripe_event(&event, "payment_intent.succeeded", intent);
    let signature = stripe_signature(scene, &delivery, scene.clock.now().timestamp());
    let stored = Call::post("/webhooks/stripe").header("stripe-signature", &signature);
    stored
        .raw("application/json", delivery)
        .send(app)
        .await
        .expect(200);
}

async fn open_session(scene: &Scene, holder: &Person) -> String {
    let services = &scene.state.services;
    let issuer = scene.world.issuer().url();
    let facts = SignInFacts {
        identity: services
            .directory
            .identity(issuer, &holder.subject)
            .await
            .expect("known"),
        issuer: issuer.to_owned(),
        authenticated_at: None,
        methods: Vec::new(),
        context: None,
        second_factor: false,
    };
    let opened = services.sessions.open(facts, SessionClient::default()).await;
    opened.expect("a session").session.id.to_string()
}

/// An asset, an active plan and a tier.
async fn offer<S, B>(app: &S, site: &Site, owner: &Person) -> (String, String, String)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let staff = |path: &str, body: Value| Call::post(path).by(owner).at(site).key("offer").json(&body);
    let asset = json!({
        "chain": "ETH", "symbol": "TOK", "decimals": 6, "provider_asset": "TOK_ETH", "vault": vault_of(site),
    });
    let asset = staff("/api/v1/chain-assets", asset)
        .send(app)
        .await
        .expect(201)
        .text("/id");
    let zero = json!({ "amount": "0", "currency": site.currency });
    let plan = json!({ "name": "Standard", "levels": [{ "level": 1, "rate": "0.12", "minimum_sales": zero }], "hold_days": 7 });
    let plan = staff("/api/v1/commission-plans", plan)
        .send(app)
        .await
        .expect(201)
        .text("/id");
    let activate = format!("/api/v1/commission-plans/{plan}/activate");
    Call::post(&activate)
        .by(owner)
        .at(site)
        .send(app)
        .await
        .expect(200);
    let tier = json!({
        "name": "Gold", "asset_id": asset, "list_price": { "amount": "100", "currency": site.currency },
        "tokens_per_unit": "1000000", "supply": 1000, "max_per_order": 10, "max_per_buyer": 500,
    });
    let tier = staff("/api/v1/tiers", tier)
        .send(app)
        .await
        .expect(201)
        .text("/id");
    (asset, plan, tier)
}

/// Order and intent of an order that is placed, paid, shared and allocated.
pub async fn buy<S, B>(scene: &Scene, app: &S, site: &Site, buyer: &Person, tier: &str) -> (String, String)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    buy_to(scene, app, site, (buyer, WALLET), tier).await
}

/// As [`buy`], for a wallet of the buyer's own.
pub async fn buy_to<S, B>(
    scene: &Scene,
    app: &S,
    site: &Site,
    (buyer, wallet): (&Person, &str),
    tier: &str,
) -> (String, String)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let body = json!({ "lines": [{ "tier_id": tier, "quantity": 2 }], "wallet_address": wallet });
    let placed = Call::post("/api/v1/orders")
        .by(buyer)
        .at(site)
        .key("first")
        .json(&body)
        .send(app)
        .await
        .expect(201);
    let order = placed.text("/id");
    let checkout = Call::post(&format!("/api/v1/orders/{order}/checkout"))
        .by(buyer)
        .at(site)
        .key("pay");
    let intent = checkout.send(app).await.expect(200).text("/intent_id");
    scene
        .world
        .payments()
        .confirm(&intent, "pm_card_visa")
        .expect("paid");
    let scope = SiteScope::of_claimed_job(site.id);
    let id = order.parse().expect("an id");
    let services = &scene.state.services;
    services
        .orders
        .apply_intent(&scope, &IntentId(intent.clone()))
        .await
        .expect("applied");
    services.commissions.accrue(&scope, id).await.expect("shared");
    let allocated = services.allocations.allocate(&scope, id).await;
    allocated.expect("allocated");
    (order, intent)
}
