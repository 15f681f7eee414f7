//! `pipe`: standard input to an output, in order, flushed whenever the input pauses.

mod desk;

use crate::format::{Envelope, Format, Spans, detect, peel};
use crate::scrub::{Clean, OnReject, Output, Policy, Quarantined, Scrubber, Settings, Tally};
use crate::store::confirm::Confirm;
use crate::store::keys::KeyRing;
use crate::store::places::Atlas;
use crate::store::sink::{Compress, Encoder, FRAME, Frame, Quarantine, Sink, file_at};
use crate::store::source::{BLOCK, Block, Filled, Source};
use crate::store::{Cause, StoreError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of the sample that `auto` looks at.
const SAMPLE: usize = 1024 * 1024;

/// What is to be done.
pub struct PipeJob {
    /// The format, or `None` to find it out.
    pub format: Option<Arc<Format>>,
    /// What becomes of each field.
    pub policy: Arc<Policy>,
    /// What becomes of lines that do not parse.
    pub on_reject: OnReject,
    /// Layout of the output.
    pub output: Output,
    /// Compression of the output.
    pub compress: Compress,
    /// Where rejected lines are kept.
    pub quarantine: Option<Quarantine>,
    /// Threads that scrub.
    pub threads: usize,
    /// The longest line, in bytes.
    pub max_line: usize,
    /// Keys of pseudonyms, for a policy that needs them.
    pub keys: Option<Arc<KeyRing>>,
    /// Databases of places, for a policy that needs them.
    pub places: Option<Arc<Atlas>>,
}

/// Where clean lines go.
pub enum Target {
    /// One output.
    One(Sink),
    /// A name with `%Y-%m-%d` and the like: a file for each time, and the time of lines in front of the first that has one.
    Dated(PathBuf, jiff::Timestamp),
}

/// How clean lines get there.
pub struct Delivery {
    /// Where they go.
    pub target: Target,
    /// How long an output that takes nothing is waited for; `None`: without end.
    pub patience: Option<Duration>,
    /// Whom to tell that lines are on disk.
    pub confirm: Option<Confirm>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct PipeReport {
    /// Name of the format; `None` if there was no line to tell.
    pub format: Option<String>,
    /// Counts of lines.
    pub tally: Tally,
    /// Bytes read, before decompression.
    pub bytes_in: u64,
    /// Bytes written, after compression.
    pub bytes_out: u64,
    /// Lines that the output did not take.
    pub lost: u64,
    /// Why it ended early.
    pub error: Option<StoreError>,
}

/// Runs to the end of the source, or to the first error; what was read before it is written.
pub fn pipe(job: PipeJob, mut source: Source, delivery: Delivery) -> PipeReport {
    let Delivery { target, patience, mut confirm } = delivery;
    let mut report = PipeReport::default();
    let mut first = Block::default();
    let capacity = if job.format.is_none() { SAMPLE } else { BLOCK };
    let filled = source.fill(&mut first, capacity);
    let Start { mut settings, name, alone } = start(&job, first.as_bytes());
    // Whoever waits for confirmations hands over one line at a time: there is nothing to share out.
    let threads = if alone || confirm.is_some() { 1 } else { job.threads };
    report.format = name;
    settings.moments = matches!(target, Target::Dated(..));
    let known = if settings.moments { first_moment(&settings, first.as_bytes()) } else { None };
    let mut input = Input { source: &mut source, first: Some((first, filled)) };
    let compress = job.compress;
    let keys = job.keys;
    let mut output = |sink: Sink, quarantine| Out {
        sink: sink.with_patience(patience),
        quarantine,
        encoder: None,
        frame: Frame::default(),
        held: Clean::default(),
        lines: 0,
        sent: Sent::default(),
        compress,
        keys: keys.clone(),
        patience,
        confirm: confirm.take(),
        unconfirmed: 0,
    };
    let ended = match target {
        Target::One(sink) if threads > 1 => desk::many(&mut input, output(sink, job.quarantine), &settings, threads, &mut report.tally),
        Target::One(sink) => one(&mut input, output(sink, job.quarantine), &settings, &mut report.tally),
        Target::Dated(pattern, start) => {
            let start = known.unwrap_or(start);
            match open(&file_at(&pattern, start), compress, job.quarantine.as_ref()) {
                Ok(sink) => dated(&mut input, output(sink, job.quarantine), &settings, (&pattern, start), &mut report.tally),
                Err(error) => (Sent::default(), Err(error)),
            }
        }
    };
    report.bytes_in = source.bytes_read();
    let (sent, ended) = ended;
    report.bytes_out = sent.bytes;
    report.lost = report.tally.written - sent.lines.min(report.tally.written);
    report.tally.written -= report.lost;
    report.error = ended.err();
    report
}

pub(super) struct Start {
    pub(super) settings: Settings,
    pub(super) name: Option<String>,
    /// Lines depend on lines before them, or grow: one scrubber takes all of them in turn.
    pub(super) alone: bool,
}

/// Chooses the formats; streams whose lines depend on each other stay on one thread.
pub(super) fn start(job: &PipeJob, sample: &[u8]) -> Start {
    let mut formats = Vec::new();
    let mut name = None;
    match &job.format {
        Some(format) => {
            formats.push(Arc::clone(format));
            name = Some(format.name().to_owned());
        }
        None => {
            for (rank, fit) in detect::rank(sample).into_iter().enumerate() {
                if rank == 0 && fit.score > 0.0 {
                    name = Some(fit.format.name().to_owned());
                }
                // Without columns in the sample, a table row later on says nothing about itself.
                if !fit.format.has_columns() || fit.score > 0.0 {
                    formats.push(fit.format);
                }
            }
        }
    }
    let table = formats.iter().any(|format| format.has_columns());
    let cut = sample
        .split(|byte| *byte == b'\n')
        .take(100)
        .any(|line| matches!(peel(line, &mut Spans::default()), Some(peeled) if matches!(peeled.envelope, Envelope::Cri | Envelope::Docker)));
    let settings = Settings {
        formats,
        policy: Arc::clone(&job.policy),
        on_reject: job.on_reject,
        output: job.output,
        max_line: job.max_line,
        moments: false,
        keys: job.keys.as_ref().map(KeyRing::source),
        places: job.places.as_ref().map(Atlas::source),
    };
    // What JSON makes of control bytes is six times as long: one block at a time keeps memory bounded.
    let alone = table || cut || job.output == Output::Json;
    Start { settings, name, alone }
}

/// Blocks, the one that was read as a sample first.
struct Input<'a> {
    source: &'a mut Source,
    first: Option<(Block, Result<Filled, StoreError>)>,
}

impl Input<'_> {
    fn fill(&mut self, block: &mut Block, capacity: usize) -> Result<Filled, StoreError> {
        match self.first.take() {
            Some((sample, filled)) => {
                *block = sample;
                filled
            }
            None => self.source.fill(block, capacity),
        }
    }
}

