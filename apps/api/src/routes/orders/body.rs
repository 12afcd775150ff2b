//! What buyers send about orders, and what is shown beyond the domain's views.

use posx_kernel::{Currency, Cursor, Money, PaymentAttemptId, TierId};
use posx_orders::{
    Checkout, Lifecycle, OrderError, OrderView, PaymentStatus, PromoView, PromoWish, WishedLine,
};
use posx_tenancy::{ReferralClaim, Site};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineBody {
    tier_id: TierId,
    /// 1 or more, up to what the tier allows.
    #[schema(minimum = 1)]
    quantity: i64,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewBody {
    /// 1 to 20, each of another tier, all on one chain.
    pub lines: Vec<LineBody>,
    /// The site's; another one is refused.
    pub currency: Option<Currency>,
    /// `promo` of the answer says what it gives, or why it gives nothing.
    pub promo_code: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderBody {
    /// 1 to 20, each of another tier, all on one chain.
    pub lines: Vec<LineBody>,
    /// The buyer's bound wallet when absent.
    pub wallet_address: Option<String>,
    pub referral_code: Option<String>,
    /// The site's; another one is refused.
    pub currency: Option<Currency>,
    pub promo_code: Option<String>,
    /// Rather no order than one without the promo code.
    #[serde(default)]
    pub require_promo_code: bool,
}

/// A placed order, and what became of the referral code and the promo code that came with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PlacedOrderView {
    #[serde(flatten)]
    pub order: OrderView,
    pub referral: ReferralClaim,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promo: Option<PromoView>,
}

/// What the buyer's browser needs to pay.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CheckoutView {
    pub attempt_id: PaymentAttemptId,
    /// The provider's.
    pub intent_id: String,
    pub amount: Money,
    pub client_secret: String,
}

impl CheckoutView {
    pub fn of(checkout: Checkout) -> Self {
        Self {
            attempt_id: checkout.attempt,
            intent_id: checkout.intent.0,
            amount: checkout.amount,
            client_secret: checkout.client_secret,
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// 1 to 100, else 25.
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    pub after: Option<Cursor>,
    /// Everybody's; needs `orders:read`.
    #[serde(default)]
    pub all: bool,
    pub lifecycle: Option<Lifecycle>,
    pub payment: Option<PaymentStatus>,
    /// Only orders that a person should look at.
    #[serde(default)]
    pub attention: bool,
}

/// A number that no quantity can be becomes none at all, which the use case refuses with the line's field.
pub fn wished(lines: Vec<LineBody>) -> Vec<WishedLine> {
    let wish = |line: LineBody| WishedLine {
        tier: line.tier_id,
        quantity: u32::try_from(line.quantity).unwrap_or(0),
    };
    lines.into_iter().map(wish).collect()
}

impl OrderBody {
    /// Requiring a code and naming none asks for one that is not there.
    pub fn promo(&self) -> Option<PromoWish> {
        let required = self.require_promo_code;
        let code = self.promo_code.clone().or_else(|| required.then(String::new))?;
        Some(PromoWish { code, required })
    }
}

pub fn check_currency(named: Option<Currency>, site: &Site) -> Result<(), OrderError> {
    match named {
        Some(currency) if currency != site.currency => Err(OrderError::Currency(site.currency.code())),
        _ => Ok(()),
    }
}
