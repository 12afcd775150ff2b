//! Previewing and placing an order.

use chrono::Duration;
use posx_kernel::{
    Claim, Event, IdempotentCall, KeyRefusal, LineId, Money, OrderId, PartyId, SiteScope, StoredAnswer,
    Timestamp, retry_busy,
};
use posx_ledger::{Account, EntryKind};
use posx_tenancy::Site;
use posx_tiers::{Chain, PromoCodeText, PromoRefusal, StockChange};
use serde_json::json;

use crate::pricing::{Quote, WishedLine, quote};
use crate::promo::use_promo_in_tx;
use crate::service::{bind_referrer_in_tx, happened, refused_line};
use crate::{
    Approval, Delivery, Lifecycle, Line, NewOrder, Order, OrderError, OrderKind, OrderNumber, Orders,
    OrdersTx, PlacingFacts, WalletAddress,
};

#[derive(Debug, Clone)]
pub struct PlaceOrder<'a> {
    pub site: &'a Site,
    pub buyer: PartyId,
    pub lines: Vec<WishedLine>,
    /// As typed; the buyer's bound wallet is used when it is absent.
    pub wallet_address: Option<String>,
    /// Named with this order. It binds if the order is the buyer's first paid one, before the one claimed when joining.
    pub referrer: Option<PartyId>,
    pub promo: Option<PromoWish>,
    pub call: Option<IdempotentCall>,
}

/// A promo code that came with an order.
#[derive(Debug, Clone)]
pub struct PromoWish {
    /// As typed.
    pub code: String,
    /// Rather no order than one without it.
    pub required: bool,
}

/// Makes the answer that is stored with the order: a repeated request gets its very bytes. The quote says what became of the
/// promo code.
pub type RenderAnswer<'a> = &'a (dyn Fn(&Order, &Quote) -> StoredAnswer + Send + Sync);

#[derive(Debug)]
pub enum Placed {
    New {
        order: Box<Order>,
        answer: StoredAnswer,
    },
    /// The same request was answered before; nothing happened now.
    Replayed(StoredAnswer),
}

impl Orders {
    /// What the lines cost now; reserves nothing.
    pub async fn preview(
        &self,
        scope: &SiteScope,
        site: &Site,
        buyer: PartyId,
        lines: &[WishedLine],
        promo_code: Option<&str>,
    ) -> Result<Quote, OrderError> {
        let tiers: Vec<_> = lines.iter().map(|line| line.tier).collect();
        let text = promo_code.and_then(PromoCodeText::parse);
        let now = self.clock.now();
        let facts = self
            .queries
            .facts(scope, buyer, &tiers, text.as_ref(), now)
            .await?;
        let promo = promo_code.map(|_| facts.promo.as_ref().ok_or(PromoRefusal::NotFound));
        quote(lines, &facts.tiers, promo, site.currency, now)
    }

    /// Reserves the stock and stores the order, its answer and its first event: all or nothing. An order of nothing to pay
    /// is confirmed at once. A promo code that gives nothing does not stop the order, unless it is required.
    pub async fn place(
        &self,
        scope: &SiteScope,
        wish: &PlaceOrder<'_>,
        render: RenderAnswer<'_>,
    ) -> Result<Placed, OrderError> {
        match retry_busy(|| self.place_once(scope, wish, render, None)).await {
            // Others took the last uses meanwhile: begin again, and place the order without.
            Err(OrderError::PromoCode(gone)) if !wish.requires_promo() => {
                retry_busy(|| self.place_once(scope, wish, render, Some(gone))).await
            }
            outcome => outcome,
        }
    }

