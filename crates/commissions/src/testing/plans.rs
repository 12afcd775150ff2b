//! What every store must do with windows of plans, terms of agents and the months that caps sum over.

use std::sync::Arc;

use chrono::Duration;
use posx_kernel::{
    Begin, Currency, IdempotentCall, ManualClock, PartyId, PlanId, SeededIds, SiteScope, Timestamp,
};

use super::{Given, level};
use crate::{
    Activated, AgentFacts, Commissions, CommissionsTx, NewPlan, NewTerms, PlanError, Schedule, Terms,
    TermsError,
};

struct Stage<'a> {
    db: &'a dyn Begin<dyn CommissionsTx>,
    given: &'a Given,
    service: Commissions,
    clock: Arc<ManualClock>,
}

/// Runs on a store in which [`Given`] is, its parties known. Leaves it changed.
pub async fn plans_contract(db: Arc<dyn Begin<dyn CommissionsTx>>, given: &Given) {
    let clock = Arc::new(ManualClock::stopped_at(given.paid_at));
    let service = Commissions::new(Arc::clone(&db), clock.clone(), Arc::new(SeededIds::new(23)));
    let stage = Stage {
        db: db.as_ref(),
        given,
        service,
        clock,
    };
    stage.a_month_is_the_sum_of_what_was_earned_in_it().await;
    stage.in_force_is_what_began_last_unless_it_has_ended().await;
    stage.terms_hold_from_their_time_on_and_are_their_agents().await;
}

