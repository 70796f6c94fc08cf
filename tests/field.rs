//! Inputs as people have them: each test is a kind of input, with its own cases that are wrong or unusual in one way.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use csm_studio::listen::{ListeningTest, Results};

use crate::support::golden::Golden;
use crate::support::test_dir::{TestDir, assert_success};

/// Writes a WAV file: one second at `rate`, sample n of channel c is `sample(n, c)`.
fn write_sound(path: &Path, rate: u32, channels: u16, seconds: f64, sample: impl Fn(usize, u16) -> f32) {
    let spec =
        hound::WavSpec { channels, sample_rate: rate, bits_per_sample: 32, sample_format: hound::SampleFormat::Float };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..(seconds * f64::from(rate)) as usize {
        (0..channels).for_each(|c| writer.write_sample(sample(n, c)).unwrap());
    }
    writer.finalize().unwrap();
}

fn tone(hertz: f32, rate: u32) -> impl Fn(usize, u16) -> f32 {
    move |n, _| 0.4 * (n as f32 * hertz * std::f32::consts::TAU / rate as f32).sin()
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// Speaks one frame after the voice prompt `sound`, which says `text`.
fn speak_after(dir: &TestDir, model: &str, sound: &str, text: &str) -> Output {
    let settings = ["generate", "--model-path", model, "--text", "Hi.", "--seed", "1", "--max-audio-length-ms", "80"];
    let prompt = ["--context-audio", sound, "--context-text", text, "--context-speaker", "0"];
    dir.csm(&[&settings[..], &prompt].concat())
}

#[track_caller]
fn assert_refused(out: &Output, parts: &[&str]) {
    let text = said(out);
    assert_eq!(out.status.code(), Some(2), "{text}");
    parts.iter().for_each(|part| assert!(text.contains(part), "{part:?} is not in: {text}"));
}

#[test]
fn a_sound_is_read_alike_as_a_stimulus_and_as_a_voice_prompt() {
    let dir = TestDir::new();
    write_sound(&dir.at("plain.wav"), 24_000, 1, 1.0, tone(300.0, 24_000));
    write_sound(&dir.at("stereo.wav"), 24_000, 2, 1.0, |n, c| tone(200.0, 24_000)(n + 40 * usize::from(c), 0));
    write_sound(&dir.at("wide.wav"), 96_000, 1, 1.0, tone(500.0, 96_000));
    write_sound(&dir.at("narrow.wav"), 8_000, 1, 1.0, tone(300.0, 8_000));
    write_sound(&dir.at("loud.wav"), 24_000, 1, 1.0, |n, _| 4.0 * tone(300.0, 24_000)(n, 0));
    write_sound(&dir.at("faint.wav"), 24_000, 1, 1.0, |n, _| 0.01 * tone(300.0, 24_000)(n, 0));
    write_sound(&dir.at("opposed.wav"), 24_000, 2, 1.0, |n, c| {
        tone(310.0, 24_000)(n, 0) * if c == 0 { 1.0 } else { -1.0 }
    });
    write_sound(&dir.at("silent.wav"), 24_000, 1, 1.0, |_, _| 0.0);
    write_sound(&dir.at("empty.wav"), 24_000, 1, 0.0, |_, _| 0.0);
    write_sound(&dir.at("nan.wav"), 24_000, 1, 1.0, |n, _| if n == 7 { f32::NAN } else { 0.1 });
    write_sound(&dir.at("infinite.wav"), 24_000, 1, 1.0, |n, _| if n == 7 { f32::INFINITY } else { 0.1 });
    write_sound(&dir.at("rate.wav"), 1_000, 1, 1.0, tone(100.0, 1_000));
    fs::write(dir.at("text.wav"), "no sound").unwrap();
    fs::write(dir.at("cut.wav"), &fs::read(dir.at("plain.wav")).unwrap()[..60_000]).unwrap();
    let stimulus = |name: &str| {
        let (output, plain) = (format!("{name}.json"), "b=plain.wav".to_owned());
        let condition = format!("a={name}");
        let args = [
            "listen",
            "new",
            "--kind",
            "preference",
            "--condition",
            &condition,
            "--condition",
            &plain,
            "--output",
            &output,
        ];
        dir.csm(&args)
    };
    let model = Golden::read("mini").build();
    let model = model.path().to_str().unwrap();
    let prompt = |name: &str| speak_after(&dir, model, name, "It was a good day.");
    // Said alike, and used.
    for (name, what) in [
        ("stereo.wav", "2 channels are mixed down"),
        ("wide.wav", "resampled from 96000 to 24000 Hz"),
        ("narrow.wav", "resampled from 8000 to 24000 Hz"),
        ("loud.wav", "louder than full scale"),
        ("faint.wav", "very quiet"),
        ("opposed.wav", "cancel each other"),
        ("cut.wav", "cut short"),
    ] {
        for out in [stimulus(name), prompt(name)] {
            assert_success(&out);
            let text = said(&out);
            assert!(text.contains(&format!("{name}: ")) && text.contains(what), "{name}: {text}");
        }
    }
    // Refused alike.
    for (name, what) in [
        ("empty.wav", "no samples"),
        ("nan.wav", "finite"),
        ("infinite.wav", "finite"),
        ("rate.wav", "sample rate"),
        ("text.wav", "expected a recording"),
        ("missing.wav", "cannot be read"),
    ] {
        assert_refused(&stimulus(name), &[name, what]);
        assert_refused(&prompt(name), &[name, what]);
    }
    let silent = stimulus("silent.wav");
    assert_success(&silent);
    assert!(said(&silent).contains("silent.wav: is silent"), "{}", said(&silent));
    assert_refused(&prompt("silent.wav"), &["silent.wav", "silent"]);
}

#[test]
#[cfg(unix)]
fn a_recording_comes_through_a_pipe() {
    let dir = TestDir::new();
    write_sound(&dir.at("a.wav"), 24_000, 1, 1.0, tone(300.0, 24_000));
    write_sound(&dir.at("b.wav"), 24_000, 1, 1.0, tone(200.0, 24_000));
    let mut child = dir
        .program("csm")
        .args(["listen", "new", "--kind", "abx", "--condition", "a=/dev/stdin", "--condition", "b=b.wav"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(dir.at("a.wav")).unwrap()).unwrap();
    assert!(assert_success(&child.wait_with_output().unwrap()).contains("trials"));
}

#[test]
fn names_of_stimuli_may_have_commas() {
    let dir = TestDir::new();
    for (n, name) in ["a.wav", "b, c.wav", "d,e,f.wav", "g.wav"].iter().enumerate() {
        write_sound(&dir.at(name), 24_000, 1, 0.5, tone(200.0 + 50.0 * n as f32, 24_000));
    }
    let items = |first: &str, second: &str| {
        fs::remove_file(dir.at("t.json")).ok();
        let args = [
            "listen",
            "new",
            "--kind",
            "preference",
            "--trials",
            "1",
            "--output",
            "t.json",
            "--condition",
            first,
            "--condition",
            second,
        ];
        assert_success(&dir.csm(&args));
        let test: serde_json::Value = serde_json::from_slice(&fs::read(dir.at("t.json")).unwrap()).unwrap();
        test["stimuli"].as_array().unwrap().len()
    };
    assert_eq!(items("x=a.wav", "y=b, c.wav"), 2);
    assert_eq!(items("x=a.wav,b, c.wav", "y=d,e,f.wav,g.wav"), 4);
}

#[test]
fn no_command_writes_over_what_it_reads() {
    let dir = TestDir::new();
    for (name, hertz) in [("a.wav", 300.0), ("b.wav", 200.0)] {
        write_sound(&dir.at(name), 24_000, 1, 0.5, tone(hertz, 24_000));
    }
    let csm = |line: &str| dir.csm(&line.split(' ').collect::<Vec<_>>());
    assert_success(&csm(
        "listen new --kind abx --trials 2 --seed 1 --condition a=a.wav --condition b=b.wav --output t.json",
    ));
    let test = ListeningTest::read(&dir.at("t.json")).unwrap();
    Results::new(&test, "Ada", "", 0).write(&dir.at("r.json")).unwrap();
    assert_success(&csm("generate --text Hi. --seed 1 --max-audio-length-ms 160 --output o.wav --dump-tokens t1.json"));
    std::os::unix::fs::symlink("t1.json", dir.at("link.json")).unwrap();
    let inputs = ["a.wav", "b.wav", "t.json", "r.json", "t1.json", "o.wav"];
    let before: Vec<Vec<u8>> = inputs.iter().map(|name| fs::read(dir.at(name)).unwrap()).collect();
    for line in [
        "listen report t.json r.json --csv r.json",
        "listen report t.json r.json --html t.json",
        "listen report t.json r.json --csv ./r.json",
        "listen report t.json r.json --csv x.csv --html x.csv",
        "listen report t.json r.json --csv x.html",
        "listen report t.json r.json --html x.csv",
        "listen new --kind abx --condition a=a.wav --condition b=b.wav --output a.wav",
        "listen new --kind abx --condition a=a.wav --condition b=b.wav --output n.json --page b.wav",
        "listen new --kind abx --condition a=a.wav --condition b=b.wav --output n.json --page n.json",
        "analyze --no-steps t1.json --csv t1.json",
        "analyze --no-steps link.json --csv t1.json",
        "analyze --no-steps t1.json --html link.json",
        "analyze --no-steps t1.json --csv x.csv --html x.csv",
        "compare --text Hi. --modes native --seeds 1 --csv x.html",
        "generate --text Hi. --context-audio t1.json --context-text Hi. --context-speaker 0 --output o2.wav --dump-tokens t1.json",
        "generate --decode-tokens t1.json --output t1.json",
        "generate --text Hi. --output o.wav --dump-tokens o.wav",
    ] {
        assert_refused(&csm(line), &["expected"]);
        let after: Vec<Vec<u8>> = inputs.iter().map(|name| fs::read(dir.at(name)).unwrap()).collect();
        assert!(before == after, "{line} changed an input");
    }
}

#[test]
#[cfg(unix)]
fn outputs_have_names_as_they_are() {
    use std::os::unix::ffi::OsStrExt;
    let dir = TestDir::new();
    let speak = |output: &std::ffi::OsStr| {
        let mut command = dir.program("csm");
        command.args(["generate", "--text", "Hi.", "--seed", "1", "--max-audio-length-ms", "80", "--json", "--output"]);
        command.arg(output).output().unwrap()
    };
    let long = format!("{}.wav", "n".repeat(250));
    let umlauts = format!("{}.wav", "ü".repeat(125));
    for name in [
        b"na\xefve.wav".as_slice(),
        long.as_bytes(),
        umlauts.as_bytes(),
        b"a b'c\"d.wav",
        b"-.wav",
        b"new\nline.wav",
        b"~.wav",
    ] {
        let name = std::ffi::OsStr::from_bytes(name);
        let out = speak(&Path::new("./").join(name).into_os_string());
        assert_success(&out);
        let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        assert!(json["frames"] == 1 && dir.at("").join(name).is_file(), "{name:?}");
    }
    // A link to a file that is not there yet, in another folder.
    fs::create_dir(dir.at("nas")).unwrap();
    std::os::unix::fs::symlink("nas/today.wav", dir.at("link.wav")).unwrap();
    assert_success(&speak("link.wav".as_ref()));
    assert!(dir.at("nas/today.wav").is_file() && fs::symlink_metadata(dir.at("link.wav")).unwrap().is_symlink());
    // Standard output where the temporary folder does not exist; the home folder where no shell replaced its sign.
    let mut command = dir.program("csm");
    command.args(["generate", "--text", "Hi.", "--seed", "1", "--max-audio-length-ms", "80", "--output", "-"]);
    let out = command.env("TMPDIR", "/nowhere").output().unwrap();
    assert!(out.status.success() && out.stdout.starts_with(b"RIFF"), "{}", said(&out));
    let mut command = dir.program("csm");
    command.args(["generate", "--text", "Hi.", "--seed", "1", "--max-audio-length-ms", "80", "--output=~/home.wav"]);
    assert_success(&command.env("HOME", dir.at("")).output().unwrap());
    assert!(dir.at("home.wav").is_file());
}

#[test]
fn a_checkpoint_is_found_by_what_people_type() {
    let (dir, model) = (TestDir::new(), Golden::read("mini").build());
    let repository = dir.at("hub/models--sesame--csm-1b");
    fs::create_dir_all(repository.join("snapshots/03ab1c")).unwrap();
    for entry in fs::read_dir(model.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), repository.join("snapshots/03ab1c").join(entry.file_name())).unwrap();
    }
    let voices = |name: &str| {
        dir.program("csm").args(["voices", "--model-path", name]).env("HF_HUB_CACHE", dir.at("hub")).output().unwrap()
    };
    for name in [
        "sesame/csm-1b",
        "CSM-1B",
        "https://huggingface.co/sesame/csm-1b",
        "https://huggingface.co/sesame/csm-1b/tree/main",
        "huggingface.co/sesame/csm-1b/",
        "hf.co/sesame/csm-1b",
        "hf://sesame/csm-1b",
        model.path().to_str().unwrap(),
    ] {
        assert_success(&voices(name));
    }
    for name in ["https://example.com/sesame/csm-1b", "sesame/other", "nowhere"] {
        assert_refused(&voices(name), &[]);
    }
    // A download that was broken off: a link without its file, or no weights and a rest of them.
    let weights = repository.join("snapshots/03ab1c/model.safetensors");
    fs::create_dir(repository.join("blobs")).unwrap();
    fs::rename(&weights, repository.join("blobs/9f1c.incomplete")).unwrap();
    assert_refused(&voices("csm-1b"), &["csm download"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../../blobs/9f1c", &weights).unwrap();
        assert_refused(&voices("csm-1b"), &["csm download"]);
    }
    let offline = |value: &str| {
        let mut command = dir.program("csm");
        command.args(["download", "sesame/csm-1b"]).env("HF_HUB_OFFLINE", value).env("HF_HUB_CACHE", dir.at("hub"));
        command.env("HF_ENDPOINT", "http://127.0.0.1:9").output().unwrap()
    };
    for value in ["1", "true", "ON", "yes"] {
        assert_refused(&offline(value), &["HF_HUB_OFFLINE"]);
    }
}

#[test]
fn quantisation_that_is_not_affine_is_refused_by_name() {
    for (mode, accepted) in [("affine", true), ("mxfp4", false), ("nvfp4", false), ("mxfp8", false)] {
        for config in [
            serde_json::json!({"quantization": {"group_size": 32, "bits": 4, "mode": mode}}),
            serde_json::json!({"quantization_config": {"group_size": 32, "bits": 4, "mode": mode}}),
            serde_json::json!({"quantization": {"group_size": 32, "bits": 4, "backbone.layers.0": {"mode": mode}}}),
        ] {
            let model = Golden::read("mini").build();
            let path = model.path().join("config.json");
            let mut whole: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
            fs::write(&path, whole.to_string()).unwrap();
            match csm_studio::checkpoint::Checkpoint::open(model.path()) {
                Ok(_) => assert!(accepted, "{mode}"),
                Err(e) => assert!(!accepted && e.to_string().contains(mode), "{e}"),
            }
        }
    }
}

#[test]
fn a_transcript_that_does_not_fit_its_recording_is_named() {
    let (dir, model) = (TestDir::new(), Golden::read("mini").build());
    let model = model.path().to_str().unwrap();
    let long = "The ferry leaves at noon every day in summer and at ten on Sundays, unless the wind is up.";
    for (seconds, text, warned) in [
        (1.0, "Hi.", false),
        (2.0, "Good morning.", false),
        (3.0, "The ferry leaves at noon every day.", false),
        (0.5, "Hi.", false),
        (4.0, "Hi.", true),
        (4.0, "Good.", true),
        (0.5, long, true),
        (1.5, long, true),
        (4.0, long, false),
        (3.0, "We waited until noon.", false),
    ] {
        write_sound(&dir.at("v.wav"), 24_000, 1, seconds, tone(200.0, 24_000));
        let out = speak_after(&dir, model, "v.wav", text);
        let text = format!("{text}, {seconds} s: {}", said(&out));
        assert!(out.status.success() || text.contains("too long"), "{text}");
        assert_eq!(text.contains("v.wav: is "), warned, "{text}");
    }
}
