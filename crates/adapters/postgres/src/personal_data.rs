//! What a site holds of one person: shown whole, and erased.

use async_trait::async_trait;
use posx_kernel::{Event, IdentityId, Outbox as _, PartyId, SiteScope, StoreError, Timestamp, Transaction};
use posx_tenancy::{Erasure, PersonalDataStore, ReferralCode};
use serde_json::json;
use sqlx::Row;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// Sections of an export and their rows, for the party `$1` and its identity `$2`. The tests walk the catalogue: every column
/// that names a person is in one of these, or on the list of those that are another's to see.
pub const PERSONAL_DATA_SECTIONS: &[(&str, &str)] = &[
    ("parties", "select * from parties where id = $1"),
    ("memberships", "select * from memberships where identity_id = $2"),
    ("membership_places", "select * from membership_places where identity_id = $2"),
    ("wallets", "select * from wallets where party_id = $1"),
    ("wallet_challenges", "select * from wallet_challenges where holder_id = $2"),
    ("orders", "select * from orders where buyer_id = $1"),
    (
        "order_lines",
        "select l.* from order_lines l join orders o on o.id = l.order_id where o.buyer_id = $1",
    ),
    (
        "payment_attempts",
        "select a.* from payment_attempts a join orders o on o.id = a.order_id where o.buyer_id = $1",
    ),
    (
        "refunds",
        "select r.* from refunds r join orders o on o.id = r.order_id where o.buyer_id = $1",
    ),
    (
        "disputes",
        "select d.* from disputes d join orders o on o.id = d.order_id where o.buyer_id = $1",
    ),
    ("allocations", "select * from allocations where party_id = $1"),
    (
        "token_settlements",
        "select s.* from token_settlements s join allocations a on a.id = s.allocation_id
         where a.party_id = $1 or s.made_by = $2",
    ),
    (
        "vesting_schedules",
        "select * from vesting_schedules where party_id = $1",
    ),
    (
        "vesting_releases",
        "select r.* from vesting_releases r join vesting_schedules s on s.id = r.schedule_id where s.party_id = $1",
    ),
    (
        "line_restocks",
        "select r.* from line_restocks r join order_lines l on l.id = r.line_id join orders o on o.id = l.order_id
         where o.buyer_id = $1",
    ),
    ("tier_buyers", "select * from tier_buyers where party_id = $1"),
    ("promo_code_buyers", "select * from promo_code_buyers where party_id = $1"),
    ("promo_code_usages", "select * from promo_code_usages where buyer_id = $1"),
    (
        "referrals",
        "select * from referrals where party_id = $1 or referrer_id = $1",
    ),
    ("commissions", "select * from commissions where agent_id = $1"),
    (
        "commission_adjustments",
        "select a.* from commission_adjustments a join commissions c on c.id = a.commission_id where c.agent_id = $1",
    ),
    ("agent_terms", "select * from agent_terms where agent_id = $1"),
    ("commission_decisions", "select * from commission_decisions where agent_id = $1"),
    ("agents", "select * from agents where party_id = $1"),
    ("agent_suspensions", "select * from agent_suspensions where agent_id = $1"),
    ("agent_statements", "select * from agent_statements where agent_id = $1"),
    (
        "referral_paths",
        "select * from referral_paths where descendant_id = $1 or (ancestor_id = $1 and depth = 1)",
    ),
    (
        "payout_accounts",
        "select party_id, method, version, masked, created_at, usable_from, removed_at from payout_accounts where party_id = $1",
    ),
    ("settlement_lines", "select * from settlement_lines where agent_id = $1"),
    (
        "payouts",
        "select * from payouts where agent_id = $1 or decided_by = $2",
    ),
    ("model_calls", "select * from model_calls where member_id = $2"),
    (
        "settlements",
        "select id, method, state, revision, made_by, approved_by, approved_at, created_at from settlements
         where made_by = $2 or approved_by = $2",
    ),
    (
        "payout_files",
        "select id, currency, payouts, total, created_at from payout_files where created_by = $2",
    ),
    (
        "write_offs",
        "select * from write_offs where agent_id = $1 or made_by = $2",
    ),
    (
        "postings",
        "select p.*, e.kind from accounts a join postings p on p.account = a.code and p.unit = a.unit
         join entries e on e.id = p.entry_id where a.party_id = $1",
    ),
    (
        "invitations",
        "select id, role, state, created_at, finished_at, invited_by = $2 as made,
           case when accepted_by = $2 then email end as email
         from invitations where accepted_by = $2 or invited_by = $2",
    ),
    (
        "second_factors",
        "select id, state, created_at, confirmed_at, removed_at from second_factors where identity_id = $2",
    ),
    (
        "second_factor_proofs",
        "select proven_at from second_factor_proofs where identity_id = $2",
    ),
    (
        "approvals",
        "select * from approvals where maker_id = $2 or checker_id = $2",
    ),
    (
        "api_keys",
        "select id, name, scopes, created_at, expires_at, last_used_at, revoked_at from api_keys where made_by = $2",
    ),
    (
        "devices",
        "select id, name, place_id, cashier_until from devices where cashier_id = $2",
    ),
    (
        "device_pairings",
        "select device_id, name, place_id, created_at from device_pairings where started_by = $2",
    ),
    (
        "model_consents",
        "select purpose, number, text_version, given_at, withdrawn_at, given_by = $2 as given, withdrawn_by = $2 as withdrawn
         from model_consents where given_by = $2 or withdrawn_by = $2",
    ),
    (
        "ledger_periods",
        "select id, number, from_at, until_at, closed_at, reopened_at, closed_by = $2 as closed, reopened_by = $2 as opened_again
         from ledger_periods where closed_by = $2 or reopened_by = $2",
    ),
    (
        "allocation_batches",
        "select * from allocation_batches where created_by = $2",
    ),
    (
        "allocation_batch_lines",
        "select l.* from allocation_batch_lines l join allocations a on a.id = l.allocation_id where a.party_id = $1",
    ),
    (
        "allocation_batch_approvals",
        "select batch_id, encode(lines_hash, 'hex') as lines_hash, approver_id, maker_id, approved_at
         from allocation_batch_approvals where approver_id = $2 or maker_id = $2",
    ),
    (
        "stock_movements",
        "select * from stock_movements where actor_id = $2",
    ),
    ("conversations", "select * from conversations where identity_id = $2"),
    (
        "conversation_messages",
        "select m.* from conversation_messages m join conversations c on c.id = m.conversation_id
         where c.identity_id = $2",
    ),
    ("customers", "select * from customers where party_id = $1"),
    (
        "documents",
        "select o.id, o.name, o.media_type, o.bytes, o.kind, o.state, o.created_at, o.uploaded_by = $2 as uploaded
         from documents o left join document_drafts d on d.site_id = o.site_id and d.document_id = o.id
         where o.uploaded_by = $2 or d.party_id = $1 or d.buyer_id = $1 or d.known_party_id = $1 or app.party_named(d.content) = $1",
    ),
    (
        "document_drafts",
        "select d.id, d.document_id, d.state, d.created_at, d.order_id, d.party_id, d.decided_at, d.decided_by = $2 as decided,
           case when theirs then d.content end as content, case when theirs or d.decided_by = $2 then d.reject_reason end as reason
         from document_drafts d, lateral (select coalesce(d.party_id = $1 or d.buyer_id = $1 or d.known_party_id = $1
           or app.party_named(d.content) = $1, false) as theirs) x
         where theirs or d.decided_by = $2",
    ),
    (
        "events",
        "select * from events where actor_id = $2 or actor_second_id = $2 or subject_id = $1 order by id",
    ),
];

