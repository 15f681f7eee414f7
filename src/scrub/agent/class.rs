//! Device classes, from the family of the product and of the operating system alone.

use std::sync::OnceLock;

use super::words::Words;

/// Families that are programs, one per line, in byte order.
const BOTS: &str = include_str!("bots.txt");

/// What makes a family a program, in lower case.
const BOT_WORDS: Words<'static> = Words::new(&[
    b"archiv", b"aws-sdk", b"aws-cli", b"bot", b"check", b"crawl", b"favicon", b"feed", b"fetch", b"http", b"index", b"monitor", b"scan", b"scrap", b"slurp", b"spider", b"validat",
]);

/// With what families begin that are programs.
const BOT_STARTS: [&[u8]; 5] = [b"NewsGator", b"Nutch", b"WeSEE:", b"Y!J-", b"Yandex"];

/// What makes an agent without a family a program, in lower case.
const BOT_AGENT_WORDS: Words<'static> = Words::new(&[
    b"+",
    b"-ai",
    b".com",
    b"@",
    b"agent",
    b"analy",
    b"api",
    b"archiv",
    b"bot",
    b"capture",
    b"check",
    b"client",
    b"cloud",
    b"compatible",
    b"crawl",
    b"curl",
    b"download",
    b"extract",
    b"feed",
    b"fetch",
    b"google-",
    b"grab",
    b"headless",
    b"hook",
    b"http",
    b"index",
    b"java",
    b"library",
    b"libwww",
    b"link",
    b"lwp",
    b"monitor",
    b"news",
    b"node",
    b"perl",
    b"php",
    b"ping",
    b"probe",
    b"proxy",
    b"python",
    b"rss",
    b"ruby",
    b"scan",
    b"scrap",
    b"search",
    b"security",
    b"seo",
    b"site",
    b"spider",
    b"ssl",
    b"synthetic",
    b"test",
    b"uptim",
    b"url",
    b"validat",
]);

/// What makes an agent with the family of a browser a program, in lower case.
const BOT_BROWSER_WORDS: Words<'static> = Words::new(&[
    b"agent",
    b"analy",
    b"archiv",
    b"bot",
    b"check",
    b"crawl",
    b"feed",
    b"fetch",
    b"headless",
    b"http",
    b"inspect",
    b"lighthouse",
    b"monitor",
    b"playwright",
    b"scan",
    b"scrap",
    b"selenium",
    b"spider",
    b"synthetic",
    b"validat",
]);

/// A make of telephones.
const CUBOT: Words<'static> = Words::new(&[b"cubot"]);

/// What makes a family mobile where the operating system does not, in lower case.
const MOBILE_WORDS: Words<'static> = Words::new(&[b"blackberry", b"mobile", b"nokia", b"obigo", b"opera mini", b"teleca", b"uc browser"]);

/// The class of a product on an operating system.
pub(super) fn class(family: &[u8], system: &[u8]) -> &'static str {
    if is_bot(family) {
        return "bot";
    }
    match family {
        b"HbbTV" | b"Espial" | b"NetCast Smart TV" | b"Roku" | b"SmartTV WebBrowser" | b"Vewd Browser" => return "tv",
        b"NetFront NX" | b"Steam Deck" => return "console",
        b"Opera Tablet" | b"Amazon Silk" | b"Kindle" => return "tablet",
        _ => {}
    }
    match system {
        b"Android"
        | b"BREW"
        | b"Bada"
        | b"BlackBerry OS"
        | b"Brew MP"
        | b"Firefox OS"
        | b"HarmonyOS"
        | b"KaiOS"
        | b"Maemo"
        | b"MeeGo"
        | b"Nokia Series 30 Plus"
        | b"Nokia Series 40"
        | b"Sailfish"
        | b"Symbian OS"
        | b"Symbian^3"
        | b"Symbian^3 Anna"
        | b"Symbian^3 Belle"
        | b"Tizen"
        | b"VRE"
        | b"Windows Mobile"
        | b"Windows Phone"
        | b"iOS"
        | b"webOS" => "mobile",
        b"BlackBerry Tablet OS" | b"Kindle" | b"WeTab" => "tablet",
        b"ATV OS X"
        | b"Chromecast Android"
        | b"Chromecast Fuchsia"
        | b"Chromecast Linux"
        | b"FireHbbTV"
        | b"GoogleTV"
        | b"LG"
        | b"Panasonic"
        | b"Philips"
        | b"Roku"
        | b"Samsung"
        | b"Sony"
        | b"Web0S"
        | b"WebTV"
        | b"tvOS" => "tv",
        b"WatchOS" => "watch",
        _ if MOBILE_WORDS.are_in(family) => "mobile",
        b"Arch Linux" | b"BSD" | b"BackTrack" | b"CentOS" | b"Chrome OS" | b"Debian" | b"Fedora" | b"FreeBSD" | b"Gentoo" | b"Kubuntu" | b"Linux" | b"Linux Mint" | b"Lubuntu"
        | b"Mac OS" | b"Mac OS X" | b"Mageia" | b"Mandriva" | b"NetBSD" | b"OpenBSD" | b"PCLinuxOS" | b"Puppy" | b"Red Hat" | b"SUSE" | b"SerenityOS" | b"Slackware"
        | b"Solaris" | b"Ubuntu" | b"Windows" | b"openSUSE" => "desktop",
        _ => "other",
    }
}

