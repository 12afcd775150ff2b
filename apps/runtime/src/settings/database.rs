//! The section `database`: one URL for each database role; see `migrations/roles.sql`.

use std::net::IpAddr;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::reference::Secret;
use super::weakness::weakness;

const PASSWORD_CHARACTERS_MIN: usize = 16;
/// Row-level security does not hold for these, or they may change it.
const TOO_MIGHTY: [&str; 4] = ["postgres", "root", "posx_owner", "posx_migrator"];
const MIGRATOR_URL: &str = "database.migrator_url";

#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    pub app_url: SecretString,
    pub jobs_url: SecretString,
    pub platform_url: Option<SecretString>,
    pub migrator_url: Option<SecretString>,
    pub pool_size: u32,
    pub jobs_pool_size: u32,
}

/// Before it is known whether what is required is there.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDatabase {
    /// As `posx_app`: all work of API and worker inside a site.
    #[schemars(with = "Option<Secret>", extend("x-default" = "required", "x-refused" = REFUSED))]
    pub app_url: Option<SecretString>,
    /// As `posx_jobs`: the queue.
    #[schemars(with = "Option<Secret>", extend("x-default" = "required", "x-refused" = REFUSED))]
    pub jobs_url: Option<SecretString>,
    /// As `posx_platform`: `posx site …`, and the platform plane of the API.
    #[schemars(with = "Option<Secret>", extend("x-refused" = REFUSED))]
    pub platform_url: Option<SecretString>,
    /// As `posx_migrator`: `posx migrate`.
    #[schemars(with = "Option<Secret>", extend("x-refused" = REFUSED))]
    pub migrator_url: Option<SecretString>,
    /// Connections as `posx_app` in one process, 1 to 1000.
    pub pool_size: u32,
    /// Connections as `posx_jobs` in one process, 4 to 1000; a worker keeps three of them for notifications.
    pub jobs_pool_size: u32,
}

const REFUSED: &str = "a superuser or the owner, a missing or weak password, one that two roles share, \
    and another machine without `sslmode=require`, `verify-ca` or `verify-full`";

impl Default for RawDatabase {
    fn default() -> Self {
        Self {
            app_url: None,
            jobs_url: None,
            platform_url: None,
            migrator_url: None,
            pool_size: 8,
            jobs_pool_size: 8,
        }
    }
}

impl RawDatabase {
    /// `None`: something that is required is missing, and was said.
    pub fn check(self, production: bool, problems: &mut Vec<String>) -> Option<DatabaseSettings> {
        for (key, url) in [("app_url", &self.app_url), ("jobs_url", &self.jobs_url)] {
            if url.is_none() {
                problems.push(format!("database.{key} is missing"));
            }
        }
        let all = [
            ("database.app_url", &self.app_url),
            ("database.jobs_url", &self.jobs_url),
            ("database.platform_url", &self.platform_url),
            (MIGRATOR_URL, &self.migrator_url),
        ];
        let mut passwords = Vec::new();
        for (key, url) in all {
            let Some(url) = url.as_ref().map(ExposeSecret::expose_secret) else {
                continue;
            };
            let address = Address::parse(url).filter(|_| posx_postgres::is_database_url(url));
            match address {
                None => problems.push(format!("{key} is not a postgres:// address")),
                Some(address) if production => check_address(key, &address, &mut passwords, problems),
                Some(_) => {}
            }
        }
        if !(1..=1_000).contains(&self.pool_size) {
            problems.push("database.pool_size is not 1 to 1000".into());
        }
        if !(4..=1_000).contains(&self.jobs_pool_size) {
            problems.push("database.jobs_pool_size is not 4 to 1000".into());
        }
        Some(DatabaseSettings {
            app_url: self.app_url?,
            jobs_url: self.jobs_url?,
            platform_url: self.platform_url,
            migrator_url: self.migrator_url,
            pool_size: self.pool_size,
            jobs_pool_size: self.jobs_pool_size,
        })
    }
}

