//! How the learning rate changes over training.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::setting;

/// Where a warm-up begins, as a share of the learning rate: a step with a rate of 0 is none.
const WARMUP_START: f64 = 0.01;

/// Where one-cycle begins and ends, as shares of the learning rate (as in PyTorch's `OneCycleLR`).
const CYCLE: (f64, f64) = (1.0 / 25.0, 1.0 / 25.0e4);

/// How the learning rate changes over training, by the share of it that is done: steps, or what is
/// used up of a limit on passes or seconds. It depends on nothing else, so that it is the same
/// after a resume and for any number of workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Which one. Default `cosine`.
    pub name: ScheduleName,
    /// Where cosine and linear end, as a share of the learning rate, from 0 to 1. Default 0.
    pub floor: f64,
    /// After which shares of training `steps` lowers the rate, each above 0 and below 1, in order.
    /// Default 0.5 and 0.75.
    pub at: Vec<f64>,
    /// What `steps` multiplies the rate by at each of them, above 0 and at most 1. Default 0.1.
    pub factor: f64,
    /// The share of training in which `one-cycle` rises, above 0 and below 1. Default 0.3.
    pub rise: f64,
    /// The share of training in which the rate rises linearly, from a hundredth, before the
    /// schedule begins; from 0 to below 1. Does not apply to `one-cycle`. Default 0.
    pub warmup: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            name: ScheduleName::Cosine,
            floor: 0.0,
            at: vec![0.5, 0.75],
            factor: 0.1,
            rise: 0.3,
            warmup: 0.0,
        }
    }
}

/// A schedule that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    /// It stays.
    Constant,
    /// It is lowered by a factor at some shares of training.
    Steps,
    /// It falls along half a cosine to a floor (Loshchilov and Hutter, arXiv 1608.03983, without
    /// restarts).
    #[default]
    Cosine,
    /// It falls along a line to a floor.
    Linear,
    /// It rises along a cosine from a 25th and falls along another to almost nothing (Smith and
    /// Topin, arXiv 1708.07120).
    OneCycle,
}

impl ScheduleConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) where one is out of range.
    pub fn check(&self) -> Result<()> {
        let Self { floor, factor, rise, warmup, .. } = *self;
        setting("floor", (0.0..=1.0).contains(&floor), floor, "between 0 and 1")?;
        setting("factor", factor > 0.0 && factor <= 1.0, factor, "above 0 and at most 1")?;
        setting("rise", rise > 0.0 && rise < 1.0, rise, "above 0 and below 1")?;
        setting("warmup", (0.0..1.0).contains(&warmup), warmup, "at least 0 and below 1")?;
        let applies = warmup == 0.0 || self.name != ScheduleName::OneCycle;
        setting("warmup", applies, warmup, "left out with one-cycle, which has its own rise")?;
        for &share in &self.at {
            setting("at", share > 0.0 && share < 1.0, share, "shares above 0 and below 1")?;
        }
        let found = self.at.windows(2).find(|two| two[0] >= two[1]).map_or(0.0, |two| two[1]);
        setting("at", self.at.is_sorted_by(|a, b| a < b), found, "shares in rising order")
    }

    /// The rate of a step for the learning rate `rate`, where `share` of training is done, 0 to 1.
    pub fn rate(&self, rate: f64, share: f64) -> f64 {
        if share < self.warmup {
            return rate * (WARMUP_START + (1.0 - WARMUP_START) * share / self.warmup);
        }
        let done = (share - self.warmup) / (1.0 - self.warmup);
        let floor = rate * self.floor;
        match self.name {
            ScheduleName::Constant => rate,
            ScheduleName::Steps => {
                // Shares are of the whole of training, warm-up included.
                let count = self.at.iter().filter(|&&at| share >= at).count();
                (0..count).fold(rate, |rate, _| rate * self.factor)
            }
            ScheduleName::Cosine => cosine(rate, floor, done),
            ScheduleName::Linear => rate + (floor - rate) * done,
            ScheduleName::OneCycle if done < self.rise => {
                cosine(rate * CYCLE.0, rate, done / self.rise)
            }
            ScheduleName::OneCycle => {
                cosine(rate, rate * CYCLE.1, (done - self.rise) / (1.0 - self.rise))
            }
        }
    }

    /// The schedule in words, for a report: "cosine to 0 after a warm-up of 5 %".
    pub fn in_words(&self) -> String {
        let percent = |share: f64| format!("{} %", (1000.0 * share).round() / 10.0);
        let floor = if self.floor == 0.0 { "0".to_owned() } else { percent(self.floor) };
        let name = match self.name {
            ScheduleName::Constant => "constant".to_owned(),
            ScheduleName::Steps => {
                let at: Vec<String> = self.at.iter().map(|&at| percent(at)).collect();
                format!("times {} after {}", self.factor, at.join(" and "))
            }
            ScheduleName::Cosine => format!("cosine to {floor}"),
            ScheduleName::Linear => format!("linear to {floor}"),
            ScheduleName::OneCycle => format!("one cycle, rising for {}", percent(self.rise)),
        };
        match self.warmup {
            0.0 => name,
            warmup => format!("{name}, after a warm-up of {}", percent(warmup)),
        }
    }
}

