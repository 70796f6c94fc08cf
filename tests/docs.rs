//! README and guides: links lead somewhere, the front page stays short, and the commands in it are commands.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use csm_studio::listen::{ListeningTest, Results};

use crate::support::golden::Golden;
use crate::support::repository;
use crate::support::test_dir::{TestDir, assert_success};

/// README and every guide.
fn documents() -> Vec<PathBuf> {
    let guides = std::fs::read_dir(repository("assets/docs")).unwrap().map(|entry| entry.unwrap().path());
    let guides = guides.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    guides.chain([repository("README.md"), repository("bundle/README.md")]).collect()
}

/// Text and code blocks of a document.
fn parts(text: &str) -> (String, String) {
    let (mut prose, mut code, mut in_code) = (String::new(), String::new(), false);
    for line in text.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        } else {
            let part = if in_code { &mut code } else { &mut prose };
            part.push_str(line);
            part.push('\n');
        }
    }
    (prose, code)
}

#[test]
fn links_lead_to_files() {
    let link = regex::Regex::new(r"\]\(([^)#]+)(#[^)]*)?\)").unwrap();
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for found in link.captures_iter(&text).map(|c| c[1].to_owned()).filter(|target| !target.contains("://")) {
            let target = document.parent().unwrap_or(Path::new("")).join(&found);
            assert!(target.exists(), "{}: {found}", document.display());
        }
    }
}

/// At most 600 words of prose, no paragraph of more than 60, tables, code, headings and pictures aside.
#[test]
fn the_front_page_is_short() {
    let (prose, _) = parts(&std::fs::read_to_string(repository("README.md")).unwrap());
    let is_prose = |line: &&str| !line.starts_with(['|', '#', '!']);
    let words = |text: &str| text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
    let mut all = 0;
    for paragraph in prose.split("\n\n") {
        let lines: Vec<&str> = paragraph.lines().filter(is_prose).collect();
        let items = lines.join("\n");
        for item in items.split("\n- ") {
            assert!(words(item) <= 60, "{} words: {item}", words(item));
            all += words(item);
        }
    }
    assert!(all <= 600, "{all} words");
}

