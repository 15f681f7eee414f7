//! Bars with bytes, lines, rejects and the time that is left: one for the whole run, and one for each file that is being read.

use crate::show::sane;
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use logfade::run::batch::{Progress, Watch};
use logfade::store::walk::Found;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Files that have a bar of their own at the same time, so that the run's stays in sight.
const FILES: usize = 12;

/// Characters of a name that are shown, its end.
const NAME: usize = 28;

/// Bars that draw themselves until this is dropped.
pub(super) struct Bars {
    over: Arc<AtomicBool>,
    painter: Option<JoinHandle<()>>,
}

impl Bars {
    /// Bars on standard error, if it is a terminal and somebody wants them.
    pub(super) fn new(wanted: bool, found: &[Found], watch: &Watch) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        if !wanted || !std::io::stderr().is_terminal() {
            return Self { over, painter: None };
        }
        let total = found.iter().flatten().filter_map(|item| item.source.metadata().ok()).map(|meta| meta.len()).sum();
        let (watch, count, ended) = (watch.clone(), found.len() as u64, Arc::clone(&over));
        let painter = std::thread::spawn(move || {
            let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let whole = screen.add(bar(total, "{bar:24} {bytes}/{total_bytes} {binary_bytes_per_sec} eta {eta}  {msg}"));
            let mut files: Vec<(Progress, ProgressBar)> = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let [bytes, done] = [&watch.bytes, &watch.files].map(|count| count.load(Ordering::Relaxed));
                whole.set_position(bytes);
                whole.set_message(format!("{}/{} files, {}", HumanCount(done), HumanCount(count), lines(&watch.lines, &watch.rejected)));
                paint(&screen, &mut files, &watch);
                std::thread::sleep(Duration::from_millis(100));
            }
            files.iter().for_each(|(_, bar)| bar.finish_and_clear());
            whole.finish_and_clear();
        });
        Self { over, painter: Some(painter) }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(painter) = self.painter.take() {
            // A bar that could not be drawn is no reason to fail.
            drop(painter.join());
        }
    }
}

/// The bars of the files that are being read: those that ended go, those that were begun come.
fn paint(screen: &MultiProgress, files: &mut Vec<(Progress, ProgressBar)>, watch: &Watch) {
    let begun = watch.begun();
    let is = |one: &Progress, other: &Progress| Arc::ptr_eq(&one.bytes, &other.bytes);
    files.retain(|(file, bar)| {
        let goes_on = begun.iter().any(|begun| is(begun, file));
        if !goes_on {
            bar.finish_and_clear();
            screen.remove(bar);
        }
        goes_on
    });
    for file in begun {
        if files.len() < FILES && !files.iter().any(|(known, _)| is(known, &file)) {
            let bar = screen.add(bar(file.size, "{prefix:28} {bar:16} {bytes}/{total_bytes} eta {eta}  {msg}"));
            bar.set_prefix(name(&file.path));
            files.push((file, bar));
        }
    }
    for (file, bar) in files {
        bar.set_position(file.bytes.load(Ordering::Relaxed));
        bar.set_message(lines(&file.lines, &file.rejected));
    }
}

fn bar(size: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(size);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn lines(read: &AtomicU64, rejected: &AtomicU64) -> String {
    format!("{} lines, {} rejected", HumanCount(read.load(Ordering::Relaxed)), HumanCount(rejected.load(Ordering::Relaxed)))
}

/// The end of a path, which tells files apart, without anything that a terminal would obey.
fn name(path: &Path) -> String {
    let text = sane(&path.display().to_string());
    let from = text.chars().count().saturating_sub(NAME);
    text.chars().skip(from).collect()
}
