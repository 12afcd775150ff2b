//! Acceptances that are cut off, race, come late, or would send tokens elsewhere: one draft is one order at most.

use std::time::{Duration, Instant};

use posx_assistant::documents::{
    DocumentError, DocumentView, DraftEdit, DraftKind, DraftState, DraftView, MediaType, OrderEdit,
};
use posx_assistant::testing::Script;
use posx_kernel::{Money, OrderId, PartyId, Refusal as _};
use posx_orders::OrderView;
use posx_tiers::{ChainFamily, EditTier};
use sqlx::{Postgres, Transaction};

use super::Desk;
use super::deciding::LATE;
use super::papers::Paper;

/// Another address than that which whoever accepts types.
const BOUND: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";

impl Desk {
    /// An order of `Acme GmbH`, read right.
    async fn paper(&self, number: &str, quantity: u32) -> DocumentView {
        let mut paper = Paper::clean(number);
        paper.quantity = quantity.to_string();
        paper.amount = format!("{}.00", quantity * 100);
        (paper.subtotal, paper.total) = (paper.amount.clone(), paper.amount.clone());
        let answer = Script::text(&paper.read().to_string());
        let bytes = paper.written(MediaType::Plain);
        self.read(DraftKind::Order, MediaType::Plain, &bytes, answer)
            .await
    }

    /// Of the customer `Acme GmbH`: nothing is to be said of it.
    async fn order(&self, number: &str, quantity: u32) -> DocumentView {
        let view = self.paper(number, quantity).await;
        assert_eq!(view.draft.as_ref().unwrap().findings, []);
        view
    }

    /// Whose it is, a person says.
    async fn order_of(&self, buyer: PartyId) -> DocumentView {
        let view = self.paper("PO-1", 2).await;
        let edit = OrderEdit {
            buyer: Some(buyer),
            ..OrderEdit::default()
        };
        self.edit(&view, 1, edit).await.unwrap();
        self.view(view.id).await
    }

    async fn edit(&self, view: &DocumentView, seen: i32, edit: OrderEdit) -> Result<(), DocumentError> {
        let (scope, site) = (&self.world.scope, &self.world.site);
        let documents = &self.world.services.documents;
        documents
            .edit(scope, site, view.id, seen, DraftEdit::Order(edit))
            .await
    }

    async fn draft(&self, view: &DocumentView) -> DraftView {
        self.view(view.id).await.draft.unwrap()
    }

    async fn orders(&self) -> i64 {
        self.rows().await["orders"]
    }

    async fn placed(&self, id: OrderId) -> OrderView {
        let queries = &self.world.services.order_queries;
        queries.get(&self.world.scope, id, None).await.unwrap().unwrap()
    }

    /// Units reserved of the site's only tier.
    async fn reserved(&self) -> i64 {
        sqlx::query_scalar("select reserved from tier_stock where site_id = $1")
            .bind(self.world.site.id.as_uuid())
            .fetch_one(&self.world.superuser)
            .await
            .unwrap()
    }

    async fn reprice(&self, minor: i64) {
        let (services, scope) = (&self.world.services, &self.world.scope);
        let tiers = services.tier_queries.tiers(scope, true, services.clock.now());
        let tier = tiers.await.unwrap().remove(0);
        let currency = self.world.site.currency;
        let terms = EditTier {
            name: tier.name,
            description: tier.description,
            list_price: Money::from_minor(minor, currency),
            promotion: None,
            max_per_order: tier.max_per_order,
            max_per_buyer: tier.max_per_buyer,
            position: tier.position,
            active: true,
        };
        let edited = services.tiers.edit(scope, currency, tier.id, tier.version, terms);
        edited.await.unwrap();
    }

