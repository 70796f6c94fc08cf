//! The programs, run as a user runs them.

use std::path::Path;
use std::process::{Command, Stdio};

use csm_studio::audio::recording;
use csm_studio::data::{Edit, TokenFile};

use crate::support::demo_dims;
use crate::support::test_dir::{TestDir, assert_success};

const HELLO: &[&str] = &["generate", "--text", "Good morning, how are you today?", "--seed", "3"];

fn write_wav(path: &Path, spec: hound::WavSpec, seconds: f32, loudness: f32) {
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for i in 0..(seconds * spec.sample_rate as f32) as usize {
        let s = loudness * (i as f32 * 440.0 * std::f32::consts::TAU / spec.sample_rate as f32).sin();
        for _ in 0..spec.channels {
            match spec.sample_format {
                hound::SampleFormat::Float => writer.write_sample(s).unwrap(),
                hound::SampleFormat::Int => {
                    writer.write_sample((s * (1i64 << (spec.bits_per_sample - 1)) as f32 * 0.99) as i32).unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
}

fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16, float: bool) -> hound::WavSpec {
    let sample_format = if float { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
    hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format }
}

#[test]
fn a_sentence_becomes_a_wav_that_other_programs_read() {
    let dir = TestDir::new();
    let out = assert_success(&dir.csm(&[HELLO, &["--json"]].concat()));
    let result: serde_json::Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(result["stop"], "eos");
    assert_eq!(result["seed"], 3);
    let samples = recording::samples(&dir.at("audio.wav"), 24_000).unwrap();
    assert_eq!(samples.len(), result["frames"].as_u64().unwrap() as usize * 1_920);
    let run = |program: &str, args: &[&str]| {
        let out = dir
            .program("csm")
            .get_current_dir()
            .map(|d| Command::new(program).args(args).current_dir(d).output())
            .unwrap();
        String::from_utf8(out.unwrap_or_else(|e| panic!("{program}: {e}")).stdout).unwrap()
    };
    let soxi = run("soxi", &["audio.wav"]);
    assert!(soxi.contains("24000") && soxi.contains("16-bit"), "{soxi}");
    let probe = run("ffprobe", &["-v", "error", "-show_entries", "format_tags", "audio.wav"]);
    for part in ["Synthetic speech", "\"seed\":3", "Good morning, how are you today?", "CSM Studio"] {
        assert!(probe.contains(part), "{part:?} is not in: {probe}");
    }
}

#[test]
fn both_programs_are_the_same_and_a_seed_gives_the_same_file() {
    let dir = TestDir::new();
    assert_success(&dir.csm(HELLO));
    let first = std::fs::read(dir.at("audio.wav")).unwrap();
    let out = dir.program("csm-generate-mlx").args(&HELLO[1..]).args(["--output", "b.wav"]).output().unwrap();
    assert_success(&out);
    assert_eq!(first, std::fs::read(dir.at("b.wav")).unwrap());
    assert!(assert_success(&dir.csm(&["voices"])).contains("speaker 1"));
}

fn read(dir: &TestDir, name: &str) -> TokenFile {
    TokenFile::read(&dir.at(name), &demo_dims()).unwrap()
}

/// A folder with `t.json` and `audio.wav` of an *exact* clip.
fn exact_clip() -> (TestDir, TokenFile) {
    let dir = TestDir::new();
    let dumps = ["--sampling", "exact", "--dump-tokens", "t.json", "--dump-logits", "l.safetensors"];
    assert_success(&dir.csm(&[HELLO, &dumps].concat()));
    let file = read(&dir, "t.json");
    (dir, file)
}

#[test]
fn dumped_logits_and_decoded_tokens_are_the_clips() {
    let (dir, file) = exact_clip();
    let bytes = std::fs::read(dir.at("l.safetensors")).unwrap();
    let logits = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(logits.tensor("logits").unwrap().shape(), [file.frames.len(), 6, 1_027]);
    assert_success(&dir.csm(&["generate", "--decode-tokens", "t.json", "--output", "decoded.wav"]));
    let made = recording::samples(&dir.at("audio.wav"), 24_000).unwrap();
    let decoded = recording::samples(&dir.at("decoded.wav"), 24_000).unwrap();
    // 16-bit steps: streaming and whole-clip decoding may round to neighbouring ones.
    assert!(crate::support::max_difference(&made, &decoded) <= 2.0 / 32_768.0);
}

#[test]
fn forced_tokens_are_taken() {
    let (dir, file) = exact_clip();
    let force = ["--force-tokens", "t.json", "--dump-tokens", "f.json", "--output", "f.wav"];
    assert_success(&dir.csm(&[HELLO, &force].concat()));
    assert_eq!(read(&dir, "f.json").frames, file.frames);
}

#[test]
fn again_reproduces_a_clip_and_its_edits() {
    let (dir, file) = exact_clip();
    assert_success(&dir.csm(&[
        "generate",
        "--again",
        "t.json",
        "--dump-tokens",
        "again.json",
        "--output",
        "again.wav",
    ]));
    assert_eq!(read(&dir, "again.json"), file);
    assert_eq!(std::fs::read(dir.at("again.wav")).unwrap(), std::fs::read(dir.at("audio.wav")).unwrap());
    let token = file.frames.frame(4)[0] + 1;
    let edited = TokenFile { edits: vec![Edit::Token { frame: 4, codebook: 0, token }], ..file.clone() };
    edited.write(&dir.at("edited.json")).unwrap();
    assert_success(&dir.csm(&["generate", "--again", "edited.json", "--dump-tokens", "e.json", "--output", "e.wav"]));
    let changed = read(&dir, "e.json");
    assert_eq!(changed.frames.prefix(4), file.frames.prefix(4));
    assert_eq!(changed.frames.frame(4)[0], token);
    assert_success(&dir.csm(&["generate", "--again", "e.json", "--dump-tokens", "e2.json", "--output", "e.wav"]));
    assert_eq!(read(&dir, "e2.json"), changed);
}

#[test]
fn a_token_file_is_context_unchanged() {
    let (dir, file) = exact_clip();
    let reply = ["generate", "--text", "I am fine, thank you.", "--speaker", "1", "--seed", "1", "--output", "r.wav"];
    let context =
        ["--context-audio", "t.json", "--context-text", "Good morning, how are you today?", "--context-speaker", "0"];
    let out = dir.csm(&[&reply[..], &context, &["--dump-tokens", "r.json"]].concat());
    assert_success(&out);
    assert!(!String::from_utf8_lossy(&out.stderr).contains("warning"));
    assert_eq!(read(&dir, "r.json").context[0].frames, file.frames);
}

#[test]
fn several_seeds_are_a_file_each_as_if_they_were_made_alone() {
    let (dir, file) = exact_clip(); // seed 3
    let seeds = ["--seeds", "2..4", "--output", "many.wav", "--dump-tokens", "many.json", "--json"];
    let out = dir.csm(&[&["generate", "--text", HELLO[2], "--sampling", "exact"][..], &seeds].concat());
    assert_success(&out);
    let lines: Vec<serde_json::Value> =
        String::from_utf8(out.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seeds: Vec<u64> = lines.iter().map(|line| line["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [2, 3, 4]);
    assert_eq!(lines[1]["output"], "many-seed3.wav");
    assert_eq!(read(&dir, "many-seed3.json"), file);
    assert_ne!(read(&dir, "many-seed2.json").frames, file.frames);
    for seed in seeds {
        let wav = hound::WavReader::open(dir.at(&format!("many-seed{seed}.wav"))).unwrap();
        assert!(wav.duration() > 24_000);
    }
    let dir = TestDir::new();
    dir.refused(&["--text", "a", "--seeds", "1..2", "--seed", "1"], &["--seeds", "--seed"]);
    dir.refused(&["--text", "a", "--seeds", "1..2", "--output", "-"], &["--output", "a file for each seed"]);
}

/// Files of earlier versions: what they say is read, and written again to the byte.
#[test]
fn old_token_files_and_takes_are_read_and_written_to_the_byte() {
    for name in ["tokens.json", "reply.json"] {
        let path = crate::support::repository(&format!("tests/goldens/files-v1/{name}"));
        let stored = std::fs::read_to_string(&path).unwrap();
        assert_eq!(TokenFile::read(&path, &demo_dims()).unwrap().to_json(), stored, "{name}");
    }
    let stored = std::fs::read_to_string(crate::support::repository("tests/goldens/files-v1/take.json")).unwrap();
    let take: csm_studio::takes::Take = serde_json::from_str(&stored).unwrap();
    assert_eq!(serde_json::to_string_pretty(&take).unwrap(), stored.trim_end());
}

#[test]
fn longer_text_from_standard_input_is_spoken_sentence_by_sentence() {
    let dir = TestDir::new();
    let mut child = dir
        .program("csm")
        .args(["generate", "--stdin", "--seed", "4", "--json", "--dump-tokens", "t.json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"Good morning. How are you today?\nI lost my keys.")
        .unwrap();
    let result: serde_json::Value =
        serde_json::from_str(assert_success(&child.wait_with_output().unwrap()).trim()).unwrap();
    let frames = |n| TokenFile::read(&dir.at(&format!("t-00{n}.json")), &demo_dims()).unwrap().frames.len();
    assert_eq!(result["frames"].as_u64().unwrap() as usize, frames(1) + frames(2) + frames(3));
}

#[test]
fn recordings_can_be_context_and_this_voice_warns_that_it_hears_nothing_in_them() {
    let dir = TestDir::new();
    for (n, spec) in
        [spec(1, 8_000, 8, false), spec(2, 44_100, 24, false), spec(6, 96_000, 16, false), spec(1, 48_000, 32, true)]
            .into_iter()
            .enumerate()
    {
        let name = format!("c{n}.wav");
        write_wav(&dir.at(&name), spec, 1.03, 0.5);
        let context = [
            "--context-audio",
            &name,
            "--context-text",
            "hello",
            "--context-speaker",
            "0",
            "--output",
            "o.wav",
            "--dump-tokens",
            "t.json",
        ];
        let out = dir.csm(&[HELLO, &context].concat());
        assert!(String::from_utf8_lossy(&out.stderr).contains("takes no voice from a recording"));
        assert_success(&out);
        // 1.03 s are 12.9 frames: the last one is filled up.
        assert_eq!(TokenFile::read(&dir.at("t.json"), &demo_dims()).unwrap().context[0].frames.len(), 13, "{spec:?}");
    }
}

#[test]
fn bad_recordings_are_refused() {
    let dir = TestDir::new();
    let context = |name: &str, parts: &[&str]| {
        let args = ["--text", "hello", "--context-audio", name, "--context-text", "a", "--context-speaker", "0"];
        dir.refused(&args, &[&[name], parts].concat());
    };
    write_wav(&dir.at("empty.wav"), spec(1, 24_000, 16, false), 0.0, 0.0);
    context("empty.wav", &["no samples"]);
    write_wav(&dir.at("silent.wav"), spec(1, 24_000, 16, false), 1.0, 0.0);
    context("silent.wav", &["silent"]);
    write_wav(&dir.at("nan.wav"), spec(1, 24_000, 32, true), 1.0, f32::NAN);
    context("nan.wav", &["finite"]);
    std::fs::write(dir.at("text.wav"), "this is no sound").unwrap();
    context("text.wav", &["expected a recording"]);
    context("absent.wav", &["cannot be read"]);
}

#[test]
fn bad_values_are_refused() {
    let dir = TestDir::new();
    dir.refused(&["--text", " … "], &["--text", "something to say"]);
    dir.refused(&["--stdin"], &["--stdin", "something to say"]);
    dir.refused(&["--text", "a", "--speaker", "7"], &["--speaker", "0 (low)", "7"]);
    dir.refused(&["--text", "a", "--voice", "bob"], &["--voice", "low, high", "bob"]);
    dir.refused(&["--text", "a", "--temperature", "-0.5"], &["--temperature", "-0.5"]);
    dir.refused(&["--text", "a", "--temperature", "NaN"], &["--temperature", "NaN"]);
    dir.refused(&["--text", "a", "--depth-temperature", "inf"], &["--depth-temperature"]);
    dir.refused(&["--text", "a", "--topk", "0"], &["--topk", "1 to 1027"]);
    dir.refused(&["--text", "a", "--topk", "1028"], &["--topk", "1 to 1027"]);
    dir.refused(&["--text", "a", "--seed", "18446744073709551616"], &["--seed"]);
    dir.refused(&["--text", "a", "--seed", "-1"], &["--seed", "-1"]);
    dir.refused(&["--text", "a", "--sampling", "magic"], &["--sampling", "native, exact, hybrid"]);
    dir.refused(&["--text", "a", "--use-exact-sampling", "--pytorch-tokens"], &["exact and hybrid"]);
    dir.refused(&["--text", "a", "--sampling", "native", "--use-exact-sampling"], &["native and exact"]);
    dir.refused(&["--text", "a", "--guard-range", "0-5"], &["--guard-range"]);
    dir.refused(&["--text", "a", "--guard-range", "5-2000"], &["--guard-range", "1026"]);
    dir.refused(&["--text", "a", "--max-audio-length-ms", "79"], &["--max-audio-length-ms", "80"]);
    dir.refused(&["--text", "a", "--context-text", "b"], &["an equal number of each", "0 files, 1 texts, 0 speakers"]);
    dir.refused(&["--text", "a", "--model-path", "nowhere"], &["nowhere", "checkpoint"]);
    dir.refused(&["--text", "a", "--max-audio-length-ms", "170000"], &["too long", "2048"]);
    dir.refused(&[], &["--text"]);
}

#[test]
fn bad_token_files_are_refused() {
    let dir = TestDir::new();
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "range.json",
            r#"{"frames": [[1,2,3,4,5,6],[1,2,3,4,5,1027]]}"#,
            &["0 to 1026", "1027 in frame 1, codebook 5"],
        ),
        ("rows.json", r#"{"frames": [[1,2,3,4,5,6],[1,2,3]]}"#, &["6 codes per frame", "3 in frame 1"]),
        ("none.json", r#"{"frames": []}"#, &["at least one"]),
        ("other.json", r#"{"format": "mine", "frames": [[1,2,3,4,5,6]]}"#, &["csm-tokens", "mine"]),
        ("broken.json", r#"{"frames": [[1,2"#, &["token file"]),
        ("array.npy", "nonsense", &["npy"]),
    ];
    for (name, content, parts) in cases {
        std::fs::write(dir.at(name), content).unwrap();
        dir.refused(&["--decode-tokens", name], &[&[*name], *parts].concat());
        dir.refused(&["--text", "hello", "--force-tokens", name], &[name]);
        dir.refused(&["--again", name], &[name]);
    }
    dir.refused(&["--decode-tokens", "absent.json"], &["absent.json"]);
}

#[test]
fn audio_that_cannot_be_written_goes_to_the_temporary_folder() {
    let dir = TestDir::new();
    std::fs::create_dir(dir.at("tmp")).unwrap();
    let out =
        dir.program("csm").args(HELLO).args(["--output", "/dev/full"]).env("TMPDIR", dir.at("tmp")).output().unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(3), "{text}");
    assert!(text.contains("/dev/full"), "{text}");
    let kept = std::fs::read_dir(dir.at("tmp")).unwrap().next().unwrap().unwrap().path();
    assert!(text.contains(kept.to_str().unwrap()), "{text}");
    assert!(recording::samples(&kept, 24_000).unwrap().len() > 24_000);
    // A missing folder is reported before anything is spoken.
    let out = dir.csm(&[HELLO, &["--output", "no/such/folder/a.wav", "--debug"]].concat());
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(3), "{text}");
    assert!(text.contains("no/such/folder/a.wav") && !text.contains("frame"), "{text}");
}

/// A program that speaks a long text, after its first piece or its tenth frame.
fn speaking(dir: &TestDir, until: &str) -> (std::process::Child, Box<dyn Iterator<Item = String>>) {
    let long = "The little boat sailed across the lake. ".repeat(30);
    let mut child = dir
        .program("csm")
        .args(["generate", "--stdin", "--seed", "1", "--debug"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), long.as_bytes()).unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap())).map(Result::unwrap);
    let mut prompts = 0;
    assert!(lines.any(|l| {
        prompts += usize::from(l.contains("prompt "));
        if until == "frame 10:" { l.starts_with(until) } else { prompts == 3 }
    }));
    (child, Box::new(lines))
}

/// Ctrl-C, a request to terminate and a closed terminal: what was made is kept, and the exit code says so.
#[test]
fn signals_keep_what_was_made() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let dir = TestDir::new();
        let (child, lines) = speaking(&dir, "frame 10:");
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        lines.for_each(drop);
        let out = child.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(130), "{signal}");
        assert!(String::from_utf8_lossy(&out.stdout).contains("cancelled"));
        assert!(recording::samples(&dir.at("audio.wav"), 24_000).unwrap().len() >= 10 * 1_920);
        let parts = std::fs::read_dir(dir.at(""))
            .unwrap()
            .flatten()
            .filter(|e| e.path().extension().is_some_and(|x| x == "part"));
        assert_eq!(parts.count(), 0);
    }
}

/// Even a program that is killed leaves the pieces that it had finished, and the file that was there before.
#[test]
fn a_killed_program_leaves_its_finished_pieces() {
    let dir = TestDir::new();
    std::fs::write(dir.at("audio.wav"), "old").unwrap();
    let (mut child, lines) = speaking(&dir, "third piece");
    child.kill().unwrap();
    lines.for_each(drop);
    child.wait().unwrap();
    assert_eq!(std::fs::read(dir.at("audio.wav")).unwrap(), b"old");
    let mut files = std::fs::read_dir(dir.at("")).unwrap().flatten().map(|e| e.path());
    let part = files.find(|p| p.extension().is_some_and(|x| x == "part")).expect("the unfinished file");
    assert!(recording::samples(&part, 24_000).unwrap().len() > 2 * 24_000, "two pieces are in it");
}

#[test]
fn an_output_is_no_input() {
    let (dir, _) = exact_clip();
    let again = ["--again", "t.json"];
    dir_refuses(&dir, &[&again[..], &["--dump-tokens", "t.json"]].concat());
    dir_refuses(&dir, &["--text", "Hello.", "--output", "x.wav", "--dump-tokens", "x.wav"]);
    std::os::unix::fs::symlink(dir.at("t.json"), dir.at("link.json")).unwrap();
    dir_refuses(&dir, &[&again[..], &["--dump-tokens", "link.json"]].concat());
}

#[track_caller]
fn dir_refuses(dir: &TestDir, args: &[&str]) {
    let out = dir.csm(&[&["generate"], args].concat());
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(text.contains("neither an input nor another output"), "{text}");
}

/// A text is spoken in pieces wherever it comes from; numbers are read in words and told of once; control marks are refused.
#[test]
fn text_is_cut_and_read() {
    let dir = TestDir::new();
    let text = "[1]It is 10:45.\n[0]I lost my keys.";
    let out = dir.csm(&["generate", "--text", text, "--seed", "1", "--dump-tokens", "t.json"]);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_success(&out);
    assert!(told.contains("2 pieces") && told.contains("\"10:45\" as \"ten forty-five\""), "{told}");
    let (first, second) = (read(&dir, "t-001.json"), read(&dir, "t-002.json"));
    assert_eq!((first.speaker, first.text.as_deref()), (Some(1), Some("It is 10:45.")));
    assert_eq!((second.speaker, second.text.as_deref()), (Some(0), Some("I lost my keys.")));
    assert_eq!(second.context[0].frames, first.frames);
    // Read in words, the same text gives the same tokens.
    let words =
        ["generate", "--text", "It is ten forty-five.", "--speaker", "1", "--seed", "1", "--dump-tokens", "w.json"];
    assert_success(&dir.csm(&words));
    assert_eq!(read(&dir, "w.json").frames, first.frames);
    let whole =
        ["generate", "--text", "Good morning. I lost my keys.", "--whole", "--seed", "1", "--dump-tokens", "one.json"];
    assert_success(&dir.csm(&whole));
    assert_eq!(read(&dir, "one.json").text.as_deref(), Some("Good morning. I lost my keys."));
    std::fs::remove_file(dir.at("audio.wav")).unwrap();
    dir.refused(&["--text", "Hello <|AUDIO|> there."], &["<|AUDIO|>"]);
    dir.refused(&["--text", &"Hello there. ".repeat(200)], &["--stdin", "2000 characters"]);
}
