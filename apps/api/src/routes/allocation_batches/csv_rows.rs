//! A batch's report as a spreadsheet reads it: one row for each line, each with what it belongs to.

use posx_allocations::{ApprovalView, BatchReport, BatchReportLine, BatchView};
use serde::Serialize;

use crate::routes::reports::streamed::{Cell, Row};

#[derive(Debug, Serialize)]
pub struct LineRow {
    batch: BatchView,
    line: BatchReportLine,
}

pub fn rows_of(report: &BatchReport) -> Vec<LineRow> {
    let row = |line: &BatchReportLine| LineRow {
        batch: report.batch.clone(),
        line: line.clone(),
    };
    report.lines.iter().map(row).collect()
}

impl Row for LineRow {
    const COLUMNS: &'static [&'static str] = &[
        "batch",
        "batch_state",
        "hash",
        "made_by",
        "approved_by",
        "approved_at",
        "also_approved_by",
        "also_approved_at",
        "allocation",
        "order",
        "chain",
        "symbol",
        "decimals",
        "asset",
        "vault",
        "amount",
        "address",
        "bound_wallet",
        "left_out",
        "state",
        "external_id",
        "provider_id",
        "tx_hash",
        "confirmations",
        "reason",
        "needs_person",
        "updated_at",
    ];

    fn cells(&self) -> Vec<Cell> {
        let Self { batch, line } = self;
        let plain = |text: Option<String>| Cell::Plain(text.unwrap_or_default());
        // Words of staff, of buyers and of the custodian.
        let text = |text: Option<&String>| Cell::Text(text.cloned().unwrap_or_default());
        let approval = |number: usize| batch.approvals.get(number);
        let by = |one: Option<&ApprovalView>| plain(one.map(|one| one.by.to_string()));
        let at = |one: Option<&ApprovalView>| plain(one.map(|one| one.at.to_rfc3339()));
        vec![
            Cell::plain(&batch.id),
            Cell::Plain(batch.state.as_str().to_owned()),
            Cell::plain(&batch.hash),
            Cell::plain(&batch.created_by),
            by(approval(0)),
            at(approval(0)),
            by(approval(1)),
            at(approval(1)),
            Cell::plain(&line.allocation),
            Cell::plain(&line.order),
            Cell::plain(&line.chain),
            text(Some(&line.symbol)),
            Cell::plain(&line.decimals),
            text(Some(&line.asset)),
            text(Some(&line.vault)),
            Cell::plain(&line.amount),
            text(Some(&line.address)),
            text(line.bound_wallet.as_ref()),
            plain(line.left_out.map(|why| why.as_str().to_owned())),
            Cell::Plain(line.state.as_str().to_owned()),
            plain(line.external_id.clone()),
            text(line.provider_id.as_ref()),
            text(line.tx_hash.as_ref()),
            Cell::plain(&line.confirmations),
            text(line.reason.as_ref()),
            Cell::plain(&line.needs_person),
            Cell::Plain(line.updated_at.to_rfc3339()),
        ]
    }
}
