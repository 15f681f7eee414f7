//! The actions on URL paths: `detect` finds what identifies a person or session, `template` leaves only the shape.

mod numbers;
mod random;
mod shape;

use std::ops::Range;

use super::residual::{Layers, Rules, scan_surface};

/// What every variable segment becomes under `template`.
const PLACEHOLDER: &[u8] = b"{id}";

/// Looks through paths; keeps the buffers for that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    layers: Layers,
    hits: Vec<Range<usize>>,
    template: Vec<u8>,
}

/// How often a template is templated again before the path is given up whole.
const MAX_ROUNDS: usize = 8;

impl Tokens {
    /// Appends the ranges of `path` that must be replaced by `-`: ascending, neither overlapping nor touching.
    ///
    /// Finds addresses and e-mails as [`Residual`](super::residual::Residual) does, JWTs, UUIDs, hexadecimal and other
    /// random tokens, the values of session parameters, card and phone numbers. Plain numbers stay. The path with its
    /// ranges replaced has no further ranges.
    #[inline]
    pub(crate) fn detect(&mut self, path: &[u8], rules: &Rules<'_>, hits: &mut Vec<Range<usize>>) {
        self.layers.find(path, hits, |text, found| {
            let escaped = scan_surface(text, rules, found);
            shape::scan(text, found);
            escaped
        });
    }

    /// Appends the path with `{id}` for each segment that is a number, holds what `detect` finds, or is long or mixed.
    ///
    /// Extensions of files stay (`/img/123.png` becomes `/img/{id}.png`), and so do the names of matrix parameters. The
    /// template of a template is itself.
    pub(crate) fn template(&mut self, path: &[u8], rules: &Rules<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        self.template_once(path, rules, out);
        // Quotes, brackets and the like reach over several segments, and what they enclose may have become shorter.
        if !path.iter().any(|b| matches!(b, b'"' | b'@' | b'[' | b'(' | b'=' | b'%' | b'\\' | b'+' | b':' | b' ')) {
            return;
        }
        let mut template = std::mem::take(&mut self.template);
        let stable = (0..MAX_ROUNDS).any(|_| {
            template.clear();
            template.extend(out.drain(start..));
            self.template_once(&template, rules, out);
            out.get(start..) == Some(&template)
        });
        self.template = template;
        if !stable {
            out.truncate(start);
            out.extend_from_slice(b"/{id}");
        }
    }

    fn template_once(&mut self, path: &[u8], rules: &Rules<'_>, out: &mut Vec<u8>) {
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        self.detect(path, rules, &mut hits);
        let mut start = 0;
        for (index, segment) in path.split(|&b| b == b'/').enumerate() {
            if index > 0 {
                out.push(b'/');
            }
            let mut part_start = start;
            for (index, part) in segment.split(|&b| b == b';').enumerate() {
                let end = part_start + part.len();
                if index == 0 {
                    self.segment(part, part_start, &hits, out);
                } else {
                    out.push(b';');
                    self.parameter(part, part_start, &hits, out);
                }
                part_start = end + 1;
            }
            start += segment.len() + 1;
        }
        self.hits = hits;
    }

    fn segment(&mut self, segment: &[u8], start: usize, hits: &[Range<usize>], out: &mut Vec<u8>) {
        let mut stem = segment.len() - extension(segment);
        if is_hit(hits, start + stem..start + segment.len()) {
            stem = segment.len();
        }
        let (stem, extension) = segment.split_at_checked(stem).unwrap_or((segment, b""));
        if is_hit(hits, start..start + stem.len()) || is_variable(self.layers.plain(stem), extension.is_empty()) {
            out.extend_from_slice(PLACEHOLDER);
            out.extend_from_slice(extension);
        } else {
            out.extend_from_slice(segment);
        }
    }

    fn parameter(&mut self, parameter: &[u8], start: usize, hits: &[Range<usize>], out: &mut Vec<u8>) {
        let name = parameter.iter().position(|&b| b == b'=').map_or(0, |at| at + 1);
        let (name, value) = parameter.split_at_checked(name).unwrap_or((b"", parameter));
        let variable = |layers: &mut Layers, text: &[u8], start: usize| is_hit(hits, start..start + text.len()) || is_variable(layers.plain(text), true);
        if variable(&mut self.layers, name.strip_suffix(b"=").unwrap_or(name), start) {
            return out.extend_from_slice(PLACEHOLDER);
        }
        out.extend_from_slice(name);
        let value_start = start + name.len();
        out.extend_from_slice(if variable(&mut self.layers, value, value_start) { PLACEHOLDER } else { value });
    }
}

