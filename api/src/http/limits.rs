//! How many deliveries, and answers to whether somebody agrees to be recorded, one address may send.
//!
//! Each address has budgets, which are refilled all the time. One is for answers, as anybody may give them. One is for deliveries at
//! all, far above what agents send, and refuses before a body is read. The last is for signatures that do not verify: who has used it
//! up is told to wait. A signature that verifies is always taken, so that nobody can shut out a host behind the same proxy or address.
//!
//! What is remembered is bounded: when too many addresses ask, whole networks share a budget.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::{Method, StatusCode};

use super::client_address::ClientAddress;
use super::problem::ApiError;
use crate::config;
use crate::meters;

/// How many addresses are told apart.
const MAX_ADDRESSES: usize = 10_000;

/// How often those are forgotten whose budget is full again, in milliseconds.
const SWEEP_MS: u64 = 1000;

/// What every address may do.
pub(super) struct Limits {
    deliveries: Budget,
    failures: Budget,
    answers: Budget,
}

impl Limits {
    pub(super) fn new(settings: &config::Limits) -> Self {
        Self {
            deliveries: Budget::new(Quota::per_second(settings.deliveries_per_second)),
            failures: Budget::new(Quota::per_minute(settings.failures_per_minute)),
            answers: Budget::new(Quota::per_minute(settings.answers_per_minute)),
        }
    }
}

/// Lets a request to `route` through as far as its sender's budgets go. Requests that are neither deliveries nor answers have none.
pub(super) async fn guard<F: Future<Output = Response>>(
    limits: &Limits,
    route: &str,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let client =
        request.extensions().get().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ClientAddress(ip)| *ip);
    let Some(platform) = Platform::of(request.method(), route) else {
        if is_answer(request.method(), route)
            && let Err(wait) = limits.answers.take(client)
        {
            let why = "This address answers more often than it may";
            return refusal(ApiError::too_many, "answers", wait, why);
        }
        return next(request).await;
    };
    if let Err(wait) = limits.deliveries.take(client) {
        return platform.refusal("deliveries", wait, "This address sends more than it may");
    }
    let response = next(request).await;
    if response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    meters::signature_refused(platform.name());
    match limits.failures.take(client) {
        Ok(()) => response,
        Err(wait) => platform.refusal("failures", wait, "This address sends signatures that do not verify"),
    }
}

/// Whether requests with this method to `route` are deliveries.
pub(super) fn is_delivery(method: &Method, route: &str) -> bool {
    Platform::of(method, route).is_some()
}

/// Who delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Platform {
    Jitsi,
    Whereby,
}

impl Platform {
    /// `None` for routes that are not for deliveries.
    fn of(method: &Method, route: &str) -> Option<Self> {
        let is_jitsi = ["/v1/jitsi/", "/v1/jibri/", "/v1/agents/", "/v1/recordings/uploads"]
            .iter()
            .any(|beginning| route.starts_with(beginning));
        match route {
            _ if method == Method::GET || method == Method::HEAD => None,
            "/v1/whereby" => Some(Self::Whereby),
            _ => is_jitsi.then_some(Self::Jitsi),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Jitsi => "jitsi",
            Self::Whereby => "whereby",
        }
    }

    /// Whereby gives up an event that is answered with 4xx, and repeats one that is answered with 5xx.
    fn refusal(self, budget: &'static str, wait: Duration, why: &str) -> Response {
        match self {
            Self::Jitsi => refusal(ApiError::too_many, budget, wait, why),
            Self::Whereby => refusal(ApiError::for_now_in, budget, wait, why),
        }
    }
}

/// Whether a request with this method to `route` answers whether somebody agrees to be recorded.
fn is_answer(method: &Method, route: &str) -> bool {
    method == Method::POST && route == "/v1/meetings/{meeting_id}/consent"
}

/// Tells somebody to wait, as `error` does.
fn refusal(error: fn(u32, String) -> ApiError, budget: &'static str, wait: Duration, why: &str) -> Response {
    meters::rate_limited(budget);
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    let mut response = error(seconds, format!("{why}; try again in {seconds} s.")).into_response();
    response.extensions_mut().insert(Limited);
    response
}

/// Says of an answer that its sender has sent too much, whatever its status.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limited;

/// So much for each address.
struct Budget {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
    began: Instant,
    swept_ms: AtomicU64,
    is_crowded: AtomicBool,
}

