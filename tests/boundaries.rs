//! The architecture, enforced: one declared graph of layers, compared with what the sources import.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

use crate::support::repository;

/// Layers and the layers that they may use, lowest first. An edge that is not here fails the test, and so does one that no
/// source needs any more.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("licences", &[]),
    ("pickle", &[]),
    ("fuzz_input", &[]),
    ("files", &["error"]),
    ("diagnostics", &["files"]),
    ("text", &["error", "files"]),
    ("data", &["error", "files", "pickle"]),
    ("colours", &["data"]),
    ("machine", &["data"]),
    ("sampling", &["data"]),
    ("analysis", &["data", "sampling"]),
    ("recogniser", &["error"]),
    ("checkpoint", &["data", "error", "files", "fuzz_input", "machine", "pickle", "text"]),
    ("download", &["checkpoint", "error", "files", "fuzz_input", "machine"]),
    ("engine", &["data", "error", "text"]),
    ("mlx", &["checkpoint", "data", "engine", "error", "machine", "sampling"]),
    ("torch", &["checkpoint", "data", "engine", "error", "sampling"]),
    ("audio", &["data", "error", "files"]),
    ("takes", &["analysis", "audio", "data", "error", "files"]),
    ("voices", &["audio", "data", "error", "files"]),
    ("worker", &["analysis", "checkpoint", "data", "engine", "error", "machine", "mlx", "takes", "torch"]),
    ("alignment", &["analysis", "checkpoint", "data", "engine", "error", "files", "worker"]),
    ("quantize", &["analysis", "checkpoint", "data", "engine", "error", "files", "mlx", "sampling"]),
    ("page", &["colours"]),
    ("listen", &["analysis", "audio", "data", "error", "files", "page"]),
    ("acoustics", &["audio", "data"]),
    ("report", &["acoustics", "analysis", "audio", "colours", "data", "error", "page"]),
    (
        "verify",
        &[
            "analysis",
            "checkpoint",
            "colours",
            "data",
            "engine",
            "error",
            "files",
            "machine",
            "mlx",
            "report",
            "sampling",
            "torch",
        ],
    ),
    (
        "fuzzing",
        &[
            "analysis",
            "audio",
            "checkpoint",
            "data",
            "download",
            "fuzz_input",
            "listen",
            "pickle",
            "recogniser",
            "takes",
            "text",
            "voices",
        ],
    ),
    (
        "studio",
        &[
            "acoustics",
            "alignment",
            "analysis",
            "audio",
            "checkpoint",
            "colours",
            "data",
            "diagnostics",
            "download",
            "engine",
            "error",
            "files",
            "licences",
            "listen",
            "machine",
            "recogniser",
            "report",
            "takes",
            "text",
            "torch",
            "voices",
            "worker",
        ],
    ),
    (
        "cli",
        &[
            "alignment",
            "analysis",
            "audio",
            "checkpoint",
            "data",
            "diagnostics",
            "download",
            "engine",
            "error",
            "files",
            "licences",
            "listen",
            "machine",
            "mlx",
            "quantize",
            "recogniser",
            "report",
            "studio",
            "takes",
            "text",
            "verify",
            "voices",
            "worker",
        ],
    ),
];

/// The owners of the window's state: the file or folder in `studio/`, and the type.
const OWNERS: &[(&str, &str)] = &[
    ("composer", "Composer"),
    ("inspector", "Inspector"),
    ("monitor", "Monitor"),
    ("comparison", "Comparison"),
    ("library", "Library"),
    ("test_bench", "TestBench"),
    ("models", "Models"),
    ("catalogue", "Catalogue"),
    ("preferences", "Preferences"),
    ("shell", "Shell"),
    ("voices", "Voices"),
];

/// Files and folders that may start threads.
const THREAD_STARTERS: &[&str] = &[
    "audio",
    "recogniser.rs",
    "sampling/prefetch.rs",
    "studio/launch.rs",
    "studio/tasks.rs",
    "worker",
    "cli/bench.rs",
];

