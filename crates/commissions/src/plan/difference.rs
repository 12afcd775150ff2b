//! Difference mode (`solar_diff`): every party has a grade, every grade a rate, and an ancestor earns what their rate is
//! above the best one below them.

use posx_kernel::{Currency, Money, Rate};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Limits;
use crate::{PlanError, Terms};

/// As far as a plan by difference can reach.
pub const DEPTH_MAX: u8 = 64;
pub const GRADES_MAX: usize = 20;
pub const GRADE_NAME_MAX: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grade {
    /// 1 to 50 characters.
    pub name: String,
    pub rate: Rate,
}

/// What staff write. Checked, it is a [`Difference`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferenceTerms {
    /// 1 to 20.
    pub grades: Vec<Grade>,
    /// Of whoever has none, buyers among them.
    pub default_grade: String,
    /// How far up the tree the plan reaches: 1 to 64.
    pub depth: u8,
    /// The most that one ancestor earns, however far above the others they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_max: Option<Rate>,
    /// What the parties that the agent referred must have bought before, in the site's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_sales: Option<Money>,
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
}

/// Grades with names of their own, one of them the default, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "DifferenceTerms", into = "DifferenceTerms")]
#[schema(value_type = DifferenceTerms)]
pub struct Difference(DifferenceTerms);

impl Difference {
    pub fn new(terms: DifferenceTerms) -> Result<Self, PlanError> {
        let trimmed = |grade: Grade| Grade {
            name: grade.name.trim().to_owned(),
            rate: grade.rate,
        };
        let terms = DifferenceTerms {
            grades: terms.grades.into_iter().map(trimmed).collect(),
            default_grade: terms.default_grade.trim().to_owned(),
            ..terms
        };
        let mut names: Vec<_> = terms.grades.iter().map(|grade| grade.name.as_str()).collect();
        names.sort_unstable();
        let is_short = |name: &&str| !name.is_empty() && name.chars().count() <= GRADE_NAME_MAX;
        let good = (1..=GRADES_MAX).contains(&names.len())
            && names.iter().all(is_short)
            && names.windows(2).all(|two| two[0] != two[1])
            && names.contains(&terms.default_grade.as_str());
        if !good {
            return Err(PlanError::Grades);
        }
        if !(1..=DEPTH_MAX).contains(&terms.depth) {
            return Err(PlanError::Depth);
        }
        if terms.minimum_sales.is_some_and(Money::is_negative) {
            return Err(PlanError::MinimumSales);
        }
        if let Some(currency) = currency_of(&terms) {
            if terms
                .minimum_sales
                .is_some_and(|money| money.currency() != currency)
            {
                return Err(PlanError::Currency(currency.code()));
            }
            terms.limits.check(currency)?;
        }
        Ok(Self(terms))
    }

    pub const fn terms(&self) -> &DifferenceTerms {
        &self.0
    }

    pub const fn depth(&self) -> u8 {
        self.0.depth
    }

    /// Of any of the amounts in it; a plan without amounts is of every currency.
    pub fn currency(&self) -> Option<Currency> {
        currency_of(&self.0)
    }

    /// What a party is worth by its own rate, or by its grade, or by the default one.
    pub fn rate_of(&self, terms: &Terms) -> Rate {
        terms
            .difference_rate
            .unwrap_or_else(|| self.grade_of(terms).map_or(Rate::ZERO, |grade| grade.rate))
    }

    pub fn grade_of(&self, terms: &Terms) -> Option<&Grade> {
        let named = |name: &str| self.0.grades.iter().find(|grade| grade.name == name);
        let own = terms.grade.as_deref().and_then(named);
        own.or_else(|| named(&self.0.default_grade))
    }

    /// The best rate that a grade has.
    pub fn best(&self) -> Decimal {
        let rates = self.0.grades.iter().map(|grade| grade.rate.as_decimal());
        rates.fold(Decimal::ZERO, Decimal::max)
    }
}

fn currency_of(terms: &DifferenceTerms) -> Option<Currency> {
    let amount = terms.minimum_sales.or_else(|| terms.limits.amounts().next());
    amount.map(Money::currency)
}

impl TryFrom<DifferenceTerms> for Difference {
    type Error = PlanError;

    fn try_from(terms: DifferenceTerms) -> Result<Self, PlanError> {
        Self::new(terms)
    }
}

impl From<Difference> for DifferenceTerms {
    fn from(difference: Difference) -> Self {
        difference.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{grades, usd};

    #[test]
    fn grades_have_names_of_their_own_and_one_is_the_default() {
        let refused = |change: fn(&mut DifferenceTerms)| {
            let mut terms = grades(&[("bronze", "0.1"), ("gold", "0.2")]);
            change(&mut terms);
            Difference::new(terms).map_err(|error| error.to_string())
        };
        assert!(refused(|_| {}).is_ok());
        let grades = Err(PlanError::Grades.to_string());
        assert_eq!(refused(|terms| terms.grades.clear()), grades);
        assert_eq!(
            refused(|terms| terms.grades[1].name = " bronze ".to_owned()),
            grades
        );
        assert_eq!(refused(|terms| terms.grades[1].name = " ".to_owned()), grades);
        assert_eq!(refused(|terms| terms.default_grade = "tin".to_owned()), grades);
        for depth in [0, 65] {
            let mut terms = crate::testing::grades(&[("bronze", "0.1")]);
            terms.depth = depth;
            assert!(matches!(Difference::new(terms), Err(PlanError::Depth)));
        }
        assert_eq!(
            refused(|terms| terms.minimum_sales = Some(usd(-1))),
            Err(PlanError::MinimumSales.to_string())
        );
    }

    #[test]
    fn a_party_has_its_own_rate_or_its_grades_or_the_default_ones() {
        let plan = Difference::new(grades(&[("bronze", "0.1"), ("gold", "0.2")])).expect("a plan");
        let rate = |grade: Option<&str>, own: Option<&str>| {
            let terms = Terms {
                grade: grade.map(ToOwned::to_owned),
                difference_rate: own.map(|rate| rate.parse().expect("a rate")),
                ..Terms::default()
            };
            plan.rate_of(&terms).to_string()
        };
        assert_eq!(rate(None, None), "0.1");
        assert_eq!(rate(Some("gold"), None), "0.2");
        assert_eq!(rate(Some("unheard of"), None), "0.1");
        assert_eq!(rate(Some("gold"), Some("0.05")), "0.05");
    }
}