/// In production.
fn check_address(
    key: &'static str,
    address: &Address,
    passwords: &mut Vec<(&'static str, String)>,
    problems: &mut Vec<String>,
) {
    let may_migrate = key == MIGRATOR_URL && address.role == "posx_migrator";
    if TOO_MIGHTY.contains(&address.role.as_str()) && !may_migrate {
        let role = key.trim_start_matches("database.").trim_end_matches("_url");
        problems.push(format!(
            "{key} is of a superuser or the owner: give it the role posx_{role}"
        ));
    }
    if !address.is_here && !address.insists_on_tls {
        problems.push(format!(
            "{key} has no TLS to another machine: add sslmode=verify-full"
        ));
    }
    let Some(password) = &address.password else {
        return problems.push(format!("{key} has no password"));
    };
    if let Some(weakness) = weakness(password, PASSWORD_CHARACTERS_MIN) {
        problems.push(format!("the password in {key} is weak: {weakness}"));
    } else if let Some((other, _)) = passwords.iter().find(|(_, other)| other == password) {
        problems.push(format!(
            "the password in {key} is the one of {other}: give each role its own"
        ));
    }
    passwords.push((key, password.clone()));
}

/// What of a URL is judged. Parameters win over what stands before them, as for the driver.
struct Address {
    role: String,
    password: Option<String>,
    /// By a socket or on the loopback.
    is_here: bool,
    insists_on_tls: bool,
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        // The driver takes any scheme.
        let url = Url::parse(text)
            .ok()
            .filter(|url| ["postgres", "postgresql"].contains(&url.scheme()))?;
        let parameter = |names: &[&str]| {
            let found = url
                .query_pairs()
                .filter(|(name, _)| names.contains(&name.as_ref()))
                .last();
            found.map(|(_, value)| value.into_owned())
        };
        let host =
            parameter(&["hostaddr", "host"]).unwrap_or_else(|| url.host_str().unwrap_or_default().to_owned());
        let tls = parameter(&["sslmode", "ssl-mode"]);
        let password = parameter(&["password"]).or_else(|| url.password().map(str::to_owned));
        Some(Self {
            role: parameter(&["user"]).unwrap_or_else(|| url.username().to_owned()),
            password: password.filter(|password| !password.is_empty()),
            is_here: is_here(&host),
            insists_on_tls: tls
                .is_some_and(|mode| ["require", "verify-ca", "verify-full"].contains(&mode.as_str())),
        })
    }
}

fn is_here(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let is_socket = host.starts_with('/') || host.starts_with("%2F") || host.starts_with("%2f");
    is_socket || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(url: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let raw = RawDatabase {
            app_url: Some(SecretString::from(url)),
            jobs_url: Some(SecretString::from(
                "postgres://posx_jobs:kT9-battery-staple@localhost/posx",
            )),
            ..RawDatabase::default()
        };
        raw.check(true, &mut problems);
        problems
    }

    #[test]
    fn another_machine_is_reached_over_tls_and_this_one_need_not() {
        for fine in [
            "localhost/posx",
            "127.0.0.1:5433/posx",
            "[::1]/posx",
            "%2Fvar%2Frun%2Fpostgresql/posx",
            "ignored/posx?host=/var/run/postgresql",
            "db.internal/posx?sslmode=require",
            "db.internal/posx?sslmode=verify-full&application_name=x",
        ] {
            assert_eq!(
                problems(&format!("postgres://posx_app:kT9-correct-horse@{fine}")),
                Vec::<String>::new(),
                "{fine}"
            );
        }
        for plain in [
            "db.internal/posx",
            "db.internal/posx?sslmode=prefer",
            "db.internal/posx?sslmode=require&sslmode=disable",
            "localhost/posx?host=db.internal",
            "localhost.db.internal/posx",
        ] {
            assert_eq!(
                problems(&format!("postgres://posx_app:kT9-correct-horse@{plain}")),
                ["database.app_url has no TLS to another machine: add sslmode=verify-full"],
                "{plain}"
            );
        }
    }

    #[test]
    fn no_server_works_as_superuser_or_owner() {
        for role in TOO_MIGHTY {
            let found = ["database.app_url is of a superuser or the owner: give it the role posx_app"];
            assert_eq!(
                problems(&format!("postgres://{role}:kT9-correct-horse@localhost/posx")),
                found
            );
            let by_parameter = format!("postgres://posx_app:kT9-correct-horse@localhost/posx?user={role}");
            assert_eq!(problems(&by_parameter), found);
        }
    }

    #[test]
    fn each_role_has_a_password_of_its_own() {
        assert_eq!(
            problems("postgres://posx_app:kT9-battery-staple@localhost/posx"),
            ["the password in database.jobs_url is the one of database.app_url: give each role its own"]
        );
    }
}
