//! Reduces a user agent to its family: `Firefox/128 (Linux; desktop)`.

mod class;
#[cfg(test)]
mod generate;
mod lists;
#[cfg(test)]
mod literals;
mod name;
mod patterns;
mod words;

use patterns::{Hit, Patterns, Scratch};

/// Longer numbers are builds or serials, not major versions.
const MAJOR_DIGITS_MAX: usize = 4;

/// Families whose number after the name is the model of a device.
const MODEL_FAMILIES: [&[u8]; 3] = [b"Apple Watch App", b"BlackBerry", b"Nokia"];

/// Reduces user agents; one for each thread, of bounded size.
#[derive(Default)]
pub(crate) struct Agents {
    scratch: Scratch,
}

impl Agents {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Appends the family of `agent`, raw bytes without escapes, to `out`.
    ///
    /// That is product and major version, operating system and class: nothing else of the agent. `Other` is one
    /// that no pattern knows, `Other (Other; bot)` one of those that looks like a program. Empty and `-` stay.
    pub(crate) fn family(&mut self, agent: &[u8], out: &mut Vec<u8>) {
        if matches!(agent, b"" | b"-") {
            out.extend_from_slice(agent);
            return;
        }
        reduce(agent, &mut self.scratch, out);
    }
}

fn reduce(agent: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) {
    let agent = agent.get(..patterns::AGENT_BYTES_MAX).unwrap_or(agent);
    let patterns = Patterns::shared();
    patterns.prepare(agent, scratch);
    let from = out.len();
    let product = patterns.product(agent, scratch).filter(|hit| write_name(hit, out));
    if product.is_none() {
        out.extend_from_slice(b"Other");
    }
    if class::looks_like_bot(agent, out.get(from..).unwrap_or_default()) {
        out.truncate(from);
        out.extend_from_slice(b"Other (Other; bot)");
        return;
    }
    let Some(product) = product else { return };
    let family_end = out.len();
    if let Some(major) = major(&product, out.get(from..).unwrap_or_default()) {
        out.push(b'/');
        out.extend_from_slice(major);
    }
    out.extend_from_slice(b" (");
    let system_start = out.len();
    if !patterns.system(agent, scratch).is_some_and(|hit| write_name(&hit, out)) {
        out.extend_from_slice(b"Other");
    }
    let family = out.get(from..family_end).unwrap_or_default();
    let class = class::class(family, out.get(system_start..).unwrap_or_default());
    out.extend_from_slice(b"; ");
    out.extend_from_slice(class.as_bytes());
    out.push(b')');
}

fn major<'a>(product: &Hit<'a>, family: &[u8]) -> Option<&'a [u8]> {
    let major = product.major.split(|&byte| byte == b'.').next()?;
    let fits = (1..=MAJOR_DIGITS_MAX).contains(&major.len());
    (fits && major.iter().all(u8::is_ascii_digit) && !MODEL_FAMILIES.contains(&family)).then_some(major)
}

