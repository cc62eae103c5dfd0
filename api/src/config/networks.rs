//! Lists of networks that the operator vouches for.

use ipnet::IpNet;

/// Wider than any network that somebody has: `10.0.0.0/8` and `fc00::/7` are the widest. Two halves of everything are as wrong as the
/// whole.
pub(super) fn is_too_wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < 8,
        IpNet::V6(network) => network.prefix_len() < 7,
    }
}
