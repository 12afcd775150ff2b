use posx_assistant::{FinishReason, ImageInput, ToolCall, Usage};

use super::*;

const KIND: ProviderKind = ProviderKind::Anthropic;

fn start() -> Value {
    json!({ "type": "message_start", "message": { "id": "msg_1", "role": "assistant", "content": [], "usage": {
        "input_tokens": 20, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 1 } } })
}

fn block(index: u32, block: &Value) -> Value {
    json!({ "type": "content_block_start", "index": index, "content_block": block })
}

fn delta(index: u32, delta: &Value) -> Value {
    json!({ "type": "content_block_delta", "index": index, "delta": delta })
}

fn stop(index: u32) -> Value {
    json!({ "type": "content_block_stop", "index": index })
}

fn end(reason: &str) -> [Value; 2] {
    [
        json!({ "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null }, "usage": { "output_tokens": 15 } }),
        json!({ "type": "message_stop" }),
    ]
}

fn sent(events: &[Value]) -> Sent {
    let event = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap());
    let text = events.iter().map(event).collect::<Vec<_>>().concat();
    Sent::text(200, text)
}

const LAST: Usage = Usage {
    input: 125,
    cached_input: 100,
    output: 15,
    reasoning: 0,
};

#[tokio::test]
async fn a_stream_is_read_with_its_cache_its_thinking_and_its_end() {
    let [delta_end, message_stop] = end("end_turn");
    let events = [
        start(),
        json!({ "type": "ping" }),
        block(0, &json!({ "type": "thinking", "thinking": "" })),
        delta(0, &json!({ "type": "thinking_delta", "thinking": "Hm." })),
        delta(0, &json!({ "type": "signature_delta", "signature": "EqQB" })),
        stop(0),
        block(1, &json!({ "type": "text", "text": "" })),
        delta(1, &json!({ "type": "text_delta", "text": "Seven." })),
        stop(1),
        delta_end,
        message_stop,
    ];
    let (provider, events) = whole(KIND, &call(), sent(&events)).await;
    let seen = &events[1..];
    assert_eq!(
        seen,
        [
            ModelEvent::Unseen { bytes: 3 },
            ModelEvent::Text("Seven.".to_owned()),
            ModelEvent::Finished(FinishReason::Stop),
            ModelEvent::Usage(LAST),
        ]
    );
    let (path, headers, body) = provider.asked().remove(0);
    assert_eq!(path, "/v1/messages");
    assert_eq!(headers["x-api-key"], KEY);
    assert_eq!(headers["anthropic-version"], "2023-06-01");
    assert!(!headers.contains_key("authorization"));
    assert_eq!(
        body,
        json!({ "model": "steady", "max_tokens": 50, "stream": true, "system": "Answer shortly.",
            "messages": [{ "role": "user", "content": [{ "type": "text", "text": "How much?" }] }] })
    );
}

/// The first with its arguments in two pieces, the second with none.
fn two_tool_calls() -> [Value; 9] {
    let [delta_end, message_stop] = end("tool_use");
    let piece = |text: &str| delta(0, &json!({ "type": "input_json_delta", "partial_json": text }));
    let named = |id: &str, name: &str| json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
    [
        start(),
        block(0, &named("toolu_1", "find_orders")),
        piece("{\"state\":"),
        piece("\"paid\"}"),
        stop(0),
        block(1, &named("toolu_2", "find_tiers")),
        stop(1),
        delta_end,
        message_stop,
    ]
}

#[tokio::test]
async fn tool_calls_come_in_pieces_and_their_answers_go_back_in_one_message() {
    let events = two_tool_calls();
    let mut call = call();
    let made = |id: &str, name: &str, arguments: &str| ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    let result = |call: &str| Message::Tool {
        call: call.to_owned(),
        content: "[]".to_owned(),
    };
    call.messages.push(Message::Assistant {
        text: "I look.".to_owned(),
        tool_calls: vec![
            made("toolu_8", "find_orders", "{\"a\":1}"),
            made("toolu_9", "find_orders", "no JSON"),
        ],
    });
    call.messages.extend([result("toolu_8"), result("toolu_9")]);
    call.messages.push(Message::User(vec![Part::Image(ImageInput {
        media_type: "image/png",
        bytes: vec![1, 2, 3],
    })]));
    call.tools = vec![tool()];
    let (provider, events) = whole(KIND, &call, sent(&events)).await;
    let calls: Vec<_> = events
        .into_iter()
        .filter_map(|event| match event {
            ModelEvent::ToolCall(call) => Some(call),
            _ => None,
        })
        .collect();
    assert_eq!(
        calls,
        [
            made("toolu_1", "find_orders", "{\"state\":\"paid\"}"),
            made("toolu_2", "find_tiers", "{}")
        ]
    );
    let body = provider.asked().remove(0).2;
    let messages = &body["messages"];
    assert_eq!(
        messages[1],
        json!({ "role": "assistant", "content": [
            { "type": "text", "text": "I look." },
            { "type": "tool_use", "id": "toolu_8", "name": "find_orders", "input": { "a": 1 } },
            { "type": "tool_use", "id": "toolu_9", "name": "find_orders", "input": {} },
        ] })
    );
    assert_eq!(
        messages[2],
        json!({ "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "toolu_8", "content": "[]" },
            { "type": "tool_result", "tool_use_id": "toolu_9", "content": "[]" },
        ] })
    );
    assert_eq!(messages[3]["content"][0]["source"]["data"], "AQID");
    assert_eq!(body["tools"][0]["input_schema"], tool().parameters);
    assert!(body.get("tool_choice").is_none());
}

