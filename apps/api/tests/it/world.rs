//! One test's world: two fresh sites in the shared database, a sandbox outside, the API without a socket.

use std::sync::{Arc, OnceLock};

use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::test::{TestRequest, init_service};
use actix_web::{Error, web};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posx_api::{Api, ApiState};
use posx_kernel::{ManualClock, Randomness, SystemRandomness};
use posx_runtime::{
    CustodyMode, CustodyProvider, CustodySettings, DatabaseSettings, DocumentsSettings, Environment,
    IssuerSettings, LogFormat, LogSettings, MailSettings, PaymentProvider, PaymentSettings, PlatformSettings,
    RateLimits, SecretsSettings, ServerSettings, Services, SessionSettings, Settings, SignInSettings,
    WalletSettings, WorkerSettings,
};
use posx_sandbox::{Drive, TokenRequest, World, WorldConfig};
use posx_tenancy::{Platform, Role, Site};
use posx_testkit::{database, fresh_site, platform};
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;

/// Of the page that opens and refreshes sessions.
pub const ORIGIN: &str = "https://console.posx.test";

pub const AUDIENCE: &str = "https://api.posx.test";
/// Of the platform plane. Its tokens come from the same issuer.
pub const PLATFORM_AUDIENCE: &str = "https://platform.posx.test";

/// Two sites, and everything around them.
pub struct Scene {
    pub settings: Settings,
    pub state: Api,
    pub world: World,
    pub clock: Arc<ManualClock>,
    pub platform: Platform,
    pub site: Site,
    pub other: Site,
    /// Where e-mail goes.
    pub letters: TempDir,
    /// Where files of documents go.
    pub papers: TempDir,
}

/// Someone with a token.
#[derive(Debug, Clone)]
pub struct Person {
    pub token: String,
    pub subject: String,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(ManualClock::default());
        let config = WorldConfig {
            drive: Drive::Manual,
            ..WorldConfig::new(clock.clone())
        };
        let world = World::start(config).await.expect("a world");
        let letters = tempfile::tempdir().expect("a folder");
        let papers = tempfile::tempdir().expect("a folder");
        let mut settings = settings(&world);
        settings.mail = Some(MailSettings {
            smtp_url: None,
            folder: Some(letters.path().to_owned()),
            from: "POSX <no-reply@posx.test>".to_owned(),
            invitation_link: "https://app.posx.test/{site}/join#token={token}".to_owned(),
        });
        settings.documents = Some(DocumentsSettings {
            folder: Some(papers.path().to_owned()),
            s3: None,
        });
        change(&mut settings);
        let services = Services::connect(&settings, clock.clone())
            .await
            .expect("services");
        let services = services
            .with_platform(&settings)
            .await
            .expect("the platform plane");
        let state = web::Data::new(ApiState::new(services, settings.server.clone()));
        let (site, other) = (fresh_site("USD").await, fresh_site("KWD").await);
        let platform = platform(clock.clone()).await;
        Self {
            settings,
            state,
            world,
            clock,
            platform,
            site,
            other,
            letters,
            papers,
        }
    }

    /// A stranger to every site.
    pub fn stranger(&self) -> Person {
        let mut random = [0; 8];
        SystemRandomness.fill(&mut random);
        let subject = format!("person-{}", hex::encode(random));
        let request = TokenRequest::new(&subject, AUDIENCE);
        let token = self.world.issuer().token(&request).expect("a token");
        Person { token, subject }
    }

    pub async fn member(&self, site: &Site, role: Role) -> Person {
        let person = self.stranger();
        let issuer = self.world.issuer().url();
        self.platform
            .appoint(site, issuer, &person.subject, role)
            .await
            .expect("appointed");
        person
    }
}