#[async_trait]
impl PersonalDataStore for Database {
    async fn export(&self, scope: &SiteScope, party: PartyId) -> Result<Option<String>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let Some(identity) = identity_of(&mut tx, party).await? else {
            return Ok(None);
        };
        let mut sections = Vec::with_capacity(PERSONAL_DATA_SECTIONS.len());
        for (name, rows) in PERSONAL_DATA_SECTIONS {
            let sql = format!(
                "select coalesce(jsonb_agg(to_jsonb(x) - 'site_id'), '[]')::text
                 from ({rows}) x where $1::uuid is not null or $2::uuid is not null"
            );
            let row = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(party.as_uuid())
                .bind(identity.map(IdentityId::as_uuid))
                .fetch_one(tx.connection())
                .await
                .store()?;
            let rows: String = row.try_get(0).store()?;
            sections.push(format!("\"{name}\":{rows}"));
        }
        Ok(Some(format!("{{{}}}", sections.join(","))))
    }

    async fn erase(
        &self,
        scope: &SiteScope,
        party: PartyId,
        stand_in: (PartyId, &ReferralCode),
        reason: &str,
        at: Timestamp,
    ) -> Result<Erasure, StoreError> {
        let mut tx = self.begin_site(scope).await?;
        let row = sqlx::query("select app.open_business($1)")
            .bind(party.as_uuid())
            .fetch_one(tx.connection())
            .await
            .store()?;
        let open: Vec<String> = row.try_get(0).store()?;
        if !open.is_empty() {
            return Ok(Erasure::OpenBusiness(open));
        }
        let erased = sqlx::query("select app.erase_party($1, $2, $3, $4)")
            .bind(party.as_uuid())
            .bind(stand_in.0.as_uuid())
            .bind(stand_in.1.as_str())
            .bind(at)
            .fetch_one(tx.connection())
            .await
            .store()?;
        let login_forgotten: Option<bool> = erased.try_get(0).store()?;
        let Some(login_forgotten) = login_forgotten else {
            return Ok(Erasure::NotFound);
        };
        tx.append(Event {
            kind: "party.erased",
            subject: party.as_uuid(),
            payload: json!({ "reason": reason, "login_forgotten": login_forgotten }),
            at,
        })
        .await?;
        Box::new(tx).commit().await?;
        Ok(Erasure::Done { login_forgotten })
    }
}

impl Database {
    /// Forgets the addresses of invitations that came to their end before then; returns of how many.
    pub async fn purge_invitation_addresses(
        &self,
        scope: &SiteScope,
        finished_before: Timestamp,
    ) -> Result<i64, StoreError> {
        let mut tx = self.begin_site(scope).await?;
        let row = sqlx::query("select app.purge_invitation_addresses($1)")
            .bind(finished_before)
            .fetch_one(tx.connection())
            .await
            .store()?;
        let forgotten = row.try_get(0).store()?;
        Box::new(tx).commit().await?;
        Ok(forgotten)
    }
}

/// `None`: no such party. One that is nobody's has no identity.
async fn identity_of(tx: &mut SiteTx, party: PartyId) -> Result<Option<Option<IdentityId>>, StoreError> {
    let row = sqlx::query("select identity_id from parties where id = $1")
        .bind(party.as_uuid())
        .fetch_optional(tx.connection())
        .await
        .store()?;
    let identity = row
        .map(|row| row.try_get::<Option<uuid::Uuid>, _>(0))
        .transpose()
        .store()?;
    Ok(identity.map(|identity| identity.map(IdentityId::from_uuid)))
}
