//! What staff do while somebody kills: two people agree to each batch, and to what agents are paid.

use posx_stage::Outcome;
use reqwest::Method;
use serde_json::{Value, json};

use crate::patient::Patient;
use crate::round::Round;

const BATCHES: &str = "/api/v1/allocation-batches";
const SETTLEMENTS: &str = "/api/v1/settlements";
/// What is open is among the newest.
const LOOKED_AT: &str = "?limit=10";

impl Round<'_> {
    /// Puts what waits in a batch, and agrees to whatever batch waits for that.
    pub async fn deliver(&self) -> Outcome<()> {
        let waiting = self
            .cast
            .owner
            .get("/api/v1/allocations?state=pending&limit=100")
            .await?;
        let ids: Vec<_> = items(&waiting).map(|one| one["id"].clone()).collect();
        if !ids.is_empty() {
            let key = format!("batch-{}", self.number);
            let wish = json!({ "allocations": ids });
            // What was disputed meanwhile, or went back, is not sent: the next round looks again.
            self.try_to(&self.cast.owner, BATCHES, &key, &wish).await?;
        }
        self.agree().await
    }

    /// To every batch that is a draft or paused: two others agree to what it is to send now, and it goes on.
    async fn agree(&self) -> Outcome<()> {
        let batches = self.cast.owner.get(&format!("{BATCHES}{LOOKED_AT}")).await?;
        let open = |batch: &&Value| batch["state"] == "draft" || batch["state"] == "paused";
        for batch in items(&batches).filter(open) {
            let id = batch["id"].as_str().ok_or("a batch without an id")?;
            for checker in [&self.cast.checker, &self.cast.second_checker] {
                let seen = self.cast.owner.get(&format!("{BATCHES}/{id}")).await?;
                let key = format!("agree-{id}-{}-{}", checker.name, seen["hash"]);
                let body = json!({ "hash": seen["hash"] });
                self.try_to(checker, &format!("{BATCHES}/{id}/approve"), &plain(&key), &body)
                    .await?;
            }
            let key = format!("resume-{id}-{}", self.number);
            self.try_to(
                &self.cast.owner,
                &format!("{BATCHES}/{id}/resume"),
                &key,
                &json!({}),
            )
            .await?;
        }
        Ok(())
    }

    /// What agents have is settled by the provider: one makes the preview, another approves of it as it is then.
    pub async fn settle(&self) -> Outcome<()> {
        let key = format!("settle-{}", self.number);
        self.try_to(
            &self.cast.owner,
            SETTLEMENTS,
            &key,
            &json!({ "method": "connect" }),
        )
        .await?;
        let settlements = self.cast.owner.get(&format!("{SETTLEMENTS}{LOOKED_AT}")).await?;
        let drafts = items(&settlements).filter(|one| one["state"] == "draft");
        for draft in drafts {
            let id = draft["id"].as_str().ok_or("a settlement without an id")?;
            let (hash, body) = (
                draft["hash"].as_str().unwrap_or_default(),
                json!({ "hash": draft["hash"] }),
            );
            let key = format!("approve-{id}-{hash}");
            // Stale, if an order went back meanwhile: the next round approves of the new preview.
            self.try_to(
                &self.cast.checker,
                &format!("{SETTLEMENTS}/{id}/approve"),
                &plain(&key),
                &body,
            )
            .await?;
        }
        Ok(())
    }

    /// A refusal is an answer as well: what is not possible now is looked at again in the next round.
    async fn try_to(&self, who: &Patient, path: &str, key: &str, body: &Value) -> Outcome<()> {
        match who.ask(Method::POST, path, Some(key), Some(body)).await? {
            Ok(_) | Err((409, _)) => Ok(()),
            Err((status, code)) => Err(format!("POST {path}: {status} {code}").into()),
        }
    }
}

fn items(page: &Value) -> impl Iterator<Item = &Value> {
    page["items"].as_array().into_iter().flatten()
}

/// As a key may be.
fn plain(key: &str) -> String {
    key.replace('"', "")
}
