//! What the product sends to PostgreSQL, read from the server's own log: so that the limit runs the very same statements,
//! in the same transactions, whatever they become.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Begins each message of the log while it is read; `%p` is the backend.
const PREFIX: &str = "@@";

/// Turns the logging of every statement on.
pub fn begin() -> String {
    format!(
        "alter system set log_line_prefix = '{PREFIX}%p ';
         alter system set log_statement = 'all';
         select pg_reload_conf();"
    )
}

/// …and off again.
pub fn end() -> String {
    "alter system reset log_statement;
     alter system reset log_line_prefix;
     select pg_reload_conf();"
        .to_owned()
}

#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("the server's log cannot be read")]
    Log(#[from] std::io::Error),
    #[error("the server's log does not show {0}")]
    Missing(&'static str),
}

/// One statement as it was executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    backend: String,
    pub sql: String,
    /// `$1` and so on; `None` is null.
    pub parameters: Vec<Option<String>>,
}

impl Statement {
    #[cfg(test)]
    pub fn plain(sql: &str) -> Self {
        Self {
            backend: String::new(),
            sql: sql.to_owned(),
            parameters: Vec::new(),
        }
    }

    fn has(&self, parameter: &str) -> bool {
        self.parameters
            .iter()
            .any(|value| value.as_deref() == Some(parameter))
    }
}

/// Where the log ends now.
pub fn position(log: &Path) -> Result<u64, CaptureError> {
    Ok(std::fs::metadata(log)?.len())
}

/// Every statement that was executed since `position`, in the order of the log.
pub fn since(log: &Path, position: u64) -> Result<Vec<Statement>, CaptureError> {
    let mut file = std::fs::File::open(log)?;
    file.seek(SeekFrom::Start(position))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// The single statement that takes a webhook in.
pub fn intake(statements: &[Statement]) -> Result<&Statement, CaptureError> {
    statements
        .iter()
        .find(|statement| statement.sql.contains("app.store_webhook("))
        .ok_or(CaptureError::Missing("a webhook taken in"))
}

/// The whole transaction in which an order became paid, from its `begin` to its `commit`.
pub fn paying(statements: &[Statement]) -> Result<Vec<Statement>, CaptureError> {
    let missing = CaptureError::Missing("an order's payment");
    let Some(paid) = statements
        .iter()
        .position(|statement| statement.has("order.paid"))
    else {
        return Err(missing);
    };
    let backend = &statements[paid].backend;
    let own = |(at, statement): (usize, &Statement)| (statement.backend == *backend).then_some(at);
    let before = statements[..paid].iter().enumerate();
    let from = before
        .filter_map(own)
        .rfind(|at| statements[*at].sql.starts_with("BEGIN"));
    let after = statements.iter().enumerate().skip(paid);
    let to = after
        .filter_map(own)
        .find(|at| statements[*at].sql.starts_with("COMMIT"));
    match (from, to) {
        (Some(from), Some(to)) => Ok(statements[from..=to]
            .iter()
            .filter(|statement| statement.backend == *backend)
            .cloned()
            .collect()),
        _ => Err(missing),
    }
}

fn parse(log: &str) -> Vec<Statement> {
    let mut statements: Vec<Statement> = Vec::new();
    // A message goes on over lines that begin with a tab.
    for message in log.replace("\n\t", "\n").split(&format!("\n{PREFIX}")) {
        let Some((backend, message)) = message.trim_start_matches(PREFIX).split_once(' ') else {
            continue;
        };
        if let Some(rest) = message.strip_prefix("LOG:  ") {
            let sql = match (rest.strip_prefix("statement: "), rest.strip_prefix("execute ")) {
                (Some(sql), _) => Some(sql),
                (None, Some(named)) => named.split_once(": ").map(|(_, sql)| sql),
                (None, None) => None,
            };
            if let Some(sql) = sql {
                statements.push(Statement {
                    backend: backend.to_owned(),
                    sql: sql.trim().to_owned(),
                    parameters: Vec::new(),
                });
            }
        } else if let Some(detail) = message.strip_prefix("DETAIL:  ")
            && let Some((_, shown)) = detail.split_once("arameters: ")
            && let Some(last) = statements
                .iter_mut()
                .rev()
                .find(|statement| statement.backend == backend)
        {
            last.parameters = parameters(shown);
        }
    }
    statements
}

/// `$1 = 'it''s', $2 = NULL`
fn parameters(shown: &str) -> Vec<Option<String>> {
    let mut values = Vec::new();
    let mut rest = shown;
    while let Some((_, value)) = rest.split_once(" = ") {
        let Some(quoted) = value.strip_prefix('\'') else {
            values.push(None);
            rest = value.split_once(", ").map_or("", |(_, rest)| rest);
            continue;
        };
        let mut text = String::new();
        let mut left = quoted;
        while let Some((piece, more)) = left.split_once('\'') {
            text.push_str(piece);
            left = more;
            match more.strip_prefix('\'') {
                Some(more) => {
                    text.push('\'');
                    left = more;
                }
                None => break,
            }
        }
        values.push(Some(text));
        rest = left;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "@@7 LOG:  statement: BEGIN; SET LOCAL app.current_site_id = 'x'
@@9 LOG:  execute sqlx_s_1: select app.store_webhook($1)
@@9 DETAIL:  parameters: $1 = 'w'
@@7 LOG:  execute sqlx_s_2: insert into events
\tvalues ($1, $2)
@@7 DETAIL:  Parameters: $1 = 'order.paid', $2 = NULL
@@9 LOG:  statement: BEGIN; SET LOCAL app.current_site_id = 'y'
@@7 LOG:  statement: COMMIT
@@7 LOG:  statement: BEGIN; SET LOCAL app.current_site_id = 'x'
";

    #[test]
    fn a_payment_is_its_own_backends_transaction() {
        let statements = parse(LOG);
        let paying = paying(&statements).unwrap();
        let sql: Vec<_> = paying.iter().map(|statement| statement.sql.as_str()).collect();
        assert_eq!(
            sql,
            [
                "BEGIN; SET LOCAL app.current_site_id = 'x'",
                "insert into events\nvalues ($1, $2)",
                "COMMIT"
            ]
        );
        assert_eq!(paying[1].parameters, [Some("order.paid".to_owned()), None]);
        assert_eq!(intake(&statements).unwrap().parameters, [Some("w".to_owned())]);
    }

    #[test]
    fn quotes_and_commas_stay_within_their_value() {
        assert_eq!(
            parameters("$1 = 'it''s, $2 = ''x''', $2 = NULL, $3 = ''"),
            [Some("it's, $2 = 'x'".to_owned()), None, Some(String::new())]
        );
    }
}
