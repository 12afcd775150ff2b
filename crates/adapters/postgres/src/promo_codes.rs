//! Promo codes, their guarded counters, and which orders used them.

mod queries;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    ChainAssetId, Money, OrderId, PromoCodeId, Rate, StoreError, TierId, Timestamp, TokenAmount,
};
use posx_orders::PromoFacts;
use posx_tiers::{
    Bonus, Discount, PromoCode, PromoCodeRepository, PromoCodeText, PromoRefusal, PromoTerms, PromoUse,
    PromoUses,
};
use serde::Deserialize;
use sqlx::Row;
use uuid::Uuid;

use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::{count, currency, stored_count, tokens};

/// A code with its counters as one JSON value, so that placing an order reads it with everything else. `p` is the code, `c` its
/// counter.
macro_rules! promo_json {
    () => {
        "jsonb_build_object('id', p.id, 'code', p.code, 'currency', p.currency, 'rate', p.discount_rate::text,
           'amount', p.discount_amount, 'bonus_asset', p.bonus_asset_id, 'bonus', p.bonus_tokens::text,
           'bonus_max', p.bonus_tokens_max::text, 'valid_from', p.valid_from, 'valid_until', p.valid_until,
           'uses_max', p.uses_max, 'uses_per_buyer', p.uses_per_buyer, 'minimum', p.minimum, 'tiers', p.tiers,
           'active', p.active, 'version', p.version, 'created_at', p.created_at, 'updated_at', p.updated_at,
           'used', c.used, 'bonus_given', c.bonus_given::text)"
    };
}
use promo_json;

macro_rules! promo_from {
    () => {
        "promo_codes p join promo_code_counters c on c.site_id = p.site_id and c.promo_code_id = p.id"
    };
}

use promo_from;

/// A part of the facts of placing: the code `$8`, as the buyer `$5` uses it.
pub(crate) const PROMO_FACTS: &str = concat!(
    "(select ",
    promo_json!(),
    " || jsonb_build_object('by_buyer', coalesce((select b.used from promo_code_buyers b
        where b.promo_code_id = p.id and b.party_id = $5), 0)) from ",
    promo_from!(),
    " where p.code = $8)"
);

#[derive(Debug, Deserialize)]
pub(crate) struct PromoRow {
    id: Uuid,
    code: String,
    currency: String,
    rate: Option<String>,
    amount: Option<i64>,
    bonus_asset: Option<Uuid>,
    bonus: Option<String>,
    bonus_max: Option<String>,
    valid_from: Option<DateTime<Utc>>,
    valid_until: Option<DateTime<Utc>>,
    uses_max: Option<i32>,
    uses_per_buyer: Option<i32>,
    minimum: i64,
    tiers: Vec<Uuid>,
    active: bool,
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    used: i64,
    bonus_given: String,
    #[serde(default)]
    by_buyer: i64,
}

impl PromoRow {
    pub(crate) fn facts(self) -> Result<PromoFacts, StoreError> {
        let uses = PromoUses {
            used: self.used,
            bonus_given: tokens(&self.bonus_given)?,
            by_buyer: self.by_buyer,
        };
        Ok(PromoFacts {
            code: self.code()?,
            uses,
        })
    }

