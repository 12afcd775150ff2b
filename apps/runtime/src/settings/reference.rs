//! What may be set, read from the settings' own types: the loader, `docs/configuration.md` and `.env.example` go by it.

mod render;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::raw::Raw;

pub use render::{env_example, markdown};

/// In the schema, in the place of a `SecretString`, which has none: a field that is a secret cannot be described as plain.
pub(super) struct Secret;

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-secret": true })
    }
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As in `server.bind`; in a list of tables as in `issuers[].issuer`.
    pub key: String,
    pub takes: Takes,
    pub default: Fallback,
    /// Whether the process needs it, not only an optional section or an entry of a list.
    pub needed: bool,
    pub secret: bool,
    pub meaning: String,
    /// What production refuses.
    pub refused: Option<String>,
}

/// What holds where it is not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    Value(String),
    /// What cannot be written as a value, or in which case it must be given.
    Words(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    Text,
    Number,
    Boolean,
    OneOf(Vec<String>),
    /// In the environment separated by commas, in a file of its own one a line.
    List,
    /// In the environment, and in a file of its own, a JSON array of objects.
    Tables,
}

impl Setting {
    /// Its name in the environment; none for what is part of a table in a list.
    pub fn variable(&self) -> Option<String> {
        let name = self.key.to_uppercase().replace('.', "__");
        (!self.key.contains('[')).then(|| format!("POSX__{name}"))
    }

    /// The part of its key before the first point.
    pub fn section(&self) -> &str {
        self.key.split(['.', '[']).next().unwrap_or_default()
    }
}

/// Every key, what stands in no section first.
pub fn settings() -> Vec<Setting> {
    let mut all = Vec::new();
    walk("", &schema(), false, &mut all);
    all.sort_by_key(|setting| {
        let in_section = setting.key.contains('.') || setting.takes == Takes::Tables;
        (in_section, setting.section().to_owned())
    });
    all
}

/// The setting that a problem speaks of: the first that it names.
pub fn named_in(problem: &str) -> Option<Setting> {
    let digits = |c: char| c.is_ascii_digit();
    // `issuers[3].issuer` is one of `issuers[].issuer`.
    let parts = problem.split('[').map(|part| part.trim_start_matches(digits));
    let problem = parts.collect::<Vec<_>>().join("[");
    let all = settings();
    let named = |word: &str| {
        let word = word.trim_end_matches("[]");
        all.iter().find(|setting| setting.key == word).cloned()
    };
    problem.split([' ', ',', ':', ';', '(', ')']).find_map(named)
}

/// What a section is for.
fn meaning_of_section(section: &str) -> String {
    meaning(&schema()["properties"][section])
}

fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Raw>().into()
}

fn walk(prefix: &str, table: &Value, optional: bool, all: &mut Vec<Setting>) {
    let Some(properties) = table["properties"].as_object() else {
        return;
    };
    let required = |name: &str| {
        let names = table["required"].as_array();
        names.is_some_and(|names| names.iter().any(|required| required == name))
    };
    // Sorted here: the map's own order depends on what else is built.
    let mut names: Vec<_> = properties.keys().collect();
    names.sort();
    for name in names {
        let (described, key) = (&properties[name], format!("{prefix}{name}"));
        let (value, nullable) = value_of(described);
        if value["properties"].is_object() {
            walk(&format!("{key}."), value, optional || nullable, all);
            continue;
        }
        let default = default_of(described, required(name));
        let always = ["required", "required in production"].map(|words| Fallback::Words(words.to_owned()));
        let needed = !optional && always.contains(&default);
        let entries = value_of(&value["items"]).0;
        all.push(Setting {
            takes: takes(value),
            secret: holds_secret(value),
            meaning: meaning(described),
            refused: described["x-refused"].as_str().map(str::to_owned),
            key: key.clone(),
            default,
            needed,
        });
        walk(&format!("{key}[]."), entries, true, all);
    }
}

/// Without the `null` of what may be absent, and whether it may be.
fn value_of(described: &Value) -> (&Value, bool) {
    let Some(choices) = described["anyOf"].as_array() else {
        let types = described["type"].as_array();
        return (
            described,
            types.is_some_and(|types| types.iter().any(|found| found == "null")),
        );
    };
    let value = choices.iter().find(|choice| choice["type"] != "null");
    (value.unwrap_or(described), true)
}

fn takes(value: &Value) -> Takes {
    let is = |name: &str| match &value["type"] {
        Value::Array(types) => types.iter().any(|found| found == name),
        found => found == name,
    };
    let names = names(value);
    match () {
        () if !names.is_empty() => Takes::OneOf(names),
        () if is("array") && value_of(&value["items"]).0["properties"].is_object() => Takes::Tables,
        () if is("array") => Takes::List,
        () if is("integer") => Takes::Number,
        () if is("boolean") => Takes::Boolean,
        () => Takes::Text,
    }
}

/// Of a choice: with a comment on one of them, it is a schema of its own.
fn names(value: &Value) -> Vec<String> {
    let of = |key: &str| value[key].as_array().into_iter().flatten();
    let own = of("enum").chain(value.get("const")).filter_map(Value::as_str);
    let own = own.map(str::to_owned);
    own.chain(of("oneOf").flat_map(names)).collect()
}

fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Object(map) => {
            map.get("x-secret").is_some_and(|secret| secret == true) || map.values().any(holds_secret)
        }
        Value::Array(all) => all.iter().any(holds_secret),
        _ => false,
    }
}

fn default_of(described: &Value, required: bool) -> Fallback {
    let words = |text: &str| Fallback::Words(text.to_owned());
    let printed = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match (&described["x-default"], &described["default"]) {
        (Value::String(text), _) => words(text),
        _ if required => words("required"),
        (_, Value::Null) => words("none"),
        (_, Value::Array(values)) if values.is_empty() => words("none"),
        (_, Value::Array(values)) => {
            Fallback::Value(values.iter().map(printed).collect::<Vec<_>>().join(","))
        }
        (_, value) => Fallback::Value(printed(value)),
    }
}

/// In one line.
fn meaning(described: &Value) -> String {
    let text = described["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