/// Crates that belong to some places only.
const ROOMS: &[(&str, &[&str])] = &[
    ("mlx_rs", &["mlx"]),
    ("tch", &["torch"]),
    ("cpal", &["audio"]),
    ("assert_no_alloc", &["audio", "lib"]),
    ("ebur128", &["audio"]),
    ("hound", &["audio"]),
    ("ureq", &["download"]),
    ("sysinfo", &["machine"]),
    ("zip", &["checkpoint", "data"]),
    ("symphonia", &["audio"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("egui", &["studio"]),
    ("eframe", &["studio"]),
    ("egui_plot", &["studio"]),
    ("rfd", &["studio"]),
    ("winit", &["studio"]),
    ("getrandom", &["data"]),
    ("jiff", &["studio", "cli"]),
    ("plotters", &["report", "verify"]),
    ("ecolor", &["colours", "page", "report"]),
    ("maud", &["listen", "page", "report"]),
    ("tokenizers", &["checkpoint"]),
    ("tracing_subscriber", &["diagnostics"]),
];

/// A source file: its module path below the crate, and the paths it uses.
struct Source {
    file: PathBuf,
    module: Vec<String>,
    /// Paths below the crate, such as `["data", "Codes"]`.
    internal: BTreeSet<Vec<String>>,
    /// Re-exported names and where they are defined: `["data", "Codes"]` is `["data", "codes", "Codes"]`.
    reexports: BTreeMap<Vec<String>, Vec<String>>,
    /// First segments of other paths: crates, and names in scope.
    external: BTreeSet<String>,
    strings: Vec<String>,
}

impl Source {
    fn layer(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }
}

fn sources() -> Vec<Source> {
    let root = repository("src");
    let files = walkdir::WalkDir::new(&root).into_iter().map(Result::unwrap).map(walkdir::DirEntry::into_path);
    let files: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "rs")).collect();
    assert!(files.len() > 50, "the sources were not found");
    files.iter().map(|file| read_source(&root, file)).collect()
}

fn read_source(root: &Path, path: &Path) -> Source {
    let file = path.strip_prefix(root).unwrap().to_owned();
    let mut module: Vec<String> = file.with_extension("").iter().map(|c| c.to_string_lossy().into_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    if module.first().is_some_and(|m| m == "bin") {
        module = Vec::new();
    }
    let mut source = Source {
        file,
        module,
        internal: BTreeSet::new(),
        reexports: BTreeMap::new(),
        external: BTreeSet::new(),
        strings: Vec::new(),
    };
    let text = std::fs::read_to_string(path).unwrap();
    let syntax = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Uses { source: &mut source, depth: 0 }.visit_file(&syntax);
    source
}

/// Collects the paths that a file uses. `use` trees and paths in expressions and types are resolved from `crate`, `super`, `self`.
struct Uses<'a> {
    source: &'a mut Source,
    /// Inline modules around the place (`mod tests`).
    depth: usize,
}

impl Uses<'_> {
    fn record(&mut self, path: &[String]) {
        let Some(first) = path.first() else { return };
        let mut base = match first.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => {
                let mut base = self.source.module.clone();
                let mut up = path.iter().take_while(|s| *s == "super").count();
                up = up.saturating_sub(self.depth);
                base.truncate(base.len().saturating_sub(up));
                base
            }
            _ => {
                self.source.external.insert(first.clone());
                return;
            }
        };
        base.extend(path.iter().filter(|s| !["crate", "self", "super"].contains(&s.as_str())).cloned());
        self.source.internal.insert(base);
    }

    /// `public` where the tree re-exports its names.
    fn tree(&mut self, prefix: &[String], tree: &syn::UseTree, public: bool) {
        let with = |name: &syn::Ident| prefix.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree, public),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(prefix, item, public)),
            syn::UseTree::Name(name) if public => {
                let mut here = self.source.module.clone();
                let below = prefix.iter().filter(|s| *s != "self").cloned().chain([name.ident.to_string()]);
                let definition = here.iter().cloned().chain(below).collect();
                here.push(name.ident.to_string());
                self.source.reexports.insert(here, definition);
            }
            syn::UseTree::Name(name) => self.record(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.record(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.record(prefix),
        }
    }
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree, !matches!(item.vis, syn::Visibility::Inherited));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|a| quote_path(a.path()) == "cfg");
        if item.content.is_some() && is_test {
            return; // tests may use what they like
        }
        self.depth += usize::from(item.content.is_some());
        visit::visit_item_mod(self, item);
        self.depth -= usize::from(item.content.is_some());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            self.record(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if !attribute.path().is_ident("doc") {
            visit::visit_attribute(self, attribute);
        }
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.source.strings.push(text.value());
    }
}

