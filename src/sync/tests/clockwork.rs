//! Picks the next event and advances time.

use super::world::World;

/// Most events in one stretch of time.
const EVENTS_MAX: u32 = 200_000;

enum Event {
    Packet(usize, usize),
    Commit(usize),
    Sync(usize),
    Timer(usize),
}

impl World {
    /// The next event, unless it lies after `until`.
    fn next(&self, until: u64) -> Option<(u64, Event)> {
        let mut next: Option<(u64, Event)> = None;
        let mut offer = |at: Option<u64>, event: Event| {
            if let Some(at) = at.map(|at| at.max(self.at))
                && at <= until
                && next.as_ref().is_none_or(|(best, _)| at < *best)
            {
                next = Some((at, event));
            }
        };
        for (place, wire) in self.wires.iter().enumerate() {
            for (side, end) in wire.ends.iter().enumerate() {
                offer(end.due(), Event::Packet(place, side));
            }
        }
        for (place, host) in self.hosts.iter().enumerate() {
            let Some(running) = &host.running else {
                continue;
            };
            offer(running.commit_at, Event::Commit(place));
            offer(running.sync_at, Event::Sync(place));
            let deadline = running.replica.deadline(&running.map);
            offer(deadline.map(|at| at.0 - 1), Event::Timer(place));
        }
        next
    }

    /// Runs all events up to a moment.
    pub(super) fn run_until(&mut self, until: u64) {
        let mut events = 0;
        while let Some((at, event)) = self.next(until) {
            self.at = at;
            events += 1;
            assert!(events < EVENTS_MAX, "they do not come to rest");
            match event {
                Event::Packet(wire, side) => self.arrive(wire, side),
                Event::Commit(host) => self.commit(host),
                Event::Sync(host) => self.sync(host),
                Event::Timer(host) => self.on_time(host),
            }
        }
        self.at = until;
    }

    pub(super) fn run_for(&mut self, ms: u64) {
        self.run_until(self.at + ms);
    }

    fn on_time(&mut self, host: usize) {
        let now = self.now(host);
        let running = self.hosts[host].up_mut();
        running.replica.on_time(now, &running.map);
        self.drain(host);
        if let Some(running) = &self.hosts[host].running {
            let next = running.replica.deadline(&running.map);
            assert!(
                next.is_none_or(|next| next > now.monotonic),
                "{host} would spin: it was asked at {now:?} and wants to be asked at {next:?}"
            );
        }
    }
}
