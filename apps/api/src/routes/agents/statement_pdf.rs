//! A statement to print. The same statement gives the same bytes. Everything on it is ASCII (codes, ids, amounts), so one of the
//! fonts that every reader has is enough, and a letter's width is known: columns are counted in letters.

use chrono_tz::Tz;
use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};
use posx_commissions::{StatementLine, StatementView};
use posx_kernel::{Money, StoreError};

use super::statement_csv::with_balance;

/// A4 in points.
const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 40.0;
const FONT: Name<'static> = Name(b"F1");
const FONT_SIZE: f32 = 9.0;
const LEADING: f32 = 12.0;
/// Of the page's 842 points, without margins and the two rows of the foot.
const ROWS_PER_PAGE: usize = 60;
/// Courier's letters are 0.6 of the font's size wide: 95 of them are a row.
const EXPLANATION: usize = 43;
const AMOUNT: usize = 16;

pub fn write(site: &str, statement: &StatementView, lines: &[StatementLine]) -> Result<Vec<u8>, StoreError> {
    let zone: Tz = statement
        .time_zone
        .parse()
        .map_err(|_| StoreError::broken("a statement's time zone"))?;
    let mut rows = head(site, statement, zone);
    for (line, balance) in with_balance(statement, lines)? {
        rows.extend(row(line, balance, zone));
    }
    rows.push(String::new());
    rows.push(table_row(
        "",
        "Balance carried forward",
        "",
        &statement.closing.amount(),
    ));
    Ok(document(statement, &rows))
}

fn head(site: &str, statement: &StatementView, zone: Tz) -> Vec<String> {
    let local =
        |at: chrono::DateTime<chrono::Utc>| at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string();
    let currency = statement.closing.currency();
    let sum = |name: &str, amount: Money| format!("{name:<12}{:>AMOUNT$} {currency}", amount.amount());
    vec![
        format!("Statement {} of {}", statement.number, statement.month),
        String::new(),
        format!("Site        {site}"),
        format!("Agent       {} ({})", statement.referral_code, statement.agent),
        format!("Statement   {}", statement.id),
        format!("From        {}", local(statement.from)),
        format!(
            "Up to       {} (not included), {}",
            local(statement.to),
            statement.time_zone
        ),
        String::new(),
        sum("Opening", statement.opening),
        sum("Credits", statement.credits),
        sum("Debits", statement.debits),
        sum("Closing", statement.closing),
        String::new(),
        table_row("Posted at", "Cause", "Amount", "Balance"),
        "-".repeat(16 + 1 + EXPLANATION + 1 + AMOUNT + 1 + AMOUNT),
        table_row("", "Balance brought forward", "", &statement.opening.amount()),
    ]
}

fn table_row(at: &str, text: &str, amount: &str, balance: &str) -> String {
    format!("{at:<16} {text:<EXPLANATION$} {amount:>AMOUNT$} {balance:>AMOUNT$}")
}

/// One row, and another for each part of the explanation that it is too long for.
fn row(line: &StatementLine, balance: Money, zone: Tz) -> Vec<String> {
    let at = line.at.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string();
    let texts = wrapped(&line.says);
    let (amount, balance) = (line.amount.amount(), balance.amount());
    let cells = |at_row: usize| match at_row {
        0 => (at.as_str(), amount.as_str(), balance.as_str()),
        _ => ("", "", ""),
    };
    let row = |(number, text): (usize, &String)| {
        let (at, amount, balance) = cells(number);
        table_row(at, text, amount, balance)
    };
    texts.iter().enumerate().map(row).collect()
}

/// At blanks; a word that is too long is cut.
fn wrapped(text: &str) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split_whitespace() {
        let pieces: Vec<String> = word
            .chars()
            .collect::<Vec<_>>()
            .chunks(EXPLANATION)
            .map(|piece| piece.iter().collect())
            .collect();
        for piece in pieces {
            let fits = rows
                .last()
                .is_some_and(|row| row.is_empty() || row.len() + 1 + piece.len() <= EXPLANATION);
            match rows.last_mut() {
                Some(row) if fits => {
                    if !row.is_empty() {
                        row.push(' ');
                    }
                    row.push_str(&piece);
                }
                _ => rows.push(piece),
            }
        }
    }
    rows
}

fn document(statement: &StatementView, rows: &[String]) -> Vec<u8> {
    let [catalog, tree, font, info] = [1, 2, 3, 4].map(Ref::new);
    let pages: Vec<_> = rows.chunks(ROWS_PER_PAGE).zip((5..).step_by(2)).collect();
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(tree);
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    pdf.pages(tree)
        .kids(pages.iter().map(|(_, id)| Ref::new(*id)))
        .count(count);
    pdf.type1_font(font).base_font(Name(b"Courier"));
    let title = format!(
        "Statement {} of {} {}",
        statement.number, statement.referral_code, statement.month
    );
    pdf.document_info(info).title(TextStr(&title));
    for (number, (rows, id)) in pages.iter().enumerate() {
        let (page_id, content_id) = (Ref::new(*id), Ref::new(*id + 1));
        let mut page = pdf.page(page_id);
        page.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1));
        page.parent(tree).contents(content_id);
        page.resources().fonts().pair(FONT, font);
        page.finish();
        let footer = format!("Page {} of {count}", number + 1);
        pdf.stream(content_id, &content(rows, &footer));
    }
    pdf.finish()
}

