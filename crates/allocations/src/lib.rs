//! Allocations.
pub mod custody;
