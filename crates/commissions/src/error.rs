//! Refusals of this context.

use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("there is no such commission plan")]
    NotFound,
    #[error("a plan has a name of 1 to 200 characters")]
    Name,
    #[error("a plan has 1 to 10 levels, numbered from 1 without a gap")]
    Levels,
    #[error("the rates of a plan sum to at most 1")]
    RatesAboveOne,
    #[error("minimum sales are not negative")]
    MinimumSales,
    #[error("the amounts of a plan are in the site's currency, {0}")]
    Currency(&'static str),
    #[error("a commission is held 0 to 365 days")]
    HoldDays,
    #[error("a plan has levels, or grades in their place")]
    Mode,
    #[error("caps are above zero, and the least order is not above the most")]
    Limits,
    #[error("a level has rates for at most 100 tiers, each named once")]
    Tiers,
    #[error("a plan has 1 to 20 grades with names of their own, and one of them is the default")]
    Grades,
    #[error("a plan by difference reaches 1 to 64 parties up")]
    Depth,
    #[error("a window begins now or later, and ends after it begins")]
    Window,
    #[error("this version has been in force: make a new one")]
    Begun,
    #[error("this version is not in force, and not to be")]
    NotInForce,
    #[error("this plan is being versioned by someone else: try again")]
    Busy,
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for PlanError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "commission_plan_not_found",
            Self::Name => "commission_plan_name_invalid",
            Self::Levels => "commission_plan_levels_invalid",
            Self::RatesAboveOne => "commission_plan_rates_above_one",
            Self::MinimumSales => "commission_plan_minimum_sales_invalid",
            Self::Currency(_) => "currency_mismatch",
            Self::HoldDays => "commission_plan_hold_days_invalid",
            Self::Mode => "commission_plan_mode_ambiguous",
            Self::Limits => "commission_plan_limits_invalid",
            Self::Tiers => "commission_plan_tiers_invalid",
            Self::Grades => "commission_plan_grades_invalid",
            Self::Depth => "commission_plan_depth_invalid",
            Self::Window => "commission_plan_window_invalid",
            Self::Begun => "commission_plan_begun",
            Self::NotInForce => "commission_plan_not_in_force",
            Self::Busy => "commission_plan_busy",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Busy | Self::Begun | Self::NotInForce => Kind::Conflict,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
            _ => Kind::Invalid,
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        let field = match self {
            Self::Name => "name",
            Self::Levels
            | Self::RatesAboveOne
            | Self::MinimumSales
            | Self::Currency(_)
            | Self::Limits
            | Self::Tiers => "levels",
            Self::Mode | Self::Grades | Self::Depth => "difference",
            Self::Window => "from",
            Self::HoldDays => "hold_days",
            Self::NotFound | Self::Busy | Self::Begun | Self::NotInForce | Self::Key(_) | Self::Store(_) => {
                return None;
            }
        };
        Some(field.into())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    #[error("there is no such agent")]
    NoSuchAgent,
    #[error("a grade has a name of 1 to 50 characters")]
    Grade,
    #[error("an agent has at most one rate for each of the levels 1 to 10")]
    Levels,
    #[error("terms begin now or later")]
    Retroactive,
    #[error("someone else records terms of this agent: try again")]
    Busy,
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for TermsError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchAgent => "agent_not_found",
            Self::Grade => "agent_terms_grade_invalid",
            Self::Levels => "agent_terms_levels_invalid",
            Self::Retroactive => "agent_terms_retroactive",
            Self::Busy => "agent_terms_busy",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoSuchAgent => Kind::NotFound,
            Self::Grade | Self::Levels | Self::Retroactive => Kind::Invalid,
            Self::Busy => Kind::Conflict,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        let field = match self {
            Self::Grade => "grade",
            Self::Levels => "levels",
            Self::Retroactive => "effective_from",
            Self::NoSuchAgent | Self::Busy | Self::Key(_) | Self::Store(_) => return None,
        };
        Some(field.into())
    }
}

/// Why a plan cannot be tried out on a period.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    #[error("there is no such commission plan")]
    NoSuchPlan,
    #[error("a period ends after it begins, and is at most 366 days long")]
    Period,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for SimulateError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchPlan => "commission_plan_not_found",
            Self::Period => "commission_simulation_period_invalid",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoSuchPlan => Kind::NotFound,
            Self::Period => Kind::Invalid,
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        matches!(self, Self::Period).then_some("until".into())
    }
}

/// Why the shares of an order cannot be decided now. Met by a job, not by a caller.
#[derive(Debug, thiserror::Error)]
pub enum AccrualError {
    #[error("there is no such order")]
    NoSuchOrder,
    #[error("the order is not paid")]
    NotPaid,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for AccrualError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchOrder => "order_not_found",
            Self::NotPaid => "order_not_paid",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoSuchOrder => Kind::NotFound,
            Self::NotPaid => Kind::Conflict,
            Self::Store(error) => error.kind(),
        }
    }
}
