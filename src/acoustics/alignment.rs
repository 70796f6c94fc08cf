//! Dynamic time warping.

use super::spectrum::SpectrumFrames;

/// Most pairs of frames that are compared: two clips of two minutes. A byte is held for each.
const MOST_PAIRS: usize = 240_000_000;

/// The path of least total Euclidean distance through two sequences of frames, from both beginnings to both ends, by steps of one
/// frame in the first, the second, or both (Sakoe and Chiba 1978, symmetric, unweighted); `None` if one is empty or both are too long.
pub fn warp(a: &SpectrumFrames, b: &SpectrumFrames) -> Option<Vec<(usize, usize)>> {
    let (rows, columns) = (a.len(), b.len());
    if rows == 0 || columns == 0 || rows.checked_mul(columns).is_none_or(|pairs| pairs > MOST_PAIRS) {
        return None;
    }
    const UP: u8 = 0;
    const LEFT: u8 = 1;
    const BOTH: u8 = 2;
    let mut steps = vec![BOTH; rows * columns];
    let mut above = vec![f64::INFINITY; columns];
    for (i, frame) in a.iter().enumerate() {
        let (mut left, mut diagonal) = (f64::INFINITY, if i == 0 { 0.0 } else { f64::INFINITY });
        for (j, other) in b.iter().enumerate() {
            // of equal ways the first, in this order
            let mut best = (above[j], UP);
            for way in [(left, LEFT), (diagonal, BOTH)] {
                if way.0 < best.0 {
                    best = way;
                }
            }
            let distance = frame.iter().zip(other).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt();
            steps[i * columns + j] = best.1;
            diagonal = above[j];
            left = best.0 + distance;
            above[j] = left;
        }
    }
    let (mut i, mut j) = (rows - 1, columns - 1);
    let mut path = vec![(i, j)];
    while (i, j) != (0, 0) {
        match steps[i * columns + j] {
            UP => i -= 1,
            LEFT => j -= 1,
            _ => (i, j) = (i - 1, j - 1),
        }
        path.push((i, j));
    }
    path.reverse();
    Some(path)
}
