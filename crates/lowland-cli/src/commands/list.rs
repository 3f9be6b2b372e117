//! `lowland list`: what can be named.

use anyhow::Result;
use clap::{Args, ValueEnum};
use lowland::{Algorithm, Descriptor};
use lowland_tasks::config::OptimizerName;
use lowland_tasks::data::DataName;
use lowland_tasks::models::ModelName;

use crate::device;
use crate::layout::{self, hanging, wrapped};
use crate::terminal::print;

/// The widest that lines are on a wide terminal.
const MOST: usize = 100;

/// List the algorithms, networks, data sets, base optimizers and devices
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only these
    #[arg(value_name = "WHAT")]
    what: Option<What>,
}

/// A kind of thing that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Algorithms,
    Models,
    Data,
    Optimizers,
    Devices,
}

impl What {
    fn title(self) -> &'static str {
        match self {
            Self::Algorithms => {
                "Algorithms [passes per step; memory kept, in copies of the parameters] source, how \
                 it was checked"
            }
            Self::Models => "Networks",
            Self::Data => "Data sets",
            Self::Optimizers => "Base optimizers",
            Self::Devices => "Devices",
        }
    }

    fn lines(self) -> Vec<(String, String)> {
        let line = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        match self {
            Self::Algorithms => {
                let description = |d: &Descriptor| {
                    let Descriptor { summary, passes, memory, source, fidelity, .. } = d;
                    format!("{summary} [{passes}; memory {memory}] {source}, {fidelity}")
                };
                Algorithm::ALL.iter().map(|d| line(d.name, &description(d))).collect()
            }
            Self::Models => ModelName::ALL.map(|m| line(m.name(), m.description())).to_vec(),
            Self::Data => DataName::ALL.map(|d| line(d.name(), d.description())).to_vec(),
            Self::Optimizers => {
                OptimizerName::ALL.map(|o| line(o.name(), o.description())).to_vec()
            }
            Self::Devices => device::list(),
        }
    }
}

impl List {
    /// Prints the lists.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn run(self) -> Result<()> {
        let all = What::value_variants().iter().copied();
        let chosen: Vec<What> =
            all.filter(|what| self.what.is_none_or(|only| only == *what)).collect();
        let width = layout::width().min(MOST);
        let section = |what: &What| {
            let lines = what.lines().into_iter();
            let lines = lines.map(|(name, text)| hanging(&format!("  {name:14} "), &text, width));
            let title = self.what.is_none().then(|| wrapped(what.title(), width));
            title.into_iter().chain(lines).collect::<Vec<_>>().join("\n")
        };
        print(&chosen.iter().map(section).collect::<Vec<_>>().join("\n\n"))
    }
}
