//! What the workers of a training agree on before a step.

use super::batch::{Accumulate, BatchInfo};
use crate::parallel::{Topic, Workers};
use crate::{Error, Result};

/// The part that a worker has of the samples of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shard {
    /// How many samples the workers before it have.
    pub(super) before: usize,
    /// How many it has.
    pub(super) own: usize,
    /// How many all have.
    pub(super) all: usize,
}

impl Shard {
    fn of(sizes: &[usize], rank: usize) -> Self {
        let before = sizes[..rank].iter().sum();
        Self { before, own: sizes[rank], all: sizes.iter().sum() }
    }

    /// Its part of positions among the samples of all, counted from its own first, and where that
    /// part begins among them.
    pub(super) fn part(&self, positions: &[usize]) -> (Vec<usize>, usize) {
        let own = self.before..self.before + self.own;
        let before = positions.iter().filter(|&&position| position < own.start).count();
        let part = positions.iter().filter(|position| own.contains(position));
        (part.map(|position| position - own.start).collect(), before)
    }
}

/// What all workers know of the step that they are about to take.
#[derive(Debug, Clone)]
pub(super) struct Agreement {
    /// The part of this worker in the batch.
    whole: Shard,
    /// Its part in each micro-batch, where the rule takes them one by one.
    pieces: Vec<Shard>,
    /// The numbers of the samples of all workers in the data set: of the batch and of each
    /// micro-batch.
    indices: Option<(Vec<usize>, Vec<Vec<usize>>)>,
    /// The seconds of steps so far, without and with a second gradient, the mean over the workers.
    pub(super) seconds: [f64; 2],
}

impl Agreement {
    /// The part of this worker in a micro-batch, or in the batch.
    pub(super) fn shard(&self, micro_batch: Option<usize>) -> Shard {
        micro_batch.map_or(self.whole, |i| self.pieces[i])
    }

    /// The numbers of a micro-batch's samples in the data set, or of the batch's.
    pub(super) fn indices(&self, micro_batch: Option<usize>) -> Option<&[usize]> {
        let (whole, pieces) = self.indices.as_ref()?;
        Some(micro_batch.map_or(whole, |i| &pieces[i]))
    }

    /// How many micro-batches the rule takes one by one; 0 where it takes the batch as a whole.
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// How many samples the workers have together.
    pub(super) fn samples(&self) -> usize {
        self.whole.all
    }
}

/// Finds out who has how many samples, and whether all are at the same step. `None` for a worker
/// alone.
pub(super) fn agree(
    workers: &Workers,
    batch: &BatchInfo<'_>,
    step: u64,
    seconds: [f64; 2],
    wants_indices: bool,
) -> Result<Option<Agreement>> {
    if !workers.are_several() {
        return Ok(None);
    }
    let own = batch.len().ok_or(Error::BatchSize)?;
    let pieces = pieces(batch, own);
    let [single, double] = seconds;
    let has_indices = f64::from(u8::from(batch.indices.is_some() || own == 0));
    let each = pieces.len() as f64;
    let table = workers
        .gather(Topic::Step, &[own as f64, step as f64, each, has_indices, single, double])?;
    let column = |i: usize| table.iter().skip(i).step_by(6).copied();

    if let Some(worker) = column(1).position(|other| other.to_bits() != table[1].to_bits()) {
        let found = table[6 * worker + 1].to_string();
        let expected = table[1].to_string();
        return Err(Error::OutOfStep { what: "the step", worker, expected, found });
    }
    let count = workers.count() as f64;
    let seconds = [column(4).sum::<f64>() / count, column(5).sum::<f64>() / count];
    let most = counts(column(2)).max().unwrap_or(0);
    let sizes: Vec<usize> = counts(column(0)).collect();
    let whole = Shard::of(&sizes, workers.rank());
    if whole.all == 0 {
        return Err(Error::NoEvaluation);
    }
    let table = if most == 0 { Vec::new() } else { piece_sizes(workers, pieces, most)? };
    let of_piece =
        |piece: usize| -> Vec<usize> { table.iter().skip(piece).step_by(most).copied().collect() };
    let pieces = (0..most).map(|piece| Shard::of(&of_piece(piece), workers.rank())).collect();
    let mut agreement = Agreement { whole, pieces, indices: None, seconds };
    if wants_indices && column(3).all(|has| has > 0.0) {
        let own = batch.indices.unwrap_or_default().iter().map(|&index| index as f64);
        let own: Vec<f64> = own.collect();
        let sums = gathered(workers, &own, whole.before, whole.all)?;
        let all: Vec<usize> = counts(sums.into_iter()).collect();
        let pieces = by_piece(&all, &table, most);
        agreement.indices = Some((all, pieces));
    }
    Ok(Some(agreement))
}

/// The sizes of the micro-batches that the rule takes one by one; none where it takes the batch as
/// a whole.
fn pieces(batch: &BatchInfo<'_>, own: usize) -> Vec<usize> {
    match batch.accumulate {
        Accumulate::WholeBatch => Vec::new(),
        Accumulate::EachMicroBatch if batch.micro_batches.is_empty() => {
            if own == 0 {
                Vec::new()
            } else {
                vec![own]
            }
        }
        Accumulate::EachMicroBatch => batch.micro_batches.to_vec(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of samples that came as numbers"
)]
fn counts(numbers: impl Iterator<Item = f64>) -> impl Iterator<Item = usize> {
    numbers.map(|number| number as usize)
}

/// How many samples each worker has in each of `most` micro-batches, worker by worker; those who
/// have fewer have none in the rest.
fn piece_sizes(workers: &Workers, pieces: Vec<usize>, most: usize) -> Result<Vec<usize>> {
    let mut own: Vec<f64> = pieces.into_iter().map(|size| size as f64).collect();
    own.resize(most, 0.0);
    Ok(counts(workers.gather(Topic::Step, &own)?.into_iter()).collect())
}

/// What is listed worker by worker, and within a worker by its micro-batches, for each micro-batch.
fn by_piece(all: &[usize], sizes: &[usize], most: usize) -> Vec<Vec<usize>> {
    let mut pieces = vec![Vec::new(); most];
    let mut rest = all;
    for (i, &size) in sizes.iter().enumerate() {
        let (own, after) = rest.split_at(size.min(rest.len()));
        pieces[i % most].extend_from_slice(own);
        rest = after;
    }
    pieces
}

/// The values of all workers in one list, of length `all`, where this worker's begin at `before`.
pub(super) fn gathered(
    workers: &Workers,
    own: &[f64],
    before: usize,
    all: usize,
) -> Result<Vec<f64>> {
    let mut values = vec![0.0; all];
    let Some(place) = values.get_mut(before..before + own.len()) else {
        return Err(Error::Losses { expected: all.saturating_sub(before), found: own.len() });
    };
    place.copy_from_slice(own);
    workers.sums_of(Topic::Losses, values)
}
