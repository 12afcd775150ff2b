//! Language models: whose there are, what they cost, and what sites may spend that have set no budgets of their own.

use std::collections::HashSet;
use std::net::IpAddr;

use posx_assistant::{
    BudgetScope, Limit, Limits, Micros, Period, Price, PriceBook, PriceTier, Provider, ProviderKind,
    Providers, Purpose,
};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::{Host, Url};

use super::reference::Secret;

const NAME_CHARACTERS_MAX: usize = 40;

/// Without a provider, no site chooses a model.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AssistantSettings {
    /// Whose models sites may choose.
    pub providers: Vec<ModelProviderSettings>,
    /// The price book. A version is never edited: what changes gets the next number.
    pub prices: Vec<ModelPriceSettings>,
    /// Of sites that have not set theirs, and the most that a site may set where the operator's key pays. Each replaces the default of
    /// its scope, purpose and period: the site 50000000 a month and 10000000 a day, all visitors 2000000 a day, a member 2000000 and a
    /// visitor 200000. One of 9223372036854775807 is none.
    pub limits: Vec<ModelLimitSettings>,
    /// That a provider may be called over http on this machine.
    pub http_on_this_machine: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelProtocol {
    /// `POST {base_url}/chat/completions`, as OpenAI, Groq and local servers take it.
    #[serde(rename = "openai")]
    OpenAi,
    /// `POST {base_url}/v1/messages`.
    Anthropic,
    /// The sandbox's, which speaks as OpenAI does.
    Sandbox,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelProviderSettings {
    /// What sites call it: lower case letters, digits, `-` and `_`.
    pub name: String,
    /// What it speaks.
    #[schemars(extend("x-refused" = "`sandbox`"))]
    pub protocol: ModelProtocol,
    /// As in `https://api.openai.com/v1` or `https://api.anthropic.com`.
    #[schemars(extend("x-refused" = "an address without https, unless it is this machine's and `assistant.http_on_this_machine` says so"))]
    pub base_url: String,
    /// For every site that gives none of its own.
    #[schemars(with = "Option<Secret>")]
    pub key: Option<SecretString>,
    /// False for a local server that wants none.
    #[serde(default = "yes")]
    pub needs_key: bool,
}

/// One model's price in one version of the book.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelPriceSettings {
    /// Counts from 1.
    pub version: u32,
    /// One of `assistant.providers`.
    pub provider: String,
    /// As the provider names it.
    pub model: String,
    /// When the version begins, the same for all of its prices: `2026-01-01T00:00:00Z`.
    pub valid_from: String,
    /// The whole call is of the tier that its input reaches.
    pub tiers: Vec<PriceTierSettings>,
}

/// Millionths of the book's currency for a million tokens.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceTierSettings {
    /// The first tier begins at zero.
    #[serde(default)]
    pub from_input_tokens: u64,
    /// For what is sent.
    pub input: u64,
    /// From the provider's cache; as `input` if it is left out.
    pub cached_input: Option<u64>,
    /// Reasoning included.
    pub output: u64,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelLimitSettings {
    /// `site`, `purpose`, `member`, `visitor` (each by itself) or `visitors` (together).
    #[schemars(with = "String", extend("enum" = ["site", "purpose", "member", "visitor", "visitors"]))]
    pub scope: BudgetScope,
    /// With the scope `purpose`: `staff_chat`, `storefront_chat` or `documents`.
    #[schemars(with = "Option<String>", extend("enum" = ["staff_chat", "storefront_chat", "documents"]))]
    pub purpose: Option<Purpose>,
    /// `day` or `month`.
    #[schemars(with = "String", extend("enum" = ["day", "month"]))]
    pub period: Period,
    /// Millionths of the book's currency.
    pub limit: u64,
}

const fn yes() -> bool {
    true
}

/// Enough to try it, and not enough to ruin anybody.
const DEFAULT_LIMITS: [ModelLimitSettings; 5] = [
    limit(BudgetScope::Site, Period::Month, 50_000_000),
    limit(BudgetScope::Site, Period::Day, 10_000_000),
    limit(BudgetScope::Member, Period::Day, 2_000_000),
    limit(BudgetScope::Visitors, Period::Day, 2_000_000),
    limit(BudgetScope::Visitor, Period::Day, 200_000),
];

const fn limit(scope: BudgetScope, period: Period, limit: u64) -> ModelLimitSettings {
    ModelLimitSettings {
        scope,
        purpose: None,
        period,
        limit,
    }
}

impl AssistantSettings {
    /// The sandbox's provider with one model, `sandbox-1`: 1 and 2 for a million tokens.
    pub fn sandbox(base_url: &str) -> Self {
        let tier = PriceTierSettings {
            from_input_tokens: 0,
            input: 1_000_000,
            cached_input: None,
            output: 2_000_000,
        };
        Self {
            providers: vec![ModelProviderSettings {
                name: "sandbox".to_owned(),
                protocol: ModelProtocol::Sandbox,
                base_url: base_url.to_owned(),
                key: None,
                needs_key: false,
            }],
            prices: vec![ModelPriceSettings {
                version: 1,
                provider: "sandbox".to_owned(),
                model: "sandbox-1".to_owned(),
                valid_from: "1970-01-01T00:00:00Z".to_owned(),
                tiers: vec![tier],
            }],
            ..Self::default()
        }
    }