/// The text of an attribute, path or type without spaces.
fn quote_path(path: &syn::Path) -> String {
    path.segments.iter().map(|s| s.ident.to_string()).collect::<Vec<_>>().join("::")
}

#[test]
fn layers_use_what_is_declared_and_nothing_else() {
    let names: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for source in sources().iter().filter(|s| s.layer() != "lib") {
        assert!(names.contains(source.layer()), "{}: declare its layer in LAYERS", source.file.display());
        for path in &source.internal {
            let other = path.first().unwrap();
            if other != source.layer() {
                found.entry(source.layer().into()).or_default().insert(other.clone());
                places.insert((source.layer().to_owned(), other.clone()), source.file.clone());
            }
        }
    }
    for (layer, declared) in LAYERS {
        let declared: BTreeSet<String> = declared.iter().map(|d| (*d).to_owned()).collect();
        let used = found.remove(*layer).unwrap_or_default();
        let undeclared: Vec<_> =
            used.difference(&declared).map(|o| (o, &places[&(layer.to_string(), o.clone())])).collect();
        assert!(undeclared.is_empty(), "{layer} may not use {undeclared:?}; declared are {declared:?}");
        let unused: Vec<_> = declared.difference(&used).collect();
        assert!(unused.is_empty(), "{layer} no longer uses {unused:?}: take the edge out of LAYERS");
    }
}

#[test]
fn lower_layers_come_first() {
    for (n, (layer, uses)) in LAYERS.iter().enumerate() {
        for other in *uses {
            let place = LAYERS.iter().position(|(name, _)| name == other).unwrap_or(usize::MAX);
            assert!(place < n, "{layer} uses {other}, which does not come before it");
        }
    }
}

/// Modules of one layer that use each other in a circle.
#[test]
fn no_layer_has_a_cycle_inside() {
    let sources = sources();
    let modules: BTreeSet<Vec<String>> = sources.iter().map(|s| s.module.clone()).collect();
    let reexports: BTreeMap<_, _> = sources.iter().flat_map(|s| &s.reexports).collect();
    let define = |path: &[String]| {
        let known = (0..=path.len()).rev().find_map(|n| Some((n, reexports.get(&path[..n].to_vec())?)));
        known.map_or(path.to_vec(), |(n, to)| to.iter().chain(&path[n..]).cloned().collect())
    };
    // Owners name each other's commands: together with those who carry them they are one unit, which has its own rule below.
    let unit = |module: &[String]| {
        let carries = |name: &String| {
            OWNERS.iter().any(|(owner, _)| owner == name)
                || ["command", "effects", "session", "tasks"].contains(&name.as_str())
        };
        match module {
            [layer, name, ..] if layer == "studio" && carries(name) => vec![layer.clone(), "session".to_owned()],
            _ => module.to_vec(),
        }
    };
    let owner = |path: &[String]| {
        let path = define(path);
        (0..=path.len()).rev().map(|n| path[..n].to_vec()).find(|m| modules.contains(m)).map(|module| unit(&module))
    };
    let mut edges: BTreeMap<Vec<String>, BTreeSet<Vec<String>>> = BTreeMap::new();
    for source in &sources {
        for path in &source.internal {
            // A module may use its ancestors' items, and declares its children: neither is an import between siblings.
            let here = unit(&source.module);
            if let Some(target) = owner(path)
                && !target.starts_with(&here)
                && !here.starts_with(&target)
            {
                edges.entry(here).or_default().insert(target);
            }
        }
    }
    for start in edges.keys() {
        let mut seen = BTreeSet::new();
        let mut open: Vec<Vec<String>> = edges[start].iter().cloned().collect();
        while let Some(module) = open.pop() {
            assert!(module != *start, "{} is part of a cycle through {seen:?}", start.join("::"));
            if seen.insert(module.clone()) {
                open.extend(edges.get(&module).into_iter().flatten().cloned());
            }
        }
    }
}

