//! A Rust file with everything blanked that is not code, so that a rule can look for words without a parser.

/// One file of a crate.
pub(crate) struct Source {
    /// Relative to the root.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Comments and the insides of literals are blanks; every character stands where it stood.
    pub(crate) code: String,
    /// As `code`, with test modules blanked too; empty for a file of tests.
    pub(crate) production: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = mask(text);
        let production = if is_test_file(path) {
            String::new()
        } else {
            without_test_modules(&code)
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            production,
        }
    }
}

/// Files that are compiled for tests only, by this tree's names.
fn is_test_file(path: &str) -> bool {
    let mut parts = path.split('/');
    let file = parts.next_back().unwrap_or_default();
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    parts.any(|part| matches!(part, "tests" | "testing" | "testkit" | "benches"))
        || matches!(stem, "tests" | "testing")
        || stem.ends_with("_tests")
}

/// 1 for the first line.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// Offsets at which `word` stands alone: neither before nor after it goes an identifier on.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[*at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(|c| is_part(c) && word.ends_with(is_part))
    })
}

/// One function as it is declared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function<'a> {
    pub(crate) at: usize,
    pub(crate) name: &'a str,
    /// Of the first parameter that is not the receiver; empty when there is none.
    pub(crate) first_type: &'a str,
}

/// Every `fn name(…)` of masked code.
pub(crate) fn functions(code: &str) -> Vec<Function<'_>> {
    words(code, "fn").filter_map(|at| function(code, at)).collect()
}

fn function(code: &str, at: usize) -> Option<Function<'_>> {
    let rest = code[at + 2..].trim_start();
    let name_len = rest
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(rest.len());
    let (name, mut rest) = rest.split_at(name_len);
    if name.is_empty() {
        // A function type: `fn(…)`.
        return None;
    }
    if rest.starts_with('<') {
        rest = &rest[closing(rest)? + 1..];
    }
    let rest = rest.trim_start();
    if !rest.starts_with('(') {
        return None;
    }
    let parameters = split(&rest[1..closing(rest)?]);
    let is_receiver = |parameter: &str| {
        let name = parameter.split(':').next().unwrap_or_default();
        name.split(|c: char| !c.is_alphanumeric())
            .any(|word| word == "self")
    };
    let first = parameters
        .into_iter()
        .find(|parameter| !is_receiver(parameter))
        .unwrap_or_default();
    let first_type = first.split_once(':').map_or("", |(_, typed)| typed.trim());
    Some(Function { at, name, first_type })
}

/// Every character with the number of brackets that are open after it. The arrow of `Fn() -> T` closes nothing.
fn depths(text: &str) -> impl Iterator<Item = (usize, char, i32)> + '_ {
    let (mut depth, mut before) = (0_i32, ' ');
    text.char_indices().map(move |(at, c)| {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if matches!(before, '-' | '=') => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        before = c;
        (at, c, depth)
    })
}

/// Where the bracket that `text` begins with is closed.
fn closing(text: &str) -> Option<usize> {
    depths(text).find_map(|(at, _, depth)| (depth == 0).then_some(at))
}

/// At the commas that stand in no bracket.
fn split(parameters: &str) -> Vec<&str> {
    let commas = depths(parameters).filter(|(_, c, depth)| *c == ',' && *depth == 0);
    let mut from = 0;
    let mut parts = Vec::new();
    for (at, ..) in commas {
        parts.push(parameters[from..at].trim());
        from = at + 1;
    }
    parts.push(parameters[from..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn without_test_modules(code: &str) -> String {
    let mut left = code.to_owned();
    for (at, marker) in code.match_indices("#[cfg(test)]") {
        let after = code[at + marker.len()..].trim_start();
        let start = code.len() - after.len();
        let is_module = ["mod ", "pub mod ", "pub(crate) mod "]
            .iter()
            .any(|word| after.starts_with(word));
        let end = after.find(['{', ';']).filter(|_| is_module);
        if let Some(open) = end.filter(|open| after[*open..].starts_with('{')) {
            let close = braces(&after[open..]).map_or(code.len(), |len| start + open + len);
            blank(&mut left, start, close);
        }
    }
    left
}

/// The length of a block, its braces included.
fn braces(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    text.char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        (depth == 0).then_some(at + 1)
    })
}

fn blank(text: &mut String, from: usize, to: usize) {
    let blanks = blanks(&text[from..to]);
    text.replace_range(from..to, &blanks);
}

fn blanks(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect()
}

fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let in_word = masked.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let len = hidden(rest, in_word);
        if len > 0 {
            masked.push_str(&blanks(&rest[..len]));
        } else {
            masked.push(c);
        }
        rest = &rest[len.max(c.len_utf8())..];
    }
    masked
}

