//! One file: read, dealt to the pool block by block, collected in order, written, read back, recorded.

use super::super::pipe::{PipeReport, Start, start};
use super::super::stock::Stock;
use super::{Progress, Shop, lock};
use crate::retain::ledger::{Counts, Identity, Keyed, Output, Reasons, Scrubbed};
use crate::scrub::{Clean, Quarantined, Scrubber, Settings, Tally};
use crate::store::archive::{Archive, Reading};
use crate::store::draft::{Draft, Ground, withdraw};
use crate::store::readback::{Packer, read_back};
use crate::store::sink::{Compress, Frame};
use crate::store::source::Block;
use crate::store::{Cause, StoreError};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex};

/// Blocks of one file that may be on their way: bounds a job's memory.
const WINDOW: usize = 10;

/// A block with the buffers that travel with it.
#[derive(Default)]
struct Parcel {
    block: Block,
    clean: Clean,
    rejected: Quarantined,
    frame: Frame,
    tally: Tally,
    /// In the frame.
    lines: u64,
}

/// What became of a parcel.
type Packed = Result<Parcel, StoreError>;

/// What cleans and packs the blocks of a file, in the pool or beside it.
struct Bench {
    settings: Settings,
    scrubbers: Mutex<Vec<Scrubber>>,
    stock: Arc<Stock>,
    packers: Mutex<Vec<Packer>>,
    compress: Compress,
    /// Parcels that wait for the pool or are in it.
    dealt: Arc<AtomicUsize>,
}

impl Bench {
    fn scrub(&self, parcel: &mut Parcel) {
        let idle = lock(&self.scrubbers).pop();
        let mut scrubber = idle.unwrap_or_else(|| self.stock.take(&self.settings.formats, None, || self.settings.clone()));
        scrub(&mut scrubber, parcel);
        lock(&self.scrubbers).push(scrubber);
    }

    fn pack(&self, mut parcel: Parcel) -> Packed {
        let idle = lock(&self.packers).pop();
        let mut packer = idle.map_or_else(|| Packer::new(self.compress), Ok)?;
        let lines = packer.pack(&parcel.clean, &mut parcel.frame);
        lock(&self.packers).push(packer);
        lines.map(|lines| Parcel { lines, ..parcel })
    }
}

fn scrub(scrubber: &mut Scrubber, parcel: &mut Parcel) {
    parcel.clean.clear();
    parcel.rejected.clear();
    parcel.tally = Tally::default();
    scrubber.refresh();
    scrubber.block(parcel.block.as_bytes(), &mut parcel.clean, &mut parcel.rejected, &mut parcel.tally);
}

fn unproven(path: &Path, what: &'static str) -> StoreError {
    StoreError { verb: "prove", path: path.to_owned(), cause: Cause::Io(io::Error::other(what)) }
}

/// What reading and writing found out.
struct Made {
    identity: Identity,
    digest: Keyed,
    draft: Draft,
}

impl Shop {
    /// Writes and proves the clean file of a raw one; whatever goes wrong, nothing but a whole file stands under the name.
    pub(super) fn file(&self, (source, progress): (&Path, &Progress), target: &Path, ground: Ground) -> (PipeReport, Result<(), StoreError>) {
        let mut report = PipeReport::default();
        let size = progress.size;
        let done = self.make((source, progress), target, &mut report).and_then(|made| self.prove(made, (source, target, ground), &mut report));
        // What was not read counts as passed.
        self.watch.bytes.fetch_add(size.saturating_sub(report.bytes_in), Ordering::Relaxed);
        (report, done)
    }

    fn make(&self, (source, progress): (&Path, &Progress), target: &Path, report: &mut PipeReport) -> Result<Made, StoreError> {
        let meters = [Arc::clone(&self.watch.bytes), Arc::clone(&progress.bytes)];
        let mut archive = Archive::open(source, &Reading { meters, ..self.reading.clone() })?;
        let identity = archive.identity();
        let mut draft = Draft::begin(target, &self.key)?;
        let dealt = self.deal(&mut archive, &mut |parcel| {
            if parcel.lines != parcel.tally.written {
                return Err(unproven(target, "the counts do not agree"));
            }
            report.tally.add(&parcel.tally);
            for (count, by) in [(&self.watch.lines, parcel.tally.read), (&progress.lines, parcel.tally.read), (&self.watch.rejected, parcel.tally.rejected)] {
                count.fetch_add(by, Ordering::Relaxed);
            }
            progress.rejected.fetch_add(parcel.tally.rejected, Ordering::Relaxed);
            if let Some(error) = self.pipe.keys.as_ref().and_then(|keys| keys.failure()) {
                return Err(error);
            }
            if let Some(quarantine) = lock(&self.quarantine).as_mut() {
                quarantine.write(&parcel.rejected)?;
            }
            draft.write_frame(&parcel.frame)
        });
        report.bytes_in = archive.bytes_read();
        report.format = dealt?;
        let digest = archive.finish()?;
        Ok(Made { identity, digest, draft })
    }

