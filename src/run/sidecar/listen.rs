//! A class that listens: what it hears goes into the raw form at once, and every other form follows that, as it would follow a
//! file that a server writes. So a form whose sink is down waits on the disk, and listeners do not wait for it.

use super::ears::{Ears, ROUNDS};
use super::event::{Event, Level};
use super::lane::Step;
use super::plan::{ClassPlan, every, parts};
use super::settle::{Job, Raw, Settled, Work};
use super::shared::{Shared, Trouble};
use super::sink::Remote;
use super::stretch::{Stretch, fresh};
use crate::retain::Listen;
use crate::scrub::{Reject, Tally};
use crate::store::checkpoint::{Checkpoint, LogState, StretchState};
use crate::store::segment::{Seals, discard};
use crate::store::source::Stop;
use crate::store::{Cause, Halt, StoreError};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the thread sleeps at most.
const NAP: Duration = Duration::from_millis(500);

/// How long it sleeps while a sink is busy, or the end is near.
const SHORT: Duration = Duration::from_millis(20);

/// How often it tries to open what cannot be opened, and to finish what cannot be finished.
const AGAIN: Duration = Duration::from_secs(2);

/// How often it is looked whether something is finished.
const TENDED: Duration = Duration::from_millis(250);

/// How often losses are told.
const TOLD: Duration = Duration::from_secs(60);

/// The work of one class.
struct Listening {
    shared: Shared,
    plan: Arc<ClassPlan>,
    salt: String,
    next: u64,
    /// In the order in which they came; only the last one grows.
    stretches: Vec<Stretch>,
    remotes: BTreeMap<String, Remote>,
    work: Option<Work>,
    opened: Option<Instant>,
    /// What cannot be listened on, in words.
    deaf: Option<String>,
    committed: Instant,
    tended: Instant,
    /// When everything was last written and committed.
    even: Timestamp,
    dirty: bool,
    busy: bool,
    /// A failure came in between: the forms go back to their last commit.
    astray: bool,
    lost: (u64, Option<Instant>),
}

/// Runs a class until it is told to stop. Behind a failure it tries again: nothing that was handed over is forgotten meanwhile.
pub(super) fn listen(shared: &Shared, (name, plan): (&str, &dyn Fn() -> Result<ClassPlan, Halt>), wanted: &[Listen], stop: &Stop) {
    let mut ears = shared.doors.take(name);
    let mut listening: Option<Listening> = None;
    let mut trouble = Trouble::default();
    let mut ending: Option<Instant> = None;
    let mut rounds = 0;
    loop {
        if stop.is_stopped() && ending.is_none() {
            ending = Some(Instant::now() + shared.drain);
            ears.close(&shared.doors.wanted(name));
        }
        rounds += usize::from(ending.is_some() && ears.is_closed());
        let turned = match &mut listening {
            Some(listening) => listening.turn(&mut ears, wanted, ending.is_some()),
            None => plan().and_then(|plan| Listening::open(shared.clone(), plan)).map(|fresh| {
                listening = Some(fresh);
                false
            }),
        };
        let even = *turned.as_ref().unwrap_or(&false);
        match turned {
            Ok(_) => trouble.over(),
            Err(halt) => trouble.wait((shared, name), &halt, || stop.is_stopped() && ending.is_none()),
        }
        if let Some(until) = ending
            && (even && rounds > 0 && (ears.is_silent() || rounds > ROUNDS) && ears.heard.lines.is_empty() || Instant::now() >= until)
        {
            break;
        }
    }
    if shared.doors.wanted(name).is_empty() && !ears.heard.lines.is_empty() {
        let lines = memchr::memchr_iter(b'\n', &ears.heard.lines).count() as u64;
        shared.gauges.class(name, |reading| reading.lost_messages += lines);
        (shared.tell)(Event::new(Level::Error, "lost").class(name).count("messages", lines).text("what was received could not be written before the end"));
    }
    shared.doors.leave(name, ears);
}

