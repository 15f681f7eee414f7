//! What proves that a raw file may go, and what does not.

use super::super::{Claim, Halt, Refusal};
use super::{RAW, State, World, wall};
use crate::retain::ledger::Entry;
use std::path::Path;

impl World {
    /// A scrubbed raw file whose form was meddled with, and where the form stood.
    fn spoilt(spoil: fn(&mut State, &str)) -> (Self, String) {
        let mut world = Self::new(&[3]);
        world.run().unwrap();
        let path = world.memory.state().tree().keys().find(|path| path.starts_with("/out/")).cloned().unwrap();
        spoil(&mut world.memory.state(), &path);
        (world, path)
    }

    fn proves(&self, required: &[(&str, &str)]) -> bool {
        let required: Vec<_> = required.iter().map(|(form, directory)| (*form, Path::new(*directory))).collect();
        let claim = Claim { class: "site", form: "raw", required: &required, deadline: None, reason: None };
        let held = self.shelf.hold_path(Path::new(RAW)).unwrap();
        match self.shelf.prove(held, &claim, &self.journal.known, wall()) {
            Ok(_) => true,
            Err(Halt::Refused { why: Refusal::Unproven, .. }) => false,
            Err(other) => panic!("{other}"),
        }
    }
}

const ELSEWHERE: &str = "/elsewhere/gone";

fn shift(state: &mut State, path: &str) {
    state.shift(path, ELSEWHERE);
}

#[test]
fn a_form_that_is_missing_or_changed_is_no_proof() {
    let whole = World::spoilt(|_, _| {}).0;
    assert!(whole.proves(&[("default", "/out")]) && whole.proves(&[]));
    assert!(!whole.proves(&[("default", "/out"), ("security", "/out")]));
    for spoil in [shift as fn(&mut State, &str), |state, path| state.grow(path, b"more")] {
        assert!(!World::spoilt(spoil).0.proves(&[("default", "/out")]));
    }
}

#[test]
fn what_batch_made_is_proof_only_where_the_form_has_its_files() {
    let (mut world, _) = World::spoilt(shift);
    let made = world.journal.entries.iter().find_map(|entry| if let Entry::Scrubbed(made) = entry { Some(made.clone()) } else { None });
    let mut made = made.unwrap();
    made.class = None;
    made.outputs.iter_mut().for_each(|output| output.path = ELSEWHERE.into());
    world.journal.known.note(&Entry::Scrubbed(made));
    assert!(!world.proves(&[("default", "/out")]));
    assert!(world.proves(&[("default", "/elsewhere")]));
}
