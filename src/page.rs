//! The frame of the pages that this program writes: one file each, which opens offline and fetches nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};
use sha2::{Digest, Sha256};

use crate::colours::{DARK, LIGHT, Palette, css};

/// A page with its style and its program, the only one that a browser runs in it; none if `script` is empty. Pictures and
/// sounds are `data:` URLs.
pub(crate) fn page(title: &str, style: &str, script: &str, body: &Markup) -> String {
    page_in("en", title, style, script, "", body)
}

/// As [`page`], in another language (ISO 639-1), and allowed to send to the origin `connect` if that is not empty.
pub(crate) fn page_in(language: &str, title: &str, style: &str, script: &str, connect: &str, body: &Markup) -> String {
    let mut policy = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'".to_owned();
    if !script.is_empty() {
        policy += &format!("; script-src 'sha256-{}'", STANDARD.encode(Sha256::digest(script.as_bytes())));
    }
    if !connect.is_empty() {
        policy += &format!("; connect-src {connect}");
    }
    let page = markup! {
        (DOCTYPE)
        html lang=(language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { (title) }
                style { (PreEscaped(colours())) (PreEscaped(style)) }
            }
            body {
                (body)
                @if !script.is_empty() { script { (PreEscaped(script)) } }
            }
        }
    };
    page.into_string()
}

/// The window's colours as CSS variables, light or dark as the reader's system is.
fn colours() -> String {
    type Part = fn(&Palette) -> ecolor::Color32;
    let named: [(&str, Part); 12] = [
        ("page", |p| p.ground),
        ("panel", |p| p.panel),
        ("line", |p| p.line),
        ("text", |p| p.text),
        ("weak", |p| p.secondary),
        ("accent", |p| p.accent),
        ("primary", |p| p.primary),
        ("before", |p| p.before),
        ("chosen", |p| p.chosen),
        ("entropy", |p| p.entropy),
        ("end", |p| p.end),
        ("warning", |p| p.warning),
    ];
    let variables =
        named.map(|(name, part)| format!(" --{name}: light-dark({}, {});", css(part(&LIGHT)), css(part(&DARK))));
    format!(":root {{ color-scheme: light dark;{} }}\n", variables.concat())
}

/// Data for a page's program, which finds it by its id or position. What could end the element is escaped.
pub(crate) fn page_data(id: Option<&str>, data: &serde_json::Value) -> Markup {
    markup! { script id=[id] type="application/json" { (PreEscaped(data.to_string().replace('<', "\\u003c"))) } }
}
