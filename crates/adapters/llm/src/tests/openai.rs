use posx_assistant::{FinishReason, ImageInput, ToolCall, Usage};

use super::*;

const KIND: ProviderKind = ProviderKind::OpenAi;

fn delta(delta: &Value) -> Value {
    json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn finish(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }], "usage": null })
}

fn text(text: &str) -> ModelEvent {
    ModelEvent::Text(text.to_owned())
}

#[tokio::test]
async fn a_stream_is_read_to_its_usage_and_its_end() {
    let usage = json!({ "choices": [], "usage": {
        "prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150,
        "prompt_tokens_details": { "cached_tokens": 100 }, "completion_tokens_details": { "reasoning_tokens": 12 },
    } });
    let events = [
        delta(&json!({ "role": "assistant", "content": "" })),
        delta(&json!({ "content": "Seven " })),
        delta(&json!({ "content": "orders: ☕" })),
        finish("stop"),
        usage,
    ];
    let (provider, events) = whole(KIND, &call(), Sent::events(&events).done()).await;
    let said = Usage {
        input: 120,
        cached_input: 100,
        output: 30,
        reasoning: 12,
    };
    assert_eq!(
        events,
        [
            text("Seven "),
            text("orders: ☕"),
            ModelEvent::Finished(FinishReason::Stop),
            ModelEvent::Usage(said)
        ]
    );
    let (path, headers, body) = provider.asked().remove(0);
    assert_eq!(path, "/chat/completions");
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(headers["x-client-request-id"], call().id.to_string());
    assert_eq!(
        body,
        json!({
            "model": "steady", "max_completion_tokens": 50, "stream": true, "stream_options": { "include_usage": true },
            "messages": [{ "role": "system", "content": "Answer shortly." }, { "role": "user", "content": "How much?" }],
        })
    );
}

#[tokio::test]
async fn tool_calls_are_put_together_by_their_index() {
    let piece = |index: u32, id: Option<&str>, name: &str, arguments: &str| {
        delta(
            &json!({ "tool_calls": [{ "index": index, "id": id, "type": "function",
            "function": { "name": name, "arguments": arguments } }] }),
        )
    };
    let events = [
        piece(0, Some("call_a"), "find_orders", ""),
        piece(1, Some("call_b"), "find_tiers", "{}"),
        piece(0, None, "", "{\"state\":"),
        piece(0, None, "", "\"paid\"}"),
        // As some local servers say it.
        finish("stop"),
    ];
    let (_, events) = whole(KIND, &call(), Sent::events(&events).done()).await;
    let seen: Vec<_> = events
        .iter()
        .filter(|event| !matches!(event, ModelEvent::Unseen { .. }))
        .cloned()
        .collect();
    let tool_call = |id: &str, name: &str, arguments: &str| {
        ModelEvent::ToolCall(ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        })
    };
    assert_eq!(
        seen,
        [
            tool_call("call_a", "find_orders", "{\"state\":\"paid\"}"),
            tool_call("call_b", "find_tiers", "{}"),
            ModelEvent::Finished(FinishReason::ToolCalls),
        ]
    );
    let unseen: u64 = events
        .iter()
        .map(|event| match event {
            ModelEvent::Unseen { bytes } => *bytes,
            _ => 0,
        })
        .sum();
    assert_eq!(
        unseen,
        ("find_orders{\"state\":\"paid\"}find_tiers{}").len() as u64
    );
}

