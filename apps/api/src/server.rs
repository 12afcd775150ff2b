//! The HTTP server: the app that every thread runs, and its start and stop.

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::KeepAlive;
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, Error, HttpRequest, HttpServer, web};
use posx_runtime::{ServerSettings, Services};
use utoipa_actix_web::AppExt as _;

use crate::problem::{ApiError, EdgeError};
use crate::state::{Api, ApiState};
use crate::{edge, openapi, routes};

/// The work is waiting for the database: more threads than this only wait more.
const WORKERS_MAX: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the listener cannot be used")]
    Listener(#[source] std::io::Error),
    #[error("the server stopped on an error")]
    Server(#[source] std::io::Error),
}

/// Serves on `listener` until `shutdown` is ready, then lets open requests finish within the grace of the settings.
///
/// The server runs on a thread of its own, so the caller's runtime may be of any kind.
pub async fn serve<F: Future<Output = ()>>(
    services: Services,
    settings: &ServerSettings,
    listener: TcpListener,
    shutdown: F,
) -> Result<(), ServeError> {
    let state = web::Data::new(ApiState::new(services, settings.clone()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = settings.workers.unwrap_or_else(|| cores.min(WORKERS_MAX)).max(1);
    let keep_alive = Duration::from_secs(u64::from(settings.keep_alive_s));
    let headers_within = Duration::from_secs(u64::from(settings.headers_timeout_s));
    let server = HttpServer::new(move || app(state.clone()))
        .workers(workers)
        .keep_alive(KeepAlive::Timeout(keep_alive))
        .client_request_timeout(headers_within)
        // An answer that streams is small writes: each would wait for the acknowledgement of the one before.
        .tcp_nodelay(true)
        .on_connect(move |io, data| edge::connection::watch(io, data, keep_alive + headers_within))
        .shutdown_timeout(u64::from(settings.shutdown_grace_s))
        .disable_signals()
        .listen(listener)
        .map_err(ServeError::Listener)?
        .run();
    let handle = server.handle();
    let mut running = std::pin::pin!(server);
    tokio::select! {
        ended = &mut running => return ended.map_err(ServeError::Server),
        () = shutdown => {}
    }
    let (ended, ()) = tokio::join!(running, handle.stop(true));
    ended.map_err(ServeError::Server)
}

/// Every route, with its documentation, under the middleware. In tests this is the whole API without a socket.
pub fn app(
    state: Api,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let (app, document) = App::new()
        .into_utoipa_app()
        .configure(routes::all)
        .split_for_parts();
    let document = openapi::complete(document);
    let methods = Arc::new(openapi::methods_by_path(&document));
    app.app_data(state)
        .configure(|config| routes::docs::page(config, document))
        .default_service(web::to(move |req: HttpRequest| {
            let refusal = unmatched(&req, &methods);
            async move { Err::<&str, _>(refusal) }
        }))
        .wrap(Compress::default())
        .wrap(from_fn(edge::around))
}

/// No route takes the request: because of its path (404), or of its method alone (405).
fn unmatched(req: &HttpRequest, methods: &openapi::MethodsByPath) -> ApiError {
    match methods.iter().find(|(path, _)| path.is_match(req.path())) {
        Some((_, allow)) => EdgeError::MethodNotAllowed { allow: allow.clone() }.into(),
        None => EdgeError::NoRoute.into(),
    }
}
