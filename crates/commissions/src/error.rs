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
    #[error("minimum sales are in the site's currency, {0}")]
    Currency(&'static str),
    #[error("a commission is held 0 to 365 days")]
    HoldDays,
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
            Self::Busy => "commission_plan_busy",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Busy => Kind::Conflict,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
            _ => Kind::Invalid,
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        let field = match self {
            Self::Name => "name",
            Self::Levels | Self::RatesAboveOne | Self::MinimumSales | Self::Currency(_) => "levels",
            Self::HoldDays => "hold_days",
            Self::NotFound | Self::Busy | Self::Key(_) | Self::Store(_) => return None,
        };
        Some(field.into())
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
