//! File, environment and secret files, put together into one tree. Nothing is interpreted yet.

use std::path::Path;

use config::{Config, ConfigError, File, FileFormat, Map, Source as _, Value, ValueKind};

use super::SettingsError;

const PREFIX: &str = "POSX__";

/// Keys that may also be given as `{key}_file`, the path of a file that holds the value.
pub(super) const SECRETS: [&str; 13] = [
    "database.app_url",
    "database.jobs_url",
    "database.platform_url",
    "database.migrator_url",
    "payments.secret_key",
    WEBHOOK_SECRETS,
    CONNECT_WEBHOOK_SECRETS,
    ACCOUNTS,
    "custody.api_key",
    "custody.private_key",
    "redis.url",
    NODES,
    "sign_in.private_key",
];

const WEBHOOK_SECRETS: &str = "payments.webhook_secrets";
const CONNECT_WEBHOOK_SECRETS: &str = "payments.connect_webhook_secrets";
/// Whose value in the environment, or in a file of its own, is a JSON array of tables: a list of tables has no other
/// usual form there.
const ACCOUNTS: &str = "payments.accounts";
const ISSUERS: &str = "issuers";
const AUTH0: &str = "auth0";
const COGNITO: &str = "cognito";
const GAS_FLOORS: &str = "custody.gas_floors";
const NODES: &str = "wallets.nodes";
const DOMAINS: &str = "wallets.domains";
const CHAIN_IDS: &str = "wallets.chain_ids";

pub(super) type Tree = Map<String, Value>;

/// The tree, and what is wrong with the secret files.
pub(super) fn collect(
    file: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<(Tree, Vec<String>), SettingsError> {
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
        let value = value_of(key, text)?;
        builder = builder
            .set_override(key, value)
            .map_err(|_| SettingsError::Shape(format!("{name} is not the name of a setting")))?;
    }
    let mut tree = builder
        .build()
        .and_then(|config| config.collect())
        .map_err(|error| explain(&error))?;
    let problems = read_secret_files(&mut tree);
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

fn value_of(key: &str, text: &str) -> Result<Value, SettingsError> {
    match key {
        WEBHOOK_SECRETS | CONNECT_WEBHOOK_SECRETS | DOMAINS | CHAIN_IDS => Ok(list(text.split(','))),
        ISSUERS | AUTH0 | COGNITO | ACCOUNTS | GAS_FLOORS | NODES => {
            serde_json::from_str(text).map_err(|_| SettingsError::Shape(format!("{key} is not a JSON array")))
        }
        _ => Ok(Value::from(text)),
    }
}

fn list<'a>(parts: impl Iterator<Item = &'a str>) -> Value {
    let parts = parts.filter(|part| !part.is_empty()).map(Value::from);
    Value::from(parts.collect::<Vec<Value>>())
}

/// Replaces each `{key}_file` by what the file holds, without the line end that editors add.
fn read_secret_files(tree: &mut Tree) -> Vec<String> {
    let mut problems = Vec::new();
    for secret in SECRETS {
        let Some((section, name)) = secret.split_once('.') else {
            continue;
        };
        let Some(Value {
            kind: ValueKind::Table(table),
            ..
        }) = tree.get_mut(section)
        else {
            continue;
        };
        let Some(path) = table.remove(&format!("{name}_file")) else {
            continue;
        };
        if table.contains_key(name) {
            problems.push(format!("both {secret} and {secret}_file are given"));
            continue;
        }
        match path.into_string().map(std::fs::read_to_string) {
            Ok(Ok(text)) if [WEBHOOK_SECRETS, CONNECT_WEBHOOK_SECRETS].contains(&secret) => {
                table.insert(name.to_owned(), list(text.lines()));
            }
            Ok(Ok(text)) if [ACCOUNTS, NODES].contains(&secret) => match serde_json::from_str::<Value>(&text)
            {
                Ok(accounts) => {
                    table.insert(name.to_owned(), accounts);
                }
                Err(_) => problems.push(format!("the file of {secret}_file is not a JSON array")),
            },
            Ok(Ok(text)) => {
                table.insert(name.to_owned(), Value::from(text.trim_end_matches(['\r', '\n'])));
            }
            Ok(Err(error)) => {
                problems.push(format!(
                    "the file of {secret}_file cannot be read ({})",
                    error.kind()
                ));
            }
            Err(_) => problems.push(format!("{secret}_file is not a path")),
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
