//! The gradients that a rule is given, and the update that it gives back.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use crate::{Error, ParamVec, Result};

/// The gradient of a mean loss.
///
/// It reads as a [`ParamVec`]. [`ascent`](Self::ascent) is what a perturbation is made of; the two
/// are the same unless training was set up to ascend along part of a batch
/// ([`AscentScope`](crate::AscentScope)). The mean over the whole batch is then worked out when it
/// is first read, and a step that never reads it saves that.
#[derive(Debug, Clone)]
pub struct Gradient {
    ascent: ParamVec,
    /// Absent where `ascent` is the mean over the whole batch.
    mean: Option<Rc<Mean>>,
}

/// The mean over a whole batch, of which a [`Gradient`] has a part.
struct Mean {
    value: OnceCell<ParamVec>,
    exchange: Box<dyn Exchange>,
    failure: Rc<RefCell<Option<Error>>>,
}

impl fmt::Debug for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mean").field("value", &self.value).finish_non_exhaustive()
    }
}

/// Works out the mean of which a gradient is a part.
pub(crate) trait Exchange {
    fn mean(&self, part: &ParamVec) -> Result<ParamVec>;
}

impl Gradient {
    /// A gradient whose mean is worked out when it is first read. Reading cannot fail: the first
    /// error is put into `failure`, and the part stands in for the mean.
    pub(crate) fn partial(
        ascent: ParamVec,
        exchange: Box<dyn Exchange>,
        failure: Rc<RefCell<Option<Error>>>,
    ) -> Self {
        let mean = Mean { value: OnceCell::new(), exchange, failure };
        Self { ascent, mean: Some(Rc::new(mean)) }
    }

    /// The gradient that the perturbation of this step is made of.
    pub fn ascent(&self) -> &ParamVec {
        &self.ascent
    }

    /// The gradient with respect to some parameters, without the parts of the others.
    pub(crate) fn only(&self, keep: &[bool]) -> Self {
        let ascent = kept(&self.ascent, keep);
        match &self.mean {
            None => ascent.into(),
            Some(mean) => {
                let part = Part { whole: self.clone(), keep: keep.to_vec() };
                Self::partial(ascent, Box::new(part), Rc::clone(&mean.failure))
            }
        }
    }

    /// The gradient as a vector: the mean over the whole batch.
    #[must_use]
    pub fn into_vec(self) -> ParamVec {
        let Self { ascent, mean: Some(mean) } = self else { return self.ascent };
        let _ = mean.read(&ascent);
        match Rc::try_unwrap(mean) {
            Ok(mean) => mean.value.into_inner().unwrap_or(ascent),
            Err(shared) => shared.read(&ascent).clone(),
        }
    }
}

/// The mean of some parts of a gradient.
struct Part {
    whole: Gradient,
    keep: Vec<bool>,
}

impl Exchange for Part {
    fn mean(&self, _part: &ParamVec) -> Result<ParamVec> {
        Ok(kept(&self.whole, &self.keep))
    }
}

/// A vector without the parts that are not kept.
fn kept(vector: &ParamVec, keep: &[bool]) -> ParamVec {
    let parts = vector.parts().iter().zip(keep);
    ParamVec::new(parts.map(|(part, keep)| part.clone().filter(|_| *keep)).collect())
}

impl Mean {
    fn read(&self, part: &ParamVec) -> &ParamVec {
        self.value.get_or_init(|| match self.exchange.mean(part) {
            Ok(mean) => mean,
            Err(error) => {
                self.failure.borrow_mut().get_or_insert(error);
                part.clone()
            }
        })
    }
}

impl Deref for Gradient {
    type Target = ParamVec;

    fn deref(&self) -> &ParamVec {
        match &self.mean {
            None => &self.ascent,
            Some(mean) => mean.read(&self.ascent),
        }
    }
}

impl From<ParamVec> for Gradient {
    fn from(ascent: ParamVec) -> Self {
        Self { ascent, mean: None }
    }
}

impl From<Gradient> for ParamVec {
    fn from(gradient: Gradient) -> Self {
        gradient.into_vec()
    }
}

/// A perturbation is made of [`Gradient::ascent`].
impl<'a> From<&'a Gradient> for Cow<'a, ParamVec> {
    fn from(gradient: &'a Gradient) -> Self {
        Cow::Borrowed(gradient.ascent())
    }
}

/// The two gradients of a sharpness-aware step.
#[derive(Debug)]
pub struct Pair {
    g: Gradient,
    g_s: ParamVec,
    psf: OnceCell<ParamVec>,
}

impl Pair {
    /// Pairs `g = ∇L(w)` with `g_s = ∇L(w + e)`.
    pub fn new(g: impl Into<Gradient>, g_s: ParamVec) -> Self {
        Self { g: g.into(), g_s, psf: OnceCell::new() }
    }

    /// `g = ∇L(w)`
    pub fn g(&self) -> &ParamVec {
        &self.g
    }

    /// `g_s = ∇L(w + e)`
    pub fn g_s(&self) -> &ParamVec {
        &self.g_s
    }

    /// `psf = g_s − g`, the projection of the second-order gradient onto the first-order one;
    /// computed once.
    pub fn psf(&self) -> &ParamVec {
        self.psf.get_or_init(|| self.g_s.clone().minus(&self.g))
    }

    /// `g_s` alone.
    pub fn into_g_s(self) -> ParamVec {
        self.g_s
    }

    /// `(g_s, psf)`
    pub fn into_g_s_and_psf(self) -> (ParamVec, ParamVec) {
        let Self { g, g_s, psf } = self;
        let psf = psf.into_inner().unwrap_or_else(|| g_s.clone().minus(&g));
        (g_s, psf)
    }

    /// `(g, g_s)`
    pub fn into_both(self) -> (ParamVec, ParamVec) {
        (self.g.into_vec(), self.g_s)
    }
}

/// What a rule gives back: `w ← base(w, gradient) − lr·displacement`.
///
/// A parameter whose part is absent from the gradient is left alone by the base optimizer: no
/// weight decay, no momentum, and its moments and count of steps stand still.
#[derive(Debug, Clone)]
pub struct Update {
    /// The gradient that goes to the base optimizer.
    pub gradient: ParamVec,
    /// A direction that the weights move against after the base optimizer's step, by the learning
    /// rate of each parameter, past momentum, moments and weight decay.
    pub displacement: Option<ParamVec>,
}

impl Update {
    /// Adds a displacement after the base optimizer's step.
    #[must_use]
    pub fn with_displacement(mut self, direction: ParamVec) -> Self {
        self.displacement = Some(direction);
        self
    }
}

impl From<ParamVec> for Update {
    fn from(gradient: ParamVec) -> Self {
        Self { gradient, displacement: None }
    }
}

impl From<Gradient> for Update {
    fn from(gradient: Gradient) -> Self {
        gradient.into_vec().into()
    }
}
