//! A report for a terminal.

use std::fmt::Write;

use super::{Checkpoints, Clip, Groups, Model, Pair, Report};
use crate::analysis::between::{Comparison, TOP};
use crate::analysis::engines::Parting;

/// The report as text.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    for clip in &report.clips {
        out += &of_clip(clip, &report.model);
    }
    for groups in &report.groups {
        out += &of_groups(groups);
    }
    if !report.pairs.is_empty() {
        out += &of_pairs(&report.pairs);
    }
    if let Some(c) = &report.checkpoints {
        out += &of_checkpoints(c);
    }
    out
}

fn of_clip(clip: &Clip, model: &Model) -> String {
    let mut out = format!("{}: {}\n", clip.name, headline(clip, model));
    let means = clip.means.as_deref().unwrap_or_default();
    out += "  book   used    util  repeats  1-31  beyond  H(hist)";
    out += if means.is_empty() { "" } else { "  entropy  surprisal   rank  kept mass  survivors" };
    out += "  most common\n";
    for book in &clip.codebooks {
        let _ = write!(
            out,
            "  {:>4}  {:>5}  {:>5.1}%  {:>7}  {:>4}  {:>6}  {:>7.2}",
            book.codebook,
            book.used,
            100.0 * book.utilisation,
            book.repeats,
            book.low_ids,
            book.beyond_codec,
            book.entropy
        );
        if let Some(m) = means.get(book.codebook) {
            let _ = write!(
                out,
                "  {:>7.2}  {:>9.2}  {:>5.1}  {:>9.3}  {:>9.1}",
                m.entropy, m.surprisal, m.rank, m.kept_mass, m.survivors
            );
        }
        let common = book.most_common.iter().take(3);
        let common = common.map(|(id, n)| format!("{} ×{n}", model.label(book.codebook, *id)));
        let _ = writeln!(out, "  {}", common.collect::<Vec<_>>().join(", "));
    }
    if let Some(why) = &clip.no_steps {
        let _ = writeln!(out, "  no entropy and surprisal: {why}");
    }
    out + "\n"
}

/// Length, settings and end of a clip.
pub(super) fn headline(clip: &Clip, model: &Model) -> String {
    let c = &clip.course;
    let mut out = format!("{} frames, {:.2} s, {}", c.frames, c.frames as f64 / model.frame_rate, clip.ending());
    if let Some(s) = &clip.sampling {
        let _ = write!(out, "; {}, T {}, k {}, seed {}", s.mode.name(), s.temperature, s.topk, s.seed);
    }
    if c.longest_repeat > 1 {
        let _ =
            write!(out, "; at most {} equal frames in a row (from frame {})", c.longest_repeat, c.longest_repeat_from);
    }
    if c.zero_frames > 0 {
        let _ = write!(out, "; {} frames of zeros", c.zero_frames);
    }
    if let Some(seconds) = clip.trailing_silence {
        let _ = write!(out, "; {seconds:.2} s of silence at the end");
    }
    out
}

fn of_groups(g: &Groups) -> String {
    let (clips, tokens) = (g.all.clips, g.all.tokens);
    let mut out = format!(
        "{} ({} clips, {} tokens) against {} ({} clips, {} tokens)\n",
        g.a, clips.0, tokens.0, g.b, clips.1, tokens.1
    );
    let _ = writeln!(
        out,
        "  book  overlap     TV  JS bits  KL bits (mass)  top-{TOP} Jaccard  JS across / within  p by clips  chi-square p"
    );
    for c in g.codebooks.iter().chain([&g.all]) {
        out += &comparison(c);
    }
    out + "  across: pairs of clips from both modes; within: pairs of one mode, other seed (what two draws differ by anyway).\n  \
           p by clips: permutation test on JS; chi-square takes tokens as independent, which they are not.\n\n"
}

fn comparison(c: &Comparison) -> String {
    let d = &c.pooled;
    let number = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.3}"));
    format!(
        "  {:>4}  {:>7.3}  {:>5.3}  {:>7.4}  {:>7.3} ({:>4.2})  {:>14.3}  {:>9} / {:<6}  {:>10}  {:>12}\n",
        c.codebook.map_or("all".into(), |k| k.to_string()),
        d.overlap,
        d.total_variation,
        d.jensen_shannon,
        d.kl_shared,
        d.kl_support,
        d.jaccard_top,
        number(c.across.map(|d| d.jensen_shannon)),
        number(c.within.map(|d| d.jensen_shannon)),
        number(c.p),
        number(c.chi_square.map(|t| t.p)),
    )
}

fn of_pairs(pairs: &[Pair]) -> String {
    let mut out = String::from("the same seed in two modes\n");
    for p in pairs {
        let _ = writeln!(out, "  {}", pair(p));
    }
    out + "\n"
}

/// One pair in words.
pub(super) fn pair(p: &Pair) -> String {
    let mut out = format!("seed {}: {} and {} {}", p.seed, p.a.name(), p.b.name(), parted(p.parting));
    if let Some(c) = &p.cause {
        let verdict = if c.explains() { "explained by the logits' difference" } else { "NOT explained" };
        let _ = write!(
            out,
            " (margin {:.1e}, measured change {:.1e}, bound {:.1e}: {verdict})",
            c.margin, c.change, c.bound
        );
    }
    out
}

fn parted(parting: Option<Parting>) -> String {
    match parting {
        None => "are identical".into(),
        Some(Parting { frame, codebook: Some(k) }) => format!("part at frame {frame}, codebook {k}"),
        Some(Parting { frame, codebook: None }) => format!("part at frame {frame}, where one of them ends"),
    }
}

pub(super) fn of_checkpoints(c: &Checkpoints) -> String {
    format!(
        "{} against {} on the same tokens ({} draws)\n  largest logit difference {:.2e}; KL {:.2e} bits on average, {:.2e} at \
         most\n  same best id {:.2} %, top-k in common {:.2} %; smallest margin of the best id {:.1e}\n  clips of the same seed {}\n\n",
        c.a,
        c.b,
        c.steps,
        c.difference,
        c.mean_kl,
        c.largest_kl,
        100.0 * c.same_best,
        100.0 * c.top_k_agreement,
        c.least_margin,
        parted(c.parting)
    )
}
