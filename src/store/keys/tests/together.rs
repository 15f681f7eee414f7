//! Threads and processes that share a key directory.

use super::*;

#[test]
fn many_threads_that_make_a_period_at_once_get_one_key() {
    let place = Place::new();
    KeyStore::init_local(&place.state()).unwrap();
    for round in ["2026-11-21", "2026-11-22", "2026-11-23"] {
        let names: BTreeSet<String> = std::thread::scope(|scope| {
            let make = || name(&KeyStore::open(&place.state(), None).unwrap().period_key(day(round), noon(), KEEP).unwrap().unwrap());
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(names.len(), 1);
    }
}

/// Does something in the processes that the next test starts.
#[test]
#[expect(clippy::print_stdout, reason = "how the parent hears of it")]
fn in_a_process() {
    let Some(state) = std::env::var_os("LOGFADE_TEST_STATE") else { return };
    let store = KeyStore::open(Path::new(&state), None).unwrap();
    println!("name={}", name(&store.period_key(today(), noon(), KEEP).unwrap().unwrap()));
}

#[test]
fn two_processes_that_make_a_period_at_once_get_one_key() {
    let place = Place::new();
    KeyStore::init_local(&place.state()).unwrap();
    let start = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "store::keys::tests::together::in_a_process", "--nocapture"]).env("LOGFADE_TEST_STATE", place.state());
        command.stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..6).map(|_| start()).collect();
    let names: BTreeSet<String> = children
        .into_iter()
        .map(|child| {
            let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
            let (_, rest) = text.split_once("name=").unwrap();
            rest[..32].to_owned()
        })
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn a_ring_shares_keys_and_gives_them_up_in_time() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    let place = Place::new();
    let store = KeyStore::init_local(&place.state()).unwrap();
    let clock = Arc::new(AtomicI64::new(noon().as_second()));
    let read = Arc::clone(&clock);
    let ring = KeyRing::new(store, KEEP, Box::new(move || Timestamp::from_second(read.load(Ordering::Relaxed)).unwrap()));
    let source = ring.source();
    let names: BTreeSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| name(&source.key(today()).unwrap()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(names.len(), 1);
    assert!(source.key(day("2020-01-01")).is_none());
    assert!(Arc::ptr_eq(&source.key(today()).unwrap(), &source.key(today()).unwrap()));
    assert!(source.key(day("2026-11-21")).is_some());
    // Another process destroys it.
    KeyStore::open(&place.state(), None).unwrap().destroy(day("2026-11-21"), noon()).unwrap();
    assert!(source.key(day("2026-11-21")).is_none());
    assert!(source.key(today()).is_some());
    clock.store(at("2026-11-24T00:00:01Z").as_second(), Ordering::Relaxed);
    assert!(source.key(today()).is_none());
    assert!(ring.failure().is_none());
    clock.store(noon().as_second(), Ordering::Relaxed);
    place.chmod("2026-11-22.key", 0o644);
    assert!(source.key(today()).is_none());
    assert!(refusal(Err::<(), _>(ring.failure().unwrap())).contains("others can read"));
    place.chmod("2026-11-22.key", 0o400);
    assert!(source.key(today()).is_none(), "a failure is final for the run");
}

/// Lives through 400 days in the processes that the next test starts.
#[test]
#[expect(clippy::print_stdout, reason = "how the parent hears of it")]
fn in_a_process_for_400_days() {
    let Some(state) = std::env::var_os("LOGFADE_TEST_FLEET") else { return };
    let store = KeyStore::open(Path::new(&state), Some(KeyMode::Fleet)).unwrap();
    for passed in 0..400 {
        let now = noon() + SignedDuration::from_hours(24 * passed);
        println!("name={}", name(&store.period_key(Period::of(now), now, KEEP).unwrap().unwrap()));
        store.destroy_expired(now, KEEP).unwrap();
    }
}

#[test]
fn two_processes_with_one_seed_say_the_same_for_400_days() {
    let places = [Place::new(), Place::new()];
    let first = name(&places[0].fleet().period_key(today(), noon(), KEEP).unwrap().unwrap());
    assert!(can_make(&places[0], &first));
    let children = places.each_ref().map(|place| {
        place.fleet();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "store::keys::tests::together::in_a_process_for_400_days", "--nocapture"]).env("LOGFADE_TEST_FLEET", place.state());
        command.stdout(std::process::Stdio::piped()).spawn().unwrap()
    });
    let [one, other] = children.map(|child| {
        let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        text.split("name=").skip(1).map(|rest| rest[..32].to_owned()).collect::<Vec<_>>()
    });
    assert_eq!(one, other);
    assert_eq!((one.first(), one.len(), one.iter().collect::<BTreeSet<_>>().len()), (Some(&first), 400, 400));
    // The other file is a list of 400 days, which is looked through elsewhere while it is short.
    assert!(places.iter().all(|place| !can_be_made_of(&fs::read(place.key("fleet.state")).unwrap(), &first)));
}
