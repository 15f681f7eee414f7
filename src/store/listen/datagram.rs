//! Syslog datagrams, over UDP and over a socket in the file system: one message each.

use super::framing::message;
use super::{DRAIN, GATHER, Gather, Listener, door, spawn};
use crate::retain::Door;
use crate::store::StoreError;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketType, recv, sockopt};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;

/// What the system is asked to keep while nobody reads; it may give less.
const BUFFER: usize = 8 * 1024 * 1024;

/// The largest datagram that is looked at: what Linux lets a socket send unless told otherwise.
const DATAGRAM: usize = 256 * 1024;

pub(super) fn unix(place: &Door, gather: Gather) -> Result<Listener, StoreError> {
    let (socket, name) = door::socket(place, SocketType::DGRAM)?;
    spawn(format!("unix {}", place.path.display()), move || run((&socket, Some(name)), gather, || 0))
}

pub(super) fn udp(address: SocketAddr, gather: Gather) -> Result<Listener, StoreError> {
    let path = address.to_string();
    let fail = || StoreError::io("listen on", Path::new(&path));
    let socket = UdpSocket::bind(address).map_err(fail())?;
    socket.set_nonblocking(true).map_err(fail())?;
    let bound = socket.local_addr().map_err(fail())?;
    let mut drops = Drops::of(bound);
    spawn(format!("udp {bound}"), move || run((&OwnedFd::from(socket), None), gather, || drops.fresh()))
}

/// Reads until it is told to stop, then what is still there.
fn run((socket, name): (&OwnedFd, Option<door::Name>), mut gather: Gather, mut dropped: impl FnMut() -> u64) {
    // A smaller buffer works as well.
    let _size = sockopt::set_socket_recv_buffer_size_force(socket, BUFFER).or_else(|_no_right| sockopt::set_socket_recv_buffer_size(socket, BUFFER));
    let mut buffer = vec![0; DATAGRAM];
    while !gather.is_stopped() {
        Gather::wait(&mut [PollFd::new(socket, PollFlags::IN)]);
        gather.heard.lost += dropped();
        if read(socket, &mut gather, &mut buffer, GATHER).is_none() || gather.hand_over().is_err() {
            break;
        }
    }
    // Who comes now is told that nobody listens; what was sent before is read.
    drop(name);
    let most = gather.heard.lines.len() + DRAIN;
    let _last = read(socket, &mut gather, &mut buffer, most);
    gather.heard.lost += dropped();
    gather.finish();
}

/// Reads what is there, up to so many bytes of lines; nothing if the socket is broken.
fn read(socket: &OwnedFd, gather: &mut Gather, buffer: &mut [u8], most: usize) -> Option<()> {
    let start = gather.heard.lines.len();
    while gather.heard.lines.len() - start < most {
        match recv(socket, &mut *buffer, RecvFlags::TRUNC | RecvFlags::DONTWAIT) {
            Ok((taken, size)) => {
                let bytes = buffer.get(..taken).unwrap_or_default();
                if size > taken || size > gather.hearing.max_line.saturating_add(1) {
                    gather.heard.too_long += 1;
                } else if !bytes.is_empty() {
                    message(bytes, &mut gather.heard);
                }
            }
            Err(Errno::INTR | Errno::CONNREFUSED) => {}
            Err(Errno::AGAIN) => break,
            Err(_broken) => return None,
        }
    }
    Some(())
}

/// Datagrams that the system dropped in front of a full socket, as it counts them itself.
struct Drops {
    table: &'static str,
    port: String,
    seen: u64,
}

impl Drops {
    fn of(bound: SocketAddr) -> Self {
        let table = if bound.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
        let mut drops = Self { table, port: format!(":{:04X}", bound.port()), seen: 0 };
        drops.seen = drops.count();
        drops
    }

    /// The last column of the lines whose second one, the local address, ends in this port.
    fn count(&self) -> u64 {
        let table = std::fs::read_to_string(self.table).unwrap_or_default();
        let lines = table.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&self.port)));
        lines.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
    }

    fn fresh(&mut self) -> u64 {
        let now = self.count();
        let fresh = now.saturating_sub(self.seen);
        self.seen = now;
        fresh
    }
}
