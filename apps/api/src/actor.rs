//! What the audit keeps of a request: who sent it, under which id, and a trace of from where.

use actix_web::{HttpMessage as _, HttpRequest};
use aws_lc_rs::digest::{Context, SHA256};
use posx_kernel::{Actor, Who};

use crate::limit;
use crate::state::ApiState;

/// The request's id; in the request's extensions since the outermost middleware.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

pub fn actor(req: &HttpRequest, api: &ApiState, who: Who) -> Actor {
    let request = req.extensions().get::<RequestId>().map(|id| id.0.clone());
    Actor {
        who,
        request,
        address: address_hash(req, api),
    }
}

/// Of the client's network as the limits count it. Without the salt, four billion addresses would be tried in a minute.
pub fn address_hash(req: &HttpRequest, api: &ApiState) -> Option<[u8; 16]> {
    let address = limit::client_network(req, api)?;
    let mut hash = Context::new(&SHA256);
    hash.update(&api.address_salt);
    hash.update(address.as_bytes());
    hash.finish().as_ref().first_chunk().copied()
}