    /// Whoever takes stock of the site waits until this is rolled back.
    async fn hold_stock(&self) -> (Transaction<'static, Postgres>, i32) {
        let mut held = self.world.superuser.begin().await.unwrap();
        sqlx::query("select from tier_stock where site_id = $1 for update")
            .bind(self.world.site.id.as_uuid())
            .execute(&mut *held)
            .await
            .unwrap();
        let holder = sqlx::query_scalar("select pg_backend_pid()");
        let holder = holder.fetch_one(&mut *held).await.unwrap();
        (held, holder)
    }

    /// The connection that waits for this one.
    async fn waiting_for(&self, holder: i32) -> i32 {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let waiting = "select pid from pg_stat_activity where $1 = any (pg_blocking_pids(pid))";
            let waiting: Option<i32> = sqlx::query_scalar(waiting)
                .bind(holder)
                .fetch_optional(&self.world.superuser)
                .await
                .unwrap();
            if let Some(waiting) = waiting {
                return waiting;
            }
            assert!(Instant::now() < until, "nobody comes to the stock");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// How a process leaves an acceptance behind.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// The request's time is over.
    Dropped,
    /// Its connection is gone.
    Killed,
}

/// Accepts, and is cut off at the last step before the commit.
async fn cut_off(desk: &Desk, view: &DocumentView, cut: Cut) {
    let (held, holder) = desk.hold_stock().await;
    {
        let mut accepting = std::pin::pin!(desk.accept(view.id, &[]));
        let waiting = tokio::select! {
            done = &mut accepting => panic!("{done:?}"),
            waiting = desk.waiting_for(holder) => waiting,
        };
        if matches!(cut, Cut::Killed) {
            sqlx::query("select pg_terminate_backend($1)")
                .bind(waiting)
                .execute(&desk.world.superuser)
                .await
                .unwrap();
            let refused = accepting.await.unwrap_err();
            assert!(matches!(refused, DocumentError::Order(_)), "{refused:?}");
        }
    }
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn an_acceptance_that_is_cut_off_leaves_nothing_behind_and_the_next_one_makes_one_order() {
    let desk = Desk::new().await;
    desk.customer("Acme GmbH", None).await;
    // All that is left: what a cut-off try took would be missing.
    let view = desk.order("PO-1", 10).await;
    let (rows, draft) = (desk.rows().await, desk.draft(&view).await);
    for cut in [Cut::Dropped, Cut::Killed] {
        cut_off(&desk, &view, cut).await;
        let (orders, reserved) = (desk.orders().await, desk.reserved().await);
        assert_eq!((orders, reserved), (0, 0), "{cut:?}");
        assert_eq!(desk.draft(&view).await, draft, "{cut:?}");
        assert_eq!(desk.rows().await, rows, "{cut:?}");
    }
    desk.accept(view.id, &[]).await.unwrap();
    let accepted = desk.draft(&view).await;
    assert_eq!(accepted.state, DraftState::Accepted);
    let order = desk.placed(accepted.order_id.unwrap()).await;
    assert_eq!((desk.orders().await, desk.reserved().await), (1, 10));
    assert_eq!(order.total.amount(), "1000.00");
}

#[tokio::test]
async fn a_price_that_is_edited_after_a_cut_off_try_places_nothing_and_strands_nothing() {
    let desk = Desk::new().await;
    desk.customer("Acme GmbH", None).await;
    let view = desk.order("PO-1", 2).await;
    let draft = desk.draft(&view).await;
    cut_off(&desk, &view, Cut::Dropped).await;
    desk.reprice(12_000).await;
    let refused = desk.accept(view.id, &[]).await.unwrap_err();
    assert!(
        matches!(refused, DocumentError::TotalDiffers { .. }),
        "{refused:?}"
    );
    assert_eq!((desk.orders().await, desk.reserved().await), (0, 0));
    assert_eq!(desk.draft(&view).await, draft, "as it was");
    desk.reprice(10_000).await;
    desk.accept(view.id, &[]).await.unwrap();
    assert_eq!((desk.orders().await, desk.reserved().await), (1, 2));
}

#[tokio::test]
async fn of_acceptances_at_once_on_the_last_units_one_makes_its_order_and_the_others_nothing() {
    let desk = Desk::new().await;
    desk.customer("Acme GmbH", None).await;
    let (one, other) = (desk.order("PO-1", 6).await, desk.order("PO-2", 6).await);
    let tries = tokio::join!(
        desk.accept_as(one.id, &[], "a"),
        desk.accept_as(one.id, &[], "b"),
        desk.accept_as(other.id, &[], "c"),
        desk.accept_as(other.id, &[], "d"),
    );
    let tries = [tries.0, tries.1, tries.2, tries.3];
    assert_eq!(tries.iter().filter(|done| done.is_ok()).count(), 1, "{tries:?}");
    for refused in tries.iter().filter_map(|done| done.as_ref().err()) {
        let code = refused.code();
        assert!(code == "tier_sold_out" || LATE.contains(&code), "{code}");
    }
    assert_eq!((desk.orders().await, desk.reserved().await), (1, 6));
    let drafts = [desk.draft(&one).await, desk.draft(&other).await];
    for (draft, first_try) in drafts.iter().zip([0, 2]) {
        let won = tries[first_try].is_ok() || tries[first_try + 1].is_ok();
        assert_eq!(draft.state == DraftState::Accepted, won, "{draft:?}");
        assert_eq!(draft.order_id.is_some(), won, "{draft:?}");
        assert_eq!(draft.version == 1, !won, "{draft:?}");
    }
}

#[tokio::test]
async fn an_accepted_draft_is_not_accepted_or_edited_again_not_even_when_its_key_is_forgotten() {
    let desk = Desk::new().await;
    desk.customer("Acme GmbH", None).await;
    let view = desk.order("PO-1", 2).await;
    desk.accept_as(view.id, &[], "key").await.unwrap();
    let (services, scope) = (&desk.world.services, &desk.world.scope);
    let later = services.clock.now() + chrono::TimeDelta::days(3);
    let gone = services.database.purge_idempotency_keys(scope, later).await;
    assert!(gone.unwrap() > 0);
    for key in ["key", "another"] {
        let refused = desk.accept_as(view.id, &[], key).await.unwrap_err();
        assert_eq!(refused.code(), "document_draft_not_open", "{key}");
    }
    let draft = desk.draft(&view).await;
    let edit = OrderEdit {
        total: Some(Some("1.00".into())),
        ..OrderEdit::default()
    };
    let edited = desk.edit(&view, draft.version, edit).await;
    assert_eq!(edited.unwrap_err().code(), "document_draft_not_open");
    let rejected = services
        .documents
        .reject(scope, desk.admin, view.id, draft.version, "late")
        .await;
    assert_eq!(rejected.unwrap_err().code(), "document_draft_not_open");
    assert_eq!(desk.draft(&view).await, draft);
    assert_eq!(desk.orders().await, 1);
}

#[tokio::test]
async fn p35_whoever_accepts_cannot_send_the_tokens_of_a_customer_elsewhere() {
    let desk = Desk::new().await;
    let member = desk.world.joins("carla", None).await;
    let view = desk.order_of(member.party).await;
    let (services, scope) = (&desk.world.services, &desk.world.scope);
    let bound = services
        .orders
        .bind_wallet(scope, member.party, ChainFamily::Evm, BOUND)
        .await
        .unwrap();
    let draft = desk.draft(&view).await;
    let refused = desk.accept(view.id, &[]).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.field().as_deref()),
        ("document_draft_wallet_bound", Some("wallet_address"))
    );
    assert_eq!(desk.draft(&view).await, draft, "as it was");
    assert_eq!((desk.orders().await, desk.reserved().await), (0, 0));
    desk.accept_to(view.id, &[], "bound", None).await.unwrap();
    let order = desk.draft(&view).await.order_id.unwrap();
    assert_eq!(desk.placed(order).await.wallet_address, bound.address.as_str());
}
