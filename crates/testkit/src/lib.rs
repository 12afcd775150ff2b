//! The shared test world. A test is a site: every integration test makes a fresh one in one migrated database, so that the
//! suite runs in parallel, cleans nothing up, and keeps proving that sites see nothing of each other.

mod database;
mod site;

pub use database::{TestDatabase, database};
pub use site::{fresh_site, platform};