/// What an output has taken.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    lines: u64,
    bytes: u64,
}

/// What was sent, and how it ended.
type Ended = (Sent, Result<(), StoreError>);

/// The output with what belongs to it.
struct Out {
    sink: Sink,
    quarantine: Option<Quarantine>,
    encoder: Option<Encoder>,
    frame: Frame,
    /// Clean lines that wait for a whole frame.
    held: Clean,
    /// Lines of what is held.
    lines: u64,
    sent: Sent,
    compress: Compress,
    keys: Option<Arc<KeyRing>>,
    patience: Option<Duration>,
    confirm: Option<Confirm>,
    /// Lines that were read and not yet confirmed.
    unconfirmed: u64,
}

impl Out {
    /// Ends the output.
    fn finish(mut self, ended: Result<(), StoreError>) -> Ended {
        self.sent.bytes += self.sink.written();
        self.sent.lines -= self.sink.lost().min(self.sent.lines);
        let (written, lost) = (self.sink.written(), self.sink.lost());
        let finished = self.sink.finish().map(|receipt| {
            self.sent.bytes += receipt.bytes - written;
            self.sent.lines += lost - receipt.lost;
        });
        (self.sent, ended.and(finished))
    }

    /// Confirms what was read, once it is on disk.
    fn confirm(&mut self) -> Result<(), StoreError> {
        let Some(confirm) = self.confirm.as_mut().filter(|_| self.unconfirmed > 0) else { return Ok(()) };
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.sync()?;
        }
        self.sink.sync()?;
        confirm.lines(std::mem::take(&mut self.unconfirmed))
    }

    /// Keys that should be there and are not end the run: what was written since is cut, not raw.
    fn check_keys(&self) -> Result<(), StoreError> {
        self.keys.as_ref().and_then(|keys| keys.failure()).map_or(Ok(()), Err)
    }

    fn quarantine(&mut self, lines: &mut Quarantined) -> Result<(), StoreError> {
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.write(lines)?;
        }
        lines.clear();
        Ok(())
    }

    /// Goes on in another file.
    fn reopen(&mut self, path: &Path) -> Result<(), StoreError> {
        let next = open(path, self.compress, self.quarantine.as_ref())?;
        let last = std::mem::replace(&mut self.sink, next.with_patience(self.patience));
        let receipt = last.finish()?;
        self.sent.bytes += receipt.bytes;
        self.sent.lines -= receipt.lost.min(self.sent.lines);
        Ok(())
    }

    /// Writes what is held as one frame.
    fn flush(&mut self) -> Result<(), StoreError> {
        if self.compress == Compress::None {
            self.sink.write(&self.held)?;
        } else {
            let encoder = match &mut self.encoder {
                Some(encoder) => encoder,
                None => self.encoder.insert(Encoder::new(self.compress)?),
            };
            // A frame may be followed by another run's.
            if self.sink.is_appended() {
                self.held.end_line();
            }
            encoder.encode(&self.held, &mut self.frame)?;
            self.sink.write_frame(&self.frame, self.lines)?;
        }
        self.sent.lines += std::mem::take(&mut self.lines);
        self.held.clear();
        Ok(())
    }
}

