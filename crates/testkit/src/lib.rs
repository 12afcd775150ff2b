//! The shared test world. A test is a site: every integration test makes a fresh one in one migrated database, so that the
//! suite runs in parallel, cleans nothing up, and keeps proving that sites see nothing of each other.

mod database;
mod site;

pub use database::{TestDatabase, database, own_database};
pub use site::{fresh_site, fresh_site_in, platform, vault_of};

/// Under which every test keeps secrets, for they share a database.
pub const MASTER_KEY: &str = "test:VR5r3fGcoU+Ju4tdxvJLONY4xH31hf5kBSxgsPVPb6M=";
