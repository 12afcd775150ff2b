//! Through the gateway: what is redacted is in no body that leaves.

use std::sync::Arc;

use chrono::DateTime;
use posx_assistant::testing::{FakeQuota, FakeSecrets, FakeSetups, MODEL, choice, prices};
use posx_assistant::{
    Ask, Asker, CONSENT_TEXT_VERSION, Gateway, GatewayParts, Limits, ModelAccount, Provider as Operators,
    Providers, Purpose, ToolCall,
};
use posx_kernel::{IdentityId, SiteScope, SystemClock, SystemIds, SystemRandomness};

use super::*;

#[tokio::test]
async fn no_secret_is_in_a_body_that_leaves() {
    let finish = json!({ "choices": [{ "delta": { "content": "Yes." }, "finish_reason": "stop" }] });
    let (provider, base) = Provider::start([Sent::events(&[finish]).done()]).await;
    let operators = Operators {
        kind: ProviderKind::OpenAi,
        base_url: base.parse().unwrap(),
        key: None,
        needs_key: false,
    };
    let (setups, site) = (FakeSetups::default(), SiteId::from_uuid(uuid::Uuid::from_u128(1)));
    let scope = SiteScope::of_verified_request(site);
    let account = ModelAccount::new(Purpose::StaffChat, choice("main", MODEL), DateTime::UNIX_EPOCH);
    setups.put_account(&scope, account);
    setups.put_consent(&scope, Purpose::StaffChat, CONSENT_TEXT_VERSION);
    let gateway = Gateway::new(GatewayParts {
        model: Arc::new(models()),
        quota: Arc::new(FakeQuota::new("UTC".parse().unwrap(), Limits::default())),
        prices: Arc::new(prices()),
        setups: Arc::new(setups),
        providers: Arc::new(
            [("main".to_owned(), operators)]
                .into_iter()
                .collect::<Providers>(),
        ),
        secrets: Arc::new(FakeSecrets::default()),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        randomness: Arc::new(SystemRandomness),
    });
    let phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    let key = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    let secrets = ["4111 1111 1111 1111", "ada@example.com", phrase, key];
    let said = secrets.join("; ");
    let ask = Ask {
        purpose: Purpose::StaffChat,
        asker: Asker::Member(IdentityId::from_uuid(uuid::Uuid::from_u128(2))),
        system: said.clone(),
        messages: vec![
            Message::User(vec![Part::Text(said.clone())]),
            Message::Assistant {
                text: said.clone(),
                tool_calls: vec![ToolCall {
                    id: "call_1".to_owned(),
                    name: "find_orders".to_owned(),
                    arguments: json!({ "note": said }).to_string(),
                }],
            },
            Message::Tool {
                call: "call_1".to_owned(),
                content: json!([{ "note": said }]).to_string(),
            },
        ],
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 50,
    };
    gateway.complete(&scope, ask).await.unwrap();
    let body = provider.asked().remove(0).2.to_string();
    for secret in secrets {
        assert!(!body.contains(secret), "{secret} in {body}");
    }
    assert_eq!(body.matches("[card number]").count(), 5);
}
