//! SL-SAM: idle tensors rest.

use std::collections::BTreeMap;

use lowland::{ParamVec, Parameters, Rule, Selection, SparseLayerSamConfig, Surface, Update};

use super::{
    RHO, base_state, bases, follow, near, near_paths, norm, path, present, share_of_one, weights,
};
use crate::common::numbers;
use crate::workers::{batch_of, net};

/// Idle tensors keep weights, buffers, moments and counts of steps to the bit; those of the others
/// move. `‖e‖ = ρ` over the active ones, and at least one is active.
#[test]
fn slsam_leaves_the_state_of_idle_tensors_alone() {
    for (name, base) in &bases()[1..] {
        let rule = SparseLayerSamConfig::new(RHO).with_s(0.4).build().unwrap();
        let parameters = Parameters::of(&net()).unwrap();
        let mut kept = vec![BTreeMap::new(); parameters.len()];
        let (mut idle, mut resting) = (0, 0);
        follow(rule, base.clone(), 30, &batch_of, &mut |step| {
            let active = present(&step.seen.perturbations[0]);
            assert!(active.contains(&true), "{name}");
            assert_eq!(present(step.seen.final_gradient.as_ref().unwrap()), active, "{name}");
            near(&[norm(&step.e())], &[RHO * share_of_one(&step.g())], name);
            let parameters = Parameters::of(step.after).unwrap();
            let state = base_state(step.optimizer, &parameters);
            let (before, after) = (weights(step.before), weights(step.after));
            for (i, &active) in active.iter().enumerate() {
                let of = |vector: &ParamVec| numbers(vector.parts()[i].clone().unwrap());
                assert_eq!(of(&before) == of(&after), !active, "{name}: weights of {i}");
                assert_eq!(state[i] == kept[i], !active, "{name}: state of {i} at {}", step.t);
                assert!(!active || !state[i].is_empty(), "{name}: no state of {i}");
                idle += u32::from(!active);
                resting += u32::from(!active && !kept[i].is_empty());
            }
            kept = state;
        });
        assert!(idle > 30 && resting > 15, "{name}: {idle} idle, {resting} with a state");
    }
}

/// The gradient at the weights with respect to tensors that are written down, the others left out.
#[derive(Debug, Clone)]
struct OnlyThese(Vec<Vec<bool>>);

impl Rule for OnlyThese {
    fn update(&mut self, surface: &mut dyn Surface) -> lowland::Result<Update> {
        let keep = &self.0[usize::try_from(surface.step()).unwrap()];
        let g = surface.gradient(&Selection::ALL)?.into_vec().into_parts();
        let parts = g.into_iter().zip(keep);
        Ok(ParamVec::new(parts.map(|(part, keep)| part.filter(|_| *keep)).collect()).into())
    }
}

#[test]
fn slsam_without_radius_is_the_base_on_the_drawn_tensors() {
    for (name, base) in bases() {
        let rule = SparseLayerSamConfig::new(0.0).with_s(0.4).build().unwrap();
        let (mut drawn, mut found) = (Vec::new(), Vec::new());
        follow(rule, base.clone(), 20, &batch_of, &mut |step| {
            drawn.push(present(step.seen.final_gradient.as_ref().unwrap()));
            found.push(step.after());
        });
        assert!(drawn.iter().flatten().any(|drawn| !drawn), "{name}: some are idle");
        near_paths(&found, &path(Box::new(OnlyThese(drawn)), base, 20), name);
    }
}
