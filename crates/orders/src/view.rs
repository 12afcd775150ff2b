//! Orders as they are shown.

use chrono::{DateTime, Utc};
use posx_kernel::{LineId, Money, OrderId, PartyId, PromoCodeId, TierId, TokenAmount};
use posx_tiers::Chain;
use serde::Serialize;

use crate::{
    Approval, Delivery, Dispute, DisputeView, Lifecycle, Order, OrderKind, PaymentStatus, Quote, Refund,
    RefundView,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LineView {
    pub id: LineId,
    pub tier_id: TierId,
    pub tier_name: String,
    pub quantity: u32,
    pub unit_price: Money,
    pub amount: Money,
    /// Base units, bonus included.
    pub tokens: TokenAmount,
    /// Of the tokens: the bonus of a promo code.
    pub promo_tokens: TokenAmount,
}

/// Something that happened to the order.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct EventView {
    pub kind: String,
    pub at: DateTime<Utc>,
    #[schema(value_type = Object)]
    pub payload: serde_json::Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct OrderView {
    pub id: OrderId,
    #[schema(value_type = String)]
    pub number: String,
    pub kind: OrderKind,
    pub buyer_id: PartyId,
    pub lifecycle: Lifecycle,
    pub payment: PaymentStatus,
    pub delivery: Delivery,
    pub approval: Approval,
    pub disputed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    pub lines: Vec<LineView>,
    pub subtotal: Money,
    pub discount: Money,
    pub tax: Money,
    pub shipping: Money,
    pub total: Money,
    pub captured: Money,
    pub refunded: Money,
    /// How much of the sale went back or is on its way back: refunds that did not fail, and what was lost in disputes.
    pub returned: Money,
    pub chain: Chain,
    pub wallet_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referrer_id: Option<PartyId>,
    /// Its discount and bonus come from this code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promo_code_id: Option<PromoCodeId>,
    pub placed_at: DateTime<Utc>,
    /// When it lapses if it is not paid.
    pub expires_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<DateTime<Utc>>,
    /// Oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refunds: Vec<RefundView>,
    /// Oldest first; for staff only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<DisputeView>,
    /// Oldest first; absent in the answer to placing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<EventView>,
}

impl OrderView {
    pub fn of(order: &Order, history: Vec<EventView>) -> Self {
        let lines = order.lines.iter().map(|line| LineView {
            id: line.id,
            tier_id: line.tier,
            tier_name: line.tier_name.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            amount: line.amount,
            tokens: line.tokens,
            promo_tokens: line.promo_tokens,
        });
        Self {
            id: order.id,
            number: order.number.to_string(),
            kind: order.kind,
            buyer_id: order.buyer,
            lifecycle: order.lifecycle,
            payment: order.payment(),
            delivery: order.delivery,
            approval: order.approval,
            disputed: order.disputed,
            attention: order.attention.clone(),
            lines: lines.collect(),
            subtotal: order.subtotal,
            discount: order.discount,
            tax: order.tax,
            shipping: order.shipping,
            total: order.total,
            captured: order.captured,
            refunded: order.refunded,
            returned: order.returned,
            refunds: Vec::new(),
            disputes: Vec::new(),
            chain: order.chain,
            wallet_address: order.wallet.to_string(),
            referrer_id: order.referrer,
            promo_code_id: order.promo_code,
            placed_at: order.placed_at,
            expires_at: order.expires_at,
            paid_at: order.paid_at,
            closed_at: order.closed_at,
            history,
        }
    }
}

impl OrderView {
    /// With its refunds and disputes; a buyer is not shown staff's notes, nor the disputes.
    #[must_use]
    pub fn with_returns(self, refunds: Vec<Refund>, disputes: Vec<Dispute>, to_buyer: bool) -> Self {
        let refunds = refunds.into_iter().map(RefundView::of);
        if to_buyer {
            let refunds = refunds.map(RefundView::without_note).collect();
            return Self { refunds, ..self };
        }
        Self {
            refunds: refunds.collect(),
            disputes: disputes.into_iter().map(DisputeView::of).collect(),
            ..self
        }
    }
}

/// A row of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OrderSummary {
    pub id: OrderId,
    pub number: String,
    pub kind: OrderKind,
    pub buyer_id: PartyId,
    pub lifecycle: Lifecycle,
    pub payment: PaymentStatus,
    pub delivery: Delivery,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    pub total: Money,
    pub placed_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct QuoteLineView {
    pub tier_id: TierId,
    pub tier_name: String,
    pub quantity: u32,
    pub unit_price: Money,
    pub amount: Money,
    pub tokens: TokenAmount,
    /// Of the tokens: the bonus of a promo code.
    pub promo_tokens: TokenAmount,
}

/// What became of a promo code that came with an order or a preview.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PromoView {
    pub applied: bool,
    /// Why it gives nothing: a stable code, as in a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub discount: Money,
    /// Base units on top.
    pub bonus_tokens: TokenAmount,
}

impl PromoView {
    /// `None`: no code was typed.
    pub fn of(quote: &Quote) -> Option<Self> {
        let refusal = quote.promo.as_ref()?.as_ref().err();
        Some(Self {
            applied: refusal.is_none(),
            reason: refusal.map(|refusal| refusal.code()),
            message: refusal.map(ToString::to_string),
            discount: quote.discount,
            bonus_tokens: quote.promo_tokens(),
        })
    }
}

/// What an order would cost now. It reserves nothing and promises nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct QuoteView {
    pub lines: Vec<QuoteLineView>,
    pub chain: Chain,
    pub subtotal: Money,
    pub discount: Money,
    pub tax: Money,
    pub shipping: Money,
    pub total: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promo: Option<PromoView>,
}

impl QuoteView {
    pub fn of(quote: &Quote) -> Self {
        let lines = quote.lines.iter().map(|line| QuoteLineView {
            tier_id: line.tier.id,
            tier_name: line.tier.name.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            amount: line.amount,
            tokens: line.tokens,
            promo_tokens: line.promo_tokens,
        });
        Self {
            promo: PromoView::of(quote),
            lines: lines.collect(),
            chain: quote.chain,
            subtotal: quote.subtotal,
            discount: quote.discount,
            tax: quote.tax,
            shipping: quote.shipping,
            total: quote.total,
        }
    }
}
