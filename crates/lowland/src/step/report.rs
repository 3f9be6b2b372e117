//! What one step did.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::Result;
use crate::rule::{Note, PSF_NORM, RADIUS};
use crate::vector::{Scalar, read};

/// What one step did. Numbers lie on the device until [`values`](Self::values) asks for them; the
/// optimizer asks itself, unless it measures [`Nothing`](crate::Diagnostics::Nothing).
#[derive(Debug, Clone)]
pub struct StepReport {
    /// The number of the step, counted from 0.
    pub step: u64,
    /// The cost of this step's evaluations, in gradient evaluations of a whole batch.
    pub passes: f64,
    /// The number of gradients taken, of however many samples each.
    pub evaluations: u32,
    /// Whether a gradient at perturbed weights was taken after the first evaluation.
    pub second_gradient: bool,
    /// Whether the loss or the gradient was not finite, so that nothing was changed.
    pub skipped: bool,
    /// Always there, except in steps of a Burn `Learner`, which does not give it.
    pub(crate) loss: Option<Scalar>,
    pub(crate) gradient_norm: Option<Scalar>,
    pub(crate) perturbed_norm: Option<Scalar>,
    pub(crate) update_norm: Option<Scalar>,
    pub(crate) notes: Vec<(&'static str, Note)>,
    pub(crate) values: OnceCell<StepValues>,
}

/// The numbers of a [`StepReport`].
#[derive(Debug, Clone, PartialEq)]
pub struct StepValues {
    /// The mean loss of the first evaluation, over the samples it was taken on. At the weights
    /// before the step, except for MSAM, SAMPa and bSAM.
    pub loss: f64,
    /// `‖g‖`, the norm of the gradient at the weights. `None` where no gradient at the weights was
    /// taken.
    pub gradient_norm: Option<f64>,
    /// `‖g_s‖`, the norm of the gradient at the perturbed weights, at steps that took it.
    pub perturbed_norm: Option<f64>,
    /// `‖g_s − g‖`, at steps that took both.
    pub psf_norm: Option<f64>,
    /// The cosine of the angle between g and `g_s`, at steps that took both.
    pub cosine: Option<f64>,
    /// The norm of the gradient that went to the base optimizer, before clipping.
    pub update_norm: Option<f64>,
    /// `‖e‖`, the length of the perturbation, at steps that took a gradient at perturbed weights;
    /// of several, the last.
    pub radius: Option<f64>,
    /// What the rule noted beyond that, by name.
    pub notes: BTreeMap<&'static str, f64>,
}

impl StepReport {
    /// The mean loss of the first evaluation, on the device, of shape `[1]`.
    ///
    /// # Panics
    /// Never: every report that is handed out has a loss.
    pub fn loss(&self) -> &Scalar {
        self.loss.as_ref().expect("a loss closure gave it")
    }

    /// Reads all numbers back from the device, in one transfer and once.
    ///
    /// # Errors
    /// The device fails.
    pub fn values(&self) -> Result<&StepValues> {
        if let Some(values) = self.values.get() {
            return Ok(values);
        }
        let values = self.read()?;
        Ok(self.values.get_or_init(|| values))
    }

    fn read(&self) -> Result<StepValues> {
        let on_device = self.notes.iter().filter_map(|(name, note)| match note {
            Note::Value(_) => None,
            Note::Device(scalar) => Some((*name, scalar)),
        });
        let numbers = [
            ("loss", &self.loss),
            ("g", &self.gradient_norm),
            ("g_s", &self.perturbed_norm),
            ("update", &self.update_norm),
        ];
        let numbers = numbers.iter().filter_map(|(name, number)| Some((*name, number.as_ref()?)));
        let (names, scalars): (Vec<_>, Vec<_>) = numbers.chain(on_device).unzip();
        let numbers = read(scalars.into_iter().cloned().collect())?;

        let mut found: BTreeMap<&'static str, f64> = names.into_iter().zip(numbers).collect();
        found.extend(self.notes.iter().filter_map(|(name, note)| match note {
            Note::Value(value) => Some((*name, *value)),
            Note::Device(_) => None,
        }));
        let mut take = |name| found.remove(name);
        let loss = take("loss").unwrap_or(f64::NAN);
        let (gradient_norm, perturbed_norm) = (take("g"), take("g_s"));
        let (psf_norm, update_norm) = (take(PSF_NORM), take("update"));
        let radius = take(RADIUS);
        let cosine = cosine(gradient_norm, perturbed_norm, psf_norm);
        Ok(StepValues {
            loss,
            gradient_norm,
            perturbed_norm,
            psf_norm,
            cosine,
            update_norm,
            radius,
            notes: found,
        })
    }
}

/// By the law of cosines, which is exact to rounding where the angle is small, as it is here.
fn cosine(g: Option<f64>, g_s: Option<f64>, psf: Option<f64>) -> Option<f64> {
    let (g, g_s, psf) = (g?, g_s?, psf?);
    let product = 2.0 * g * g_s;
    (product > 0.0).then(|| ((g * g + g_s * g_s - psf * psf) / product).clamp(-1.0, 1.0))
}
