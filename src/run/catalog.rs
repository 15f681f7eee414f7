//! The files of the classes, folded from a listing and the ledger: what stands where, of what times, and what can be done with it.

use super::expire::reopen::can_let_go;
use super::expire::tables::last_moment;
use crate::format::{Format, detect};
use crate::retain::aggregate::Table;
use crate::retain::evidence::Evidence;
use crate::retain::ledger::{Fault, Identity, Scrubbed};
use crate::retain::plan::{Forms, Found, State};
use crate::retain::{Class, Config, Form, Keep, Output, Source as Origin};
use crate::scrub::{OnReject, Output as Layout, Policy, Settings};
use crate::store::checkpoint::{Begun, Checkpoint};
use crate::store::kept::Surveys;
use crate::store::source::{Block, Filled};
use crate::store::{Halt, Place, Raw, Refusal, Store, StoreError, Survey};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of the sample by which a format is found out.
const SAMPLE: usize = 1024 * 1024;

/// The longest line, in bytes.
pub(super) const MAX_LINE: usize = 1024 * 1024;

/// A file of a class as it was found.
pub(super) struct Item {
    pub(super) found: Found,
    /// None where it cannot be opened.
    pub(super) identity: Option<Identity>,
    pub(super) survey: Option<Survey>,
    pub(super) formats: Vec<Arc<Format>>,
}

/// Everything that looking needs.
pub(super) struct Look<'a> {
    pub(super) config: &'a Config,
    pub(super) store: &'a Store,
    pub(super) known: &'a Evidence,
    pub(super) surveys: &'a mut Surveys,
    pub(super) wall: Timestamp,
    /// For reading times: what it does with the rest is thrown away.
    pub(super) policy: &'a Arc<Policy>,
    /// What the sidecar has begun is its own to finish.
    pub(super) begun: Begun,
    /// What could not be looked at.
    pub(super) failures: Vec<StoreError>,
}

/// What the sidecar has begun and not finished.
pub(super) fn begun(config: &Config, state: &Path) -> Result<Begun, StoreError> {
    let mut begun = Begun::default();
    for class in &config.classes {
        Checkpoint::unfinished(state, &class.name, &mut begun)?;
    }
    Ok(begun)
}

/// Directories in which files of the classes stand, and whether some stand below them as well.
pub(super) fn directories(config: &Config) -> BTreeMap<PathBuf, bool> {
    let mut found = BTreeMap::new();
    for class in &config.classes {
        if let Origin::Raw(globs) = &class.source {
            for glob in globs {
                *found.entry(glob.directory.clone()).or_default() |= glob.is_deep();
            }
        }
        for directory in class.all_forms().filter_map(Form::directory) {
            found.entry(directory.to_owned()).or_default();
        }
    }
    found
}

/// What is done in a directory: the way to it, the directory, and the names of what is no directory in it.
pub(super) type EachPlace<'a> = &'a mut dyn FnMut(&Path, &Place, Vec<OsString>) -> Result<(), Halt>;

/// Goes through a directory and, where `deep`, those below it: each with the way to it and the names of what is no directory. No link is
/// followed on the way.
pub(super) fn each_place(store: &Store, (directory, deep): (&Path, bool), failures: &mut Vec<StoreError>, each: EachPlace<'_>) {
    let mut open = vec![PathBuf::new()];
    while let Some(beneath) = open.pop() {
        let done = store.place(directory, &beneath).and_then(|place| {
            let (below, names): (Vec<OsString>, Vec<OsString>) = store.names(&place)?.into_iter().partition(|name| store.is_directory(&place, name));
            if deep {
                open.extend(below.into_iter().map(|name| beneath.join(name)));
            }
            each(&beneath, &place, names)
        });
        match done {
            // Not there yet, or not there any more.
            Ok(()) | Err(Halt::Refused { .. }) => {}
            Err(Halt::Failed(error)) => failures.push(error),
        }
    }
}

/// Opens a file of a class: links are followed in the directory that the configuration names, and nowhere beneath it.
pub(super) fn open(store: &Store, class: &Class, path: &Path) -> Result<Raw, Halt> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Err(Halt::Refused { why: Refusal::Vanished, path: path.to_owned() }) };
    let (base, beneath) = class.way(path).unwrap_or((directory, Path::new("")));
    store.file(&store.place(base, beneath)?, name)
}

