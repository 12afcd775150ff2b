//! A buyer: places, checks out, pays or does not, and asks again when nobody answers.

use std::sync::Arc;

use posx_kernel::{OrderId, PartyId, SiteId, StoredAnswer};
use posx_orders::gateway::IntentId;
use posx_orders::{Order, PlaceOrder, Placed, PromoWish, Quote, WishedLine};

use super::{again, call};
use crate::faults::Fault;
use crate::payments::CardDoes;
use crate::sim::{MINUTE, SECOND};
use crate::world::furnish::CODES;
use crate::world::{SiteScene, World};

const ADDRESS: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

#[derive(Clone)]
pub(super) struct Buyer {
    world: Arc<World>,
    site: usize,
    party: PartyId,
    /// Of all requests to place this order.
    key: String,
    lines: Vec<WishedLine>,
    named: Option<PartyId>,
    promo: Option<PromoWish>,
}

impl Buyer {
    pub(super) fn new(world: &Arc<World>, site: usize, number: usize, key: String) -> Self {
        let (sim, scene) = (&world.env.sim, &world.sites[site]);
        let mut tiers = scene.tiers.clone();
        if sim.one_in(2) {
            tiers.truncate(1);
        }
        let line = |tier: &posx_kernel::TierId| WishedLine {
            tier: *tier,
            quantity: u32::try_from(sim.between(1, 4)).unwrap_or(1),
        };
        // Neighbours name each other: nobody may end up below themselves.
        let neighbour = scene.parties.get(number ^ 1).copied();
        Self {
            world: Arc::clone(world),
            site,
            party: scene.parties[number],
            key,
            lines: tiers.iter().map(line).collect(),
            named: neighbour.filter(|_| sim.one_in(2)),
            promo: sim.one_in(2).then(|| PromoWish {
                code: (*sim.pick(&[CODES[0], CODES[1], CODES[2], CODES[3], "NOTHING"])).to_owned(),
                required: sim.one_in(5),
            }),
        }
    }

    fn scene(&self) -> &SiteScene {
        &self.world.sites[self.site]
    }

    fn site(&self) -> SiteId {
        self.scene().site.id
    }

    pub(super) async fn visits(&self) {
        let sim = &self.world.env.sim;
        sim.lag(0, 15 * MINUTE).await;
        let Some(order) = self.places().await else { return };
        sim.lag(SECOND, MINUTE).await;
        let difficult = self.world.env.has(Fault::DifficultBuyers);
        if difficult && sim.one_in(10) {
            return;
        }
        if sim.one_in(12) {
            self.cancels(order).await;
        }
        let Some(intent) = self.checks_out(order).await else {
            return;
        };
        if sim.one_in(4) {
            // A second tab.
            self.checks_out_under(order, &format!("tab-{order}")).await;
        }
        let late = difficult && sim.one_in(4);
        if late {
            sim.lag(14 * MINUTE, 22 * MINUTE).await;
        } else {
            sim.lag(SECOND, 4 * MINUTE).await;
        }
        if sim.one_in(20) {
            self.cancels(order).await;
        }
        self.pays(&intent).await;
    }

    /// Asks until there is an answer, always under the same key.
    async fn places(&self) -> Option<OrderId> {
        let sim = &self.world.env.sim;
        self.world.told().asked.push((self.site(), self.party));
        if sim.one_in(6) {
            // Pressed twice.
            let again = self.clone();
            sim.spawn(format!("again {}", self.key), async move {
                again.place_once().await.ok();
            });
        }
        for _ in 0..5 {
            if let Ok(answered) = self.place_once().await {
                return answered;
            }
            sim.lag(SECOND, 20 * SECOND).await;
        }
        None
    }

    /// An error is no answer: the client asks again.
    async fn place_once(&self) -> Result<Option<OrderId>, ()> {
        let wish = PlaceOrder {
            site: &self.scene().site,
            buyer: self.party,
            lines: self.lines.clone(),
            wallet_address: Some(ADDRESS.to_owned()),
            referrer: self.named,
            promo: self.promo.clone(),
            call: Some(call(&self.key, self.party.as_uuid())),
        };
        let render = |order: &Order, _: &Quote| StoredAnswer {
            status: 201,
            body: order.id.to_string().into_bytes(),
        };
        let placing = self.world.orders.place(&self.scene().scope, &wish, &render);
        let ended = self.world.env.sim.process(placing).await;
        let answer = match ended {
            Ok(Ok(Placed::New { answer, .. } | Placed::Replayed(answer))) => answer,
            Ok(Err(error)) if !again(&error) => {
                self.world.env.sim.note(|| format!("placing refused: {error}"));
                return Ok(None);
            }
            _ => return Err(()),
        };
        let id: Option<OrderId> = String::from_utf8(answer.body)
            .ok()
            .and_then(|text| text.parse().ok());
        if let Some(id) = id {
            self.world.env.sim.note(|| format!("{id} is answered"));
            let told = (self.site(), self.party, self.key.clone(), id);
            self.world.told().placed.push(told);
        }
        Ok(id)
    }

    async fn checks_out(&self, order: OrderId) -> Option<String> {
        self.checks_out_under(order, &format!("checkout-{order}")).await
    }

    async fn checks_out_under(&self, order: OrderId, key: &str) -> Option<String> {
        let mut call = call(key, self.party.as_uuid());
        call.operation = "POST /orders/{id}/checkout";
        for _ in 0..5 {
            let sim = &self.world.env.sim;
            let checkout = self
                .world
                .orders
                .checkout(&self.scene().scope, self.party, order, &call);
            match sim.process(checkout).await {
                Ok(Ok(checkout)) => {
                    self.world.told().handed.insert(checkout.intent.0.clone());
                    return Some(checkout.intent.0);
                }
                Ok(Err(error)) if !again(&error) => {
                    sim.note(|| format!("checkout refused: {error}"));
                    return None;
                }
                _ => {}
            }
            sim.lag(SECOND, 30 * SECOND).await;
        }
        None
    }

    async fn cancels(&self, order: OrderId) {
        let cancelling = self
            .world
            .orders
            .cancel(&self.scene().scope, order, Some(self.party));
        let ended = self.world.env.sim.process(cancelling).await;
        self.world
            .env
            .sim
            .note(|| format!("cancelling {order}: {ended:?}"));
    }

    async fn pays(&self, intent: &str) {
        let (env, sim) = (&self.world.env, &self.world.env.sim);
        let intent = IntentId(intent.to_owned());
        let card = |does| self.world.payments.card(&intent, does);
        if env.has(Fault::DifficultBuyers) {
            if sim.one_in(3) && !card(*sim.pick(&[CardDoes::Declines, CardDoes::Challenges])) {
                return;
            }
            sim.lag(SECOND, MINUTE).await;
            if sim.one_in(3) {
                card(CardDoes::Debits {
                    arrives: sim.one_in(2),
                });
                return;
            }
        }
        let does = if env.strikes(Fault::WrongAmounts, 4) {
            CardDoes::PaysOtherAmount
        } else {
            CardDoes::Pays
        };
        card(does);
    }
}