/// Every `bundle/run COMMAND` and `csm COMMAND` in the documents is a command, and each of its flags exists.
#[test]
fn commands_and_flags_in_the_documents_exist() {
    let program = env!("CARGO_BIN_EXE_csm");
    let help = |args: &[&str]| {
        let output = Command::new(program).args(args).arg("--help").output().unwrap();
        assert!(output.status.success(), "csm {args:?} --help");
        String::from_utf8(output.stdout).unwrap()
    };
    let flag = regex::Regex::new(r"--[a-z][a-z0-9-]*").unwrap();
    let mut checked = 0;
    for document in documents() {
        let (_, code) = parts(&std::fs::read_to_string(&document).unwrap());
        let joined = code.replace("\\\n", " ");
        for line in joined.lines() {
            let line = line.split(" #").next().unwrap_or(line);
            let Some(command) = line.strip_prefix("bundle/run ").or_else(|| line.strip_prefix("csm ")) else {
                continue;
            };
            let words: Vec<&str> = command.split_whitespace().collect();
            let named: Vec<&str> =
                words.iter().copied().take_while(|word| word.chars().all(char::is_lowercase)).collect();
            let named = &named[..named.len().min(if named.first() == Some(&"listen") { 2 } else { 1 })];
            if named.is_empty() || named[0] == "help" {
                continue;
            }
            let known = help(named);
            for used in flag.find_iter(command) {
                assert!(
                    known.contains(used.as_str()),
                    "{}: csm {} has no {}",
                    document.display(),
                    named.join(" "),
                    used.as_str()
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "{checked}");
}

/// The reader of assets/docs/data-formats.md reads every format that it lists, as this version writes it.
#[test]
fn the_python_reader_reads_every_format() {
    let dir = TestDir::new();
    let csm = |line: &str| assert_success(&dir.csm(&line.split(' ').collect::<Vec<_>>()));
    for (seed, name) in [(1, "a"), (2, "b")] {
        csm(&format!(
            "generate --text Morning. --seed {seed} --output {name}.wav --take=takes --words {name}.json --dump-tokens {name}-tokens.json"
        ));
    }
    csm("listen new --kind abx --trials 2 --seed 1 --condition a=a.wav --condition b=b.wav --output test.json");
    let test = ListeningTest::read(&dir.at("test.json")).unwrap();
    Results::new(&test, "Ada", "headphones", 0).write(&dir.at("results.json")).unwrap();
    let takes = std::fs::read_dir(dir.at("takes")).unwrap().map(|entry| entry.unwrap().path());
    let take = takes.filter(|path| path.join("take.json").exists()).min().unwrap();

    let output = Command::new("python3")
        .arg(repository("assets/docs/read_files.py"))
        .args([OsStr::new("--wav"), dir.at("").as_os_str(), take.as_os_str()])
        .args(["a-tokens.json", "a.json", "test.json", "results.json"].map(|name| dir.at(name)))
        .output()
        .expect("python3, which bundle/setup installs");
    let said = assert_success(&output);
    let kinds: Vec<&str> = said.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    assert_eq!(kinds, ["take", "tokens", "word times", "listening test", "results"], "{said}");
    assert!(said.contains("'Morning.'") && said.contains("native") && said.contains("2 trials, 2 sounds"), "{said}");
    for name in ["000", "001"] {
        let sounds = std::fs::read_dir(dir.at("")).unwrap().map(|entry| entry.unwrap().path());
        let is_sound = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(name);
        let sound = std::fs::read(sounds.filter(is_sound).min().unwrap()).unwrap();
        assert!(sound.starts_with(b"RIFF") && sound.len() > 10_000, "{name}: {} bytes", sound.len());
    }
}

/// Every program has a page and completions for each shell, and each page names the program's flags.
#[test]
fn the_manual_has_pages_and_completions() {
    let dir = TestDir::new();
    assert_success(&dir.csm(&["manual", "share"]));
    let page = |name: &str| std::fs::read_to_string(dir.at(&format!("share/man/man1/{name}.1"))).unwrap();
    for (name, flag) in
        [("csm-generate", "depth\\-topk"), ("csm-generate-mlx", "depth\\-topk"), ("csm-studio", "model\\-path")]
    {
        assert!(page(name).contains(flag), "{name}");
    }
    assert!(page("csm").contains("csm\\-doctor(1)") && page("csm-listen-new").contains("repeats"));
    assert!(!dir.at("share/man/man1/csm-help.1").exists());
    for program in ["csm", "csm-generate-mlx", "csm-studio"] {
        for file in [
            format!("bash-completion/completions/{program}.bash"),
            format!("fish/vendor_completions.d/{program}.fish"),
            format!("zsh/site-functions/_{program}"),
        ] {
            let text = std::fs::read_to_string(dir.at("share").join(&file)).unwrap();
            assert!(text.contains("model-path"), "{file}");
        }
    }
}

/// Commands of the guides that a test cannot run, and why.
const NOT_RUN: &[(&str, &str)] = &[
    ("download", "needs the network"),
    ("listen run", "needs a listener; tests/listen_page and tests/studio answer tests"),
    ("listen report", "needs the answers of listeners; tests/listen_page makes some"),
];

/// The commands in the guides do what the guides say, on the demo voice; a small checkpoint stands in for CSM-1B.
#[test]
fn the_commands_of_the_guides_run() {
    let dir = TestDir::new();
    let csm = |line: &str| assert_success(&dir.csm(&line.split(' ').collect::<Vec<_>>()));
    for (name, seed) in [("a", 1), ("b", 2), ("turn", 3), ("tokens", 4), ("voice", 5)] {
        let text = ["generate", "--text", "Good morning.", "--seed", &seed.to_string(), "--output"].map(str::to_owned);
        let files = [format!("{name}.wav"), "--dump-tokens".into(), format!("{name}.json")];
        let line: Vec<String> = text.into_iter().chain(files).collect();
        assert_success(&dir.csm(&line.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    for (name, seed) in [("n1", 1), ("n2", 2), ("e1", 3), ("e2", 4)] {
        csm(&format!("generate --text Morning. --seed {seed} --output {name}.wav"));
    }
    std::fs::write(dir.at("story.txt"), "The boat sailed.\nNobody said a word.\n").unwrap();
    let small = Golden::read("mini").build();
    let small = small.path().to_str().unwrap();
    let mut ran = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for block in text.split("```sh\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default().replace("\\\n", " ");
            for line in block.lines().filter_map(|line| line.strip_prefix("bundle/run ")) {
                let words: Vec<&str> = line.split_whitespace().collect();
                let is_not_run = |(name, _): &(&str, &str)| words.join(" ").starts_with(name);
                if words.first().is_none_or(|first| first.starts_with('#')) || NOT_RUN.iter().any(is_not_run) {
                    continue;
                }
                // The small checkpoint has no adapter, and its matrices are too narrow to be quantised.
                if line.contains("--adapter") || words[0] == "quantize" {
                    continue;
                }
                let real =
                    ["~/models/csm-1b", "csm-1b"].iter().fold(line.to_owned(), |line, name| line.replace(name, small));
                let real =
                    real.replace("--model-path A --against B", &format!("--model-path {small} --against {small}"));
                let program = env!("CARGO_BIN_EXE_csm");
                let output = Command::new("bash")
                    .args(["-c", &format!("{program} {real}")])
                    .current_dir(dir.at(""))
                    .env("XDG_DATA_HOME", dir.at("data"))
                    .stdin(Stdio::null())
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{}: {line}\n{said}", document.display());
                ran += 1;
            }
        }
    }
    assert!(ran >= 17, "{ran} commands");
}
