//! The reports' columns.

use chrono::SecondsFormat;
use posx_postgres::{AnomalyRow, CommissionRow, OverviewRow, RankedRow, SalesRow};

use super::streamed::{Cell, Row};

impl Row for OverviewRow {
    const COLUMNS: &'static [&'static str] = &["metric", "value", "unit"];

    fn cells(&self) -> Vec<Cell> {
        [&self.metric, &self.value, &self.unit].map(Cell::plain).into()
    }
}

impl Row for SalesRow {
    const COLUMNS: &'static [&'static str] = &[
        "day",
        "tier_id",
        "tier_name",
        "orders",
        "units",
        "tokens",
        "gross",
        "sales",
        "returned",
        "net",
        "currency",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::plain(&self.day),
            Cell::plain(&self.tier_id),
            Cell::Text(self.tier_name.clone()),
            Cell::plain(&self.orders),
            Cell::plain(&self.units),
            Cell::plain(&self.tokens),
            Cell::money(self.gross),
            Cell::money(self.sales),
            Cell::money(self.returned),
            Cell::money(self.net),
            Cell::plain(&self.net.currency()),
        ]
    }
}

impl Row for RankedRow {
    const COLUMNS: &'static [&'static str] = &[
        "rank", "id", "name", "orders", "units", "sales", "returned", "net", "currency",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::plain(&self.rank),
            Cell::plain(&self.id),
            Cell::Text(self.name.clone().unwrap_or_default()),
            Cell::plain(&self.orders),
            Cell::plain(&self.units),
            Cell::money(self.sales),
            Cell::money(self.returned),
            Cell::money(self.net),
            Cell::plain(&self.net.currency()),
        ]
    }
}

impl Row for CommissionRow {
    const COLUMNS: &'static [&'static str] = &[
        "state",
        "level",
        "commissions",
        "amount",
        "reversed",
        "left",
        "booked",
        "difference",
        "currency",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::plain(&self.state),
            Cell::plain(&self.level),
            Cell::plain(&self.commissions),
            Cell::money(self.amount),
            Cell::money(self.reversed),
            Cell::money(self.left),
            Cell::money(self.booked),
            Cell::money(self.difference),
            Cell::plain(&self.amount.currency()),
        ]
    }
}

impl Row for AnomalyRow {
    const COLUMNS: &'static [&'static str] = &["kind", "id", "since", "detail"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::plain(&self.kind.as_str()),
            Cell::plain(&self.id),
            Cell::plain(&self.since.to_rfc3339_opts(SecondsFormat::Micros, true)),
            Cell::Text(self.detail.clone()),
        ]
    }
}
