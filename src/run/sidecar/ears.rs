//! Where a class listens: its listeners, and the lines that they have handed over and nobody has written yet.

use crate::retain::{Config, Listen, Source};
use crate::run::catalog::MAX_LINE;
use crate::store::StoreError;
use crate::store::listen::{Heard, Hearing, Listener, open};
use crate::store::source::Stop;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Handovers that may wait; behind them, listeners gather, and then senders wait.
const WAITING: usize = 2;

/// Handovers that are waited for once more behind the end of their listener.
pub(super) const ROUNDS: usize = WAITING + 2;

/// Bytes of lines that are few: more of them are waited for, for as long as that.
const FEW: usize = 64 * 1024;
const BURST: Duration = Duration::from_millis(5);

/// The listeners of all classes while nobody attends to them: a socket whose address stays is open throughout.
#[derive(Clone, Default)]
pub(super) struct Doors(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    ears: BTreeMap<String, Ears>,
    wanted: BTreeMap<String, Vec<Listen>>,
}

impl Doors {
    /// What is to be open from now on; without a configuration, nothing.
    pub(super) fn want(&self, config: Option<&Config>) {
        let classes = config.into_iter().flat_map(|config| &config.classes);
        let listens = classes.filter_map(|class| if let Source::Listen(listens) = &class.source { Some((class.name.clone(), listens.clone())) } else { None });
        self.lock().wanted = listens.collect();
    }

    /// What a class is to listen on.
    pub(super) fn wanted(&self, class: &str) -> Vec<Listen> {
        self.lock().wanted.get(class).cloned().unwrap_or_default()
    }

    /// Those of a class, to attend to.
    pub(super) fn take(&self, class: &str) -> Ears {
        self.lock().ears.remove(class).unwrap_or_default()
    }

    /// Leaves those of a class to whoever comes next, if anybody does.
    pub(super) fn leave(&self, class: &str, ears: Ears) {
        let mut kept = self.lock();
        if kept.wanted.contains_key(class) {
            kept.ears.insert(class.to_owned(), ears);
        }
    }

    /// Nothing that is locked here is left half changed by a panic.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listeners of one class.
pub(super) struct Ears {
    to: SyncSender<Heard>,
    from: Receiver<Heard>,
    open: Vec<Ear>,
    /// What was handed over and is not written yet.
    pub(super) heard: Heard,
    /// Nothing came when lines were last waited for.
    silent: bool,
}

struct Ear {
    listen: Listen,
    listener: Listener,
    stop: Stop,
}

impl Default for Ears {
    fn default() -> Self {
        let (to, from) = sync_channel(WAITING);
        Self { to, from, open: Vec::new(), heard: Heard::default(), silent: false }
    }
}

impl Ears {
    /// Opens what is not open; each error is one of setting a listener up.
    pub(super) fn open(&mut self, wanted: &[Listen]) -> Vec<StoreError> {
        // One whose socket broke has ended.
        self.open.retain(|ear| !ear.listener.thread.is_finished());
        let mut failed = Vec::new();
        for listen in wanted {
            if self.open.iter().any(|ear| ear.listen == *listen) {
                continue;
            }
            let stop = Stop::default();
            match open(listen, Hearing { to: self.to.clone(), stop: stop.clone(), max_line: MAX_LINE }) {
                Ok(listener) => self.open.push(Ear { listen: listen.clone(), listener, stop }),
                Err(error) => failed.push(error),
            }
        }
        failed
    }

    /// Tells those to end that are not wanted any more; what they have is still handed over.
    pub(super) fn close(&mut self, wanted: &[Listen]) {
        self.open.iter().filter(|ear| !wanted.contains(&ear.listen)).for_each(|ear| ear.stop.stop());
    }

    /// Whether those that were told to end have ended; what they had may still be on its way.
    pub(super) fn is_closed(&self) -> bool {
        self.open.iter().all(|ear| !ear.stop.is_stopped() || ear.listener.thread.is_finished())
    }

    /// Whether nothing came when lines were last waited for, and nothing waits to be written.
    pub(super) const fn is_silent(&self) -> bool {
        self.silent && self.heard.lines.is_empty()
    }

    /// Waits a while for lines, if there are none.
    pub(super) fn listen(&mut self, nap: Duration) {
        if !self.heard.lines.is_empty() {
            return;
        }
        let first = self.from.recv_timeout(nap);
        self.silent = first.is_err();
        let Ok(first) = first else { return };
        let few = first.lines.len() < FEW;
        self.add(first);
        if few {
            // Lines come in bursts: what comes next is taken with it.
            std::thread::sleep(BURST);
            while let Ok(more) = self.from.try_recv() {
                self.add(more);
                if self.heard.lines.len() >= FEW {
                    break;
                }
            }
        }
    }

    fn add(&mut self, more: Heard) {
        self.heard.lines.extend_from_slice(&more.lines);
        self.heard.too_long += more.too_long;
        self.heard.lost += more.lost;
    }
}