/// The settings under which a class's records have times.
pub(super) fn settings(class: &Class, formats: Vec<Arc<Format>>, policy: &Arc<Policy>, form: &Form) -> Settings {
    let on_reject = match class.on_reject {
        OnReject::Scrub => OnReject::Scrub,
        // Raw stays until its deadline, and with it what the quarantine would hold.
        OnReject::Drop | OnReject::Quarantine => OnReject::Drop,
    };
    Settings { formats, policy: Arc::clone(policy), on_reject, output: form.layout, max_line: MAX_LINE, moments: false, keys: None, places: None }
}

/// The formats of a file of a class: the class's, or those of a sample of it; of a form that is written as NDJSON, that of its times.
pub(super) fn formats((class, form): (&Class, &Form), store: &Store, raw: &Raw) -> Result<Vec<Arc<Format>>, Halt> {
    if is_ecs((class, form), store, raw)? {
        return Ok(vec![Format::ecs()]);
    }
    if let Some(format) = &class.format {
        return Ok(vec![Arc::clone(format)]);
    }
    let mut block = Block::default();
    let mut source = store.lines(raw, MAX_LINE)?;
    // A line that is too long says nothing about the format.
    let _filled: Filled = source.fill(&mut block, SAMPLE)?;
    Ok(ranked(block.as_bytes()))
}

/// The formats that a sample may have, the likeliest first.
pub(super) fn ranked(sample: &[u8]) -> Vec<Arc<Format>> {
    let ranked = detect::rank(sample);
    ranked.into_iter().filter(|fit| !fit.format.has_columns() || fit.score > 0.0).map(|fit| fit.format).collect()
}

/// Whether the lines of a form are records with the names of the Elastic Common Schema. What `batch` made is known by how it begins.
pub(super) fn is_ecs((class, form): (&Class, &Form), store: &Store, raw: &Raw) -> Result<bool, Halt> {
    match (&form.keep, &form.output) {
        (Keep::Clean(_), Some(_)) => Ok(form.layout == Layout::Json),
        (Keep::Clean(_), None) if class.format.as_ref().is_some_and(|format| !format.is_json()) => {
            let mut block = Block::default();
            let _filled: Filled = store.lines(raw, MAX_LINE)?.fill(&mut block, 1)?;
            Ok(block.as_bytes().starts_with(b"{\""))
        }
        (Keep::Clean(_) | Keep::Raw | Keep::Aggregate { .. }, _) => Ok(false),
    }
}

