//! A test as one page for a listener without this program: it plays, asks, keeps what was said, and gives it as a file to send back.

use maud::html as markup;
use serde_json::{Value, json};

use super::ListeningTest;
use super::kind::{AnswerButton, AnswerForm, TestKind};
use super::report::{Finding, ListeningReport};
use crate::page::{page, page_data};

const SCRIPT: &str = include_str!("../../assets/listen/page.js");
const STYLE: &str = include_str!("../../assets/listen/page.css");

/// The page of `test`. It has neither the names of the conditions nor what made the sounds, and fetches nothing.
pub fn test_page(test: &ListeningTest) -> String {
    let trials: Vec<Value> = test.trials.iter().map(|t| json!({ "stimuli": t.stimuli, "x": t.x })).collect();
    let data = json!({
        "form": form(test.kind),
        "question": test.question,
        "sha256": test.sha256(),
        "version": test.version,
        "sounds": test.stimuli.iter().map(|s| s.wav.as_str()).collect::<Vec<_>>(),
        "trials": trials,
    });
    let body = markup! {
        main id="screen" {}
        (page_data(Some("test"), &data))
    };
    page("Listening test", STYLE, SCRIPT, &body)
}

/// How a trial is answered: buttons with their keys and choices, or sliders.
fn form(kind: TestKind) -> Value {
    match kind.info().form {
        AnswerForm::Buttons(buttons) => {
            let button = |b: &AnswerButton| json!({ "label": b.label, "key": b.key, "choice": b.choice() });
            json!({ "buttons": buttons.iter().map(button).collect::<Vec<_>>() })
        }
        AnswerForm::Sliders { min, max, start } => json!({ "sliders": { "min": min, "max": max, "start": start } }),
    }
}

/// The report as a page that fetches nothing.
pub fn html_report(report: &ListeningReport) -> String {
    let body = markup! {
        div class="report" {
            main {
                h1 { (report.question) }
                p class="weak" { (report.balance) }
                @if !report.scores.is_empty() {
                    h2 { "Scores" }
                    p class="weak" { "Mean and 95 % interval from a bootstrap over listeners and items." }
                    @for score in &report.scores {
                        (interval_row(&score.condition, score.mean, score.interval, scale(report)))
                    }
                }
                @for (title, findings) in sections(report) {
                    h2 { (title) }
                    @if findings.len() > 1 {
                        p class="weak" { "p-values corrected for " (findings.len()) " questions by Holm's method." }
                    }
                    @for finding in findings {
                        (interval_row(&finding.question, share(finding), finding.clopper_pearson, (0.0, 1.0)))
                        p class="detail" { (report.describe(finding)) }
                    }
                }
                h2 { "Listeners" }
                ul {
                    @for l in &report.listeners {
                        li {
                            (l.listener) ": " (l.answers.0) " of " (l.answers.1) " trials"
                            @if l.consistent.1 > 0 { ", " (l.consistent.0) " of " (l.consistent.1) " repeats alike" }
                        }
                    }
                }
            }
        }
    };
    page("Listening report", &format!("{STYLE}{REPORT_STYLE}"), "", &body)
}

const REPORT_STYLE: &str = ".report main{max-width:900px}.row{display:grid;grid-template-columns:14em 1fr 9em;gap:10px;\
    align-items:center;margin:6px 0 0}.bar{position:relative;height:14px;background:var(--line);border-radius:3px}\
    .bar i{position:absolute;top:4px;height:6px;background:var(--chosen)}.bar b{position:absolute;top:0;width:3px;height:14px;\
    background:var(--text)}.bar u{position:absolute;left:50%;top:0;width:1px;height:14px;background:var(--weak)}\
    .detail{font-size:.85em;color:var(--weak);margin:2px 0 10px}@media(max-width:600px){.row{grid-template-columns:1fr}}";

fn sections(report: &ListeningReport) -> Vec<(&'static str, &Vec<Finding>)> {
    let all = [("Overall", &report.findings), ("By item", &report.by_item), ("By listener", &report.by_listener)];
    all.into_iter().filter(|(title, findings)| findings.len() > usize::from(*title != "Overall")).collect()
}

fn scale(report: &ListeningReport) -> (f64, f64) {
    report.kind.info().scale().unwrap_or((0.0, 1.0))
}

fn share(finding: &Finding) -> f64 {
    if finding.trials == 0 { 0.5 } else { finding.successes as f64 / finding.trials as f64 }
}

/// A value and its interval on a scale.
fn interval_row(name: &str, value: f64, (low, high): (f64, f64), (from, to): (f64, f64)) -> maud::Markup {
    let percent = |x: f64| 100.0 * (x - from) / (to - from);
    markup! {
        div class="row" {
            span { (name) }
            div class="bar" {
                @if (from, to) == (0.0, 1.0) { u {} }
                i style=(format!("left:{:.1}%;width:{:.1}%", percent(low), percent(high) - percent(low))) {}
                b style=(format!("left:calc({:.1}% - 1px)", percent(value))) {}
            }
            span { (format!("{value:.2} [{low:.2}, {high:.2}]")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_file::tests::{made, plan};
    use super::*;

    #[test]
    fn the_page_has_the_sounds_and_tells_nothing() {
        let test = made(&plan(TestKind::Rating, 3, 2, 1));
        let page = test_page(&test);
        assert!(test.stimuli.iter().all(|s| page.contains(&s.wav)) && page.contains(&test.sha256()));
        assert!(!page.contains("condition 0") && !page.contains("0-0.wav"), "names and sources are hidden");
        assert!(!page.contains("http://") && !page.contains("https://"));
    }
}
