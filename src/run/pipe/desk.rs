//! Several threads on one input, each doing all of the work on what it reads; what they make is written in order.

use super::{Ended, Input, Out};
use crate::scrub::{Clean, Quarantined, Scrubber, Settings, Tally};
use crate::store::sink::{Compress, Encoder, FRAME, Frame};
use crate::store::source::{BLOCK, Block, Filled};
use crate::store::{Cause, StoreError};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A block on its way, with the buffers that travel with it.
#[derive(Default)]
struct Parcel {
    block: Block,
    too_long: bool,
    clean: Clean,
    rejected: Quarantined,
    frame: Frame,
    tally: Tally,
    failed: Option<StoreError>,
}

/// What threads share that read, clean and write blocks.
struct Desk<'a, 'b> {
    settings: &'a Settings,
    compress: Compress,
    appended: bool,
    /// The input, and how many blocks were read of it; none once it has ended.
    input: Mutex<Option<(&'a mut Input<'b>, u64)>>,
    /// What ended it, if that was no end.
    damage: Mutex<Option<StoreError>>,
    out: Mutex<(Out, Tally)>,
    waiting: Mutex<Waiting>,
    turn: Condvar,
    /// Blocks that may wait for their turn.
    most: usize,
}

/// Blocks that are clean and wait for those in front of them.
#[derive(Default)]
struct Waiting {
    /// The block that is written next.
    due: u64,
    ready: BTreeMap<u64, Parcel>,
    /// Somebody is writing.
    writing: bool,
    spare: Vec<Parcel>,
    /// Nothing more is written: why.
    failed: Option<StoreError>,
}

/// Each thread reads a block, cleans it where it read it, and hands it in; whoever hands in the one that is due writes it.
pub(super) fn many(input: &mut Input<'_>, out: Out, settings: &Settings, threads: usize, tally: &mut Tally) -> Ended {
    let desk = Desk {
        settings,
        compress: out.compress,
        appended: out.sink.is_appended(),
        input: Mutex::new(Some((input, 0))),
        damage: Mutex::default(),
        out: Mutex::new((out, Tally::default())),
        waiting: Mutex::default(),
        turn: Condvar::new(),
        most: threads,
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| desk.work());
        }
        desk.work();
    });
    let (out, sum) = desk.out.into_inner().unwrap_or_else(PoisonError::into_inner);
    *tally = sum;
    let failed = lock(&desk.waiting).failed.take();
    let (sent, finished) = out.finish(failed.map_or(Ok(()), Err));
    let damage = lock(&desk.damage).take();
    (sent, finished.and(damage.map_or(Ok(()), Err)))
}

/// Nothing that is locked here is left half changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the other threads when one breaks: the block that it had is never handed in.
struct Alarm<'a>(&'a Mutex<Waiting>, &'a Condvar);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let cause = Cause::Io(std::io::Error::other("a thread broke"));
            lock(self.0).failed = Some(StoreError { verb: "scrub", path: "input".into(), cause });
            self.1.notify_all();
        }
    }
}

impl Desk<'_, '_> {
    fn work(&self) {
        let _alarm = Alarm(&self.waiting, &self.turn);
        let mut scrubber = Scrubber::new(self.settings);
        let mut encoder = None;
        loop {
            let mut parcel = lock(&self.waiting).spare.pop().unwrap_or_default();
            let Some(number) = self.read(&mut parcel) else { return };
            self.clean(&mut scrubber, &mut encoder, &mut parcel);
            if !self.hand_in(number, parcel) {
                return;
            }
        }
    }

    /// The next block and its number; behind the last one, nothing.
    fn read(&self, parcel: &mut Parcel) -> Option<u64> {
        let mut reading = lock(&self.input);
        let (input, next) = reading.as_mut()?;
        let number = *next;
        *next += 1;
        let filled = input.fill(&mut parcel.block, if self.compress == Compress::None { BLOCK } else { FRAME });
        parcel.too_long = matches!(filled, Ok(Filled::TooLong));
        if !matches!(filled, Ok(Filled::Block | Filled::Pause | Filled::TooLong)) {
            *reading = None;
            *lock(&self.damage) = filled.err();
        }
        Some(number)
    }

    fn clean(&self, scrubber: &mut Scrubber, encoder: &mut Option<Encoder>, parcel: &mut Parcel) {
        parcel.clean.clear();
        parcel.rejected.clear();
        parcel.tally = Tally::default();
        scrubber.refresh();
        scrubber.block(parcel.block.as_bytes(), &mut parcel.clean, &mut parcel.rejected, &mut parcel.tally);
        if parcel.too_long {
            scrubber.too_long(&mut parcel.clean, &mut parcel.tally);
        }
        if self.compress != Compress::None {
            let encoder = match encoder {
                Some(encoder) => Ok(encoder),
                None => Encoder::new(self.compress).map(|fresh| encoder.insert(fresh)),
            };
            if self.appended {
                parcel.clean.end_line();
            }
            parcel.failed = encoder.and_then(|encoder| encoder.encode(&parcel.clean, &mut parcel.frame)).err();
        }
    }

    /// Writes what is due, and waits where too much waits for it; false once nothing is written any more.
    fn hand_in(&self, number: u64, parcel: Parcel) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.ready.insert(number, parcel);
        loop {
            if waiting.failed.is_some() {
                return false;
            }
            let due = waiting.due;
            if !waiting.writing
                && let Some(mut parcel) = waiting.ready.remove(&due)
            {
                waiting.writing = true;
                drop(waiting);
                let taken = self.take(&mut parcel);
                waiting = lock(&self.waiting);
                (waiting.writing, waiting.due) = (false, due + 1);
                waiting.spare.push(parcel);
                waiting.failed = taken.err().or(waiting.failed.take());
                self.turn.notify_all();
            } else if waiting.ready.len() < self.most {
                return true;
            } else {
                waiting = self.turn.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn take(&self, parcel: &mut Parcel) -> Result<(), StoreError> {
        let (out, tally) = &mut *lock(&self.out);
        if let Some(error) = parcel.failed.take() {
            return Err(error);
        }
        tally.add(&parcel.tally);
        if out.compress == Compress::None {
            out.sink.write(&parcel.clean)?
        } else {
            out.sink.write_frame(&parcel.frame, parcel.tally.written)?
        }
        out.sent.lines += parcel.tally.written;
        out.quarantine(&mut parcel.rejected)?;
        out.check_keys()
    }
}