impl Listening {
    /// Goes on where the last commit stood, and with what was written behind it.
    fn open(shared: Shared, plan: ClassPlan) -> Result<Self, Halt> {
        let class = plan.class.name.clone();
        let checkpoint = Checkpoint::open(&shared.state, &class)?;
        plan.clear(&checkpoint)?;
        let raw = plan.raw.as_ref().ok_or_else(|| unset(&class))?;
        let before = Seals { keys: shared.store.keychain().clone(), class: class.clone(), form: plan.class.raw.name.clone(), level: raw.level };
        let mut stretches = Vec::new();
        for state in checkpoint.stretches {
            let mut stretch = Stretch::open(state, raw, &before)?;
            let state = &mut stretch.state.raw;
            // What is kept elsewhere or otherwise by now ends as it began.
            state.closed |= state.sealed != raw.seals.is_some() || state.part.parent() != Some(&raw.directory);
            if stretch.len() > 0 || !stretch.state.raw.closed {
                stretches.push(stretch);
            }
        }
        let remotes = plan.remotes()?;
        let now = Instant::now();
        let even = (shared.clock)();
        Ok(Self {
            shared,
            plan: Arc::new(plan),
            salt: checkpoint.salt,
            next: checkpoint.next,
            stretches,
            remotes,
            work: None,
            opened: None,
            deaf: None,
            committed: now,
            tended: now,
            even,
            dirty: true,
            busy: false,
            astray: false,
            lost: (0, None),
        })
    }

    fn tell(&self, event: Event) {
        (self.shared.tell)(event.class(&self.plan.class.name));
    }

    /// Once round; whether nothing waits to be written, committed or finished.
    fn turn(&mut self, ears: &mut Ears, wanted: &[Listen], ending: bool) -> Result<bool, Halt> {
        let done = self.once(ears, wanted, ending);
        self.astray |= done.is_err();
        done
    }

    fn once(&mut self, ears: &mut Ears, wanted: &[Listen], ending: bool) -> Result<bool, Halt> {
        if self.astray {
            self.go_back()?;
        }
        if !ending {
            self.attend(ears, wanted);
        }
        ears.listen(if ending || self.busy { SHORT } else { NAP.min(if self.dirty { self.plan.flush.max(SHORT) } else { NAP }) });
        self.count(ears);
        while !ears.heard.lines.is_empty() {
            self.take(ears)?;
            self.read()?;
        }
        self.read()?;
        if self.dirty && (ending || self.committed.elapsed() >= self.plan.flush) {
            self.commit()?;
        }
        if self.tended.elapsed() >= TENDED || ending {
            self.tend(ending)?;
            self.tended = Instant::now();
        }
        self.gauge();
        Ok(!self.dirty && self.work.is_none())
    }

    /// Opens what is not open. What cannot be is told once, and tried again.
    fn attend(&mut self, ears: &mut Ears, wanted: &[Listen]) {
        if self.opened.is_some_and(|at| at.elapsed() < AGAIN) {
            return;
        }
        let failed = ears.open(wanted);
        self.opened = Some(Instant::now());
        let text = failed.iter().map(ToString::to_string).reduce(|all, one| format!("{all}\n{one}"));
        if let Some(text) = text.as_ref().filter(|text| self.deaf.as_ref() != Some(text)) {
            self.tell(Event::new(Level::Error, "listen").text(text));
        }
        if text.is_none() && self.deaf.is_some() {
            self.tell(Event::new(Level::Info, "listening"));
        }
        self.deaf = text;
    }

    /// Counts what did not arrive whole.
    fn count(&mut self, ears: &mut Ears) {
        let (lost, too_long) = (std::mem::take(&mut ears.heard.lost), std::mem::take(&mut ears.heard.too_long));
        if lost + too_long > 0 {
            self.lost.0 += lost;
            let mut tally = Tally::default();
            tally.unseen(Reject::TooLong, too_long);
            self.shared.gauges.class(&self.plan.class.name, |reading| {
                reading.lost_messages += lost;
                for form in &self.plan.forms {
                    reading.forms.entry(form.name.clone()).or_default().tally.add(&tally);
                }
            });
        }
        if self.lost.0 > 0 && self.lost.1.is_none_or(|at| at.elapsed() >= TOLD) {
            let text = "messages did not arrive whole: the sender broke off, or was faster than this\nlet it wait for its log: a stream or a named pipe waits, datagrams do not";
            self.tell(Event::new(Level::Warning, "lost").count("messages", self.lost.0).text(text));
            self.lost = (0, Some(Instant::now()));
        }
    }

