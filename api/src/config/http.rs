//! Settings of the HTTP side.

use std::net::{Ipv4Addr, SocketAddr};

use super::reader::Reader;

/// The port of the existing API, on this host only: a proxy with TLS belongs in front.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1250);

pub(super) fn listen(reader: &mut Reader<'_>) -> SocketAddr {
    reader.parsed_or(
        "REFLECTOR_API_LISTEN",
        DEFAULT_LISTEN,
        "an address and a port such as 127.0.0.1:1250 or [::]:1250",
    )
}

pub(super) fn root_path(reader: &mut Reader<'_>) -> String {
    let Some(path) = reader.text("ROOT_PATH") else { return String::new() };
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() || trimmed.starts_with('/') {
        return trimmed.to_owned();
    }
    reader.error("ROOT_PATH", format!("{path:?} must begin with a slash, such as /server-api"));
    String::new()
}

/// The address that agents reach this service at, without a trailing slash: for enrolment tokens.
pub(super) fn public_url(reader: &mut Reader<'_>) -> Option<String> {
    const VARIABLE: &str = "REFLECTOR_API_PUBLIC_URL";
    let url = reader.text(VARIABLE)?;
    if is_web_address(&url) {
        return Some(url.trim_end_matches('/').to_owned());
    }
    reader.error(VARIABLE, format!("{url:?} is no address; write it as https://reflector.example.com"));
    None
}

/// Whether `text` is an address that begins with `http://` or `https://` and names a host.
pub fn is_web_address(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

/// Which origins of browsers may read answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// The origins of `CORS_ORIGIN`; `None` for `*`, the default: every origin.
    pub origins: Option<Vec<String>>,
    /// Whether browsers may send credentials along: `CORS_ALLOW_CREDENTIALS`.
    pub credentials: bool,
}

impl Cors {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let text = reader.text_or("CORS_ORIGIN", "*");
        let credentials = reader.flag("CORS_ALLOW_CREDENTIALS", false);
        let list: Vec<String> = text
            .split(',')
            .map(|origin| origin.trim().trim_end_matches('/').to_owned())
            .filter(|origin| !origin.is_empty())
            .collect();
        if list.iter().any(|origin| origin == "*") {
            if credentials {
                reader.error(
                    "CORS_ALLOW_CREDENTIALS",
                    "would let every site act with a visitor's credentials while CORS_ORIGIN allows all origins; name the frontends in \
                     CORS_ORIGIN, such as https://reflector.example.com, or leave this false: bearer tokens need it not",
                );
            }
            return Self { origins: None, credentials };
        }
        for origin in list.iter().filter(|origin| !is_web_address(origin)) {
            reader.error(
                "CORS_ORIGIN",
                format!("{origin:?} is no origin; write it as https://reflector.example.com, or * for all"),
            );
        }
        Self { origins: Some(list), credentials }
    }
}
