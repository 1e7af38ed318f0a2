//! Which requests are answered.
//!
//! A page of another site can make the browser send requests to this server. It cannot read the
//! answers, unless its name resolves to this machine: DNS rebinding. So the `Host` of a request
//! must be this machine's address, never a name that another could own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::failure::Failure;

/// The page loads only its own files; it runs no inline script and is in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Headers of every answer.
const HEADERS: [(header::HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The rules of a server.
#[derive(Debug, Clone)]
pub(crate) struct Guard(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    /// The address that it listens on.
    address: SocketAddr,
    /// Further names of this machine.
    hosts: Vec<String>,
    token: Option<String>,
}

impl Guard {
    pub(crate) fn new(address: SocketAddr, hosts: Vec<String>, token: Option<String>) -> Guard {
        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Guard(Arc::new(Rules { address, hosts, token }))
    }
}

/// Passes a request on if the rules allow it, and completes the headers of the answer.
pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.0.check(request.method(), request.uri(), request.headers()) {
        Ok(Pass::On) => next.run(request).await,
        Ok(Pass::Admitted(cookie)) => {
            let headers = [(header::LOCATION, "/".to_owned()), (header::SET_COOKIE, cookie)];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(failure) => failure.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

enum Pass {
    On,
    /// The token was right: the browser keeps it as this cookie, out of the address bar.
    Admitted(String),
}

impl Rules {
    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Pass, Failure> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| uri.authority().map(|authority| authority.as_str()));
        if !host.is_some_and(|host| self.is_ours(host)) {
            return Err(Failure::forbidden(
                "the Host of the request is no address of this server; open the printed URL, or \
                 start it with --host NAME",
            ));
        }
        if method != Method::GET && method != Method::HEAD {
            return Err(Failure::method());
        }
        let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
        let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        if site == Some("cross-site") && !navigates {
            return Err(Failure::forbidden("the request comes from another site"));
        }
        let Some(token) = &self.token else { return Ok(Pass::On) };
        if self.cookies(headers).any(|given| same(given, token)) {
            return Ok(Pass::On);
        }
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if bearer.and_then(|b| b.strip_prefix("Bearer ")).is_some_and(|given| same(given, token)) {
            return Ok(Pass::On);
        }
        let query = uri.query().unwrap_or_default();
        let given = query.split('&').find_map(|pair| pair.strip_prefix("token="));
        if uri.path() == "/" && given.is_some_and(|given| same(given, token)) {
            let name = self.cookie();
            // Lax, so that a link to the page from elsewhere opens it.
            return Ok(Pass::Admitted(format!("{name}={token}; HttpOnly; SameSite=Lax; Path=/")));
        }
        Err(Failure::forbidden("the token is missing or wrong; open the printed URL"))
    }

    /// Cookies know no ports: two servers on one machine need two names.
    fn cookie(&self) -> String {
        format!("retrodict-{}", self.address.port())
    }

    fn cookies<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = &'h str> {
        let name = self.cookie();
        let all = headers.get_all(header::COOKIE).into_iter();
        let pairs = all.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
        pairs.filter_map(move |pair| pair.trim().strip_prefix(&*name)?.strip_prefix('='))
    }

    /// Whether a `Host` is this machine. Any port: an ssh tunnel may have another.
    fn is_ours(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map(|(name, _)| name),
            None => host.split(':').next(),
        };
        let Some(name) = name.map(str::to_ascii_lowercase) else { return false };
        if name == "localhost" || self.hosts.contains(&name) {
            return true;
        }
        // No name can be rebound to a literal address.
        name.parse::<IpAddr>().is_ok_and(|ip| {
            let own = self.address.ip();
            ip.is_loopback() || ip == own || own.is_unspecified()
        })
    }
}

/// Equality in a time that does not depend on where two texts differ.
fn same(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(address: &str, hosts: &[&str]) -> Rules {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Rules { address: address.parse().unwrap(), hosts, token: None }
    }

    #[test]
    fn only_addresses_and_given_names_are_ours() {
        let own = rules("127.0.0.1:8417", &["node17"]);
        for host in ["localhost", "LOCALHOST:9", "127.0.0.1:8417", "[::1]:80", "node17:8417"] {
            assert!(own.is_ours(host), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8417",
            "10.0.0.7",
            "[fe80::1]",
            "[::1",
            "",
            ":8417",
            "0x7f.1",
            "xlocalhost",
        ] {
            assert!(!own.is_ours(host), "{host}");
        }
        let all = rules("0.0.0.0:8417", &[]);
        assert!(all.is_ours("10.0.0.7:8417") && !all.is_ours("node17:8417"));
        let one = rules("10.0.0.7:8417", &[]);
        assert!(one.is_ours("10.0.0.7") && !one.is_ours("10.0.0.8"));
    }

    #[test]
    fn tokens_are_equal_as_a_whole() {
        assert!(same("abc", "abc"));
        assert!(
            !same("abc", "abd") && !same("ab", "abc") && !same("abcd", "abc") && !same("", "a")
        );
    }
}
