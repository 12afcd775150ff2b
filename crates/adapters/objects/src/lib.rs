//! Where files of documents are: in an S3-compatible storage, or in a folder of this machine.
//!
//! * A file's place is made of ids alone: nothing that somebody typed reaches a path or an address.
//! * Who uploads can send one file, of the announced type and length, to one place, for some minutes.

mod folder;
mod s3;

pub use folder::{Arrival, Folder};
pub use s3::{S3, S3Config, S3ConfigError};
