//! The way through a proxy, and what is said when it is barred.

use agent::config::Proxies;

use crate::servers::{self, Authority, BODY, Manner};
use crate::tls::get;

fn through(proxy: &str) -> Proxies {
    Proxies { all: proxy.to_owned(), ..Proxies::default() }
}

#[test]
fn https_goes_through_a_tunnel_and_the_certificate_is_the_servers() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    let authority = Authority::new();
    std::fs::write(&ca_file, authority.pem()).unwrap();
    let server = servers::tls(authority.server("localhost", 2000..2100));
    let url = format!("https://localhost:{}/", server.port());
    for (manner, login) in [(Manner::Open, ""), (Manner::Login, "u:p@")] {
        let (proxy, heads) = servers::proxy(manner);
        assert_eq!(
            get(&url, Some(&ca_file), &through(&format!("http://{login}{proxy}"))).as_deref(),
            Ok(BODY)
        );
        let asked = heads.lock().unwrap().join("");
        assert!(asked.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", server.port())), "{asked}");
        assert_eq!(asked.matches("CONNECT").count(), 1, "{asked}");
    }
}

#[test]
fn a_plain_request_is_handed_to_the_proxy_with_its_whole_address() {
    let (proxy, heads) = servers::proxy(Manner::Login);
    let url = "http://reflector.invalid:1250/v1/jitsi/events";
    assert_eq!(get(url, None, &through(&format!("http://u:p@{proxy}"))).as_deref(), Ok(BODY));
    let asked = heads.lock().unwrap().join("");
    assert!(asked.starts_with(&format!("GET {url} HTTP/1.1\r\n")), "{asked}");
}

#[test]
fn a_host_that_needs_no_proxy_is_reached_straight() {
    let (proxy, heads) = servers::proxy(Manner::Refuses(403));
    let proxies = Proxies { no: "localhost".into(), ..through(&format!("http://{proxy}")) };
    let url = format!("http://localhost:{}/", servers::plain().port());
    assert_eq!(get(&url, None, &proxies).as_deref(), Ok(BODY));
    assert!(heads.lock().unwrap().is_empty());
}

#[test]
fn each_way_in_which_a_proxy_fails_has_its_own_words_and_its_next_step() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = |manner| servers::proxy(manner).0;
    for (at, said, next) in [
        (proxy(Manner::Login), "wants a user and a password", "http://USER:PASSWORD@HOST:PORT"),
        (proxy(Manner::Refuses(403)), "does not connect to api.example:443: it answered 403", "NO_PROXY"),
        (proxy(Manner::Ssh), "did not answer as an HTTP proxy does", "HTTPS_PROXY"),
        (nobody, "refused the connection", "address and port"),
    ] {
        let refused = get("https://api.example/", None, &through(&format!("http://{at}"))).unwrap_err();
        assert!(refused.contains(&format!("the proxy {at}")), "{refused}");
        assert!(refused.contains(said) && refused.contains(next), "{refused}");
    }
}
