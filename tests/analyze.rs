//! `csm analyze` and `csm compare`, run as a user runs them.

use serde_json::Value;

use crate::support::golden::Golden;
use crate::support::test_dir::{TestDir, assert_success};

const HELLO: [&str; 3] = ["generate", "--text", "Good morning."];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn token_files_are_analysed_in_every_format() {
    let dir = TestDir::new();
    for (seed, mode) in [("1", "native"), ("2", "native"), ("1", "exact"), ("2", "exact")] {
        let file = format!("{mode}{seed}.json");
        assert_success(&dir.csm(&[&HELLO[..], &["--seed", seed, "--sampling", mode, "--dump-tokens", &file]].concat()));
    }
    let files = ["analyze", "native1.json", "native2.json", "exact1.json", "exact2.json"];
    let forms = ["--json", "--csv", "r.csv", "--html", "r.html", "--png", "png"];
    let report = json(&assert_success(&dir.csm(&[&files[..], &forms].concat())));
    let clip = &report["clips"][0];
    let frames = clip["frames"].as_u64().unwrap() as usize;
    assert_eq!(clip["stop"], "eos");
    // The model is trained: it is surer than chance by far, and a sampled token is among the likely ones.
    let means = &clip["means"][0];
    assert!((0.01..5.0).contains(&means["entropy_bits"].as_f64().unwrap()), "{means}");
    assert!((1.0..50.0).contains(&means["rank"].as_f64().unwrap()), "{means}");
    assert!((0.5..=1.0).contains(&means["kept_mass"].as_f64().unwrap()), "{means}");
    assert_eq!((report["groups"][0]["a"].as_str(), report["groups"][0]["b"].as_str()), (Some("native"), Some("exact")));
    assert!(report["groups"][0]["all"]["within_group"]["overlap"].as_f64().unwrap() < 1.0);

    let table = std::fs::read_to_string(dir.at("r.csv")).unwrap();
    assert!(table.lines().nth(1).unwrap().starts_with("native1.json,0,0,"), "{table:.200}");
    assert_eq!(table.lines().filter(|l| l.starts_with("native1.json,")).count(), frames * 6);
    assert!(table.contains("pause"), "labels are next to the ids");
    let page = std::fs::read_to_string(dir.at("r.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("data:image/png;base64,") && page.contains("pause"));
    assert!(!page.contains("src=\"http") && !page.contains("href="), "nothing is fetched");
    let picture = image::open(dir.at("png/clip-01-tokens.png")).unwrap().to_rgb8();
    let colours: std::collections::HashSet<_> = picture.pixels().map(|p| p.0).collect();
    assert!(colours.len() > 10, "the map shows tokens");
}

#[test]
fn what_does_not_fit_is_refused_and_what_is_missing_is_said() {
    let dir = TestDir::new();
    std::fs::write(dir.at("bare.json"), r#"{"frames": [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 7]]}"#).unwrap();
    let text = assert_success(&dir.csm(&["analyze", "bare.json"]));
    assert!(text.contains("no statistics of draws") && text.contains("expected a token file with text"), "{text}");
    std::fs::write(dir.at("narrow.json"), r#"{"frames": [[1, 2]]}"#).unwrap();
    for (args, part) in [
        (vec!["analyze", "narrow.json"], "6 codes per frame"),
        (vec!["analyze", "nothing.json"], "nothing.json"),
        (vec!["compare", "--text", "Yes.", "--seeds", "9..1"], "1 to 10000 seeds"),
        (vec!["compare", "--text", "Yes.", "--temperature", "nan"], "--temperature"),
        (vec!["compare", "--text", "Yes.", "--speaker", "7"], "--speaker"),
    ] {
        let out = dir.csm(&args);
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(part), "{args:?}: {said}");
    }
}

#[test]
#[cfg(feature = "torch")]
fn compare_finds_exact_and_hybrid_identical_and_native_different() {
    let dir = TestDir::new();
    let report = json(&assert_success(&dir.csm(&["compare", "--text", "Good morning.", "--seeds", "0..2", "--json"])));
    assert_eq!(report["clips"].as_array().unwrap().len(), 9);
    for pair in report["pairs"].as_array().unwrap() {
        let exact_and_hybrid = pair["a"] == "exact" && pair["b"] == "hybrid";
        assert_eq!(pair["divergence"].is_null(), exact_and_hybrid, "{pair}");
    }
    let groups = report["groups"].as_array().unwrap();
    let same = groups.iter().find(|g| g["a"] == "exact" && g["b"] == "hybrid").unwrap();
    assert_eq!((same["all"]["pooled"]["total_variation"].as_f64(), same["all"]["p"].as_f64()), (Some(0.0), Some(1.0)));
}

#[test]
fn two_checkpoints_are_compared_step_by_step() {
    let dir = TestDir::new();
    let (a, b) = (Golden::read("mini").build(), Golden::read("mini").build());
    // A small change of one weight has to be seen.
    let path = b.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let weight = tensors.tensor("lm_head.weight").unwrap().data();
    let at = weight.as_ptr() as usize - bytes.as_ptr() as usize;
    let value = f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    bytes[at..at + 4].copy_from_slice(&(value + 0.5).to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let (a, b) = (a.path().to_str().unwrap(), b.path().to_str().unwrap());
    let with = |other| {
        json(&assert_success(&dir.csm(&["analyze", "--model-path", a, "--against", other, "--text", "a b", "--json"])))
    };
    let same = &with(a)["checkpoints"];
    assert_eq!((same["max_difference"].as_f64(), same["top1_agreement"].as_f64()), (Some(0.0), Some(1.0)), "{same}");
    assert!(same["divergence"].is_null());
    let other = &with(b)["checkpoints"];
    // Half a unit on one weight of id 0's row moves that logit and no other.
    assert!(other["max_difference"].as_f64().unwrap() > 1e-3, "{other}");
    assert!(other["largest_kl"].as_f64().unwrap() > 0.0, "{other}");
}
