//! What ends: segments get their final names, and a raw log to which nothing comes any more is held against its forms and entered in the
//! ledger.
//!
//! On a thread of its own, because neither listeners nor the logs beside it wait. Whatever is done here can be done again.

use super::event::{Event, Level};
use super::plan::ClassPlan;
use super::shared::Shared;
use super::sink::Kind;
use crate::retain::ledger::{Counts, Entry, Fault, Identity, Incident, Keyed, Output, Reasons, Scrubbed};
use crate::run::catalog::MAX_LINE;
use crate::run::verify::{HELD, VerifyJob, verify};
use crate::store::checkpoint::{LaneState, SegmentState};
use crate::store::segment::{Ended, Ending, Seals};
use crate::store::trail::Trail;
use crate::store::{Access, Cause, Halt, StoreError};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

/// What has ended, as it was committed.
pub(super) struct Job {
    /// Of the log or the stretch.
    pub(super) id: u64,
    /// Names its files.
    pub(super) name: OsString,
    /// Tells them apart from those of another one.
    pub(super) front: Vec<u8>,
    pub(super) lanes: BTreeMap<String, LaneState>,
    /// What they are held against, if all of it is over.
    pub(super) raw: Option<Raw>,
}

/// A raw log to which nothing comes any more.
pub(super) enum Raw {
    /// The file that was followed, and whether it was truncated.
    Followed(Trail, bool),
    /// The segment in which it was heard.
    Heard(SegmentState),
}

/// What became of it.
pub(super) struct Settled {
    /// Form, `.part` if it had one, and the finished file.
    outputs: Vec<(String, Option<PathBuf>, Output)>,
    /// All of it is finished: as many bytes as that.
    pub(super) done: Option<u64>,
    /// Somebody wrote after all: it is read on.
    pub(super) trail: Option<Trail>,
}

impl Settled {
    /// Puts finished files in the place of segments. Returns the `.part` files that nobody needs once that is committed.
    pub(super) fn take_into(&mut self, lanes: &mut BTreeMap<String, LaneState>) -> Vec<PathBuf> {
        let mut gone = Vec::new();
        for (form, part, output) in self.outputs.drain(..) {
            let Some(lane) = lanes.get_mut(&form) else { continue };
            lane.segments.retain(|segment| Some(&segment.part) != part.as_ref());
            lane.outputs.push(output);
            gone.extend(part);
        }
        gone
    }
}

/// What is being finished; one at a time for each class.
pub(super) struct Work {
    pub(super) id: u64,
    /// All of it: it is neither read nor looked at meanwhile.
    pub(super) over: bool,
    thread: JoinHandle<Result<Settled, Halt>>,
}

impl Work {
    pub(super) fn begin(shared: &Shared, plan: &Arc<ClassPlan>, job: Job) -> Self {
        let (id, over, shared, plan) = (job.id, job.raw.is_some(), shared.clone(), Arc::clone(plan));
        Self { id, over, thread: std::thread::spawn(move || settle(&shared, &plan, job)) }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// What became of it, once it has ended.
    pub(super) fn take(work: &mut Option<Self>) -> Option<(u64, Result<Settled, Halt>)> {
        let ended = work.take_if(|work| work.is_ended())?;
        let broke = |_panic| Err(StoreError { verb: "finish", path: ended.id.to_string().into(), cause: Cause::Io(std::io::Error::other("a thread broke")) }.into());
        Some((ended.id, ended.thread.join().unwrap_or_else(broke)))
    }
}

/// Finishes what has ended.
fn settle(shared: &Shared, plan: &ClassPlan, job: Job) -> Result<Settled, Halt> {
    // Expiry sees nothing half done.
    let _turn = shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
    let mut settling = Settling { shared, plan, name: &job.name, front: &job.front, lanes: job.lanes, outputs: Vec::new() };
    settling.segments()?;
    let (done, trail) = match job.raw {
        None => (None, None),
        Some(Raw::Heard(raw)) => (Some(settling.heard(&raw)?), None),
        Some(Raw::Followed(trail, truncated)) => match settling.followed(&trail, truncated)? {
            Some(size) => (Some(size), None),
            None => (None, Some(trail)),
        },
    };
    Ok(Settled { outputs: settling.outputs, done, trail })
}

struct Settling<'a> {
    shared: &'a Shared,
    plan: &'a ClassPlan,
    name: &'a OsStr,
    front: &'a [u8],
    lanes: BTreeMap<String, LaneState>,
    outputs: Vec<(String, Option<PathBuf>, Output)>,
}

