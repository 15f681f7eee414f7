//! `init`: looks for logs where servers write them, and finds out what they are by what stands in them.

use crate::format::detect;
use crate::retain::begin::{FoundClass, FoundLogs};
use crate::store::StoreError;
use crate::store::seal::Keychain;
use crate::store::source::{Block, Source, Stop};
use crate::store::walk::logs;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where servers write their logs unless they are told otherwise: a name for the class, and the place.
pub const PLACES: [(&str, &str); 19] = [
    ("nginx", "/var/log/nginx"),
    ("apache", "/var/log/apache2"),
    ("httpd", "/var/log/httpd"),
    ("caddy", "/var/log/caddy"),
    ("haproxy", "/var/log/haproxy"),
    ("haproxy", "/var/log/haproxy.log"),
    ("lighttpd", "/var/log/lighttpd"),
    ("traefik", "/var/log/traefik"),
    ("envoy", "/var/log/envoy"),
    ("squid", "/var/log/squid"),
    ("varnish", "/var/log/varnish"),
    ("uwsgi", "/var/log/uwsgi"),
    ("icecast", "/var/log/icecast2"),
    ("tomcat", "/var/log/tomcat9"),
    ("tomcat", "/var/log/tomcat10"),
    ("jetty", "/var/log/jetty9"),
    ("litespeed", "/usr/local/lsws/logs"),
    ("nginx", "/usr/local/nginx/logs"),
    ("httpd", "/usr/local/apache2/logs"),
];

/// Bytes of a file that are looked at.
const SAMPLE: usize = 1024 * 1024;

/// The share of a sample's lines that a format must split.
const BELIEVED: f64 = 0.5;

/// What stands in these places, and what could not be read. A place that is not there is no error unless `named`.
pub fn look(places: &[(String, PathBuf)], named: bool) -> (FoundLogs, Vec<StoreError>) {
    let (mut found, mut failures) = (FoundLogs::default(), Vec::new());
    for (label, place) in places {
        if !named && !place.exists() {
            continue;
        }
        match logs(place) {
            Ok(groups) => one_place(label, groups, &mut found, &mut failures),
            Err(error) => failures.push(error),
        }
    }
    distinct(&mut found);
    (found, failures)
}

/// Files of one stem: what rotation made of one log.
type Groups = BTreeMap<String, Vec<PathBuf>>;

fn one_place(label: &str, groups: Groups, found: &mut FoundLogs, failures: &mut Vec<StoreError>) {
    let mut by_format: BTreeMap<String, FoundClass> = BTreeMap::new();
    for (glob, files) in groups {
        let best = files.iter().find_map(|file| match format(file) {
            // Nothing stands in it: an older one may say more.
            Ok(None) => None,
            Ok(Some(best)) => Some(best),
            Err(error) => {
                failures.push(error);
                None
            }
        });
        match best {
            Some((name, score)) if score >= BELIEVED => {
                let percent = (score * 100.0) as u8;
                let class = by_format.entry(name.clone()).or_insert_with(|| FoundClass { name: label.to_owned(), format: name, percent, globs: Vec::new(), files: 0 });
                class.percent = class.percent.min(percent);
                class.globs.push(glob);
                class.files += files.len() as u64;
            }
            Some(_) => found.unknown.extend(files.first().cloned()),
            None => {}
        }
    }
    // What has most files is what people mean by the server's log.
    let mut classes: Vec<FoundClass> = by_format.into_values().collect();
    classes.sort_by_key(|class| (class.format.contains("error"), std::cmp::Reverse(class.files)));
    found.classes.extend(classes);
}

/// The format that fits best, and the share of lines that it fits; none of a file without lines.
fn format(path: &Path) -> Result<Option<(String, f64)>, StoreError> {
    let mut block = Block::default();
    Source::open(path, &Stop::default(), SAMPLE, &Keychain::none())?.fill(&mut block, SAMPLE)?;
    if block.as_bytes().trim_ascii().is_empty() {
        return Ok(None);
    }
    Ok(detect::rank(block.as_bytes()).into_iter().next().map(|best| (best.format.name().to_owned(), best.score)))
}

/// Gives every class a name of its own.
fn distinct(found: &mut FoundLogs) {
    let mut taken: Vec<String> = Vec::new();
    for class in &mut found.classes {
        let word = |text: &str| -> String { text.chars().map(|char| if char.is_ascii_alphanumeric() || "-_.".contains(char) { char } else { '-' }).collect() };
        let (label, format) = (word(&class.name), word(&class.format));
        let longer = if format.starts_with(&label) { format } else { format!("{label}-{format}") };
        let counted = (2..).map(|count: u32| format!("{longer}-{count}"));
        let name = [label, longer.clone()].into_iter().chain(counted).find(|name| !taken.contains(name)).unwrap_or_default();
        taken.push(name.clone());
        class.name = name;
    }
}