fn is_hit(hits: &[Range<usize>], range: Range<usize>) -> bool {
    let after = hits.partition_point(|hit| hit.end <= range.start);
    hits.get(after).is_some_and(|hit| hit.start < range.end)
}

/// Suffixes of files that the server sends; any other suffix may be part of a name.
const EXTENSIONS: &str = "7z aac apk asp aspx atom avi avif bin bmp bz2 cgi css csv deb dmg do doc docx eot epub exe flac \
    gif gz htm html ico ics iso jar jpeg jpg js json jsp less m3u8 m4a m4s map md mjs mkv mov mp3 mp4 mpd mpg ogg otf pdf \
    php png ppt pptx rss scss shtml svg swf tar tgz tif tiff ts ttf txt wasm wav webm webp woff woff2 xhtml xls xlsx xml \
    xz yaml yml zip";

/// The suffixes as numbers, which compare at once.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time, where a panic is a failed build")]
static KNOWN: [u64; 82] = {
    let bytes = EXTENSIONS.as_bytes();
    let mut known = [0; 82];
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        if bytes[at] != b' ' {
            known[count] = known[count] << 8 | bytes[at] as u64;
        } else if bytes[at - 1] != b' ' {
            count += 1;
        }
        at += 1;
    }
    known
};

/// The length of the extension with its dot; 0 without one or without anything before it.
fn extension(segment: &[u8]) -> usize {
    let Some(dot) = segment.iter().rposition(|&b| b == b'.').filter(|&dot| dot > 0) else { return 0 };
    let suffix = segment.get(dot + 1..).unwrap_or_default();
    let number = suffix.iter().fold(0, |number, b| number << 8 | u64::from(b.to_ascii_lowercase()));
    if (1..=8).contains(&suffix.len()) && KNOWN.contains(&number) { segment.len() - dot } else { 0 }
}

/// Segments from this length on are titles, and as good as unique.
const LONG: usize = 48;

/// Words from this length on are none.
const LONG_WORD: usize = 24;

/// Whether an unescaped segment differs from visitor to visitor: numbers, names with numbers, long ones, `~user`.
fn is_variable(text: &[u8], whole: bool) -> bool {
    if text == PLACEHOLDER {
        return false;
    }
    let (mut digits, mut letters, mut word, mut longest) = (0, 0, 0, 0);
    for &byte in text {
        let (digit, letter) = (byte.is_ascii_digit(), byte.is_ascii_alphabetic());
        digits += usize::from(digit);
        letters += usize::from(letter | !byte.is_ascii());
        word = if digit | letter { word + 1 } else { 0 };
        longest = longest.max(word);
    }
    let number = |b: &u8| b.is_ascii_digit() || *b == b'.';
    let version = matches!(text, [b'v' | b'V', rest @ ..] if rest.len() <= 3 && rest.iter().all(number));
    let numbered = digits >= 3 || digits > 0 && (letters == 0 || whole && text.last().is_some_and(u8::is_ascii_digit));
    let user = matches!(text.first(), Some(b'~' | b'@'));
    numbered && !version || text.len() >= LONG || longest >= LONG_WORD || user
}

#[cfg(test)]
mod tests {
    use super::super::address::Nets;
    use super::*;

