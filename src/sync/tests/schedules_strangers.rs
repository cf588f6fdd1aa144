//! Peers that neither took nor brought anything: they are forgotten once they are gone.

use super::host::{Stop, options};
use super::stage::{MOMENT_MS, manual, stage};
use super::world::World;
use crate::store::commit::operation::Request;
use crate::sync::options::ReplicaOptions;
use crate::sync::peer::registry::PEERS_MAX;

fn strangers(options: &[ReplicaOptions]) -> World {
    let mut world = stage(options);
    world.are_strangers = true;
    world
}

fn known(world: &World) -> (usize, usize) {
    let running = world.hosts[0].up();
    let remembered = running.committer.ledger();
    let status = running.replica.peer_status(&running.map).unwrap();
    (
        status.len(),
        remembered.peers.len() + remembered.cursors.len(),
    )
}

#[test]
fn a_peer_that_took_and_brought_nothing_is_forgotten_when_it_is_gone() {
    let mut world = strangers(&[manual(), manual()]);
    world.put(0, "draft", "value");
    world.connect(0, 1, 5);
    world.run_for(100);
    assert_eq!(known(&world).0, 1);
    world.cut(0, 1);
    world.run_for(MOMENT_MS);
    assert_eq!(known(&world), (0, 0));
    world.stop(0, Stop::Cleanly);
    world.open(0);
    assert_eq!(known(&world), (0, 0));
}

#[test]
fn a_peer_that_took_or_brought_something_is_remembered() {
    for writer in [0, 1] {
        let mut world = strangers(&[options(), options()]);
        world.put(writer, "key", "value");
        world.connect(0, 1, 5);
        world.run_for(MOMENT_MS);
        world.cut(0, 1);
        world.run_for(MOMENT_MS);
        assert_eq!(known(&world).0, 1);
        world.stop(0, Stop::Killed);
        world.open(0);
        assert_eq!(known(&world).0, 1, "{writer}");
    }
}

#[test]
fn of_too_many_peers_those_that_count_least_are_forgotten_and_return_as_they_came() {
    let mut world = strangers(&[options(), options()]);
    world.put(0, "key", "value");
    world.connect(0, 1, 5);
    world.run_for(MOMENT_MS);
    let origin = world.hosts[1].up().replica.origin();
    let record = world.hosts[0].up().committer.ledger().peers[&origin].clone();
    for number in 0..PEERS_MAX as u64 + 100 {
        let mut bytes = [0xfe; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let mut record = record.clone();
        record.node_id = format!("former-{number}");
        let peer = crate::core::identity::Origin(bytes);
        world.request(0, Request::Peer { peer, record });
    }
    world.run_for(MOMENT_MS);
    world.stop(0, Stop::Cleanly);
    world.open(0);
    world.run_for(MOMENT_MS);
    assert!(known(&world).0 < PEERS_MAX);
    world.put(0, "later", "value");
    world.line();
    world.run_for(MOMENT_MS);
    assert_eq!(world.get(1, "later").as_deref(), Some("value"));
    assert!(known(&world).0 <= PEERS_MAX);
    world.check_convergence();
}
