//! A test as one page for a listener without this program: it plays, asks, keeps what was said, and gives it as a file to send back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::html as markup;
use serde_json::{Value, json};

use super::ListeningTest;
use super::heard::HEARD_SHARE;
use super::kind::AnswerForm;
use super::report::{Estimate, Finding, ListeningReport};
use super::stimulus::Stimulus;
use super::trial::Presentation;
use crate::data::{RepeatableRandom, WordTime};
use crate::page::{page, page_data, page_in};

const SCRIPT: &str = include_str!("../../assets/listen/page.js");
const STYLE: &str = include_str!("../../assets/listen/page.css");

/// The page of `test`. It has neither the names of the conditions nor what made the sounds, and fetches nothing; it sends results only
/// where the test says.
///
/// Which sounds a trial has, and which one is X, is not readable in its source: the sounds are in a drawn order, and the lists are
/// scrambled with the test's hash. That hides them from a listener who looks at the source, not from one who runs the page's code by hand.
pub fn test_page(test: &ListeningTest) -> String {
    let mut random = RepeatableRandom::new(test.seed ^ 0x7061_6765);
    let mut order: Vec<usize> = (0..test.stimuli.len()).collect();
    random.shuffle(&mut order);
    let place = |stimulus: &usize| order.iter().position(|n| n == stimulus);
    let trial = |p: &Presentation| {
        let t = &test.trials[p.trial];
        json!({
            "trial": p.trial, "stimuli": p.stimuli, "sounds": p.stimuli.iter().map(place).collect::<Vec<_>>(), "x": p.x,
            "training": t.training,
        })
    };
    let lists = (0..test.lists.len().max(1)).map(|n| test.list(n).iter().map(trial).collect::<Vec<_>>());
    let study = &test.study;
    let data = json!({
        "form": form(test),
        "question": test.question,
        "sha256": test.sha256(),
        "version": test.version,
        "heard": HEARD_SHARE,
        "sounds": order.iter().map(|n| test.stimuli[*n].wav.as_str()).collect::<Vec<_>>(),
        "words": order.iter().map(|n| words(&test.stimuli[*n])).collect::<Vec<_>>(),
        "lists": scrambled(&json!(lists.collect::<Vec<_>>()), &test.sha256()),
        "extra": if test.kind.info().has_x { "X" } else { "reference" },
        "minutes": (test.expected_seconds() / 60.0).ceil(),
        "instructions": study.instructions,
        "volumePage": study.volume_page,
        "headphoneCheck": study.headphone_check,
        "questionnaire": study.questionnaire,
        "breakEvery": study.break_every,
        "post": study.post,
        "completion": study.completion,
        "texts": study.language.texts(),
    });
    let body = markup! {
        main id="screen" tabindex="-1" {}
        p id="status" role="status" aria-live="polite" {}
        (page_data(Some("test"), &data))
    };
    let title = study.language.texts()["title"].as_str().unwrap_or("Listening test").to_owned();
    page_in(study.language.code(), &title, STYLE, SCRIPT, &origin(&study.post), &body)
}

/// Each word of a sound, and the part that is played where it is looped.
fn words(stimulus: &Stimulus) -> Vec<Value> {
    let word = |(n, word): (usize, &WordTime)| stimulus.word(n).map(|(from, to)| json!([word.word, from, to]));
    stimulus.words.iter().enumerate().filter_map(word).collect()
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", ""));
    if scheme.is_empty() { String::new() } else { format!("{scheme}://{}", rest.split('/').next().unwrap_or("")) }
}

/// JSON that nobody reads in passing: XOR with the bytes of `key`, base64.
fn scrambled(data: &Value, key: &str) -> String {
    let bytes = data.to_string().into_bytes();
    STANDARD.encode(bytes.iter().zip(key.bytes().cycle()).map(|(byte, key)| byte ^ key).collect::<Vec<u8>>())
}

