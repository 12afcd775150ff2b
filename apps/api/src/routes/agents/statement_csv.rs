//! A statement as a spreadsheet reads it.

use posx_commissions::{StatementLine, StatementView};
use posx_kernel::{Money, StoreError};

/// One row for the opening, one for each line, one for the closing.
pub fn write(statement: &StatementView, lines: &[StatementLine]) -> Result<Vec<u8>, StoreError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let broken = |_| StoreError::broken("a statement that cannot be written");
    let row = |csv: &mut csv::Writer<Vec<u8>>, cells: [&str; 7]| csv.write_record(cells).map_err(broken);
    row(
        &mut csv,
        [
            "at",
            "kind",
            "order",
            "explanation",
            "amount",
            "balance",
            "currency",
        ],
    )?;
    let currency = statement.closing.currency().code();
    let (from, to) = (statement.from.to_rfc3339(), statement.to.to_rfc3339());
    let opening = statement.opening.amount();
    row(
        &mut csv,
        [
            &from,
            "opening",
            "",
            "Balance brought forward.",
            "",
            &opening,
            currency,
        ],
    )?;
    for (line, balance) in with_balance(statement, lines)? {
        let order = line.order.map_or_else(String::new, |order| order.to_string());
        let cells = [line.at.to_rfc3339(), line.amount.amount(), balance.amount()];
        row(
            &mut csv,
            [
                &cells[0], &line.kind, &order, &line.says, &cells[1], &cells[2], currency,
            ],
        )?;
    }
    let closing = statement.closing.amount();
    row(
        &mut csv,
        [
            &to,
            "closing",
            "",
            "Balance carried forward.",
            "",
            &closing,
            currency,
        ],
    )?;
    csv.into_inner()
        .map_err(|_| StoreError::broken("a statement that cannot be written"))
}

/// Each line with the balance after it. The last one is the closing, or the statement is not what was posted.
pub fn with_balance<'a>(
    statement: &StatementView,
    lines: &'a [StatementLine],
) -> Result<Vec<(&'a StatementLine, Money)>, StoreError> {
    let differs = || StoreError::broken("a statement whose lines are not its sums");
    let mut balance = statement.opening;
    let mut rows = Vec::with_capacity(lines.len());
    for line in lines {
        balance = balance.checked_add(line.amount).map_err(|_| differs())?;
        rows.push((line, balance));
    }
    if balance == statement.closing && rows.len() == statement.lines as usize {
        Ok(rows)
    } else {
        Err(differs())
    }
}
