//! The table and `target/bench.json`.

use std::path::Path;

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use crate::load::Measured;

/// One measurement beside the limit of the same machine in the same run.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub name: String,
    pub rate_per_s: f64,
    pub limit_per_s: f64,
    pub ratio: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    #[serde(skip)]
    pub failed: u64,
    /// The least ratio that is good enough, where one is set.
    #[serde(skip)]
    pub reach: Option<f64>,
}

impl Row {
    pub fn new(name: impl Into<String>, measured: &Measured, limit_per_s: f64, reach: Option<f64>) -> Self {
        Self {
            name: name.into(),
            rate_per_s: measured.rate_per_s,
            limit_per_s,
            ratio: if limit_per_s > 0.0 {
                measured.rate_per_s / limit_per_s
            } else {
                0.0
            },
            p50_ms: measured.p50_ms,
            p99_ms: measured.p99_ms,
            failed: measured.failed,
            reach,
        }
    }

    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.reach.is_none_or(|reach| self.ratio >= reach)
    }
}

pub fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "what", "rate/s", "limit/s", "ratio", "p50 ms", "p99 ms", "failed", "reach",
    ]);
    for row in rows {
        table.add_row([
            row.name.clone(),
            format!("{:.0}", row.rate_per_s),
            format!("{:.0}", row.limit_per_s),
            format!("{:.2}", row.ratio),
            format!("{:.2}", row.p50_ms),
            format!("{:.2}", row.p99_ms),
            row.failed.to_string(),
            match row.reach {
                Some(reach) => format!("≥ {reach} {}", crate::said(row.is_good())),
                None => String::new(),
            },
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

pub fn write_json(rows: &[Row], path: &Path) -> std::io::Result<()> {
    let json = serde_json::to_string_pretty(rows).map_err(std::io::Error::other)?;
    std::fs::write(path, json)
}
