//! Which addresses a webhook may be sent to: a room's owner must not get this host to talk to what only this host can reach.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// IPv4 networks that are not the public Internet (IANA's special-purpose registry), and one address in it that clouds answer
/// themselves.
const SPECIAL_V4: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10), // shared by carriers; Alibaba's metadata
    v4([127, 0, 0, 0], 8),
    v4([168, 63, 129, 16], 32), // Azure's agent
    v4([169, 254, 0, 0], 16),   // link-local; the metadata of most clouds
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];

/// All of IPv6 that is handed out for the public Internet. Loopback, mapped, translated, unique-local, link-local and multicast
/// addresses lie outside.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What within it is something else: tunnels that carry an IPv4 address, examples, identifiers that are no addresses.
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

const fn v4(octets: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]), bits)
}

const fn v6(s: [u16; 8], bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), bits)
}

/// An address that webhooks are not sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address {0} is not a public one, and webhooks are sent to no other")]
pub struct Forbidden(pub IpAddr);

/// Why a text cannot be a room's webhook, as far as that is known without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAWebhook {
    /// It is no URL of the web.
    #[error("a webhook's address begins with https:// or http:// and names a host")]
    Form,
    /// It cannot be read as a URL; the parser's reason.
    #[error("the address cannot be read: {0}")]
    Unreadable(String),
    /// There is a character that nobody sees.
    #[error("the address has a control character, perhaps a line break, in it")]
    Control,
    /// The port cannot be connected to.
    #[error("the address has port 0, which nobody listens on; ports are 1 to 65535")]
    Port,
    /// It holds a user or a password, which all who may see the room would see.
    #[error("the address has a user or a password in it; leave them out and check the signature instead")]
    Credentials,
    /// It leads inside.
    #[error(
        "webhooks are sent to public addresses; whoever runs this server can allow others with WEBHOOK_ALLOWED_NETWORKS"
    )]
    Inside,
}

/// Which addresses are allowed.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Networks that are allowed although they are not public.
    allowed: Arc<Vec<IpNet>>,
}

impl Guard {
    /// The public Internet, and `allowed` besides.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed: Arc::new(allowed) }
    }

    /// Whether webhooks may be sent to `address`.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let address = address.to_canonical();
        if is_public(address) || self.allowed.iter().any(|network| network.contains(&address)) {
            Ok(())
        } else {
            Err(Forbidden(address))
        }
    }

    /// The same for the host of `url`, where it is an address: nobody resolves such a host.
    pub fn check_host(&self, url: &Url) -> Result<(), Forbidden> {
        // The URL standard's parser has turned every spelling of an address into one.
        let host = url.host_str().unwrap_or_default();
        match host.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) => self.check(address),
            Err(_) => Ok(()),
        }
    }

    /// Whether `text` can be the address of a webhook. Names are not resolved: where they lead is looked at when something is sent.
    pub fn check_text(&self, text: &str) -> Result<(), NotAWebhook> {
        if text.chars().any(char::is_control) {
            return Err(NotAWebhook::Control);
        }
        if !["https://", "http://"].iter().any(|scheme| begins_with(text, scheme)) {
            return Err(NotAWebhook::Form);
        }
        let url = Url::parse(text).map_err(|error| NotAWebhook::Unreadable(error.to_string()))?;
        if url.port() == Some(0) {
            return Err(NotAWebhook::Port);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotAWebhook::Credentials);
        }
        let inside = |Forbidden(_)| NotAWebhook::Inside;
        if is_this_host(url.host_str().unwrap_or_default()) {
            self.check(Ipv4Addr::LOCALHOST.into()).map_err(inside)?;
        }
        self.check_host(&url).map_err(inside)
    }

    /// `addresses` of a name, if all of them are allowed: a name that also leads inside is a trap or a mistake.
    fn check_all(&self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        addresses.iter().try_for_each(|address| self.check(address.ip()))?;
        Ok(addresses)
    }
}

/// Resolves names as the system does, and then checks the addresses: it is these that are connected to, so nobody can change them in
/// between.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if addresses.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let addresses: Addrs = Box::new(guard.check_all(addresses)?.into_iter());
            Ok(addresses)
        })
    }
}

