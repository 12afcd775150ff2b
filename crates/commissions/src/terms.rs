//! What holds for one agent in place of what a plan says: a grade, rates of their own. Recorded for a time to come and
//! never changed: what was decided under it stays as it was.

use posx_kernel::{
    Event, IdempotentCall, Made, PartyId, Rate, SiteScope, Timestamp, made_before_in_tx, remember_in_tx,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::plan::{DEPTH_MAX, GRADE_NAME_MAX};
use crate::{Commissions, TermsError};

/// In force at a time is what was recorded last of what began by then. An agent without terms has the plan's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// In a plan by difference. Absent, or not of the plan: the plan's default grade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<String>,
    /// In place of a level's rate, whatever was bought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelRate>,
    /// In place of the grade's rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference_rate: Option<Rate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelRate {
    /// 1 to 10.
    pub level: u8,
    pub rate: Rate,
}

impl Terms {
    /// With a rate for each level at most once, and a grade that has a name.
    pub fn checked(mut self) -> Result<Self, TermsError> {
        self.grade = self.grade.map(|grade| grade.trim().to_owned());
        let named = |grade: &String| !grade.is_empty() && grade.chars().count() <= GRADE_NAME_MAX;
        if !self.grade.as_ref().is_none_or(named) {
            return Err(TermsError::Grade);
        }
        self.levels.sort_by_key(|level| level.level);
        let twice = self.levels.windows(2).any(|two| two[0].level == two[1].level);
        let known = |level: &LevelRate| (1..=LEVEL_MAX).contains(&level.level);
        if twice || !self.levels.iter().all(known) {
            return Err(TermsError::Levels);
        }
        Ok(self)
    }

    /// The agent's own rate at this level.
    pub fn rate_at(&self, level: u8) -> Option<Rate> {
        self.levels
            .iter()
            .find(|own| own.level == level)
            .map(|own| own.rate)
    }
}

const LEVEL_MAX: u8 = 10;
const _: () = assert!(LEVEL_MAX <= DEPTH_MAX);

/// Terms as they were recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentTerms {
    pub agent: PartyId,
    /// Counts from 1 for the agent.
    pub number: u32,
    pub effective_from: Timestamp,
    pub terms: Terms,
    pub recorded_at: Timestamp,
}

#[derive(Debug, Clone)]
pub struct NewTerms {
    pub terms: Terms,
    /// Absent: from now on.
    pub effective_from: Option<Timestamp>,
}

const NUMBER_TRIES: u8 = 5;

impl Commissions {
    /// Orders that are paid from then on are counted with them. Returns their number.
    pub async fn record_terms(
        &self,
        scope: &SiteScope,
        agent: PartyId,
        wish: NewTerms,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<u32>, TermsError> {
        let now = self.clock.now();
        let terms = wish.terms.checked()?;
        let effective_from = wish.effective_from.unwrap_or(now);
        let mut tx = self.db.begin(scope).await?;
        // Before the time is looked at: repeated later, the call is answered as it was.
        if let Some(made) = made_before_in_tx::<_, _, TermsError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        if effective_from < now {
            return Err(TermsError::Retroactive);
        }
        let mut made = AgentTerms {
            agent,
            number: 0,
            effective_from,
            terms,
            recorded_at: now,
        };
        for _ in 0..NUMBER_TRIES {
            let latest = tx.terms().latest_number(agent).await?;
            let next = latest.ok_or(TermsError::NoSuchAgent)?.checked_add(1);
            made.number = next.ok_or(TermsError::Busy)?;
            if tx.terms().append(&made).await? {
                tx.outbox().append(recorded(&made)).await?;
                remember_in_tx(tx.as_mut(), call, &made.number).await?;
                tx.commit().await?;
                return Ok(Made::now(made.number));
            }
        }
        Err(TermsError::Busy)
    }
}

fn recorded(made: &AgentTerms) -> Event {
    Event {
        kind: "agent_terms.recorded",
        subject: made.agent.as_uuid(),
        payload: json!({ "number": made.number, "effective_from": made.effective_from, "terms": made.terms }),
        at: made.recorded_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(levels: &[u8]) -> Terms {
        let rate = "0.2".parse().expect("a rate");
        let levels = levels.iter().map(|level| LevelRate { level: *level, rate });
        Terms {
            levels: levels.collect(),
            ..Terms::default()
        }
    }

    #[test]
    fn terms_name_each_level_once_and_a_grade_by_its_name() {
        assert!(matches!(rates(&[1, 2, 1]).checked(), Err(TermsError::Levels)));
        assert!(matches!(rates(&[0]).checked(), Err(TermsError::Levels)));
        assert!(matches!(rates(&[11]).checked(), Err(TermsError::Levels)));
        let own = rates(&[10, 1]).checked().expect("terms");
        assert_eq!(own.rate_at(10), own.rate_at(1));
        assert_eq!(own.rate_at(2), None);
        let graded = |grade: &str| Terms {
            grade: Some(grade.to_owned()),
            ..Terms::default()
        };
        assert!(matches!(graded("  ").checked(), Err(TermsError::Grade)));
        assert_eq!(
            graded(" gold ").checked().expect("terms").grade.as_deref(),
            Some("gold")
        );
    }

    #[test]
    fn terms_that_say_nothing_are_an_empty_object() {
        assert_eq!(
            serde_json::to_value(Terms::default()).expect("JSON"),
            serde_json::json!({})
        );
    }
}
