//! Random stretches of damage anywhere in the files of a store.

use super::damage::Folder;
use super::{Dice, Told, each_seed, is_usual};
use crate::store::tests::NAME;

/// Longest range that is damaged, in bytes.
const BURST_BYTES_MAX: u64 = 2_000;

fn burst(folder: &Folder, seed: u64) -> Told<bool> {
    let mut dice = Dice::new(seed);
    let mut names = folder.image.names();
    names.retain(|name| !folder.file(name).is_empty());
    // Files that every opening reads are damaged more often than the others.
    names.extend([NAME.to_owned(), format!("{NAME}.checkpoint")]);
    let name = &names[dice.index(names.len())];
    let mut file = folder.file(name);
    let used = if name == NAME {
        folder.ends[folder.ends.len() - 1] + 64
    } else {
        file.len()
    };
    let longest = [8, 64, BURST_BYTES_MAX][dice.index(3)];
    let start = dice.index(used);
    let end = file
        .len()
        .min(start + 1 + dice.index(usize::try_from(longest).unwrap()));
    let before = file[start..end].to_vec();
    let kind = dice.below(5);
    match kind {
        0 => file[start..end].fill(0),
        1 => file[start..end].fill(0xff),
        2 => {
            // Bytes that are whole at another place of the file.
            let from = dice.index(file.len() - before.len() + 1) / 8 * 8;
            file.copy_within(from..from + before.len(), start);
        }
        3 => file[start..end].rotate_left(1),
        _ => file[start..end].fill_with(|| u8::try_from(dice.below(256)).unwrap()),
    }
    let changed = |at: &usize| file[*at] != before[*at - start];
    let Some(first) = (start..end).find(changed) else {
        return Ok(false);
    };
    let end = (start..end).rfind(changed).unwrap_or(first) + 1;
    let disk = folder.with(name, &file);
    let reported = folder.judge(&disk, name, &(first..end));
    reported.map_err(|reported| format!("kind {kind} in {name} at {first}..{end}: {reported}"))
}

#[test]
fn a_burst_of_damage_is_told_or_costs_only_the_end_of_the_log() {
    let folders: Vec<Folder> = (0..20).map(Folder::of_everything).collect();
    let reported = each_seed("bursts", 20_000, |seed| {
        let folder = &folders[usize::try_from(seed % 20).unwrap()];
        burst(folder, seed).map(u64::from)
    });
    assert!(reported > 10_000 || !is_usual(), "{reported}");
}
