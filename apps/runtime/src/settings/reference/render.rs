//! The reference as documents.

use std::fmt::Write as _;

use super::{Fallback, Setting, Takes, meaning_of_section, settings};

/// The prose of `docs/configuration.md`.
const TEMPLATE: &str = include_str!("configuration.md");
const PLACE: &str = "{{settings}}\n";

const ENV_HEAD: &str = "# Written by `cargo xtask regen` from the settings' types; docs/configuration.md says more.\n\
    #\n\
    # What has no `#` before it must be given; what has shows the default. An empty value counts as not given.\n\
    # X_FILE is the path of a file that holds the secret X; X itself works too.\n";

const LINE_CHARACTERS: usize = 118;

/// `docs/configuration.md`.
pub fn markdown() -> String {
    let mut text = String::new();
    let all = settings();
    for section in all.chunk_by(|one, next| one.section() == next.section()) {
        let name = section[0].section();
        let _ = writeln!(text, "### `{name}`\n");
        // A key without a section says itself what it is for.
        if section[0].key != name {
            let _ = writeln!(text, "{}\n", meaning_of_section(name));
        }
        text.push_str("| key | meaning | takes | default | production refuses |\n|---|---|---|---|---|\n");
        for setting in section {
            text.push_str(&row(setting));
        }
        text.push('\n');
    }
    TEMPLATE.replace(PLACE, &text)
}

fn row(setting: &Setting) -> String {
    let secret = if setting.secret { ", **secret**" } else { "" };
    let default = match &setting.default {
        Fallback::Value(value) => format!("`{value}`"),
        Fallback::Words(words) => words.clone(),
    };
    format!(
        "| `{}` | {} | {}{secret} | {} | {} |\n",
        setting.key,
        cell(&setting.meaning),
        cell(&kind(&setting.takes)),
        cell(&default),
        cell(setting.refused.as_deref().unwrap_or_default()),
    )
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn kind(takes: &Takes) -> String {
    match takes {
        Takes::Text => "text".to_owned(),
        Takes::Number => "number".to_owned(),
        Takes::Boolean => "`true` or `false`".to_owned(),
        Takes::OneOf(names) => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(" or "),
        Takes::List => "list".to_owned(),
        Takes::Tables => "tables".to_owned(),
    }
}

/// `.env.example`.
pub fn env_example() -> String {
    let mut text = ENV_HEAD.to_owned();
    let all = settings();
    for section in all.chunk_by(|one, next| one.section() == next.section()) {
        let name = section[0].section();
        let _ = write!(text, "\n# == {name}\n");
        if section[0].key != name {
            comment(&mut text, &meaning_of_section(name));
        }
        for setting in section {
            if let Some(variable) = setting.variable() {
                example(&mut text, setting, &variable, section);
            }
        }
    }
    text
}

fn example(text: &mut String, setting: &Setting, variable: &str, section: &[Setting]) {
    text.push('\n');
    comment(text, &setting.meaning);
    if let Takes::OneOf(names) = &setting.takes {
        comment(text, &format!("One of: {}.", names.join(", ")));
    }
    if let Fallback::Words(words) = &setting.default {
        comment(text, &format!("Default: {words}."));
    }
    if let Some(refused) = &setting.refused {
        comment(text, &format!("Production refuses: {refused}."));
    }
    let mark = if setting.needed { "" } else { "#" };
    let file = if setting.secret { "_FILE" } else { "" };
    let _ = writeln!(text, "{mark}{variable}{file}={}", value(setting, section));
}

/// The default, if it is a value; of a list of tables, what one looks like.
fn value(setting: &Setting, section: &[Setting]) -> String {
    match setting.takes {
        Takes::Tables if !setting.secret => {
            let within = format!("{}[].", setting.key);
            let fields = section
                .iter()
                .filter_map(|field| Some((field.key.strip_prefix(&within)?, &field.takes)))
                // What is in a list within the list is shown as an empty list.
                .filter(|(name, _)| !name.contains('['));
            let field = |(name, takes): (&str, &Takes)| format!("\"{name}\":{}", placeholder(takes));
            format!("[{{{}}}]", fields.map(field).collect::<Vec<_>>().join(","))
        }
        _ => match &setting.default {
            Fallback::Value(value) if !setting.secret => value.clone(),
            _ => String::new(),
        },
    }
}

fn placeholder(takes: &Takes) -> String {
    let text = |text: &str| format!("\"{text}\"");
    match takes {
        Takes::Number => "0".to_owned(),
        Takes::Boolean => "false".to_owned(),
        Takes::List | Takes::Tables => "[]".to_owned(),
        Takes::Text => text(""),
        Takes::OneOf(names) => text(names.first().map_or("", String::as_str)),
    }
}

/// In lines of a bounded length.
fn comment(text: &mut String, prose: &str) {
    let mut line = String::from("#");
    for word in prose.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > LINE_CHARACTERS {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}
