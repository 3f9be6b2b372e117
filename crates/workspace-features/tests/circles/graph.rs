//! Which file imports which, and where that closes a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::source::{Import, Source};

/// How many re-exports a name may pass through: two globs may point at each other.
const DEEPEST: usize = 8;

/// Where a name is defined.
enum Home {
    File(String),
    OtherCrate,
    Unknown,
}

/// A module by its path; the crate's root has none.
type Module = Vec<String>;

/// The files of a crate.
struct Crate {
    modules: BTreeMap<Module, (String, Source)>,
}

/// One circle for each group of files that import each other, as in `a.rs -> b.rs -> a.rs`.
pub(crate) fn circles(files: &BTreeMap<String, String>) -> Vec<String> {
    let sources = Crate::of(files);
    let edges = sources.edges();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for start in edges.keys() {
        if seen.contains(start) {
            continue;
        }
        if let Some(circle) = shortest(&edges, start) {
            seen.extend(circle.iter().cloned());
            found.push(circle.join(" -> "));
        }
    }
    found
}

/// Which files each file imports.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// The shortest way from a file back to itself.
fn shortest(edges: &Edges, start: &str) -> Option<Vec<String>> {
    let mut queue = VecDeque::from([vec![start.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = queue.pop_front() {
        for next in way.last().and_then(|last| edges.get(last)).into_iter().flatten() {
            let longer = [way.as_slice(), std::slice::from_ref(next)].concat();
            if next == start {
                return Some(longer);
            }
            if seen.insert(next) {
                queue.push_back(longer);
            }
        }
    }
    None
}

impl Crate {
    fn of(files: &BTreeMap<String, String>) -> Self {
        let mut modules = BTreeMap::new();
        for (path, text) in files {
            let stem = path.strip_suffix(".rs").unwrap_or(path);
            let module: Module = match stem {
                "lib" => Vec::new(),
                stem => stem.split('/').filter(|part| *part != "mod").map(str::to_owned).collect(),
            };
            modules.insert(module, (path.clone(), Source::of(text)));
        }
        if !modules.contains_key(&Module::new())
            && let Some(root) = modules.remove(&vec!["main".to_owned()])
        {
            modules.insert(Module::new(), root);
        }
        let tests = modules.iter().flat_map(|(module, (_, source))| {
            let child = |name: &String| [module.as_slice(), std::slice::from_ref(name)].concat();
            source.test_modules.iter().map(child).collect::<Vec<Module>>()
        });
        let tests: Vec<Module> = tests.collect();
        modules.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        Self { modules }
    }

    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (module, (file, source)) in &self.modules {
            // What is handed on counts where the file uses it itself.
            let is_used = |name: &String| source.names.contains(name);
            let imports = source
                .imports
                .iter()
                .filter(|import| !import.is_export || import.name.as_ref().is_some_and(is_used));
            let used = imports.filter_map(|import| self.used(module, import));
            let paths = source.paths.iter().filter_map(|path| self.resolve(module, path, 0));
            let mut targets: BTreeSet<String> = used.chain(paths).collect();
            targets.remove(file);
            edges.insert(file.clone(), targets);
        }
        edges
    }

    /// The files that an import uses.
    fn used(&self, module: &Module, import: &Import) -> Option<String> {
        match &import.name {
            Some(_) => self.resolve(module, &import.path, 0),
            None => {
                let target = self.module(module, &import.path, 0)?;
                Some(self.modules.get(&target)?.0.clone())
            }
        }
    }

    /// The module that a path names as seen from `from`.
    fn module(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        match self.walk(from, path, depth)? {
            (module, []) => Some(module),
            _ => None,
        }
    }

    /// The module that a path leads to, and what is left of the path there; `None` for paths of
    /// other crates.
    fn walk<'a>(
        &self,
        from: &Module,
        path: &'a [String],
        depth: usize,
    ) -> Option<(Module, &'a [String])> {
        let (first, mut left) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Module::new(),
            "self" => from.clone(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            name => self.step(from, name, depth)?,
        };
        while let Some((next, rest)) = left.split_first() {
            if next == "super" {
                at.pop()?;
            } else if let Some(module) = self.step(&at, next, depth) {
                at = module;
            } else {
                break;
            }
            left = rest;
        }
        Some((at, left))
    }

    /// The module of that name in a module: a child, or one that is imported.
    fn step(&self, module: &Module, name: &str, depth: usize) -> Option<Module> {
        let child = [module.as_slice(), &[name.to_owned()]].concat();
        if self.modules.contains_key(&child) {
            return Some(child);
        }
        let import = self.import(module, name)?;
        // Not by itself, as in `use toml::toml`; two names may stand for each other.
        let is_other = import.path.first().is_some_and(|first| first != name);
        (is_other && depth < DEEPEST).then(|| self.module(module, &import.path, depth + 1))?
    }

    /// How a name comes into a module.
    fn import(&self, module: &Module, name: &str) -> Option<&Import> {
        let imports = &self.modules.get(module)?.1.imports;
        imports.iter().find(|import| import.name.as_deref() == Some(name))
    }

    /// The file that defines what a path names as seen from `from`; `None` for modules and other
    /// crates' names.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<String> {
        let (module, left) = self.walk(from, path, depth)?;
        let name = left.first()?;
        match self.home(&module, name, depth) {
            Home::File(file) => Some(file),
            Home::OtherCrate => None,
            // A name whose definition a macro writes is the module's own.
            Home::Unknown => self.modules.get(&module).map(|(file, _)| file.clone()),
        }
    }

    /// Where a name of a module is defined.
    fn home(&self, module: &Module, name: &str, depth: usize) -> Home {
        let Some((file, source)) = self.modules.get(module) else { return Home::Unknown };
        if source.definitions.contains(name) {
            return Home::File(file.clone());
        }
        if depth >= DEEPEST {
            return Home::Unknown;
        }
        if let Some(import) = self.import(module, name) {
            let found = self.resolve(module, &import.path, depth + 1);
            return found.map_or(Home::OtherCrate, Home::File);
        }
        let globs = source.imports.iter().filter(|import| import.name.is_none());
        for import in globs {
            let target = self.module(module, &import.path, depth + 1);
            let home = target.map_or(Home::Unknown, |target| self.home(&target, name, depth + 1));
            if !matches!(home, Home::Unknown) {
                return home;
            }
        }
        // What a macro declares and hands on: the child that defines it.
        let is_child =
            |other: &&Module| other.len() == module.len() + 1 && other.starts_with(module);
        let mut children = self.modules.keys().filter(is_child).map(|child| &self.modules[child]);
        let child = children.find(|(_, source)| source.definitions.contains(name));
        child.map_or(Home::Unknown, |(file, _)| Home::File(file.clone()))
    }
}
