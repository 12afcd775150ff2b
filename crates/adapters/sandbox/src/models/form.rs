//! Reads forms, where a model would read papers: a line `name: value` is a field, and a line that begins with `- ` is one of several
//! things, its fields between semicolons.

use serde_json::{Map, Value, json};

const CONFIDENCE: u8 = 95;

/// A text in pages, each begun by `[page 1]`.
#[derive(Debug, Default)]
pub(super) struct Form<'a> {
    lines: Vec<Line<'a>>,
}

#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    page: u32,
    text: &'a str,
}

impl<'a> Form<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let mut page = 1;
        let mut lines = Vec::new();
        for text in text.lines().map(str::trim) {
            let number = text
                .strip_prefix("[page ")
                .and_then(|rest| rest.strip_suffix(']'));
            match number.and_then(|number| number.parse().ok()) {
                Some(number) => page = number,
                None => lines.push(Line { page, text }),
            }
        }
        Self { lines }
    }

    /// Null: the form does not say.
    pub(super) fn field(&self, name: &str) -> Value {
        let mut lines = self.lines.iter().filter(|line| !is_one_of_several(line.text));
        lines
            .find_map(|line| said(line.text, name, line.page))
            .unwrap_or_default()
    }

    /// One for each line that says any of these.
    pub(super) fn rows(&self, names: &[&String]) -> Vec<Value> {
        let row = |line: &Line<'_>| {
            let read = |name: &String| {
                let mut pieces = line.text.trim_start_matches("- ").split(';');
                pieces.find_map(|piece| said(piece.trim(), name, line.page))
            };
            let fields: Map<_, _> = names
                .iter()
                .map(|name| ((*name).clone(), read(name).unwrap_or_default()))
                .collect();
            let says_any = fields.values().any(|field| !field.is_null());
            says_any.then_some(Value::Object(fields))
        };
        let several = self.lines.iter().filter(|line| is_one_of_several(line.text));
        several.filter_map(row).collect()
    }
}

/// What is asked for with where it stands: a value, how sure, a page and a quote.
pub(super) fn is_evidence(schema: &Value) -> bool {
    let first = &schema["anyOf"][0]["properties"];
    ["value", "confidence", "page", "quote"]
        .iter()
        .all(|name| first.get(name).is_some())
}

fn is_one_of_several(line: &str) -> bool {
    line.starts_with("- ")
}

fn said(text: &str, name: &str, page: u32) -> Option<Value> {
    let (label, value) = text.split_once(':')?;
    let label = label.trim().to_lowercase().replace(' ', "_");
    let value = value.trim();
    (label == name && !value.is_empty())
        .then(|| json!({ "value": value, "confidence": CONFIDENCE, "page": page, "quote": text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_with_where_each_field_stands() {
        let form = Form::of(
            "[page 1]\nCustomer name: Lark Trading\n- description: Seed; quantity: 2\n- nothing of that\n[page 2]\nTotal: 20.00\nTax:",
        );
        let field = |value: &str, page: u32, quote: &str| json!({ "value": value, "confidence": 95, "page": page, "quote": quote });
        assert_eq!(
            form.field("customer_name"),
            field("Lark Trading", 1, "Customer name: Lark Trading")
        );
        assert_eq!(form.field("total"), field("20.00", 2, "Total: 20.00"));
        for absent in ["tax", "quantity", "discount"] {
            assert_eq!(form.field(absent), Value::Null, "{absent}");
        }
        let names = ["description", "quantity", "amount"].map(str::to_owned);
        assert_eq!(
            form.rows(&names.each_ref()),
            [
                json!({ "description": field("Seed", 1, "description: Seed"), "quantity": field("2", 1, "quantity: 2"), "amount": null })
            ]
        );
    }
}
