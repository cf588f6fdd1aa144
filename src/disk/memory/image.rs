//! The memory disk as a value: files by name, durable names, and the result of a power cut.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::MemoryStorage;
use super::node::Node;

/// A change of names.
#[derive(Clone)]
pub(super) enum NameChange {
    Create { name: String, id: u64 },
    Rename { from: String, to: String },
    Remove(String),
}

type Names = BTreeMap<String, u64>;

#[derive(Clone, Default)]
pub(super) struct Disk {
    nodes: BTreeMap<u64, Node>,
    /// The names after the last sync of the directory.
    durable: Names,
    /// The names as the system sees them.
    seen: Names,
    /// Changes that led from `durable` to `seen`, in order.
    pending: Vec<NameChange>,
    next_id: u64,
}

impl Disk {
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.seen.keys().map(String::as_str)
    }

    pub(super) fn find(&self, name: &str) -> Option<u64> {
        self.seen.get(name).copied()
    }

    pub(super) fn node(&self, id: u64) -> io::Result<&Node> {
        self.nodes.get(&id).ok_or_else(gone)
    }

    pub(super) fn node_mut(&mut self, id: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or_else(gone)
    }

    /// Bytes of all files with a name.
    pub(super) fn used_bytes(&self) -> u64 {
        let named = self.seen.values().filter_map(|id| self.nodes.get(id));
        named.map(Node::len).sum()
    }

    pub(super) fn create(&mut self, name: String) -> u64 {
        let id = self.add(Node::default());
        self.seen.insert(name.clone(), id);
        self.pending.push(NameChange::Create { name, id });
        id
    }

    pub(super) fn put_durable(&mut self, name: String, bytes: &[u8]) {
        let id = self.add(Node::durable(bytes));
        self.seen.insert(name.clone(), id);
        self.durable.insert(name, id);
    }

    fn add(&mut self, node: Node) -> u64 {
        self.next_id += 1;
        self.nodes.insert(self.next_id, node);
        self.next_id
    }

    pub(super) fn change(&mut self, change: NameChange) -> io::Result<()> {
        if !apply(&mut self.seen, &change) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.pending.push(change);
        Ok(())
    }

    pub(super) fn sync_directory(&mut self) {
        self.durable = self.seen.clone();
        self.pending.clear();
    }

    fn after_power_cut(&self, choices: &mut Choices) -> Self {
        let mut names = self.durable.clone();
        // A change that builds on a lost one is lost too.
        let mut lost = BTreeSet::new();
        let habit = choices.habit();
        for change in &self.pending {
            let touched: Vec<&str> = match change {
                NameChange::Create { name, .. } | NameChange::Remove(name) => vec![name],
                NameChange::Rename { from, to } => vec![from, to],
            };
            let possible = !touched.iter().any(|name| lost.contains(name));
            if !(possible && choices.happens(habit) && apply(&mut names, change)) {
                lost.extend(touched);
            }
        }
        let nodes: BTreeMap<_, _> = names
            .values()
            .filter_map(|id| Some((*id, self.nodes.get(id)?.after_power_cut(choices))))
            .collect();
        Self {
            nodes,
            durable: names.clone(),
            seen: names,
            pending: Vec::new(),
            next_id: self.next_id,
        }
    }
}

