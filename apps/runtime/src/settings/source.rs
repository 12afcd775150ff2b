//! File, environment and secret files, put together into one tree. Nothing is interpreted yet.

use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Map, Source as _, Value, ValueKind};

use super::SettingsError;
use super::reference::{Setting, Takes, settings};

const PREFIX: &str = "POSX__";

pub(super) type Tree = Map<String, Value>;

/// The tree, and what is wrong with the secret files.
pub(super) fn collect(
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<(Tree, Vec<String>), SettingsError> {
    let settings = settings();
    let mut builder = Config::builder();
    if let Some(path) = file {
        builder = builder.add_source(File::from_str(&text_of(path)?, FileFormat::Toml));
    }
    let ours: Vec<_> = env.filter_map(|(name, text)| ours(name, text)).collect();
    for (name, key, text) in &ours {
        let section = format!("{key}.");
        if ours.iter().any(|(_, other, _)| other.starts_with(&section)) {
            // Which of the two won would be a matter of chance.
            return Err(SettingsError::Shape(format!(
                "{name} is a section, not a setting"
            )));
        }
        let takes = settings
            .iter()
            .find(|setting| setting.key == *key)
            .map(|setting| &setting.takes);
        let value = value_of(takes.unwrap_or(&Takes::Text), text, &[','])
            .ok_or_else(|| SettingsError::Shape(format!("{key} is not a JSON array")))?;
        builder = builder
            .set_override(key, value)
            .map_err(|_| SettingsError::Shape(format!("{name} is not the name of a setting")))?;
    }
    let mut tree = builder
        .build()
        .and_then(|config| config.collect())
        .map_err(|error| explain(&error))?;
    let problems = read_secret_files(&mut tree, &settings);
    Ok((tree, problems))
}

/// A variable of ours, with its key; an empty one counts as not given.
fn ours(name: String, text: String) -> Option<(String, String, String)> {
    let key = name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".");
    (!text.is_empty()).then_some((name, key, text))
}

fn text_of(path: &Path) -> Result<String, SettingsError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::File {
        path: shown.clone(),
        source,
    })?;
    // Parsed here for the line alone: the parser's own message quotes the text, and the text may hold a secret.
    if let Err(error) = toml::from_str::<toml::Table>(&text) {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        return Err(SettingsError::Syntax {
            path: shown,
            line: before.matches('\n').count() + 1,
        });
    }
    Ok(text)
}

/// As the environment and the files of secrets give it: a list has no other usual form there.
fn value_of(takes: &Takes, text: &str, separator: &[char]) -> Option<Value> {
    match takes {
        Takes::List => Some(list(text.split(separator))),
        Takes::Tables => serde_json::from_str(text).ok().filter(is_list),
        _ => Some(Value::from(text)),
    }
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind, ValueKind::Array(_))
}

fn list<'a>(parts: impl Iterator<Item = &'a str>) -> Value {
    let parts = parts.filter(|part| !part.is_empty()).map(Value::from);
    Value::from(parts.collect::<Vec<Value>>())
}

fn table_in<'a>(tree: &'a mut Tree, name: &str) -> Option<&'a mut Tree> {
    match &mut tree.get_mut(name)?.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}

/// Replaces each `{key}_file` by what the file holds, without the line end that editors add.
fn read_secret_files(tree: &mut Tree, settings: &[Setting]) -> Vec<String> {
    let mut problems = Vec::new();
    for setting in settings.iter().filter(|setting| setting.secret) {
        let key = &setting.key;
        let Some((section, name)) = key.rsplit_once('.').filter(|_| !key.contains('[')) else {
            continue;
        };
        let Some(table) = section
            .split('.')
            .try_fold(&mut *tree, |tree, name| table_in(tree, name))
        else {
            continue;
        };
        let Some(path) = table.remove(&format!("{name}_file")) else {
            continue;
        };
        if table.contains_key(name) {
            problems.push(format!("both {key} and {key}_file are given"));
            continue;
        }
        match path.into_string().map(std::fs::read_to_string) {
            Ok(Ok(text)) => {
                match value_of(&setting.takes, text.trim_end_matches(['\r', '\n']), &['\r', '\n']) {
                    Some(value) => {
                        table.insert(name.to_owned(), value);
                    }
                    None => problems.push(format!("the file of {key}_file is not a JSON array")),
                }
            }
            Ok(Err(error)) => problems.push(format!(
                "the file of {key}_file cannot be read ({})",
                error.kind()
            )),
            Err(_) => problems.push(format!("{key}_file is not a path")),
        }
    }
    problems
}

/// The library's messages quote values, and a value in the wrong place may be a secret.
pub(super) fn explain(error: &ConfigError) -> SettingsError {
    SettingsError::Shape(describe(error, None))
}

fn describe(error: &ConfigError, outer: Option<&str>) -> String {
    match error {
        ConfigError::Type { expected, key, .. } => match key.as_deref().or(outer) {
            Some(key) => format!("{key} is not {expected}"),
            None => format!("a value is not {expected}"),
        },
        ConfigError::At { error, key, .. } => describe(error, key.as_deref().or(outer)),
        ConfigError::NotFound(key) => format!("{key} is missing"),
        // Names of keys only; other messages of serde quote what they found.
        ConfigError::Message(message)
            if message.starts_with("unknown field") || message.starts_with("missing field") =>
        {
            outer.map_or_else(|| message.clone(), |key| format!("{key}: {message}"))
        }
        _ => match outer {
            Some(key) => format!("{key} has a value that is not one of those allowed"),
            None => "a value is not one of those allowed".into(),
        },
    }
}
