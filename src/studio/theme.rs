//! Type, spacing and icons of the window, and the palette of its theme. Panels take all of these from here; contrast is tested.

use std::sync::Arc;

use egui::{Color32, Context, CornerRadius, FontFamily, FontId, Stroke, Style, TextStyle, Visuals, vec2};

pub(super) use crate::colours::Palette;
use crate::colours::{DARK, LIGHT};

impl Palette {
    /// The palette of these visuals.
    pub(super) fn of(visuals: &Visuals) -> &'static Self {
        if visuals.dark_mode { &DARK } else { &LIGHT }
    }
}

/// Text or drawing on `ground` that can be read: black or white.
pub(super) fn contrasting(ground: Color32) -> Color32 {
    if contrast(ground, Color32::WHITE) >= contrast(ground, Color32::BLACK) { Color32::WHITE } else { Color32::BLACK }
}

/// Contrast of two colours, 1 to 21 (WCAG 2).
pub(super) fn contrast(a: Color32, b: Color32) -> f32 {
    let luminance = |c: Color32| {
        let [r, g, b, _] = egui::Rgba::from(c).to_array();
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    if a > b { a / b } else { b / a }
}

/// Distance of the grid that everything stands on.
pub(super) const GRID: f32 = 8.0;
/// Height of rows of lists and tables.
pub(super) const ROW: f32 = 24.0;
/// Side of a button that is an icon.
pub(super) const ICON_BUTTON: f32 = 24.0;

/// Icons of Phosphor, in the subset in `assets/fonts`.
pub(super) mod icon {
    pub(in crate::studio) const PLAY: &str = "\u{E3D0}";
    pub(in crate::studio) const PAUSE: &str = "\u{E39E}";
    pub(in crate::studio) const STOP: &str = "\u{E46C}";
    pub(in crate::studio) const TO_START: &str = "\u{E5A4}";
    pub(in crate::studio) const FRAME_BACK: &str = "\u{E138}";
    pub(in crate::studio) const FRAME_FORWARD: &str = "\u{E13A}";
    pub(in crate::studio) const LOOP: &str = "\u{E3F6}";
    pub(in crate::studio) const SETTINGS: &str = "\u{E270}";
    pub(in crate::studio) const SEARCH: &str = "\u{E30C}";
    pub(in crate::studio) const STAR: &str = "\u{E46A}";
    pub(in crate::studio) const MORE: &str = "\u{E1FE}";
    pub(in crate::studio) const CLOSE: &str = "\u{E4F6}";
    pub(in crate::studio) const ADD: &str = "\u{E3D4}";
    pub(in crate::studio) const RECORD: &str = "\u{E3EE}";
    pub(in crate::studio) const DICE: &str = "\u{E1EE}";
    pub(in crate::studio) const VOLUME: &str = "\u{E44A}";
    pub(in crate::studio) const KEYBOARD: &str = "\u{E2D8}";
    pub(in crate::studio) const WARNING: &str = "\u{E4E0}";
    pub(in crate::studio) const ERROR: &str = "\u{E4E2}";
    pub(in crate::studio) const INFO: &str = "\u{E2CE}";
    pub(in crate::studio) const CHILD: &str = "\u{E046}";
    pub(in crate::studio) const FLAG: &str = "\u{E244}";
    pub(in crate::studio) const UP: &str = "\u{E08E}";
    pub(in crate::studio) const MENU: &str = "\u{E136}";
    pub(in crate::studio) const SELECTED: &str = "\u{E1D6}";
    pub(in crate::studio) const CUBE: &str = "\u{E1DA}";
    #[cfg(test)]
    pub(super) const ALL: [&str; 26] = [
        PLAY,
        PAUSE,
        STOP,
        TO_START,
        FRAME_BACK,
        FRAME_FORWARD,
        LOOP,
        SETTINGS,
        SEARCH,
        STAR,
        MORE,
        CLOSE,
        ADD,
        RECORD,
        DICE,
        VOLUME,
        KEYBOARD,
        WARNING,
        ERROR,
        INFO,
        CHILD,
        FLAG,
        UP,
        MENU,
        SELECTED,
        CUBE,
    ];
}

/// The family of headings and of the main action.
pub(super) fn semibold() -> FontFamily {
    FontFamily::Name("semibold".into())
}

/// The style of the clock.
pub(super) fn clock() -> FontId {
    FontId::new(20.0, FontFamily::Monospace)
}

/// Heading of a part of a panel.
pub(super) fn heading(text: &str) -> egui::RichText {
    egui::RichText::new(text).family(semibold()).size(12.0)
}

/// A button that is an icon; the caller gives it a name and says what it does.
pub(super) fn icon_button(icon: &'static str) -> egui::Button<'static> {
    egui::Button::new(egui::RichText::new(icon).size(16.0)).min_size(egui::Vec2::splat(ICON_BUTTON))
}

/// Gives `ctx` fonts and styles.
pub(super) fn install(ctx: &Context) {
    ctx.set_fonts(fonts());
    ctx.set_visuals_of(egui::Theme::Dark, visuals(Visuals::dark(), &DARK));
    ctx.set_visuals_of(egui::Theme::Light, visuals(Visuals::light(), &LIGHT));
    ctx.all_styles_mut(style);
}

/// Inter for text, JetBrains Mono for figures, DejaVu Sans for phonetic letters, which neither has, and egui's own behind them.
fn fonts() -> egui::FontDefinitions {
    let mut fonts = egui::FontDefinitions::default();
    let mut add = |name: &str, bytes: &'static [u8]| {
        fonts.font_data.insert(name.into(), Arc::new(egui::FontData::from_static(bytes)));
    };
    add("Inter", include_bytes!("../../assets/fonts/Inter-Regular.ttf"));
    add("Inter SemiBold", include_bytes!("../../assets/fonts/Inter-SemiBold.ttf"));
    add("JetBrains Mono", include_bytes!("../../assets/fonts/JetBrainsMono-Regular.ttf"));
    add("Phosphor", include_bytes!("../../assets/fonts/Phosphor-Subset.ttf"));
    add("DejaVu Sans", dejavu::sans::regular());
    for (family, first) in
        [(FontFamily::Proportional, "Inter"), (semibold(), "Inter SemiBold"), (FontFamily::Monospace, "JetBrains Mono")]
    {
        let behind = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
        let names = fonts.families.entry(family).or_default();
        if names.is_empty() {
            *names = behind
                .into_iter()
                .filter(|name| name != "Inter" && name != "Phosphor" && name != "DejaVu Sans")
                .collect();
        }
        names.insert(0, first.into());
        names.insert(1, "Phosphor".into());
        names.insert(2, "DejaVu Sans".into());
    }
    fonts
}

fn style(style: &mut Style) {
    // A blinking caret redraws the whole window each time.
    style.visuals.text_cursor.blink = false;
    for (text, font) in [
        (TextStyle::Heading, FontId::new(16.0, semibold())),
        (TextStyle::Body, FontId::proportional(13.0)),
        (TextStyle::Button, FontId::proportional(13.0)),
        (TextStyle::Small, FontId::proportional(11.0)),
        (TextStyle::Monospace, FontId::monospace(12.0)),
    ] {
        style.text_styles.insert(text, font);
    }
    style.spacing.item_spacing = vec2(GRID, GRID / 2.0);
    style.spacing.button_padding = vec2(GRID, 3.0);
    style.spacing.interact_size = vec2(40.0, ROW);
    style.spacing.icon_width = 16.0;
    style.spacing.combo_width = 80.0;
    style.spacing.menu_margin = egui::Margin::same(6);
    style.spacing.window_margin = egui::Margin::same(12);
}

fn visuals(mut visuals: Visuals, p: &Palette) -> Visuals {
    let radius = CornerRadius::same(6);
    visuals.panel_fill = p.panel;
    visuals.window_fill = p.panel;
    visuals.window_stroke = Stroke::new(1.0, p.line);
    visuals.window_corner_radius = CornerRadius::same(8);
    visuals.menu_corner_radius = CornerRadius::same(8);
    visuals.extreme_bg_color = p.ground;
    visuals.faint_bg_color = p.field.gamma_multiply(0.5);
    visuals.code_bg_color = p.field;
    visuals.text_edit_bg_color = Some(p.ground);
    visuals.hyperlink_color = p.accent;
    visuals.warn_fg_color = p.warning;
    visuals.error_fg_color = p.error;
    visuals.weak_text_color = Some(p.tertiary);
    visuals.selection.bg_fill = p.selected;
    visuals.selection.stroke = Stroke::new(1.0, p.text);
    visuals.text_cursor.stroke = Stroke::new(2.0, p.accent);
    let widgets = &mut visuals.widgets;
    for (widget, fill, line, text) in [
        (&mut widgets.noninteractive, p.panel, p.line, p.text),
        (&mut widgets.inactive, p.field, Color32::TRANSPARENT, p.text),
        (&mut widgets.hovered, p.hover, p.line, p.text),
        (&mut widgets.active, p.hover, p.accent, p.text),
        (&mut widgets.open, p.hover, p.line, p.text),
    ] {
        widget.bg_fill = fill;
        widget.weak_bg_fill = fill;
        widget.bg_stroke = Stroke::new(1.0, line);
        widget.fg_stroke = Stroke::new(1.0, text);
        widget.corner_radius = radius;
        widget.expansion = 0.0;
    }
    visuals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Mode;

    /// WCAG 2, level AA: 4.5 for text, 3 for parts of a drawing.
    #[test]
    fn text_and_drawings_can_be_read() {
        for (name, p) in [("dark", &DARK), ("light", &LIGHT)] {
            for ground in [p.ground, p.panel, p.field] {
                for (what, colour) in [("text", p.text), ("secondary", p.secondary)] {
                    assert!(contrast(colour, ground) >= 4.5, "{name}: {what} {}", contrast(colour, ground));
                }
            }
            for ground in [p.ground, p.panel] {
                for (what, colour) in [
                    ("tertiary", p.tertiary),
                    ("accent", p.accent),
                    ("warning", p.warning),
                    ("error", p.error),
                    ("ok", p.ok),
                    ("entropy", p.entropy),
                    ("end", p.end),
                    ("native", p.mode(Mode::Native)),
                    ("exact", p.mode(Mode::Exact)),
                    ("hybrid", p.mode(Mode::Hybrid)),
                ] {
                    assert!(contrast(colour, ground) >= 4.5, "{name}: {what} {}", contrast(colour, ground));
                }
                for (what, colour) in [("chosen", p.chosen), ("before", p.before), ("playhead", p.playhead[0])] {
                    assert!(contrast(colour, ground) >= 3.0, "{name}: {what} {}", contrast(colour, ground));
                }
            }
            assert!(contrast(p.text, p.selected) >= 4.5, "{name}: selected");
            assert!(contrast(Color32::WHITE, p.primary) >= 4.5, "{name}: primary");
            for step in 0..=100 {
                let ground = p.ramp(f64::from(step) / 100.0);
                let best = p.playhead.iter().map(|c| contrast(*c, ground)).fold(0.0, f32::max);
                assert!(best >= 3.0, "{name}: playhead on {step} % of the ramp: {best}");
                assert!(contrast(contrasting(ground), ground) >= 4.5);
            }
        }
    }

    /// Luminance only rises or only falls along the ramp, so that more is seen as more.
    #[test]
    fn the_ramp_is_monotone() {
        for p in [&DARK, &LIGHT] {
            let luminance: Vec<f32> = (0..=50).map(|n| contrast(p.ramp(f64::from(n) / 50.0), Color32::BLACK)).collect();
            let rising = luminance[50] > luminance[0];
            assert!(luminance.windows(2).all(|pair| (pair[1] > pair[0]) == rising), "{luminance:?}");
        }
    }

    #[test]
    fn every_icon_is_in_the_font() {
        let ctx = Context::default();
        install(&ctx);
        let mut missing: Vec<&str> = Vec::new();
        let output = ctx.run_ui(egui::RawInput::default(), |ui| {
            ui.fonts_mut(|fonts| {
                let font = FontId::proportional(13.0);
                missing.extend(icon::ALL.into_iter().filter(|icon| !fonts.has_glyphs(&font, icon)));
            });
        });
        assert!(missing.is_empty() && output.shapes.is_empty(), "{missing:?}");
    }
}