    fn code(self) -> Result<PromoCode, StoreError> {
        let currency = currency(&self.currency)?;
        let rate: Option<Rate> = self
            .rate
            .map(|rate| rate.parse())
            .transpose()
            .map_err(|_| StoreError::broken("a rate"))?;
        let amount = self
            .amount
            .map(|amount| Discount::Amount(Money::from_minor(amount, currency)));
        let bonus = match (self.bonus_asset, self.bonus) {
            (Some(asset), Some(each)) => Some(Bonus {
                asset: ChainAssetId::from_uuid(asset),
                tokens: tokens(&each)?,
                tokens_max: self.bonus_max.as_deref().map(tokens).transpose()?,
            }),
            _ => None,
        };
        Ok(PromoCode {
            id: PromoCodeId::from_uuid(self.id),
            code: PromoCodeText::parse(&self.code).ok_or_else(|| StoreError::broken("a promo code"))?,
            terms: PromoTerms {
                discount: rate.map(Discount::Rate).or(amount),
                bonus,
                from: self.valid_from,
                until: self.valid_until,
                uses_max: self.uses_max.map(count).transpose()?,
                uses_per_buyer: self.uses_per_buyer.map(count).transpose()?,
                minimum: Money::from_minor(self.minimum, currency),
                tiers: self.tiers.into_iter().map(TierId::from_uuid).collect(),
                active: self.active,
            },
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// The terms as columns, `$3` and on.
macro_rules! bind_terms {
    ($query:expr, $terms:expr) => {{
        let terms: &PromoTerms = $terms;
        let (rate, amount) = match terms.discount {
            Some(Discount::Rate(rate)) => (Some(rate.to_string()), None),
            Some(Discount::Amount(amount)) => (None, Some(amount.minor())),
            None => (None, None),
        };
        $query
            .bind(rate)
            .bind(amount)
            .bind(terms.bonus.map(|bonus| bonus.asset.as_uuid()))
            .bind(terms.bonus.map(|bonus| bonus.tokens.to_string()))
            .bind(
                terms
                    .bonus
                    .and_then(|bonus| bonus.tokens_max)
                    .map(|most| most.to_string()),
            )
            .bind(terms.from)
            .bind(terms.until)
            .bind(terms.uses_max.map(stored_count))
            .bind(terms.uses_per_buyer.map(stored_count))
            .bind(terms.minimum.minor())
            .bind(terms.tiers.iter().map(|tier| tier.as_uuid()).collect::<Vec<_>>())
            .bind(terms.active)
    }};
}

/// One guarded statement: the buyer's count, then the code's, then the note; each only if the one before it was made. Two
/// orders of one buyer take the two rows in the same order.
const COUNT_USE: &str = "with held as (
       insert into promo_code_buyers as b (promo_code_id, party_id, used) values ($1, $2, 1)
       on conflict (site_id, promo_code_id, party_id) do update set used = b.used + 1 where b.used < $3
       returning 1),
     counted as (
       update promo_code_counters set used = used + 1, bonus_given = bonus_given + $5::text::numeric
       where promo_code_id = $1 and used < $4 and ($6::text is null or bonus_given + $5::text::numeric <= $6::text::numeric)
         and exists (select from held)
       returning 1),
     noted as (
       insert into promo_code_usages as u (order_id, promo_code_id, buyer_id, currency, discount, bonus_tokens, state, used_at)
       select $7, $1, $2, $8, $9, $5::text::numeric, 'used', $10 from counted
       on conflict (site_id, order_id) do update set state = 'used', used_at = excluded.used_at, released_at = null
         where u.state = 'released'
       returning 1)
     select exists (select from held) as held, exists (select from counted) as counted, exists (select from noted) as noted";

const GIVE_BACK: &str = "with released as (
       update promo_code_usages set state = 'released', released_at = $2 where order_id = $1 and state = 'used'
       returning promo_code_id, buyer_id, bonus_tokens),
     held as (
       update promo_code_buyers b set used = b.used - 1 from released r
       where b.promo_code_id = r.promo_code_id and b.party_id = r.buyer_id
       returning 1),
     counted as (
       update promo_code_counters c set used = c.used - 1, bonus_given = c.bonus_given - r.bonus_tokens from released r
       where c.promo_code_id = r.promo_code_id and exists (select from held)
       returning 1)
     select exists (select from counted)";

#[async_trait]
impl PromoCodeRepository for SiteTx {
    async fn find(&mut self, id: PromoCodeId) -> Result<Option<PromoCode>, StoreError> {
        let row = sqlx::query(concat!(
            "select ",
            promo_json!(),
            " from ",
            promo_from!(),
            " where p.id = $1"
        ))
        .bind(id.as_uuid())
        .fetch_optional(self.connection())
        .await
        .store()?;
        let Some(row) = row else { return Ok(None) };
        let sqlx::types::Json(found): sqlx::types::Json<PromoRow> = row.try_get(0).store()?;
        found.code().map(Some)
    }

    async fn insert(&mut self, code: &PromoCode) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "with made as (
               insert into promo_codes (id, code, discount_rate, discount_amount, bonus_asset_id, bonus_tokens, bonus_tokens_max,
                 valid_from, valid_until, uses_max, uses_per_buyer, minimum, tiers, active, currency, version, created_at, updated_at)
               values ($1, $2, $3::text::numeric, $4, $5, $6::text::numeric, $7::text::numeric, $8, $9, $10, $11, $12, $13, $14,
                 $15, $16, $17, $17)
               on conflict on constraint promo_codes_code_key do nothing
               returning id)
             insert into promo_code_counters (promo_code_id) select id from made",
        )
        .bind(code.id.as_uuid())
        .bind(code.code.as_str());
        let done = bind_terms!(query, &code.terms)
            .bind(code.terms.currency().code())
            .bind(code.version)
            .bind(code.created_at)
            .execute(self.connection())
            .await
            .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn save(&mut self, code: &PromoCode, seen: i32) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "update promo_codes set discount_rate = $3::text::numeric, discount_amount = $4, bonus_asset_id = $5,
               bonus_tokens = $6::text::numeric, bonus_tokens_max = $7::text::numeric, valid_from = $8, valid_until = $9,
               uses_max = $10, uses_per_buyer = $11, minimum = $12, tiers = $13, active = $14, version = $15, updated_at = $16
             where id = $1 and version = $2",
        )
        .bind(code.id.as_uuid())
        .bind(seen);
        let done = bind_terms!(query, &code.terms)
            .bind(code.version)
            .bind(code.updated_at)
            .execute(self.connection())
            .await
            .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn count_use(
        &mut self,
        code: &PromoCode,
        used: &PromoUse,
    ) -> Result<Result<(), PromoRefusal>, StoreError> {
        let bonus_max = code.terms.bonus.and_then(|bonus| bonus.tokens_max);
        let row = sqlx::query(COUNT_USE)
            .bind(code.id.as_uuid())
            .bind(used.buyer.as_uuid())
            .bind(code.terms.uses_per_buyer.map_or(i32::MAX, stored_count))
            .bind(code.terms.uses_max.map_or(i64::MAX, i64::from))
            .bind(used.bonus.to_string())
            .bind(bonus_max.as_ref().map(TokenAmount::to_string))
            .bind(used.order.as_uuid())
            .bind(used.discount.currency().code())
            .bind(used.discount.minor())
            .bind(used.at)
            .fetch_one(self.connection())
            .await
            .store()?;
        let made = |part| row.try_get::<bool, _>(part).store();
        Ok(match (made("held")?, made("counted")?, made("noted")?) {
            (true, true, true) => Ok(()),
            (true, true, false) => return Err(StoreError::broken("an order's promo code is used already")),
            (true, false, _) => Err(PromoRefusal::Exhausted),
            (false, ..) => Err(PromoRefusal::BuyerLimit),
        })
    }

    async fn give_back(&mut self, order: OrderId, at: Timestamp) -> Result<bool, StoreError> {
        let row = sqlx::query(GIVE_BACK)
            .bind(order.as_uuid())
            .bind(at)
            .fetch_one(self.connection())
            .await
            .store()?;
        row.try_get(0).store()
    }
}