fn is_bot(family: &[u8]) -> bool {
    let starts = BOT_STARTS.iter().any(|start| family.starts_with(start));
    (starts && family != b"Yandex Browser") || has_bot_word(family) || is_listed(family)
}

/// Whether one of the words by which programs are named is in `text`.
pub(super) fn has_bot_word(text: &[u8]) -> bool {
    BOT_WORDS.are_in(text)
}

fn is_listed(family: &[u8]) -> bool {
    static LIST: OnceLock<Vec<&str>> = OnceLock::new();
    let list = LIST.get_or_init(|| BOTS.lines().collect());
    list.binary_search_by(|line| line.as_bytes().cmp(family)).is_ok()
}

/// Whether an agent names itself, or where to read about it, as programs do; `family` is what the patterns gave it.
pub(super) fn looks_like_bot(agent: &[u8], family: &[u8]) -> bool {
    match family {
        b"Other" => BOT_AGENT_WORDS.are_in(agent),
        b"Android"
        | b"Apple Mail"
        | b"Chrome"
        | b"Chrome Mobile"
        | b"Chrome Mobile WebView"
        | b"Chrome Mobile iOS"
        | b"Chromium"
        | b"Edge"
        | b"Electron"
        | b"Firefox"
        | b"Firefox Mobile"
        | b"Firefox iOS"
        | b"IE"
        | b"Mobile Safari"
        | b"Mobile Safari UI/WKWebView"
        | b"Opera"
        | b"Qt Web Engine"
        | b"Safari" => BOT_BROWSER_WORDS.are_in(agent) && !CUBOT.are_in(agent),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_byte_order() {
        assert!(BOTS.lines().is_sorted());
        assert!(BOTS.lines().all(|line| !line.is_empty() && line.trim() == line));
    }

    #[test]
    fn classes_follow_from_family_and_system() {
        let cases = [
            ("Firefox", "Linux", "desktop"),
            ("Firefox Mobile", "Android", "mobile"),
            ("Firefox Mobile", "Other", "mobile"),
            ("Chrome", "Chrome OS", "desktop"),
            ("Mobile Safari", "iOS", "mobile"),
            ("Amazon Silk", "Android", "tablet"),
            ("HbbTV", "Vestel", "tv"),
            ("NetFront NX", "Other", "console"),
            ("Apple Watch App", "WatchOS", "watch"),
            ("Chrome", "Vestel", "other"),
            ("Firefox", "Other", "other"),
            ("Googlebot", "Android", "bot"),
            ("YandexImages", "Other", "bot"),
            ("Yandex Browser", "Windows", "desktop"),
            ("Wget", "Linux", "bot"),
            ("Debian APT-HTTP", "Debian", "bot"),
        ];
        for (family, system, expected) in cases {
            assert_eq!(class(family.as_bytes(), system.as_bytes()), expected, "{family} on {system}");
        }
    }

    #[test]
    fn programs_are_known_by_their_words() {
        assert!(looks_like_bot(b"Something (+https://example.org)", b"Other"));
        assert!(looks_like_bot(b"Mozilla/5.0 (X11; LinkChecker) Firefox/100.0", b"Firefox"));
        assert!(!looks_like_bot(b"Mozilla/5.0 (Android 9; CUBOT X19) Chrome/70.0", b"Chrome"));
        assert!(!looks_like_bot(b"Something", b"Other"));
        assert!(!looks_like_bot(b"Overcast/1 (+http://overcast.fm/)", b"Overcast"));
    }
}
