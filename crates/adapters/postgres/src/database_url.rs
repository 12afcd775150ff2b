//! Addresses of databases, taken apart and put together. No error shows one: it may hold a password.

use url::Url;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("it is not postgres://user:password@host:port/database")]
    Form,
    #[error("it names no password")]
    NoPassword,
    #[error("it names no database")]
    NoDatabase,
}

fn parse(url: &str) -> Result<Url, UrlError> {
    let parsed = Url::parse(url).map_err(|_| UrlError::Form)?;
    let is_ours = matches!(parsed.scheme(), "postgres" | "postgresql");
    if is_ours && parsed.has_host() {
        Ok(parsed)
    } else {
        Err(UrlError::Form)
    }
}

/// The same server as another role, in another database.
pub fn as_role(url: &str, role: &str, password: &str, database: &str) -> Result<String, UrlError> {
    let mut url = parse(url)?;
    url.set_username(role).map_err(|()| UrlError::Form)?;
    url.set_password(Some(password)).map_err(|()| UrlError::Form)?;
    url.set_path(database);
    Ok(url.into())
}

/// The same server and role, in another database.
pub fn in_database(url: &str, database: &str) -> Result<String, UrlError> {
    let mut url = parse(url)?;
    url.set_path(database);
    Ok(url.into())
}

/// As it is written: a role's password holds nothing that is escaped.
pub fn password(url: &str) -> Result<String, UrlError> {
    let url = parse(url)?;
    let password = url.password().filter(|password| !password.is_empty());
    Ok(password.ok_or(UrlError::NoPassword)?.to_owned())
}

pub fn database(url: &str) -> Result<String, UrlError> {
    let url = parse(url)?;
    let name = url.path().trim_start_matches('/');
    if name.is_empty() {
        return Err(UrlError::NoDatabase);
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_role_keeps_server_and_parameters() {
        let url = "postgres://postgres:secret@127.0.0.1:5433/postgres?sslmode=disable";
        assert_eq!(
            as_role(url, "posx_app", "pw", "posx_demo").as_deref(),
            Ok("postgres://posx_app:pw@127.0.0.1:5433/posx_demo?sslmode=disable")
        );
    }

    #[test]
    fn what_is_missing_is_said_and_nothing_is_shown() {
        assert_eq!(password("postgres://posx_app@h/d"), Err(UrlError::NoPassword));
        assert_eq!(database("postgres://a:b@h"), Err(UrlError::NoDatabase));
        assert_eq!(password("mysql://a:b@h/d"), Err(UrlError::Form));
        assert_eq!(password("rubbish"), Err(UrlError::Form));
        assert_eq!(password("postgres://a:b@h:1/d").as_deref(), Ok("b"));
        assert_eq!(database("postgres://a:b@h:1/d").as_deref(), Ok("d"));
    }
}
