//! Who may see the operators' pages, and from where.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{self, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use sha2::{Digest as _, Sha256};

use super::shell::{self, Notice};
use crate::config::{Ops, Secret};
use crate::http::client_address::ClientAddress;

const CHALLENGE: HeaderValue =
    HeaderValue::from_static(r#"Basic realm="Reflector operations", charset="UTF-8""#);

/// After so many wrong passwords within [`WINDOW`], an address gets no further try until it is over.
const MAX_FAILURES: u32 = 10;
const WINDOW: Duration = Duration::from_mins(5);
/// How many addresses are remembered.
const MAX_ADDRESSES: usize = 4096;

/// Who is at the page, by the name that was typed in beside the password. It proves nothing; it says who to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operator(pub(super) String);

/// What decides.
#[derive(Debug)]
pub(super) struct Guard {
    password: Option<Secret>,
    failures: Mutex<Failures>,
}

/// Why somebody does not get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// There is no password, so there is no page.
    Off,
    /// Another site's page asks.
    Foreign,
    /// Something is to be changed, and nothing says whose page asks.
    Unsaid,
    /// No password, or a wrong one.
    Unknown,
    /// Too many wrong ones.
    Blocked,
}

/// Lets operators through, and puts on every answer what keeps browsers strict.
pub(super) async fn enter(
    extract::State(guard): extract::State<Arc<Guard>>,
    mut request: Request,
    next: Next,
) -> Response {
    let base = shell::base(request.uri().path());
    let response = match guard.admit(&request) {
        Ok(operator) => {
            request.extensions_mut().insert(operator);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    shell::finish(response, &base)
}

impl Guard {
    pub(super) fn new(settings: &Ops) -> Self {
        Self { password: settings.password.clone(), failures: Mutex::default() }
    }

    fn admit(&self, request: &Request) -> Result<Operator, Refusal> {
        let password = self.password.as_ref().ok_or(Refusal::Off)?;
        if is_foreign(request.method(), request.headers()) {
            return Err(if is_unsaid(request.headers()) { Refusal::Unsaid } else { Refusal::Foreign });
        }
        let Some((name, given)) = credentials(request.headers()) else { return Err(Refusal::Unknown) };
        let address = request.extensions().get::<ClientAddress>().map(|address| address.0);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (address, now) = (place(address), Instant::now());
        if failures.is_blocked(address, now) {
            return Err(Refusal::Blocked);
        }
        if is_same(password.expose(), &given) {
            return Ok(Operator(name));
        }
        failures.note(address, now);
        tracing::warn!("somebody at {address} gave a wrong password for /ops");
        Err(Refusal::Unknown)
    }
}

/// Compares digests: how long that takes tells nothing about the password.
fn is_same(password: &str, given: &str) -> bool {
    Sha256::digest(password) == Sha256::digest(given)
}

/// Name and password of HTTP's basic scheme.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.chars().filter(|c| !c.is_control()).take(64).collect(), password.to_owned()))
}

/// Whether another site's page asks. A browser sends the password along whoever asks, so that what is changed must be asked for by a
/// page of ours, and what is read must not be read by another.
fn is_foreign(method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_reading = matches!(*method, Method::GET | Method::HEAD);
    match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some("same-origin"), _) => false,
        // Typed in, or a bookmark; or no browser at all.
        (Some("none"), _) | (None, None) => !is_reading,
        // A link somewhere else may lead here.
        (Some(_), _) => !is_reading || text("sec-fetch-mode") != Some("navigate"),
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) != text(HOST.as_str()),
    }
}

/// Whether nothing says whose page asks: no browser that is up to date, but a program.
fn is_unsaid(headers: &HeaderMap) -> bool {
    !headers.contains_key("sec-fetch-site") && !headers.contains_key(ORIGIN)
}