#[test]
fn crates_stay_in_their_rooms() {
    let sources = sources();
    for (krate, rooms) in ROOMS {
        let users: Vec<&Source> = sources.iter().filter(|s| s.external.contains(*krate)).collect();
        assert!(!users.is_empty(), "{krate} is used nowhere: this rule guards nothing");
        for source in users {
            assert!(rooms.contains(&source.layer()), "{}: {krate} is allowed only in {rooms:?}", source.file.display());
        }
    }
}

/// The library names settings by their keys; only the command line and the line it prints for a take know flags.
#[test]
fn flags_are_spelled_by_the_command_line_only() {
    let mut spelled = 0;
    for source in sources() {
        let allowed = source.layer() == "cli" || source.file == Path::new("data/command_line.rs");
        for text in &source.strings {
            let is_flag = |word: &&str| {
                let after = word.trim_matches(|c| "`([".contains(c)).strip_prefix("--");
                after.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase() || c == '{'))
            };
            let flag = text.split_whitespace().find(is_flag);
            if let Some(flag) = flag {
                assert!(allowed, "{}: {flag} is allowed only in cli and data/command_line.rs", source.file.display());
                spelled += 1;
            }
        }
    }
    assert!(spelled > 0, "no flag was found: this rule guards nothing");
}

/// One place waits for the device, so that waits can be counted.
#[test]
fn only_one_place_waits_for_the_device() {
    let root = repository("src");
    let mut waits = Vec::new();
    for source in sources() {
        let text = std::fs::read_to_string(root.join(&source.file)).unwrap();
        let words = ["transforms::eval(", ".eval()", ".item::<", ".item()", "item_exact", "item_cast"];
        waits.extend(words.iter().filter(|w| text.contains(*w)).map(|w| (source.file.clone(), *w)));
    }
    assert_eq!(waits, [(PathBuf::from("mlx/mod.rs"), "transforms::eval(")]);
}

/// Printing belongs to the command line.
#[test]
fn only_the_command_line_prints() {
    let root = repository("src");
    for source in sources().iter().filter(|s| s.layer() != "cli") {
        let text = std::fs::read_to_string(root.join(&source.file)).unwrap();
        assert!(!text.contains("println!(") && !text.contains("eprint!("), "{} prints", source.file.display());
    }
}

/// Collects what the rules about owners, waiting and threads are about. Tests may do as they like.
#[derive(Default)]
struct Habits {
    /// Types behind `&mut`, with the function around them.
    mutable: Vec<(String, String)>,
    /// Functions whose signature or body names the session.
    session: BTreeSet<String>,
    /// Calls of functions of `std::thread`.
    threads: BTreeSet<String>,
    function: String,
}

impl Habits {
    fn of(file: &Path) -> Self {
        let text = std::fs::read_to_string(repository("src").join(file)).unwrap();
        let mut habits = Self::default();
        habits.visit_file(&syn::parse_file(&text).unwrap());
        habits
    }

    fn within(&mut self, function: String, visit: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.function, function);
        visit(self);
        self.function = before;
    }
}

