//! The scripted custodian keeps what every custodian must.

use async_trait::async_trait;

use super::*;
use crate::testing::{BehindTheCounter, Counter, Ending, custody_contract};

#[async_trait]
impl BehindTheCounter for FakeCustody {
    async fn end(&self, external_id: &ExternalId, ending: Ending) {
        let (status, sub_status, on_chain) = match ending {
            Ending::Completed => ("COMPLETED", "CONFIRMED", true),
            Ending::Failed => ("FAILED", "INSUFFICIENT_FUNDS", false),
            Ending::FailedOnChain => ("FAILED", "SMART_CONTRACT_EXECUTION_FAILED", true),
            Ending::Blocked => ("BLOCKED", "BLOCKED_BY_POLICY", false),
            Ending::CompletedButThirdPartyFailed => ("COMPLETED", "COMPLETED_BUT_3RD_PARTY_FAILED", true),
        };
        self.change(&external_id.0, |transfer| {
            status.clone_into(&mut transfer.status);
            transfer.sub_status = Some(sub_status.to_owned());
            transfer.tx_hash = on_chain.then(|| "0x1".to_owned());
            transfer.confirmations = u32::from(on_chain);
        });
    }

    async fn lose_answer(&self) {
        self.script([Answer::LostOnTheWayBack]);
    }

    async fn break_down(&self) {
        self.script([Answer::LostOnTheWayThere]);
    }

    async fn refuse(&self, code: &'static str) {
        self.script([Answer::Refused(code)]);
    }

    async fn lose_lookup(&self) {
        self.lose_lookups(1);
    }

    async fn lose_balance(&self) {
        self.lose_balances(1);
    }

    async fn hold(&self, vault: &str, asset: &str, balance: Option<&str>) {
        let balance = balance.map(|text| crate::custody::spendable(text, 6).expect("an amount"));
        self.set_balance(vault, asset, balance);
    }

    async fn sent_to(&self, address: &str) -> Vec<String> {
        let mut made = self.made();
        made.retain(|request| request.to == address);
        made.iter()
            .map(|request| request.amount.in_tokens(request.decimals))
            .collect()
    }
}

#[tokio::test]
async fn the_scripted_custodian_keeps_the_contract_of_a_custodian() {
    let (custody, stranger) = (FakeCustody::default(), FakeCustody::default());
    stranger.lock_out(true);
    let counter = Counter::new(&custody, &stranger, &custody, site(1).site(), at(0), 3);
    custody_contract(&counter).await;
}
