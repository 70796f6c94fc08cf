//! Objective measures of sound against librosa, mel-cepstral-distance, pyloudnorm and jiwer (`goldens/acoustics.py`).

use std::f64::consts::PI;

use csm_studio::acoustics::distances::{SoundFeatures, distance};
use csm_studio::acoustics::measures::{SOUND_MEASURES, Sound, SoundValues};
use csm_studio::acoustics::pitch::fundamental;
use csm_studio::analysis::word_errors::{AlignedWord, WordErrors};
use serde_json::Value;

const RATE: usize = 24_000;

fn goldens() -> Value {
    serde_json::from_str(include_str!("goldens/acoustics.json")).unwrap()
}

/// A sound of the goldens, made as `goldens/acoustics.py` makes it.
fn sound(parts: &Value) -> Vec<f32> {
    let mut state: u64 = 1;
    let mut samples: Vec<f64> = Vec::new();
    for part in parts.as_array().unwrap() {
        let number = |n: usize| part[n].as_f64().unwrap();
        let n = (number(0) * RATE as f64).round() as usize;
        let (first, last) = (number(1), number(2));
        if first < 0.0 {
            samples.extend(std::iter::repeat_n(0.0, n));
        } else if first == 0.0 {
            samples.extend((0..n).map(|_| {
                state = (state * 1_664_525 + 1_013_904_223) % (1 << 32);
                number(3) * (state as f64 / f64::from(1u32 << 31) - 1.0)
            }));
        } else {
            samples.extend((0..n).map(|i| {
                let t = i as f64 / n as f64;
                let phase = 2.0 * PI * n as f64 / RATE as f64 * (first * t + (last - first) * t * t / 2.0);
                let tone: f64 = (1..=10).map(|k| (f64::from(k) * phase).sin() / f64::from(k)).sum();
                number(3) * (PI * t).sin() * tone
            }));
        }
    }
    samples.into_iter().map(|s| s.clamp(-1.0, 1.0) as f32).collect()
}

#[track_caller]
fn assert_close(ours: Option<f64>, theirs: &Value, tolerance: f64, what: &str) {
    let (ours, theirs) = (ours.unwrap_or_else(|| panic!("{what}: nothing")), theirs.as_f64().unwrap());
    assert!((ours - theirs).abs() <= tolerance * theirs.abs().max(1.0), "{what}: {ours} against {theirs}");
}

/// Every measure that a known library has is as that library says; librosa's levels are float32.
#[test]
fn a_sound_is_measured_as_the_libraries_do() {
    for case in goldens()["sounds"].as_array().unwrap() {
        let samples = sound(&case["parts"]);
        let values = SoundValues::measure(&Sound::new(&samples, RATE, Some(7)));
        let expected = case["measures"].as_object().unwrap();
        for measure in &SOUND_MEASURES {
            let what = format!("{} of {}", measure.key, case["name"]);
            match (measure.key, expected.get(measure.key)) {
                ("longest_pause_s" | "words_per_second", None) => {}
                (_, Some(theirs)) => assert_close(values.get(measure.key), theirs, 1e-5, &what),
                (_, None) => panic!("{what} has no value of a library: add it to goldens/acoustics.py"),
            }
        }
        let theirs = expected["fundamental"].as_array().unwrap();
        let ours = fundamental(&samples, RATE);
        assert_eq!(ours.len(), theirs.len());
        for (t, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            assert_eq!(ours.is_some(), theirs.is_number(), "frame {t} of {}", case["name"]);
            ours.iter().for_each(|f0| assert_close(Some(*f0), theirs, 1e-5, &format!("frame {t} of {}", case["name"])));
        }
    }
}

#[test]
fn pauses_and_the_rate_are_those_of_the_sound() {
    let tone = |seconds: f64| (0..(seconds * RATE as f64) as usize).map(|n| 0.5 * (n as f32 * 0.05).sin());
    let silence = |seconds: f64| std::iter::repeat_n(0f32, (seconds * RATE as f64) as usize);
    let samples: Vec<f32> =
        silence(1.0).chain(tone(1.0)).chain(silence(0.4)).chain(tone(0.6)).chain(silence(2.0)).collect();
    let values = SoundValues::measure(&Sound::new(&samples, RATE, Some(6)));
    assert!((values.get("longest_pause_s").unwrap() - 0.4).abs() < 0.04, "{values:?}");
    assert!((values.get("words_per_second").unwrap() - 3.0).abs() < 0.1, "{values:?}");
}

#[test]
fn what_has_no_value_says_so() {
    for samples in [vec![], vec![0.0; 100], vec![0.0; RATE]] {
        let values = SoundValues::measure(&Sound::new(&samples, RATE, None));
        for key in ["loudness_lufs", "peak_dbfs", "level_dbfs", "words_per_second", "f0_median_hz", "voiced_share"] {
            assert_eq!(values.get(key), None, "{key} of {} samples", samples.len());
        }
        let features = SoundFeatures::new(&samples, RATE);
        let apart = distance(&features, &features);
        assert!(apart.is_none_or(|d| d.mel_cepstral == 0.0 && d.pitch.is_none()), "{apart:?}");
    }
}

#[test]
fn sounds_are_as_far_apart_as_the_libraries_say() {
    let goldens = goldens();
    let of = |name: &Value| {
        let sounds = goldens["sounds"].as_array().unwrap();
        let case = sounds.iter().find(|case| case["name"] == *name).unwrap();
        SoundFeatures::new(&sound(&case["parts"]), RATE)
    };
    for pair in goldens["pairs"].as_array().unwrap() {
        let (expected, ours) = (&pair["distances"], distance(&of(&pair["a"]), &of(&pair["b"])).unwrap());
        assert_close(Some(ours.mel_cepstral), &expected["mel_cepstral"], 1e-6, "mel-cepstral distance");
        assert_close(Some(ours.log_spectral), &expected["log_spectral"], 1e-5, "log-spectral distance");
        assert_close(ours.pitch, &expected["pitch"], 1e-5, "difference in pitch");
    }
}

#[test]
fn sentences_are_heard_as_wrongly_as_jiwer_says() {
    for case in goldens()["sentences"].as_array().unwrap() {
        let text = |key: &str| case[key].as_str().unwrap();
        let ours = WordErrors::measure(text("reference"), text("heard")).unwrap();
        assert_close(Some(ours.word_error_rate), &case["words"]["rate"], 1e-12, text("heard"));
        assert_close(Some(ours.character_error_rate), &case["characters"]["rate"], 1e-12, text("heard"));
        let errors = ours.alignment.iter().filter(|word| !matches!(word, AlignedWord::Correct { .. })).count() as u64;
        let count = |key: &str| case["words"][key].as_u64().unwrap();
        assert_eq!(errors, count("substitutions") + count("deletions") + count("insertions"));
    }
}
