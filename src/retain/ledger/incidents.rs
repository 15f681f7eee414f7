//! Incidents as they stand: what was opened, and what closed it.

use super::chain::Line;
use super::{Entry, Fault, Incident};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its number: the line that opened it.
    pub number: u64,
    /// What it is.
    pub what: Fault,
    /// When it was opened.
    pub opened: Timestamp,
    /// The class that it concerns.
    pub class: Option<String>,
    /// The file that it concerns.
    pub path: Option<PathBuf>,
    /// What was said about it.
    pub note: Option<String>,
    /// When and how it was settled; none while it is open.
    pub closed: Option<(Timestamp, String)>,
}

/// Every incident by its number.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    cases: BTreeMap<u64, Case>,
}

impl Incidents {
    /// Takes the next line of the ledger into account.
    pub fn take(&mut self, line: &Line) {
        match &line.entry {
            Entry::Incident(Incident::Opened { what, class, path, note }) => {
                let case = Case { number: line.seq, what: *what, opened: line.at, class: class.clone(), path: path.clone(), note: note.clone(), closed: None };
                self.cases.insert(line.seq, case);
            }
            Entry::Incident(Incident::Closed { incident, reason }) => {
                if let Some(case) = self.cases.get_mut(incident) {
                    case.closed = Some((line.at, reason.clone()));
                }
            }
            Entry::Scrubbed(_)
            | Entry::Plan(_)
            | Entry::Deleting(_)
            | Entry::Deleted(_)
            | Entry::Split(_)
            | Entry::Hold(_)
            | Entry::Release(_)
            | Entry::Key(_)
            | Entry::Subject(_) => {}
        }
    }

    /// In the order in which they were opened.
    pub fn iter(&self) -> impl Iterator<Item = &Case> {
        self.cases.values()
    }

    /// The incident of that number.
    pub fn case(&self, number: u64) -> Option<&Case> {
        self.cases.get(&number)
    }

    /// The open incident of this kind about this class and file, so that it is not opened twice.
    pub fn open_about(&self, what: Fault, class: Option<&str>, path: Option<&std::path::Path>) -> Option<&Case> {
        self.iter().find(|case| case.closed.is_none() && case.what == what && case.class.as_deref() == class && case.path.as_deref() == path)
    }
}

impl FromIterator<Line> for Incidents {
    fn from_iter<I: IntoIterator<Item = Line>>(lines: I) -> Self {
        let mut incidents = Self::default();
        for line in lines {
            incidents.take(&line);
        }
        incidents
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retain::ledger::chain::Chain;

    #[test]
    fn what_is_open_is_known() {
        let opened = |what| Entry::Incident(Incident::Opened { what, class: Some("site".into()), path: None, note: None });
        let closed = Entry::Incident(Incident::Closed { incident: 1, reason: "done".into() });
        let mut chain = Chain::default();
        let lines = [opened(Fault::Overdue), opened(Fault::Clock), closed].map(|entry| {
            let line = chain.next(Timestamp::UNIX_EPOCH, entry);
            chain.link(&line.encode()).unwrap()
        });
        let incidents: Incidents = lines.into_iter().collect();
        assert!(incidents.open_about(Fault::Overdue, Some("site"), None).is_none());
        assert_eq!(incidents.open_about(Fault::Clock, Some("site"), None).map(|case| case.number), Some(2));
        assert!(incidents.open_about(Fault::Clock, None, None).is_none());
        assert_eq!(incidents.case(1).and_then(|case| case.closed.clone()).map(|(_, how)| how), Some("done".into()));
    }
}