fn content(rows: &[String], footer: &str) -> Vec<u8> {
    let mut content = Content::new();
    content
        .begin_text()
        .set_font(FONT, FONT_SIZE)
        .set_leading(LEADING);
    content.next_line(MARGIN, PAGE.1 - MARGIN - FONT_SIZE);
    for row in rows {
        content.show(Str(&ascii(row))).next_line_using_leading();
    }
    content.end_text();
    content
        .begin_text()
        .set_font(FONT, FONT_SIZE)
        .next_line(MARGIN, MARGIN);
    content.show(Str(&ascii(footer))).end_text();
    content.finish().into_vec()
}

/// Nothing else is on a statement; if it were, the reader would show another letter for it.
fn ascii(text: &str) -> Vec<u8> {
    text.chars()
        .map(|letter| u8::try_from(letter).ok().filter(u8::is_ascii).unwrap_or(b'?'))
        .collect()
}

#[cfg(test)]
mod tests {
    use posx_commissions::Month;
    use posx_kernel::{Currency, EntryId, PartyId, StatementId};
    use uuid::Uuid;

    use super::*;

    fn kwd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::from_code("KWD").expect("a currency"))
    }

    fn statement(lines: &[StatementLine], opening: i64) -> StatementView {
        let sum: i64 = lines.iter().map(|line| line.amount.minor()).sum();
        let month: Month = "2026-10".parse().expect("a month");
        let zone = Tz::Asia__Kuwait;
        StatementView {
            id: StatementId::from_uuid(Uuid::from_u128(7)),
            agent: PartyId::from_uuid(Uuid::from_u128(8)),
            referral_code: "NA-7KQ3XA".to_owned(),
            number: 2,
            month,
            time_zone: zone.name().to_owned(),
            from: month.start(zone),
            to: month.end(zone),
            opening: kwd(opening),
            credits: kwd(sum.max(0)),
            debits: kwd(-sum.min(0)),
            closing: kwd(opening + sum),
            lines: u32::try_from(lines.len()).expect("a few"),
            created_at: month.end(zone),
        }
    }

    fn lines(count: u128) -> Vec<StatementLine> {
        let line = |number| StatementLine {
            entry: EntryId::from_uuid(Uuid::from_u128(number)),
            at: "2026-10-03T21:30:00Z".parse().expect("an instant"),
            kind: "commission.accrued".to_owned(),
            amount: kwd(1500),
            order: None,
            says: format!("Share of order NA-2026-{number:06} at level 1, with an explanation that goes on."),
        };
        (1..=count).map(line).collect()
    }

    fn read(bytes: &[u8]) -> (usize, String) {
        let document = lopdf::Document::load_mem(bytes).expect("a PDF");
        let pages: Vec<u32> = document.get_pages().keys().copied().collect();
        (pages.len(), document.extract_text(&pages).expect("its text"))
    }

    #[test]
    fn a_statement_reads_back_from_its_pdf_in_the_time_of_the_site() {
        let lines = lines(1);
        let bytes = write("NA", &statement(&lines, 250), &lines).expect("written");
        let (pages, text) = read(&bytes);
        assert_eq!(pages, 1);
        for part in [
            "Statement 2 of 2026-10",
            "NA-7KQ3XA",
            "2026-10-01 00:00",
            "Asia/Kuwait",
            "2026-10-04 00:30",
            "Share of order NA-2026-000001 at level 1,",
            "with an explanation that goes on.",
            "0.250",
            "1.500",
            "1.750 KWD",
            "Page 1 of 1",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn the_same_statement_is_the_same_bytes_and_a_long_one_has_more_pages() {
        let lines = lines(200);
        let statement = statement(&lines, -1);
        let bytes = write("NA", &statement, &lines).expect("written");
        assert_eq!(bytes, write("NA", &statement, &lines).expect("written"));
        let (pages, text) = read(&bytes);
        assert_eq!(pages, 7);
        assert!(
            text.contains("Page 7 of 7") && text.contains("NA-2026-000200"),
            "{text}"
        );
    }

    #[test]
    fn lines_that_are_not_the_statements_are_not_printed() {
        let lines = lines(2);
        let statement = statement(&lines, 0);
        assert!(write("NA", &statement, &lines[..1]).is_err());
    }

    #[test]
    fn a_word_that_is_too_long_is_cut_and_nothing_is_lost() {
        let long = "x".repeat(100);
        let rows = wrapped(&format!("a {long} b"));
        assert!(rows.iter().all(|row| row.len() <= EXPLANATION), "{rows:?}");
        assert_eq!(rows.concat().matches('x').count(), 100);
    }
}