    /// Blocks to the pool and back in order; returns the format's name.
    fn deal(&self, archive: &mut Archive, collect: &mut dyn FnMut(&Parcel) -> Result<(), StoreError>) -> Result<Option<String>, StoreError> {
        let mut parcel = Parcel::default();
        let mut more = archive.block(&mut parcel.block)?;
        let Start { mut settings, name, alone, .. } = start(&self.pipe, parcel.block.as_bytes());
        settings.moments = true;
        let mut single = alone.then(|| Scrubber::new(&settings));
        // Packers outlive the file, and so do scrubbers of lines that stand for themselves.
        let packers = Mutex::new(std::mem::take(&mut *lock(&self.packers)));
        let bench =
            Arc::new(Bench { settings, scrubbers: Mutex::default(), stock: Arc::clone(&self.stock), packers, compress: self.pipe.compress, dealt: Arc::clone(&self.dealt) });
        // Each thread of the pool has one in its hands and one that waits. What JSON makes of control bytes is six times as long.
        let hands = self.pool.as_ref().map_or(0, |pool| 2 * pool.current_num_threads());
        let window = if alone { 3 } else { (hands + 2).min(WINDOW) };
        let mut queue: VecDeque<Receiver<Packed>> = VecDeque::new();
        let mut spare: Vec<Parcel> = Vec::new();
        loop {
            if !parcel.block.as_bytes().is_empty() {
                if let Some(scrubber) = &mut single {
                    scrub(scrubber, &mut parcel);
                }
                let (done, packed) = sync_channel(1);
                let at = Arc::clone(&bench);
                let work = move || {
                    if !alone {
                        at.scrub(&mut parcel);
                    }
                    // Nobody waits for it any more when the file has failed.
                    let _nobody = done.send(at.pack(parcel));
                };
                match &self.pool {
                    Some(pool) if bench.dealt.fetch_add(1, Ordering::Relaxed) < hands => {
                        let dealt = Arc::clone(&bench.dealt);
                        pool.spawn_fifo(move || {
                            work();
                            dealt.fetch_sub(1, Ordering::Relaxed);
                        });
                    }
                    // Whoever would wait for the pool does the work.
                    Some(_) => {
                        bench.dealt.fetch_sub(1, Ordering::Relaxed);
                        work();
                    }
                    None => work(),
                }
                queue.push_back(packed);
            }
            while let Some(oldest) = queue.front() {
                let packed = match oldest.try_recv() {
                    Err(TryRecvError::Empty) if more && queue.len() < window => break,
                    Err(TryRecvError::Empty) => oldest.recv().map_err(|_gone| unproven(&self.out, "a thread broke"))?,
                    other => other.map_err(|_gone| unproven(&self.out, "a thread broke"))?,
                }?;
                collect(&packed)?;
                queue.pop_front();
                spare.push(packed);
            }
            if !more {
                break;
            }
            parcel = spare.pop().unwrap_or_default();
            more = archive.block(&mut parcel.block)?;
        }
        lock(&self.packers).append(&mut lock(&bench.packers));
        lock(&bench.scrubbers).drain(..).for_each(|scrubber| self.stock.give_back(&bench.settings.formats, scrubber));
        Ok(name)
    }

    /// Names the file, reads it back, and lets the ledger say so.
    fn prove(&self, made: Made, (source, target, ground): (&Path, &Path, Ground), report: &mut PipeReport) -> Result<(), StoreError> {
        let Made { identity, digest, draft } = made;
        let tally = report.tally;
        if tally.read != tally.clean + tally.rejected + tally.excluded {
            return Err(unproven(target, "the counts do not agree"));
        }
        let finished = draft.finish(ground)?;
        let read = read_back(target, &self.key);
        match &read {
            Ok(digest) if *digest == finished.digest => {}
            Ok(_) | Err(_) => {
                withdraw(target)?;
                return Err(read.err().unwrap_or_else(|| unproven(target, "what was written does not read back")));
            }
        }
        report.bytes_out = finished.bytes;
        let form = self.pipe.policy.name().to_owned();
        let output = Output { path: target.to_owned(), form, policy: self.rules, digest: finished.digest, bytes: finished.bytes, lines: tally.written, excluded: tally.excluded };
        let counts = Counts { read: tally.read, clean: tally.clean, rejected: tally.rejected, excluded: tally.excluded };
        let format = report.format.clone();
        self.record(Scrubbed {
            class: None,
            path: source.to_owned(),
            identity,
            digest,
            content: None,
            format,
            tally: counts,
            reasons: Reasons::of(&tally),
            oldest: tally.oldest,
            newest: tally.newest,
            outputs: vec![output],
        })
    }
}
