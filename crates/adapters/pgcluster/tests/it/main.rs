//! Real servers, of this machine and of the wheel.

#![allow(clippy::unwrap_used, reason = "helpers of tests are not in a test function")]

mod helper;
mod private;
mod shared;