    pub(super) fn check(&self, production: bool, problems: &mut Vec<String>) {
        let mut names = HashSet::new();
        for (at, provider) in self.providers.iter().enumerate() {
            if !names.insert(provider.name.as_str()) {
                problems.push(format!("assistant.providers[{at}].name is there twice"));
            }
            provider.check(at, production, self.http_on_this_machine, problems);
        }
        for (at, price) in self.prices.iter().enumerate() {
            if !names.contains(price.provider.as_str()) {
                problems.push(format!(
                    "assistant.prices[{at}].provider is none of assistant.providers"
                ));
            }
        }
        if let Err(problem) = self.price_book() {
            problems.push(format!("assistant.prices are not usable: {problem}"));
        }
        if let Err(problem) = self.default_limits() {
            problems.push(format!("assistant.limits are not usable: {problem}"));
        }
    }

    pub fn price_book(&self) -> Result<PriceBook, String> {
        let prices: Result<Vec<_>, _> = self.prices.iter().map(ModelPriceSettings::price).collect();
        PriceBook::new(prices?).map_err(|error| error.to_string())
    }

    /// Whoever writes one limit loses no other.
    pub fn default_limits(&self) -> Result<Limits, String> {
        let is_replaced = |default: &&ModelLimitSettings| {
            let of = |limit: &ModelLimitSettings| (limit.scope, limit.purpose, limit.period);
            self.limits.iter().any(|limit| of(limit) == of(default))
        };
        let defaults = DEFAULT_LIMITS.iter().filter(|default| !is_replaced(default));
        let limits = self.limits.iter().chain(defaults).map(|limit| {
            Ok(Limit {
                scope: limit.scope,
                purpose: limit.purpose,
                period: limit.period,
                limit_micros: micros(limit.limit)?,
            })
        });
        Limits::new(limits.collect::<Result<_, String>>()?).map_err(|error| error.to_string())
    }

    /// Whose address is none is left out: [`check`](Self::check) has refused it.
    pub fn model_providers(&self) -> Providers {
        let provider = |settings: &ModelProviderSettings| {
            let provider = Provider {
                kind: match settings.protocol {
                    ModelProtocol::OpenAi | ModelProtocol::Sandbox => ProviderKind::OpenAi,
                    ModelProtocol::Anthropic => ProviderKind::Anthropic,
                },
                base_url: Url::parse(&settings.base_url).ok()?,
                key: settings.key.clone(),
                needs_key: settings.needs_key,
            };
            Some((settings.name.clone(), provider))
        };
        self.providers.iter().filter_map(provider).collect()
    }
}

impl ModelProviderSettings {
    fn check(&self, at: usize, production: bool, http_here: bool, problems: &mut Vec<String>) {
        let mut unless = |fine: bool, problem: &str| {
            if !fine {
                problems.push(format!("assistant.providers[{at}].{problem}"));
            }
        };
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        unless(
            (1..=NAME_CHARACTERS_MAX).contains(&self.name.len()) && self.name.bytes().all(plain),
            "name is 1 to 40 lower case letters, digits, - and _",
        );
        unless(
            !(production && self.protocol == ModelProtocol::Sandbox),
            "protocol is the sandbox's, in production",
        );
        unless(
            address_holds(&self.base_url, http_here || !production),
            "base_url is not an https address, or has more than a host and a path",
        );
        unless(
            self.key
                .as_ref()
                .is_none_or(|key| !key.expose_secret().trim().is_empty()),
            "key is empty",
        );
    }
}

impl ModelPriceSettings {
    fn price(&self) -> Result<Price, String> {
        let tier = |tier: &PriceTierSettings| {
            Ok::<_, String>(PriceTier {
                from_input_tokens: tier.from_input_tokens,
                input: micros(tier.input)?,
                cached_input: micros(tier.cached_input.unwrap_or(tier.input))?,
                output: micros(tier.output)?,
            })
        };
        Ok(Price {
            version: self.version,
            provider: self.provider.clone(),
            model: self.model.clone(),
            valid_from: self
                .valid_from
                .parse()
                .map_err(|_| format!("{:?} is not a time such as 2026-01-01T00:00:00Z", self.valid_from))?,
            tiers: self.tiers.iter().map(tier).collect::<Result<_, _>>()?,
        })
    }
}

fn micros(value: u64) -> Result<Micros, String> {
    Micros::new(value).ok_or_else(|| format!("{value} is too large"))
}

