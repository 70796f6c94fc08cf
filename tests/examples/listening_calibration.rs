//! Prints assets/docs/calibration.md: how often the tests of listening studies are wrong, how often their intervals hold the truth, and how
//! often they find an effect, in simulated studies whose truth is known.
//!
//!     cargo run --release --example listening_calibration > assets/docs/calibration.md

#![expect(clippy::print_stdout, reason = "its output is a document")]

use csm_studio::analysis::mean_test::{Scope, test_mean};
use csm_studio::analysis::simulate::{Effect, StudyDesign, Truth, simulate, simulated_power};
use csm_studio::data::RepeatableRandom;

const STUDIES: usize = 2_000;
const ALPHA: f64 = 0.05;
const SPREADS: [(f64, f64); 7] = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (0.0, 1.0), (0.0, 2.0), (1.0, 1.0), (2.0, 2.0)];

/// Share of studies without an effect that are significant, and share whose interval holds 0 of those that have one.
fn errors(design: StudyDesign, effect: Effect, (listener_spread, item_spread): (f64, f64)) -> (f64, Option<f64>) {
    let mut random = RepeatableRandom::new(29);
    let (mut significant, mut covered, mut intervals) = (0, 0, 0);
    for _ in 0..STUDIES {
        let votes = simulate(design, Truth { effect, listener_spread, item_spread }, &mut random);
        let Some(test) = test_mean(&votes, Scope::widest(&votes)) else { continue };
        significant += usize::from(test.p <= ALPHA);
        if let Some((low, high)) = test.interval {
            intervals += 1;
            covered += usize::from(low <= 0.0 && 0.0 <= high);
        }
    }
    let coverage = (intervals > 0).then(|| covered as f64 / intervals as f64);
    (significant as f64 / STUDIES as f64, coverage)
}

fn main() {
    println!(
        "# Calibration of the listening tests\n\n\
         Written by `cargo run --release --example listening_calibration`; {STUDIES} simulated studies a cell, so that a true 5 % shows as 4 to \
         6 %.\n\n\
         Listeners and items differ with the standard deviations in the first two columns: of the logit of a vote (*votes*), or in \
         standard deviations of one answer (*values*: ratings, opinions and comparisons). Every test is the one that `csm listen report` makes: over \
         listeners and items if there are several of both, else over what there are several of.\n"
    );
    let designs = [(5, 8, 2), (6, 6, 1), (8, 8, 1), (12, 10, 1), (20, 20, 1), (10, 1, 8), (20, 1, 4)];
    for (name, effect) in [("votes", Effect::Share(0.5)), ("values", Effect::Difference(0.0))] {
        println!("## False positives and coverage: {name}\n");
        print!("| SD of listeners | SD of items |");
        designs.iter().for_each(|(l, i, r)| print!(" {l} listeners, {i} items × {r} |"));
        println!("\n|{}", "---|".repeat(2 + designs.len()));
        for spreads in SPREADS {
            print!("| {} | {} |", spreads.0, spreads.1);
            for (listeners, items, repetitions) in designs {
                if items == 1 && spreads.1 > 0.0 {
                    print!(" – |");
                    continue;
                }
                let design = StudyDesign { listeners, items, repetitions, items_per_listener: items };
                let (wrong, coverage) = errors(design, effect, spreads);
                let coverage = coverage.map_or("no interval".into(), |share| format!("{:.1}", 100.0 * share));
                print!(" {:.1} % / {coverage} |", 100.0 * wrong);
            }
            println!();
        }
        println!();
    }
    println!(
        "Each cell: significant studies of nothing (5 % promised) / intervals that hold the truth (95 % promised).\n\n\
         What to read off: from six listeners and six items on the errors are 4 to 6 % wherever listeners or items differ. Where neither does, \
         the test, which has to allow for both, is careful (1 to 4 %). Five listeners can prove nothing: their sign flips reach 0.0625 \
         at best.\n\n\
         ## Power\n\n\
         500 simulated studies a cell; listeners and items differ by 0.5 SD.\n\n\
         | listeners | items | a true 60/40 | 70/30 | 80/20 | difference 0.2 SD | 0.5 SD | 0.8 SD |\n|---|---|---|---|---|---|---|---|"
    );
    for (listeners, items) in [(6, 6), (8, 8), (12, 10), (20, 10), (20, 20), (40, 20)] {
        let design = StudyDesign { listeners, items, repetitions: 1, items_per_listener: items };
        let shares = [0.6, 0.7, 0.8].map(Effect::Share);
        let differences = [0.2, 0.5, 0.8].map(Effect::Difference);
        print!("| {listeners} | {items} |");
        for effect in shares.into_iter().chain(differences) {
            let truth = Truth { effect, listener_spread: 0.5, item_spread: 0.5 };
            print!(" {:.0} % |", 100.0 * simulated_power(design, truth));
        }
        println!();
    }
}
