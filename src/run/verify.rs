//! `verify`: whether an identifier of a raw file stands in its clean file. Shares nothing with the gate that made the clean one.
//!
//! Both files are read once, side by side. Each clean line is compared with its own record: it must be what some policy
//! could have made of it, and no address, e-mail, name, user, query value, cookie, session or request id of the record may stand
//! in it where the record's kept values do not have it. What a clean line holds that its record does not have is noted as a
//! keyed fingerprint and looked for in the whole raw file, which is read again once [`HELD`] of them wait, and at the end. So
//! memory is bounded by the blocks that are read, by [`HELD`] fingerprints and by [`LISTED`] findings, whatever the files hold.

mod address;
mod compare;
mod elsewhere;
mod email;
pub(super) mod explain;
mod findings;
mod identifiers;
pub(super) mod lines;
mod pairs;
mod prefix;
pub(super) mod record;
mod rules;
pub(super) mod text;

pub use findings::{HELD, LISTED, Leak};

use crate::format::{Field, Format, detect};
use crate::scrub::Policy;
use crate::store::StoreError;
use crate::store::seal::Keychain;
use findings::Findings;
use ipnet::IpNet;
use lines::Lines;
use pairs::Walk;
use rules::Rules;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Share of a sample that a format must split to be believed.
const BELIEVED: f64 = 0.3;

/// Lines of the sample that `auto` looks at.
const SAMPLE: usize = 1000;

/// What is to be compared.
#[derive(Clone, Debug)]
pub struct VerifyJob {
    /// The raw file, in any codec.
    pub raw: PathBuf,
    /// What became of it, in any codec.
    pub clean: PathBuf,
    /// Further files of clean lines, in their order behind it.
    pub more: Vec<PathBuf>,
    /// The format, or `None` to find it out.
    pub format: Option<Arc<Format>>,
    /// The policy that made the clean file: what it keeps is no leak, what it drops must be gone.
    pub policy: Option<Arc<Policy>>,
    /// Networks whose addresses are left alone.
    pub except: Vec<IpNet>,
    /// The longest line, in bytes.
    pub max_line: usize,
    /// Fingerprints of unknown origin that are held before the raw file is read once more; usually [`HELD`].
    pub held: usize,
    /// Bytes of both files that were read so far, as they lie on the disk; for whoever watches.
    pub progress: Arc<AtomicU64>,
    /// For what is sealed.
    pub seals: Keychain,
}

/// What was found. Holds no bytes of a log.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Name of the format; `None` if there is none that splits most lines.
    pub format: Option<String>,
    /// Lines of the raw file.
    pub raw_lines: u64,
    /// Lines of the clean file.
    pub clean_lines: u64,
    /// Raw lines that were not written as parsed: their place says nothing, or is gone.
    pub rejected: u64,
    /// Raw lines that parse and have no clean line.
    pub missing: u64,
    /// Clean lines that have no raw line.
    pub extra: u64,
    /// Clean lines that are not what a policy makes of their record.
    pub strangers: u64,
    /// The first [`LISTED`] of them: line of the clean file and field.
    pub first_strangers: Vec<(u64, Field)>,
    /// Leaks, all of them.
    pub leaks: u64,
    /// The first [`LISTED`] of them, by line.
    pub first_leaks: Vec<Leak>,
}

impl VerifyReport {
    /// Whether nothing leaked and every line is accounted for.
    pub const fn is_clean(&self) -> bool {
        self.leaks == 0 && self.missing == 0 && self.extra == 0 && self.strangers == 0
    }
}

/// Compares two files. The error is one of reading.
pub fn verify(job: &VerifyJob) -> Result<VerifyReport, StoreError> {
    let mut raw = Lines::open(&job.raw, job.max_line, &job.seals)?;
    let clean = Lines::open(&job.clean, job.max_line, &job.seals)?.then(&job.more);
    let (formats, name, believed) = detected(job.format.as_ref(), &mut raw)?;
    let rules = Rules::new(job.policy.clone(), &job.except);
    let mut walk = Walk::new(job, &rules, &formats, believed);
    let walked = walk.through(raw, clean)?;
    let (mut findings, prefixes, reader) = walk.end();
    for deviation in prefixes.deviations(|field, four| rules.bits(field, four), |field| rules.encrypts(field)) {
        let rest = deviation.count - deviation.lines.len() as u64;
        if deviation.foreign {
            for (line, addr) in deviation.lines {
                findings.strangers.add((line, deviation.field));
                findings.suspect_address(addr, line, Some(deviation.field));
            }
            findings.strangers.count += rest;
        } else {
            deviation.lines.iter().for_each(|(line, _)| findings.leak(*line, deviation.field, Some(deviation.field)));
            findings.leaks.count += rest;
        }
    }
    elsewhere::search(job, &rules, reader, &mut findings)?;
    Ok(report(name, walked, findings))
}

