//! Databases that are good, broken, of another kind, and replaced while they are in use.

use super::*;
use crate::scrub::BUILT_IN;
use mmdb::{asn, country, database, map, number, text};
use std::sync::atomic::{AtomicUsize, Ordering};

#[path = "../../../tests/suite/mmdb.rs"]
#[expect(unreachable_pub, reason = "the black-box suite uses it as well")]
mod mmdb;

const ADD_BOTH: &str = "country = \"add\"\nasn = \"add\"\nother = \"drop\"\n";

struct Shelf {
    temp: tempfile::TempDir,
}

impl Shelf {
    fn new() -> Self {
        Self { temp: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.temp.path().join(name);
        let whole = self.temp.path().join(format!("{name}.new"));
        std::fs::write(&whole, bytes).unwrap();
        std::fs::rename(&whole, &path).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn policy(paths: &[String], rest: &str) -> Policy {
    Policy::parse("p", "p", &format!("geoip = {paths:?}\n{rest}")).unwrap()
}

fn open(paths: &[String], rest: &str) -> Result<Option<Arc<Atlas>>, StoreError> {
    Atlas::open(&policy(paths, rest), Box::new(|_| {}))
}

fn refusal(result: Result<Option<Arc<Atlas>>, StoreError>) -> String {
    let error = result.err().expect("refused");
    assert!(matches!(error.cause, Cause::Refused { .. }), "{error}");
    assert_eq!(error.to_string().lines().count(), 2);
    error.to_string()
}

fn at(atlas: &Arc<Atlas>, ip: &str) -> (Option<String>, Option<u32>) {
    let (_, mut lookup) = atlas.current(0).unwrap();
    let place = lookup(ip.parse().unwrap());
    assert_eq!(lookup(ip.parse().unwrap()), place, "asked again");
    (place.country.map(|country| String::from_utf8_lossy(country.as_bytes()).into_owned()), place.asn)
}

fn known(country: &str, asn: u32) -> (Option<String>, Option<u32>) {
    (Some(country.to_owned()), Some(asn))
}

#[test]
fn databases_answer_together_and_in_other_makers_words() {
    let shelf = Shelf::new();
    let countries =
        shelf.write("c.mmdb", &database("Test-Country", &[("203.0.113.0/24", country("SE")), ("2001:db8::/32", country("NO")), ("198.51.100.0/25", country("sweden"))]));
    let numbers = shelf.write("a.mmdb", &database("Test-ASN", &[("203.0.113.0/25", asn(1257)), ("2001:db8::/33", asn(4_200_000_000))]));
    let atlas = open(&[countries, numbers], ADD_BOTH).unwrap().unwrap();
    assert_eq!(at(&atlas, "203.0.113.77"), known("SE", 1257));
    assert_eq!(at(&atlas, "203.0.113.200"), (Some("SE".to_owned()), None));
    assert_eq!(at(&atlas, "2001:db8::9"), known("NO", 4_200_000_000));
    assert_eq!(at(&atlas, "198.51.100.1"), (None, None), "that is no code of a country");
    assert_eq!(at(&atlas, "192.0.2.1"), (None, None));
    let one = shelf.write("i.mmdb", &database("other", &[("203.0.113.0/24", map(&[("asn", text("AS64500")), ("country", text("DK"))]))]));
    assert_eq!(at(&open(&[one], ADD_BOTH).unwrap().unwrap(), "203.0.113.1"), known("DK", 64_500));
    let traits =
        shelf.write("t.mmdb", &database("other", &[("203.0.113.0/24", map(&[("country_code", text("FI")), ("traits", map(&[("autonomous_system_number", number(7))]))]))]));
    assert_eq!(at(&open(&[traits], ADD_BOTH).unwrap().unwrap(), "203.0.113.1"), known("FI", 7));
}

#[test]
fn what_is_no_database_or_not_the_one_is_refused() {
    let shelf = Shelf::new();
    let good = database("Test-Country", &[("203.0.113.0/24", country("SE"))]);
    let whole = shelf.write("whole.mmdb", &good);
    let add = "country = \"add\"\nother = \"drop\"\n";
    assert!(open(std::slice::from_ref(&whole), add).unwrap().is_some());
    assert!(refusal(open(&["/nonexistent.mmdb".to_owned()], add)).contains("no such database"));
    assert!(refusal(open(&[shelf.temp.path().to_str().unwrap().to_owned()], add)).contains("regular file"));
    for (name, bytes) in [("empty", &b""[..]), ("text", b"not a database"), ("front", &good[..good.len() / 2]), ("cut", &good[..good.len() - 9]), ("behind", &good[200..])] {
        assert!(refusal(open(&[shelf.write(name, bytes)], add)).contains("damaged"), "{name}");
    }
    assert!(refusal(open(&[whole], "asn = \"add\"\nother = \"drop\"\n")).contains("no autonomous systems"));
    assert!(refusal(open(&[shelf.write("a.mmdb", &database("Test-ASN", &[("203.0.113.0/24", asn(1))]))], add)).contains("no countries"));
    assert!(open(&["/nonexistent.mmdb".to_owned()], "other = \"drop\"\n").unwrap().is_none(), "nobody asks for it");
    assert!(BUILT_IN.iter().all(|(name, _)| Policy::built_in(name).unwrap().needs_places() == (false, false)));
}

/// Whatever byte is broken: an error, or answers that are codes and numbers.
#[test]
fn no_damage_ends_the_program() {
    let shelf = Shelf::new();
    let good =
        database("Test", &[("203.0.113.0/24", country("SE")), ("198.51.100.0/24", map(&[("autonomous_system_number", number(5)), ("country", map(&[("iso_code", text("NO"))]))]))]);
    let mut refused = 0;
    for at_byte in 0..good.len() {
        for change in [0xff, 0x01, 0x80] {
            let mut bytes = good.clone();
            bytes[at_byte] ^= change;
            match open(&[shelf.write("broken.mmdb", &bytes)], ADD_BOTH) {
                Ok(atlas) => {
                    at(&atlas.unwrap(), "203.0.113.7");
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > good.len() / 2, "{refused} of {}", 3 * good.len());
}

/// The first record says all that is asked of a database, so only a look at the whole of it finds the second one broken.
#[test]
fn no_damage_is_left_to_be_found_later() {
    let shelf = Shelf::new();
    let first = map(&[("autonomous_system_number", number(5)), ("country", map(&[("iso_code", text("NO"))]))]);
    let mut bytes = database("Test", &[("198.51.100.0/24", first), ("203.0.113.0/24", country("SE"))]);
    assert!(open(&[shelf.write("good.mmdb", &bytes)], ADD_BOTH).unwrap().is_some());
    let length = bytes.windows(3).position(|bytes| bytes == b"\x42SE").unwrap();
    // A text that is longer than the file.
    bytes[length] = 0x5f;
    assert!(refusal(open(&[shelf.write("broken.mmdb", &bytes)], ADD_BOTH)).contains("damaged"));
}

#[test]
fn a_replaced_database_is_read_again_and_a_broken_one_is_told_once() {
    let shelf = Shelf::new();
    let path = shelf.write("c.mmdb", &database("Test", &[("203.0.113.0/24", country("SE"))]));
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let hears = move |error: &StoreError| {
        assert!(error.to_string().contains("c.mmdb"));
        count.fetch_add(1, Ordering::Relaxed);
    };
    let atlas = Atlas::open(&policy(&[path], "country = \"add\"\nother = \"drop\"\n"), Box::new(hears)).unwrap().unwrap();
    let look = || {
        let mut state = atlas.state.lock().unwrap();
        atlas.look(&mut state);
        (state.edition, told.load(Ordering::Relaxed))
    };
    let answer = || at(&atlas, "203.0.113.7").0;
    assert_eq!((look(), answer().as_deref()), ((1, 0), Some("SE")));
    assert!(atlas.current(1).is_none(), "nothing has changed");
    shelf.write("c.mmdb", &database("Test", &[("203.0.113.0/24", country("NO"))]));
    assert_eq!((look(), answer().as_deref()), ((2, 0), Some("NO")));
    shelf.write("c.mmdb", b"broken");
    assert_eq!((look(), answer().as_deref()), ((2, 1), Some("NO")));
    assert_eq!(look(), (2, 1), "told once");
    std::fs::remove_file(shelf.temp.path().join("c.mmdb")).unwrap();
    assert_eq!((look(), look(), answer().as_deref()), ((2, 2), (2, 2), Some("NO")));
    shelf.write("c.mmdb", &database("Test", &[("203.0.113.0/24", asn(5))]));
    assert_eq!((look(), answer().as_deref()), ((2, 3), Some("NO")), "of another kind");
    shelf.write("c.mmdb", &database("Test", &[("203.0.113.0/24", country("DK"))]));
    assert_eq!((look(), answer().as_deref()), ((3, 3), Some("DK")));
}

#[test]
fn many_addresses_and_records_are_answered_as_few_are() {
    let shelf = Shelf::new();
    let networks: Vec<(String, Vec<u8>)> = (0..3_000_u32).map(|number| (format!("10.{}.{}.0/24", number / 256, number % 256), asn(number + 1))).collect();
    let networks: Vec<(&str, Vec<u8>)> = networks.iter().map(|(network, record)| (network.as_str(), record.clone())).collect();
    let atlas = open(&[shelf.write("a.mmdb", &database("Test", &networks))], "asn = \"add\"\nother = \"drop\"\n").unwrap().unwrap();
    let (_, mut lookup) = atlas.current(0).unwrap();
    for turn in 0..3 {
        for number in (0..3_000_u32).rev() {
            let ip = IpAddr::from([10, (number / 256) as u8, (number % 256) as u8, turn]);
            assert_eq!(lookup(ip).asn, Some(number + 1), "{ip}");
        }
    }
}