/// On the caller's thread.
fn one(input: &mut Input<'_>, mut out: Out, settings: &Settings, tally: &mut Tally) -> Ended {
    let mut scrubber = Scrubber::new(settings);
    let mut block = Block::default();
    let mut rejected = Quarantined::default();
    let mut step = |out: &mut Out| -> Result<bool, StoreError> {
        let filled = input.fill(&mut block, BLOCK);
        let (before, read) = (tally.written, tally.read);
        scrubber.refresh();
        scrubber.block(block.as_bytes(), &mut out.held, &mut rejected, tally);
        if let Ok(Filled::TooLong) = filled {
            scrubber.too_long(&mut out.held, tally);
        }
        out.lines += tally.written - before;
        out.unconfirmed += tally.read - read;
        out.quarantine(&mut rejected)?;
        if out.compress == Compress::None || out.held.as_bytes().len() >= FRAME || !matches!(filled, Ok(Filled::Block | Filled::TooLong)) {
            out.flush()?;
            out.confirm()?;
        }
        if let Err(error) = out.check_keys() {
            out.flush()?;
            return Err(error);
        }
        Ok(filled? == Filled::End)
    };
    loop {
        match step(&mut out) {
            Ok(false) => {}
            Ok(true) => return out.finish(Ok(())),
            Err(error) => return out.finish(Err(error)),
        }
    }
}

/// Opens an output that is not the quarantine: raw lines have no place among clean ones.
pub fn open(path: &Path, compress: Compress, quarantine: Option<&Quarantine>) -> Result<Sink, StoreError> {
    let sink = Sink::append(path, compress)?;
    if quarantine.is_some_and(|quarantine| sink.is_quarantine(quarantine)) {
        let cause = Cause::Refused { why: "the output is the quarantine", remedy: "name two files: raw lines have no place among clean ones" };
        return Err(StoreError { verb: "open", path: path.to_owned(), cause });
    }
    Ok(sink)
}

/// The first time in a sample: lines in front of it go where it goes.
fn first_moment(settings: &Settings, sample: &[u8]) -> Option<jiff::Timestamp> {
    // A time needs no key, and none is to be made for it.
    let mut scrubber = Scrubber::new(&Settings { keys: None, ..settings.clone() });
    sample.split_inclusive(|byte| *byte == b'\n').find_map(|line| {
        scrubber.block(line, &mut Clean::default(), &mut Quarantined::default(), &mut Tally::default());
        scrubber.moment()
    })
}

/// A file for each time, on the caller's thread: line by line, because any line may belong to another file.
fn dated(input: &mut Input<'_>, mut out: Out, settings: &Settings, (pattern, start): (&Path, jiff::Timestamp), tally: &mut Tally) -> Ended {
    let mut scrubber = Scrubber::new(settings);
    let mut block = Block::default();
    let mut rejected = Quarantined::default();
    let mut name = file_at(pattern, start);
    let mut step = |out: &mut Out| -> Result<bool, StoreError> {
        let filled = input.fill(&mut block, BLOCK);
        let read = tally.read;
        scrubber.refresh();
        for line in block.as_bytes().split_inclusive(|byte| *byte == b'\n') {
            let mut clean = Clean::default();
            let before = tally.written;
            scrubber.block(line, &mut clean, &mut rejected, tally);
            let due = scrubber.moment().map(|moment| file_at(pattern, moment));
            if let Some(due) = due.filter(|due| *due != name) {
                out.flush()?;
                out.reopen(&due)?;
                name = due;
            }
            out.held.append(&clean);
            out.lines += tally.written - before;
        }
        if let Ok(Filled::TooLong) = filled {
            scrubber.too_long(&mut out.held, tally);
            out.lines += 1;
        }
        out.quarantine(&mut rejected)?;
        out.flush()?;
        out.unconfirmed += tally.read - read;
        out.confirm()?;
        out.check_keys()?;
        Ok(filled? == Filled::End)
    };
    loop {
        match step(&mut out) {
            Ok(false) => {}
            Ok(true) => return out.finish(Ok(())),
            Err(error) => return out.finish(Err(error)),
        }
    }
}