    async fn place_once(
        &self,
        scope: &SiteScope,
        wish: &PlaceOrder<'_>,
        render: RenderAnswer<'_>,
        without_promo: Option<PromoRefusal>,
    ) -> Result<Placed, OrderError> {
        let now = self.clock.now();
        let tiers: Vec<_> = wish.lines.iter().map(|line| line.tier).collect();
        let typed = wish.promo.as_ref();
        let text = typed.and_then(|promo| PromoCodeText::parse(&promo.code));
        let mut tx = self.begin(scope).await?;
        let (claim, facts) = tx
            .orders()
            .begin_placing(wish.call.as_ref(), wish.buyer, &tiers, text.as_ref(), now)
            .await?;
        match claim {
            Claim::New => {}
            Claim::Replay(answer) => return Ok(Placed::Replayed(answer)),
            Claim::Mismatch => return Err(KeyRefusal::Reused.into()),
            Claim::InProgress => return Err(KeyRefusal::InProgress.into()),
        }
        let quote = wish.quote(&facts, without_promo, now)?;
        let order = self.draft(wish, &quote, facts, now)?;
        let answer = render(&order, &quote);
        let stored = wish.call.as_ref().map(|call| (call, &answer));
        self.insert_in_tx(tx.as_mut(), &order, &quote, stored).await?;
        self.reserve_in_tx(tx.as_mut(), &order).await?;
        tx.commit().await?;
        Ok(Placed::New {
            order: Box::new(order),
            answer,
        })
    }

    /// An order as part of a transaction that does more and has a key of its own: `wish` carries none, and no promo code. Its stock
    /// is not reserved yet: call [`Self::reserve_in_tx`] last before the commit.
    pub async fn place_in_tx(
        &self,
        tx: &mut dyn OrdersTx,
        wish: &PlaceOrder<'_>,
    ) -> Result<Order, OrderError> {
        let now = self.clock.now();
        let tiers: Vec<_> = wish.lines.iter().map(|line| line.tier).collect();
        let (_, facts) = tx
            .orders()
            .begin_placing(None, wish.buyer, &tiers, None, now)
            .await?;
        let quote = wish.quote(&facts, None, now)?;
        let order = self.draft(wish, &quote, facts, now)?;
        self.insert_in_tx(tx, &order, &quote, None).await?;
        Ok(order)
    }

    /// Takes the stock of an order that was placed in this same transaction.
    pub async fn reserve_in_tx(&self, tx: &mut dyn OrdersTx, order: &Order) -> Result<(), OrderError> {
        let change = if is_free(order) {
            StockChange::SellFree
        } else {
            StockChange::Reserve
        };
        let moved = self.move_stock_in_tx(tx, order, &change, order.placed_at).await?;
        moved.map_err(|(at, refusal)| refused_line(at, refusal))
    }

    /// Everything of a new order but its stock.
    async fn insert_in_tx(
        &self,
        tx: &mut dyn OrdersTx,
        order: &Order,
        quote: &Quote,
        answer: Option<(&IdempotentCall, &StoredAnswer)>,
    ) -> Result<(), OrderError> {
        let now = order.placed_at;
        let mut events = vec![placed(order, now)];
        let (kind, target) = if is_free(order) {
            let total = json!({ "total": order.total });
            events.push(happened("order.paid", order, total, now));
            (EntryKind::TokensSold, Account::TokensSold)
        } else {
            (EntryKind::TokensReserved, Account::TokensReserved)
        };
        let entries = self.token_entries(order, kind, &target, &Account::TokensFree, now);
        tx.orders()
            .insert(NewOrder {
                order,
                entries: &entries,
                events: &events,
                answer,
            })
            .await?;
        count_for_buyer_in_tx(tx, order, quote).await?;
        if is_free(order) {
            bind_referrer_in_tx(tx, order, now).await?;
        }
        if let Some(Ok(code)) = &quote.promo {
            use_promo_in_tx(tx, order, code, now).await?;
        }
        Ok(())
    }