fn report(format: Option<String>, walked: pairs::Counts, findings: Findings) -> VerifyReport {
    let (mut first_leaks, mut first_strangers) = (findings.leaks.first, findings.strangers.first);
    first_leaks.sort_unstable();
    first_strangers.sort_unstable();
    VerifyReport {
        format,
        raw_lines: walked.raw,
        clean_lines: walked.clean,
        rejected: walked.rejected,
        missing: walked.missing,
        extra: walked.extra,
        strangers: findings.strangers.count,
        first_strangers,
        leaks: findings.leaks.count,
        first_leaks,
    }
}

type Formats = (Vec<Arc<Format>>, Option<String>, bool);

/// The formats to try, the name of the best, and whether most lines have it.
pub(super) fn detected(format: Option<&Arc<Format>>, raw: &mut Lines) -> Result<Formats, StoreError> {
    if let Some(format) = format {
        return Ok((vec![Arc::clone(format)], Some(format.name().to_owned()), true));
    }
    raw.reach(SAMPLE)?;
    let mut sample = Vec::new();
    for ahead in 0..SAMPLE {
        sample.extend_from_slice(raw.line(ahead));
        sample.push(b'\n');
    }
    let ranked = detect::rank(&sample);
    let best = ranked.first().filter(|best| best.score > 0.0).map(|best| best.format.name().to_owned());
    let believed = ranked.iter().map(|fit| fit.score).sum::<f64>() >= BELIEVED;
    // A table row says nothing about itself without its columns.
    let formats = ranked.into_iter().filter(|fit| !fit.format.has_columns() || fit.score > 0.0).map(|fit| fit.format).collect();
    Ok((formats, best, believed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(dir: &std::path::Path, raw: &str, clean: &str, held: usize) -> VerifyJob {
        let (raw_path, clean_path) = (dir.join("raw"), dir.join("clean"));
        std::fs::write(&raw_path, raw).unwrap();
        std::fs::write(&clean_path, clean).unwrap();
        VerifyJob {
            raw: raw_path,
            clean: clean_path,
            more: Vec::new(),
            format: Format::parse("common").ok(),
            policy: None,
            except: Vec::new(),
            max_line: 1 << 20,
            held,
            progress: Arc::default(),
            seals: Keychain::none(),
        }
    }

    #[test]
    fn the_bound_changes_the_work_and_not_the_findings() {
        let line = |client: u32, path: &str| format!("203.0.113.{client} - - [10/Oct/2023:13:55:36 +0000] \"GET {path} HTTP/1.1\" 200 5\n");
        let raw: String = (0..40).map(|number| line(number + 1, &format!("/shop?id=zebra{number}"))).collect();
        // Each line names the query of another one.
        let clean: String = (0..40).map(|number| line(0, &format!("/shop/zebra{}", 39 - number))).collect();
        let dir = tempfile::tempdir().unwrap();
        let few = job(dir.path(), &raw, &clean, 30);
        let rules = Rules::new(None, &[]);
        let mut walk = Walk::new(&few, &rules, &detected(few.format.as_ref(), &mut Lines::open(&few.raw, 1 << 20, &few.seals).unwrap()).unwrap().0, true);
        walk.through(Lines::open(&few.raw, 1 << 20, &few.seals).unwrap(), Lines::open(&few.clean, 1 << 20, &few.seals).unwrap()).unwrap();
        let (findings, ..) = walk.end();
        assert!(findings.readings >= 2 && findings.suspects.count < 30 + 10, "read again {} times, {} held", findings.readings, findings.suspects.count);
        let lines = |job: &VerifyJob| verify(job).unwrap().first_leaks.iter().map(|leak| leak.line).collect::<Vec<_>>();
        assert_eq!(lines(&few), (1..=40).collect::<Vec<_>>());
        assert_eq!(lines(&few), lines(&job(dir.path(), &raw, &clean, HELD)));
    }
}
