//! Convolutions and gradients of their input: correlations of padded images.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::super::aligned::Aligned;
use super::super::{Real, lanes, vectorised};
use super::padded::{biases, buffer, padded};
use super::plan::{Part, Plan};
use super::tile::{self, Registers, Taps, cut};
use super::transpose::to_planes;

/// Weights that are in use at a time, in bytes: half of a small first-level cache.
const BLOCK: usize = 16 * 1024;

/// Bytes of padded images in use at a time: half of a second-level cache.
pub(super) const IMAGES: usize = 256 * 1024;

/// Pixels of the output in use at a time.
pub(super) const PIXELS: usize = 256;

/// From this many images on each is one piece of work; below, each tile of its channels is.
const WHOLE: usize = 8;

/// Output channels that are computed together: one or two vectors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// The first channel in the group.
    pub(super) first: usize,
    /// Channels.
    pub(super) count: usize,
    /// Vectors that hold them.
    pub(super) vectors: usize,
}

/// Asks for the registers of the vectors in use.
struct AskRegisters<T>(std::marker::PhantomData<T>);

impl<T: Real> WithSimd for AskRegisters<T> {
    type Output = Registers;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Registers {
        Registers { count: S::REGISTER_COUNT, lanes: lanes::<T, S>() }
    }
}

pub(super) fn registers<T: Real>() -> Registers {
    vectorised(AskRegisters::<T>(std::marker::PhantomData))
}

/// Cuts channels into spans.
pub(super) fn spans(registers: Registers, channels: usize) -> Vec<Span> {
    let lanes = registers.lanes;
    let starts = (0..channels).step_by(2 * lanes);
    let span = |first: usize| {
        let count = (channels - first).min(2 * lanes);
        Span { first, count, vectors: count.div_ceil(lanes) }
    };
    starts.map(span).collect()
}

/// Weights of a part and a span in the order of their use: `[input channel][tap][vectors]`.
struct Packed<T> {
    weights: Aligned<T>,
    /// Where each input channel and tap reads.
    offsets: Vec<usize>,
    /// Tiles of a row.
    tiles: Vec<(usize, usize)>,
}

fn pack<T: Real>(plan: &Plan, part: &Part, span: Span, registers: Registers, w: &[T]) -> Packed<T> {
    let width = span.vectors * registers.lanes;
    let mut weights = Aligned::zeros(plan.from * part.taps.len() * width);
    let mut places = weights.as_mut_slice().chunks_exact_mut(width);
    let mut offsets = Vec::with_capacity(plan.from * part.taps.len());
    for channel in 0..plan.from {
        for &(tap, offset) in &part.taps {
            offsets.push(channel * plan.layout.plane() + offset);
            let first = channel * plan.weight_steps[0] + tap;
            let values = (span.first..span.first + span.count)
                .map(|to| w[first + to * plan.weight_steps[1]]);
            let place = places.next().into_iter().flatten();
            place.zip(values).for_each(|(place, value)| *place = value);
        }
    }
    // A place that two tiles share would get the later blocks' products twice.
    let whole = offsets.len() <= block::<T>(width);
    let tiles = cut(registers, span.vectors, part.grid[1], whole);
    Packed { weights, offsets, tiles }
}

/// Taps whose weights are in use at a time.
#[inline(always)]
fn block<T>(width: usize) -> usize {
    (BLOCK / (width * size_of::<T>())).max(1)
}

/// The outputs `[images, groups · to, pixels]` of a plan, of `x`
/// `[images, groups · from, height, width]`.
pub(super) fn correlate<T: Real>(plan: &Plan, x: &[T], w: &[T], bias: Option<&[T]>) -> Vec<T> {
    let mut output = vec![T::ZERO; plan.images * plan.groups * plan.to * plan.pixels];
    if output.is_empty() || plan.from == 0 {
        return output;
    }
    let registers = registers::<T>();
    let spans = spans(registers, plan.to);
    let group_weights = w.len() / plan.groups;
    let packed: Vec<Vec<Packed<T>>> = (0..plan.groups * spans.len())
        .into_par_iter()
        .map(|i| {
            let (group, span) = (i / spans.len(), spans[i % spans.len()]);
            let w = &w[group * group_weights..][..group_weights];
            plan.parts.iter().map(|part| pack(plan, part, span, registers, w)).collect()
        })
        .collect();
    let bias = biases(bias, plan.groups * plan.to);
    let shared = Shared { plan, spans: &spans, packed: &packed, bias: &bias, x };

    let planes = output.chunks_exact_mut(plan.to * plan.pixels);
    let at_once = plan.at_once::<T>();
    let works: Vec<_> = if plan.images < WHOLE {
        planes.enumerate().flat_map(|(i, planes)| shared.by_span(i, planes)).collect()
    } else {
        let planes: Vec<_> = planes.collect();
        shared.by_images(at_once, planes)
    };
    let room = || Room {
        images: buffer(&plan.layout, plan.from * at_once),
        sums: Aligned::zeros(plan.room(registers) * at_once),
    };
    works
        .into_par_iter()
        .for_each_init(room, |room, work| vectorised(InRoom { shared, work, room }));
    output
}

impl Plan {
    /// The sums of a span that are kept until they are written.
    fn room(&self, registers: Registers) -> usize {
        let pixels = self.parts.iter().map(|part| part.grid[0] * part.grid[1]).max();
        pixels.unwrap_or(0) * 2 * registers.lanes
    }

