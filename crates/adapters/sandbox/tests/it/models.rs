//! The stand-in of a models' provider, by the client of the real ones.

use std::time::Duration;

use futures::StreamExt as _;
use posx_assistant::{
    Endpoint, FinishReason, LanguageModel as _, Message, ModelCall, ModelError, ModelEvent, Part,
    ProviderKind, ToolSpec,
};
use posx_kernel::{ModelCallId, SiteId};
use posx_llm::{HttpModels, Patience};
use posx_sandbox::{Fault, ModelsCall};
use serde_json::json;

use crate::support::Stage;

type Wanted = fn(&ModelError) -> bool;

fn endpoint(stage: &Stage) -> Endpoint {
    Endpoint {
        provider: "sandbox".to_owned(),
        kind: ProviderKind::OpenAi,
        base_url: stage.world.models_url().parse().unwrap(),
        model: "sandbox-1".to_owned(),
        key: None,
    }
}

fn asking(text: &str) -> ModelCall {
    ModelCall {
        id: ModelCallId::from_uuid(uuid::Uuid::from_u128(7)),
        site: SiteId::from_uuid(uuid::Uuid::from_u128(1)),
        system: "Answer shortly.".to_owned(),
        messages: vec![Message::User(vec![Part::Text(text.to_owned())])],
        tools: vec![ToolSpec {
            name: "find_orders",
            description: "Orders of the site.",
            parameters: json!({ "type": "object" }),
        }],
        answer_schema: None,
        max_output_tokens: 100,
    }
}

async fn ask(stage: &Stage, text: &str) -> Result<Vec<ModelEvent>, ModelError> {
    let models = HttpModels::new(Patience::default()).unwrap();
    let mut stream = models.open(&endpoint(stage), &asking(text)).await?;
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event?);
    }
    Ok(events)
}

#[tokio::test]
async fn an_answer_is_streamed_word_by_word_with_its_usage_last() {
    let stage = Stage::set().await;
    let events = ask(&stage, "[[say 3]]").await.unwrap();
    let words = ["word1 ", "word2 ", "word3"].map(|word| ModelEvent::Text(word.to_owned()));
    assert_eq!(events[..3], words);
    assert_eq!(events[3], ModelEvent::Finished(FinishReason::Stop));
    assert!(
        matches!(events[4], ModelEvent::Usage(usage) if usage.output == 3 && usage.input > 0),
        "{events:?}"
    );
    assert_eq!(
        ask(&stage, "[[say 3]]").await.unwrap(),
        events,
        "the same is answered the same"
    );
    assert_eq!(stage.world.models().line().calls(ModelsCall::Completion), 2);
}

#[tokio::test]
async fn a_script_asks_for_a_tool() {
    let stage = Stage::set().await;
    let events = ask(&stage, "[[call find_orders {\"state\":\"paid\"}]]")
        .await
        .unwrap();
    let call = events.iter().find_map(|event| match event {
        ModelEvent::ToolCall(call) => Some(call),
        _ => None,
    });
    let call = call.unwrap();
    assert_eq!(
        (call.name.as_str(), call.arguments.as_str()),
        ("find_orders", "{\"state\":\"paid\"}")
    );
    assert!(events.contains(&ModelEvent::Finished(FinishReason::ToolCalls)));
}

#[tokio::test]
async fn what_goes_wrong_on_the_line_goes_wrong_as_with_the_real_one() {
    let stage = Stage::set().await;
    let line = stage.world.models().line();
    let refuse = |code: &str| Fault::Refuse {
        code: code.to_owned(),
    };
    let faults: [(Fault, Wanted); 7] = [
        (Fault::ServerError, |error| {
            matches!(error, ModelError::Unavailable(_))
        }),
        (Fault::GatewayTimeout, |error| {
            matches!(error, ModelError::Unavailable(_))
        }),
        (
            Fault::RateLimit,
            |error| matches!(error, ModelError::RateLimited { retry_after: Some(wait) } if wait.num_seconds() == 1),
        ),
        (refuse("insufficient_quota"), |error| {
            matches!(error, ModelError::OutOfCredit)
        }),
        (refuse("context_length_exceeded"), |error| {
            matches!(error, ModelError::TooLong)
        }),
        (
            refuse("invalid_prompt"),
            |error| matches!(error, ModelError::Refused { code } if code == "invalid_prompt"),
        ),
        (Fault::LoseAnswer, |error| {
            matches!(error, ModelError::Broken(_) | ModelError::Unavailable(_))
        }),
    ];
    for (fault, wanted) in faults {
        line.inject(ModelsCall::Completion, fault.clone(), 1);
        let error = ask(&stage, "[[say 40]]").await.unwrap_err();
        assert!(wanted(&error), "{fault:?}: {error:?}");
    }
    line.set_down(true);
    assert!(matches!(
        ask(&stage, "Hello?").await,
        Err(ModelError::Unavailable(_))
    ));
    line.repair();
    line.set_latency(Duration::from_millis(50));
    ask(&stage, "Hello?").await.unwrap();
}
