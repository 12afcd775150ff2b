//! What a model may ask while it answers: a closed list of queries, each in the asker's site.
//!
//! No tool writes, and none could: what answers them is a port that only reads. The storefront's tools hold a port of their own,
//! which knows what a site shows to everyone and nothing else.

mod public;
mod staff;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use public::PublicTools;
pub use public::{PublicQuery, PublicReads};
pub(crate) use staff::StaffTools;
pub use staff::{ReadError, Rights, StaffQuery, StaffReads};

use crate::{ToolCall, ToolSpec};

/// Rows that one query tells.
pub const ROWS_MAX: u16 = 20;
/// Of what one query tells, as JSON.
const TOLD_BYTES_MAX: usize = 12_000;
/// Of the first row, which is told alone if need be. The rest is for its names.
const ROW_BYTES_MAX: usize = TOLD_BYTES_MAX - 500;
/// Of one text of a row: somebody typed it, perhaps to be read here.
const TEXT_CHARS_MAX: usize = 300;
/// Of the arguments of a query.
const ARGUMENTS_BYTES_MAX: usize = 2_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CitationKind {
    Order,
    Tier,
    Commission,
    Allocation,
    Payout,
    /// Of the books.
    Account,
    /// Figures of a period.
    Report,
    Site,
}

/// Something that an answer stands on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Citation {
    pub kind: CitationKind,
    /// The object's id, an account's code, or a report's name and period.
    pub id: String,
}

impl Citation {
    pub fn new(kind: CitationKind, id: &(impl ToString + ?Sized)) -> Self {
        Self {
            kind,
            id: id.to_string(),
        }
    }
}

/// One thing that a query found.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub citation: Citation,
    pub fields: Value,
}

impl Row {
    /// A view as the routes show it.
    pub fn of(citation: Citation, view: &impl Serialize) -> Self {
        Self {
            citation,
            fields: serde_json::to_value(view).unwrap_or_default(),
        }
    }
}

/// What a query found: at most [`ROWS_MAX`] rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    pub rows: Vec<Row>,
    /// There are more.
    pub more: bool,
}

/// Why a query was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToolRefusal {
    /// No such tool here: a model that asks for it was told to by somebody.
    Unknown,
    /// The asker may not see what it reads.
    Forbidden,
    Arguments,
    Unavailable,
}

impl ToolRefusal {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_tool",
            Self::Forbidden => "not_allowed",
            Self::Arguments => "arguments_invalid",
            Self::Unavailable => "not_available_now",
        }
    }
}

/// What the model is told, and what it may cite from now on.
#[derive(Debug)]
pub(crate) struct Told {
    pub content: String,
    pub citations: Vec<Citation>,
    pub refusal: Option<ToolRefusal>,
}

impl Told {
    pub fn refused(refusal: ToolRefusal) -> Self {
        Self {
            content: json!({ "error": refusal.as_str() }).to_string(),
            citations: Vec::new(),
            refusal: Some(refusal),
        }
    }

