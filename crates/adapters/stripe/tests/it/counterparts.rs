//! Against software that others wrote, when the environment says where it runs: `cargo xtask counterparts up`.

mod localstripe;
mod spec;
mod stateful_mock;

/// The address in this variable. Without it the test is left out, and says so.
#[expect(
    clippy::disallowed_methods,
    reason = "who starts the counterparts says in the environment where they are"
)]
fn address(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        eprintln!("left out: {variable} is not set");
    }
    address
}

/// To this machine only, without the machine's certificates, whose loading takes longer than most tests.
fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    builder.build().unwrap()
}
