//! A report as one self-contained page.

use std::fmt::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::plots::{Drawn, pictures};
use super::text::{headline, text};
use super::{Clip, Report};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:1040px;margin:2em auto;padding:0 1em;color:#222}\
    table{border-collapse:collapse;font-size:13px;margin:1em 0}td,th{padding:2px 10px;text-align:right;border-bottom:1px solid #ddd}\
    td:last-child,th:last-child{text-align:left}pre{overflow-x:auto;font-size:12px;background:#f6f6f6;padding:1em}\
    svg,img{max-width:100%;height:auto}";

/// HTML with every picture in it: nothing is fetched when it is opened.
///
/// # Errors
/// What the drawing library reports.
pub fn html(report: &Report) -> Drawn<String> {
    let title = format!("Token report: {}", escape(&report.model.name));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\n\
         <body><h1>{title}</h1>\n"
    );
    for clip in &report.clips {
        out += &of_clip(clip, report);
    }
    let compared = Report { clips: Vec::new(), ..report.clone() };
    let compared = text(&compared);
    if !compared.is_empty() {
        let _ = write!(out, "<h2>Compared</h2>\n<pre>{}</pre>\n", escape(&compared));
    }
    out += "<h2>Pictures</h2>\n";
    for picture in pictures(report) {
        let _ = write!(out, "<figure id=\"{}\">", picture.name);
        if picture.is_large() {
            let _ = write!(
                out,
                "<img alt=\"{}\" src=\"data:image/png;base64,{}\">",
                picture.name,
                STANDARD.encode(picture.png()?)
            );
        } else {
            out += &picture.svg()?;
        }
        out += "</figure>\n";
    }
    Ok(out + "</body></html>\n")
}

fn of_clip(clip: &Clip, report: &Report) -> String {
    let mut out = format!("<h2>{}</h2>\n<p>{}", escape(&clip.name), escape(&headline(clip, &report.model)));
    if let (Some(text), Some(speaker)) = (&clip.text, clip.speaker) {
        let _ = write!(out, "<br>Speaker {speaker}: “{}”", escape(text));
    }
    if let Some(why) = &clip.no_steps {
        let _ = write!(out, "<br>No entropy and surprisal: {}", escape(why));
    }
    out += "</p>\n<table><tr><th>codebook</th><th>ids used</th><th>utilisation</th><th>repeats</th><th>ids 1–31</th>\
            <th>beyond codec</th><th>H of histogram, bits</th>";
    if clip.means.is_some() {
        out += "<th>entropy, bits</th><th>surprisal, bits</th><th>rank</th><th>kept mass</th><th>survivors</th>";
    }
    out += "<th>most common</th></tr>\n";
    for book in &clip.codebooks {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{:.1} %</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2}</td>",
            book.codebook,
            book.used,
            100.0 * book.utilisation,
            book.repeats,
            book.low_ids,
            book.beyond_codec,
            book.entropy
        );
        if let Some(m) = clip.means.as_ref().map(|m| &m[book.codebook]) {
            let _ = write!(
                out,
                "<td>{:.2}</td><td>{:.2}</td><td>{:.1}</td><td>{:.3}</td><td>{:.1}</td>",
                m.entropy, m.surprisal, m.rank, m.kept_mass, m.survivors
            );
        }
        let common = book.most_common.iter();
        let common = common.map(|(id, n)| format!("{} ×{n}", report.model.label(book.codebook, *id)));
        let _ = writeln!(out, "<td>{}</td></tr>", escape(&common.collect::<Vec<_>>().join(", ")));
    }
    out + "</table>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