/// Whether there is a name to write: what a pattern captured may not be one.
fn write_name(hit: &Hit<'_>, out: &mut Vec<u8>) -> bool {
    let (before, after) = hit.name;
    let captured = match after {
        None => Some(&[][..]),
        Some(_) if hit.open => name::name(hit.captured),
        Some(_) => Some(hit.captured).filter(|text| !text.is_empty()),
    };
    let Some(captured) = captured else {
        return false;
    };
    for part in [before.as_bytes(), captured, after.unwrap_or_default().as_bytes()] {
        out.extend_from_slice(part);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, &str); 24] = [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox/128 (Linux; desktop)"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", "Chrome/126 (Windows; desktop)"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.87", "Edge/126 (Windows; desktop)"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15", "Safari/17 (Mac OS X; desktop)"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            "Mobile Safari/17 (iOS; mobile)",
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/125.0.6422.80 Mobile/15E148 Safari/604.1",
            "Chrome Mobile iOS/125 (iOS; mobile)",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8 Pro Build/UQ1A.240205.004) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.6422.113 Mobile Safari/537.36",
            "Chrome Mobile/125 (Android; mobile)",
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-S911B Build/TP1A.220624.014; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/124.0.6367.179 Mobile Safari/537.36",
            "Chrome Mobile WebView/124 (Android; mobile)",
        ),
        (
            "Mozilla/5.0 (Linux; Android 12; SAMSUNG SM-A525F) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
            "Samsung Internet/25 (Android; mobile)",
        ),
        ("Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0", "Firefox Mobile/127 (Android; mobile)"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", "Chrome/126 (Chrome OS; desktop)"),
        ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", "IE/11 (Windows; desktop)"),
        ("Opera/9.80 (Windows NT 6.1; U; en) Presto/2.10.289 Version/12.02", "Opera/12 (Windows; desktop)"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot/2 (Other; bot)"),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "bingbot/2 (Other; bot)"),
        ("curl/8.5.0", "curl/8 (Other; bot)"),
        ("curl", "curl (Other; bot)"),
        ("Wget/1.21.4 (linux-gnu)", "Wget/1 (Linux; bot)"),
        ("python-requests/2.31.0", "Python Requests/2 (Other; bot)"),
        ("Go-http-client/2.0", "Go-http-client/2 (Other; bot)"),
        ("Roku/DVP-12.5 (12.5.0.4178)", "Roku/12 (Roku; tv)"),
        ("BlackBerry9000/4.6.0.167 Profile/MIDP-2.0", "BlackBerry (BlackBerry OS; mobile)"),
        ("Podcasts%20Plus/1201 CFNetwork/1408.0.4 Darwin/22.5.0", "Podcasts%20Plus/1201 (iOS; mobile)"),
        ("Mozilla/5.0 (X11; Linux x86_64) LinkChecker/9 Firefox/100.0", "Other (Other; bot)"),
    ];

    fn family(agents: &mut Agents, agent: &[u8]) -> String {
        let mut out = b"before ".to_vec();
        agents.family(agent, &mut out);
        String::from_utf8(out).unwrap().strip_prefix("before ").unwrap().to_owned()
    }

    fn fresh(agent: &[u8]) -> String {
        family(&mut Agents::new(), agent)
    }

    #[test]
    fn known_agents_are_families() {
        let mut agents = Agents::new();
        for _ in 0..2 {
            for (agent, expected) in KNOWN {
                assert_eq!(family(&mut agents, agent.as_bytes()), expected, "{agent}");
            }
        }
    }

    #[test]
    fn nothing_stays_nothing() {
        assert_eq!(fresh(b""), "");
        assert_eq!(fresh(b"-"), "-");
    }

    #[test]
    fn unknown_agents_are_other() {
        for agent in ["SomethingNobodyKnows", "x", "--", "Mozilla/5.0", "\u{fffd}", " "] {
            assert_eq!(fresh(agent.as_bytes()), "Other", "{agent}");
        }
        assert_eq!(fresh(b"tidings (+https://example.org/about)"), "Other (Other; bot)");
    }

    #[test]
    fn devices_and_builds_make_no_difference() {
        let with = |os: &str, version: &str| {
            let head = format!("Mozilla/5.0 (Linux; {os}) AppleWebKit/537.36 (KHTML, like Gecko)");
            fresh(format!("{head} Chrome/{version} Mobile Safari/537.36").as_bytes())
        };
        let one = with("Android 10; K", "126.0.0.0");
        assert_eq!(one, with("Android 14; SM-X910 Build/UP1A.231005.007", "126.0.6478.122"));
        assert_eq!(one, with("Android 9; moto g(7) power Build/PPOS29.114", "126.0.1.2"));
    }

    #[test]
    fn captured_names_carry_no_identifiers() {
        for agent in [
            "Mozilla/5.0 (Linux; Android 9) SM-G991B FooBot/1.2",
            "anna-490154203237518-bot/1.0",
            "C02XK0AAJG5H 7f3a9c crawler/2",
            "203.0.113.9/7 CFNetwork/1408.0.4 Darwin/22.5.0",
            "anna@example.org/7 CFNetwork/1408.0.4 Darwin/22.5.0",
        ] {
            let reduced = fresh(agent.as_bytes());
            assert!(matches!(reduced.as_str(), "Other" | "Other (Other; bot)"), "{agent}: {reduced}");
        }
        let build = fresh(b"Stitcher/4901542032 CFNetwork/1408.0.4 Darwin/22.5.0");
        assert_eq!(build, "Stitcher (iOS; mobile)");
        assert_eq!(fresh(b"Player FM BMID/E6804C1C77"), "Player FM (Other; other)");
    }

    #[test]
    fn only_the_first_kibibyte_counts() {
        let behind = |spaces: usize| " ".repeat(spaces) + "curl/8.5.0";
        assert_eq!(fresh(behind(1000).as_bytes()), "curl/8 (Other; bot)");
        assert_eq!(fresh(behind(1024).as_bytes()), "Other");
    }

    #[test]
    fn bytes_need_not_be_text() {
        assert_eq!(fresh(b"\xff\xfe\x00curl/8.5.0\x80"), "curl/8 (Other; bot)");
        assert_eq!(fresh(b"\xff\xfe\xfd"), "Other");
        assert_eq!(fresh(b"\xc3\xa9\xff Bot/1.0"), "Bot/1 (Other; bot)");
    }

    /// Cut, spliced and flipped agents: whatever comes out is of the shape that is promised, cached or not.
    #[test]
    fn mangled_agents_keep_the_shape() {
        let mut agents = Agents::new();
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..3000 {
            let (one, other) = (KNOWN[next(KNOWN.len())].0, KNOWN[next(KNOWN.len())].0);
            let (head, tail) = (next(one.len()), next(other.len()));
            let mut agent = [&one.as_bytes()[..head], &other.as_bytes()[tail..]].concat();
            if !agent.is_empty() && next(2) == 0 {
                let at = next(agent.len());
                agent[at] ^= 1 << next(8);
            }
            if matches!(agent.as_slice(), b"" | b"-") {
                continue;
            }
            let reduced = family(&mut agents, &agent);
            assert_eq!(reduced, family(&mut agents, &agent));
            assert!(reduced == "Other" || reduced.ends_with(')') && reduced.contains("; "), "{reduced}");
            assert!(reduced.len() < 120 && !reduced.contains(['"', '\\', '\n']), "{reduced}");
        }
    }

    #[test]
    fn a_flood_of_agents_changes_no_result() {
        let mut agents = Agents::new();
        for number in 0..20_000 {
            let agent = format!("curl/{} {number} {}", number % 90, "x".repeat(100));
            assert_eq!(family(&mut agents, agent.as_bytes()), format!("curl/{} (Other; bot)", number % 90));
        }
        assert_eq!(family(&mut agents, b"curl/8.5.0"), "curl/8 (Other; bot)");
    }
}
