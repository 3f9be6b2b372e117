//! What is kept of each run of a comparison once it is done.

use std::path::Path;

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::failure::Usage;
use crate::files::{
    AVERAGE, CHECKPOINTS, EVENTS, LAST, METRICS, MODEL, MODEL_CONFIG, SAFETENSORS, TOKENIZER, gone,
    remove_if_there,
};

/// Files of a run that can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kept {
    /// The weights: model.bpk and model.safetensors, those that are tested; last.bpk; average.bpk
    Weights,
    /// A line for each step and epoch: metrics.jsonl and TensorBoard events
    Metrics,
    /// The latest checkpoints
    Checkpoints,
    /// Only settings and results
    Nothing,
}

/// What is kept of a run once it is done. Its settings and its result always are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Keep(Vec<Kept>);

impl Default for Keep {
    /// Weights and metrics.
    fn default() -> Self {
        Self(vec![Kept::Weights, Kept::Metrics])
    }
}

impl Keep {
    /// What a list of flags asks for.
    ///
    /// # Errors
    /// `nothing` beside something else.
    pub(crate) fn of(flags: &[Kept]) -> Result<Self> {
        let mut kept = flags.to_vec();
        kept.sort_unstable();
        kept.dedup();
        if kept.contains(&Kept::Nothing) && kept.len() > 1 {
            bail!(Usage("--keep nothing excludes everything else: leave one of them out".into()));
        }
        kept.retain(|kept| *kept != Kept::Nothing);
        Ok(Self(kept))
    }

    /// The kinds of files that are kept.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kept> {
        self.0.iter().copied()
    }

    /// Whether files of this kind are kept.
    pub(crate) fn has(&self, kept: Kept) -> bool {
        self.0.contains(&kept)
    }

    /// Removes everything else from the folder of a run that is done.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub(crate) fn prune(&self, run: &Path) -> Result<()> {
        if !self.has(Kept::Checkpoints) {
            let folder = run.join(CHECKPOINTS);
            gone(&folder, std::fs::remove_dir_all(&folder))?;
        }
        let files: [(Kept, &[&str]); 2] = [
            (Kept::Metrics, &[METRICS, EVENTS]),
            (Kept::Weights, &[MODEL, LAST, AVERAGE, SAFETENSORS, MODEL_CONFIG, TOKENIZER]),
        ];
        for (kept, names) in files {
            for path in names.iter().map(|name| run.join(name)) {
                if !self.has(kept) {
                    remove_if_there(&path)?;
                }
            }
        }
        Ok(())
    }

    /// The list in words: "weights and metrics".
    pub(crate) fn in_words(&self) -> String {
        let name = |kept: &Kept| match kept {
            Kept::Weights => "weights",
            Kept::Metrics => "metrics",
            Kept::Checkpoints => "checkpoints",
            Kept::Nothing => "nothing",
        };
        match self.0.iter().map(name).collect::<Vec<_>>().as_slice() {
            [] => "settings and results alone".to_owned(),
            [one] => (*one).to_owned(),
            [front @ .., last] => format!("{} and {last}", front.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_removed() {
        let all = [METRICS, EVENTS, MODEL, SAFETENSORS];
        for (flags, words, left) in [
            (vec![Kept::Nothing], "settings and results alone", vec![]),
            (vec![Kept::Metrics, Kept::Weights], "weights and metrics", all.to_vec()),
            (vec![Kept::Metrics], "metrics", vec![METRICS, EVENTS]),
            (
                vec![Kept::Checkpoints, Kept::Weights, Kept::Weights],
                "weights and checkpoints",
                vec![CHECKPOINTS, MODEL, SAFETENSORS],
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for name in all.iter().chain(&["config.toml"]) {
                std::fs::write(folder.path().join(name), "").unwrap();
            }
            std::fs::create_dir_all(folder.path().join(CHECKPOINTS).join("one")).unwrap();
            let keep = Keep::of(&flags).unwrap();
            assert_eq!(keep.in_words(), words);
            keep.prune(folder.path()).unwrap();
            // What is gone already is no error.
            keep.prune(folder.path()).unwrap();
            let mut found: Vec<_> = std::fs::read_dir(folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            found.sort();
            let mut left: Vec<_> = left.iter().chain(&["config.toml"]).copied().collect();
            left.sort_unstable();
            assert_eq!(found, left);
        }
        assert!(Keep::of(&[Kept::Nothing, Kept::Weights]).is_err());
    }
}
