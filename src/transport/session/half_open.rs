//! Limits on half-open connections, whose callers have not greeted: a bound for each address beyond this machine, so
//! that one stranger cannot take all places.

use hashbrown::HashMap;
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

use super::address::is_loopback_address;

/// Most connections that have not greeted; further ones wait in the backlog.
pub const HALF_OPEN_MAX: usize = 64;

/// Most of those from one address that is not this machine; further ones are closed at once.
pub const HALF_OPEN_PER_ADDRESS_MAX: usize = 8;

/// Half-open connections by address.
#[derive(Debug, Default)]
pub(in crate::transport) struct HalfOpen {
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A place among the half-open connections; given back when dropped.
#[derive(Debug)]
pub(in crate::transport) struct HalfOpenSlot {
    registry: Arc<HalfOpen>,
    counted: Option<IpAddr>,
    _permit: OwnedSemaphorePermit,
}

impl HalfOpen {
    /// A place for a connection from `address`; `None` if that has too many already.
    pub(in crate::transport) fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        permit: OwnedSemaphorePermit,
    ) -> Option<HalfOpenSlot> {
        let counted = (!is_loopback_address(address)).then(|| address.to_canonical());
        if let Some(address) = counted {
            let mut by_address = self.by_address.lock();
            let count = by_address.entry(address).or_insert(0);
            if *count >= HALF_OPEN_PER_ADDRESS_MAX {
                return None;
            }
            *count += 1;
        }
        Some(HalfOpenSlot {
            registry: Arc::clone(self),
            counted,
            _permit: permit,
        })
    }
}

impl Drop for HalfOpenSlot {
    fn drop(&mut self) {
        let Some(address) = self.counted else { return };
        let mut by_address = self.registry.by_address.lock();
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    #[test]
    fn one_stranger_gets_eight_places_and_gets_them_back() {
        let registry = Arc::new(HalfOpen::default());
        let places = Arc::new(Semaphore::new(HALF_OPEN_MAX));
        let enter = |address: &str| {
            let permit = Arc::clone(&places).try_acquire_owned().unwrap();
            registry.enter(address.parse().unwrap(), permit)
        };
        let mut slots: Vec<_> = (0..8).map(|_| enter("192.0.2.1").unwrap()).collect();
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("::ffff:192.0.2.1").is_none(), "the same one");
        let other = enter("192.0.2.2").unwrap();
        let local: Vec<_> = (0..20).map(|_| enter("127.0.0.1").unwrap()).collect();
        slots.pop();
        assert!(enter("192.0.2.1").is_some());
        drop((slots, other, local));
        assert!(registry.by_address.lock().is_empty());
        assert_eq!(places.available_permits(), HALF_OPEN_MAX);
    }
}
