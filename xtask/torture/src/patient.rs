//! A client as one should be written: it repeats a request under its key until it has an answer.

use std::time::{Duration, Instant};

use posx_stage::{Outcome, client};
use reqwest::{Client, Method};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(40);

#[derive(Clone)]
pub struct Patient {
    pub name: String,
    http: Client,
    base: String,
}

impl Patient {
    pub fn new(name: &str, token: &str, site: &'static str, base: String) -> Self {
        Self {
            name: name.to_owned(),
            http: client(token, Some(site)),
            base,
        }
    }

    /// The body of an answer that is not "later": any 2xx, or a refusal as its status and code.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Outcome<Result<Value, (u16, String)>> {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            let later = match request.send().await {
                Err(gone) => gone.to_string(),
                Ok(answer) => {
                    let status = answer.status();
                    match answer.json::<Value>().await {
                        Ok(body) if status.is_success() => return Ok(Ok(body)),
                        Ok(problem) => {
                            let code = problem["code"].as_str().unwrap_or_default().to_owned();
                            if !status.is_server_error() && code != "idempotency_key_in_progress" {
                                return Ok(Err((status.as_u16(), code)));
                            }
                            format!("{status} {code}")
                        }
                        Err(cut) => cut.to_string(),
                    }
                }
            };
            if Instant::now() > end {
                return Err(format!("{method} {path} had no answer for a minute: {later}").into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Where a refusal is a fault.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Outcome<Value> {
        self.ask(Method::POST, path, Some(key), Some(body))
            .await?
            .map_err(|(status, code)| format!("POST {path}: {status} {code}").into())
    }

    pub async fn get(&self, path: &str) -> Outcome<Value> {
        self.ask(Method::GET, path, None, None)
            .await?
            .map_err(|(status, code)| format!("GET {path}: {status} {code}").into())
    }
}
