//! `batch`: archives to clean archives, many at a time and each in parallel; done once, whatever interrupts it.

mod catalog;
mod file;

use super::pipe::{PipeJob, PipeReport};
use super::stock::Stock;
use crate::retain::ledger::Digest;
use crate::store::archive::Reading;
use crate::store::draft::sweep;
use crate::store::ledger::{Ledger, Reader};
use crate::store::ledger_key::LedgerKey;
use crate::store::readback::Packer;
use crate::store::seal::Keychain;
use crate::store::sink::Quarantine;
use crate::store::source::Stop;
use crate::store::walk::{Found, Item};
use crate::store::{Cause, StoreError};
use catalog::Catalog;
use jiff::Timestamp;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What is to be done.
pub struct BatchJob {
    /// The rules for lines. Its threads are those of the whole run.
    pub pipe: PipeJob,
    /// Of everything besides the raw bytes that decides about the output.
    pub rules: Digest,
    /// Files at the same time.
    pub jobs: usize,
    /// Write nothing.
    pub dry_run: bool,
    /// The output directory, absolute.
    pub out: PathBuf,
    /// The state directory.
    pub state: PathBuf,
    /// The wall clock, for the ledger alone.
    pub clock: fn() -> Timestamp,
}

/// How far it is; read while it runs.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Raw bytes done, as they lie on the disk.
    pub bytes: Arc<AtomicU64>,
    /// Lines read.
    pub lines: Arc<AtomicU64>,
    /// Lines rejected.
    pub rejected: Arc<AtomicU64>,
    /// Files done.
    pub files: Arc<AtomicU64>,
    /// Files that are being read.
    pub begun: Arc<Mutex<Vec<Progress>>>,
    /// Ends it between two reads; what is begun is taken back.
    pub stop: Stop,
}

/// How far a file is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// As it was named or found.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
    /// Raw bytes read, as they lie on the disk.
    pub bytes: Arc<AtomicU64>,
    /// Lines read.
    pub lines: Arc<AtomicU64>,
    /// Lines rejected.
    pub rejected: Arc<AtomicU64>,
}

impl Watch {
    /// The files that are being read just now, in the order in which they were begun.
    pub fn begun(&self) -> Vec<Progress> {
        lock(&self.begun).clone()
    }

    fn begin(&self, path: &Path, size: u64) -> Progress {
        let progress = Progress { path: path.to_owned(), size, bytes: Arc::default(), lines: Arc::default(), rejected: Arc::default() };
        lock(&self.begun).push(progress.clone());
        progress
    }

    fn end(&self, progress: &Progress) {
        lock(&self.begun).retain(|begun| !Arc::ptr_eq(&begun.bytes, &progress.bytes));
    }
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Written and proven.
    Done,
    /// The ledger says that it is done, and nothing has changed since.
    Skipped,
    /// Nothing was written; the report says why.
    Failed,
    /// Would be written.
    Planned,
}

impl Status {
    /// The word in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Planned => "planned",
        }
    }
}

/// A file's row.
#[derive(Debug)]
pub struct FileReport {
    /// As it was named or found.
    pub path: PathBuf,
    /// Its clean file.
    pub output: Option<PathBuf>,
    /// What became of it.
    pub status: Status,
    /// Counts of this run: zeros for a file that was skipped.
    pub report: PipeReport,
    /// How long it took.
    pub took: Duration,
}

/// What all files share.
struct Shop {
    pipe: PipeJob,
    rules: Digest,
    dry_run: bool,
    out: PathBuf,
    clock: fn() -> Timestamp,
    key: LedgerKey,
    /// None when nothing is written.
    ledger: Option<Mutex<Ledger>>,
    catalog: Mutex<Catalog>,
    quarantine: Mutex<Option<Quarantine>>,
    packers: Mutex<Vec<Packer>>,
    stock: Arc<Stock>,
    reading: Reading,
    watch: Watch,
    /// Those beside the threads that read; none if one thread is to do all.
    pool: Option<rayon::ThreadPool>,
    /// Blocks that wait for the pool or are in it.
    dealt: Arc<AtomicUsize>,
}

