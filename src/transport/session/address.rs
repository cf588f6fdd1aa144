//! Hosts and ports, and whether they need protection.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::transport::error::TransportError;

/// Longest host name, in bytes: the limit of the domain name system.
pub const HOST_BYTES_MAX: usize = 253;

/// Host and port where a node listens or is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an address; an IPv6 address is without brackets.
    pub host: String,
    /// The port; 0 means "pick one", and only when listening.
    pub port: u16,
}

impl HostPort {
    /// An address from a host (brackets around an IPv6 address are removed) and a port.
    pub fn new(host: &str, port: u16) -> Result<Self, TransportError> {
        let invalid = |reason| TransportError::InvalidAddress {
            text: host.to_owned(),
            reason,
        };
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .filter(|inner| inner.parse::<Ipv6Addr>().is_ok())
                .ok_or(invalid("brackets belong around an IPv6 address"))?,
            None => host,
        };
        if bare.is_empty() {
            return Err(invalid("host must not be empty"));
        }
        if bare.len() > HOST_BYTES_MAX {
            return Err(invalid("host is too long"));
        }
        let is_address = bare.parse::<IpAddr>().is_ok();
        let forbidden = |c: char| c.is_whitespace() || c.is_control() || "[]/@\\".contains(c);
        if !is_address && (bare.contains(forbidden) || bare.contains(':')) {
            return Err(invalid("host has characters that no host has"));
        }
        Ok(Self {
            host: bare.to_owned(),
            port,
        })
    }

    /// Parses `host:port`, with an IPv6 address in brackets.
    #[cfg(test)]
    pub fn parse(text: &str) -> Result<Self, TransportError> {
        let invalid = |reason| TransportError::InvalidAddress {
            text: text.to_owned(),
            reason,
        };
        let (host, port) = text
            .rsplit_once(':')
            .ok_or(invalid("a port must follow behind a colon"))?;
        if host.contains(':') && !host.starts_with('[') {
            return Err(invalid("an IPv6 address must be in brackets"));
        }
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits);
        Self::new(
            host,
            port.ok_or(invalid("port must be a number up to 65535"))?,
        )
    }

    /// True if the host can only be this machine, see [`is_loopback`].
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Refuses a host that needs protection, see [`check_host`].
    pub fn check(&self, protection: Protection) -> Result<(), TransportError> {
        check_host(&self.host, protection)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Protection of connections beyond this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Protection {
    /// True if connections are encrypted and authenticated with a network key.
    pub has_network_key: bool,
    /// True if the user has explicitly allowed connections without protection.
    pub allow_insecure: bool,
}

/// True if `host` can only be this machine: a loopback address (brackets allowed, IPv4 within IPv6 too), or the name
/// "localhost". No name is looked up.
pub fn is_loopback(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse::<IpAddr>().map_or_else(
        |_| bare.eq_ignore_ascii_case("localhost"),
        is_loopback_address,
    )
}

/// True if an address is loopback, IPv4 within IPv6 included.
pub fn is_loopback_address(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Refuses a host beyond this machine when nothing protects the connection; the error names the option to set.
pub fn check_host(host: &str, protection: Protection) -> Result<(), TransportError> {
    if protection.has_network_key || protection.allow_insecure || is_loopback(host) {
        Ok(())
    } else {
        Err(TransportError::InsecureHost {
            host: host.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
            "localhost",
            "LocalHost",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "0.0.0.0",
            "::",
            "[::]",
            "192.168.1.1",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "",
            "[localhost]x",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn another_host_needs_protection_and_the_error_says_which() {
        let error = check_host("0.0.0.0", Protection::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("0.0.0.0") && text.contains("allowInsecure"));
        // The text does not advise an option that this version refuses.
        assert!(!text.contains("networkKey"));
        for protection in [
            Protection {
                has_network_key: true,
                allow_insecure: false,
            },
            Protection {
                has_network_key: false,
                allow_insecure: true,
            },
        ] {
            assert!(check_host("0.0.0.0", protection).is_ok());
        }
        assert!(check_host("[::1]", Protection::default()).is_ok());
    }

    #[test]
    fn addresses_are_read_and_shown_alike() {
        for text in ["127.0.0.1:4041", "[::1]:0", "node-a.local:65535"] {
            assert_eq!(HostPort::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            ":1",
            "host",
            "host:",
            "host:+1",
            "host:65536",
            "::1:5",
            "[::1:5",
            "a b:1",
            "[host]:1",
            "[]:1",
            "a/b:1",
        ] {
            assert!(HostPort::parse(text).is_err(), "{text}");
        }
        assert_eq!(HostPort::new("[::1]", 7).unwrap().host, "::1");
    }
}
