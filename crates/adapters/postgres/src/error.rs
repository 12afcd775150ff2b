//! sqlx's errors as the domains see them: in one place.

use posx_kernel::{StoreError, StoreFault};

/// By SQLSTATE class; <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(crate) fn store(error: sqlx::Error) -> StoreError {
    let fault = match &error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            match code.as_ref() {
                // serialization_failure, deadlock_detected, lock_not_available
                "40001" | "40P01" | "55P03" => StoreFault::Retry,
                // Integrity constraint violation: named, so that a repository can map the ones it knows.
                code if code.starts_with("23") => {
                    let name = database.constraint().unwrap_or("unnamed").to_owned();
                    return StoreError::constraint(name, error);
                }
                // idle_in_transaction_session_timeout: the server has closed the connection
                "25P03" => StoreFault::Unavailable,
                // connection exception, insufficient resources, operator intervention (shutdown, cancelled by timeout)
                code if code.starts_with("08") || code.starts_with("53") || code.starts_with("57") => {
                    StoreFault::Unavailable
                }
                _ => StoreFault::Broken,
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_)
        | sqlx::Error::BeginFailed => StoreFault::Unavailable,
        _ => StoreFault::Broken,
    };
    StoreError::new(fault, error)
}

/// Adds `.store()?` to sqlx's results.
pub(crate) trait StoreResult<T> {
    fn store(self) -> Result<T, StoreError>;
}

impl<T> StoreResult<T> for Result<T, sqlx::Error> {
    fn store(self) -> Result<T, StoreError> {
        self.map_err(store)
    }
}
