//! What is redacted never stands in what is sent, whatever stands around it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{message, redacted};
use crate::{Message, Part, ToolCall};

const PHRASE: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const KEY: &str = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";

#[test]
fn each_kind_is_named_where_it_stood_and_the_rest_stays() {
    for (text, left) in [
        ("pay 4111 1111 1111 1111 now", "pay [card number] now"),
        ("card:4111-1111-1111-1111.", "card:[card number]."),
        ("3782 822463 10005", "[card number]"),
        ("mail ada@example.com, please", "mail [e-mail address], please"),
        ("<Ada.L+x@mail.example.co.uk>.", "<[e-mail address]>."),
        ("\"ada l\"@example.com", "[e-mail address]"),
        ("mailto:ada@localhost", "mailto:[e-mail address]"),
    ] {
        assert_eq!(redacted(text), left, "{text}");
    }
    assert_eq!(redacted(&format!("key 0x{KEY}!")), "key [key]!");
    assert_eq!(
        redacted(&format!("my words: {PHRASE}.")),
        "my words: [seed phrase]."
    );
    assert_eq!(
        redacted("-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----\nthanks"),
        "[key]\nthanks"
    );
    assert_eq!(
        redacted("L1aW4aubDFB7yfras2S1mN3bqg9nwySY8nkoLmJebSLD5BWv3ENZ"),
        "[key]"
    );
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    for text in [
        // A wrong check digit; a time in milliseconds; an amount; an address; one of our ids; a short hash.
        "4111 1111 1111 1112",
        "1700000000000",
        "1,234,567.89 USD",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "ord_0198c0de5f7a7c3e9d0b1a2c3d4e5f60",
        "@handle and a @ b",
        "commit 4c0883a69102937d6231471b5dbb6204fe512961",
        "-----BEGIN CERTIFICATE-----",
        "the year was good and the winner was legal",
        "",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn a_phrase_in_a_numbered_list_in_capitals_or_in_json_is_found() {
    let words: Vec<_> = PHRASE.split(' ').collect();
    let numbered: Vec<_> = words
        .iter()
        .enumerate()
        .map(|(at, word)| format!("{}. {}", at + 1, word.to_uppercase()))
        .collect();
    assert!(!redacted(&numbered.join("\n")).contains("WINNER"));
    let json = serde_json::json!({ "notes": words.join("\n") }).to_string();
    assert!(!redacted(&json).contains("winner"), "{}", redacted(&json));
}

const WIF: &str = "L1aW4aubDFB7yfras2S1mN3bqg9nwySY8nkoLmJebSLD5BWv3ENZ";

#[test]
fn a_card_number_is_found_in_a_list_in_cells_and_behind_what_nobody_sees() {
    for text in [
        "4111,1111,1111,1111",
        "4111, 1111, 1111, 1111",
        "4111|1111|1111|1111",
        "4111 · 1111 · 1111 · 1111",
        "4111;1111;1111;1111",
        "\"4111\",\"1111\",\"1111\",\"1111\"",
        "[\"4111\", \"1111\", \"1111\", \"1111\"]",
        "3782,822463,10005",
        "4111 1111\n1111 1111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "4111\u{ad}1111\u{ad}1111\u{ad}1111",
        "4111\u{2060}1111\u{200c}1111\u{200d}1111",
        "4\u{feff}111 1111\u{200b} 1111 11\u{200e}11",
    ] {
        let left = redacted(text);
        assert!(
            left.contains("[card number]") && !left.contains("11"),
            "{text}: {left}"
        );
    }
}

#[test]
fn amounts_dates_and_numbers_in_lists_stay() {
    for text in [
        // Each has the digits of a card number with a good check digit.
        "22.11.2026 26.11.2026",
        "4,180.00, 5,130.00, 6,218.50",
        "450.21;333.00;211.50;9",
        "2024,2025,2026,2007",
        "3,410,111,111,111,111",
        "{\"from\":\"2026-11-21\",\"until\":\"2026-11-22\"}",
        "بازار\u{200c}ها",
        "👩\u{200d}👩\u{200d}👧",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn an_e_mail_address_with_characters_that_nobody_sees_is_found() {
    for text in [
        "ada@\u{200b}example.com",
        "ada\u{ad}@example.com",
        "a\u{2060}da@exam\u{feff}ple.com",
    ] {
        assert_eq!(redacted(text), "[e-mail address]", "{text:?}");
    }
}

#[test]
fn what_a_tool_tells_is_redacted_as_what_it_says() {
    let told = |note: &str| {
        let content = serde_json::json!({ "rows": [{ "row": { "notes": [note] } }] }).to_string();
        let call = "call_1".to_owned();
        match message(&Message::Tool { call, content }) {
            Message::Tool { content, .. } => content,
            other => panic!("{other:?}"),
        }
    };
    assert!(told("card\n4111 1111\n1111 1111\nthanks").contains("card\\n[card number]\\nthanks"));
    assert!(told(&format!("key:\n{WIF}")).contains("key:\\n[key]"));
    assert!(told(&format!("key:\t{}{}", &WIF[..20], &WIF[20..])).contains("[key]"));
    assert!(told(&PHRASE.replace(' ', "\n")).contains("[seed phrase]"));
    assert_eq!(told("paid"), r#"{"rows":[{"row":{"notes":["paid"]}}]}"#);
    let named = serde_json::json!({ "ada@example.com": 1 }).to_string();
    let called = Message::Assistant {
        text: String::new(),
        tool_calls: vec![ToolCall {
            id: "call_1".to_owned(),
            name: "find_orders".to_owned(),
            arguments: named,
        }],
    };
    assert!(!format!("{:?}", message(&called)).contains("ada"));
}

#[test]
fn every_text_of_every_message_is_redacted() {
    let said = [
        Message::User(vec![Part::Text("ada@example.com".to_owned())]),
        Message::Assistant {
            text: "ada@example.com".to_owned(),
            tool_calls: vec![ToolCall {
                id: "call_1".to_owned(),
                name: "find_orders".to_owned(),
                arguments: r#"{"buyer":"ada@example.com"}"#.to_owned(),
            }],
        },
        Message::Tool {
            call: "call_1".to_owned(),
            content: r#"{"email":"ada@example.com"}"#.to_owned(),
        },
    ];
    for message in said.iter().map(message) {
        assert!(!format!("{message:?}").contains("ada"), "{message:?}");
    }
}

fn around() -> impl Strategy<Value = String> {
    // No letters or digits next to what is planted, for there it would be another word.
    "([a-zé ]{0,20}[ \\n\"'({<:;,])?"
}

fn behind() -> impl Strategy<Value = String> {
    "([ \\n\"')}>;,][a-zé ]{0,20})?"
}

/// 13 to 19 digits whose last one is the check digit.
fn card(others: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<u32>> {
    (2..=6_u32, 0..=9_u32, vec(0..=9_u32, others)).prop_map(|(first, second, rest)| {
        // Of those with 2 the schemes have 22 to 27.
        let mut digits = vec![first, if first == 2 { 2 + second % 6 } else { second }];
        digits.extend(rest);
        let sum: u32 = digits
            .iter()
            .rev()
            .enumerate()
            .map(|(at, digit)| match (at % 2, digit * 2) {
                (0, doubled) if doubled > 9 => doubled - 9,
                (0, doubled) => doubled,
                _ => *digit,
            })
            .sum();
        digits.push((10 - sum % 10) % 10);
        digits
    })
}

proptest! {
    #[test]
    fn no_card_number_is_left(digits in card(10..=16), between in select(vec!["", " ", "-", ".", "\u{a0}"]), group in 3..6_usize,
                              before in around(), after in behind()) {
        let groups: Vec<String> = digits.chunks(group).map(|group| group.iter().map(ToString::to_string).collect()).collect();
        let planted = groups.join(between);
        let left = redacted(&format!("{before}{planted}{after}"));
        prop_assert!(!left.contains(&planted), "{left}");
        prop_assert!(left.contains("[card number]"));
    }

    #[test]
    fn no_card_number_is_left_in_cells_or_in_json(
        digits in card(13..=13), between in select(vec![",", ", ", ";", "|", " | ", "·", "\",\"", "\", \"", "\n", "\u{200b}", "\u{ad}", "\u{feff}"]),
        before in around(), after in behind(),
    ) {
        let groups: Vec<String> = digits.chunks(4).map(|group| group.iter().map(ToString::to_string).collect()).collect();
        let planted = groups.join(between);
        let text = format!("{before}{planted}{after}");
        prop_assert!(redacted(&text).contains("[card number]"), "{text}");
        let content = serde_json::json!({ "note": text }).to_string();
        let told = format!("{:?}", message(&Message::Tool { call: "call_1".to_owned(), content }));
        prop_assert!(told.contains("[card number]"), "{told}");
    }

    #[test]
    fn no_private_key_is_left(bytes in any::<[u8; 32]>(), prefix in select(vec!["", "0x", "0X"]), upper in any::<bool>(),
                              before in around(), after in behind()) {
        let hex: String = hex::encode(bytes);
        let planted = if upper { hex.to_uppercase() } else { hex };
        let left = redacted(&format!("{before}{prefix}{planted}{after}"));
        prop_assert!(!left.contains(&planted[..16]) && left.contains("[key]"), "{left}");
    }

    #[test]
    fn no_e_mail_address_is_left(local in "[a-zA-Z0-9._%+-]{1,20}", host in "[a-z0-9][a-z0-9-]{0,10}(\\.[a-z]{2,6}){1,2}",
                                 before in around(), after in behind()) {
        let planted = format!("{local}@{host}");
        let left = redacted(&format!("{before}{planted}{after}"));
        prop_assert!(!left.contains('@') && !left.contains(&planted), "{left}");
    }

    #[test]
    fn no_seed_phrase_is_left(words in subsequence(bip39::Language::English.word_list().to_vec(), 12..=24),
                              between in select(vec![" ", "\n", ", ", " - "]), before in "([a-z ]{0,20}[.:] ?)?", after in "(\\. [a-z]{0,20})?") {
        let planted = words.join(between);
        let left = redacted(&format!("{before}{planted}{after}"));
        prop_assert!(!left.contains(&planted) && left.contains("[seed phrase]"), "{left}");
    }

    #[test]
    fn any_text_is_taken_and_twice_is_as_once(text in any::<String>()) {
        let once = redacted(&text);
        prop_assert_eq!(redacted(&once), once);
    }
}
