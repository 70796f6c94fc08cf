//! What the fuzzer runs: each harness reads bytes as a reader of files and texts from strangers does, and uses what it accepted.
//! `tests/fuzz` builds them for cargo-fuzz; a unit test here replays the corpora.

use std::path::Path;

use base64::Engine;
use sha2::{Digest, Sha256};

use crate::analysis::word_errors::WordErrors;
use crate::audio::recording::{self, Length};
use crate::checkpoint::fuzzing::{adapter, config, tokenizer, weight_file, weights};
use crate::data::{ClipSpec, Codes, Dtype, Mode, ModelDims, Sampling, SamplingParams, TokenFile, command_line};
use crate::download::fuzzing::hub;
use crate::fuzz_input::{halves, in_folder, put};
use crate::listen::{Choice, ListeningReport, ListeningTest, ReportOptions, Results, Run, html_report, test_page};
use crate::recogniser::Recogniser;
use crate::takes::{LogitsCache, Store, Take};
use crate::text::{Pronunciations, Script, ScriptRules, TextProfile, halve, spoken_words};
use crate::voices::VoiceNotes;

/// A harness, which is given the bytes of an input.
type Harness = fn(&[u8]);

/// Every harness by its name.
pub const HARNESSES: &[(&str, Harness)] = &[
    ("pickle", pickle),
    ("weight_file", weight_file),
    ("config", config),
    ("weights", weights),
    ("adapter", adapter),
    ("tokenizer", tokenizer),
    ("recording", sound),
    ("token_file", token_file),
    ("listening", listening),
    ("take", take),
    ("text", text),
    ("hub", hub),
    ("words", words),
];

/// Runs the harness `name` on `input`.
///
/// # Panics
/// Panics if there is no such harness, and where a reader breaks its promises.
pub fn run(name: &str, input: &[u8]) {
    let harness = HARNESSES.iter().find(|(known, _)| *known == name).map(|(_, harness)| harness);
    let Some(harness) = harness else { panic!("no harness is called {name}") };
    harness(input);
}

fn dims() -> ModelDims {
    let (codebooks, vocab, codec_size) = (4, 35, 32);
    ModelDims { codebooks, vocab, codec_size, frame_rate: 12.5, sample_rate: 24_000, max_positions: 2_048 }
}

fn pickle(input: &[u8]) {
    drop(crate::pickle::state_dict(input));
    drop(crate::pickle::tensor_of(input));
}

fn sound(input: &[u8]) {
    drop(VoiceNotes::of(input));
    const SECONDS: f64 = 10.0;
    let length = if input.len().is_multiple_of(2) { Length::First(SECONDS) } else { Length::AtMost(SECONDS) };
    let Ok(recording) = recording::decode(Path::new("recording"), input, 24_000, length) else { return };
    assert!(recording.samples.iter().all(|sample| sample.is_finite()));
    assert!(recording.samples.len() as f64 <= 24_000.0 * (SECONDS + 1.0), "{} samples", recording.samples.len());
}