#[tokio::test]
async fn an_answer_by_schema_is_asked_for_as_the_format_of_the_output() {
    let [delta_end, message_stop] = end("end_turn");
    let text = |text: &str| delta(0, &json!({ "type": "text_delta", "text": text }));
    let events = [
        start(),
        block(0, &json!({ "type": "text", "text": "" })),
        text("{\"total\":"),
        text("\"12.50\"}"),
        stop(0),
        delta_end,
        message_stop,
    ];
    let mut call = call();
    let schema = json!({ "type": "object", "properties": { "total": { "type": "string" } } });
    call.answer_schema = Some(schema.clone());
    let (provider, events) = whole(KIND, &call, sent(&events)).await;
    let text: String = events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(text, "{\"total\":\"12.50\"}");
    assert!(events.contains(&ModelEvent::Finished(FinishReason::Stop)));
    let body = provider.asked().remove(0).2;
    assert_eq!(
        body["output_config"],
        json!({ "format": { "type": "json_schema", "schema": schema } })
    );
    // Some models refuse to be made to call a tool.
    assert!(body.get("tool_choice").is_none() && body.get("tools").is_none());
}

#[tokio::test]
async fn each_end_is_told() {
    for (said, read) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("refusal", FinishReason::Filtered),
    ] {
        let [delta_end, message_stop] = end(said);
        let (_, events) = whole(KIND, &call(), sent(&[start(), delta_end, message_stop])).await;
        assert!(events.contains(&ModelEvent::Finished(read)), "{said}: {events:?}");
    }
}

#[tokio::test]
async fn an_error_in_the_stream_may_have_been_billed_before_the_first_word_too() {
    let overloaded =
        json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    let (_, outcome) = ask(KIND, &call(), sent(&[start(), overloaded.clone()])).await;
    let error = outcome.unwrap_err();
    assert!(
        matches!(error, ModelError::Broken(_)) && !error.may_pass(),
        "{error:?}"
    );
    let word = [
        start(),
        block(0, &json!({ "type": "text", "text": "Hal" })),
        overloaded,
    ];
    let (_, outcome) = ask(KIND, &call(), sent(&word)).await;
    let (events, failed) = outcome.unwrap();
    assert!(
        matches!(failed, Some(ModelError::Broken(_))),
        "after it nothing is: {events:?}"
    );
}

/// L02: what the provider did not say is counted by us.
#[tokio::test]
async fn l02_a_usage_with_a_half_that_was_not_said_is_none() {
    let text = [block(0, &json!({ "type": "text", "text": "Seven." })), stop(0)];
    let began = |usage: &Value| json!({ "type": "message_start", "message": { "usage": usage } });
    let ended = |usage: &Value| {
        let stopped = json!({ "stop_reason": "end_turn" });
        json!({ "type": "message_delta", "delta": stopped, "usage": usage })
    };
    let nothing = json!({});
    for (first, last, said) in [
        (nothing.clone(), nothing.clone(), 0),
        (nothing.clone(), json!({ "output_tokens": 7 }), 0),
        (
            json!({ "input_tokens": 0, "output_tokens": 0 }),
            json!({ "output_tokens": 0 }),
            0,
        ),
        // Its beginning is said, its end is not.
        (
            json!({ "input_tokens": 9, "output_tokens": 1 }),
            nothing.clone(),
            1,
        ),
        (json!({ "input_tokens": 9 }), json!({ "output_tokens": 7 }), 1),
    ] {
        let message_stop = json!({ "type": "message_stop" });
        let events: Vec<_> = [began(&first)]
            .into_iter()
            .chain(text.clone())
            .chain([ended(&last), message_stop])
            .collect();
        let (_, events) = whole(KIND, &call(), sent(&events)).await;
        let usages = events
            .iter()
            .filter(|event| matches!(event, ModelEvent::Usage(_)));
        assert_eq!(usages.count(), said, "{first} {last}: {events:?}");
        let of_the_whole = matches!(events.last(), Some(ModelEvent::Usage(_)));
        assert_eq!(
            of_the_whole,
            last["output_tokens"] == 7 && said == 1,
            "{events:?}"
        );
    }
}
