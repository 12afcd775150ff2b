//! The section `sessions`: browsers that stay signed in.

use chrono::TimeDelta;
use posx_oidc::{IssuerConfig, TokenClient};
use posx_tenancy::{Origin, SessionRules};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::reference::Secret;
use super::weakness::{SECRET_CHARACTERS_MIN, weakness};

/// Spent tokens and dead sessions are kept for 30 days: a cookie must not live longer than what tells that it is stolen.
const IDLE_HOURS_MAX: u16 = 30 * 24;
const ABSOLUTE_DAYS_MAX: u16 = 90;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionSettings {
    /// Pages that may open and refresh sessions, as browsers send their origin. Not the sites' own lists: a session is its holder's at every site, and the
    /// page of one could act at another with it.
    #[schemars(extend("x-default" = "required", "x-refused" = "origins without https"))]
    pub origins: Vec<String>,
    /// Without a refresh, a session is over after so long (1 to 720).
    pub idle_hours: u16,
    /// A session is over then, however often it is refreshed (1 to 90).
    pub absolute_days: u16,
    /// Where codes are exchanged; without any, people sign in with a wallet only.
    #[schemars(extend("x-default" = "none: wallets only"))]
    pub providers: Vec<SessionProviderSettings>,
    /// Sets the cookie without `Secure`, under another name: for a developer's machine without TLS.
    #[schemars(extend("x-refused" = "`true`"))]
    pub insecure_cookie: bool,
}

/// An identity provider whose codes are exchanged.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionProviderSettings {
    /// One of the configured issuers, as identities are kept under.
    pub issuer: String,
    /// Its endpoint for that.
    #[schemars(extend("x-refused" = "an address without https"))]
    pub token_url: String,
    /// What we are called there.
    pub client_id: String,
    /// Of a confidential client; without it, ours is a public one, with PKCE alone.
    #[schemars(with = "Option<Secret>", extend("x-refused" = "a weak one"))]
    pub client_secret: Option<SecretString>,
    /// Of our pages, compared exactly.
    #[schemars(extend("x-refused" = "addresses without https"))]
    pub redirect_uris: Vec<String>,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            idle_hours: 7 * 24,
            absolute_days: 30,
            providers: Vec::new(),
            insecure_cookie: false,
        }
    }
}

impl SessionProviderSettings {
    pub fn client(&self) -> Result<TokenClient, posx_oidc::ConfigError> {
        TokenClient::new(
            &self.token_url,
            None,
            self.client_id.clone(),
            self.client_secret.clone(),
        )
    }
}

impl SessionSettings {
    pub fn rules(&self) -> SessionRules {
        SessionRules {
            idle: TimeDelta::hours(i64::from(self.idle_hours)),
            absolute: TimeDelta::days(i64::from(self.absolute_days)),
        }
    }

    pub fn origins(&self) -> Vec<Origin> {
        self.origins
            .iter()
            .filter_map(|origin| Origin::parse(origin))
            .collect()
    }

    /// `signs` says whether there is a key for our own tokens.
    pub(super) fn check(
        &self,
        production: bool,
        signs: bool,
        issuers: &[IssuerConfig],
        problems: &mut Vec<String>,
    ) {
        let mut unless = |fine: bool, problem: String| {
            if !fine {
                problems.push(problem);
            }
        };
        unless(
            signs,
            "sessions needs the section sign_in: its key signs the tokens".into(),
        );
        unless(
            !self.origins.is_empty(),
            "sessions.origins is missing: no page could open a session".into(),
        );
        for (at, origin) in self.origins.iter().enumerate() {
            let fine = Origin::parse(origin).is_some_and(|origin| !production || origin.is_https());
            unless(
                fine,
                format!("sessions.origins[{at}] is not an origin as browsers send it, with https"),
            );
        }
        unless(
            (1..=IDLE_HOURS_MAX).contains(&self.idle_hours),
            format!("sessions.idle_hours is not 1 to {IDLE_HOURS_MAX}"),
        );
        unless(
            (1..=ABSOLUTE_DAYS_MAX).contains(&self.absolute_days),
            format!("sessions.absolute_days is not 1 to {ABSOLUTE_DAYS_MAX}"),
        );
        unless(
            !(production && self.insecure_cookie),
            "sessions.insecure_cookie is on, in production".into(),
        );
        for (at, provider) in self.providers.iter().enumerate() {
            let key = format!("sessions.providers[{at}]");
            unless(
                issuers
                    .iter()
                    .any(|issuer| issuer.identity_issuer() == provider.issuer),
                format!("{key}.issuer is none of the configured issuers"),
            );
            unless(
                !self.providers[..at]
                    .iter()
                    .any(|other| other.issuer == provider.issuer),
                format!("{key}.issuer is there twice"),
            );
            let secure = !production || provider.token_url.starts_with("https://");
            unless(
                secure && provider.client().is_ok(),
                format!("{key}.token_url is not an https:// address"),
            );
            unless(
                !provider.client_id.is_empty(),
                format!("{key}.client_id is empty"),
            );
            let secret = provider.client_secret.as_ref().filter(|_| production);
            if let Some(weakness) =
                secret.and_then(|secret| weakness(secret.expose_secret(), SECRET_CHARACTERS_MIN))
            {
                unless(false, format!("{key}.client_secret is weak: {weakness}"));
            }
            let uris = &provider.redirect_uris;
            unless(
                !uris.is_empty() && uris.iter().all(|uri| is_redirect_uri(uri, production)),
                format!(
                    "{key}.redirect_uris is empty or has one that is no https:// address without fragment"
                ),
            );
        }
    }
}

