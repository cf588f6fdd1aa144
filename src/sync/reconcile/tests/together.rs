//! Number of messages that it takes to send what the other side lacks.

use super::{Side, check, entry};

#[test]
fn what_goes_out_goes_together() {
    let mut sides = [Side::new(), Side::new()];
    for key in 0..6000 {
        let side = usize::from(key % 2 == 1);
        let origin = if key % 2 == 1 { 2 } else { 1 };
        sides[side].put(entry(key, 1, origin, b"value"));
    }
    let (steps, ..) = check(&mut sides);
    for side in &sides {
        // Each side's entries fill some two messages, and each turn has one that is not full.
        let messages = side.messages as u64;
        assert!(messages <= 3 + steps / 2, "{messages} in {steps} turns");
    }
}
