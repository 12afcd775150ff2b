//! What a site has beside its offers: promo codes, vesting, agents' accounts.

use chrono::Days;
use posx_allocations::{PeriodUnit, VestingPolicy};
use posx_commissions::{AccountMethod, PayoutAccount};
use posx_kernel::{
    Currency, Ids as _, Money, PartyId, PromoCodeId, Rate, SeededIds, TierId, Timestamp, TokenAmount,
    VestingPolicyId,
};
use posx_tiers::{Bonus, Discount, PromoCode, PromoCodeText, PromoTerms};

use super::rate;
use crate::store::Db;
use crate::store::rows::Rows;

/// Each gives something else; there is no fourth.
pub(crate) const CODES: [&str; 4] = ["PERCENT", "FIXED", "BONUS", "COMBO"];

/// One of each kind, with few uses.
pub(super) fn codes(
    rows: &mut Rows,
    db: &Db,
    ids: &SeededIds,
    (currency, tiers): (Currency, &[TierId]),
    now: Timestamp,
) {
    let sim = &db.env.sim;
    let Some(asset) = rows.tiers.get(&tiers[0]).map(|tier| tier.asset) else {
        return;
    };
    for (at, text) in CODES.into_iter().enumerate() {
        let amount = sim.between(1, 3_000) * currency.charge_step();
        let discount = match at {
            0 => Some(Discount::Rate(rate(sim.between(1, 999)))),
            2 => None,
            _ => Some(Discount::Amount(Money::from_minor(amount, currency))),
        };
        let tokens = u128::try_from(sim.between(1, 100_000)).unwrap_or(1);
        let most = u128::try_from(sim.between(1, 4)).unwrap_or(1) * tokens;
        let bonus = (at >= 2).then(|| Bonus {
            asset,
            tokens: TokenAmount::from_base_units(tokens),
            tokens_max: sim.one_in(2).then(|| TokenAmount::from_base_units(most)),
        });
        let uses = |sim: &crate::sim::Sim| u32::try_from(sim.between(1, 3)).ok();
        let code = PromoCode {
            id: PromoCodeId::from_uuid(ids.uuid(now)),
            code: PromoCodeText::parse(text).expect("a code"),
            terms: PromoTerms {
                discount,
                bonus,
                from: None,
                until: None,
                uses_max: uses(sim),
                uses_per_buyer: sim.one_in(2).then_some(1),
                minimum: Money::zero(currency),
                tiers: Vec::new(),
                active: true,
            },
            version: 1,
            created_at: now,
            updated_at: now,
        };
        rows.promo_codes.insert(code.id, code);
    }
}

/// Half of the tiers vest, from today, from a day to come, or not yet.
pub(super) fn vesting(rows: &mut Rows, db: &Db, ids: &SeededIds, tier: TierId, now: Timestamp) {
    let sim = &db.env.sim;
    if sim.one_in(2) {
        return;
    }
    let id = policy(rows, db, ids, now);
    rows.tier_terms.insert((tier, now), Some(id));
}

/// A few days or weeks.
fn policy(rows: &mut Rows, db: &Db, ids: &SeededIds, now: Timestamp) -> VestingPolicyId {
    let sim = &db.env.sim;
    let later = Days::new(u64::try_from(sim.between(0, 3)).unwrap_or(0));
    let policy = VestingPolicy {
        id: VestingPolicyId::from_uuid(ids.uuid(now)),
        name: format!("Policy {}", rows.policies.len()),
        version: 1,
        share_at_start: *sim.pick(&[Rate::ZERO, rate(250)]),
        cliff_months: 0,
        periods: u16::try_from(sim.between(1, 4)).unwrap_or(1),
        unit: *sim.pick(&[PeriodUnit::Day, PeriodUnit::Week]),
        revocable: sim.one_in(2),
        starts_on: now.date_naive().checked_add_days(later),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    let id = policy.id;
    rows.policies.insert(id, policy);
    id
}

/// Connected at the provider.
pub(super) fn account(rows: &mut Rows, agent: PartyId, now: Timestamp) {
    let account = PayoutAccount {
        agent,
        method: AccountMethod::Connect,
        version: 1,
        details: None,
        masked: "…0001".to_owned(),
        connect_account: Some(format!("acct_{}", agent.as_uuid().simple())),
        created_at: now,
        usable_from: now,
        removed_at: None,
        standing: None,
        stuck_payout: None,
    };
    rows.payout_accounts.insert((agent, 1), account);
}
