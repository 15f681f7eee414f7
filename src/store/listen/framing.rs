//! Messages out of a byte stream: octet counting and line feeds (RFC 6587), however the stream is cut. Pure, and bounded in memory.

use super::Heard;

/// Digits of a length: more are no length, but the beginning of a line.
const DIGITS: usize = 9;

/// What an embedded line feed becomes, as rsyslog writes it: one message is one line.
const EMBEDDED: &[u8] = b"#012";

/// Cuts a stream into messages.
///
/// A frame is counted if it begins with a length, a blank and `<`, as every syslog message does (RFC 6587 section 3.4.1);
/// else it ends with a line feed (3.4.2). Senders that mix both are understood.
#[derive(Debug)]
pub(super) struct Framing {
    max_line: usize,
    /// Whether a length in front of a message is understood; a FIFO carries bare lines.
    counting: bool,
    state: State,
    /// The beginning of a message whose end has not come.
    held: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In front of a frame, or inside what may be its length.
    Head,
    /// In a line.
    Line,
    /// In a line that is too long.
    SkipLine,
    /// In a counted message of which so many bytes are to come.
    Counted(usize),
    /// The same, too long.
    SkipCounted(usize),
}

impl Framing {
    pub(super) const fn syslog(max_line: usize) -> Self {
        Self { max_line, counting: true, state: State::Head, held: Vec::new() }
    }

    pub(super) const fn lines(max_line: usize) -> Self {
        Self { max_line, counting: false, state: State::Line, held: Vec::new() }
    }

    /// Bytes that wait for the rest of their message.
    pub(super) const fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes the next bytes of the stream.
    pub(super) fn feed(&mut self, mut bytes: &[u8], heard: &mut Heard) {
        while let Some((&first, after)) = bytes.split_first() {
            match self.state {
                State::Head => {
                    if self.head(first) {
                        bytes = after;
                    }
                    if let State::Counted(length) = self.state
                        && length > self.max_line
                    {
                        self.too_long(State::SkipCounted(length), heard);
                    }
                }
                State::Line | State::SkipLine => {
                    let end = memchr::memchr(b'\n', bytes);
                    let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                    self.hold(line, heard);
                    if end.is_some() {
                        self.end_line(heard);
                    }
                    bytes = rest.get(1..).unwrap_or_default();
                }
                State::Counted(left) => {
                    let (part, rest) = bytes.split_at(left.min(bytes.len()));
                    self.held.extend_from_slice(part);
                    self.state = State::Counted(left - part.len());
                    if left == part.len() {
                        message(&self.held, heard);
                        self.restart();
                    }
                    bytes = rest;
                }
                State::SkipCounted(left) => {
                    let skipped = left.min(bytes.len());
                    self.state = State::SkipCounted(left - skipped);
                    if left == skipped {
                        self.restart();
                    }
                    bytes = bytes.get(skipped..).unwrap_or_default();
                }
            }
        }
    }

    /// The stream has ended: a line without its end is a line, a counted message without its end is lost.
    pub(super) fn end(&mut self, heard: &mut Heard) {
        match self.state {
            State::Head | State::Line if !self.held.is_empty() => message(&self.held, heard),
            State::Head | State::Line => {}
            // It was counted when it became too long.
            State::SkipLine | State::SkipCounted(_) => {}
            State::Counted(_) => heard.lost += 1,
        }
        self.restart();
    }

    /// Gives up what is held, for lack of room.
    pub(super) fn abandon(&mut self, heard: &mut Heard) {
        match self.state {
            State::Head | State::Line => {
                self.too_long(State::SkipLine, heard);
            }
            State::Counted(left) => self.too_long(State::SkipCounted(left), heard),
            State::SkipLine | State::SkipCounted(_) => {}
        }
    }

    /// The stream is left in the middle: what is held cannot be ended any more.
    pub(super) fn leave(&mut self, heard: &mut Heard) {
        heard.lost += u64::from(!self.held.is_empty());
        self.restart();
    }

    /// Looks at a byte in front of a message; false if it is the first of a counted message, or belongs to a line.
    fn head(&mut self, byte: u8) -> bool {
        let digits = self.held.iter().take_while(|held| held.is_ascii_digit()).count();
        let is_length = digits == self.held.len();
        match byte {
            b'1'..=b'9' if self.held.is_empty() => self.held.push(byte),
            b'0'..=b'9' if digits > 0 && is_length && digits < DIGITS => self.held.push(byte),
            b' ' if digits > 0 && is_length => self.held.push(byte),
            b'<' if digits > 0 && !is_length => {
                let length = self.held.iter().take(digits).fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
                self.held.clear();
                self.state = State::Counted(length);
                return false;
            }
            _ => {
                self.state = State::Line;
                return false;
            }
        }
        true
    }

    fn hold(&mut self, line: &[u8], heard: &mut Heard) {
        if self.state == State::SkipLine {
            return;
        }
        if self.held.len() + line.len() > self.max_line {
            self.too_long(State::SkipLine, heard);
        } else {
            self.held.extend_from_slice(line);
        }
    }

    fn end_line(&mut self, heard: &mut Heard) {
        // Some senders put a line feed behind a counted message; in a FIFO, a blank line is a line.
        if self.state == State::Line && !(self.counting && self.held.is_empty()) {
            message(&self.held, heard);
        }
        self.restart();
    }

