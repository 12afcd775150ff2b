//! How wallets are proven, and how long a replaced one waits.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use posx_ethereum::Node;
use posx_issuer::{IssuerError, TokenIssuer};
use posx_tenancy::WalletProofRules;
use posx_tiers::Chain;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::reference::Secret;

const COOLING_OFF_HOURS_MAX: u16 = 30 * 24;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WalletSettings {
    /// Host and port of pages that may ask wallets for a proof on any site, beside the site's own host names:
    /// `app.posx.example,localhost:5173`.
    pub domains: Vec<String>,
    /// EIP-155 ids of chains that a proof may name.
    pub chain_ids: Vec<u64>,
    /// Where contract wallets are asked (EIP-1271); without a node of a chain they are refused there.
    pub nodes: Vec<NodeSettings>,
    /// How long nothing is sent to a wallet that took another's place; at most 720.
    #[schemars(extend("x-refused" = "`0`"))]
    pub cooling_off_hours: u16,
    /// From the section `sign_in`; without it, nobody signs in with a wallet.
    #[serde(skip)]
    pub sign_in: Option<SignInSettings>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeSettings {
    /// One of `wallets.chain_ids`.
    pub chain_id: u64,
    /// Of its JSON-RPC. Providers put their key into it.
    #[schemars(with = "Secret", extend("x-refused" = "an address without https"))]
    pub url: SecretString,
}

/// Our own access tokens for those who sign in with a wallet.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignInSettings {
    /// What its tokens say as `iss`: this API's own address.
    #[schemars(extend("x-refused" = "an address without https"))]
    pub issuer: String,
    /// What they say as `aud`.
    pub audience: String,
    /// RSA, 2048 bits at least, in PEM; replacing it ends the tokens of the last 15 minutes.
    #[schemars(with = "Secret")]
    pub private_key: SecretString,
}

impl SignInSettings {
    pub fn token_issuer(&self) -> Result<TokenIssuer, IssuerError> {
        TokenIssuer::new(&self.issuer, &self.audience, &self.private_key)
    }
}

impl Default for WalletSettings {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            chain_ids: Chain::ALL.iter().filter_map(|chain| chain.eip155_id()).collect(),
            nodes: Vec::new(),
            cooling_off_hours: 24,
            sign_in: None,
        }
    }
}

impl WalletSettings {
    pub fn rules(&self) -> WalletProofRules {
        WalletProofRules {
            domains: self.domains.clone(),
            chain_ids: self.chain_ids.clone(),
        }
    }

    pub fn cooling_off(&self) -> TimeDelta {
        TimeDelta::hours(i64::from(self.cooling_off_hours))
    }

    /// By chain id.
    pub fn nodes(&self) -> Result<BTreeMap<u64, Node>, posx_ethereum::NodeAddressError> {
        let node = |node: &NodeSettings| Ok((node.chain_id, Node::new(node.url.expose_secret())?));
        self.nodes.iter().map(node).collect()
    }

