//! Captured statements as a pgbench script: what was of one order becomes what is of the order `:n`.

use std::collections::HashMap;

use crate::capture::Statement;
use crate::script::with_values;

/// Hexadecimal digits of a UUID's groups.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
/// Ids that the product made itself, by the order's number, so that they too grow at one end of their index.
const MADE_PREFIX: &str = "018f0000-0000-7000-b";

/// What the values of a captured order are, as expressions of pgbench's `:n`.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Texts as they are, UUIDs with dashes and in lower case.
    known: Vec<(String, String)>,
    constants: Vec<String>,
    made: HashMap<String, usize>,
}

impl Sample {
    /// `constants` are the UUIDs that are the same for every order.
    pub fn new(constants: &[&str]) -> Self {
        Self {
            constants: constants.iter().map(|id| (*id).to_owned()).collect(),
            ..Self::default()
        }
    }

    /// `expression` gives a text in SQL.
    #[must_use]
    pub fn with(mut self, text: &str, expression: String) -> Self {
        self.known.push((text.to_owned(), expression));
        self
    }

    pub fn script(&mut self, statements: &[Statement]) -> String {
        let mut commands = Vec::new();
        for statement in statements {
            if statement.parameters.is_empty() {
                // More than one command in a message is for the simple protocol only.
                commands.extend(statement.sql.split("; ").map(str::to_owned));
            } else {
                let values: Vec<String> = statement
                    .parameters
                    .iter()
                    .map(|value| self.expression(value.as_deref()))
                    .collect();
                commands.push(with_values(&statement.sql, &values));
            }
        }
        commands.into_iter().map(|command| command + ";\n").collect()
    }

    fn expression(&mut self, value: Option<&str>) -> String {
        let Some(value) = value else {
            return "null".to_owned();
        };
        let mut parts = Vec::new();
        let (mut literal, mut at) = (0, 0);
        while at < value.len() {
            // In the middle of a run of digits begins no id: it is a hash, or bytes.
            let within = at > 0 && value.as_bytes()[at - 1].is_ascii_hexdigit();
            match if within { None } else { self.at(&value[at..]) } {
                Some((length, expression)) => {
                    if literal < at {
                        parts.push(quoted(&value[literal..at]));
                    }
                    parts.push(expression);
                    at += length;
                    literal = at;
                }
                None => at += value[at..].chars().next().map_or(1, char::len_utf8),
            }
        }
        if parts.is_empty() {
            return quoted(value);
        }
        if literal < value.len() {
            parts.push(quoted(&value[literal..]));
        }
        let text = format!("({})", parts.join(" || "));
        // A bare literal takes the type that is wanted; what is computed must say it.
        if uuid(value).is_some_and(|(length, _)| length == value.len()) {
            format!("{text}::uuid")
        } else if value.starts_with("{\"") {
            format!("{text}::jsonb")
        } else {
            text
        }
    }

    /// What `text` begins with, if that changes from order to order: its length and the expression.
    fn at(&mut self, text: &str) -> Option<(usize, String)> {
        if let Some((known, expression)) = self
            .known
            .iter()
            .find(|(known, _)| text.starts_with(known.as_str()))
        {
            return Some((known.len(), expression.clone()));
        }
        let (length, id) = uuid(text)?;
        if self.constants.contains(&id) {
            return Some((length, quoted(&text[..length])));
        }
        let dashed = if let Some((_, expression)) = self.known.iter().find(|(known, _)| *known == id) {
            expression.clone()
        } else {
            let next = self.made.len();
            made(*self.made.entry(id).or_insert(next))
        };
        Some(if length == 32 {
            (length, format!("replace({dashed}, '-', '')"))
        } else {
            (length, dashed)
        })
    }
}

fn made(number: usize) -> String {
    numbered(&format!("{MADE_PREFIX}{number:03x}-"), "n")
}

/// The text of an id that ends in the number of a variable.
pub fn numbered(prefix: &str, variable: &str) -> String {
    format!("('{prefix}' || lpad((:{variable})::text, 12, '0'))")
}

/// A literal in which no colon begins one of pgbench's variables.
fn quoted(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('\'', "''")
        .replace(':', "\\x3a");
    if text.contains('\\') {
        format!("E'{text}'")
    } else {
        format!("'{text}'")
    }
}

/// The UUID that `text` begins with, with or without its dashes: its length there, and the UUID with dashes.
fn uuid(text: &str) -> Option<(usize, String)> {
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if let Some(text) = text.get(..36) {
        let groups: Vec<&str> = text.split('-').collect();
        if groups.iter().map(|group| group.len()).eq(GROUPS) && groups.iter().all(|group| is_hex(group)) {
            return Some((36, text.to_owned()));
        }
    }
    let plain = text.get(..32).filter(|plain| is_hex(plain))?;
    // A longer run of digits is a hash or bytes.
    if text[32..].starts_with(|next: char| next.is_ascii_hexdigit()) {
        return None;
    }
    let mut dashed = String::with_capacity(36);
    let mut rest = plain;
    for (at, group) in GROUPS.into_iter().enumerate() {
        let (head, tail) = rest.split_at(group);
        if at > 0 {
            dashed.push('-');
        }
        dashed.push_str(head);
        rest = tail;
    }
    Some((32, dashed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = "018f0000-0000-7000-a002-000000000001";
    const SITE: &str = "018f0000-0000-7000-8000-0000000000aa";
    const ENTRY: &str = "01900000-0000-7000-8000-0123456789ab";

    fn sample() -> Sample {
        Sample::new(&[SITE])
            .with(ORDER, "ord".to_owned())
            .with("pi_1", "intent".to_owned())
    }

    #[test]
    fn what_is_of_the_order_changes_and_the_rest_stays() {
        let mut sample = sample();
        assert_eq!(sample.expression(None), "null");
        assert_eq!(sample.expression(Some(ORDER)), "(ord)::uuid");
        assert_eq!(sample.expression(Some(SITE)), format!("('{SITE}')::uuid"));
        assert_eq!(sample.expression(Some("pi_1")), "(intent)");
        assert_eq!(sample.expression(Some("12:30")), "E'12\\x3a30'");
        assert_eq!(
            sample.expression(Some(r#"{"order": "ord_018f000000007000a002000000000001"}"#)),
            r#"(E'{"order"\x3a "ord_' || replace(ord, '-', '') || '"}')::jsonb"#
        );
    }

    #[test]
    fn an_id_that_was_made_is_the_same_wherever_it_stands() {
        let mut sample = sample();
        let (alone, listed) = (
            sample.expression(Some(ENTRY)),
            sample.expression(Some(&format!("{{{ENTRY},{ENTRY}}}"))),
        );
        let made = made(0);
        assert_eq!(alone, format!("({made})::uuid"));
        assert_eq!(listed, format!("('{{' || {made} || ',' || {made} || '}}')"));
    }

    #[test]
    fn bytes_hold_no_ids() {
        let bytes = format!("\\x{}", "20".repeat(40));
        assert_eq!(sample().expression(Some(&bytes)), format!("E'\\{bytes}'"));
    }

    #[test]
    fn the_commands_of_one_message_are_apart() {
        let begin = Statement::plain("BEGIN; SET LOCAL app.current_site_id = 'x'");
        assert_eq!(
            sample().script(&[begin]),
            "BEGIN;\nSET LOCAL app.current_site_id = 'x';\n"
        );
    }
}