    /// As many of the rows as fit, one at least; only those can be cited.
    fn of(found: Rows) -> Self {
        let mut more = found.more || found.rows.len() > usize::from(ROWS_MAX);
        let (mut told, mut citations, mut bytes) = (Vec::new(), Vec::new(), 0);
        for row in found.rows.into_iter().take(ROWS_MAX.into()) {
            let mut fields = row.fields;
            shorten(&mut fields);
            let left_out = if told.is_empty() { thin_out(&mut fields) } else { 0 };
            let mut text = json!({ "cite": row.citation.id, "row": fields });
            if left_out > 0 {
                text["left_out"] = left_out.into();
            }
            bytes += text.to_string().len();
            if bytes > TOLD_BYTES_MAX {
                more = true;
                break;
            }
            told.push(text);
            citations.push(row.citation);
        }
        Self {
            content: json!({ "rows": told, "more": more }).to_string(),
            citations,
            refusal: None,
        }
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((at, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
                text.truncate(at);
                text.push('…');
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

/// Drops entries of the row's longest lists until it fits, and says how many. What is newest is kept: it stands last.
fn thin_out(row: &mut Value) -> usize {
    let mut left_out = 0;
    while row.to_string().len() > ROW_BYTES_MAX {
        let mut lists = Vec::new();
        find_lists(row, &mut lists);
        let longest = lists
            .into_iter()
            .max_by_key(|list| Value::from(list.as_slice()).to_string().len());
        let Some(list) = longest else { break };
        let count = list.len().div_ceil(2);
        list.drain(..count);
        left_out += count;
    }
    left_out
}

fn find_lists<'a>(value: &'a mut Value, lists: &mut Vec<&'a mut Vec<Value>>) {
    match value {
        Value::Array(items) if !items.is_empty() => lists.push(items),
        Value::Object(fields) => fields.values_mut().for_each(|field| find_lists(field, lists)),
        _ => {}
    }
}

/// Strictly: an object with the fields that are known and no others. None at all is an empty one.
fn arguments<T: serde::de::DeserializeOwned>(call: &ToolCall) -> Result<T, ToolRefusal> {
    let text = call.arguments.trim();
    if text.len() > ARGUMENTS_BYTES_MAX {
        return Err(ToolRefusal::Arguments);
    }
    let text = if text.is_empty() { "{}" } else { text };
    if !text.starts_with('{') {
        return Err(ToolRefusal::Arguments);
    }
    serde_json::from_str(text).map_err(|_| ToolRefusal::Arguments)
}

fn spec(name: &'static str, description: &'static str, properties: &Value) -> ToolSpec {
    ToolSpec {
        name,
        description,
        parameters: json!({ "type": "object", "properties": properties, "additionalProperties": false }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, fields: Value) -> Row {
        let citation = Citation::new(CitationKind::Order, id);
        Row { citation, fields }
    }

    fn told(rows: Vec<Row>) -> (Value, usize) {
        let told = Told::of(Rows { rows, more: false });
        assert!(
            told.content.len() <= TOLD_BYTES_MAX + 100,
            "{}",
            told.content.len()
        );
        (serde_json::from_str(&told.content).unwrap(), told.citations.len())
    }

    #[test]
    fn a_row_with_a_long_history_is_told_with_the_newest_of_it() {
        let entry = |at: u32| json!({ "at": at, "kind": "order.paid", "by": "x".repeat(100) });
        let history: Vec<_> = (0..1_000).map(entry).collect();
        let order = json!({ "number": "NA-1", "total": "10.00", "lines": ["one"], "history": history });
        let (said, citations) = told(vec![row("ord_1", order)]);
        let row = &said["rows"][0];
        let kept = row["row"]["history"].as_array().unwrap();
        assert_eq!((kept.last(), citations), (Some(&entry(999)), 1));
        assert_eq!(row["left_out"], 1_000 - kept.len());
        assert!(kept.len() > 30, "{}", kept.len());
        assert_eq!(
            (&row["row"]["number"], &row["row"]["lines"]),
            (&json!("NA-1"), &json!(["one"]))
        );
        assert_eq!(said["more"], false);
    }

    #[test]
    fn rows_that_fit_are_told_whole_and_those_that_do_not_are_said_to_be_more() {
        let short = || row("ord_1", json!({ "history": [1, 2, 3] }));
        let (said, _) = told(vec![short()]);
        assert_eq!(
            said,
            json!({ "rows": [{ "cite": "ord_1", "row": { "history": [1, 2, 3] } }], "more": false })
        );
        let long = row("ord_2", json!({ "history": vec!["x".repeat(200); 100] }));
        let (said, citations) = told(vec![short(), long]);
        assert_eq!((&said["more"], citations), (&json!(true), 1));
        // There is nothing that could be left out.
        let names: serde_json::Map<_, _> = (0..100)
            .map(|at| (at.to_string(), json!("x".repeat(200))))
            .collect();
        let (said, citations) = told(vec![row("ord_3", names.into())]);
        assert_eq!((said, citations), (json!({ "rows": [], "more": true }), 0));
    }
}
