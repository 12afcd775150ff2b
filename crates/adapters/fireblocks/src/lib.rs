//! Fireblocks.