    /// How many images go through the same weights before the next ones are read: several where
    /// they are small.
    fn at_once<T>(&self) -> usize {
        let size = self.from * self.layout.plane() * size_of::<T>();
        let fit = (IMAGES / size.max(1)).min(PIXELS / self.pixels.max(1));
        fit.clamp(1, (self.images / WHOLE).max(1))
    }
}

/// Memory that a thread keeps from one piece of work to the next.
struct Room<T> {
    images: Vec<T>,
    sums: Aligned<T>,
}

/// What all pieces of work read.
#[derive(Clone, Copy)]
struct Shared<'a, T> {
    plan: &'a Plan,
    spans: &'a [Span],
    /// For each group and span, for each part.
    packed: &'a [Vec<Packed<T>>],
    bias: &'a [T],
    x: &'a [T],
}

/// Some output channels of one group, of some images.
struct Work<'a, T> {
    group: usize,
    /// The first span, and how many.
    spans: [usize; 2],
    first_image: usize,
    /// Of each image.
    planes: Vec<&'a mut [T]>,
}

impl<T: Real> Shared<'_, T> {
    /// A piece of work for each span of the planes of one group of one image.
    fn by_span<'b>(&self, place: usize, planes: &'b mut [T]) -> Vec<Work<'b, T>> {
        let (first_image, group) = (place / self.plan.groups, place % self.plan.groups);
        let widest = self.spans.first().map_or(1, |span| span.count);
        let planes = planes.chunks_mut(widest * self.plan.pixels).enumerate();
        let work = |(i, planes)| Work { group, spans: [i, 1], first_image, planes: vec![planes] };
        planes.map(work).collect()
    }

    /// A piece of work for `count` images of one group, given the planes of all images and groups.
    fn by_images<'b>(&self, count: usize, planes: Vec<&'b mut [T]>) -> Vec<Work<'b, T>> {
        let groups = self.plan.groups;
        let mut works = Vec::new();
        for (i, planes) in planes.into_iter().enumerate() {
            let (image, group) = (i / groups, i % groups);
            if image % count == 0 {
                let spans = [0, self.spans.len()];
                works.push(Work { group, spans, first_image: image, planes: Vec::new() });
            }
            works[image / count * groups + group].planes.push(planes);
        }
        works
    }
}

struct InRoom<'a, 'b, T> {
    shared: Shared<'a, T>,
    work: Work<'a, T>,
    room: &'b mut Room<T>,
}

impl<T: Real> WithSimd for InRoom<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { shared: Shared { plan, spans, packed, bias, x }, work, room } = self;
        let Work { group, spans: [first_span, span_count], first_image, mut planes } = work;
        let layout = &plan.layout;
        let planes_in = plan.from * layout.size[0] * layout.size[1];
        // Where images are used as they lie, the next one begins after all groups.
        let step =
            if layout.is_plain() { plan.groups * planes_in } else { plan.from * layout.plane() };
        let first = &x[(first_image * plan.groups + group) * planes_in..];
        let images = if layout.is_plain() {
            first
        } else {
            for (i, room) in room.images.chunks_exact_mut(step).take(planes.len()).enumerate() {
                padded(layout, &first[i * plan.groups * planes_in..][..planes_in], room);
            }
            &room.images[..]
        };
        let mut start = 0;
        for s in first_span..first_span + span_count {
            let span = spans[s];
            let packed = &packed[group * spans.len() + s];
            let bias = &bias[group * plan.to + span.first..][..span.count];
            for (part, packed) in plan.parts.iter().zip(packed) {
                let sums = room.sums.as_mut_slice();
                let width = span.vectors * lanes::<T, S>();
                let images = Images { values: images, step, count: planes.len() };
                if packed.offsets.is_empty() {
                    sums.fill(T::ZERO);
                } else if span.vectors == 1 {
                    run::<T, S, 1>(simd, part, packed, images, sums);
                } else {
                    run::<T, S, 2>(simd, part, packed, images, sums);
                }
                let size = part.grid[0] * part.grid[1] * width;
                for (planes, sums) in planes.iter_mut().zip(sums.chunks_exact(size)) {
                    let planes = &mut planes[start..][..span.count * plan.pixels];
                    to_planes(part, plan.pixels, sums, width, bias, planes);
                }
            }
            start += span.count * plan.pixels;
        }
    }
}

/// Padded images.
#[derive(Clone, Copy)]
struct Images<'a, T> {
    values: &'a [T],
    /// From one to the next.
    step: usize,
    count: usize,
}

/// The sums of a part and a span, `[image][pixel][vectors]`.
#[inline(always)]
fn run<T: Real, S: Simd, const V: usize>(
    simd: S,
    part: &Part,
    packed: &Packed<T>,
    images: Images<'_, T>,
    sums: &mut [T],
) {
    let width = V * lanes::<T, S>();
    let [rows, columns] = part.grid;
    let taps = block::<T>(width);
    let blocks = packed.weights.as_slice().chunks(taps * width).zip(packed.offsets.chunks(taps));
    for (i, (weights, offsets)) in blocks.enumerate() {
        for row in 0..images.count * rows {
            let start = row / rows * images.step + row % rows * part.pitch;
            for &(x, places) in &packed.tiles {
                let sums = &mut sums[(row * columns + x) * width..][..places * width];
                let image = &images.values[start + x..];
                let taps = Taps { weights, offsets, image };
                tile::correlate::<T, S, V>(simd, places, taps, i == 0, sums);
            }
        }
    }
}