/// How many bytes of a comment or literal `text` begins with; 0 for none.
fn hidden(text: &str, in_word: bool) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    if text.starts_with('\'') {
        return character(text);
    }
    let quoted = if in_word {
        text
    } else {
        text.trim_start_matches(['b', 'c'])
    };
    let prefix = text.len() - quoted.len();
    if prefix > 1 {
        return 0;
    }
    if quoted.starts_with('"') {
        return prefix + string(quoted);
    }
    let hashes = quoted
        .strip_prefix('r')
        .filter(|_| !in_word)
        .map(|raw| raw.len() - raw.trim_start_matches('#').len());
    match hashes {
        Some(count) if quoted[1 + count..].starts_with('"') => {
            let end = format!("\"{}", "#".repeat(count));
            let body = 2 + count;
            quoted[body..]
                .find(&end)
                .map_or(text.len(), |at| prefix + body + at + end.len())
        }
        _ => 0,
    }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_i32, 0);
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        let step = if here.starts_with(b"/*") {
            depth += 1;
            2
        } else if here.starts_with(b"*/") {
            depth -= 1;
            2
        } else {
            1
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// A character, not a lifetime.
fn character(text: &str) -> usize {
    let mut inside = text.char_indices().skip(1);
    match inside.next() {
        Some((_, '\\')) => {
            let close = inside.skip(1).find(|(_, c)| *c == '\'');
            close.map_or(0, |(at, _)| at + 1)
        }
        Some(_) => match inside.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_everything_else_stays_where_it_was() {
        let text = "let a = \"// \\\" no\"; // todo!\nlet b: &'a str = r#\"x\"y\"#; /* /* */ b */ let c = '\\''; let d = '{'; let é = b\"z\";";
        let masked = mask(text);
        assert_eq!(masked.len(), text.len());
        assert_eq!(masked.lines().count(), 2);
        for gone in ["no", "todo", "x\"y", "/*", "{", "z"] {
            assert!(!masked.contains(gone), "{gone}: {masked}");
        }
        for kept in ["let a = ", "let b: &'a str = ", "let c = ", "let é = "] {
            assert_eq!(masked.find(kept), text.find(kept), "{masked}");
        }
    }

    #[test]
    fn a_function_is_known_by_its_name_and_its_first_type() {
        let code = "pub async fn a<T: Fn(u8) -> u8, const N: usize>(\n &self,\n tx: &mut dyn OrdersTx, n: u8,\n) {} fn b(x: Vec<(u8, u8)>, y: u8); fn c(); type F = fn(u8);";
        let found: Vec<_> = functions(code)
            .into_iter()
            .map(|f| (f.name, f.first_type))
            .collect();
        assert_eq!(
            found,
            [("a", "&mut dyn OrdersTx"), ("b", "Vec<(u8, u8)>"), ("c", "")]
        );
    }

    #[test]
    fn modules_of_tests_are_no_production_code() {
        let source = Source::new(
            "crates/x/src/a.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { {} } }\nfn c() {}\n",
        );
        assert!(source.production.contains("fn a") && source.production.contains("fn c"));
        assert!(!source.production.contains("fn b"));
        assert_eq!(
            line_at(&source.production, source.production.find("fn c").unwrap()),
            4
        );
    }

    #[test]
    fn files_of_tests_have_no_production_code() {
        for path in [
            "crates/x/tests/it/main.rs",
            "crates/x/src/tests.rs",
            "crates/x/src/testing/fake.rs",
            "crates/x/src/a_tests.rs",
        ] {
            assert!(Source::new(path, "fn a() {}").production.is_empty(), "{path}");
        }
    }
}
