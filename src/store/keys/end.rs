//! How keys end: what is over or named goes for good, the ledger first.

use super::told::Told;
use super::*;

impl KeyStore {
    /// Destroys a period's key for good; in fleet mode also all before it. Returns what was destroyed; a period that had no
    /// key is noted as well and will never have one. Refused while a hold covers what would go.
    pub fn destroy(&self, period: Period, now: Timestamp) -> Result<Vec<Period>, StoreError> {
        if period > Period::of(now) {
            return Err(refused("destroy", self.dir.path(), "that period has not begun", "name one that has: its key is not written with yet"));
        }
        let alone = self.dir.lock()?;
        let told = Told::read(&self.root, self.mode)?;
        let going = match self.mode {
            KeyMode::Local => vec![period],
            KeyMode::Fleet => self.through(period)?,
        };
        if going.iter().any(|period| told.hold_on(*period, now).is_some()) {
            let remedy = "see `logfade hold list`, and release it first: logfade hold release NAME --reason TEXT";
            return Err(refused(HELD, self.dir.path(), "a hold covers records of this key's time", remedy));
        }
        let entries = if going.contains(&period) || told.has(period) { going } else { vec![period] };
        self.end(&alone, &[period], (&told, &self.present(entries, &told)?, now))
    }

    /// Keys whose time is over, each with the hold that keeps it.
    pub fn expired(&self, now: Timestamp, keep: SignedDuration) -> Result<Vec<(Period, Option<String>)>, StoreError> {
        let _alone = self.dir.lock()?;
        let over = self.over(now, keep)?;
        let told = Told::read(&self.root, self.mode)?;
        let mut held = None;
        let hold = |period| {
            let hold = told.hold_on(period, now).map(str::to_owned);
            // A chain that steps over a held day would lose it.
            if self.mode == KeyMode::Fleet && held.is_none() {
                held.clone_from(&hold);
            }
            (period, hold.or_else(|| held.clone()))
        };
        Ok(over.into_iter().map(hold).collect())
    }

    /// Destroys every key whose time is over and that no hold keeps. The caller has made sure that `now` is to be believed.
    pub fn destroy_expired(&self, now: Timestamp, keep: SignedDuration) -> Result<Vec<Period>, StoreError> {
        let alone = self.dir.lock()?;
        let over = self.over(now, keep)?;
        if over.is_empty() {
            return Ok(over);
        }
        let told = Told::read(&self.root, self.mode)?;
        let free = |period: &Period| told.hold_on(*period, now).is_none();
        let (periods, entries): (Vec<Period>, Vec<Period>) = match self.mode {
            KeyMode::Local => {
                let going: Vec<Period> = over.into_iter().filter(free).collect();
                (going.clone(), going)
            }
            KeyMode::Fleet => {
                let going: Vec<Period> = over.into_iter().take_while(free).collect();
                (going.last().copied().into_iter().collect(), going)
            }
        };
        if periods.is_empty() { Ok(periods) } else { self.end(&alone, &periods, (&told, &entries, now)) }
    }

    /// Periods with a key whose time is over.
    fn over(&self, now: Timestamp, keep: SignedDuration) -> Result<Vec<Period>, StoreError> {
        let oldest = Period::oldest_kept(now, keep);
        match self.mode {
            KeyMode::Local => Ok(self.files()?.into_iter().filter(|period| *period < oldest).collect()),
            KeyMode::Fleet => oldest.day().and_then(|day| day.checked_sub(1)).map_or_else(|| Ok(Vec::new()), |day| self.through(Period::from_day(day))),
        }
    }

    /// Of a chain: every period up to this one that it can still make.
    fn through(&self, last: Period) -> Result<Vec<Period>, StoreError> {
        let first = self.state()?.day();
        Ok(last.day().map_or_else(Vec::new, |last| (first..=last).map(Period::from_day).collect()))
    }

    /// Of these periods, those that need an entry: the ledger has none, or the key is here again.
    fn present(&self, periods: Vec<Period>, told: &Told) -> Result<Vec<Period>, StoreError> {
        let held = match self.mode {
            KeyMode::Local => self.files()?,
            KeyMode::Fleet => self.through(periods.last().copied().unwrap_or(Period::from_day(0)))?.into_iter().collect(),
        };
        Ok(periods.into_iter().filter(|period| !told.has(*period) || held.contains(period)).collect())
    }

    /// Notes that it is begun, writes the entries, destroys, notes that it is done.
    fn end(&self, alone: &Lock, periods: &[Period], (told, entries, now): (&Told, &[Period], Timestamp)) -> Result<Vec<Period>, StoreError> {
        Destroyed::note(&self.dir, alone, self.mode, periods, (now, false))?;
        told.note(entries, now)?;
        let mut gone = Vec::new();
        match self.mode {
            KeyMode::Local => {
                for period in periods {
                    if self.dir.destroy(&file_of(*period))? {
                        gone.push(*period);
                    }
                }
            }
            KeyMode::Fleet => {
                for day in periods.iter().filter_map(|period| period.day()) {
                    let mut state = self.state()?;
                    gone.extend((state.day()..=day).map(Period::from_day));
                    if state.day() <= day {
                        state.advance_to(day.saturating_add(1));
                        self.dir.replace(alone, fleet::NAME, &fleet::write(&state))?;
                    }
                }
            }
        }
        Destroyed::note(&self.dir, alone, self.mode, periods, (now, true))?;
        Ok(gone)
    }

    /// Destructions that a crash interrupted.
    pub(super) fn finish_destruction(&self, alone: &Lock) -> Result<(), StoreError> {
        let destroyed = Destroyed::read(&self.dir)?;
        let periods: Vec<Period> = match self.mode {
            KeyMode::Local => destroyed.begun.into_iter().collect(),
            KeyMode::Fleet => destroyed.begun_through.into_iter().collect(),
        };
        let (Some(last), Some(at)) = (periods.last(), destroyed.begun_at) else { return Ok(()) };
        let told = Told::read(&self.root, self.mode)?;
        let mut entries = match self.mode {
            KeyMode::Local => periods.clone(),
            KeyMode::Fleet => self.through(*last)?,
        };
        if entries.is_empty() {
            entries.push(*last);
        }
        entries.retain(|period| !told.has(*period));
        self.end(alone, &periods, (&told, &entries, at)).map(drop)
    }
}
