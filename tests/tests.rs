//! The black-box suite: everything here drives the built binary and knows nothing of its inside.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::map_err_ignore,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, prints its tables, and may touch files and clocks"
)]

mod suite {
    mod ack;
    pub mod addresses;
    mod agents;
    mod aggregate;
    mod architecture;
    mod attacks;
    pub mod batch;
    mod batch_kill;
    mod bombs;
    mod canary;
    mod cases;
    mod confined;
    mod copytruncate;
    mod corpora;
    mod differential;
    mod expectations;
    mod expire;
    pub mod families;
    mod formats;
    pub mod full_disk;
    mod grown;
    pub mod hear;
    mod hear_disk;
    mod http;
    mod identity;
    mod init;
    pub mod keys;
    mod keys_ledger;
    mod lane;
    mod ledger;
    pub mod limits;
    pub mod listen;
    pub mod mangle;
    mod mistakes;
    pub mod mmdb;
    pub mod ops;
    pub mod oracle;
    pub mod pipe;
    mod places;
    mod plan;
    mod policy;
    mod races;
    mod readme;
    mod recipes;
    pub mod reference;
    mod register;
    mod reopen;
    mod report;
    mod report_page;
    mod retention;
    mod risk;
    pub mod run;
    pub mod samples;
    mod seal;
    mod seek;
    pub mod servers;
    mod servers_heard;
    mod shared;
    mod stall;
    mod subject;
    pub mod support;
    mod vectors;
    mod verify;
    mod window;
}
