//! The rules of the tree, as checks. One file per family of rules; each says where, what is wrong, and what to do.

mod begin;
mod code;
mod docs;
mod layers;
mod manifests;
mod migrations;
#[cfg(test)]
pub(crate) mod planted;
mod proofs;
mod schemas;
mod scope;
pub(crate) mod source;
mod strings;
mod transactions;
pub(crate) mod tree;

use std::fmt;
use std::path::Path;

use crate::Failed;
use tree::Tree;

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Relative to the root.
    path: String,
    line: usize,
    rule: &'static str,
    /// What is wrong and what to do.
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            rule,
            what,
        } = self;
        write!(f, "{path}:{line}: [{rule}] {what}")
    }
}

type Rule = fn(&Tree) -> Vec<Finding>;

const RULES: &[Rule] = &[
    manifests::check,
    layers::check,
    code::check,
    transactions::check,
    begin::check,
    schemas::check,
    scope::check,
    migrations::check,
    strings::check,
    docs::check,
    proofs::check,
];

pub(crate) fn run(root: &Path) -> Result<(), Failed> {
    let findings = check(root)?;
    if findings.is_empty() {
        println!("tidy: every rule holds");
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    Err(Failed(format!("tidy: {} broken rules", findings.len())))
}

fn check(root: &Path) -> Result<Vec<Finding>, Failed> {
    let tree = Tree::read(root).map_err(|error| Failed(format!("the tree cannot be read: {error}")))?;
    let mut findings: Vec<_> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    findings.sort();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_rule_holds_in_this_tree() {
        let findings = super::check(&crate::workspace_root()).unwrap();
        let shown: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(
            findings.is_empty(),
            "`cargo xtask tidy` says:\n{}",
            shown.join("\n")
        );
    }
}
