//! What `posx` prints, in one form.
#![expect(
    clippy::print_stdout,
    reason = "the one module that writes to a person's terminal"
)]

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde::Serialize;

pub fn line(text: &str) {
    println!("{text}");
}

/// A part of the story.
pub fn heading(text: &str) {
    println!("\n── {text}");
}

/// Something that was verified, or done.
pub fn good(text: &str) {
    println!("  ✓ {text}");
}

/// Something that is not as it should be.
pub fn bad(text: &str) {
    println!("  ✗ {text}");
}

/// What happens now.
pub fn note(text: &str) {
    println!("  · {text}");
}

/// More about the line before.
pub fn detail(text: &str) {
    println!("      {text}");
}

/// Why a command failed, beside its output.
pub fn error(text: &str) {
    eprintln!("posx: {text}");
}

pub fn json<T: Serialize + ?Sized>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => println!("{text}"),
        Err(problem) => error(&format!("the answer is not JSON: {problem}")),
    }
}

pub fn table<const COLUMNS: usize>(header: [&str; COLUMNS], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table.add_rows(rows);
    println!("{table}");
}
