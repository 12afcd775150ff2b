//! The list of transfers: how the custodian serves it, and the port of reconciliation on it.

use async_trait::async_trait;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta};
use posx_kernel::{Timestamp, TokenAmount};
use posx_ledger::reconcile::{AskLines, Line, LinesError, Moved, Movement, ProviderLines, Wallet};
use posx_ledger::{Side, Unit};
use serde::Deserialize;
use serde_json::Value;

use super::book::Book;
use super::client::SandboxCustody;
use super::error::CustodianError;
use super::http::Answered;
use super::transfer::SandboxTransfer;
use super::{Custodian, CustodyCall};
use crate::transport::TransportError;

const LIMIT_DEFAULT: usize = 200;
const LIMIT_MAX: usize = 500;
/// What our client asks for at once.
const PAGE: usize = 100;
/// A transfer completes within this time of its creation, approvals included; one that takes longer is found by its entry.
const COMPLETES_WITHIN: TimeDelta = TimeDelta::days(31);
/// `COMPLETED`, and yet not delivered (F09).
const NOT_DELIVERED: &str = "COMPLETED_BUT_3RD_PARTY";

/// As far as POSX asks: oldest first, by when they were created.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Asked {
    /// In milliseconds, as the next one.
    after: Option<i64>,
    before: Option<i64>,
    status: Option<String>,
    source_type: Option<String>,
    source_id: Option<String>,
    assets: Option<String>,
    order_by: Option<String>,
    sort: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(custodian): State<Custodian>,
    headers: HeaderMap,
    query: Result<Query<Asked>, QueryRejection>,
) -> Answered {
    custodian.arrive(CustodyCall::List, &headers)?;
    let Query(asked) = query.map_err(|rejection| CustodianError::invalid(rejection.body_text()))?;
    let limit = asked.limit.unwrap_or(LIMIT_DEFAULT);
    let ordered = asked.order_by.as_deref() == Some("createdAt") && asked.sort.as_deref() == Some("ASC");
    if !ordered || !(1..=LIMIT_MAX).contains(&limit) {
        return Err(CustodianError::invalid(
            "orderBy=createdAt, sort=ASC, and a limit of 1 to 500",
        ));
    }
    custodian
        .look_up(CustodyCall::List, move |book| Ok(book.list(&asked, limit)))
        .await
}

impl Book {
    fn list(&self, asked: &Asked, limit: usize) -> Value {
        let mut found: Vec<_> = self
            .transfers
            .values()
            .filter(|transfer| asked.wants(transfer))
            .collect();
        found.sort_by_key(|transfer| (transfer.created_at, transfer.id));
        found.iter().take(limit).map(|transfer| transfer.json()).collect()
    }
}

impl Asked {
    fn wants(&self, transfer: &SandboxTransfer) -> bool {
        let is = |wanted: &Option<String>, held: &str| wanted.as_ref().is_none_or(|wanted| wanted == held);
        let created = transfer.created_at.timestamp_millis();
        self.after.is_none_or(|after| created > after)
            && self.before.is_none_or(|before| created < before)
            && is(&self.status, transfer.status.as_str())
            && is(&self.source_type, "VAULT_ACCOUNT")
            && is(&self.source_id, &transfer.vault)
            && is(&self.assets, &transfer.asset)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTransfer {
    id: String,
    external_tx_id: Option<String>,
    sub_status: Option<String>,
    amount_info: WireAmount,
    created_at: i64,
    last_updated: i64,
}

#[derive(Deserialize)]
struct WireAmount {
    amount: String,
}

impl SandboxCustody {
    async fn page(
        &self,
        wallet: &Wallet,
        after: i64,
        before: i64,
    ) -> Result<Vec<WireTransfer>, TransportError> {
        let query = [
            ("after", after.to_string()),
            ("before", before.to_string()),
            ("status", "COMPLETED".to_owned()),
            ("sourceType", "VAULT_ACCOUNT".to_owned()),
            ("sourceId", wallet.vault.clone()),
            ("assets", wallet.provider_asset.clone()),
            ("orderBy", "createdAt".to_owned()),
            ("sort", "ASC".to_owned()),
            ("limit", PAGE.to_string()),
        ];
        let answer = self
            .transport
            .send(self.transport.get("/v1/transactions").query(&query))
            .await?;
        if answer.status.is_success() {
            answer.json()
        } else {
            Err(answer.unsettled())
        }
    }

    /// From page to page by when the last one was created; those of the same millisecond come again.
    async fn of_wallet(&self, wallet: &Wallet, ask: &AskLines<'_>) -> Result<Vec<Line>, TransportError> {
        let mut after = (ask.from - COMPLETES_WITHIN).timestamp_millis() - 1;
        let (mut found, mut seen) = (Vec::new(), std::collections::HashSet::new());
        loop {
            let page = self.page(wallet, after, ask.until.timestamp_millis()).await?;
            let (last, full) = (page.last().map(|one| one.created_at), page.len() == PAGE);
            let mut new = 0;
            for transfer in page.into_iter().filter(|one| seen.insert(one.id.clone())) {
                new += 1;
                found.extend(
                    transfer
                        .line(wallet)?
                        .filter(|line| (ask.from..ask.until).contains(&line.at)),
                );
            }
            match last {
                Some(_) if full && new == 0 => return Err(TransportError::Field("createdAt")),
                Some(last) if full => after = last - 1,
                _ => return Ok(found),
            }
        }
    }
}

#[async_trait]
impl ProviderLines for SandboxCustody {
    async fn lines(&self, ask: &AskLines<'_>) -> Result<Vec<Line>, LinesError> {
        let mut all = Vec::new();
        for wallet in ask.wallets {
            let found = self.of_wallet(wallet, ask).await;
            all.extend(found.map_err(|error| LinesError::Unavailable(Box::new(error)))?);
        }
        Ok(all)
    }
}

impl WireTransfer {
    /// `None` for what was not delivered.
    fn line(self, wallet: &Wallet) -> Result<Option<Line>, TransportError> {
        if self.sub_status.is_some_and(|why| why.starts_with(NOT_DELIVERED)) {
            return Ok(None);
        }
        let amount = TokenAmount::parse(&self.amount_info.amount, wallet.decimals)
            .map_err(|_| TransportError::Field("amountInfo.amount"))?;
        let at: Option<Timestamp> = DateTime::from_timestamp_millis(self.last_updated);
        Ok(Some(Line {
            reference: self
                .external_tx_id
                .filter(|id| !id.is_empty())
                .unwrap_or_else(|| self.id.clone()),
            id: self.id,
            movement: Movement::Delivery,
            moved: Moved {
                unit: Unit::Asset(wallet.asset).to_string(),
                side: Side::Debit,
                amount: amount.base_units(),
            },
            at: at.ok_or(TransportError::Field("lastUpdated"))?,
        }))
    }
}
