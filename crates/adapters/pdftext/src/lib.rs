//! The text of PDFs, read in a process of its own: whatever a file makes the parser do, it does there.
//!
//! * The process has a limit on memory, on processor time and on open files, and ends with the call that started it.
//! * Streams unpack to so many bytes and no more; pages are counted before any is read.
//! * It gets the file on its standard input and nothing else: no setting, no secret, no connection.

mod child;
mod text;

pub use child::{CHILD_ARGUMENT, ChildReader, is_child, run_child};
pub use text::pages;
