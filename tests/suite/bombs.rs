//! Small archives of very many zeros and no line end: read in bounded memory, by `batch` and by `expire`, and never written out.

use std::fs;
use std::io::Write;
use std::time::{Duration, SystemTime};

use super::batch::Place;
use super::full_disk::CONFIG;
use super::limits::{assert_small, with_peak};
use super::support::{Dir, decoded};

/// Zeros of one member, in MiB.
const MEMBER: usize = 64;

/// MiB that one run may take: `batch` for a job, and `expire` as much.
const LIMIT: u64 = 64;

/// Decoded size in MiB; `LOGFADE_BOMB_MIB` makes it larger (tests/long/bombs).
fn size(usual: usize) -> usize {
    std::env::var("LOGFADE_BOMB_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn zeros(mut sink: impl Write, mebi: usize) {
    (0..mebi).for_each(|_| sink.write_all(&[0; 1 << 20]).unwrap());
}

/// Archives of so many MiB of zeros: members of one, except zstd, whose frame is one.
fn bombs(mebi: usize) -> [(&'static str, Vec<u8>); 4] {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    zeros(&mut gzip, MEMBER);
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    zeros(&mut bzip2, MEMBER);
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    zeros(&mut xz, MEMBER);
    let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
    zstd.include_checksum(true).unwrap();
    zeros(&mut zstd, mebi);
    let times = mebi / MEMBER;
    [("gz", gzip.finish().unwrap().repeat(times)), ("bz2", bzip2.finish().unwrap().repeat(times)), ("xz", xz.finish().unwrap().repeat(times)), ("zst", zstd.finish().unwrap())]
}

#[test]
fn batch_reads_a_bomb_in_bounded_memory() {
    for (end, bomb) in bombs(size(1024)) {
        let place = Place::new();
        let name = format!("bomb.log.{end}");
        println!("{name}: {} bytes of {} MiB", bomb.len(), size(1024));
        place.raw(&name, &bomb);
        let (state, input, out) = (place.dir.arg("state"), place.dir.arg("in"), place.dir.arg("out"));
        let (outcome, peak) = with_peak(&["--json", "--state", &state, "batch", &input, "--out", &out, "--format", "combined", "--jobs", "1", "--threads", "4"], |_| Ok(()));
        let report = outcome.expect_code(0).json();
        assert_eq!((&report["read"], &report["reasons"]["too_long"], &report["bytes_in"]), (&1.into(), &1.into(), &bomb.len().into()), "{name}");
        assert!(decoded(&place.clean("bomb.log.zst")).len() < 100, "{name}");
        println!("batch, {name}: peak {peak:?} KiB");
        assert_small(peak, LIMIT);
    }
}

#[test]
fn expire_reads_a_bomb_in_bounded_memory() {
    for (end, bomb) in bombs(size(256)) {
        let dir = Dir::new();
        fs::create_dir(dir.at("log")).unwrap();
        dir.file("logfade.toml", CONFIG.replace("DIR", dir.path().to_str().unwrap()).as_bytes());
        let name = format!("log/access.log.1.{end}");
        dir.file(&name, &bomb);
        // A record without a time takes the file's.
        let ago = SystemTime::now() - Duration::from_secs(60 * 86_400);
        fs::File::options().write(true).open(dir.at(&name)).unwrap().set_modified(ago).unwrap();
        let (outcome, peak) = with_peak(&["-c", &dir.arg("logfade.toml"), "--json", "expire", "--yes"], |_| Ok(()));
        outcome.expect_code(0);
        assert!(!dir.at(&name).exists(), "{name} was due");
        println!("expire, {name}: peak {peak:?} KiB");
        assert_small(peak, LIMIT);
    }
}
