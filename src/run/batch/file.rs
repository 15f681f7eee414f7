//! One file: read, dealt to the pool block by block, collected in order, written, read back, recorded.

use super::super::pipe::{PipeReport, Start, start};
use super::{Progress, Shop, lock};
use crate::retain::ledger::{Counts, Identity, Keyed, Output, Reasons, Scrubbed};
use crate::scrub::{Clean, Quarantined, Scrubber, Settings, Tally};
use crate::store::archive::{Archive, Reading};
use crate::store::draft::{Draft, Ground, withdraw};
use crate::store::readback::{Content, read_back};
use crate::store::sink::{Encoder, Frame};
use crate::store::source::Block;
use crate::store::{Cause, StoreError};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
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
    content: Content,
}

/// What became of a parcel in the pool.
type Packed = Result<Parcel, StoreError>;

/// What the pool needs of a file.
struct Bench {
    settings: Settings,
    scrubbers: Mutex<Vec<Scrubber>>,
    encoders: Mutex<Vec<Encoder>>,
    compress: crate::store::sink::Compress,
}

impl Bench {
    fn scrub(&self, parcel: &mut Parcel) {
        let idle = lock(&self.scrubbers).pop();
        let mut scrubber = idle.unwrap_or_else(|| Scrubber::new(&self.settings));
        scrub(&mut scrubber, parcel);
        lock(&self.scrubbers).push(scrubber);
    }

    fn encode(&self, parcel: &mut Parcel) -> Result<(), StoreError> {
        let idle = lock(&self.encoders).pop();
        let mut encoder = match idle {
            Some(encoder) => encoder,
            None => Encoder::new(self.compress)?,
        };
        let encoded = encoder.encode(&parcel.clean, &mut parcel.frame);
        parcel.content = Content::of(parcel.clean.as_bytes());
        lock(&self.encoders).push(encoder);
        encoded
    }
}

fn scrub(scrubber: &mut Scrubber, parcel: &mut Parcel) {
    parcel.clean.clear();
    parcel.rejected.clear();
    parcel.tally = Tally::default();
    scrubber.refresh();
    scrubber.block(parcel.block.as_bytes(), &mut parcel.clean, &mut parcel.rejected, &mut parcel.tally);
}

/// What reading and writing found out.
struct Made {
    identity: Identity,
    digest: Keyed,
    content: Content,
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
        let mut content = Content::default();
        let dealt = self.deal(&mut archive, &mut |parcel| {
            report.tally.add(&parcel.tally);
            content.push(&parcel.content);
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
        Ok(Made { identity, digest, content, draft })
    }

    /// Blocks to the pool and back in order; returns the format's name.
    fn deal(&self, archive: &mut Archive, collect: &mut dyn FnMut(&Parcel) -> Result<(), StoreError>) -> Result<Option<String>, StoreError> {
        let mut parcel = Parcel::default();
        let mut more = archive.block(&mut parcel.block)?;
        let Start { mut settings, name, alone, .. } = start(&self.pipe, parcel.block.as_bytes());
        settings.moments = true;
        let mut single = alone.then(|| Scrubber::new(&settings));
        // The pool's encoders outlive the file.
        let encoders = Mutex::new(std::mem::take(&mut *lock(&self.encoders)));
        let bench = Arc::new(Bench { settings, scrubbers: Mutex::default(), encoders, compress: self.pipe.compress });
        // What JSON makes of control bytes is six times as long.
        let window = if alone { 3 } else { (self.pool.current_num_threads() + 2).min(WINDOW) };
        let mut queue: VecDeque<Receiver<Packed>> = VecDeque::new();
        let mut spare: Vec<Parcel> = Vec::new();
        let mut next = |queue: &mut VecDeque<Receiver<Packed>>| -> Result<Option<Parcel>, StoreError> {
            let Some(oldest) = queue.pop_front() else { return Ok(None) };
            let packed = oldest.recv().map_err(|error| StoreError { verb: "scrub", path: self.out.clone(), cause: Cause::Io(io::Error::other(error)) })??;
            collect(&packed)?;
            Ok(Some(packed))
        };
        loop {
            if !parcel.block.as_bytes().is_empty() {
                let (done, packed) = sync_channel(1);
                if let Some(scrubber) = &mut single {
                    scrub(scrubber, &mut parcel);
                }
                let bench = Arc::clone(&bench);
                self.pool.spawn_fifo(move || {
                    if !alone {
                        bench.scrub(&mut parcel);
                    }
                    let encoded = bench.encode(&mut parcel);
                    // Nobody waits for it any more when the file has failed.
                    let _nobody = done.send(encoded.map(|()| parcel));
                });
                queue.push_back(packed);
            }
            if !more {
                break;
            }
            if queue.len() >= window {
                spare.extend(next(&mut queue)?);
            }
            parcel = spare.pop().unwrap_or_default();
            more = archive.block(&mut parcel.block)?;
        }
        while next(&mut queue)?.is_some() {}
        lock(&self.encoders).append(&mut lock(&bench.encoders));
        Ok(name)
    }

    /// Names the file, reads it back, and lets the ledger say so.
    fn prove(&self, made: Made, (source, target, ground): (&Path, &Path, Ground), report: &mut PipeReport) -> Result<(), StoreError> {
        let Made { identity, digest, content, draft } = made;
        let tally = report.tally;
        let unproven = |what: &'static str| StoreError { verb: "prove", path: target.to_owned(), cause: Cause::Io(io::Error::other(what)) };
        if tally.read != tally.clean + tally.rejected + tally.excluded || tally.written != content.lines {
            return Err(unproven("the counts do not agree"));
        }
        let finished = draft.finish(ground)?;
        let read = read_back(target, &self.key, &self.pool);
        match &read {
            Ok(read) if *read == (finished.digest, content) => {}
            Ok(_) | Err(_) => {
                withdraw(target)?;
                return Err(read.err().unwrap_or_else(|| unproven("what was written does not read back")));
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
