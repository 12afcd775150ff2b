//! Whose tokens open the platform plane.

use posx_oidc::{IssuerConfig, SecondFactorClaims};
use schemars::JsonSchema;
use serde::Deserialize;

/// With `database.platform_url`, the API serves the platform plane.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformSettings {
    /// Whose tokens open it; compared exactly, a trailing slash included. It may be one of the sites' too: then the audience tells them apart.
    #[schemars(extend("x-refused" = "an address without https"))]
    pub issuer: String,
    /// What the plane is called in its tokens; no audience of the sites.
    pub audience: String,
    /// The address of its key set.
    #[schemars(extend("x-default" = "by discovery", "x-refused" = "an address without https"))]
    pub jwks_url: Option<String>,
    /// Values of `amr` that vouch for a second factor.
    #[serde(default = "methods")]
    pub second_factor_methods: Vec<String>,
    /// Values of `acr` that do.
    #[serde(default)]
    pub second_factor_contexts: Vec<String>,
}

/// RFC 8176: several factors, a one-time password, a key in hardware.
fn methods() -> Vec<String> {
    ["mfa", "otp", "hwk"].map(str::to_owned).into()
}

impl PlatformSettings {
    pub fn token_issuer(&self) -> IssuerConfig {
        let config = IssuerConfig::new(&self.issuer, &self.audience).second_factor(SecondFactorClaims {
            methods: self.second_factor_methods.clone(),
            contexts: self.second_factor_contexts.clone(),
        });
        match &self.jwks_url {
            Some(url) => config.jwks_url(url),
            None => config,
        }
    }

    /// What only this section knows; that its addresses are https is checked with the others'.
    pub(super) fn check(&self, has_database: bool, site_audiences: &[&str], problems: &mut Vec<String>) {
        let mut unless = |fine: bool, problem: &str| {
            if !fine {
                problems.push(problem.to_owned());
            }
        };
        unless(
            has_database,
            "platform needs database.platform_url: the plane works on a database role of its own",
        );
        unless(!self.audience.is_empty(), "platform.audience is empty");
        unless(
            !site_audiences.contains(&self.audience.as_str()),
            "platform.audience is an audience of the sites: their tokens would open the platform plane",
        );
        unless(
            !(self.second_factor_methods.is_empty() && self.second_factor_contexts.is_empty()),
            "platform.second_factor_methods and platform.second_factor_contexts are empty: nobody could change anything",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plane_has_a_role_and_an_audience_of_its_own() {
        let settings = |audience: &str, methods: &[&str]| PlatformSettings {
            issuer: "https://staff.posx.example/".to_owned(),
            audience: audience.to_owned(),
            jwks_url: None,
            second_factor_methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            second_factor_contexts: Vec::new(),
        };
        let problems = |settings: PlatformSettings, has_database| {
            let mut problems = Vec::new();
            settings.check(has_database, &["https://api.posx.example"], &mut problems);
            problems
        };
        assert_eq!(
            problems(settings("platform", &["mfa"]), true),
            Vec::<String>::new()
        );
        for (settings, has_database, said) in [
            (settings("platform", &["mfa"]), false, "database.platform_url"),
            (
                settings("https://api.posx.example", &["mfa"]),
                true,
                "an audience of the sites",
            ),
            (settings("", &["mfa"]), true, "platform.audience is empty"),
            (settings("platform", &[]), true, "second_factor"),
        ] {
            let found = problems(settings, has_database);
            assert!(found.len() == 1 && found[0].contains(said), "{found:?}");
        }
    }
}
