use posx_kernel::{SiteScope, Timestamp};
use posx_tenancy::Site;

use crate::tools::{PublicTools, StaffTools, Told};
use crate::{ToolCall, ToolSpec};

/// The tools of one talk. The storefront's hold no reader of anything that is not public.
pub(super) enum Toolset {
    Staff(StaffTools),
    Public(PublicTools),
}

impl Toolset {
    pub fn specs(&self) -> Vec<ToolSpec> {
        match self {
            Self::Staff(tools) => tools.specs(),
            Self::Public(_) => PublicTools::specs(),
        }
    }

    /// A call that is refused is told so; the talk goes on.
    pub async fn run(&self, scope: &SiteScope, site: &Site, call: &ToolCall, now: Timestamp) -> Told {
        let told = match self {
            Self::Staff(tools) => tools.run(scope, site, call, now).await,
            Self::Public(tools) => tools.run(scope, site, call, now).await,
        };
        told.unwrap_or_else(Told::refused)
    }
}