    fn draft(
        &self,
        wish: &PlaceOrder<'_>,
        quote: &Quote,
        facts: PlacingFacts,
        now: Timestamp,
    ) -> Result<Order, OrderError> {
        let wallet = Self::wallet_for(wish, quote.chain, &facts)?;
        let replaced = facts.wallets.iter().find(|bound| bound.address == wallet);
        let wallet_usable_from = replaced
            .and_then(|bound| bound.usable_from)
            .filter(|from| *from > now);
        let zero = Money::zero(quote.total.currency());
        let line = |line: &crate::QuoteLine| Line {
            id: LineId::from_uuid(self.id(now)),
            tier: line.tier.id,
            tier_name: line.tier.name.clone(),
            asset: line.tier.asset,
            quantity: line.quantity,
            unit_price: line.unit_price,
            amount: line.amount,
            tokens: line.tokens,
            promo_tokens: line.promo_tokens,
            counted_per_buyer: line.tier.max_per_buyer.is_some(),
        };
        let free = quote.total.is_zero();
        Ok(Order {
            id: OrderId::from_uuid(self.id(now)),
            number: OrderNumber::random(&wish.site.code, self.randomness.as_ref()),
            kind: OrderKind::Token,
            buyer: wish.buyer,
            lines: quote.lines.iter().map(line).collect(),
            lifecycle: if free {
                Lifecycle::Confirmed
            } else {
                Lifecycle::Placed
            },
            delivery: Delivery::None,
            approval: Approval::NotNeeded,
            disputed: false,
            attention: None,
            subtotal: quote.subtotal,
            discount: quote.discount,
            tax: quote.tax,
            shipping: quote.shipping,
            total: quote.total,
            captured: zero,
            refunded: zero,
            returned: zero,
            chain: quote.chain,
            wallet,
            wallet_usable_from,
            referrer: wish.referrer.filter(|referrer| *referrer != wish.buyer),
            promo_code: quote.promo_code(),
            plan_snapshot: facts.plan_snapshot,
            placed_at: now,
            expires_at: now + Duration::minutes(i64::from(wish.site.order_expiry_minutes)),
            paid_at: free.then_some(now),
            closed_at: None,
        })
    }

    fn wallet_for(
        wish: &PlaceOrder<'_>,
        chain: Chain,
        facts: &PlacingFacts,
    ) -> Result<WalletAddress, OrderError> {
        if let Some(typed) = &wish.wallet_address {
            return WalletAddress::parse(typed, chain.family()).map_err(OrderError::Wallet);
        }
        let bound = facts.wallets.iter().find(|wallet| wallet.receives_on(chain));
        bound
            .map(|wallet| wallet.address.clone())
            .ok_or(OrderError::WalletMissing)
    }
}

impl PlaceOrder<'_> {
    /// With what the promo code gives, unless it is known to give nothing.
    fn quote(
        &self,
        facts: &PlacingFacts,
        without_promo: Option<PromoRefusal>,
        now: Timestamp,
    ) -> Result<Quote, OrderError> {
        let known = without_promo.map_or_else(|| facts.promo.as_ref().ok_or(PromoRefusal::NotFound), Err);
        let promo = self.promo.as_ref().map(|_| known);
        let quote = quote(&self.lines, &facts.tiers, promo, self.site.currency, now)?;
        match quote.promo {
            Some(Err(refusal)) if self.requires_promo() => Err(OrderError::PromoCode(refusal)),
            _ => Ok(quote),
        }
    }

    fn requires_promo(&self) -> bool {
        self.promo.as_ref().is_some_and(|promo| promo.required)
    }
}

/// Of nothing to pay: confirmed as it is placed.
fn is_free(order: &Order) -> bool {
    order.lifecycle == Lifecycle::Confirmed
}

fn placed(order: &Order, now: Timestamp) -> Event {
    let mut placed = happened("order.placed", order, json!({ "total": order.total }), now);
    if let Some(code) = order.promo_code {
        placed.payload["promo_code"] = json!(code);
        placed.payload["discount"] = json!(order.discount);
    }
    placed
}

/// Limited tiers count what one buyer holds.
async fn count_for_buyer_in_tx(
    tx: &mut dyn OrdersTx,
    order: &Order,
    quote: &Quote,
) -> Result<(), OrderError> {
    let counted = order.lines.iter().enumerate();
    for (at, line) in counted.filter(|(_, line)| line.counted_per_buyer) {
        let limit = quote.lines[at].tier.max_per_buyer;
        let counted = tx
            .stock()
            .count_for_buyer(line.tier, order.buyer, i64::from(line.quantity), limit)
            .await?;
        counted.map_err(|refusal| refused_line(at, refusal))?;
    }
    Ok(())
}
