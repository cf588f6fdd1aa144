//! How long it takes to take an entry into the fingerprint of all entries, in nanoseconds: for the row `fingerprint` of
//! `npm run bench`.

use std::hint::black_box;

use softadastra::measured::{Dot, Entry, EntryFlags, Extra, Origin, Stamp, Summary, SystemClock};

/// As many puts as are in flight: a group is made, written, and then taken in.
const GROUP: u64 = 1000;
const GROUPS: u64 = 1000;

/// As the rows write them: keys of 20 bytes after the namespace, values of 100.
fn entry(number: u64) -> Option<Entry> {
    let mut payload = format!("\0key/{number:016}").into_bytes();
    let key_length = payload.len();
    payload.resize(key_length + 100, b'v');
    let dot = Dot {
        origin: Origin([7; 16]),
        sequence: number,
    };
    Entry::new(
        payload.into(),
        key_length,
        EntryFlags::default(),
        dot,
        Stamp(number << 16),
        1,
        Extra::default(),
    )
}

fn main() {
    let clock = SystemClock::new();
    let mut summary = Summary::default();
    let mut took_us: Vec<u64> = (0..GROUPS)
        .map(|group| {
            let first = group * GROUP;
            let entries: Vec<Entry> = (first..first + GROUP).filter_map(entry).collect();
            let began = clock.elapsed_us();
            for entry in black_box(&entries) {
                summary.add(entry);
            }
            clock.elapsed_us() - began
        })
        .collect();
    black_box(summary);
    // Where the thread had to wait for a processor, that is not what it cost.
    took_us.sort_unstable();
    let usual = took_us.len() * 9 / 10;
    let took_us: u64 = took_us.iter().take(usual).sum();
    println!("{}", took_us * 1000 / (usual as u64 * GROUP));
}