impl Settling<'_> {
    fn tell(&self, event: Event) {
        (self.shared.tell)(event.class(&self.plan.class.name));
    }

    /// Finishes the segments that have ended.
    fn segments(&mut self) -> Result<(), Halt> {
        let mut lanes = std::mem::take(&mut self.lanes);
        for (form, lane) in &mut lanes {
            for segment in std::mem::take(&mut lane.segments).into_iter().filter(|segment| segment.closed) {
                let output = self.segment(form, &segment)?;
                lane.outputs.push(output.clone());
                self.outputs.push((form.clone(), Some(segment.part), output));
            }
        }
        self.lanes = lanes;
        Ok(())
    }

    fn segment(&self, form: &str, segment: &SegmentState) -> Result<Output, Halt> {
        let of = self.plan.forms.iter().find(|plan| plan.name == form);
        let (access, level) = of.map_or((Access { mode: 0o640, user: None, group: None }, 3), |plan| (plan.access, plan.level));
        let output = self.end((form, segment, segment.span), (access, level, of.and_then(|plan| plan.seals.clone())))?.output;
        self.tell(Event::new(Level::Info, "segment").path(&output.path).count("lines", output.lines).count("bytes", output.bytes));
        self.shared.gauges.class(&self.plan.class.name, |reading| reading.forms.entry(form.to_owned()).or_default().segments += 1);
        Ok(output)
    }

    /// Compresses a segment under its final name, and seals it if it was or has to be.
    fn end(
        &self,
        (form, segment, span): (&str, &SegmentState, (Option<jiff::Timestamp>, Option<jiff::Timestamp>)),
        (access, level, seals): (Access, i32, Option<Seals>),
    ) -> Result<Ended, Halt> {
        let before = || Seals { keys: self.shared.store.keychain().clone(), class: self.plan.class.name.clone(), form: form.to_owned(), level };
        let seals = seals.or_else(|| segment.sealed.then(before));
        let part = segment.part.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
        let salt = [self.front, &segment.start.to_be_bytes(), part].concat();
        self.shared.store.end(&Ending {
            part: &segment.part,
            length: segment.length,
            plain: segment.plain(),
            sealed: segment.sealed,
            raw: self.name,
            salt: &salt,
            span,
            form,
            policy: segment.policy,
            access,
            level,
            seals: seals.as_ref(),
            excluded: segment.excluded,
        })
    }

    /// A form of which no record was taken is an empty file: nobody could tell it from one that is missing.
    fn empty(&mut self, front: &[u8]) -> Result<(), Halt> {
        for form in &self.plan.forms {
            let (Kind::Segment(directory), Some(lane)) = (&form.kind, self.lanes.get_mut(&form.name)) else { continue };
            if lane.outputs.is_empty() {
                let (part, access, excluded) = (directory.join(self.name), form.access, lane.counts.excluded);
                let ending = Ending {
                    part: &part,
                    length: 0,
                    plain: 0,
                    sealed: false,
                    raw: self.name,
                    salt: front,
                    span: lane.span,
                    form: &form.name,
                    policy: form.rules,
                    access,
                    level: form.level,
                    seals: form.seals.as_ref(),
                    excluded,
                };
                let output = self.shared.store.end(&ending)?.output;
                lane.outputs.push(output.clone());
                self.outputs.push((form.name.clone(), None, output));
            }
        }
        Ok(())
    }

    /// Holds a file that was followed against its forms. Its size, or none if it has more than what was read.
    fn followed(&mut self, trail: &Trail, truncated: bool) -> Result<Option<u64>, Halt> {
        // Looked at before it is read: what comes behind that makes it another size.
        let sight = trail.sight()?;
        let whole = trail.whole()?;
        if self.plan.forms.iter().filter_map(|form| self.lanes.get(&form.name)).any(|lane| lane.counts.read < whole.lines) {
            return Ok(None);
        }
        let read = self.lanes.values().map(|lane| lane.counts.read).max().unwrap_or(0);
        if read != whole.lines && !truncated {
            let text = "its lines are not those that were read: it stays";
            self.tell(Event::new(Level::Error, "unproven").path(trail.path()).text(text).count("read", read).count("lines", whole.lines));
            return Ok(Some(sight.size));
        }
        if whole.lines > 0 {
            self.empty(&[whole.content.0.as_slice(), self.name.as_encoded_bytes()].concat())?;
        }
        self.prove((&trail.descriptor(), trail.path()), sight.identity(), (whole.bytes, whole.content, whole.lines))?;
        Ok(Some(sight.size))
    }

    /// Finishes the segment in which something was heard, and holds it against the forms.
    fn heard(&mut self, raw: &SegmentState) -> Result<u64, Halt> {
        let Some(plan) = &self.plan.raw else { return Ok(raw.length) };
        let spans = || self.lanes.values().map(|lane| lane.span);
        let said = (spans().filter_map(|span| span.0).min(), spans().filter_map(|span| span.1).max());
        // Without a form nobody has looked: what is known is when it came.
        let span = if said.0.is_some() { said } else { raw.span };
        let Ended { output, content, identity } = self.end((&self.plan.class.raw.name, raw, span), (plan.access, plan.level, plan.seals.clone()))?;
        self.empty(self.front)?;
        self.prove((&output.path, &output.path), identity, (output.digest, content, output.lines))?;
        Ok(output.bytes)
    }

    /// Holds a raw log, which may be read at one place and is called after another, against its forms, and enters it in the ledger.
    fn prove(&self, (raw, path): (&Path, &Path), identity: Identity, (digest, content, lines): (Keyed, Keyed, u64)) -> Result<(), Halt> {
        if self.leaks((raw, path))? {
            return Ok(());
        }
        // A `where` leaves lines out of its form alone.
        let widest = self.lanes.values().max_by_key(|lane| (lane.counts.read, Reverse(lane.counts.excluded)));
        let scrubbed = Scrubbed {
            class: Some(self.plan.class.name.clone()),
            path: path.to_owned(),
            identity,
            digest,
            content: Some(content),
            format: self.plan.class.format.as_ref().map(|format| format.name().to_owned()),
            tally: widest.map_or_else(Counts::default, |lane| lane.counts),
            reasons: widest.map_or_else(Reasons::default, |lane| lane.reasons.clone()),
            oldest: widest.and_then(|lane| lane.span.0),
            newest: widest.and_then(|lane| lane.span.1),
            outputs: self.lanes.values().flat_map(|lane| lane.outputs.clone()).collect(),
        };
        let event = Event::new(Level::Info, "finished").path(path).count("lines", lines).count("outputs", scrubbed.outputs.len() as u64);
        if !scrubbed.outputs.is_empty() {
            self.shared.ledger(|chronicle| {
                // A killed run may have said so before.
                let said = chronicle.known().makings(digest, content).iter().any(|made| made.outputs == scrubbed.outputs);
                if said { Ok(()) } else { chronicle.note(&Entry::Scrubbed(scrubbed)) }
            })?;
        }
        self.tell(event);
        Ok(())
    }

    /// Looks for identifiers of the raw log in its forms; opens an incident if there are any.
    fn leaks(&self, (raw, path): (&Path, &Path)) -> Result<bool, Halt> {
        let mut found = 0;
        for form in &self.plan.forms {
            let outputs = self.lanes.get(&form.name).map(|lane| lane.outputs.iter().map(|output| output.path.clone()).collect::<Vec<_>>()).unwrap_or_default();
            let Some((first, more)) = outputs.split_first() else { continue };
            let job = VerifyJob {
                raw: raw.to_owned(),
                clean: first.clone(),
                more: more.to_vec(),
                format: self.plan.class.format.clone(),
                policy: Some(Arc::clone(&form.policy)),
                except: Vec::new(),
                max_line: MAX_LINE,
                held: HELD,
                progress: Arc::default(),
                seals: self.shared.store.keychain().clone(),
            };
            found += verify(&job)?.leaks;
        }
        if found == 0 {
            return Ok(false);
        }
        let class = self.plan.class.name.as_str();
        let text = "identifiers of the raw log stand in its forms: it stays, and an incident is open";
        self.tell(Event::new(Level::Error, "leak").path(path).count("identifiers", found).text(text));
        self.shared.ledger(|chronicle| match chronicle.known().incidents().open_about(Fault::Leak, Some(class), Some(path)) {
            Some(_) => Ok(()),
            None => chronicle.note(&Entry::Incident(Incident::Opened { what: Fault::Leak, class: Some(class.to_owned()), path: Some(path.to_owned()), note: None })),
        })?;
        Ok(true)
    }
}
