//! What a buyer gets little by little.

mod error;
mod manage;
mod policy;
mod ports;
mod release;
mod revoke;
mod unlock;
mod view;

pub use error::VestingError;
pub use manage::CreatePolicy;
pub use policy::{CLIFF_MONTHS_MAX, PERIODS_MAX, PeriodUnit, VestingPolicy};
pub use ports::VestingRepository;
pub use release::{Release, ReleaseName, ReleaseState, VestingSchedule};
pub use unlock::Unlocked;
pub use view::{
    CalendarRow, Granularity, PolicyView, ReleaseView, ScheduleFilter, ScheduleView, TierVestingView,
    TokenDebtView, VestingQueries, calendar,
};
