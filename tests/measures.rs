//! `analysis` against SciPy (`goldens/measures.py`).

use csm_studio::analysis::between::{Distances, entropy_of};
use csm_studio::analysis::chi_square::{fit, homogeneity};
use csm_studio::analysis::engines::Gap;
use csm_studio::analysis::step::{Measures, Step};
use csm_studio::sampling::Draw;
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
fn near(ours: f64, scipy: &Value, tolerance: f64) {
    let scipy = scipy.as_f64().expect("a number");
    assert!((ours - scipy).abs() <= tolerance * scipy.abs().max(1.0), "{ours} against {scipy}");
}

#[test]
fn histograms_are_as_far_apart_as_scipy_says() {
    for case in cases("histograms") {
        let (a, b): (Vec<u64>, Vec<u64>) = (list(&case["a"]), list(&case["b"]));
        let d = Distances::of(&a, &b);
        near(entropy_of(&a), &case["entropy"], DOUBLE);
        near(d.overlap, &case["overlap"], DOUBLE);
        near(d.total_variation, &case["total_variation"], DOUBLE);
        near(d.jensen_shannon, &case["jensen_shannon"], DOUBLE);
        near(d.kl_shared, &case["kl_shared"], DOUBLE);
        near(d.kl_support, &case["kl_support"], DOUBLE);
        let t = homogeneity(&a, &b).unwrap();
        near(t.statistic, &case["statistic"], DOUBLE);
        near(t.p, &case["p"], DOUBLE);
        assert_eq!(t.degrees as u64, case["degrees"].as_u64().unwrap());
    }
}

#[test]
fn samples_fit_as_scipy_says() {
    for case in cases("fits") {
        let t = fit(&list::<u64>(&case["counts"]), &list::<f64>(&case["probabilities"])).unwrap();
        near(t.statistic, &case["statistic"], DOUBLE);
        near(t.p, &case["p"], DOUBLE);
    }
}

#[test]
fn a_draw_is_as_scipy_says() {
    for case in cases("steps") {
        let how = Draw {
            temperature: case["temperature"].as_f64().unwrap(),
            top_k: case["top_k"].as_u64().unwrap() as usize,
        };
        let step = Step::of(&list::<f32>(&case["logits"]), case["token"].as_u64().unwrap() as u32, how, None);
        let same = |ours: &Measures, scipy: &Value| {
            near(ours.entropy, &scipy["entropy"], SINGLE);
            near(ours.perplexity, &scipy["perplexity"], SINGLE);
            near(ours.probability, &scipy["probability"], SINGLE);
            near(ours.surprisal, &scipy["surprisal"], SINGLE);
            assert_eq!(ours.rank as u64, scipy["rank"].as_u64().unwrap());
        };
        same(&step.raw, &case["raw"]);
        same(&step.sampled, &case["sampled"]);
        near(step.kept_mass, &case["kept_mass"], SINGLE);
        assert_eq!(step.survivors as u64, case["survivors"].as_u64().unwrap());
    }
}

#[test]
fn a_gap_is_as_scipy_says() {
    for case in cases("gaps") {
        let gap = Gap::of(&list::<f32>(&case["a"]), &list::<f32>(&case["b"]), 10);
        near(f64::from(gap.difference), &case["difference"], 1e-7);
        near(gap.kl, &case["kl"], SINGLE);
    }
}