/// Applies a change to the names; false if there is nothing of that name.
fn apply(names: &mut Names, change: &NameChange) -> bool {
    match change {
        NameChange::Create { name, id } => {
            names.insert(name.clone(), *id);
            true
        }
        NameChange::Rename { from, to } => names
            .remove(from)
            .map(|id| names.insert(to.clone(), id))
            .is_some(),
        NameChange::Remove(name) => names.remove(name).is_some(),
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the file is gone")
}

/// A disk at one moment, including everything that is not durable yet.
#[derive(Clone)]
pub struct DiskImage {
    disk: Disk,
}

impl DiskImage {
    pub(super) fn new(disk: Disk) -> Self {
        Self { disk }
    }

    /// A new disk with one of the states that a power cut at this moment may leave; equal seeds give equal states.
    pub fn power_cut(&self, seed: u64) -> MemoryStorage {
        Self::new(self.disk.after_power_cut(&mut Choices::new(seed))).into_storage()
    }

    /// A new disk that goes on from this moment, as if only the process had been killed.
    pub fn process_killed(&self) -> MemoryStorage {
        self.clone().into_storage()
    }

    fn into_storage(self) -> MemoryStorage {
        let storage = MemoryStorage::new();
        storage.shared.lock().disk = self.disk;
        storage
    }

    /// The bytes of a file as the system sees them.
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        let id = self.disk.find(name)?;
        self.disk.node(id).ok().map(Node::bytes)
    }

    /// The names of all files as the system sees them.
    pub fn names(&self) -> Vec<String> {
        self.disk.names().map(str::to_owned).collect()
    }
}

impl std::fmt::Debug for DiskImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DiskImage").field(&self.names()).finish()
    }
}

/// A moment at which the power may be cut.
#[derive(Debug, Clone)]
pub struct CrashPoint {
    /// Number of calls made before this moment.
    pub calls: u64,
    /// The disk at this moment.
    pub image: DiskImage,
}

/// Random choices of a power cut, equal for equal seeds.
pub(super) struct Choices {
    state: u64,
}

/// Probability of each pending change to have reached the disk, in 16ths.
type Habit = u64;

impl Choices {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The habit of one file: nothing, little, half, most or all reached the disk, because the odd cases are at the
    /// edges.
    pub(super) fn habit(&mut self) -> Habit {
        match self.next() % 8 {
            0 => 0,
            1 | 2 => 2,
            3..=5 => 8,
            6 => 14,
            _ => 16,
        }
    }

    pub(super) fn happens(&mut self, habit: Habit) -> bool {
        self.next() % 16 < habit
    }

    /// `SplitMix64` (Steele, Lea and Flood, 2014).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::storage::Storage;

    fn left(storage: &MemoryStorage) -> BTreeSet<Vec<(String, Vec<u8>)>> {
        let image = storage.image();
        (0..400)
            .map(|seed| {
                let after = image.power_cut(seed).image();
                let with_bytes = |name: String| (name.clone(), after.file(&name).unwrap());
                after.names().into_iter().map(with_bytes).collect()
            })
            .collect()
    }

    #[test]
    fn a_rename_leaves_the_old_or_the_new_file_and_never_neither() {
        let storage = MemoryStorage::from_files([("a".into(), b"old".to_vec())]);
        let file = storage.create("b").unwrap();
        file.write_at(0, b"new").unwrap();
        file.sync_all().unwrap();
        storage.rename("b", "a").unwrap();
        let states = left(&storage);
        assert!(states.len() > 1);
        for state in states {
            let a = &state.iter().find(|(name, _)| name == "a").unwrap().1;
            assert!(a == b"old" || a == b"new");
        }
        storage.sync_directory().unwrap();
        assert_eq!(left(&storage), [vec![("a".into(), b"new".to_vec())]].into());
    }

    #[test]
    fn a_name_may_be_lost_although_its_bytes_were_synced() {
        let storage = MemoryStorage::new();
        let file = storage.create("a").unwrap();
        file.write_at(0, b"x").unwrap();
        file.sync_all().unwrap();
        assert!(left(&storage).contains(&Vec::new()));
    }

    #[test]
    fn an_image_does_not_change_with_the_disk() {
        let storage = MemoryStorage::from_files([("a".into(), b"old".to_vec())]);
        let image = storage.image();
        let file = storage.open("a").unwrap().unwrap();
        file.write_at(0, b"new").unwrap();
        assert_eq!(image.file("a").unwrap(), b"old");
        assert_eq!(image.process_killed().image().file("a").unwrap(), b"old");
        assert_eq!(storage.image().file("a").unwrap(), b"new");
    }
}