impl Look<'_> {
    /// Every file of every class: raw ones, forms, and what the ledger knows and nobody finds.
    pub(super) fn catalog(&mut self) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        let mut seen = BTreeSet::new();
        for class in &self.config.classes {
            for path in self.raw_paths(class) {
                if seen.insert(path.clone()) {
                    items.extend(self.item(class, &class.raw, &path));
                }
            }
            for form in &class.forms {
                for path in self.form_paths(class, form) {
                    if seen.insert(path.clone()) {
                        items.extend(self.item(class, form, &path));
                    }
                }
            }
        }
        items.extend(self.vanished(&items));
        items
    }

    pub(super) fn raw_paths(&mut self, class: &Class) -> BTreeSet<PathBuf> {
        let mut paths = BTreeSet::new();
        match &class.source {
            Origin::Raw(globs) => {
                for glob in globs {
                    self.walk(&glob.directory, glob.is_deep(), &mut |path| glob.matcher.is_match(path), &mut paths);
                }
            }
            Origin::Listen(_) => {
                if let Some(directory) = class.raw.directory() {
                    self.walk(directory, false, &mut |path| path.extension().is_none_or(|end| end != "part"), &mut paths);
                }
            }
        }
        paths.extend(self.known.remains().filter(|split| split.class == class.name && split.form == class.raw.name).map(|split| split.into.clone()).filter(|path| path.exists()));
        paths
    }

    pub(super) fn form_paths(&mut self, class: &Class, form: &Form) -> BTreeSet<PathBuf> {
        let mut paths = BTreeSet::new();
        let (Some(directory), Keep::Clean(_) | Keep::Aggregate { .. }) = (form.directory(), &form.keep) else { return paths };
        let tables = matches!(form.keep, Keep::Aggregate { .. });
        let of_form = |path: &Path| match (self.known.output(path), self.known.cut_into(path)) {
            (Some((scrubbed, output)), _) => scrubbed.class.as_deref() == Some(&class.name) && output.form == form.name,
            (None, Some(split)) => split.class == class.name && split.form == form.name,
            // The ledger was lost: the name still says what it is.
            (None, None) if tables => file_name(path).is_some_and(|name| Table::day_of(name).is_some()),
            (None, None) => is_own_name(path),
        };
        let mut found = BTreeSet::new();
        self.walk(directory, false, &mut |_| true, &mut found);
        paths.extend(found.into_iter().filter(|path| of_form(path)));
        paths
    }

    fn walk(&mut self, directory: &Path, deep: bool, wants: &mut dyn FnMut(&Path) -> bool, paths: &mut BTreeSet<PathBuf>) {
        each_place(self.store, (directory, deep), &mut self.failures, &mut |beneath, _, names| {
            paths.extend(names.into_iter().map(|name| directory.join(beneath).join(name)).filter(|path| wants(path)));
            Ok(())
        });
    }

    fn item(&mut self, class: &Class, form: &Form, path: &Path) -> Option<Item> {
        let mut item = Item {
            found: Found {
                path: path.to_owned(),
                class: class.name.clone(),
                form: form.name.clone(),
                span: None,
                state: State::Unreadable,
                forms: Forms::Proven,
                too_many_rejects: false,
                cut: self.known.cut_into(path).map(|split| split.cut),
                lets_go: false,
                empty: false,
            },
            identity: None,
            survey: None,
            formats: Vec::new(),
        };
        let raw = match open(self.store, class, path) {
            Ok(raw) => raw,
            // Gone between listing and opening, by rotation: the next run finds it.
            Err(Halt::Refused { why: Refusal::Vanished, .. }) => return None,
            Err(Halt::Refused { .. }) => {
                let meta = path.symlink_metadata().ok()?;
                // A link is nobody's log: what it means has a name of its own.
                if meta.is_symlink() {
                    return None;
                }
                item.found.span = meta.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).map(|own| (own, own));
                return Some(item);
            }
            Err(Halt::Failed(error)) => {
                self.failures.push(error);
                return Some(item);
            }
        };
        let identity = raw.identity();
        item.identity = Some(identity);
        let quiet = match self.store.quiet(&raw, self.wall) {
            Ok(_) => form.name != class.raw.name || !self.is_begun(class, &identity),
            Err(Halt::Refused { .. }) => {
                item.found.lets_go = form.name == class.raw.name && can_let_go(class, path);
                false
            }
            Err(Halt::Failed(error)) => {
                self.failures.push(error);
                false
            }
        };
        // What nobody can read any more is a copy of something that went: so does it.
        if self.store.is_dead(&raw).unwrap_or_default() {
            item.found.span = Some((Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH));
            item.found.state = if quiet { State::Quiet } else { State::InUse };
            return Some(item);
        }
        if let Some(last) = file_name(path).filter(|_| matches!(form.keep, Keep::Aggregate { .. })).and_then(|name| last_moment(class, name)) {
            item.found.span = Some((last, last));
            item.found.state = if quiet { State::Quiet } else { State::InUse };
            return Some(item);
        }
        let known = if form.name == class.raw.name { None } else { self.known.output(path).map(|(scrubbed, _)| (scrubbed.oldest, scrubbed.newest)) };
        if let Some((Some(oldest), Some(newest))) = known {
            item.found.span = Some((oldest, newest));
            item.found.state = if quiet { State::Quiet } else { State::InUse };
            return Some(item);
        }
        // Digests of a look ahead that had no key yet are none of the ledger's.
        let how = format!("{} {}", class.format_text, self.store.keyed(b"survey"));
        let surveyed = match self.surveys.find(identity, &how) {
            Some(survey) => formats((class, form), self.store, &raw).map(|formats| (survey, formats)),
            None => formats((class, form), self.store, &raw).and_then(|formats| {
                let settings = settings(class, formats.clone(), self.policy, &class.raw);
                let survey = self.store.survey(&raw, &Settings { output: Layout::Same, ..settings })?;
                self.surveys.add(identity, &how, survey);
                Ok((survey, formats))
            }),
        };
        match surveyed {
            Ok((survey, formats)) => {
                let own = (identity.mtime, identity.mtime);
                item.found.span = Some(survey.oldest.zip(survey.newest).map_or(own, |(oldest, newest)| (oldest, newest.checked_add(form.blur()).unwrap_or(Timestamp::MAX))));
                item.found.state = if quiet { State::Quiet } else { State::InUse };
                item.found.empty = survey.lines == 0;
                item.found.too_many_rejects = class.max_rejects.is_some_and(|limit| limit.is_exceeded(survey.rejected, survey.lines));
                if form.name == class.raw.name {
                    item.found.forms = self.forms(class, &survey);
                }
                (item.survey, item.formats) = (Some(survey), formats);
            }
            // Somebody writes it, so that only what it begins with is known.
            Err(Halt::Refused { why: Refusal::Changed | Refusal::Damaged, .. }) if !quiet => {
                let oldest = self.oldest(class, &raw).map_or(identity.mtime, |oldest| oldest.min(identity.mtime));
                item.found.span = Some((oldest, identity.mtime));
                item.found.state = State::InUse;
            }
            // Nobody can say more than that it is as old as its last change: before that is due, it is no alarm.
            Err(Halt::Refused { .. }) => item.found.span = Some((identity.mtime, identity.mtime)),
            Err(Halt::Failed(error)) => self.failures.push(error),
        }
        Some(item)
    }

    /// Time of the oldest record of a file that is written while it is read.
    fn oldest(&self, class: &Class, raw: &Raw) -> Option<Timestamp> {
        let settings = settings(class, formats((class, &class.raw), self.store, raw).ok()?, self.policy, &class.raw);
        let mut oldest: Option<Timestamp> = None;
        // That it grew meanwhile is no news.
        let _changed = self.store.each_line(raw, &settings, &mut |_, at| oldest = Some(oldest.map_or(at, |oldest| oldest.min(at))));
        oldest
    }

    /// Whether the sidecar is still at work with a raw file, or with what it is going to say of it in the ledger.
    fn is_begun(&self, class: &Class, identity: &Identity) -> bool {
        let is_fresh = |since: &Timestamp| identity.mtime >= *since && self.known.seen(identity).is_none();
        self.begun.logs.contains(&(identity.device, identity.inode)) || self.begun.heard.get(&class.name).is_some_and(is_fresh)
    }

    /// Whether everything is made of a raw file that is to be made of it.
    fn forms(&self, class: &Class, survey: &Survey) -> Forms {
        let made = |form: &Form| survey.lines == 0 || is_made(self.known, (class, form), survey);
        let mut state = Forms::Proven;
        for form in &class.forms {
            match required(class, form) {
                Need::Nothing => {}
                Need::Impossible => return Forms::Missing,
                // Tables of later days are looked for when they are due.
                Need::File | Need::Tables if made(form) => {}
                Need::File | Need::Tables => state = Forms::ToMake,
            }
        }
        state
    }

    /// Raw files whose forms were made, that nobody deleted here, and that stand nowhere.
    fn vanished(&self, items: &[Item]) -> Vec<Item> {
        let digests: BTreeSet<_> = items.iter().filter_map(|item| item.survey).flat_map(|survey| [survey.digests.bytes, survey.digests.content]).collect();
        let identities: Vec<Identity> = items.iter().filter_map(|item| item.identity).collect();
        let mut gone: Vec<Item> = Vec::new();
        let item = |class: &Class, form: &Form, path: &Path, scrubbed: &Scrubbed| {
            let found = Found {
                path: path.to_owned(),
                class: class.name.clone(),
                form: form.name.clone(),
                span: scrubbed.oldest.zip(scrubbed.newest),
                state: State::Gone,
                forms: Forms::Proven,
                too_many_rejects: false,
                cut: None,
                lets_go: false,
                empty: false,
            };
            Item { found, identity: Some(scrubbed.identity), survey: None, formats: Vec::new() }
        };
        for scrubbed in self.known.standing() {
            let Some(class) = scrubbed.class.as_deref().and_then(|name| self.config.class(name)) else { continue };
            // A file that was only written on is there.
            let grew = |identity: &Identity| (identity.device, identity.inode) == (scrubbed.identity.device, scrubbed.identity.inode) && identity.size > scrubbed.identity.size;
            let stands = identities.iter().any(|identity| *identity == scrubbed.identity || grew(identity))
                || digests.contains(&scrubbed.digest)
                || scrubbed.content.is_some_and(|content| digests.contains(&content));
            let announced = self.known.open().iter().any(|open| open.digest == scrubbed.digest) || gone.iter().any(|item| item.found.path == scrubbed.path);
            if stands || announced || scrubbed.path.exists() && items.iter().any(|item| item.found.path == scrubbed.path && item.survey.is_none()) {
                continue;
            }
            gone.push(item(class, &class.raw, &scrubbed.path, scrubbed));
        }
        for (path, scrubbed, output) in self.known.outputs() {
            let Some(class) = scrubbed.class.as_deref().and_then(|name| self.config.class(name)) else { continue };
            let Some(form) = class.forms.iter().find(|form| form.name == output.form) else { continue };
            let went = self.known.deletion(output.digest).is_some() || self.known.splits_of(output.digest, output.digest).next().is_some();
            let announced = self.known.open().iter().any(|open| open.digest == output.digest);
            if !went && !announced && path.symlink_metadata().is_err() {
                gone.push(item(class, form, path, scrubbed));
            }
        }
        // What a person has settled is not told again.
        let settled = |path: &Path| self.known.incidents().iter().any(|case| case.what == Fault::Vanished && case.path.as_deref() == Some(path) && case.closed.is_some());
        gone.retain(|item| !settled(&item.found.path));
        gone.retain(|item| !self.is_front(item, items));
        gone
    }

    /// Whether a raw file that is nowhere to be found was written on, and stands in the front of another one.
    fn is_front(&self, gone: &Item, items: &[Item]) -> bool {
        let Some(before) = gone.identity.and_then(|identity| self.known.seen(&identity)).filter(|scrubbed| scrubbed.content == Some(scrubbed.digest)) else { return false };
        let longer = |item: &&Item| {
            let is_raw = (&item.found.class, &item.found.form) == (&gone.found.class, &gone.found.form);
            is_raw && item.survey.is_some_and(|survey| survey.lines >= before.tally.read) && item.identity.is_some_and(|identity| identity.mtime >= before.identity.mtime)
        };
        let Some(class) = self.config.class(&gone.found.class) else { return false };
        items.iter().filter(longer).any(|item| {
            open(self.store, class, &item.found.path).is_ok_and(|raw| {
                let fronts = self.store.is_namesake(&raw, &before.path).then(|| self.store.fronts(&raw, &BTreeSet::from([before.identity.size])));
                fronts.and_then(Result::ok).is_some_and(|fronts| fronts.get(&before.identity.size) == Some(&before.digest))
            })
        })
    }
}