fn is_redirect_uri(text: &str, production: bool) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let secure = url.scheme() == "https" || (url.scheme() == "http" && !production);
    secure && url.fragment().is_none() && url.has_host()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> SessionSettings {
        SessionSettings {
            origins: vec!["https://console.posx.test".to_owned()],
            providers: vec![SessionProviderSettings {
                issuer: "https://login.site.org/".to_owned(),
                token_url: "https://login.site.org/oauth/token".to_owned(),
                client_id: "console".to_owned(),
                client_secret: Some(SecretString::from("s3cret-kT9-correct-horse".to_owned())),
                redirect_uris: vec!["https://console.posx.test/callback".to_owned()],
            }],
            ..SessionSettings::default()
        }
    }

    fn problems(production: bool, signs: bool, change: impl FnOnce(&mut SessionSettings)) -> Vec<String> {
        let (mut settings, mut problems) = (good(), Vec::new());
        change(&mut settings);
        let issuers = [IssuerConfig::new("https://login.site.org/", "posx")];
        settings.check(production, signs, &issuers, &mut problems);
        problems
    }

    #[test]
    fn what_is_not_said_is_safe_and_what_is_wrong_is_named() {
        assert_eq!(problems(true, true, |_| {}), Vec::<String>::new());
        let found = problems(true, false, |settings| {
            let mut other = settings.providers[0].clone();
            other.token_url = "http://login.site.org/oauth/token".to_owned();
            other.client_id = String::new();
            other.redirect_uris = vec!["https://console.posx.test/#home".to_owned()];
            settings.providers.push(other.clone());
            other.issuer = "https://login.site.org".to_owned();
            settings.providers[0] = other;
            settings.origins = vec![
                "https://*.posx.test".to_owned(),
                "http://localhost:5173".to_owned(),
            ];
            settings.idle_hours = 0;
            settings.absolute_days = 91;
            settings.insecure_cookie = true;
        });
        let all = found.join("\n");
        for named in [
            "sessions needs the section sign_in",
            "sessions.origins[0]",
            "sessions.origins[1]",
            "sessions.idle_hours is not 1 to 720",
            "sessions.absolute_days is not 1 to 90",
            "sessions.insecure_cookie is on, in production",
            "sessions.providers[0].issuer is none of the configured issuers",
            "sessions.providers[0].token_url",
            "sessions.providers[1].client_id is empty",
            "sessions.providers[1].redirect_uris",
        ] {
            assert!(all.contains(named), "{named} in:\n{all}");
        }
        assert!(!format!("{:?}", good()).contains("s3cret"));
    }

    #[test]
    fn a_developers_machine_needs_no_tls_outside_production() {
        let local = |settings: &mut SessionSettings| {
            settings.origins = vec!["http://localhost:5173".to_owned()];
            settings.insecure_cookie = true;
            settings.providers[0].token_url = "http://127.0.0.1:9000/token".to_owned();
            settings.providers[0].redirect_uris = vec!["http://localhost:5173/callback".to_owned()];
        };
        assert_eq!(problems(false, true, local), Vec::<String>::new());
        assert_eq!(problems(true, true, local).len(), 4);
    }

    #[test]
    fn no_page_may_open_sessions_unless_it_is_listed() {
        let found = problems(true, true, |settings| settings.origins.clear());
        assert_eq!(
            found,
            ["sessions.origins is missing: no page could open a session"]
        );
    }

    #[test]
    fn lists_come_from_the_environment() {
        let env = [
            (
                "POSX__SESSIONS__ORIGINS",
                "https://a.posx.test,https://b.posx.test/",
            ),
            (
                "POSX__SESSIONS__PROVIDERS",
                r#"[{"issuer": "https://x/", "token_url": "https://x/t", "client_id": "c", "redirect_uris": ["https://a.posx.test/cb"]}]"#,
            ),
            ("POSX__SESSIONS__ABSOLUTE_DAYS", "7"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let read = crate::Settings::load(None, env.into_iter());
        let Err(crate::SettingsError::Problems(problems)) = read else {
            panic!("{read:?}")
        };
        let ours: Vec<_> = problems
            .iter()
            .filter(|problem| problem.starts_with("sessions"))
            .collect();
        assert_eq!(
            ours,
            [
                "sessions needs the section sign_in: its key signs the tokens",
                "sessions.origins[1] is not an origin as browsers send it, with https",
                "sessions.providers[0].issuer is none of the configured issuers",
            ]
        );
    }
}