/// Nothing that is locked here is left half changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cleans every file that was found, and tells each row when it is done. Fails only where nothing could be begun.
pub fn batch(mut job: BatchJob, found: Vec<Found>, watch: &Watch, tell: &(dyn Fn(&FileReport) + Sync)) -> Result<Vec<FileReport>, StoreError> {
    let state = job.state.clone();
    let (key, ledger, catalog) = if job.dry_run {
        let key = LedgerKey::existing(&state)?;
        (key, None, Catalog::read(Reader::open(&state)?.entries()?)?)
    } else {
        let ledger = Ledger::open(&state)?;
        let catalog = Catalog::read(ledger.entries()?)?;
        sweep(&job.out)?;
        (LedgerKey::open(&state)?, Some(Mutex::new(ledger)), catalog)
    };
    let more = job.pipe.threads.saturating_sub(1);
    let pool = (more > 0).then(|| rayon::ThreadPoolBuilder::new().num_threads(more).thread_name(|number| format!("scrub-{number}")).build()).transpose();
    let pool = pool.map_err(|error| StoreError { verb: "start threads for", path: job.out.clone(), cause: Cause::Io(io::Error::other(error)) })?;
    let reading =
        Reading { key: key.clone(), stop: watch.stop.clone(), meters: [Arc::clone(&watch.bytes), Arc::default()], max_line: job.pipe.max_line, seals: Keychain::of(&state) };
    let quarantine = Mutex::new(job.pipe.quarantine.take());
    let BatchJob { pipe, rules, jobs, dry_run, out, clock, .. } = job;
    let shop = Shop {
        pipe,
        rules,
        dry_run,
        out,
        clock,
        key,
        ledger,
        catalog: Mutex::new(catalog),
        quarantine,
        packers: Mutex::default(),
        stock: Arc::new(Stock::new(jobs.max(1) + more)),
        reading,
        watch: watch.clone(),
        pool,
        dealt: Arc::default(),
    };
    let queue = Mutex::new(claim(found, &shop.out).into_iter());
    let rows = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !watch.stop.is_stopped() {
                    let Some((number, found)) = lock(&queue).next() else { return };
                    let row = row(&shop, found);
                    watch.files.fetch_add(1, Ordering::Relaxed);
                    tell(&row);
                    lock(&rows).push((number, row));
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|(number, _)| *number);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Numbers the files, each once; of two that would be written to one name, the second is refused.
fn claim(found: Vec<Found>, out: &Path) -> Vec<(usize, Found)> {
    let mut owners: HashMap<PathBuf, PathBuf> = HashMap::new();
    let mut claimed = Vec::new();
    for found in found {
        let found = match found {
            Ok(item) => match owners.get(&item.output) {
                Some(owner) if *owner == item.source => continue,
                Some(_) => Err(refused(item.shown, "another file of this run is written to the same name", "give each its own --out, or name the directory above both")),
                None => {
                    owners.insert(item.output.clone(), item.source.clone());
                    if out.join(&item.output) == item.source {
                        Err(refused(item.shown, "the output is the input", "choose an --out elsewhere; a raw log is never overwritten"))
                    } else {
                        Ok(item)
                    }
                }
            },
            Err(error) => Err(error),
        };
        claimed.push(found);
    }
    claimed.into_iter().enumerate().collect()
}

fn refused(path: PathBuf, why: &'static str, remedy: &'static str) -> StoreError {
    StoreError { verb: "write", path, cause: Cause::Refused { why, remedy } }
}

fn row(shop: &Shop, found: Found) -> FileReport {
    let started = Instant::now();
    let (path, output, (status, report)) = match found {
        Err(error) => (error.path.clone(), None, failed(PipeReport::default(), error)),
        Ok(item) => {
            let before = shop.out.join(&item.output);
            let Item { shown, source, .. } = &item;
            match shop.decide(source, &before) {
                Ok(catalog::Fate::Skip(output, outgrown)) => {
                    shop.watch.bytes.fetch_add(source.metadata().map_or(0, |meta| meta.len()), Ordering::Relaxed);
                    match outgrown.map_or(Ok(()), |outgrown| shop.outgrow(outgrown)) {
                        Ok(()) => (shown.clone(), Some(output), (Status::Skipped, PipeReport::default())),
                        Err(error) => (shown.clone(), Some(output), failed(PipeReport::default(), error)),
                    }
                }
                Ok(catalog::Fate::Write(..)) if shop.dry_run => (shown.clone(), Some(before), (Status::Planned, PipeReport::default())),
                Ok(catalog::Fate::Write(ground, outgrown)) => {
                    let progress = shop.watch.begin(shown, source.metadata().map_or(0, |meta| meta.len()));
                    let (report, done) = shop.file((source, &progress), &before, ground);
                    shop.watch.end(&progress);
                    let done = match done.and_then(|()| outgrown.map_or(Ok(()), |outgrown| shop.outgrow(outgrown))) {
                        Ok(()) => (Status::Done, report),
                        // What a decoder makes of an end in the middle is no damage.
                        Err(_) if shop.watch.stop.is_stopped() => failed(report, interrupted(source)),
                        Err(error) => failed(report, error),
                    };
                    (shown.clone(), Some(before), done)
                }
                Err(error) => (shown.clone(), Some(before), failed(PipeReport::default(), error)),
            }
        }
    };
    FileReport { path, output, status, report, took: started.elapsed() }
}

fn interrupted(path: &Path) -> StoreError {
    StoreError { verb: "finish", path: path.to_owned(), cause: Cause::Io(io::Error::other("interrupted by a signal; run it again")) }
}

/// Nothing of a failed file was written, so nothing of it counts.
fn failed(report: PipeReport, error: StoreError) -> (Status, PipeReport) {
    (Status::Failed, PipeReport { format: report.format, error: Some(error), ..PipeReport::default() })
}
