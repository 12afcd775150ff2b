//! As much of a browser as a sign-in page needs: cookies, forms, and redirects up to the application's own address.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};

use crate::REDIRECT_URI;

const STEPS_MAX: usize = 12;

pub(crate) struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self {
            client: client(),
            cookies: BTreeMap::new(),
        }
    }

    /// Follows `url` to the application's address, with `fill` for each page with a form, and brings the code.
    pub(crate) async fn sign_in(
        &mut self,
        mut url: Url,
        fill: impl Fn(&str) -> &'static [(&'static str, &'static str)],
    ) -> String {
        for _ in 0..STEPS_MAX {
            let mut response = self.send(self.client.get(url.clone())).await;
            if response.status().is_success() {
                let form = fill(&response.text().await.unwrap());
                response = self.send(self.client.post(url.clone()).form(form)).await;
            }
            url = next(&url, &response);
            if url.as_str().starts_with(REDIRECT_URI) {
                return code(&url);
            }
        }
        panic!("the sign-in does not end: {url}");
    }

    async fn send(&mut self, request: RequestBuilder) -> Response {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let response = request.header(COOKIE, cookies.join("; ")).send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        response
    }
}

pub(crate) fn client() -> Client {
    Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

/// Where a redirect leads.
pub(crate) fn next(from: &Url, response: &Response) -> Url {
    let location = response.headers().get(LOCATION);
    let location = location.unwrap_or_else(|| panic!("{} and no redirect", response.status()));
    from.join(location.to_str().unwrap()).unwrap()
}

pub(crate) fn code(url: &Url) -> String {
    let code = url.query_pairs().find(|(name, _)| name == "code");
    code.unwrap_or_else(|| panic!("no code in {url}")).1.into_owned()
}
