//! Workers that are threads of one process.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{AscentScope, Collective, Numbers, Workers};
use crate::error::at_least_one;
use crate::{Error, Result};

/// Workers that are threads of one process, such as one for each of its devices: a value for each
/// of `count` threads. They ascend in groups of `group` with neighbouring numbers, the last of
/// which can be smaller: 1 for each alone, `count` or more for all together.
///
/// Where a thread ends and drops its value, the others get [`Error::Collective`] and do not wait.
///
/// Burn's CPU backend has one random generator for the whole process: with several threads on it,
/// dropout is not repeatable, nor is, beside dropout, what a rule draws on the device.
///
/// # Errors
/// A count or group of 0.
pub fn threads(count: usize, group: usize) -> Result<Vec<Workers>> {
    at_least_one("workers", count)?;
    let group = at_least_one("group", group)?.min(count);
    let all = Rendezvous::new(count);
    let groups = (0..count).step_by(group).map(|first| Rendezvous::new(group.min(count - first)));
    let groups: Vec<Arc<Rendezvous>> = groups.collect();
    let worker = |rank: usize| {
        let member = |rendezvous: &Arc<Rendezvous>, rank| {
            Arc::new(Member { rendezvous: Arc::clone(rendezvous), rank })
        };
        let scope = match group {
            1 => AscentScope::Local,
            _ if group == count => AscentScope::Global,
            _ => AscentScope::Group(member(&groups[rank / group], rank % group)),
        };
        Ok(Workers::new(rank, count, member(&all, rank))?.with_ascent_scope(scope))
    };
    (0..count).map(worker).collect()
}

/// Where threads meet.
#[derive(Debug)]
struct Rendezvous {
    members: usize,
    state: Mutex<Meeting>,
    turned: Condvar,
}

/// A meeting: all come and leave what they have, the last one works out the result, all take it.
#[derive(Debug, Default)]
struct Meeting {
    /// The number of the meeting.
    turn: u64,
    contributions: Vec<Option<Contribution>>,
    result: Option<Result<Contribution>>,
    gone: bool,
}

/// What one of them leaves.
#[derive(Debug, Clone, PartialEq)]
enum Contribution {
    Sum(Numbers),
    Broadcast(Vec<u8>),
}

/// One thread's part in a rendezvous.
#[derive(Debug)]
struct Member {
    rendezvous: Arc<Rendezvous>,
    rank: usize,
}

impl Rendezvous {
    fn new(members: usize) -> Arc<Self> {
        let state = Meeting { contributions: vec![None; members], ..Meeting::default() };
        Arc::new(Self { members, state: Mutex::new(state), turned: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Meeting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meet(&self, rank: usize, own: Contribution) -> Result<Contribution> {
        let left = || Err(Error::Collective("another worker has left".to_owned()));
        let mut meeting = self.lock();
        if meeting.gone {
            return left();
        }
        let turn = meeting.turn;
        meeting.contributions[rank] = Some(own);
        if meeting.contributions.iter().flatten().count() == self.members {
            let contributions = meeting.contributions.iter_mut().filter_map(Option::take).collect();
            meeting.result = Some(joined(contributions));
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
fn joined(contributions: Vec<Contribution>) -> Result<Contribution> {
    let apart = || Error::Collective("the workers do different things".to_owned());
    let mut contributions = contributions.into_iter();
    let mut result = contributions.next().ok_or_else(apart)?;
    for other in contributions {
        match (&mut result, other) {
            (Contribution::Broadcast(first), Contribution::Broadcast(other))
                if first.len() == other.len() => {}
            (Contribution::Sum(Numbers::F32(sums)), Contribution::Sum(Numbers::F32(values)))
                if sums.len() == values.len() =>
            {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
            (Contribution::Sum(Numbers::F64(sums)), Contribution::Sum(Numbers::F64(values)))
                if sums.len() == values.len() =>
            {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
            _ => return Err(apart()),
        }
    }
    Ok(result)
}

impl Drop for Member {
    fn drop(&mut self) {
        self.rendezvous.lock().gone = true;
        self.rendezvous.turned.notify_all();
    }
}

impl Collective for Member {
    fn all_reduce_sum(&self, values: Numbers) -> Result<Numbers> {
        match self.rendezvous.meet(self.rank, Contribution::Sum(values))? {
            Contribution::Sum(sums) => Ok(sums),
            Contribution::Broadcast(_) => {
                Err(Error::Collective("the workers do different things".into()))
            }
        }
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        match self.rendezvous.meet(self.rank, Contribution::Broadcast(bytes))? {
            Contribution::Broadcast(bytes) => Ok(bytes),
            Contribution::Sum(_) => {
                Err(Error::Collective("the workers do different things".into()))
            }
        }
    }
}