fn begins_with(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// The names that are this host everywhere (RFC 6761).
fn is_this_host(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host == "localhost" || host.ends_with(".localhost")
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|network| network.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str) -> Url {
        Url::parse(&format!("https://{host}/hook")).unwrap()
    }

    #[test]
    fn only_the_public_internet_is_allowed() {
        for (host, allowed) in [
            ("93.184.216.34", true),
            ("1.1.1.1", true),
            ("172.15.255.255", true),
            ("172.32.0.0", true),
            ("100.63.255.255", true),
            ("100.128.0.0", true),
            ("223.255.255.255", true),
            ("[2606:2800:220:1::1]", true),
            ("[2001:200::1]", true),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("100.100.100.200", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("168.63.129.16", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.192", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("[::]", false),
            ("[::1]", false),
            ("[::ffff:127.0.0.1]", false),
            ("[::ffff:a9fe:a9fe]", false),
            ("[::ffff:93.184.216.34]", true),
            ("[::127.0.0.1]", false),
            ("[64:ff9b::7f00:1]", false),
            ("[2001::1]", false),
            ("[2002:7f00:1::]", false),
            ("[2001:db8::1]", false),
            ("[fc00::1]", false),
            ("[fd00:ec2::254]", false),
            ("[fe80::1]", false),
            ("[fec0::1]", false),
            ("[ff02::1]", false),
        ] {
            assert_eq!(Guard::default().check_host(&url(host)).is_ok(), allowed, "{host}");
        }
    }

    #[test]
    fn no_spelling_of_an_address_gets_past() {
        for host in ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "①②⑦.⓪.⓪.①"] {
            Guard::default().check_host(&url(host)).expect_err(host);
        }
    }

    #[test]
    fn what_needs_no_question_to_know_is_known_before_a_webhook_is_kept() {
        use NotAWebhook::{Control, Credentials, Form, Inside, Port};
        let guard = Guard::new(vec!["10.1.0.0/16".parse().unwrap()]);
        for (text, expected) in [
            ("https://example.com/hook?room=1", Ok(())),
            ("HTTP://example.com:8080", Ok(())),
            ("http://93.184.216.34/", Ok(())),
            ("http://10.1.2.3/", Ok(())),
            ("http://localhost.example.com/", Ok(())),
            ("ftp://example.com", Err(Form)),
            ("example.com/hook", Err(Form)),
            ("http://example.com:0/", Err(Port)),
            ("https://ann:hunter2@example.com/", Err(Credentials)),
            ("https://ann@example.com/", Err(Credentials)),
            ("https://exam\nple.com/", Err(Control)),
            ("https://example.com/\u{7f}", Err(Control)),
            ("http://10.2.0.1/", Err(Inside)),
            ("http://2130706433/", Err(Inside)),
            ("http://[::1]/", Err(Inside)),
            ("http://169.254.169.254/latest", Err(Inside)),
            ("http://localhost:1250/", Err(Inside)),
            ("http://a.LOCALHOST./", Err(Inside)),
        ] {
            assert_eq!(guard.check_text(text), expected, "{text:?}");
        }
        for (text, reason) in [("http://example.com:99999/", "port"), ("https://", "host")] {
            let said = guard.check_text(text).unwrap_err().to_string();
            assert!(said.contains("cannot be read") && said.contains(reason), "{said}");
        }
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()]);
        assert_eq!(guard.check_text("http://localhost:1250/"), Ok(()));
    }

    #[test]
    fn networks_that_are_allowed_besides_end_where_they_end() {
        let guard = Guard::new(vec!["10.1.0.0/16".parse().unwrap(), "fd00:1::/32".parse().unwrap()]);
        for (host, allowed) in [
            ("10.1.255.255", true),
            ("[::ffff:10.1.0.1]", true),
            ("10.2.0.0", false),
            ("[fd00:1::1]", true),
            ("[fd00:2::1]", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(guard.check_host(&url(host)).is_ok(), allowed, "{host}");
        }
    }

    #[test]
    fn a_name_is_refused_when_one_of_its_addresses_is_inside() {
        let socket = |address: &str| SocketAddr::new(address.parse().unwrap(), 0);
        let (outside, inside) = (socket("93.184.216.34"), socket("169.254.169.254"));
        let guard = Guard::default();
        assert_eq!(guard.check_all(vec![outside]), Ok(vec![outside]));
        assert_eq!(guard.check_all(vec![outside, inside]), Err(Forbidden(inside.ip())));
    }
}
