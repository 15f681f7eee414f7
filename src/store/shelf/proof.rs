//! The proof that a file may go: every form of it stands as the ledger says, and nobody writes it.

use super::held::{Digests, Held};
use super::{Halt, Refusal, Shelf, refused};
use crate::retain::evidence::Evidence;
use crate::retain::ledger::{Keyed, Output, Quiescence, Scrubbed};
use crate::store::files::Files;
use jiff::Timestamp;
use std::path::Path;

/// Why a file shall go.
#[derive(Clone, Debug)]
pub(in crate::store) struct Claim<'a> {
    /// Its class.
    pub(in crate::store) class: &'a str,
    /// Which form it is.
    pub(in crate::store) form: &'a str,
    /// The forms that have to be proven, and where they have their files; none of a form that can be made no more.
    pub(in crate::store) required: &'a [(&'a str, &'a Path)],
    /// When it was due.
    pub(in crate::store) deadline: Option<Timestamp>,
    /// A person's reason, which takes the place of forms and of a readable end.
    pub(in crate::store) reason: Option<&'a str>,
}

/// A file with its proof. Made here alone, cannot be copied, and ends with the deletion.
pub(in crate::store) struct Sound<F: Files> {
    pub(in crate::store) held: Held<F>,
    pub(in crate::store) digests: Digests,
    pub(in crate::store) class: String,
    pub(in crate::store) form: String,
    pub(in crate::store) deadline: Option<Timestamp>,
    pub(in crate::store) quiescence: Quiescence,
    pub(in crate::store) reason: Option<String>,
    /// When that was.
    pub(in crate::store) wall: Timestamp,
    /// Only this module can make one.
    _made_here: (),
}

impl<F: Files> Shelf<F> {
    /// Proves that a file may go, as of now.
    pub(in crate::store) fn prove(&self, held: Held<F>, claim: &Claim<'_>, known: &Evidence, wall: Timestamp) -> Result<Sound<F>, Halt> {
        let quiescence = self.glance(&held, wall)?;
        let digests = if claim.reason.is_some() || self.is_dead(&held)? {
            let bytes = self.visit_bytes(&held)?;
            Digests { bytes, content: bytes }
        } else {
            let mut lines = 0_u64;
            let digests = self.visit(&held, crate::store::source::BLOCK, &mut |_| {
                lines += 1;
                Ok(())
            })?;
            if lines > 0 {
                let makings = known.makings(digests.bytes, digests.content);
                for required in claim.required {
                    // A form may be in several files, each of some of the records: all of them have to stand.
                    let stands = |making: &&Scrubbed| {
                        let mut files = making.files_of(claim.class, *required).peekable();
                        files.peek().is_some() && files.all(|output| self.stands(output, known))
                    };
                    if !makings.iter().any(stands) {
                        return Err(refused(Refusal::Unproven, &held.path()));
                    }
                }
            }
            digests
        };
        Ok(Sound {
            held,
            digests,
            class: claim.class.to_owned(),
            form: claim.form.to_owned(),
            deadline: claim.deadline,
            quiescence,
            reason: claim.reason.map(str::to_owned),
            wall,
            _made_here: (),
        })
    }

    /// Whether a form is there with the bytes that the ledger knows, or went by this program's own hand.
    pub(in crate::store) fn stands(&self, output: &Output, known: &Evidence) -> bool {
        let gone = known.deletion(output.digest).is_some() || known.splits_of(output.digest, output.digest).next().is_some();
        gone || self.is_there(&output.path, output.bytes, output.digest)
    }

    /// Whether a file stands with these bytes.
    pub(in crate::store) fn is_there(&self, path: &Path, size: u64, digest: Keyed) -> bool {
        self.hold_path(path).is_ok_and(|held| held.look.size == size && self.visit_bytes(&held).is_ok_and(|found| found == digest))
    }
}
