//! The sandbox's custodian keeps what every custodian must.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like tests")]

use std::sync::Arc;

use async_trait::async_trait;
use posx_allocations::custody::ExternalId;
use posx_allocations::testing::{BehindTheCounter, Counter, Ending, custody_contract};
use posx_kernel::{Ids as _, ManualClock, SeededIds, SiteId, Timestamp};
use posx_sandbox::{Custodian, CustodyCall, Drive, End, Fault, SandboxCustody, World, WorldConfig};

struct Behind(Custodian);

#[async_trait]
impl BehindTheCounter for Behind {
    async fn end(&self, external_id: &ExternalId, ending: Ending) {
        let end = match ending {
            Ending::Completed => {
                while self.0.advance(&external_id.0).is_some() {}
                return;
            }
            Ending::Failed => End::Failed,
            Ending::FailedOnChain => End::FailedOnChain,
            Ending::Blocked => End::Blocked,
            Ending::CompletedButThirdPartyFailed => End::CompletedButThirdPartyFailed,
        };
        self.0.end(&external_id.0, end).unwrap();
    }

    async fn lose_answer(&self) {
        self.0.line().inject(CustodyCall::Submit, Fault::LoseAnswer, 1);
    }

    async fn break_down(&self) {
        self.0.line().inject(CustodyCall::Submit, Fault::ServerError, 1);
    }

    async fn refuse(&self, code: &'static str) {
        let code = code.to_owned();
        self.0
            .line()
            .inject(CustodyCall::Submit, Fault::Refuse { code }, 1);
    }

    async fn lose_lookup(&self) {
        self.0.line().inject(CustodyCall::Find, Fault::LoseAnswer, 1);
    }

    async fn lose_balance(&self) {
        self.0.line().inject(CustodyCall::Balance, Fault::LoseAnswer, 1);
    }

    async fn hold(&self, vault: &str, asset: &str, balance: Option<&str>) {
        self.0.set_balance(vault, asset, balance);
    }

    async fn sent_to(&self, address: &str) -> Vec<String> {
        let sent = self.0.transfers_to(address);
        sent.into_iter().map(|transfer| transfer.amount).collect()
    }
}

#[tokio::test]
async fn the_sandbox_keeps_the_contract_of_a_custodian() {
    let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
    let config = WorldConfig {
        drive: Drive::Manual,
        ..WorldConfig::new(Arc::new(ManualClock::stopped_at(now)))
    };
    let world = World::start(config).await.unwrap();
    let url = world.fireblocks_url();
    let custody = SandboxCustody::new(&url, &world.secrets().fireblocks_api_key).unwrap();
    let stranger = SandboxCustody::new(&url, "a key of nobody").unwrap();
    let behind = Behind(world.custodian().clone());
    let site = SiteId::from_uuid(SeededIds::new(1).uuid(now));
    let counter = Counter::new(&custody, &stranger, &behind, site, now, 2);
    custody_contract(&counter).await;
}
