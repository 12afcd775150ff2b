//! What `posx` prints, in one form. A reader that went away is no error.

use std::io::{IsTerminal as _, Write as _};

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";

pub fn line(text: &str) {
    // Nobody is left to be told.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// A part of the story.
pub fn heading(text: &str) {
    line(&format!("\n{}", paint(BOLD, &format!("── {text}"))));
}

/// Something that was verified, or done.
pub fn good(text: &str) {
    line(&format!("  {} {text}", paint(GREEN, "✓")));
}

/// Something that is not as it should be.
pub fn bad(text: &str) {
    line(&format!("  {} {text}", paint(RED, "✗")));
}

/// What happens now.
pub fn note(text: &str) {
    line(&format!("  · {text}"));
}

/// More about the line before.
pub fn detail(text: &str) {
    line(&paint(DIM, &format!("      {text}")));
}

/// Why a command failed, beside its output.
pub fn error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "posx: {text}");
}

pub fn json<T: Serialize + ?Sized>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(&text),
        Err(problem) => error(&format!("the answer is not JSON: {problem}")),
    }
}

/// As wide as the terminal; as wide as its content elsewhere.
pub fn table<const COLUMNS: usize>(header: [&str; COLUMNS], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table.add_rows(rows);
    line(&table.to_string());
}

fn paint(code: &str, text: &str) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}
