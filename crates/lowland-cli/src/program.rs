//! The task that a program brings, and the data of any run.

use std::fmt;
use std::sync::{Arc, OnceLock};

use lowland_tasks::config::TrainConfig;
use lowland_tasks::data::DataName;
use lowland_tasks::models::ModelName;
use lowland_tasks::own::{self, OwnTask};
use lowland_tasks::task::Task;
use lowland_tasks::train::Data;
use lowland_tasks::{Error, Result};
use toml::{Table, Value};

/// A program with a task of its own, to be run as [`run_program`](crate::run_program) does.
pub struct Program {
    name: String,
    settings: String,
    load: Box<Load>,
}

/// Loads the task for the settings of a run.
type Load = dyn Fn(&TrainConfig) -> Result<Arc<dyn Task>> + Send + Sync;

impl Program {
    /// Creates the program of a task.
    pub fn of<T: OwnTask>(task: T) -> Self {
        let (name, settings) = (task.name().to_owned(), task.settings().to_owned());
        let task = Arc::new(task);
        Self::new(name, settings, move |config| own::load_shared(Arc::clone(&task), config))
    }

    /// A program for what [`OwnTask`] does not cover: its name, which runs keep, settings that
    /// differ from Lowland's defaults, as TOML, and what loads the task for the settings of a run.
    /// Its networks are [`Model::Own`](lowland_tasks::models::Model::Own).
    pub fn new(
        name: impl Into<String>,
        settings: impl Into<String>,
        load: impl Fn(&TrainConfig) -> Result<Arc<dyn Task>> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), settings: settings.into(), load: Box::new(load) }
    }

    /// The name that runs keep.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What lies under the settings of its runs.
    ///
    /// # Errors
    /// Settings that are not TOML.
    fn table(&self) -> Result<Table> {
        let mut table: Table = toml::from_str(&self.settings).map_err(|error| Error::Own {
            program: self.name.clone(),
            reason: format!("its settings are no TOML: {}", error.message()),
        })?;
        table.insert("program".to_owned(), Value::String(self.name.clone()));
        table.insert("model".to_owned(), Value::String(ModelName::Own.name().to_owned()));
        let data = table.entry("data").or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(data) = data {
            data.insert("name".to_owned(), Value::String(DataName::Own.name().to_owned()));
        }
        Ok(table)
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The program that runs, where it has a task of its own. Every command of it, and every worker
/// that a comparison starts, has the same.
static PROGRAM: OnceLock<(Program, Table)> = OnceLock::new();

/// Makes `program` the one that runs.
///
/// # Errors
/// Settings that are not TOML, and a second program.
pub(crate) fn begin(program: Program) -> Result<()> {
    let (table, name) = (program.table()?, program.name.clone());
    PROGRAM.set((program, table)).map_err(|_| Error::Own {
        program: name,
        reason: "another program runs in this process already".to_owned(),
    })
}

/// What the command is called on the command line: the name of the program that runs.
pub(crate) fn command_name() -> &'static str {
    PROGRAM.get().map_or("lowland", |(program, _)| &program.name)
}

/// A command of the program, as it is typed, such as `lowland resume`.
pub(crate) fn command(name: &str) -> String {
    format!("{} {name}", command_name())
}

/// What lies under the settings of every run: nothing, unless the program has a task of its own.
pub(crate) fn settings() -> Table {
    PROGRAM.get().map(|(_, table)| table.clone()).unwrap_or_default()
}

/// The data of a run.
///
/// # Errors
/// Whatever reading it gives, and a run of another program.
pub(crate) fn load(config: &TrainConfig) -> Result<Data> {
    match (&config.program, PROGRAM.get()) {
        (Some(name), Some((program, _))) if program.name == *name => {
            Data::of((program.load)(config)?, config)
        }
        // Its error says which program it belongs to.
        _ => Data::load(config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_program_name_it_and_its_own_data_and_network() {
        let program = |settings: &str| {
            Program::new("housing", settings, |_| {
                Err(Error::Own { program: "housing".to_owned(), reason: "no data".to_owned() })
            })
        };
        let table = program("epochs = 3\ndata.label_noise = 0.1").table().unwrap();
        let config: TrainConfig = table.try_into().unwrap();
        assert_eq!((config.epochs, config.program.as_deref()), (3, Some("housing")));
        assert_eq!((config.model, config.data.name), (ModelName::Own, DataName::Own));
        assert!((config.data.label_noise - 0.1).abs() < 1e-12);
        config.check().unwrap();
        let error = program("epochs 3").table().unwrap_err().to_string();
        assert!(error.starts_with("housing: its settings are no TOML"), "{error}");
        // Another program has this run.
        let error = load(&config).unwrap_err().to_string();
        assert!(error.contains("belongs to the program \"housing\""), "{error}");
    }
}