    /// Takes some of what was heard into the raw segment.
    fn take(&mut self, ears: &mut Ears) -> Result<(), Halt> {
        let wall = (self.shared.clock)();
        self.turn_over(wall);
        if self.stretches.last().is_none_or(|stretch| stretch.state.raw.closed) {
            self.begin(wall)?;
        }
        let Some(stretch) = self.stretches.last_mut() else { return Ok(()) };
        let lines = stretch.take(&mut ears.heard, self.plan.raw.as_ref().and_then(|raw| raw.rotate.size), wall)?;
        self.dirty = true;
        let (class, raw) = (&self.plan.class.name, &self.plan.class.raw.name);
        self.shared.gauges.class(class, |reading| reading.forms.entry(raw.clone()).or_default().tally.written += lines);
        Ok(())
    }

    /// Ends the raw segment that grows, if it is time.
    fn turn_over(&mut self, wall: Timestamp) {
        let Some(raw) = &self.plan.raw else { return };
        let Some(stretch) = self.stretches.last_mut().filter(|stretch| !stretch.state.raw.closed && stretch.len() > 0) else { return };
        let full = raw.rotate.size.is_some_and(|size| stretch.len() >= size);
        let opened = stretch.state.raw.opened;
        if full || parts(raw.rotate, Some(opened), wall) || wall.duration_since(opened) >= every(raw.rotate) {
            stretch.state.raw.closed = true;
            self.dirty = true;
        }
    }

    /// Begins a stretch. It is committed before its file is there, so that no file is there that nobody knows.
    fn begin(&mut self, wall: Timestamp) -> Result<(), Halt> {
        let plan = Arc::clone(&self.plan);
        let class = &plan.class.name;
        let Some(raw) = &plan.raw else { return Err(unset(class)) };
        let state = fresh(raw, class, (&self.salt, self.next), wall);
        self.next += 1;
        self.commit_with(Some(&state))?;
        let before = Seals { keys: self.shared.store.keychain().clone(), class: class.clone(), form: plan.class.raw.name.clone(), level: raw.level };
        self.stretches.push(Stretch::open(state, raw, &before)?);
        Ok(())
    }

    /// Reads on in every form.
    fn read(&mut self) -> Result<(), Halt> {
        let wall = (self.shared.clock)();
        let (mut waiting, mut busy) = (BTreeSet::new(), false);
        for stretch in self.stretches.iter_mut().filter(|stretch| !stretch.over && !stretch.is_read(&self.plan)) {
            let before = stretch.position(&self.plan);
            busy |= stretch.step(&self.plan, (&self.salt, wall), (&mut self.remotes, &mut waiting))? == Step::Busy;
            self.dirty |= stretch.position(&self.plan) != before || stretch.lanes.iter().any(|lane| lane.dirty);
        }
        self.busy = busy;
        Ok(())
    }

    /// Makes everything that was heard and read so far last.
    fn commit(&mut self) -> Result<(), Halt> {
        self.commit_with(None)
    }

    /// No checkpoint speaks of anything that is not written and synced: no form is ahead of the raw segment that it reads.
    fn commit_with(&mut self, more: Option<&StretchState>) -> Result<(), Halt> {
        self.stretches.iter_mut().filter(|stretch| !stretch.over).try_for_each(Stretch::sync)?;
        let stretches = self.stretches.iter().map(|stretch| &stretch.state).chain(more).collect();
        let checkpoint = Checkpoint { salt: self.salt.clone(), next: self.next, logs: Vec::<LogState>::new(), stretches };
        checkpoint.commit(&self.shared.state, &self.plan.class.name)?;
        (self.dirty, self.committed) = (false, Instant::now());
        Ok(())
    }

    /// Behind a failure: forms go back to their last commit, and read again what the raw segment has.
    fn go_back(&mut self) -> Result<(), Halt> {
        let checkpoint = Checkpoint::open(&self.shared.state, &self.plan.class.name)?;
        for stretch in self.stretches.iter_mut().filter(|stretch| !stretch.over) {
            let committed = checkpoint.stretches.iter().find(|known| known.id == stretch.state.id);
            stretch.state.lanes = committed.map(|known| known.lanes.clone()).unwrap_or_default();
            stretch.lanes.clear();
        }
        self.plan.clear(&checkpoint)?;
        (self.astray, self.dirty) = (false, true);
        Ok(())
    }

