//! Resolution of host names to addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::transport::error::TransportError;
use crate::transport::session::address::HostPort;

/// Most addresses of one name that are tried in one call: with a quarter of a second between two attempts, the last one
/// still has half of the time to connect.
const ADDRESSES_MAX: usize = 10;

/// The addresses of a host, best first. "localhost" is this machine whatever a resolver says, so that a loopback-only
/// node stays one.
pub(super) async fn resolve(address: &HostPort) -> Result<Vec<SocketAddr>, TransportError> {
    let port = address.port;
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    if address.is_loopback() {
        let both = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ];
        return Ok(both.map(|ip| SocketAddr::new(ip, port)).to_vec());
    }
    let unknown = |source| TransportError::UnknownHost {
        host: address.host.clone(),
        source,
    };
    let found: Vec<SocketAddr> = tokio::net::lookup_host((address.host.as_str(), port))
        .await
        .map_err(|error| unknown(Some(error)))?
        .collect();
    if found.is_empty() {
        return Err(unknown(None));
    }
    Ok(alternating(found))
}

/// The addresses with the families in turn, the family of the first one first, and each family in its order; at most
/// [`ADDRESSES_MAX`]. A family that leads nowhere then delays the other by one attempt only.
fn alternating(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|remote| remote.is_ipv6() == is_first_v6);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let pairs = std::iter::from_fn(|| match (one.next(), other.next()) {
        (None, None) => None,
        pair => Some([pair.0, pair.1]),
    });
    pairs.flatten().flatten().take(ADDRESSES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_tried_in_turn_and_no_name_brings_calls_without_end() {
        let remotes = |all: &[&str]| -> Vec<SocketAddr> {
            all.iter().map(|text| text.parse().unwrap()).collect()
        };
        let found = remotes(&[
            "[2001:db8::1]:1",
            "[2001:db8::2]:1",
            "[2001:db8::3]:1",
            "192.0.2.1:1",
        ]);
        let tried = remotes(&[
            "[2001:db8::1]:1",
            "192.0.2.1:1",
            "[2001:db8::2]:1",
            "[2001:db8::3]:1",
        ]);
        assert_eq!(alternating(found), tried);
        let only = remotes(&["192.0.2.1:1", "192.0.2.2:1"]);
        assert_eq!(alternating(only.clone()), only);
        let many = (0..200).map(|at| SocketAddr::from(([192, 0, 2, at], 1)));
        let tried = alternating(many.clone().collect());
        assert_eq!(tried, many.take(ADDRESSES_MAX).collect::<Vec<_>>());
    }
}
