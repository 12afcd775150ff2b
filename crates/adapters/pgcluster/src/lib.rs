//! PostgreSQL server.
