//! What a code gave is what its orders have, and no more than it promised.

use std::collections::BTreeMap;

use posx_kernel::TokenAmount;
use posx_orders::{Lifecycle, Order};

use crate::store::promo_codes::PromoCounter;
use crate::store::rows::Rows;

/// An order whose use of its code counts.
fn uses(order: &Order) -> bool {
    matches!(
        order.lifecycle,
        Lifecycle::Placed | Lifecycle::Confirmed | Lifecycle::Fulfilled
    )
}

fn bonus(order: &Order) -> u128 {
    let given = order.lines.iter().map(|line| line.promo_tokens);
    given.map(TokenAmount::base_units).sum()
}

pub(super) fn check(rows: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for code in rows.promo_codes.values() {
        let of_code = |order: &&Order| order.promo_code == Some(code.id) && uses(order);
        let orders: Vec<_> = rows.orders.values().filter(of_code).collect();
        let (mut counted, mut by_buyer) = (PromoCounter::default(), BTreeMap::<_, i64>::new());
        for order in &orders {
            counted.used += 1;
            counted.bonus_given += bonus(order);
            *by_buyer.entry(order.buyer).or_default() += 1;
        }
        let text = code.code.as_str();
        let stored = rows.promo_counters.get(&code.id).copied().unwrap_or_default();
        if stored != counted {
            broken.push(format!("code {text} counts {stored:?}, its orders {counted:?}"));
        }
        for ((_, buyer), held) in rows.promo_held.iter().filter(|((id, _), _)| *id == code.id) {
            let has = by_buyer.get(buyer).copied().unwrap_or_default();
            if *held != has {
                broken.push(format!("code {text} counts {held} for {buyer}, who has {has}"));
            }
        }
        let terms = &code.terms;
        let many = by_buyer.values().copied().max().unwrap_or_default();
        let most = terms.bonus.and_then(|bonus| bonus.tokens_max);
        if terms.uses_max.is_some_and(|most| counted.used > i64::from(most))
            || terms.uses_per_buyer.is_some_and(|most| many > i64::from(most))
            || most.is_some_and(|most| counted.bonus_given > most.base_units())
        {
            broken.push(format!(
                "code {text} gave more than it promised: {counted:?}, {many} to one buyer"
            ));
        }
    }
    for order in rows.orders.values() {
        let usage = rows.promo_usages.get(&order.id);
        let noted = usage.is_some_and(|usage| usage.used);
        if noted != (order.promo_code.is_some() && uses(order)) {
            broken.push(format!(
                "{} is {:?}, its use of a code {usage:?}",
                order.id, order.lifecycle
            ));
        }
        // p13
        let total =
            order.subtotal.minor() - order.discount.minor() + order.tax.minor() + order.shipping.minor();
        if total != order.total.minor() || total < 0 {
            broken.push(format!("{} comes to {}, not {total}", order.id, order.total));
        }
        if order.promo_code.is_none() && (order.discount.is_positive() || bonus(order) > 0) {
            broken.push(format!("{} has a gift of no code", order.id));
        }
    }
    broken
}