fn token_file(input: &[u8]) {
    in_folder(|folder| {
        let path = put(folder, "tokens", input);
        let Ok(file) = TokenFile::read(&path, &dims()) else { return };
        file.frames.check("frames", &dims()).unwrap_or_else(|e| panic!("{e}"));
        let written = put(folder, "tokens", file.to_json().as_bytes());
        let again = TokenFile::read(&written, &dims()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(file, again, "written and read again");
        drop(file.clip_spec(&written));
    });
}

/// A listening test and results of it, with a NUL byte between them. Hashes that the readers insist on are put right first.
fn listening(input: &[u8]) {
    let (test, results) = halves(input);
    let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let Some(mut test) = json(test) else { return };
    for stimulus in test.get_mut("stimuli").and_then(|s| s.as_array_mut()).into_iter().flatten() {
        let wav = stimulus["wav"].as_str().and_then(|wav| base64::engine::general_purpose::STANDARD.decode(wav).ok());
        if let (Some(wav), Some(stimulus)) = (wav, stimulus.as_object_mut()) {
            let hash: String = Sha256::digest(wav).iter().map(|byte| format!("{byte:02x}")).collect();
            stimulus.insert("sha256".into(), hash.into());
        }
    }
    in_folder(|folder| {
        let path = put(folder, "test.json", test.to_string().as_bytes());
        let Ok(test) = ListeningTest::read(&path) else { return };
        let mut results = json(results).unwrap_or_default();
        if let Some(results) = results.as_object_mut() {
            results.insert("test_sha256".into(), test.sha256().into());
        }
        let path = put(folder, "results.json", results.to_string().as_bytes());
        let given = Results::read(&path, &test).ok();
        let fresh = Results::new(&test, "listener", "device", 0);
        for results in given.iter().cloned().chain([fresh]) {
            let mut run = Run::new(&test, results);
            let mut now = 0.0;
            for n in 0..4 {
                for button in 0..run.buttons().len() {
                    drop(run.button_name(button));
                    run.play(button, 0.0, now);
                    now += 1e3;
                }
                run.stop(now);
                let choice = [Choice::First, Choice::Second, Choice::Tie][n % 3].clone();
                if run.answer(choice, 0, 1.0, now).is_err() {
                    drop(run.answer(Choice::Values(vec![50.0; run.buttons().len()]), 0, 1.0, now));
                }
            }
            run.undo();
            for unfinished in [false, true] {
                let report = ListeningReport::new(&test, &[run.results().clone()], ReportOptions { unfinished });
                drop((report.text(), report.json(), report.csv(), html_report(&report)));
            }
        }
        drop(test_page(&test));
    });
}

/// `take.json` of a take and of its parent, or the stored logits of a take.
fn take(input: &[u8]) {
    let (one, other) = halves(input);
    in_folder(|folder| {
        let codes = Codes::from_frames([[1, 2], [3, 4]]).unwrap_or_else(|e| panic!("{e}"));
        put(folder, "key.safetensors", input);
        if let Some(steps) = LogitsCache::new(folder, u64::MAX).read("key", &codes) {
            for frame in 0..steps.len() {
                let step = steps.get(frame).unwrap_or_else(|| panic!("frame {frame}"));
                assert_eq!(step.logits.rows().len(), codes.codebooks());
                assert_eq!(step.guarded.len(), codes.codebooks());
            }
        }
        let root = folder.join("takes");
        for (id, json) in [("one", one), ("other", other)] {
            let folder = root.join(id);
            assert!(std::fs::create_dir_all(&folder).is_ok());
            put(&folder, "take.json", json);
        }
        let Ok(store) = Store::open(&root) else { return };
        for take in store.takes() {
            let json = serde_json::to_vec(take).unwrap_or_default();
            assert!(serde_json::from_slice::<Take>(&json).is_ok(), "written and read again");
        }
        drop(store.search("the"));
    });
}

fn text(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let none = Pronunciations::default();
    for profile in [r#"{"spell_out": "en", "latin_only": true, "final_stop": true, "longest_piece": 80}"#, "{}"] {
        let profile: TextProfile = serde_json::from_str(profile).unwrap_or_else(|e| panic!("{e}"));
        let rules = ScriptRules {
            speaker: 0,
            fixed: false,
            profile: &profile,
            voice: "voice",
            speakers: &[0, 1],
            pronunciations: &none,
        };
        for script in [Script::new(&text, &rules), Script::verbatim(&text, &rules)].into_iter().flatten() {
            for piece in script.pieces {
                assert!(!piece.text.trim().is_empty(), "a piece without text");
                for word in spoken_words(&text, &piece.text) {
                    assert!(text.get(word.written.clone()).is_some(), "{:?} is not part of the text", word.written);
                    assert!(piece.text.get(word.read.clone()).is_some(), "{:?} is not part of the piece", word.read);
                }
                if let Some((first, second)) = halve(&piece.text) {
                    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
                    assert_eq!(letters(&first) + letters(&second), letters(&piece.text), "a half lost letters");
                }
            }
        }
    }
    drop(Pronunciations::parse(&text));
}

/// Two texts: what was said and what a recogniser heard. The first is also a recogniser's command, and a text on a command line.
fn words(input: &[u8]) {
    let (said, heard) = halves(input);
    let (said, heard) = (String::from_utf8_lossy(said), String::from_utf8_lossy(heard));
    if let Some(errors) = WordErrors::measure(&said, &heard) {
        assert!(errors.word_error_rate.is_finite() && errors.word_error_rate >= 0.0);
        drop(errors.aligned());
    }
    drop(Recogniser::parse(&said));
    let sampling = Sampling::new(Mode::Exact, SamplingParams::new(0.9, 50), 1, Dtype::Float32);
    let line =
        command_line::generate_line(&ClipSpec::new(said.clone(), 0, sampling), 1_000, Path::new("t"), None, None);
    let hidden = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!line.contains(hidden), "a control character in {line:?}");
    if !said.contains(hidden) {
        let words = shlex::split(&line).unwrap_or_else(|| panic!("no shell reads {line:?}"));
        assert_eq!(words.get(3).map(String::as_str), Some(&*said), "the text of {line:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// The inputs that reached new code in campaigns, and those that found a fault, in an archive for each harness.
    #[test]
    fn the_corpora_are_read_without_a_fault() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
        for (name, harness) in HARNESSES {
            let archive = std::fs::File::open(folder.join(format!("{name}.zip"))).unwrap();
            let mut archive = zip::ZipArchive::new(archive).unwrap();
            assert!(archive.len() >= 10, "{name} has {} inputs", archive.len());
            for n in 0..archive.len() {
                let mut input = Vec::new();
                archive.by_index(n).unwrap().read_to_end(&mut input).unwrap();
                harness(&input);
            }
        }
    }
}
