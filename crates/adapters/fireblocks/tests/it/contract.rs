//! The port's contract, at the sandbox's custodian: it stands in for Fireblocks but for the signatures, which
//! [`crate::requests`] checks.

use std::sync::Arc;

use async_trait::async_trait;
use posx_allocations::custody::ExternalId;
use posx_allocations::testing::{BehindTheCounter, Counter, Ending, custody_contract};
use posx_kernel::ManualClock;
use posx_sandbox::{Custodian, CustodyCall, Drive, End, Fault, World, WorldConfig};

use crate::support::{config, custody_of, now, site};

struct Behind(Custodian);

impl Behind {
    fn next(&self, call: CustodyCall, fault: Fault) {
        self.0.line().inject(call, fault, 1);
    }
}

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
        self.next(CustodyCall::Submit, Fault::LoseAnswer);
    }

    async fn break_down(&self) {
        self.next(CustodyCall::Submit, Fault::ServerError);
    }

    async fn refuse(&self, code: &'static str) {
        let code = code.to_owned();
        self.next(CustodyCall::Submit, Fault::Refuse { code });
    }

    async fn lose_lookup(&self) {
        self.next(CustodyCall::Find, Fault::LoseAnswer);
    }

    async fn lose_balance(&self) {
        self.next(CustodyCall::Balance, Fault::LoseAnswer);
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
async fn fireblocks_keeps_the_contract_of_a_custodian() {
    let world = WorldConfig {
        drive: Drive::Manual,
        ..WorldConfig::new(Arc::new(ManualClock::stopped_at(now())))
    };
    let world = World::start(world).await.unwrap();
    let mut ours = config(&world.fireblocks_url());
    ours.api_key = world.secrets().fireblocks_api_key.clone().into();
    let custody = custody_of(ours);
    let stranger = custody_of(config(&world.fireblocks_url()));
    let behind = Behind(world.custodian().clone());
    let counter = Counter::new(&custody, &stranger, &behind, site(), now(), 2);
    custody_contract(&counter).await;
}
