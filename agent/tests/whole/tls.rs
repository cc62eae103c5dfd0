//! Connections and certificates: what is trusted, and what is said about what is not.

use std::path::Path;
use std::time::Duration;

use agent::chain::Chain;
use agent::config::{Api, Proxies};
use agent::http::{Client, HttpError, whole};
use hyper::Request;

use crate::servers::{self, Authority, BODY};

/// What a client that trusts `ca_file` gets from `url`: the body, or the error and the next step.
pub(crate) fn get(url: &str, ca_file: Option<&Path>, proxies: &Proxies) -> Result<String, String> {
    let settings = Api { ca_file: ca_file.map(Path::to_owned), ..Api::default() };
    let client = Client::new(&settings, proxies, 1);
    let request = Request::get(url).body(whole("")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(client.exchange(request, Duration::from_secs(20)));
    let said = |error: HttpError| format!("{}. Next: {}", Chain(&error), error.next_step());
    answer.map(|answer| String::from_utf8(answer.body.to_vec()).unwrap()).map_err(said)
}

#[test]
fn a_private_authority_is_trusted_when_it_is_configured_and_only_then() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    let authority = Authority::new();
    std::fs::write(&ca_file, authority.pem()).unwrap();
    let url =
        format!("https://localhost:{}/", servers::tls(authority.server("localhost", 2000..2100)).port());
    let direct = Proxies::default();
    assert_eq!(get(&url, Some(&ca_file), &direct).as_deref(), Ok(BODY));
    let refused = get(&url, None, &direct).unwrap_err();
    assert!(refused.contains("issued by nobody that this host trusts"), "{refused}");
    assert!(refused.contains("`ca-file` in [api]"), "{refused}");
}

#[test]
fn each_way_in_which_a_server_fails_has_its_own_words_and_its_next_step() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    let authority = Authority::new();
    std::fs::write(&ca_file, authority.pem()).unwrap();
    let https = |name: &str, years: std::ops::Range<i32>| {
        format!("https://localhost:{}/", servers::tls(authority.server(name, years)).port())
    };
    let itself = format!("https://localhost:{}/", servers::tls(authority.itself()).port());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (url, said, next) in [
        (https("other.example", 2000..2100), "is for DnsName(\"other.example\")", "`url` in [api]"),
        (https("localhost", 2000..2001), "expired on 2001-01-01T", "`date -u`"),
        (https("localhost", 2090..2100), "is not valid before 2090-01-01T", "`date -u`"),
        (itself, "shows the certificate of an authority as its own", "CA:FALSE"),
        (format!("https://localhost:{}/", servers::plain().port()), "does not speak TLS", "https goes to"),
        (format!("http://localhost:{nobody}/"), "refused the connection", "nothing listens there"),
        ("http://no-such-host.invalid/".to_owned(), "no-such-host.invalid:80 cannot be resolved", "getent"),
    ] {
        let refused = get(&url, Some(&ca_file), &Proxies::default()).unwrap_err();
        assert!(refused.contains(said) && refused.contains(next), "{url}: {refused}");
    }
}

#[test]
fn an_authority_that_is_installed_later_is_trusted_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    let (old, new) = (Authority::new(), Authority::new());
    std::fs::write(&ca_file, old.pem()).unwrap();
    let url = format!("https://localhost:{}/", servers::tls(new.server("localhost", 2000..2100)).port());
    let client =
        Client::new(&Api { ca_file: Some(ca_file.clone()), ..Api::default() }, &Proxies::default(), 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = || {
        let request = Request::get(&url).body(whole("")).unwrap();
        runtime.block_on(client.exchange(request, Duration::from_secs(20))).is_ok()
    };
    assert!(!ask());
    std::fs::write(&ca_file, old.pem() + &new.pem()).unwrap();
    assert!(ask());
}
