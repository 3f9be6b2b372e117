//! Work done ahead by threads and handed over in order.
//!
//! Every worker has a lane of its own: lane `l` of `n` prepares items `first + l`, `first + l + n`,
//! ... and the receiver takes from the lanes in turn. So the order is fixed by arithmetic,
//! whichever thread is faster, and a full lane holds its worker back.

use std::fmt;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

/// How many finished items a lane holds.
const LANE_DEPTH: usize = 2;

/// An iterator over `prepare(i)` for each `i` of a range.
pub(crate) struct Prefetch<T> {
    prepare: Arc<dyn Fn(usize) -> T + Send + Sync>,
    rest: Range<usize>,
    first: usize,
    lanes: Vec<Lane<T>>,
}

struct Lane<T> {
    /// `None` only while it is dropped.
    receiver: Option<Receiver<T>>,
    /// `None` once it was waited for.
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts up to `workers` threads; with 0, or where the system has none to give, items are
    /// prepared when they are asked for.
    pub(crate) fn new(
        prepare: impl Fn(usize) -> T + Send + Sync + 'static,
        range: Range<usize>,
        workers: usize,
    ) -> Self {
        let prepare: Arc<dyn Fn(usize) -> T + Send + Sync> = Arc::new(prepare);
        let count = workers.min(range.len());
        let start = |lane: usize| {
            let prepare = Arc::clone(&prepare);
            let items = (range.start + lane..range.end).step_by(count);
            Lane::start(move |item| prepare(item), items)
        };
        let lanes = (0..count).map(start).collect::<std::io::Result<_>>().unwrap_or_default();
        Self { first: range.start, rest: range, prepare, lanes }
    }
}

impl<T: Send + 'static> Lane<T> {
    fn start(
        prepare: impl Fn(usize) -> T + Send + 'static,
        items: impl Iterator<Item = usize> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(LANE_DEPTH);
        let work = move || {
            for item in items {
                if sender.send(prepare(item)).is_err() {
                    return; // the receiver is gone: nobody wants the rest
                }
            }
        };
        let thread = Builder::new().name("batches".to_owned()).spawn(work)?;
        Ok(Self { receiver: Some(receiver), thread: Some(thread) })
    }
}

impl<T> Lane<T> {
    /// The next item; a panic of the worker is resumed in the caller.
    fn receive(&mut self) -> Option<T> {
        if let Ok(item) = self.receiver.as_ref()?.recv() {
            return Some(item);
        }
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            resume_unwind(panic);
        }
        None
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        drop(self.receiver.take());
        if let Some(thread) = self.thread.take() {
            // A panic of a worker whose items nobody takes any more concerns nobody.
            let _ = thread.join();
        }
    }
}

impl<T> Iterator for Prefetch<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let item = self.rest.next()?;
        match self.lanes.len() {
            0 => Some((self.prepare)(item)),
            lanes => self.lanes[(item - self.first) % lanes].receive(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }
}

impl<T> fmt::Debug for Prefetch<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rest, lanes, .. } = self;
        formatter
            .debug_struct("Prefetch")
            .field("rest", rest)
            .field("workers", &lanes.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_order_is_that_of_the_range_for_any_number_of_workers() {
        for workers in [0, 1, 2, 3, 4, 50] {
            let prefetch = Prefetch::new(|item| item * 10, 3..30, workers);
            assert_eq!(prefetch.len_hint(), 27);
            let expected: Vec<_> = (3..30).map(|item| item * 10).collect();
            assert_eq!(prefetch.collect::<Vec<_>>(), expected, "{workers} workers");
        }
    }

    #[test]
    fn dropping_early_stops_the_workers_and_waits_for_them() {
        let prepared = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&prepared);
        let prepare = move |item| {
            count.fetch_add(1, Ordering::SeqCst);
            item
        };
        let mut prefetch = Prefetch::new(prepare, 0..usize::MAX, 4);
        assert_eq!(prefetch.next(), Some(0));
        drop(prefetch);
        // The workers held the only other clones of the counter.
        assert_eq!(Arc::strong_count(&prepared), 1);
        assert!(prepared.load(Ordering::SeqCst) <= 1 + 4 * (LANE_DEPTH + 1));
    }

    #[test]
    fn a_panic_of_a_worker_reaches_the_caller() {
        let prepare = |item: usize| {
            assert_ne!(item, 2, "item two");
            item
        };
        let mut prefetch = Prefetch::new(prepare, 0..5, 2);
        let all = catch_unwind(AssertUnwindSafe(|| prefetch.by_ref().count()));
        let message = *all.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("item two"), "{message}");
    }

    impl<T> Prefetch<T> {
        fn len_hint(&self) -> usize {
            self.size_hint().1.unwrap()
        }
    }
}