    /// Looks what has ended, and has it finished.
    fn tend(&mut self, ending: bool) -> Result<(), Halt> {
        let wall = (self.shared.clock)();
        self.turn_over(wall);
        match Work::take(&mut self.work) {
            Some((id, Ok(settled))) => self.settled(id, settled)?,
            Some((id, Err(halt))) => {
                self.stretches.iter_mut().filter(|stretch| stretch.state.id == id).for_each(|stretch| stretch.over = false);
                self.tended = Instant::now() + AGAIN;
                return Err(halt);
            }
            None => {}
        }
        if ending || self.work.is_some() {
            return Ok(());
        }
        for stretch in self.stretches.iter_mut().filter(|stretch| !stretch.over) {
            self.dirty |= stretch.age(wall)?;
        }
        let over = self.stretches.iter().position(|stretch| stretch.is_read(&self.plan));
        let some = || self.stretches.iter().position(|stretch| stretch.state.lanes.values().any(|lane| lane.segments.iter().any(|segment| segment.closed)));
        let Some(at) = over.or_else(some) else { return Ok(()) };
        if over.is_some() {
            self.gauge();
            self.stretches.get_mut(at).map_or(Ok(()), Stretch::close)?;
        }
        // The checkpoint says first what has ended, then what became of it.
        self.commit()?;
        let Some(stretch) = self.stretches.get_mut(at) else { return Ok(()) };
        if over.is_some() {
            stretch.over = true;
            stretch.lanes.clear();
        }
        let state = &stretch.state;
        let job = Job {
            id: state.id,
            name: self.plan.class.name.clone().into(),
            front: format!("{} {}", self.salt, state.id).into_bytes(),
            lanes: state.lanes.clone(),
            raw: over.map(|_| Raw::Heard(state.raw.clone())),
        };
        self.work = Some(Work::begin(&self.shared, &self.plan, job));
        Ok(())
    }

    /// Takes in what was finished.
    fn settled(&mut self, id: u64, mut settled: Settled) -> Result<(), Halt> {
        let mut gone = Vec::new();
        for stretch in self.stretches.iter_mut().filter(|stretch| stretch.state.id == id) {
            gone.extend(settled.take_into(&mut stretch.state.lanes));
            gone.extend(settled.done.map(|_| stretch.state.raw.part.clone()));
        }
        self.stretches.retain(|stretch| settled.done.is_none() || stretch.state.id != id);
        self.dirty = true;
        self.commit()?;
        gone.iter().try_for_each(|part| discard(part)).map_err(Halt::from)
    }

    /// Tells how it goes.
    fn gauge(&mut self) {
        let wall = (self.shared.clock)();
        let lag: u64 = self.stretches.iter().filter(|stretch| !stretch.over).map(|stretch| stretch.len() - stretch.position(&self.plan).min(stretch.len())).sum();
        if lag == 0 && !self.dirty {
            self.even = wall;
        }
        let waited = if lag == 0 { 0.0 } else { wall.duration_since(self.even).as_secs_f64().max(0.0) };
        let lanes = self.stretches.iter_mut().flat_map(|stretch| &mut stretch.lanes);
        let tallies: Vec<_> = lanes.map(|lane| (lane.plan.name.clone(), std::mem::take(&mut lane.tally))).collect();
        self.shared.gauges.class(&self.plan.class.name, |reading| {
            (reading.lag_bytes, reading.lag_seconds, reading.stuck) = (lag, waited, self.deaf.is_some());
            for (form, tally) in tallies {
                reading.forms.entry(form).or_default().tally.add(&tally);
            }
            for (form, remote) in &self.remotes {
                reading.forms.entry(form.clone()).or_default().retries = remote.retries();
            }
        });
    }
}

/// A class that listens has a directory for its raw form: the configuration sees to it.
fn unset(class: &str) -> Halt {
    let cause = Cause::Refused { why: "raw has no output", remedy: "add output = \"/var/lib/logfade/raw/site\"" };
    StoreError { verb: "read", path: class.into(), cause }.into()
}
