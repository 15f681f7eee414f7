//! What the service manager is told: ready, alive, reading its configuration again, ending (`sd_notify(3)`).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// It works.
pub fn ready() -> io::Result<()> {
    send("READY=1")
}

/// It reads its configuration again; [`ready`] ends that.
pub fn reloading() -> io::Result<()> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000)))
}

/// It ends.
pub fn stopping() -> io::Result<()> {
    send("STOPPING=1")
}

/// It is alive.
pub fn watchdog() -> io::Result<()> {
    send("WATCHDOG=1")
}

/// One line about what it does, without a byte of a log.
pub fn status(text: &str) -> io::Result<()> {
    send(&format!("STATUS={}", text.replace('\n', " ")))
}

/// How often [`watchdog`] is due: twice within the time that the service manager gives; none if it does not watch this process.
pub fn watchdog_every() -> Option<Duration> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|usec| is_meant && *usec > 0).map(|usec| Duration::from_micros(usec / 2))
}

/// Nothing is told where nobody wants to know.
fn send(state: &str) -> io::Result<()> {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return Ok(()) };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A service manager that does not read must not hold the sidecar up.
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.as_bytes(), &address).map(drop)
}