/// Half a cosine from `from` to `to`.
fn cosine(from: f64, to: f64, share: f64) -> f64 {
    to + 0.5 * (from - to) * (1.0 + (share * std::f64::consts::PI).cos())
}

#[cfg(test)]
mod tests {
    use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;

    use super::*;

    fn named(name: ScheduleName) -> ScheduleConfig {
        ScheduleConfig { name, ..ScheduleConfig::default() }
    }

    #[test]
    fn the_cosine_is_burns_bit_for_bit() {
        let mut burn = CosineAnnealingLrSchedulerConfig::new(0.05, 37).init().unwrap();
        for step in 0..37 {
            let share = f64::from(step) / 37.0;
            let rate = named(ScheduleName::Cosine).rate(0.05, share);
            assert_eq!(rate.to_bits(), burn.step().base().to_bits(), "{step}");
        }
    }

    #[test]
    fn each_schedule_goes_through_the_points_of_its_definition() {
        let at = |config: &ScheduleConfig, share: f64| config.rate(2.0, share);
        let near = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-12, "{found} and {expected}");
        };
        let constant = named(ScheduleName::Constant);
        near(at(&constant, 0.0), 2.0);
        near(at(&constant, 0.9), 2.0);
        let steps = named(ScheduleName::Steps);
        for (share, rate) in [(0.0, 2.0), (0.49, 2.0), (0.5, 0.2), (0.74, 0.2), (0.75, 0.02)] {
            near(at(&steps, share), rate);
        }
        let linear = ScheduleConfig { floor: 0.1, ..named(ScheduleName::Linear) };
        for (share, rate) in [(0.0, 2.0), (0.5, 1.1), (1.0, 0.2)] {
            near(at(&linear, share), rate);
        }
        let cosine = ScheduleConfig { floor: 0.1, warmup: 0.2, ..named(ScheduleName::Cosine) };
        for (share, rate) in [(0.0, 0.02), (0.1, 1.01), (0.2, 2.0), (0.6, 1.1), (1.0, 0.2)] {
            near(at(&cosine, share), rate);
        }
        let cycle = named(ScheduleName::OneCycle);
        for (share, rate) in [(0.0, 0.08), (0.15, 1.04), (0.3, 2.0), (1.0, 8e-6)] {
            near(at(&cycle, share), rate);
        }
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let said = |config: ScheduleConfig| config.check().unwrap_err().to_string();
        let base = ScheduleConfig::default;
        for (config, start) in [
            (ScheduleConfig { floor: 1.5, ..base() }, "floor must be between 0 and 1"),
            (ScheduleConfig { factor: 0.0, ..base() }, "factor must be above 0"),
            (ScheduleConfig { rise: 1.0, ..base() }, "rise must be above 0 and below 1"),
            (ScheduleConfig { warmup: 1.0, ..base() }, "warmup must be at least 0 and below 1"),
            (ScheduleConfig { at: vec![0.5, 0.4], ..base() }, "at must be shares in rising order"),
            (ScheduleConfig { at: vec![f64::NAN], ..base() }, "at must be shares above 0"),
            (
                ScheduleConfig { warmup: 0.1, ..named(ScheduleName::OneCycle) },
                "warmup must be left out with one-cycle",
            ),
        ] {
            assert!(said(config.clone()).starts_with(start), "{}", said(config));
        }
        assert_eq!(
            ScheduleConfig { warmup: 0.05, ..base() }.in_words(),
            "cosine to 0, after a warm-up of 5 %"
        );
    }
}
