//! README and guides: links lead somewhere, the front page stays short, and the commands in it are commands.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::repository;

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