/// How a trial is answered: buttons with their keys and choices, or sliders; with the labels of the test's language.
fn form(test: &ListeningTest) -> Value {
    let (_, labels) = test.study.language.kind(test.kind);
    match test.kind.info().form {
        AnswerForm::Buttons(buttons) => {
            let button = |(b, label): (&super::AnswerButton, &String)| json!({ "label": label, "key": b.key, "choice": b.choice() });
            json!({ "buttons": buttons.iter().zip(&labels).map(button).collect::<Vec<_>>() })
        }
        AnswerForm::Sliders { min, max, .. } => json!({ "sliders": { "min": min, "max": max, "labels": labels } }),
    }
}

/// The report as a page that fetches nothing.
pub fn html_report(report: &ListeningReport) -> String {
    let body = markup! {
        div class="report" {
            main {
                h1 { (report.question) }
                p class="weak" { (report.design) }
                @if !report.scores.is_empty() {
                    h2 { "Scores" }
                    p class="weak" { "Mean and 95 % interval." }
                    @for score in &report.scores {
                        (interval_row(&score.condition, score.mean, score.interval, scale(report)))
                    }
                }
                @for (title, findings) in report.sections() {
                    h2 { (if title.is_empty() { "Result" } else { title }) }
                    @if findings.len() > 1 {
                        p class="weak" { "p-values corrected for " (findings.len()) " questions by Holm's method." }
                    }
                    @for finding in findings {
                        (interval_row(&finding.question, finding.estimate, finding.interval, range(report, finding)))
                        p class="detail" { (report.describe(finding)) }
                    }
                }
                h2 { "Listeners" }
                ul { @for l in &report.listeners { li { (l.describe()) } } }
                h2 { "Methods" }
                p { (report.methods) }
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

fn scale(report: &ListeningReport) -> (f64, f64) {
    report.kind.info().scale().unwrap_or((0.0, 1.0))
}

/// The range of an estimate: of a share 0 to 1, of a difference the whole length of the scale on both sides.
fn range(report: &ListeningReport, finding: &Finding) -> (f64, f64) {
    let (low, high) = scale(report);
    match finding.measure {
        Estimate::ShareRight | Estimate::ShareOfVotes => (0.0, 1.0),
        // A comparison's scale is one of differences.
        Estimate::Difference if low < 0.0 => (low, high),
        Estimate::Difference => (low - high, high - low),
    }
}

/// A value and its interval, if it has one, on a scale.
fn interval_row(name: &str, value: f64, interval: Option<(f64, f64)>, (from, to): (f64, f64)) -> maud::Markup {
    let percent = |x: f64| (100.0 * (x - from) / (to - from)).clamp(0.0, 100.0);
    let half = (from, to) == (0.0, 1.0) || from < 0.0;
    markup! {
        div class="row" {
            span { (name) }
            div class="bar" {
                @if half { u {} }
                @if let Some((low, high)) = interval {
                    i style=(format!("left:{:.1}%;width:{:.1}%", percent(low), percent(high) - percent(low))) {}
                }
                b style=(format!("left:calc({:.1}% - 1px)", percent(value))) {}
            }
            span {
                @match interval {
                    Some((low, high)) => (format!("{value:.2} [{low:.2}, {high:.2}]")),
                    None => (format!("{value:.2}")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::TestKind;
    use super::super::test_file::tests::{made, plan};
    use super::*;

    #[test]
    fn the_page_has_the_sounds_and_tells_nothing() {
        let test = made(&plan(TestKind::Rating, 3, 2, 1));
        let page = test_page(&test);
        assert!(test.stimuli.iter().all(|s| page.contains(&s.wav)) && page.contains(&test.sha256()));
        assert!(!page.contains("condition 0") && !page.contains("0-0.wav"), "names and sources are hidden");
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("connect-src"));
        let sent = ListeningTest {
            study: super::super::Study { post: "https://lab.example:8443/results?a=1".into(), ..test.study.clone() },
            ..test
        };
        assert!(test_page(&sent).contains("connect-src https://lab.example:8443\""));
    }
}