impl Budget {
    fn new(quota: Quota) -> Self {
        Self {
            limiter: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            began: Instant::now(),
            swept_ms: AtomicU64::new(0),
            is_crowded: AtomicBool::new(false),
        }
    }

    /// Takes one from the address's budget. When nothing is left: how long until there is.
    fn take(&self, address: IpAddr) -> Result<(), Duration> {
        self.sweep();
        let key = network(address, self.is_crowded.load(Ordering::Relaxed));
        self.limiter.check_key(&key).map_err(|until| until.wait_time_from(self.clock.now()))
    }

    fn sweep(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let swept = self.swept_ms.load(Ordering::Relaxed);
        let is_due = now.saturating_sub(swept) >= SWEEP_MS;
        if is_due && self.swept_ms.compare_exchange(swept, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.forget();
        }
    }

    fn forget(&self) {
        self.limiter.retain_recent();
        let is_crowded = self.limiter.len() > MAX_ADDRESSES;
        if is_crowded {
            self.limiter.shrink_to_fit();
        }
        self.is_crowded.store(is_crowded, Ordering::Relaxed);
    }
}

/// Whose budget an address shares. Somebody with an IPv6 address usually has the 2^64 around it, too.
pub(super) fn network(address: IpAddr, is_crowded: bool) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) if is_crowded => {
            let [first, second, ..] = address.octets();
            Ipv4Addr::new(first, second, 0, 0).into()
        }
        IpAddr::V6(address) => {
            let kept = if is_crowded { 32 } else { 64 };
            Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - kept))).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn each_address_has_a_budget_and_is_told_when_to_come_back() {
        let budget = Budget::new(Quota::per_minute(NonZeroU32::new(2).unwrap()));
        assert_eq!((budget.take(address(1)), budget.take(address(1))), (Ok(()), Ok(())));
        let wait = budget.take(address(1)).unwrap_err();
        assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30), "{wait:?}");
        assert_eq!(budget.take(address(2)), Ok(()), "somebody else");
    }

    #[test]
    fn what_agents_send_in_a_second_is_far_below_the_default() {
        let variables = config::Variables::new();
        let read_file = |_: &std::path::Path| Ok(Vec::new());
        let surroundings = config::Surroundings { read_file: &read_file, is_root: true };
        let (config, _) = config::Config::read(&variables, &surroundings).unwrap();
        let limits = Limits::new(&config.limits);
        // Twice what the benchmark reaches.
        assert!((0..25_000).all(|_| limits.deliveries.take(address(1)).is_ok()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let budget = Budget::new(Quota::per_hour(NonZeroU32::new(1).unwrap()));
        for number in 0..=MAX_ADDRESSES {
            let _ = budget.take(address(u32::try_from(number).unwrap()));
        }
        budget.forget();
        let before = budget.limiter.len();
        for number in 0..MAX_ADDRESSES {
            let _ = budget.take(address(0x0a00_0000 + u32::try_from(number).unwrap()));
        }
        assert_eq!(budget.limiter.len(), before + 1, "a network shares a budget");
    }

    #[test]
    fn a_network_is_what_one_sender_has() {
        for (text, is_crowded, expected) in [
            ("192.0.2.1", false, "192.0.2.1"),
            ("::ffff:192.0.2.1", false, "192.0.2.1"),
            ("192.0.2.1", true, "192.0.0.0"),
            ("2001:db8:1:2:3:4:5:6", false, "2001:db8:1:2::"),
            ("2001:db8:1:2:3:4:5:6", true, "2001:db8::"),
        ] {
            assert_eq!(network(text.parse().unwrap(), is_crowded).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn deliveries_are_limited_and_reads_are_not() {
        for (method, route, expected) in [
            (Method::POST, "/v1/jitsi/events", Some(Platform::Jitsi)),
            (Method::POST, "/v1/jibri/recording-complete", Some(Platform::Jitsi)),
            (Method::POST, "/v1/agents/heartbeat", Some(Platform::Jitsi)),
            (Method::DELETE, "/v1/recordings/uploads/{upload_id}", Some(Platform::Jitsi)),
            (Method::POST, "/v1/whereby", Some(Platform::Whereby)),
            (Method::GET, "/v1/jitsi/health", None),
            (Method::POST, "/v1/rooms", None),
            (Method::POST, "", None),
        ] {
            assert_eq!(Platform::of(&method, route), expected, "{method} {route}");
        }
    }
}