    fn too_long(&mut self, state: State, heard: &mut Heard) {
        heard.too_long += 1;
        self.held = Vec::new();
        self.state = state;
    }

    fn restart(&mut self) {
        self.held.clear();
        self.state = if self.counting { State::Head } else { State::Line };
    }
}

/// Adds a message as one line. An end of its own, and the NUL that the C library's `syslog` puts behind it, go.
pub(super) fn message(bytes: &[u8], heard: &mut Heard) {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    for (at, part) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if at > 0 {
            heard.lines.extend_from_slice(EMBEDDED);
        }
        heard.lines.extend_from_slice(part);
    }
    heard.lines.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(framing: &mut Framing, parts: &[&[u8]]) -> (String, u64, u64) {
        let mut heard = Heard::default();
        for part in parts {
            framing.feed(part, &mut heard);
        }
        framing.end(&mut heard);
        (String::from_utf8_lossy(&heard.lines).into_owned(), heard.too_long, heard.lost)
    }

    fn syslog(text: &str) -> (String, u64, u64) {
        all(&mut Framing::syslog(20), &[text.as_bytes()])
    }

    #[test]
    fn both_framings_are_understood_and_mixed() {
        for (stream, lines, too_long, lost) in [
            ("<13>a\n<13>b\n", "<13>a\n<13>b\n", 0, 0),
            ("<13>a\n<13>b", "<13>a\n<13>b\n", 0, 0),
            ("5 <13>a5 <13>b", "<13>a\n<13>b\n", 0, 0),
            ("6 <13>a\n6 <13>b\n", "<13>a\n<13>b\n", 0, 0),
            ("5 <13>a\n5 <13>b\n", "<13>a\n<13>b\n", 0, 0),
            ("5 <13>a<13>b\n5 <13>c", "<13>a\n<13>b\n<13>c\n", 0, 0),
            ("7 <13>a\nb<13>c\n", "<13>a#012b\n<13>c\n", 0, 0),
            ("192.0.2.1 - x\n", "192.0.2.1 - x\n", 0, 0),
            ("12 monkeys\n", "12 monkeys\n", 0, 0),
            ("12", "12\n", 0, 0),
            ("12 ", "12 \n", 0, 0),
            ("12\n5 <13>a", "12\n<13>a\n", 0, 0),
            ("0 <13>\n", "0 <13>\n", 0, 0),
            ("\n\n", "", 0, 0),
            ("9 <13>a", "", 0, 1),
            ("30 <13>aaaaaaaaaaaaaaaaaaaaaaaaaa<13>b\n", "<13>b\n", 1, 0),
            ("999999999 <13>a\n<13>b\n", "", 1, 0),
            ("9999999999 <13>a\n<13>b\n", "9999999999 <13>a\n<13>b\n", 0, 0),
            ("aaaaaaaaaaaaaaaaaaaaa\nb\n", "b\n", 1, 0),
            ("aaaaaaaaaaaaaaaaaaaaa", "", 1, 0),
            ("aaaaaaaaaaaaaaaaaaaa\n", "aaaaaaaaaaaaaaaaaaaa\n", 0, 0),
            ("6 <13>a\0", "<13>a\n", 0, 0),
        ] {
            assert_eq!(syslog(stream), (lines.to_owned(), too_long, lost), "{stream:?}");
        }
    }

    #[test]
    fn lines_of_a_fifo_are_never_counted() {
        let fifo = all(&mut Framing::lines(20), &[b"5 <13>a5\n\n<b"]);
        assert_eq!(fifo, ("5 <13>a5\n\n<b\n".to_owned(), 0, 0));
    }

    #[test]
    fn what_is_given_up_is_counted_once() {
        let mut framing = Framing::syslog(20);
        let mut heard = Heard::default();
        framing.feed(b"9 <13>", &mut heard);
        framing.abandon(&mut heard);
        framing.abandon(&mut heard);
        framing.feed(b"aaaaa<13>b\n", &mut heard);
        assert_eq!((heard.lines.as_slice(), heard.too_long), (b"<13>b\n".as_slice(), 1));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(
            stream in proptest::collection::vec(proptest::sample::select(b"12 9<>0a\n\0".to_vec()), 0..200),
            cuts in proptest::collection::vec(0_usize..200, 0..20),
            counting in any::<bool>(),
        ) {
            let fresh = || if counting { Framing::syslog(12) } else { Framing::lines(12) };
            let whole = all(&mut fresh(), &[&stream]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).chain([0, stream.len()]).collect();
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            let mut framing = fresh();
            let mut heard = Heard::default();
            for part in &parts {
                framing.feed(part, &mut heard);
                prop_assert!(framing.held() <= 12, "no more is held than a line may have");
            }
            framing.end(&mut heard);
            prop_assert_eq!((String::from_utf8_lossy(&heard.lines).into_owned(), heard.too_long, heard.lost), whole);
        }

        #[test]
        fn counted_messages_arrive_as_they_are(texts in proptest::collection::vec("<13>[ -~]{0,30}", 0..20)) {
            let stream: String = texts.iter().map(|text| format!("{} {text}", text.len())).collect();
            let (lines, too_long, lost) = all(&mut Framing::syslog(100), &[stream.as_bytes()]);
            let expected: String = texts.iter().map(|text| format!("{text}\n")).collect();
            prop_assert_eq!((lines, too_long, lost), (expected, 0, 0));
        }
    }
}
