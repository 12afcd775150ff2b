//! A user pool made for one test, over the API of AWS: administration signed with Signature Version 4, sign-in not.

use aws_lc_rs::{digest, hmac};
use posx_kernel::{Clock as _, SystemClock};
use reqwest::Url;
use serde_json::{Value, json};

use crate::browser::{client, code, next};
use crate::{REDIRECT_URI, challenge};

const REGION: &str = "us-east-1";
const SERVICE: &str = "cognito-idp";
const PASSWORD: &str = "Correct-Horse-9";
const USER: &str = "ada";

pub(crate) struct Pool {
    base: Url,
    pub(crate) id: String,
    pub(crate) app: App,
}

pub(crate) struct App {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Pool {
    /// With one user in one group, and one app for people.
    pub(crate) async fn new(base: &str) -> Self {
        let base = Url::parse(base).unwrap();
        let pool = admin(&base, "CreateUserPool", &json!({"PoolName": "posx"})).await;
        let id = pool["UserPool"]["Id"].as_str().unwrap().to_owned();
        let app = App {
            id: String::new(),
            secret: String::new(),
        };
        let mut pool = Self { base, id, app };
        pool.app = pool.new_app().await;
        pool.admin(
            "AdminCreateUser",
            json!({"Username": USER, "MessageAction": "SUPPRESS"}),
        )
        .await;
        let password = json!({"Username": USER, "Password": PASSWORD, "Permanent": true});
        pool.admin("AdminSetUserPassword", password).await;
        pool.admin("CreateGroup", json!({"GroupName": "admins"})).await;
        pool.admin(
            "AdminAddUserToGroup",
            json!({"Username": USER, "GroupName": "admins"}),
        )
        .await;
        pool
    }

    pub(crate) async fn new_app(&self) -> App {
        let flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"];
        self.create_app(json!({
            "ClientName": "shop", "GenerateSecret": true, "ExplicitAuthFlows": flows, "AllowedOAuthFlows": ["code"],
            "AllowedOAuthFlowsUserPoolClient": true, "AllowedOAuthScopes": ["openid"], "CallbackURLs": [REDIRECT_URI],
            "SupportedIdentityProviders": ["COGNITO"],
        }))
        .await
    }

    pub(crate) async fn new_machine(&self) -> App {
        let scopes = json!([{"ScopeName": "read", "ScopeDescription": "read"}]);
        let resource = json!({"Identifier": "orders", "Name": "orders", "Scopes": scopes});
        self.admin("CreateResourceServer", resource).await;
        self.create_app(json!({
            "ClientName": "machine", "GenerateSecret": true, "AllowedOAuthFlows": ["client_credentials"],
            "AllowedOAuthFlowsUserPoolClient": true, "AllowedOAuthScopes": ["orders/read"],
        }))
        .await
    }

    async fn create_app(&self, app: Value) -> App {
        let app = self.admin("CreateUserPoolClient", app).await;
        let text = |name: &str| app["UserPoolClient"][name].as_str().unwrap().to_owned();
        App {
            id: text("ClientId"),
            secret: text("ClientSecret"),
        }
    }

    pub(crate) async fn sign_everybody_out(&self) {
        self.admin("AdminUserGlobalSignOut", json!({"Username": USER}))
            .await;
    }

    async fn admin(&self, action: &str, mut input: Value) -> Value {
        input["UserPoolId"] = json!(self.id);
        admin(&self.base, action, &input).await
    }

    /// Through the pool's sign-in page.
    pub(crate) async fn sign_in(&self, app: &App) -> String {
        let form = [
            ("client_id", app.id.as_str()),
            ("redirect_uri", REDIRECT_URI),
            ("response_type", "code"),
            ("scope", "openid"),
            ("code_challenge", &challenge()),
            ("code_challenge_method", "S256"),
            ("username", USER),
            ("password", PASSWORD),
        ];
        let url = self.base.join("login").unwrap();
        let response = client().post(url.clone()).form(&form).send().await.unwrap();
        code(&next(&url, &response))
    }

    /// A raw grant, for what the token client has no use for.
    pub(crate) async fn grant(&self, app: &App, form: &[(&str, &str)]) -> Value {
        let request = client()
            .post(self.address("oauth2/token"))
            .basic_auth(&app.id, Some(&app.secret));
        let body = request.form(form).send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    pub(crate) fn keys_url(&self) -> String {
        self.address(&format!("{}/.well-known/jwks.json", self.id))
    }

    pub(crate) fn address(&self, path: &str) -> String {
        self.base.join(path).unwrap().into()
    }
}

/// One signed call, as an administrator makes it.
async fn admin(base: &Url, action: &str, input: &Value) -> Value {
    let body = input.to_string();
    let target = format!("AWSCognitoIdentityProviderService.{action}");
    let now = SystemClock.now();
    let (time, day) = (now.format("%Y%m%dT%H%M%SZ").to_string(), now.format("%Y%m%d"));
    let host = format!("{}:{}", base.host_str().unwrap(), base.port().unwrap());
    let names = "host;x-amz-date;x-amz-target";
    let canonical = format!(
        "POST\n/\n\nhost:{host}\nx-amz-date:{time}\nx-amz-target:{target}\n\n{names}\n{}",
        sha256(&body)
    );
    let scope = format!("{day}/{REGION}/{SERVICE}/aws4_request");
    let wanted = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(&canonical));
    let parts = [day.to_string().as_str(), REGION, SERVICE, "aws4_request", &wanted].map(str::to_owned);
    let signature = parts
        .iter()
        .fold(b"AWS4test".to_vec(), |key, part| hmac_sha256(&key, part));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={names}, Signature={}",
        hex::encode(signature)
    );
    let response = client()
        .post(base.clone())
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-date", time)
        .header("x-amz-target", target)
        .header("authorization", authorization)
        .body(body)
        .send()
        .await
        .unwrap();
    let status = response.status();
    let answer = response.bytes().await.unwrap();
    assert!(
        status.is_success(),
        "{action}: {status} {}",
        String::from_utf8_lossy(&answer)
    );
    serde_json::from_slice(&answer).unwrap_or_default()
}

fn sha256(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}
