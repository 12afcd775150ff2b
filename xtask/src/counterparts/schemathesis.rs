//! schemathesis is no server to call but a program that calls: a test of the API starts the server and runs it as several callers.

use std::path::Path;

use super::catalogue::{Part, Places};
use super::install::{self, Missing};
use super::{LeftOut, lock};
use crate::{Failed, cargo};

pub(crate) const NAME: &str = "schemathesis";
/// The test reads the program's path here.
const VARIABLE: &str = "POSX_COUNTERPART_SCHEMATHESIS";

const TESTS: &[&str] = &["test", "-p", "posx-api", "--test", "it", "schemathesis::"];

/// `Some`: it was left out.
pub(crate) fn test(root: &Path, places: &Places) -> Result<Option<LeftOut>, Failed> {
    let lock = lock(&places.cache)?;
    let provided = install::provide(Part::Schemathesis, places);
    drop(lock);
    match provided {
        Ok(()) => {}
        Err(Missing::LeftOut(why)) => return Ok(Some((NAME, why))),
        Err(Missing::Failed(why)) => return Err(Failed(format!("{NAME}: {why}"))),
    }
    let mut cargo = cargo::command(root);
    cargo.args(TESTS).env(
        VARIABLE,
        places.of_part(Part::Schemathesis).join("bin/schemathesis"),
    );
    cargo::finish(cargo, TESTS)?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tree::Tree;

    /// A filter that names no test would run none, and pass.
    #[test]
    fn the_test_that_is_run_is_there_and_reads_the_program() {
        let tree = Tree::read(&crate::workspace_root()).unwrap();
        let test = tree.file("apps/api/tests/it/schemathesis.rs").unwrap();
        assert!(test.text.contains(VARIABLE));
        let all = tree.file("apps/api/tests/it/main.rs").unwrap();
        assert!(all.text.contains("\nmod schemathesis;\n"));
    }
}
