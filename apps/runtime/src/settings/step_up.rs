//! Which sign-ins count as made with a second factor.

use posx_oidc::{IssuerConfig, SecondFactorClaims};
use schemars::JsonSchema;
use serde::Deserialize;

/// As RFC 8176 names methods that are a second factor, or two in one.
const METHODS: [&str; 3] = ["mfa", "otp", "hwk"];

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StepUpSettings {
    /// Whether what moves money asks for a second factor.
    #[schemars(extend("x-refused" = "`false`"))]
    pub required: bool,
    /// The issuers that do not say it by `amr` with `mfa`, `otp` or `hwk`. With neither methods nor contexts, an issuer's word
    /// does not count.
    pub issuers: Vec<StepUpIssuerSettings>,
}

/// Both empty: the issuer's word does not count, and its people enrol a factor of ours.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepUpIssuerSettings {
    /// One of the configured issuers.
    pub issuer: String,
    /// Values of `amr`: one of them is enough.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Values of `acr`: one of them is enough.
    #[serde(default)]
    pub contexts: Vec<String>,
}

impl Default for StepUpSettings {
    fn default() -> Self {
        Self {
            required: true,
            issuers: Vec::new(),
        }
    }
}

impl StepUpSettings {
    /// The same issuer, with what vouches for a second factor there.
    pub fn applied_to(&self, config: IssuerConfig) -> IssuerConfig {
        let names = [config.issuer(), config.identity_issuer()];
        let mut special = self.issuers.iter();
        let claims = match special.find(|special| names.contains(&special.issuer.as_str())) {
            Some(special) => SecondFactorClaims {
                methods: special.methods.clone(),
                contexts: special.contexts.clone(),
            },
            None => SecondFactorClaims {
                methods: METHODS.map(str::to_owned).into(),
                contexts: Vec::new(),
            },
        };
        config.second_factor(claims)
    }

    pub(super) fn check(&self, production: bool, issuers: &[IssuerConfig], problems: &mut Vec<String>) {
        let mut unless = |fine: bool, problem: String| {
            if !fine {
                problems.push(problem);
            }
        };
        unless(
            self.required || !production,
            "step_up.required is off, in production".into(),
        );
        for (at, special) in self.issuers.iter().enumerate() {
            let key = format!("step_up.issuers[{at}]");
            let known = |config: &IssuerConfig| {
                [config.issuer(), config.identity_issuer()].contains(&special.issuer.as_str())
            };
            unless(
                issuers.iter().any(known),
                format!("{key}.issuer is no issuer whose tokens are taken"),
            );
            unless(
                !self.issuers[..at]
                    .iter()
                    .any(|other| other.issuer == special.issuer),
                format!("{key}.issuer is there twice"),
            );
            // They go into a header, separated by spaces.
            let plain = |text: &String| {
                !text.is_empty()
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
            };
            unless(
                special.methods.iter().chain(&special.contexts).all(plain),
                format!("{key} has an empty value, or one with spaces, quotes or other than ASCII"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn special(issuer: &str, methods: &[&str], contexts: &[&str]) -> StepUpIssuerSettings {
        let owned = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
        StepUpIssuerSettings {
            issuer: issuer.to_owned(),
            methods: owned(methods),
            contexts: owned(contexts),
        }
    }

    #[test]
    fn what_is_not_said_asks_for_a_second_factor_and_what_is_wrong_is_named() {
        let issuers = [IssuerConfig::new("https://login.test/", "posx")];
        let problems = |settings: &StepUpSettings| {
            let mut problems = Vec::new();
            settings.check(true, &issuers, &mut problems);
            problems
        };
        let default = StepUpSettings::default();
        assert!(default.required);
        assert_eq!(problems(&default), Vec::<String>::new());
        let wrong = StepUpSettings {
            required: false,
            issuers: vec![
                special("https://login.test/", &["mfa"], &["a b"]),
                special("https://login.test/", &[], &[]),
                special("https://other.test/", &[""], &["a\"b"]),
            ],
        };
        assert_eq!(
            problems(&wrong),
            [
                "step_up.required is off, in production",
                "step_up.issuers[0] has an empty value, or one with spaces, quotes or other than ASCII",
                "step_up.issuers[1].issuer is there twice",
                "step_up.issuers[2].issuer is no issuer whose tokens are taken",
                "step_up.issuers[2] has an empty value, or one with spaces, quotes or other than ASCII",
            ]
        );
    }

    #[test]
    fn an_issuer_vouches_as_the_settings_say() {
        let settings = StepUpSettings {
            required: true,
            issuers: vec![special("https://gold.test/", &[], &["urn:gold"])],
        };
        let config = |issuer: &str| IssuerConfig::new(issuer, "posx");
        let usual = config("https://login.test/").second_factor(SecondFactorClaims {
            methods: METHODS.map(str::to_owned).into(),
            contexts: Vec::new(),
        });
        assert_eq!(settings.applied_to(config("https://login.test/")), usual);
        let gold = config("https://gold.test/").second_factor(SecondFactorClaims {
            methods: Vec::new(),
            contexts: vec!["urn:gold".to_owned()],
        });
        assert_eq!(settings.applied_to(config("https://gold.test/")), gold);
    }
}
