//! Syslog over streams, TCP and sockets in the file system: many connections on one thread, bounded in number and memory.

use super::framing::Framing;
use super::{DRAIN, GATHER, Gather, Listener, door, spawn};
use crate::retain::Door;
use crate::store::StoreError;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{SocketFlags, SocketType, accept_with};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// Connections at a time; who comes later waits.
const CONNECTIONS: usize = 256;

/// A silent connection gives way to a waiting one after this.
const SILENT: Duration = Duration::from_secs(60);

/// Bytes of beginnings of messages in all connections together; above it, the longest is given up.
const HELD: usize = 8 * 1024 * 1024;

/// Bytes of one read.
const READ: usize = 64 * 1024;

pub(super) fn unix(place: &Door, gather: Gather) -> Result<Listener, StoreError> {
    let (socket, name) = door::socket(place, SocketType::STREAM)?;
    spawn(format!("unix {}", place.path.display()), move || run((&socket, Some(name)), gather))
}

pub(super) fn tcp(address: SocketAddr, gather: Gather) -> Result<Listener, StoreError> {
    let path = address.to_string();
    let fail = || StoreError::io("listen on", Path::new(&path));
    let socket = TcpListener::bind(address).map_err(fail())?;
    socket.set_nonblocking(true).map_err(fail())?;
    let bound = socket.local_addr().map_err(fail())?;
    spawn(format!("tcp {bound}"), move || run((&OwnedFd::from(socket), None), gather))
}

struct Connection {
    socket: OwnedFd,
    framing: Framing,
    heard_at: Instant,
}

fn run((socket, name): (&OwnedFd, Option<door::Name>), mut gather: Gather) {
    let mut connections: Vec<Connection> = Vec::new();
    let mut buffer = vec![0; READ];
    while !gather.is_stopped() {
        let has_room = connections.len() < CONNECTIONS || connections.iter().any(|connection| connection.heard_at.elapsed() > SILENT);
        let mut fds: Vec<PollFd<'_>> = connections.iter().map(|connection| PollFd::new(&connection.socket, PollFlags::IN)).collect();
        if has_room {
            fds.push(PollFd::new(socket, PollFlags::IN));
        }
        Gather::wait(&mut fds);
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut ready = ready.into_iter();
        connections.retain_mut(|connection| !ready.next().unwrap_or(false) || connection.read(&mut gather, &mut buffer, GATHER));
        if ready.next().unwrap_or(false) {
            accept(socket, &mut connections, &mut gather);
        }
        bound(&mut connections, &mut gather);
        if gather.hand_over().is_err() {
            return;
        }
    }
    drop(name);
    // What stands in the sockets by now has been sent; connections that wait may have sent as well.
    accept(socket, &mut connections, &mut gather);
    for mut connection in connections {
        if connection.read(&mut gather, &mut buffer, DRAIN) {
            connection.framing.leave(&mut gather.heard);
        }
        if gather.hand_over().is_err() {
            return;
        }
    }
    gather.finish();
}

/// Takes connections that wait, as long as there is room.
fn accept(socket: &OwnedFd, connections: &mut Vec<Connection>, gather: &mut Gather) {
    loop {
        if connections.len() >= CONNECTIONS {
            let silent = connections.iter().enumerate().min_by_key(|(_, connection)| connection.heard_at).map(|(at, connection)| (at, connection.heard_at.elapsed()));
            let Some((at, _)) = silent.filter(|(_, silence)| *silence > SILENT) else { return };
            connections.swap_remove(at).framing.leave(&mut gather.heard);
        }
        match accept_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => connections.push(Connection { socket, framing: Framing::syslog(gather.hearing.max_line), heard_at: Instant::now() }),
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            // Nobody waits; or there is no descriptor left, and the next look tries again.
            Err(_) => return,
        }
    }
}

/// Keeps what all connections hold together within bounds.
fn bound(connections: &mut [Connection], gather: &mut Gather) {
    while connections.iter().map(|connection| connection.framing.held()).sum::<usize>() > HELD {
        let Some(longest) = connections.iter_mut().max_by_key(|connection| connection.framing.held()) else { return };
        longest.framing.abandon(&mut gather.heard);
    }
}

impl Connection {
    /// Reads what is there, up to so many bytes; false if the connection has ended.
    fn read(&mut self, gather: &mut Gather, buffer: &mut [u8], most: usize) -> bool {
        self.heard_at = Instant::now();
        let mut taken = 0;
        while taken < most {
            match rustix::io::read(&self.socket, &mut *buffer) {
                Ok(0) => {
                    self.framing.end(&mut gather.heard);
                    return false;
                }
                Ok(count) => {
                    self.framing.feed(buffer.get(..count).unwrap_or_default(), &mut gather.heard);
                    taken += count;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_reset) => {
                    self.framing.leave(&mut gather.heard);
                    return false;
                }
            }
        }
        true
    }
}
