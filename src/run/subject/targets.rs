//! The files in which records of a person can stand: raw ones, forms, and what `batch` made of raw files of a class.

use crate::retain::evidence::Evidence;
use crate::retain::{Class, Config, Form, Keep};
use crate::run::catalog::Look;
use crate::scrub::{Output, Policy};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file to look at.
pub(super) struct Target<'a> {
    pub(super) class: &'a Class,
    pub(super) form: Cow<'a, Form>,
    pub(super) path: PathBuf,
    /// Whether it is known by which policy it was made.
    pub(super) known: bool,
}

/// Every file, each once. Tables of counts have no records.
pub(super) fn targets<'a>(look: &mut Look<'a>) -> Vec<Target<'a>> {
    let mut found: BTreeMap<PathBuf, Target<'a>> = BTreeMap::new();
    let config = look.config;
    for class in &config.classes {
        let kept = class.forms.iter().filter(|form| matches!(form.keep, Keep::Clean(_)));
        let raw = look.raw_paths(class).into_iter().map(|path| (path, &class.raw)).collect::<Vec<_>>();
        let made = kept.flat_map(|form| look.form_paths(class, form).into_iter().map(|path| (path, form)).collect::<Vec<_>>()).collect::<Vec<_>>();
        for (path, form) in raw.into_iter().chain(made) {
            found.entry(path.clone()).or_insert_with(|| Target { class, form: Cow::Borrowed(form), path, known: true });
        }
    }
    for (path, class, form) in archived(config, look.known) {
        if path.symlink_metadata().is_ok() {
            let policy = policy(config, &form);
            let known = policy.is_some();
            let keep = policy.map_or(Keep::Raw, Keep::Clean);
            let form = Form { name: form, keep, layout: Output::Same, output: None, ..class.raw.clone() };
            found.entry(path.clone()).or_insert_with(|| Target { class, form: Cow::Owned(form), path, known });
        }
    }
    found.into_values().collect()
}

/// What `batch` made of raw files of classes, and what cuts left of that: where it stands, and the name of its policy.
fn archived<'a>(config: &'a Config, known: &Evidence) -> Vec<(PathBuf, &'a Class, String)> {
    let of = |class: &Option<String>, path: &Path| if class.is_none() { config.classes.iter().find(|class| class.is_raw(path)) } else { None };
    let mut found = Vec::new();
    for (path, scrubbed, output) in known.outputs() {
        if let Some(class) = of(&scrubbed.class, &scrubbed.path) {
            found.push((path.to_owned(), class, output.form.clone()));
        }
    }
    let mut at = 0;
    while let Some((path, class, form)) = found.get(at).cloned() {
        found.extend(
            known
                .remains()
                .filter(|split| split.path == path && !found.iter().any(|(path, ..)| *path == split.into))
                .map(|split| (split.into.clone(), class, form.clone()))
                .collect::<Vec<_>>(),
        );
        at += 1;
    }
    found
}

/// The directories of these, as far as they are there.
pub(super) fn archives(config: &Config, known: &Evidence) -> BTreeSet<PathBuf> {
    let parents = archived(config, known).into_iter().filter_map(|(path, ..)| path.parent().map(Path::to_owned));
    parents.filter(|directory| directory.is_dir()).collect()
}

/// The policy of this name: a configuration's, as it or the file is called, or one that is built in.
fn policy(config: &Config, name: &str) -> Option<Arc<Policy>> {
    let is_it = |policy: &Policy| policy.name() == name || Path::new(policy.name()).file_stem().is_some_and(|stem| stem == name);
    let mut policies = config.classes.iter().flat_map(|class| &class.forms).filter_map(|form| if let Keep::Clean(policy) = &form.keep { Some(policy) } else { None });
    policies.find(|policy| is_it(policy)).cloned().or_else(|| Policy::built_in(name).map(Arc::new))
}