/// A key and what a site says go over TLS, or stay on this machine.
fn address_holds(address: &str, http_here: bool) -> bool {
    let Ok(url) = Url::parse(address) else {
        return false;
    };
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => return false,
    };
    let nothing_else = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    nothing_else && (url.scheme() == "https" || (url.scheme() == "http" && here && http_here))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> AssistantSettings {
        AssistantSettings {
            providers: vec![ModelProviderSettings {
                name: "openai".to_owned(),
                protocol: ModelProtocol::OpenAi,
                base_url: "https://api.openai.com/v1".to_owned(),
                key: Some(SecretString::from("sk-the-operators-own".to_owned())),
                needs_key: true,
            }],
            prices: vec![ModelPriceSettings {
                version: 1,
                provider: "openai".to_owned(),
                model: "steady".to_owned(),
                valid_from: "1970-01-01T00:00:00Z".to_owned(),
                tiers: vec![PriceTierSettings {
                    from_input_tokens: 0,
                    input: 2_500_000,
                    cached_input: None,
                    output: 10_000_000,
                }],
            }],
            ..AssistantSettings::default()
        }
    }

    fn problems(production: bool, change: impl FnOnce(&mut AssistantSettings)) -> Vec<String> {
        let (mut settings, mut problems) = (settings(), Vec::new());
        change(&mut settings);
        settings.check(production, &mut problems);
        problems
    }

    #[test]
    fn a_provider_with_prices_holds_everywhere_and_without_any_too() {
        assert_eq!(problems(true, |_| {}), Vec::<String>::new());
        assert_eq!(
            problems(true, |settings| *settings = AssistantSettings::default()),
            Vec::<String>::new()
        );
        assert!(!format!("{:?}", settings()).contains("operators-own"));
    }

    #[test]
    fn production_calls_no_sandbox_and_nobody_over_http() {
        let sandbox = |settings: &mut AssistantSettings| {
            settings.providers[0].protocol = ModelProtocol::Sandbox;
            settings.providers[0].base_url = "http://127.0.0.1:9/models".to_owned();
        };
        assert_eq!(problems(false, sandbox), Vec::<String>::new());
        assert_eq!(problems(true, sandbox).len(), 2);
        let local = |settings: &mut AssistantSettings| {
            settings.providers[0].base_url = "http://[::1]:11434/v1".to_owned();
        };
        assert_eq!(problems(true, local).len(), 1);
        let said = |settings: &mut AssistantSettings| {
            local(settings);
            settings.http_on_this_machine = true;
        };
        assert_eq!(problems(true, said), Vec::<String>::new());
    }

    #[test]
    fn addresses_that_lead_elsewhere_or_hold_secrets_are_refused() {
        for address in [
            "http://10.0.0.1/v1",
            "http://metadata.internal/v1",
            "https://user:password@api.openai.com/v1",
            "https://api.openai.com/v1?key=1",
            "ftp://127.0.0.1",
            "api.openai.com",
            "",
        ] {
            let found = problems(false, |settings| {
                address.clone_into(&mut settings.providers[0].base_url);
            });
            assert_eq!(found.len(), 1, "{address}: {found:?}");
        }
    }

    #[test]
    fn whoever_writes_one_limit_loses_no_other() {
        let settings = AssistantSettings {
            limits: vec![
                limit(BudgetScope::Site, Period::Month, 7),
                limit(BudgetScope::Member, Period::Month, 8),
            ],
            ..settings()
        };
        let limits = settings.default_limits().unwrap();
        let of = |scope, period| limits.of(scope, None, period).map(Micros::get);
        assert_eq!(of(BudgetScope::Site, Period::Month), Some(7));
        assert_eq!(of(BudgetScope::Member, Period::Month), Some(8));
        assert_eq!(of(BudgetScope::Site, Period::Day), Some(10_000_000));
        assert_eq!(of(BudgetScope::Member, Period::Day), Some(2_000_000));
        assert_eq!(of(BudgetScope::Visitors, Period::Day), Some(2_000_000));
        assert_eq!(of(BudgetScope::Visitor, Period::Day), Some(200_000));
        assert_eq!(limits.all().len(), 6);
    }

    #[test]
    fn odd_prices_limits_and_names_are_named() {
        let twice = problems(false, |settings| {
            let again = settings.providers[0].clone();
            settings.providers.push(again);
        });
        assert_eq!(twice, ["assistant.providers[1].name is there twice"]);
        let nobodys = problems(false, |settings| settings.prices[0].provider = "groq".to_owned());
        assert_eq!(
            nobodys,
            ["assistant.prices[0].provider is none of assistant.providers"]
        );
        let tiers = problems(false, |settings| settings.prices[0].tiers.clear());
        assert!(
            tiers[0].starts_with("assistant.prices are not usable"),
            "{tiers:?}"
        );
        let day = limit(BudgetScope::Site, Period::Day, 1);
        for odd in [vec![limit(BudgetScope::Purpose, Period::Day, 1)], vec![day, day]] {
            let limits = problems(false, |settings| settings.limits = odd);
            assert!(
                limits[0].starts_with("assistant.limits are not usable"),
                "{limits:?}"
            );
        }
        let name = problems(false, |settings| {
            settings.providers[0].name = "Open AI".to_owned();
        });
        assert_eq!(name.len(), 2, "and its prices are nobody's: {name:?}");
    }
}
