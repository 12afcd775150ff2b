//! Which site sends from which of the custodian's vaults: each is one site's only (F25).

use posx_kernel::StoreError;
use serde_json::json;

use super::{Platform, PlatformError};
use crate::{Site, SiteCode};

const VAULTS_MAX: usize = 50;
const CHARACTERS_MAX: usize = 100;

impl Platform {
    /// Of the site, in order.
    pub async fn vaults(&self, site: &Site) -> Result<Vec<String>, StoreError> {
        self.directory.vaults(site.id).await
    }

    /// Gives vaults to a site and takes some from it; says which it has then. What it has already, and what it has not, is no
    /// mistake. From one that is taken away nothing more is sent.
    pub async fn change_vaults(
        &self,
        code: &str,
        added: &[String],
        removed: &[String],
    ) -> Result<Vec<String>, PlatformError> {
        let (added, removed) = (vaults(added)?, vaults(removed)?);
        let code = SiteCode::new(code).ok_or(PlatformError::Unknown)?;
        let mut tx = self.directory.begin(&self.actor, None).await?;
        let site = tx.site_for_update(&code).await?.ok_or(PlatformError::Unknown)?;
        let before = tx.vaults(site.id).await?;
        tx.change_vaults(site.id, &added, &removed).await?;
        let after = tx.vaults(site.id).await?;
        if after.len() > VAULTS_MAX {
            return Err(PlatformError::TooManyVaults);
        }
        if after != before {
            let changed = json!({ "vaults": [before, after] });
            let act = self.act("site.vaults_changed", changed).at_site(site.id);
            tx.record(&act).await?;
        }
        tx.commit().await?;
        Ok(after)
    }
}

/// In order. They are the custodian's ids: compared letter by letter.
fn vaults(texts: &[String]) -> Result<Vec<String>, PlatformError> {
    if texts.len() > VAULTS_MAX {
        return Err(PlatformError::TooManyVaults);
    }
    let vault = |text: &String| {
        let id = text.trim().to_owned();
        let is_id =
            (1..=CHARACTERS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        is_id.then_some(id).ok_or(PlatformError::Vault)
    };
    let mut ids = texts.iter().map(vault).collect::<Result<Vec<_>, _>>()?;
    ids.sort();
    ids.dedup();
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_is_a_visible_word() {
        let of = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            vaults(&texts).ok()
        };
        assert_eq!(
            of(&[" 7", "12", "7"]),
            Some(vec!["12".to_owned(), "7".to_owned()])
        );
        for bad in ["", " ", "1 2", "ä", "a\tb", &"7".repeat(101)] {
            assert_eq!(of(&[bad]), None, "{bad}");
        }
        assert_eq!(of(&["7"; 51]), None);
    }
}