impl Stage<'_> {
    async fn begin(&self, scope: &SiteScope) -> Box<dyn CommissionsTx> {
        self.db.begin(scope).await.expect("a transaction")
    }

    async fn months(&self, currency: &str, paid_at: Timestamp) -> Vec<i64> {
        let mut tx = self.begin(&self.given.scope).await;
        let currency = Currency::from_code(currency).expect("a currency");
        let agents = [self.given.grand, self.given.referrer, self.given.buyer];
        let months = tx.commissions().lock_months(&agents, currency, paid_at).await;
        months
            .expect("months")
            .iter()
            .map(|month| month.minor())
            .collect()
    }

    async fn a_month_is_the_sum_of_what_was_earned_in_it(&self) {
        let Given {
            scope,
            order,
            paid_at,
            ..
        } = self.given;
        assert_eq!(self.months("USD", *paid_at).await, [0, 0, 0]);
        self.service.accrue(scope, *order).await.expect("accrued");
        assert_eq!(self.months("USD", *paid_at).await, [400, 1200, 0]);
        assert_eq!(self.months("KWD", *paid_at).await, [0, 0, 0]);
        assert_eq!(self.months("USD", *paid_at + Duration::days(32)).await, [0, 0, 0]);
    }

    async fn version(&self) -> PlanId {
        let wish = NewPlan {
            name: "Winter".to_owned(),
            levels: vec![level(1, "0.1", 0)],
            difference: None,
            hold_days: 7,
        };
        let usd = super::usd(0).currency();
        let made = self.service.create_plan(&self.given.scope, usd, wish, None).await;
        made.expect("a version").id
    }

    async fn schedule(&self, id: PlanId, from: i64, until: Option<i64>) -> Result<Activated, PlanError> {
        let schedule = Schedule {
            from: self.day(from),
            until: until.map(|day| self.day(day)),
        };
        self.service
            .schedule_plan(&self.given.scope, id, schedule, None)
            .await
    }

    fn day(&self, day: i64) -> Timestamp {
        self.given.paid_at + Duration::days(day)
    }

    async fn in_force(&self, at: Timestamp) -> Option<PlanId> {
        let mut tx = self.begin(&self.given.scope).await;
        tx.plans().in_force(at).await.expect("read").map(|plan| plan.id)
    }

    async fn in_force_is_what_began_last_unless_it_has_ended(&self) {
        let (first, second) = (self.version().await, self.version().await);
        let before = self.in_force(self.day(1)).await;
        self.schedule(first, 1, Some(3)).await.expect("scheduled");
        self.schedule(second, 2, Some(4)).await.expect("scheduled");
        let moment = Duration::microseconds(1);
        for (at, expected) in [
            (self.day(1) - moment, before),
            (self.day(1), Some(first)),
            (self.day(2) - moment, Some(first)),
            (self.day(2), Some(second)),
            (self.day(4) - moment, Some(second)),
            (self.day(4), None),
            (self.day(40), None),
        ] {
            assert_eq!(self.in_force(at).await, expected, "at {at}");
        }
        self.schedule(second, 5, None).await.expect("moved");
        assert_eq!(self.in_force(self.day(2)).await, Some(first));
        assert_eq!(self.in_force(self.day(4)).await, None, "the first has ended");
        assert_eq!(self.in_force(self.day(5)).await, Some(second));

        self.clock.advance(Duration::days(2));
        let refused = self.schedule(first, 6, None).await;
        assert!(matches!(refused, Err(PlanError::Begun)), "{refused:?}");
        let end = async |scope, id| self.service.end_plan(scope, id, None).await;
        end(&self.given.scope, second).await.expect("off the schedule");
        assert_eq!(self.in_force(self.day(5)).await, None);
        end(&self.given.scope, first).await.expect("ended");
        assert_eq!(self.in_force(self.day(2)).await, None);
        let again = end(&self.given.scope, first).await;
        assert!(matches!(again, Err(PlanError::NotInForce)), "{again:?}");
        let foreign = end(&self.given.elsewhere, first).await;
        assert!(matches!(foreign, Err(PlanError::NotFound)), "{foreign:?}");
        self.clock.advance(Duration::days(-2));
    }

    async fn record(
        &self,
        scope: &SiteScope,
        agent: PartyId,
        grade: &str,
        day: i64,
        call: Option<&IdempotentCall>,
    ) -> Result<u32, TermsError> {
        let terms = Terms {
            grade: Some(grade.to_owned()),
            ..Terms::default()
        };
        let wish = NewTerms {
            terms,
            effective_from: Some(self.day(day)),
        };
        let made = self.service.record_terms(scope, agent, wish, call).await;
        made.map(|made| made.id)
    }

    async fn grade(&self, at: Timestamp) -> Option<String> {
        let mut tx = self.begin(&self.given.scope).await;
        let parties = [self.given.buyer, self.given.referrer];
        let facts = tx.terms().facts_of(&parties, at).await.expect("facts");
        assert_eq!(facts[0], AgentFacts::default(), "the buyer has none");
        facts[1].terms.grade.clone()
    }

    async fn terms_hold_from_their_time_on_and_are_their_agents(&self) {
        let (scope, agent) = (&self.given.scope, self.given.referrer);
        let call = IdempotentCall {
            actor: "idn_1".to_owned(),
            operation: "POST /api/v1/agents/{id}/terms",
            key: "gold".to_owned(),
            fingerprint: [1; 32],
            review: posx_kernel::Review::NotNeeded,
            at: self.given.paid_at,
        };
        for _ in 0..2 {
            let number = self.record(scope, agent, "gold", 0, Some(&call)).await;
            assert_eq!(number.expect("recorded"), 1, "p10");
        }
        assert_eq!(
            self.record(scope, agent, "silver", 3, None).await.expect("later"),
            2
        );
        assert_eq!(self.record(scope, agent, "tin", 3, None).await.expect("again"), 3);
        let moment = Duration::microseconds(1);
        assert_eq!(self.grade(self.day(0) - moment).await, None);
        assert_eq!(self.grade(self.day(0)).await.as_deref(), Some("gold"));
        assert_eq!(self.grade(self.day(3) - moment).await.as_deref(), Some("gold"));
        assert_eq!(
            self.grade(self.day(3)).await.as_deref(),
            Some("tin"),
            "recorded last"
        );
        let late = self.record(scope, agent, "gold", -1, None).await;
        assert!(matches!(late, Err(TermsError::Retroactive)), "{late:?}");
        let foreign = self.record(&self.given.elsewhere, agent, "gold", 0, None).await;
        assert!(matches!(foreign, Err(TermsError::NoSuchAgent)), "{foreign:?}");
    }
}
