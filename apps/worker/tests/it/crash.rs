//! Real worker processes, killed.