fn settings(world: &World) -> Settings {
    let (database, secrets) = (database(), world.secrets());
    let secret = |text: &str| SecretString::from(text.to_owned());
    let any = "127.0.0.1:0".parse().expect("an address");
    Settings {
        environment: Environment::Sandbox,
        database: DatabaseSettings {
            app_url: secret(&database.app_url),
            jobs_url: secret(&database.jobs_url),
            platform_url: Some(secret(&database.platform_url)),
            migrator_url: None,
            pool_size: 4,
            jobs_pool_size: 2,
        },
        server: ServerSettings {
            bind: any,
            metrics_bind: any,
            workers: Some(1),
            shutdown_grace_s: 5,
            rate_limits: RateLimits::all(1_000_000),
            ..ServerSettings::default()
        },
        issuers: vec![IssuerSettings {
            issuer: world.issuer().url().to_owned(),
            audience: AUDIENCE.to_owned(),
            jwks_url: None,
        }],
        auth0: Vec::new(),
        cognito: Vec::new(),
        payments: PaymentSettings {
            provider: PaymentProvider::Sandbox,
            base_url: world.stripe_url(),
            secret_key: Some(secret(&secrets.stripe_secret_key)),
            webhook_secrets: secrets.stripe_webhook.iter().map(|text| secret(text)).collect(),
            connect_webhook_secrets: Vec::new(),
            accounts: Vec::new(),
        },
        wallets: wallets(),
        secrets: SecretsSettings {
            master_keys: vec![secret(posx_testkit::MASTER_KEY)],
        },
        sessions: Some(SessionSettings {
            origins: vec![ORIGIN.to_owned()],
            ..SessionSettings::default()
        }),
        custody: CustodySettings {
            provider: CustodyProvider::Sandbox,
            base_url: world.fireblocks_url(),
            api_key: secret(&secrets.fireblocks_api_key),
            jwks_url: world.fireblocks_jwks_url(),
            region: None,
            private_key: None,
            mode: CustodyMode::Sandbox,
            real_transfers: false,
            gas_floors: Vec::new(),
        },
        redis: None,
        mail: None,
        documents: None,
        assistant: posx_runtime::AssistantSettings::sandbox(&world.models_url()),
        platform: Some(plane(world)),
        step_up: posx_runtime::StepUpSettings::default(),
        log: LogSettings {
            format: LogFormat::Pretty,
            filter: "warn".to_owned(),
        },
        worker: WorkerSettings::default(),
    }
}

fn plane(world: &World) -> PlatformSettings {
    PlatformSettings {
        issuer: world.issuer().url().to_owned(),
        audience: PLATFORM_AUDIENCE.to_owned(),
        jwks_url: None,
        second_factor_methods: vec!["mfa".to_owned()],
        second_factor_contexts: Vec::new(),
    }
}

fn wallets() -> WalletSettings {
    WalletSettings {
        domains: vec!["localhost:5173".to_owned()],
        sign_in: Some(SignInSettings {
            issuer: "https://api.posx.test/".to_owned(),
            audience: AUDIENCE.to_owned(),
            private_key: SecretString::from(private_key().to_owned()),
        }),
        ..WalletSettings::default()
    }
}

/// In PEM; made once for all scenes.
fn private_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = key.as_der().expect("its form");
        let body = STANDARD.encode(der.as_ref());
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    })
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    pub json: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or("")
    }

    pub fn field(&self) -> &str {
        self.json["errors"][0]["field"].as_str().unwrap_or("")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
    }

    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> String {
        let text = self.json.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no text at {pointer} of {}", self.json))
            .to_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self
    }

    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.code()),
            (status, code),
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
    }
}

/// One request, put together step by step.
pub struct Call(TestRequest);

impl Call {
    pub fn new(method: &str, path: &str) -> Self {
        let method = method.parse().expect("a method");
        Self(TestRequest::default().method(method).uri(path))
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    pub fn put(path: &str) -> Self {
        Self::new("PUT", path)
    }

    pub fn by(self, person: &Person) -> Self {
        self.header("authorization", &format!("Bearer {}", person.token))
    }

    pub fn at(self, site: &Site) -> Self {
        self.header("x-site-code", site.code.as_str())
    }

    pub fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub fn header(self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header");
        let value = HeaderValue::from_str(value).expect("a value");
        Self(self.0.insert_header((name, value)))
    }

    pub fn json(self, body: &Value) -> Self {
        self.raw("application/json", body.to_string())
    }

    pub fn raw(self, content_type: &str, body: impl Into<web::Bytes>) -> Self {
        Self(
            self.0
                .insert_header(("content-type", content_type))
                .set_payload(body),
        )
    }

    pub async fn send<S, B>(self, app: &S) -> Answer
    where
        S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody,
    {
        let peer = "192.0.2.1:1000".parse().expect("an address");
        let (status, headers, bytes) = match app.call(self.0.peer_addr(peer).to_request()).await {
            Ok(answer) => {
                let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
                (status, headers, to_bytes(answer.into_body()).await.ok())
            }
            // The server answers an error that no middleware is left for in the same way.
            Err(error) => {
                let answer = error.error_response();
                let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
                (status, headers, to_bytes(answer.into_body()).await.ok())
            }
        };
        let bytes = bytes.expect("a body").to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            status,
            headers,
            bytes,
            json,
        }
    }
}

/// The API of a scene, without a socket.
pub async fn api(
    scene: &Scene,
) -> impl Service<actix_http::Request, Response = ServiceResponse<impl MessageBody>, Error = Error> {
    init_service(posx_api::app(scene.state.clone())).await
}
