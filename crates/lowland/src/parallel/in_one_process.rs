//! Workers that are threads of one process.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{AscentScope, Collective, Numbers, Workers};
use crate::error::at_least_one;
use crate::{Error, Result};

/// Workers that are threads of one process, such as one for each of its devices: a value for each of `count`
/// threads. They ascend in groups of `group` with neighbouring numbers, the last of which can be smaller: 1 for
/// each alone, `count` or more for all together.
///
/// Where a thread ends and drops its value, the others get [`Error::Collective`] and do not wait.
///
/// Burn's CPU backend has one random generator for the whole process: what is drawn on the device, dropout and
/// random masks, is not repeatable with several threads on it.
///
/// # Errors
/// A count or group of 0.
pub fn threads(count: usize, group: usize) -> Result<Vec<Workers>> {
    at_least_one("workers", count)?;
    let group = at_least_one("group", group)?.min(count);
    let all = Room::new(count);
    let groups = (0..count).step_by(group).map(|first| Room::new(group.min(count - first)));
    let groups: Vec<Arc<Room>> = groups.collect();
    let worker = |rank: usize| {
        let seat = |room: &Arc<Room>, rank| Arc::new(Seat { room: Arc::clone(room), rank });
        let scope = match group {
            1 => AscentScope::Local,
            _ if group == count => AscentScope::Global,
            _ => AscentScope::Group(seat(&groups[rank / group], rank % group)),
        };
        Ok(Workers::new(rank, count, seat(&all, rank))?.with_ascent_scope(scope))
    };
    (0..count).map(worker).collect()
}

/// Where threads meet.
#[derive(Debug)]
struct Room {
    seats: usize,
    state: Mutex<Meeting>,
    turned: Condvar,
}

/// A meeting: all come and leave what they have, the last one works out the result, all take it.
#[derive(Debug, Default)]
struct Meeting {
    /// The number of the meeting.
    turn: u64,
    brought: Vec<Option<Brought>>,
    result: Option<Result<Brought>>,
    gone: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Brought {
    ToSum(Numbers),
    ToTell(Vec<u8>),
}

/// One thread's seat in a room.
#[derive(Debug)]
struct Seat {
    room: Arc<Room>,
    rank: usize,
}

impl Room {
    fn new(seats: usize) -> Arc<Self> {
        let state = Meeting { brought: vec![None; seats], ..Meeting::default() };
        Arc::new(Self { seats, state: Mutex::new(state), turned: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Meeting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meet(&self, rank: usize, own: Brought) -> Result<Brought> {
        let left = || Err(Error::Collective("another worker has left".to_owned()));
        let mut meeting = self.lock();
        if meeting.gone {
            return left();
        }
        let turn = meeting.turn;
        meeting.brought[rank] = Some(own);
        if meeting.brought.iter().flatten().count() == self.seats {
            let brought = meeting.brought.iter_mut().filter_map(Option::take).collect();
            meeting.result = Some(joined(brought));
            meeting.turn += 1;
            self.turned.notify_all();
        }
        while meeting.turn == turn && !meeting.gone {
            meeting = self.turned.wait(meeting).unwrap_or_else(PoisonError::into_inner);
        }
        // The next meeting cannot end before this worker has come to it.
        match &meeting.result {
            Some(result) if meeting.turn > turn => result.clone(),
            _ => left(),
        }
    }
}

/// The result of a meeting, sums in the order of the workers.
fn joined(brought: Vec<Brought>) -> Result<Brought> {
    let apart = || Error::Collective("the workers do different things".to_owned());
    let mut brought = brought.into_iter();
    let mut result = brought.next().ok_or_else(apart)?;
    for other in brought {
        match (&mut result, other) {
            (Brought::ToTell(first), Brought::ToTell(other)) if first.len() == other.len() => {}
            (Brought::ToSum(Numbers::F32(sums)), Brought::ToSum(Numbers::F32(values)))
                if sums.len() == values.len() =>
            {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
            (Brought::ToSum(Numbers::F64(sums)), Brought::ToSum(Numbers::F64(values)))
                if sums.len() == values.len() =>
            {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
            _ => return Err(apart()),
        }
    }
    Ok(result)
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.lock().gone = true;
        self.room.turned.notify_all();
    }
}

impl Collective for Seat {
    fn all_reduce_sum(&self, values: Numbers) -> Result<Numbers> {
        match self.room.meet(self.rank, Brought::ToSum(values))? {
            Brought::ToSum(sums) => Ok(sums),
            Brought::ToTell(_) => Err(Error::Collective("the workers do different things".into())),
        }
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        match self.room.meet(self.rank, Brought::ToTell(bytes))? {
            Brought::ToTell(bytes) => Ok(bytes),
            Brought::ToSum(_) => Err(Error::Collective("the workers do different things".into())),
        }
    }
}