/// One place for each host: there are more addresses in one network of IPv6 than anybody can remember.
fn place(address: Option<IpAddr>) -> IpAddr {
    match address {
        Some(IpAddr::V6(address)) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        Some(address) => address,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

/// Wrong passwords by address: since when, and how many.
#[derive(Debug, Default)]
struct Failures(HashMap<IpAddr, (Instant, u32)>);

impl Failures {
    fn is_blocked(&self, address: IpAddr, now: Instant) -> bool {
        self.0.get(&address).is_some_and(|(since, count)| *count >= MAX_FAILURES && now < *since + WINDOW)
    }

    fn note(&mut self, address: IpAddr, now: Instant) {
        if self.0.len() >= MAX_ADDRESSES {
            self.0.retain(|_, (since, _)| now < *since + WINDOW);
        }
        // With that many at it nothing is gained by remembering one more.
        if self.0.len() >= MAX_ADDRESSES && !self.0.contains_key(&address) {
            return;
        }
        let failures = self.0.entry(address).or_insert((now, 0));
        if now >= failures.0 + WINDOW {
            *failures = (now, 0);
        }
        failures.1 += 1;
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::Off => (
                StatusCode::NOT_FOUND,
                "The operators’ page is off",
                "To turn it on, set OPS_PASSWORD for reflector-api to at least 16 characters (openssl rand -hex 16 makes some) and \
                 restart it.",
            ),
            Self::Foreign => (
                StatusCode::FORBIDDEN,
                "Another site asked for this",
                "Nothing was done. Open the page from this site, and press the button there.",
            ),
            Self::Unsaid => (
                StatusCode::FORBIDDEN,
                "Nothing says which site asked for this",
                "Nothing was done. A change needs the header Sec-Fetch-Site: same-origin, or an Origin that names this server, as \
                 browsers send them. To do it with curl, add -H 'Sec-Fetch-Site: same-origin'.",
            ),
            Self::Unknown => (
                StatusCode::UNAUTHORIZED,
                "Sign in",
                "Any name will do: it is written down beside what you change. The password is the OPS_PASSWORD of reflector-api.",
            ),
            Self::Blocked => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many wrong passwords",
                "They came from your address, or from the proxy that you share. Wait five minutes and try again.",
            ),
        };
        let mut response = Notice::new(status, title, text).into_response();
        match self {
            Self::Unknown => {
                response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
            }
            Self::Blocked => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(WINDOW.as_secs()));
            }
            Self::Off | Self::Foreign | Self::Unsaid => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_pages_of_ours_change_something_and_no_other_site_s_reads_anything() {
        let (get, post) = (Method::GET, Method::POST);
        for (list, reads, changes) in [
            (&[][..], true, false),
            (&[("sec-fetch-site", "same-origin")], true, true),
            (&[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], true, false),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], true, false),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")], false, false),
            (&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")], false, false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://ops.example")], false, false),
            (&[("origin", "https://ops.example"), ("host", "ops.example")], true, true),
            (&[("origin", "http://ops.example:1250"), ("host", "ops.example:1250")], true, true),
            (&[("origin", "https://evil.example"), ("host", "ops.example")], false, false),
            (&[("origin", "null"), ("host", "ops.example")], false, false),
            (&[("origin", "https://ops.example")], false, false),
        ] {
            let headers = headers(list);
            assert_eq!(!is_foreign(&get, &headers), reads, "reading with {list:?}");
            assert_eq!(!is_foreign(&post, &headers), changes, "changing with {list:?}");
        }
    }

    #[test]
    fn ten_wrong_passwords_close_the_door_to_their_address_for_five_minutes() {
        let (mut failures, begin) = (Failures::default(), Instant::now());
        let (here, elsewhere) = (place(Some("192.0.2.1".parse().unwrap())), place(None));
        for _ in 0..MAX_FAILURES {
            assert!(!failures.is_blocked(here, begin));
            failures.note(here, begin);
        }
        assert!(failures.is_blocked(here, begin + Duration::from_secs(299)));
        assert!(!failures.is_blocked(here, begin + WINDOW) && !failures.is_blocked(elsewhere, begin));
        failures.note(here, begin + WINDOW);
        assert!(!failures.is_blocked(here, begin + WINDOW), "the count begins anew");
    }

    #[test]
    fn a_network_of_ipv6_is_one_place_and_memory_is_bounded() {
        let of = |text: &str| place(Some(text.parse().unwrap()));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        let (mut failures, now) = (Failures::default(), Instant::now());
        for number in 0..10_000 {
            failures.note(IpAddr::V4(Ipv4Addr::from_bits(number)), now);
        }
        assert_eq!(failures.0.len(), MAX_ADDRESSES);
        failures.note(of("192.0.2.1"), now + WINDOW);
        assert_eq!(failures.0.len(), 1);
    }

    #[test]
    fn names_and_passwords_are_taken_apart_at_the_first_colon() {
        let with = |text: &str| {
            let mut headers = HeaderMap::new();
            let value = format!("Basic {}", STANDARD.encode(text));
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            credentials(&headers)
        };
        assert_eq!(with("ann:a:b"), Some(("ann".to_owned(), "a:b".to_owned())));
        assert_eq!(with(":x"), Some((String::new(), "x".to_owned())));
        assert_eq!(with("nothing"), None);
        assert!(is_same("a", "a") && !is_same("a", "b") && !is_same("a", ""));
    }
}
