//! Commissions.
