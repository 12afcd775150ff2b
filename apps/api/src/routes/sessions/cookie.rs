//! The refresh cookie. It goes to one route and to no script, and authorises nothing else.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use posx_kernel::Timestamp;
use posx_runtime::SessionGate;
use posx_tenancy::{RefreshToken, Renewed};

use super::REFRESH_PATH;

/// Browsers take a name with this prefix from a secure answer only. (`__Host-` would send it along to every route.)
const SECURE_NAME: &str = "__Secure-posx-refresh";
const INSECURE_NAME: &str = "posx-refresh";

/// Keeps the token as long as it is of use.
pub fn keep(gate: &SessionGate, renewed: &Renewed, now: Timestamp) -> HeaderValue {
    let seconds = (renewed.token_until - now).num_seconds();
    set(gate, renewed.token.reveal(), seconds)
}

pub fn clear(gate: &SessionGate) -> HeaderValue {
    set(gate, "", 0)
}

fn set(gate: &SessionGate, value: &str, max_age_s: i64) -> HeaderValue {
    let (name, secure) = if gate.secure_cookie {
        (SECURE_NAME, "; Secure")
    } else {
        (INSECURE_NAME, "")
    };
    let text = format!(
        "{name}={value}; Path={REFRESH_PATH}; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"
    );
    let mut cookie = HeaderValue::from_str(&text).expect("digits and letters");
    cookie.set_sensitive(true);
    cookie
}

/// `None` also when there are two: a page beside ours in the domain can set one, and nobody can tell which that is.
pub fn shown(req: &HttpRequest, gate: &SessionGate) -> Option<RefreshToken> {
    let wanted = if gate.secure_cookie {
        SECURE_NAME
    } else {
        INSECURE_NAME
    };
    let sent = req.headers().get_all(header::COOKIE);
    let pairs = sent
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    let mut ours = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == wanted);
    let (_, value) = ours.next()?;
    if ours.next().is_some() {
        return None;
    }
    RefreshToken::parse(value)
}
