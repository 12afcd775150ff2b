//! Rows as they come from the database, as JSON or CSV.

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures::{Stream, StreamExt as _, stream};
use posx_kernel::{Money, StoreError};
use serde::{Deserialize, Serialize};

use crate::problem::ApiError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Json,
    Csv,
}

/// A report as JSON.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Rows<T> {
    pub items: Vec<T>,
}

/// A row that a spreadsheet can show as well.
pub trait Row: Serialize + 'static {
    const COLUMNS: &'static [&'static str];
    fn cells(&self) -> Vec<Cell>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Of ours: a number, a date, an id, a stable word.
    Plain(String),
    /// Somebody has typed it.
    Text(String),
}

impl Cell {
    pub fn plain(value: &impl ToString) -> Self {
        Self::Plain(value.to_string())
    }

    /// Without its currency, which has a column of its own.
    pub fn money(money: Money) -> Self {
        Self::Plain(money.amount())
    }

    /// A spreadsheet takes a text that begins like this for a formula, and would run it.
    fn written(self) -> String {
        match self {
            Self::Text(text)
                if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) =>
            {
                format!("'{text}")
            }
            Self::Plain(text) | Self::Text(text) => text,
        }
    }
}

impl Format {
    /// `wanted` wins over the Accept header; of what is no CSV, JSON is made.
    pub fn of(request: &HttpRequest, wanted: Option<Self>) -> Self {
        let accept = request.headers().get(actix_web::http::header::ACCEPT);
        let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
        match wanted {
            Some(format) => format,
            None if accept.trim_start().to_ascii_lowercase().starts_with("text/csv") => Self::Csv,
            None => Self::Json,
        }
    }
}

/// The first step is made before the answer begins, so that its failure is one that the client sees.
pub async fn streamed<R: Row>(
    format: Format,
    name: &'static str,
    steps: impl Stream<Item = Result<Vec<R>, StoreError>> + 'static,
) -> Result<HttpResponse, ApiError> {
    let mut steps = Box::pin(steps);
    let first = steps.next().await.transpose()?.unwrap_or_default();
    let steps = stream::iter([Ok(first)]).chain(steps);
    let mut answer = HttpResponse::Ok();
    answer.insert_header(("vary", "accept"));
    Ok(match format {
        Format::Json => answer.content_type("application/json").streaming(as_json(steps)),
        Format::Csv => {
            let file = format!("attachment; filename=\"{name}.csv\"");
            answer
                .content_type("text/csv; charset=utf-8")
                .insert_header(("content-disposition", file))
                .streaming(as_csv(steps))
        }
    })
}

fn as_json<R: Row>(
    steps: impl Stream<Item = Result<Vec<R>, StoreError>>,
) -> impl Stream<Item = Result<Bytes, StoreError>> {
    let mut begun = false;
    let rows = steps.map(move |step| {
        let mut text = String::new();
        for row in step? {
            if std::mem::replace(&mut begun, true) {
                text.push(',');
            }
            text.push_str(&serde_json::to_string(&row).map_err(unwritable)?);
        }
        Ok(text.into())
    });
    let part = |text: &'static str| stream::iter([Ok(Bytes::from_static(text.as_bytes()))]);
    part("{\"items\":[").chain(rows).chain(part("]}"))
}

fn as_csv<R: Row>(
    steps: impl Stream<Item = Result<Vec<R>, StoreError>>,
) -> impl Stream<Item = Result<Bytes, StoreError>> {
    let head = stream::iter([written([R::COLUMNS
        .iter()
        .map(|name| (*name).to_owned())
        .collect()])]);
    let rows = steps.map(|step| {
        let line = |row: R| row.cells().into_iter().map(Cell::written).collect::<Vec<_>>();
        written(step?.into_iter().map(line))
    });
    head.chain(rows)
}

fn written(lines: impl IntoIterator<Item = Vec<String>>) -> Result<Bytes, StoreError> {
    let mut csv = csv::WriterBuilder::new().flexible(false).from_writer(Vec::new());
    for line in lines {
        csv.write_record(line).map_err(unwritable)?;
    }
    Ok(csv
        .into_inner()
        .map_err(|error| unwritable(error.into_error()))?
        .into())
}

fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::new(posx_kernel::StoreFault::Broken, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize)]
    struct Line(&'static str, i64);

    impl Row for Line {
        const COLUMNS: &'static [&'static str] = &["text", "number"];
        fn cells(&self) -> Vec<Cell> {
            vec![Cell::Text(self.0.to_owned()), Cell::plain(&self.1)]
        }
    }

    async fn text(parts: impl Stream<Item = Result<Bytes, StoreError>>) -> String {
        let parts: Vec<_> = Box::pin(parts).collect().await;
        let bytes = parts.into_iter().flat_map(|part| part.expect("bytes"));
        String::from_utf8(bytes.collect()).expect("text")
    }

    fn steps() -> impl Stream<Item = Result<Vec<Line>, StoreError>> {
        stream::iter([
            Ok(vec![Line("=HYPERLINK(\"x\")", -1), Line("a,b", 2)]),
            Ok(Vec::new()),
            Ok(vec![Line("+1", 3), Line("two\nlines", 4)]),
        ])
    }

    #[actix_web::test]
    async fn a_cell_that_a_spreadsheet_would_run_is_text_and_a_number_stays_one() {
        assert_eq!(
            text(as_csv(steps())).await,
            "text,number\n\"'=HYPERLINK(\"\"x\"\")\",-1\n\"a,b\",2\n'+1,3\n\"two\nlines\",4\n"
        );
    }

    #[actix_web::test]
    async fn steps_of_any_length_are_one_list() {
        let none: [Result<Vec<Line>, StoreError>; 1] = [Ok(Vec::new())];
        assert_eq!(text(as_json(stream::iter(none))).await, r#"{"items":[]}"#);
        let all: serde_json::Value = serde_json::from_str(&text(as_json(steps())).await).expect("JSON");
        assert_eq!(all["items"].as_array().map(Vec::len), Some(4));
    }
}
