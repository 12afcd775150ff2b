//! Small trees with a planted mistake, for the tests of the rules.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use super::Rule;
use super::tree::Tree;

/// A new empty directory. Its user removes it.
pub(crate) fn directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = env::temp_dir().join(format!("posx-tidy-{}-{number}", process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

/// What a rule says of a tree with these files, one line per finding.
pub(super) fn findings(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    let root = directory();
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let tree = Tree::read(&root).unwrap();
    fs::remove_dir_all(root).unwrap();
    rule(&tree).iter().map(ToString::to_string).collect()
}

/// The rule finds exactly one thing, and says these words.
#[track_caller]
pub(super) fn assert_finds(rule: Rule, files: &[(&str, &str)], words: &[&str]) {
    let found = findings(rule, files);
    assert_eq!(found.len(), 1, "{found:#?}");
    for word in words {
        assert!(found[0].contains(word), "{word}: {}", found[0]);
    }
}

#[track_caller]
pub(super) fn assert_clean(rule: Rule, files: &[(&str, &str)]) {
    let found = findings(rule, files);
    assert!(found.is_empty(), "{found:#?}");
}