impl<'ast> Visit<'ast> for Habits {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !item.attrs.iter().any(|a| quote_path(a.path()) == "cfg") {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.within(item.sig.ident.to_string(), |habits| visit::visit_item_fn(habits, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.within(item.sig.ident.to_string(), |habits| visit::visit_impl_item_fn(habits, item));
    }

    fn visit_item_use(&mut self, _: &'ast syn::ItemUse) {}

    fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
        if let (Some(_), syn::Type::Path(path)) = (&reference.mutability, &*reference.elem) {
            let name = path.path.segments.last().unwrap().ident.to_string();
            self.mutable.push((self.function.clone(), name));
        }
        visit::visit_type_reference(self, reference);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let path_text = quote_path(path);
        if path.segments.iter().any(|segment| segment.ident == "Session") {
            self.session.insert(self.function.clone());
        }
        if let Some((_, name)) = path_text.split_once("thread::") {
            self.threads.insert(name.to_owned());
        }
        visit::visit_path(self, path);
    }
}

/// The owner that a file of the window belongs to.
fn owner_of(source: &Source) -> Option<&'static (&'static str, &'static str)> {
    let module = source.module.get(1).filter(|_| source.layer() == "studio")?;
    OWNERS.iter().find(|(name, _)| name == module)
}

/// An owner changes itself alone: it reads others through its context, and effects carry what it wants of them.
#[test]
fn owners_reach_each_other_through_contexts_and_effects_only() {
    let mut splits = 0;
    for source in sources() {
        let habits = Habits::of(&source.file);
        let Some((_, own)) = owner_of(&source) else {
            let panels = source.module.starts_with(&["studio".to_owned(), "panels".to_owned()]);
            let mutable = habits.mutable.iter().find(|(_, name)| panels && name == "Session");
            assert!(mutable.is_none(), "{}: panels give commands and change no session", source.file.display());
            continue;
        };
        for (function, name) in &habits.mutable {
            let another = OWNERS.iter().any(|(_, other)| other == name && other != own);
            assert!(!another, "{}: {function} changes {name}, which is another owner", source.file.display());
        }
        splits += usize::from(habits.session.contains("split"));
        let others: Vec<&String> = habits.session.iter().filter(|function| *function != "split").collect();
        assert!(others.is_empty(), "{}: {others:?} use the session", source.file.display());
    }
    assert_eq!(splits, OWNERS.len(), "each owner has one `split`");
}

/// Threads start in the places that are named, and nothing in the window sleeps.
#[test]
fn threads_start_in_named_places_and_the_window_never_sleeps() {
    let mut starters = BTreeSet::new();
    for source in sources() {
        let threads = Habits::of(&source.file).threads;
        let place = THREAD_STARTERS.iter().find(|place| source.file.starts_with(place));
        if threads.iter().any(|call| ["spawn", "scope"].contains(&call.as_str()) || call.starts_with("Builder")) {
            let place =
                place.unwrap_or_else(|| panic!("{}: threads start in {THREAD_STARTERS:?}", source.file.display()));
            starters.insert(*place);
        }
        let sleeps = source.layer() == "studio" && threads.contains("sleep");
        assert!(!sleeps, "{}: the window waits for events instead of sleeping", source.file.display());
    }
    assert_eq!(starters, THREAD_STARTERS.iter().copied().collect(), "a place that starts no thread needs no rule");
}

/// At most 15 fields and 30 methods: what an owner can do belongs to the owner.
#[test]
fn the_session_stays_small() {
    let (mut fields, mut methods) = (0, 0);
    for source in sources().iter().filter(|source| source.layer() == "studio") {
        let text = std::fs::read_to_string(repository("src").join(&source.file)).unwrap();
        for item in syn::parse_file(&text).unwrap().items {
            match item {
                syn::Item::Struct(item) if item.ident == "Session" => fields += item.fields.len(),
                syn::Item::Impl(item) if item.trait_.is_none() => {
                    let is_session = matches!(&*item.self_ty, syn::Type::Path(path) if path.path.is_ident("Session"));
                    let is_method = |item: &&syn::ImplItem| matches!(item, syn::ImplItem::Fn(_));
                    methods += if is_session { item.items.iter().filter(is_method).count() } else { 0 };
                }
                _ => {}
            }
        }
    }
    assert!((1..=15).contains(&fields) && (1..=30).contains(&methods), "{fields} fields, {methods} methods");
}

/// The layers by level: a layer stands above all that it uses.
fn draw_layers() -> String {
    let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
    for (layer, uses) in LAYERS {
        let level = uses.iter().map(|used| levels[used] + 1).max().unwrap_or(0);
        levels.insert(layer, level);
    }
    let highest = levels.values().copied().max().unwrap_or(0);
    let line = |level: usize| {
        let on_level: Vec<&str> =
            LAYERS.iter().map(|(layer, _)| *layer).filter(|layer| levels[layer] == level).collect();
        format!("//! {level:>3}   {}\n", on_level.join("   "))
    };
    (0..=highest).rev().map(line).collect()
}

/// The picture in the crate's documentation is [`LAYERS`]. `UPDATE_SNAPSHOTS=1` draws it again.
#[test]
fn the_picture_of_the_layers_is_the_declared_graph() {
    let (path, drawn) = (repository("src/lib.rs"), draw_layers());
    let text = std::fs::read_to_string(&path).unwrap();
    let start = text.find("//! ```text\n").unwrap() + "//! ```text\n".len();
    let end = start + text[start..].find("//! ```\n").unwrap();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, format!("{}{drawn}{}", &text[..start], &text[end..])).unwrap();
    } else {
        assert_eq!(&text[start..end], drawn, "UPDATE_SNAPSHOTS=1 draws it again");
    }
}
