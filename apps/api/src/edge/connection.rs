//! Connections that do nothing and do not end.
//!
//! actix times the head of the first request of a connection, and the pause between two. A byte now and then of the second
//! head, or of a body that nobody reads any more, ends both clocks: here is the one that goes on.

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use actix_web::dev::{Extensions, ServiceRequest};
use actix_web::rt;
use tokio::time::Instant;

/// One that is served. It lives in the connection's own data, so that the socket is closed with it.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    /// `None` while a request is worked on.
    idle_since: Mutex<Option<Instant>>,
}

impl Connection {
    fn set(&self, idle_since: Option<Instant>) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = idle_since;
    }

    fn is_idle_for(&self, limit: Duration) -> bool {
        let since = *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() > limit)
    }
}

/// While it lives, the connection is busy.
#[derive(Debug)]
pub struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(Some(Instant::now()));
    }
}

/// Without a socket, as in tests, there is nothing to watch.
pub fn busy(request: &ServiceRequest) -> Option<Busy> {
    let connection = request.conn_data::<Arc<Connection>>()?.clone();
    connection.set(None);
    Some(Busy(connection))
}

/// For each new connection: one that had no request for longer than `limit` is closed.
pub fn watch(io: &dyn Any, data: &mut Extensions, limit: Duration) {
    let Some(stream) = io.downcast_ref::<rt::net::TcpStream>() else {
        return;
    };
    // Without a handle to spare the server has other troubles, and the connection goes on unwatched.
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else {
        return;
    };
    let connection = Arc::new(Connection {
        socket: socket.into(),
        idle_since: Mutex::new(Some(Instant::now())),
    });
    rt::spawn(close_when_idle(Arc::downgrade(&connection), limit));
    data.insert(connection);
}

async fn close_when_idle(connection: Weak<Connection>, limit: Duration) {
    loop {
        rt::time::sleep(limit / 2).await;
        let Some(connection) = connection.upgrade() else {
            return;
        };
        if connection.is_idle_for(limit) {
            // It may be closed already.
            drop(connection.socket.shutdown(Shutdown::Both));
            return;
        }
    }
}