#[tokio::test]
async fn every_kind_of_message_is_said_as_the_protocol_says_it() {
    let mut call = call();
    call.messages = vec![
        Message::User(vec![
            Part::Text("Read this.".to_owned()),
            Part::Image(ImageInput {
                media_type: "image/png",
                bytes: vec![1, 2, 3],
            }),
        ]),
        Message::Assistant {
            text: String::new(),
            tool_calls: vec![ToolCall {
                id: "call_a".to_owned(),
                name: "find_orders".to_owned(),
                arguments: "{}".to_owned(),
            }],
        },
        Message::Tool {
            call: "call_a".to_owned(),
            content: "[]".to_owned(),
        },
    ];
    call.tools = vec![tool()];
    call.answer_schema = Some(json!({ "type": "object" }));
    let (provider, _) = whole(KIND, &call, Sent::events(&[finish("stop")]).done()).await;
    let body = provider.asked().remove(0).2;
    assert_eq!(
        body["messages"][1],
        json!({ "role": "user", "content": [
            { "type": "text", "text": "Read this." },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AQID" } },
        ] })
    );
    assert_eq!(
        body["messages"][2],
        json!({ "role": "assistant", "content": null, "tool_calls": [
            { "id": "call_a", "type": "function", "function": { "name": "find_orders", "arguments": "{}" } },
        ] })
    );
    assert_eq!(
        body["messages"][3],
        json!({ "role": "tool", "tool_call_id": "call_a", "content": "[]" })
    );
    assert_eq!(body["tools"][0]["function"]["name"], "find_orders");
    assert_eq!(
        body["response_format"]["json_schema"]["schema"],
        json!({ "type": "object" })
    );
}

#[tokio::test]
async fn each_end_is_told() {
    for (said, read) in [
        ("stop", FinishReason::Stop),
        ("length", FinishReason::Length),
        ("content_filter", FinishReason::Filtered),
    ] {
        let (_, events) = whole(KIND, &call(), Sent::events(&[finish(said)]).done()).await;
        assert_eq!(events, [ModelEvent::Finished(read)], "{said}");
    }
    let refused = [delta(&json!({ "refusal": "I cannot." })), finish("stop")];
    let (_, events) = whole(KIND, &call(), Sent::events(&refused).done()).await;
    assert_eq!(
        events,
        [text("I cannot."), ModelEvent::Finished(FinishReason::Filtered)]
    );
}

#[tokio::test]
async fn groqs_usage_and_shown_reasoning_are_read_and_comments_are_not() {
    let reasoning = delta(&json!({ "reasoning": "Let me see" }));
    let last = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }],
        "x_groq": { "usage": { "prompt_tokens": 5, "completion_tokens": 3 } } });
    let sent = format!(": keep-alive\r\n\r\ndata: {reasoning}\r\n\r\ndata: {last}\r\n\r\n");
    // Without a [DONE]: the stream ends after its end.
    let (_, events) = whole(KIND, &call(), Sent::text(200, sent)).await;
    assert!(
        matches!(
            events[..],
            [
                ModelEvent::Unseen { bytes: 10 },
                ModelEvent::Finished(FinishReason::Stop),
                ModelEvent::Usage(Usage {
                    input: 5,
                    output: 3,
                    ..
                })
            ]
        ),
        "{events:?}"
    );
}

#[tokio::test]
async fn reasoning_under_both_of_its_names_is_counted_once() {
    let both = delta(&json!({ "reasoning": "Let me see", "reasoning_content": "Let me see" }));
    let (_, events) = whole(KIND, &call(), Sent::events(&[both, finish("stop")]).done()).await;
    assert_eq!(
        events,
        [
            ModelEvent::Unseen { bytes: 10 },
            ModelEvent::Finished(FinishReason::Stop)
        ]
    );
}

/// L02: what the provider did not say is counted by us.
#[tokio::test]
async fn l02_a_usage_with_a_half_that_was_not_said_is_none() {
    for usage in [
        json!({}),
        json!({ "prompt_tokens": 5 }),
        json!({ "completion_tokens": 3 }),
        json!({ "prompt_tokens": 0, "completion_tokens": 0 }),
    ] {
        let last = json!({ "choices": [], "usage": usage });
        let sent = Sent::events(&[delta(&json!({ "content": "Yes." })), finish("stop"), last]);
        let (_, events) = whole(KIND, &call(), sent.done()).await;
        assert_eq!(
            events,
            [text("Yes."), ModelEvent::Finished(FinishReason::Stop)],
            "{usage}"
        );
    }
}

#[tokio::test]
async fn a_server_that_wants_no_key_gets_none() {
    let (provider, base) = Provider::start([Sent::events(&[finish("stop")]).done()]).await;
    let keyless = Endpoint {
        key: None,
        ..endpoint(KIND, &format!("{base}/v1/"))
    };
    models().open(&keyless, &call()).await.map(drop).unwrap();
    let (path, headers, _) = provider.asked().remove(0);
    assert_eq!(path, "/v1/chat/completions");
    assert!(!headers.contains_key("authorization"));
}