    pub(super) fn check(&self, production: bool, problems: &mut Vec<String>) {
        let mut unless = |fine: bool, problem: String| {
            if !fine {
                problems.push(problem);
            }
        };
        for (at, domain) in self.domains.iter().enumerate() {
            let fine = !domain.is_empty()
                && domain
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b));
            unless(
                fine,
                format!("wallets.domains[{at}] is not a host name, in lower case, and its port"),
            );
        }
        // Chains that are not ours are test networks or mistakes; the database keeps them as bigint.
        let is_chain = |id: &u64| i64::try_from(*id).is_ok_and(|id| id > 0);
        unless(
            !self.chain_ids.is_empty() && self.chain_ids.iter().all(is_chain),
            "wallets.chain_ids is empty or has an id that is none".into(),
        );
        for (at, node) in self.nodes.iter().enumerate() {
            let usable = Node::new(node.url.expose_secret()).is_ok();
            unless(
                usable && (!production || node.url.expose_secret().starts_with("https://")),
                format!("wallets.nodes[{at}].url is not an https:// address"),
            );
            unless(
                self.chain_ids.contains(&node.chain_id),
                format!("wallets.nodes[{at}].chain_id is not in wallets.chain_ids"),
            );
            unless(
                !self.nodes[..at]
                    .iter()
                    .any(|other| other.chain_id == node.chain_id),
                format!("wallets.nodes[{at}].chain_id is there twice"),
            );
        }
        if let Some(sign_in) = &self.sign_in {
            let address = sign_in.issuer.strip_prefix("https://");
            let local = sign_in.issuer.strip_prefix("http://").filter(|_| !production);
            unless(
                address.or(local).is_some_and(|host| !host.is_empty()),
                "sign_in.issuer is not an https:// address".into(),
            );
            unless(!sign_in.audience.is_empty(), "sign_in.audience is empty".into());
            if let Err(error) = sign_in.token_issuer() {
                unless(false, format!("sign_in.private_key is not usable: {error}"));
            }
        }
        unless(
            (1..=COOLING_OFF_HOURS_MAX).contains(&self.cooling_off_hours)
                || !production && self.cooling_off_hours == 0,
            format!("wallets.cooling_off_hours is not 1 to {COOLING_OFF_HOURS_MAX}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut WalletSettings)) -> Vec<String> {
        let (mut settings, mut problems) = (WalletSettings::default(), Vec::new());
        change(&mut settings);
        settings.check(true, &mut problems);
        problems
    }

    fn node(chain_id: u64, url: &str) -> NodeSettings {
        NodeSettings {
            chain_id,
            url: SecretString::from(url.to_owned()),
        }
    }

    #[test]
    fn what_is_not_said_is_safe_and_what_is_wrong_is_named() {
        assert_eq!(problems(|_| {}), Vec::<String>::new());
        let found = problems(|settings| {
            settings.domains = vec!["https://posx.test".to_owned(), "app.posx.test:8443".to_owned()];
            settings.nodes = vec![
                node(1, "https://rpc.test/key"),
                node(1, "http://rpc.test/key"),
                node(5, "https://a/"),
            ];
            settings.cooling_off_hours = 0;
        });
        assert_eq!(
            found,
            [
                "wallets.domains[0] is not a host name, in lower case, and its port",
                "wallets.nodes[1].url is not an https:// address",
                "wallets.nodes[1].chain_id is there twice",
                "wallets.nodes[2].chain_id is not in wallets.chain_ids",
                "wallets.cooling_off_hours is not 1 to 720",
            ]
        );
        let shown = format!("{:?}", node(1, "https://rpc.test/key"));
        assert!(!shown.contains("rpc.test"), "{shown}");
    }

    #[test]
    fn lists_nodes_and_sign_in_come_from_the_environment() {
        let env = [
            ("POSX__WALLETS__DOMAINS", "app.posx.test,localhost:5173"),
            ("POSX__WALLETS__CHAIN_IDS", "1,137"),
            (
                "POSX__WALLETS__NODES",
                r#"[{"chain_id": 5, "url": "https://rpc.test/key"}]"#,
            ),
            ("POSX__WALLETS__COOLING_OFF_HOURS", "48"),
            ("POSX__SIGN_IN__ISSUER", "https://api.posx.test/"),
            ("POSX__SIGN_IN__AUDIENCE", "posx"),
            ("POSX__SIGN_IN__PRIVATE_KEY", "no key at all"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let read = crate::Settings::load(None, env.into_iter());
        // Each was read; what is wrong with two of them is told, beside everything that is missing.
        let Err(crate::SettingsError::Problems(problems)) = read else {
            panic!("{read:?}")
        };
        let mut ours: Vec<_> = problems.iter().map(String::as_str).collect();
        ours.retain(|problem| problem.starts_with("wallets") || problem.starts_with("sign_in"));
        assert_eq!(
            ours,
            [
                "wallets.nodes[0].chain_id is not in wallets.chain_ids",
                "sign_in.private_key is not usable: the key is not an RSA private key in PEM",
            ]
        );
    }
}
