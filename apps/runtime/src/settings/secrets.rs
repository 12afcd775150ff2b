//! The master keys, under which the database's secrets are sealed.

use std::sync::Arc;

use posx_envelope::{LocalMasterKeys, MasterKey, MasterKeyError};
use posx_kernel::{Randomness, SystemRandomness};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::reference::Secret;

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsSettings {
    /// Each as `ID:KEY`, with an id of 1 to 32 of a-z, 0-9, - and _, and 32 random bytes in base64. The first wraps; up to seven
    /// others unwrap what they wrapped before, until `posx keys rotate` is through.
    #[schemars(with = "Vec<Secret>", extend("x-default" = "required"))]
    pub master_keys: Vec<SecretString>,
}

impl SecretsSettings {
    /// Those of the settings.
    pub fn master_keys(&self, randomness: Arc<dyn Randomness>) -> Result<LocalMasterKeys, MasterKeyError> {
        let keys = self.master_keys.iter().map(MasterKey::parse);
        LocalMasterKeys::new(keys.collect::<Result<_, _>>()?, randomness)
    }

    /// Wherever it runs: a secret that is kept under a bad key is kept under none.
    pub(super) fn check(&self, problems: &mut Vec<String>) {
        if self.master_keys.is_empty() {
            problems.push(
                "secrets.master_keys is missing: give one as ID:KEY, `openssl rand -base64 32` makes the key"
                    .into(),
            );
            return;
        }
        let mut usable = true;
        for (at, key) in self.master_keys.iter().enumerate() {
            if let Err(error) = MasterKey::parse(key) {
                problems.push(format!("secrets.master_keys[{at}] is not usable: {error}"));
                usable = false;
            }
        }
        if usable && let Err(error) = self.master_keys(Arc::new(SystemRandomness)) {
            problems.push(format!("secrets.master_keys is not usable: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(keys: &[&SecretString]) -> Vec<String> {
        let master_keys = keys.iter().map(|key| (*key).clone()).collect();
        let mut problems = Vec::new();
        SecretsSettings { master_keys }.check(&mut problems);
        problems
    }

    fn key(id: &str) -> SecretString {
        MasterKey::generate(id, &SystemRandomness)
    }

    #[test]
    fn there_is_a_master_key_and_it_is_random() {
        assert_eq!(problems(&[&key("m1")]), Vec::<String>::new());
        assert_eq!(problems(&[&key("m2"), &key("m1")]), Vec::<String>::new());
        assert!(problems(&[])[0].starts_with("secrets.master_keys is missing: give one as ID:KEY"));
        let zeros = SecretString::from(format!("m0:{}=", "A".repeat(43)));
        let found = problems(&[&key("m1"), &zeros, &SecretString::from("changeme")]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("secrets.master_keys[1] is not usable: the key is not random"));
        assert!(found[1].starts_with("secrets.master_keys[2] is not usable: it is not ID:KEY"));
        assert!(!found.join(" ").contains("AAAA") && !found.join(" ").contains("changeme"));
        assert_eq!(
            problems(&[&key("m1"), &key("m1")]),
            ["secrets.master_keys is not usable: an id or a key is there twice"]
        );
    }
}
