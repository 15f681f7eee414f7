//! Agents and what became of them: exact, of fixed size, the oldest are overwritten.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// Longer agents are reduced each time.
pub(super) const AGENT_BYTES_MAX: usize = 512;

/// Agents and results, one behind the other; when it is full, again from the front.
const RING_BYTES: usize = 3 << 19;
/// Pairs of slots that an agent may be in.
const PAIRS: usize = 1 << 12;

#[derive(Default)]
pub(super) struct Seen {
    hasher: RandomState,
    pairs: Box<[[Slot; 2]]>,
    ring: Box<[u8]>,
    /// Bytes ever written, skipped ones included.
    head: u64,
}

/// Where an agent and, behind it, its result are.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// `head` when they were written.
    at: u64,
    tag: u32,
    agent_len: u16,
    result_len: u16,
}

impl Seen {
    pub(super) fn hash(&self, agent: &[u8]) -> u64 {
        self.hasher.hash_one(agent)
    }

    /// The result that was kept for `agent`.
    #[inline]
    pub(super) fn find(&self, hash: u64, agent: &[u8]) -> Option<&[u8]> {
        let pair = self.pairs.get(pair(hash))?;
        pair.iter().find_map(|slot| {
            if slot.tag != tag(hash) || usize::from(slot.agent_len) != agent.len() {
                return None;
            }
            if self.head - slot.at > RING_BYTES as u64 {
                return None;
            }
            let from = (slot.at % RING_BYTES as u64) as usize;
            let (kept, behind) = self.ring.get(from..)?.split_at_checked(agent.len())?;
            if kept != agent {
                return None;
            }
            behind.get(..usize::from(slot.result_len))
        })
    }

    /// Keeps `result` for `agent`, if neither is too long.
    pub(super) fn keep(&mut self, hash: u64, agent: &[u8], result: &[u8]) {
        let len = agent.len() + result.len();
        let (Ok(agent_len), Ok(result_len)) = (u16::try_from(agent.len()), u16::try_from(result.len())) else {
            return;
        };
        if self.ring.is_empty() {
            self.ring = vec![0; RING_BYTES].into_boxed_slice();
            self.pairs = vec![[Slot::default(); 2]; PAIRS].into_boxed_slice();
        }
        let mut from = (self.head % RING_BYTES as u64) as usize;
        if from + len > RING_BYTES {
            self.head += (RING_BYTES - from) as u64;
            from = 0;
        }
        let (Some(room), Some(pair)) = (self.ring.get_mut(from..from + len), self.pairs.get_mut(pair(hash))) else {
            return;
        };
        let (agent_room, result_room) = room.split_at_mut(agent.len());
        agent_room.copy_from_slice(agent);
        result_room.copy_from_slice(result);
        let [newer, older] = pair;
        *older = *newer;
        *newer = Slot { at: self.head, tag: tag(hash), agent_len, result_len };
        self.head += len as u64;
    }
}

fn pair(hash: u64) -> usize {
    hash as usize % PAIRS
}

fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(seen: &'a Seen, agent: &[u8]) -> Option<&'a [u8]> {
        seen.find(seen.hash(agent), agent)
    }

    fn keep(seen: &mut Seen, agent: &[u8], result: &[u8]) {
        seen.keep(seen.hash(agent), agent, result);
    }

    #[test]
    fn what_was_kept_is_found_and_nothing_else() {
        let mut seen = Seen::default();
        assert_eq!(find(&seen, b"a"), None);
        keep(&mut seen, b"a", b"A");
        keep(&mut seen, b"ab", b"");
        assert_eq!(find(&seen, b"a"), Some(&b"A"[..]));
        assert_eq!(find(&seen, b"ab"), Some(&b""[..]));
        assert_eq!(find(&seen, b"aA"), None);
        assert_eq!(find(&seen, b""), None);
    }

    #[test]
    fn one_hash_for_two_agents_gives_no_wrong_result() {
        let mut seen = Seen::default();
        seen.keep(7, b"one", b"1");
        seen.keep(7, b"two", b"2");
        assert_eq!(seen.find(7, b"one"), Some(&b"1"[..]));
        assert_eq!(seen.find(7, b"two"), Some(&b"2"[..]));
        seen.keep(7, b"six", b"6");
        assert_eq!(seen.find(7, b"one"), None);
    }

    #[test]
    fn the_oldest_give_way_and_never_turn_into_others() {
        let mut seen = Seen::default();
        let agent = |number: usize| format!("agent {number} {}", "x".repeat(number % 400)).into_bytes();
        let result = |number: usize| format!("result {number}").into_bytes();
        for number in 0..20_000 {
            keep(&mut seen, &agent(number), &result(number));
            for back in [0, 1, 1000, 5000, 9000] {
                let Some(before) = number.checked_sub(back) else {
                    continue;
                };
                if let Some(found) = find(&seen, &agent(before)) {
                    assert_eq!(found, result(before));
                }
            }
            assert_eq!(find(&seen, &agent(number)), Some(&result(number)[..]));
        }
        assert_eq!(find(&seen, &agent(0)), None);
        assert!(seen.ring.len() == RING_BYTES && seen.pairs.len() == PAIRS);
    }
}
