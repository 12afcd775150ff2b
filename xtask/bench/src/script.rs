//! The product's own statements as pgbench scripts.

use posx_postgres::placing_statements;

/// Replaces `$n` by the n-th expression.
pub fn with_values(statement: &str, values: &[String]) -> String {
    let mut text = String::with_capacity(statement.len() * 2);
    let mut rest = statement;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        let digits: String = rest[at + 1..].chars().take_while(char::is_ascii_digit).collect();
        match digits.parse::<usize>() {
            Ok(n) if n >= 1 && n <= values.len() => text.push_str(&values[n - 1]),
            _ => text.push_str(&rest[at..=at + digits.len()]),
        }
        rest = &rest[at + 1 + digits.len()..];
    }
    text.push_str(rest);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn list(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// Like the product's ids: the time in front, so that keys grow at one end of their index.
const NEW_ID: &str = "(lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 19))::uuid";
// A colon in a literal would begin one of pgbench's variables: chr(58) stands for it.
const NOW: &str = "'2026-06-01'::timestamptz";
/// About what an order's answer has.
const ANSWER_BYTES: usize = 900;

/// Placing an order of one unit of one of the tiers `first` to `last`: the same statements that the API sends, in the same transaction.
/// The tiers' ids are `tier_prefix` and a decimal number of twelve digits.
#[expect(
    clippy::too_many_lines,
    reason = "it is one list of values, in the order of the statement's parameters"
)]
pub fn placing(site: &str, buyer: &str, tier_prefix: &str, asset: &str, first: u32, last: u32) -> String {
    let [facts, insert, stock] = placing_statements();
    let tier = format!("('{tier_prefix}' || lpad((:t)::text, 12, '0'))::uuid");
    let facts = with_values(
        &facts,
        &[
            "md5((:r)::text)".to_owned(),
            "'idn_bench'".to_owned(),
            "'POST /api/v1/orders'".to_owned(),
            "md5((:r)::text)".to_owned(),
            format!("'{buyer}'::uuid"),
            format!("array[{tier}]"),
            NOW.to_owned(),
        ],
    );
    let entries = [
        "array[:ent::uuid]",
        "array['tokens.reserved']",
        "array[:line::uuid]",
        "array['']",
        &format!("array[{NOW}]"),
        "array[:ent::uuid, :ent::uuid]",
        "array[0, 1]::smallint[]",
        "array['tokens' || chr(58) || 'reserved', 'tokens' || chr(58) || 'free']",
        &format!("array['asset_{0}', 'asset_{0}']", asset.replace('-', "")),
        "array['tokens', 'tokens']",
        "array[null, null]::uuid[]",
        "array['1000001', '-1000001']",
    ]
    .map(str::to_owned);
    let order = [
        ":ord::uuid",
        "'BENCH-' || (:ord)::text",
        "'token'",
        &format!("'{buyer}'::uuid"),
        "'placed'",
        "'unpaid'",
        "'none'",
        "'not_needed'",
        "'USD'",
        "10000",
        "0",
        "0",
        "0",
        "10000",
        "0",
        "'POLYGON'",
        "'0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed'",
        "null::uuid",
        "null::jsonb",
        NOW,
        &format!("{NOW} + interval '15 minutes'"),
        "null::timestamptz",
        "array[:line::uuid]",
        &format!("array[{tier}]"),
        "array['Bench tier']",
        &format!("array['{asset}'::uuid]"),
        "array[1]",
        "array[10000]::bigint[]",
        "array[10000]::bigint[]",
        "array['1000001']",
        "array[false]",
        "array['order.placed']",
        "array[:ord::uuid]",
        r#"array['{"total": {"amount": "100.00", "currency": "USD"}}'::jsonb]"#,
        "'idn_bench'",
        "'POST /api/v1/orders'",
        "(:ord)::text",
        "sha256('')",
        "201",
        &format!("'\\x{}'::bytea", "20".repeat(ANSWER_BYTES)),
        "null::timestamptz",
        "null::uuid",
        "array['0']",
    ]
    .map(str::to_owned);
    let insert = with_values(&insert, &[entries.as_slice(), order.as_slice()].concat());
    let mut movement = list(&[
        "",
        ":mov::uuid",
        "0",
        "1",
        "0",
        "'reserve'",
        ":ord::uuid",
        "null::text",
        "null::uuid",
        NOW,
    ]);
    movement[0] = tier;
    let stock = with_values(&stock, &movement);
    format!(
        "\\set t random({first}, {last})\n\\set r random(1, 1000000000000)\nbegin;\nset local app.current_site_id = '{site}';\n\
         select f.*, i.* from ({facts}) f, (select {NEW_ID} as ord, {NEW_ID} as line, {NEW_ID} as ent, {NEW_ID} as mov) i \\gset\n\
         {insert};\n{stock};\ncommit;\n"
    )
}

/// The first page of a site's orders, of any of `sites` sites whose ids are `site_prefix` and a number.
pub fn first_page(site_prefix: &str, sites: u32) -> String {
    format!(
        "\\set s random(1, {sites})\nbegin read only;\nselect set_config('app.current_site_id', '{site_prefix}' || lpad((:s)::text, 12, '0'), true);\n\
         select id, number, buyer_id, lifecycle, payment, delivery, attention, currency, total, placed_at, paid_at from orders where true \
         order by site_id desc, id desc limit 26;\ncommit;\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_of_the_statements_has_a_value() {
        let script = placing(
            "00000000-0000-7000-8000-000000000001",
            "b",
            "t",
            "00000000-0000-7000-8000-000000000002",
            1,
            10,
        );
        assert!(!script.contains('$'), "{script}");
    }

    #[test]
    fn a_parameter_is_replaced_whole() {
        let values: Vec<String> = (1..=12).map(|n| format!("v{n}")).collect();
        assert_eq!(with_values("select $1, $12,   $2", &values), "select v1, v12, v2");
    }
}
