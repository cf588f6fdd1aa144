//! Resolution of host names to addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::transport::error::TransportError;
use crate::transport::session::address::HostPort;

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
    Ok(found)
}
