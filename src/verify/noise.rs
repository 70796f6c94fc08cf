//! *noise*: our stream against PyTorch's `exponential_`, bit for bit.

use super::{CheckLine, VerifyConfig, VerifyResults, describe_equal};
use crate::error::Result;
use crate::sampling::noise::TorchNoise;
use crate::torch::sampling as torch;

const SEEDS: [u64; 5] = [0, 1, 42, (1 << 32) + 7, u64::MAX];
/// Odd sizes among even ones: PyTorch's vectorised paths must not change the order.
const SIZES: [usize; 7] = [1, 15, 16, 17, 2_051, 65_536, 100_003];

pub(super) fn check(config: &VerifyConfig, results: &mut VerifyResults) -> Result<()> {
    let mut compare =
        |name: &str, count_equal: &mut dyn FnMut(&mut TorchNoise, usize) -> Result<usize>| -> Result<()> {
            let (mut equal, mut all) = (0, 0);
            for seed in SEEDS {
                torch::seed(seed);
                let mut ours = TorchNoise::new(seed);
                let mut values = 0;
                for size in SIZES.iter().cycle() {
                    if values >= config.noise_values.div_ceil(SEEDS.len()) {
                        break;
                    }
                    equal += count_equal(&mut ours, *size)?;
                    values += size;
                }
                all += values;
            }
            results.lines.push(CheckLine {
                check: "noise",
                what: format!("our stream, PyTorch's exponential_ in {name}"),
                count: format!("{all} values, {} seeds", SEEDS.len()),
                result: describe_equal(equal, all),
                passed: equal == all,
            });
            Ok(())
        };
    compare("float64", &mut |ours, n| {
        let theirs = torch::exponential_f64(n)?;
        Ok(theirs.iter().filter(|t| t.to_bits() == ours.next_f64().to_bits()).count())
    })?;
    compare("float32", &mut |ours, n| {
        let theirs = torch::exponential_f32(n)?;
        Ok(theirs.iter().filter(|t| t.to_bits() == ours.next_f32().to_bits()).count())
    })?;
    compare("bfloat16", &mut |ours, n| {
        let theirs = torch::exponential_bf16(n)?;
        let narrow = |x: f64| half::bf16::from_f32(x as f32).to_f32().to_bits();
        Ok(theirs.iter().filter(|t| t.to_bits() == narrow(ours.next_f64())).count())
    })
}
