//! `analysis` against SciPy (`goldens/measures.py`).

use csm_studio::analysis::chi_square::{fit, homogeneity};
use csm_studio::analysis::histogram::{Distances, histogram_entropy};
use csm_studio::analysis::logit_diff::LogitDiff;
use csm_studio::analysis::statistics::{STEP_STATISTICS, TokenStats};
use csm_studio::data::SamplingParams;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Sums of doubles in another order.
const DOUBLE: f64 = 1e-10;
/// Probabilities are float32: a unit of 6e-8, added up over 200 ids and multiplied by logarithms below 40.
const SINGLE: f64 = 2e-5;

fn cases(kind: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("goldens/measures.json")).unwrap();
    file[kind].as_array().expect("a list").clone()
}

fn list<T: DeserializeOwned>(of: &Value) -> Vec<T> {
    serde_json::from_value(of.clone()).unwrap()
}

#[track_caller]
fn assert_close(ours: f64, scipy: &Value, tolerance: f64) {
    let scipy = scipy.as_f64().expect("a number");
    assert!((ours - scipy).abs() <= tolerance * scipy.abs().max(1.0), "{ours} against {scipy}");
}

#[test]
fn histograms_are_as_far_apart_as_scipy_says() {
    for case in cases("histograms") {
        let (a, b): (Vec<u64>, Vec<u64>) = (list(&case["a"]), list(&case["b"]));
        let d = Distances::measure(&a, &b);
        assert_close(histogram_entropy(&a), &case["entropy"], DOUBLE);
        assert_close(d.overlap, &case["overlap"], DOUBLE);
        assert_close(d.total_variation, &case["total_variation"], DOUBLE);
        assert_close(d.jensen_shannon, &case["jensen_shannon"], DOUBLE);
        assert_close(d.kl_shared, &case["kl_shared"], DOUBLE);
        assert_close(d.shared_mass, &case["kl_support"], DOUBLE);
        let t = homogeneity(&a, &b).unwrap();
        assert_close(t.statistic, &case["statistic"], DOUBLE);
        assert_close(t.p, &case["p"], DOUBLE);
        assert_eq!(t.degrees_of_freedom as u64, case["degrees"].as_u64().unwrap());
    }
}

#[test]
fn samples_fit_as_scipy_says() {
    for case in cases("fits") {
        let t = fit(&list::<u64>(&case["counts"]), &list::<f64>(&case["probabilities"])).unwrap();
        assert_close(t.statistic, &case["statistic"], DOUBLE);
        assert_close(t.p, &case["p"], DOUBLE);
    }
}

/// Every entry of the table has a value of SciPy's, by its key here and its place in the file.
#[test]
fn a_draw_is_as_scipy_says() {
    let place = |key: &str| match key {
        "entropy_bits" => "/raw/entropy",
        "perplexity" => "/raw/perplexity",
        "probability" => "/raw/probability",
        "surprisal_bits" => "/raw/surprisal",
        "rank" => "/raw/rank",
        "sampled_entropy_bits" => "/sampled/entropy",
        "sampled_perplexity" => "/sampled/perplexity",
        "sampled_probability" => "/sampled/probability",
        "sampled_surprisal_bits" => "/sampled/surprisal",
        "sampled_rank" => "/sampled/rank",
        "kept_mass" => "/kept_mass",
        "kept_count" => "/survivors",
        other => panic!("{other} has no value of SciPy's: add it to goldens/measures.py"),
    };
    for case in cases("steps") {
        let (temperature, top_k) = (case["temperature"].as_f64().unwrap(), case["top_k"].as_u64().unwrap() as usize);
        let (logits, token) = (list::<f32>(&case["logits"]), case["token"].as_u64().unwrap() as u32);
        let stats = TokenStats::measure(&logits, token, SamplingParams::new(temperature, top_k), None);
        for statistic in &STEP_STATISTICS {
            let scipy = case.pointer(place(statistic.key)).unwrap();
            assert_close(stats[statistic.stat], scipy, SINGLE);
        }
    }
}

#[test]
fn a_logit_difference_is_as_scipy_says() {
    for case in cases("gaps") {
        let diff = LogitDiff::measure(&list::<f32>(&case["a"]), &list::<f32>(&case["b"]), 10);
        assert_close(f64::from(diff.max_difference), &case["difference"], 1e-7);
        assert_close(diff.kl, &case["kl"], SINGLE);
    }
}