    fn rules(except: &Nets) -> Rules<'_> {
        Rules { addresses: true, emails: true, except, versions: false }
    }

    fn detected_bytes(path: &[u8]) -> Vec<u8> {
        let mut hits = vec![];
        Tokens::default().detect(path, &rules(&Nets::default()), &mut hits);
        let (mut out, mut at) = (vec![], 0);
        for hit in &hits {
            assert!(hit.start < hit.end && hit.end <= path.len(), "{hits:?}");
            assert!(hit.start > at || at == 0, "{hits:?}");
            out.extend_from_slice(&path[at..hit.start]);
            out.push(b'-');
            at = hit.end;
        }
        out.extend_from_slice(&path[at..]);
        out
    }

    fn detected(path: &str) -> String {
        String::from_utf8(detected_bytes(path.as_bytes())).unwrap()
    }

    fn template_bytes(path: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        Tokens::default().template(path, &rules(&Nets::default()), &mut out);
        out
    }

    fn template(path: &str) -> String {
        String::from_utf8(template_bytes(path.as_bytes())).unwrap()
    }

    #[track_caller]
    fn table(action: impl Fn(&str) -> String, cases: &[(&str, &str)]) {
        for (path, expected) in cases {
            assert_eq!(action(path), *expected, "{path}");
            assert_eq!(action(expected), *expected, "again");
        }
    }

    #[test]
    fn tokens() {
        table(
            detected,
            &[
                ("/reset/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "/reset/-"),
                ("/o/123e4567-e89b-12d3-a456-426614174000/x", "/o/-/x"),
                ("/o/123E4567E89B12D3A456426614174000", "/o/-"),
                ("/o/id123e4567-e89b-12d3-a456-426614174000.json", "/o/id-.json"),
                ("/o/%7B123e4567-e89b-12d3-a456-426614174000%7D", "/o/%7B-%7D"),
                ("/o/12345678-1234-1234-1234-123456789012", "/o/-"),
                ("/git/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/git/-"),
                ("/u/507f1f77bcf86cd799439011", "/u/-"),
                ("/u/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/u/-"),
                ("/verify/Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA==", "/verify/-=="),
                ("/verify/dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk/", "/verify/-/"),
                ("/verify/dBjftJeZ4CVPmB92%4b27uhbUJU1p1r", "/verify/-"),
                ("/key/ABCDE-12345-FGH1J-K2M3N-4P5Q6-R7S8T", "/key/-"),
                ("/cart;jsessionid=1A530637289A03B07199A44E8D531427?x", "/cart;jsessionid=-?x"),
                ("/cart;JSESSIONID=abc.node1;v=1", "/cart;JSESSIONID=-;v=1"),
                ("/cart%3Bsid%3Dabc/x", "/cart%3Bsid%3D-/x"),
                ("/token=abc/x", "/token=-/x"),
                ("/(S(lit3py55t21z5v55vlm25s55))/page.aspx", "/(S(-))/page.aspx"),
                ("/(A(abc)F(def))/page.aspx", "/(A(-)F(-))/page.aspx"),
            ],
        );
    }

    #[test]
    fn addresses_and_emails() {
        table(
            detected,
            &[("/a/1.2.3.4/b", "/a/-/b"), ("/a/2001%3adb8%3a%3a1", "/a/-"), ("/unsubscribe/john.doe%2540example.com", "/unsubscribe/-"), ("/~john@example.com/", "/-/")],
        );
    }

    #[test]
    fn cards_and_phones() {
        table(
            detected,
            &[
                ("/pay/4111111111111111", "/pay/-"),
                ("/pay/4111-1111-1111-1111/x", "/pay/-/x"),
                ("/pay/4111%201111%201111%201111", "/pay/-"),
                ("/pay/378282246310005", "/pay/-"),
                ("/pay/12-4111-1111-1111-1111", "/pay/12--"),
                ("/pay/card4111111111111111x", "/pay/card-x"),
                ("/pay/4111111111111112", "/pay/4111111111111112"),
                ("/call/+46701234567", "/call/-"),
                ("/call/%2B46-70-123%2045%2067", "/call/-"),
                ("/call/0046701234567", "/call/-"),
                ("/call/tel:0701234", "/call/tel:-"),
                ("/call/070-123%2045%2067", "/call/-"),
                ("/call/(555)%20234-5678", "/call/-"),
                ("/call/555-234-5678", "/call/-"),
            ],
        );
    }

    #[test]
    fn ordinary_paths_stay() {
        for path in [
            "",
            "/",
            "*",
            "-",
            "/index.html",
            "/favicon.ico",
            "/wp-content/themes/twentytwentyfour/style.min.css",
            "/2024/05/06/",
            "/blog/2024-05-06-the-best-of-2024-top-10",
            "/images/jordan-80.png",
            "/img/logo@2x.png",
            "/img/200x200/a.webp",
            "/api/v2/users/1234567890",
            "/order/1700000000123",
            "/js/jquery-3.7.1.min.js",
            "/npm/vue@3.2.1/dist/vue.js",
            "/erddap/tabledap/nrt_SEA069_M21.ncCF",
            "/presentations/logstash-scale11x/images/kibana-dashboard3.png",
            "/assets/fonts/list-admin.37e4038e.woff2",
            "/shuttle/missions/sts-71/images/KSC-95EC-0423.gif",
            "/IMG_20240506_123456.jpg",
            "/Screenshot_2024-05-06-12-30-00.png",
            "/IMG-20240506-WA0001.jpg",
            "/x86_64-unknown-linux-gnu/",
            "/getUserProfileByIdentifierAndName",
            "/XMLHttpRequestFactoryBuilder.js",
            "/iphone-15-pro-max-256gb-space-black",
            "/Donaudampfschifffahrtsgesellschaftskapitaen",
            "/%D9%85%DA%AF%D8%A7%D9%BE%DB%8C%DA%A9%D8%B3%D9%84",
            "/caf%C3%A9/menu",
            "/dp/B08N5WRWNW",
            "/watch/dQw4w9WgXcQ",
            "/;v=1.2/a;b=c",
            "/a(b)/c=d",
            "/12345678-1234/",
            "/report-01-02-2024.pdf",
            "/2024-05-06T12:34:56Z",
            "/author=john/",
            "/sony-wh-1000xm4-noise-cancelling-headphones",
            "/debian/pool/main/o/openssl/libssl3_3.0.11-1~deb12u2_amd64.deb",
            "/wiki/Llanfairpwllgwyngyllgogerychwyrndrobwll",
        ] {
            assert_eq!(detected(path), path);
        }
    }

    #[test]
    fn templates() {
        table(
            template,
            &[
                ("/user/123/cart", "/user/{id}/cart"),
                ("/img/123.png", "/img/{id}.png"),
                ("/img/123e4567-e89b-12d3-a456-426614174000.PNG", "/img/{id}.PNG"),
                ("/u/john@example.com/x", "/u/{id}/x"),
                ("/u/john%40example.com", "/u/{id}"),
                ("/u/1.2.3.4", "/u/{id}"),
                ("/u/4711.smith", "/u/{id}"),
                ("/u/%31%32", "/u/{id}"),
                ("/user-7/page", "/{id}/page"),
                ("/~john/x", "/{id}/x"),
                ("/api/v2/users", "/api/v2/users"),
                ("/style2.css", "/style2.css"),
                ("/blog/2024/05/a-short-title", "/blog/{id}/{id}/a-short-title"),
                ("/blog/a-very-long-title-that-hardly-any-other-page-of-the-site-has", "/blog/{id}"),
                ("/cart;jsessionid=1A530637;lang=en;x/", "/cart;jsessionid={id};lang=en;x/"),
                ("/a;4711;b=12", "/a;{id};b={id}"),
                ("//a//", "//a//"),
                ("", ""),
                ("*", "*"),
                ("/.env", "/.env"),
            ],
        );
    }

    /// Words cannot be told from random text without fail; this is how often it fails.
    #[test]
    fn random_text_is_found() {
        const SMALL: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        const ALL: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        for (alphabet, length, permille) in [
            (&SMALL[..16], 16, 20),
            (&SMALL[..16], 24, 2),
            (&SMALL[..16], 32, 0),
            (SMALL, 20, 40),
            (SMALL, 32, 5),
            (&ALL[..62], 20, 3),
            (&ALL[..62], 32, 0),
            (ALL, 22, 15),
            (ALL, 43, 2),
            (ALL, 86, 0),
        ] {
            let missed = (0..2000).filter(|_| {
                let token: String = (0..length).map(|_| char::from(alphabet[random() % alphabet.len()])).collect();
                detected(&format!("/verify/{token}/x")).contains(&token)
            });
            let missed = missed.count();
            assert!(missed * 1000 <= permille * 2000, "{missed} of 2000 with {} letters, {length} long", alphabet.len());
        }
    }

    #[test]
    fn linear() {
        // What makes a careless scan quadratic: every part of these may be the start of something.
        for part in ["(A(", "sid=", "eyJ", "a@", "\"@", "1.", "1-", "a:", "0x", "a.", "-", "--", "a-b-", "//1", "4111 ", "+1 ", "%25", "\\x"] {
            let path = part.repeat(200_000 / part.len());
            let started = std::time::Instant::now();
            detected_bytes(path.as_bytes());
            template_bytes(path.as_bytes());
            let seconds = started.elapsed().as_secs_f64();
            assert!(seconds < 5.0, "{part}: {seconds} s");
        }
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        fn near_misses() -> impl Strategy<Value = Vec<u8>> {
            let byte = prop::sample::select(b"0123456789abcdefABCsid.:-_@%/\\=;() +25ueyJ[]{}~\xc3".to_vec());
            prop::collection::vec(byte, 0..120)
        }

        proptest! {
            #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

            #[test]
            fn any_bytes(path in prop_oneof![prop::collection::vec(any::<u8>(), 0..200), near_misses()]) {
                let once = detected_bytes(&path);
                prop_assert_eq!(detected_bytes(&once), once);
                let once = template_bytes(&path);
                prop_assert_eq!(template_bytes(&once), once);
            }

            #[test]
            fn words_stay(path in "(/[a-z]{1,9}(-[a-z]{1,9}){0,3}){1,6}(\\.[a-z]{2,4})?") {
                prop_assert_eq!(detected(&path), path);
            }
        }
    }
}
