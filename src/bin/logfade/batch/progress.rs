//! A bar with bytes, lines, rejects and the time that is left.

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use logfade::run::batch::Watch;
use logfade::store::walk::Found;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A bar that draws itself until it is dropped.
pub(super) struct Bar {
    over: Arc<AtomicBool>,
    painter: Option<JoinHandle<()>>,
}

impl Bar {
    /// A bar on standard error, if it is a terminal and somebody wants it.
    pub(super) fn new(wanted: bool, found: &[Found], watch: &Watch) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        if !wanted || !std::io::stderr().is_terminal() {
            return Self { over, painter: None };
        }
        let total = found.iter().flatten().filter_map(|item| item.source.metadata().ok()).map(|meta| meta.len()).sum();
        let count = found.len() as u64;
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let template = "{bar:24} {bytes}/{total_bytes} {binary_bytes_per_sec} eta {eta}  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let (watch, ended) = (watch.clone(), Arc::clone(&over));
        let painter = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let [bytes, files, lines, rejected] = [&watch.bytes, &watch.files, &watch.lines, &watch.rejected].map(|count| count.load(Ordering::Relaxed));
                bar.set_position(bytes);
                bar.set_message(format!("{}/{} files, {} lines, {} rejected", HumanCount(files), HumanCount(count), HumanCount(lines), HumanCount(rejected)));
                std::thread::sleep(Duration::from_millis(100));
            }
            bar.finish_and_clear();
        });
        Self { over, painter: Some(painter) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(painter) = self.painter.take() {
            // A bar that could not be drawn is no reason to fail.
            drop(painter.join());
        }
    }
}