/// What a form needs before raw may go.
pub(super) enum Need {
    /// A file that reads back.
    File,
    /// A table of each day.
    Tables,
    /// Nothing: the class says that its word is enough.
    Nothing,
    /// Something that is not made here.
    Impossible,
}

/// Whether a form was made of a raw file, for its class.
pub(super) fn is_made(known: &Evidence, (class, form): (&Class, &Form), survey: &Survey) -> bool {
    let makings = known.makings(survey.digests.bytes, survey.digests.content);
    let Some(directory) = form.directory() else { return false };
    makings.into_iter().any(|making| making.files_of(&class.name, (&form.name, directory)).next().is_some())
}

/// What a form of a class needs.
pub(super) fn required(class: &Class, form: &Form) -> Need {
    match (&form.keep, &form.output) {
        (Keep::Clean(_), Some(Output::Directory(_))) => Need::File,
        (Keep::Clean(_), Some(Output::Stdout | Output::Http(_))) if class.unproven => Need::Nothing,
        (Keep::Aggregate { .. }, Some(Output::Directory(_))) => Need::Tables,
        (Keep::Clean(_) | Keep::Raw | Keep::Aggregate { .. }, _) => Need::Impossible,
    }
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// `STEM.OLDEST--NEWEST.DIGEST8.zst`, or `.zst.age`.
fn is_own_name(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut parts = name.strip_suffix(".age").unwrap_or(&name).rsplit('.');
    let (end, digest, span) = (parts.next(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    end == Some("zst") && digest.len() == 8 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) && span.len() == 34 && span.contains("Z--")
}
