//! Colours of the window, its plots and its pages: each has one meaning, in a light and a dark palette.

use ecolor::{Color32, Hsva};

use crate::data::Mode;

/// Colours, each with one meaning.
pub(crate) struct Palette {
    /// Ground of lanes and plots.
    pub(crate) ground: Color32,
    /// Ground of panels.
    pub(crate) panel: Color32,
    /// Ground of text fields and buttons.
    pub(crate) field: Color32,
    /// Ground of what the pointer is over.
    pub(crate) hover: Color32,
    /// Lines between panels and around fields.
    pub(crate) line: Color32,
    pub(crate) text: Color32,
    /// Text of less importance.
    pub(crate) secondary: Color32,
    /// Hints, units and names of lanes.
    pub(crate) tertiary: Color32,
    /// The distribution after sampling, selections and links.
    pub(crate) accent: Color32,
    /// Ground of what is selected, under `text`.
    pub(crate) selected: Color32,
    /// The button of the main action, under white.
    pub(crate) primary: Color32,
    /// The token that was drawn, and nothing else.
    pub(crate) chosen: Color32,
    /// The distribution before sampling.
    pub(crate) before: Color32,
    pub(crate) warning: Color32,
    pub(crate) error: Color32,
    pub(crate) ok: Color32,
    /// The entropy of a draw.
    pub(crate) entropy: Color32,
    /// The probability that the speech ends.
    pub(crate) end: Color32,
    /// The position of playback, and the rim that makes it visible on every ground.
    pub(crate) playhead: [Color32; 2],
    native: Color32,
    exact: Color32,
    hybrid: Color32,
    /// Colours of a quantity from its least to its greatest value, monotone in lightness.
    ramp: [Color32; 5],
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

pub(crate) static DARK: Palette = Palette {
    ground: rgb(0x10_11_14),
    panel: rgb(0x17_19_1D),
    field: rgb(0x24_27_2D),
    hover: rgb(0x2F_34_3C),
    line: rgb(0x2E_33_3B),
    text: rgb(0xE6_E8_EB),
    secondary: rgb(0xA9_B0_BA),
    tertiary: rgb(0x8F_97_A2),
    accent: rgb(0x58_A6_FF),
    selected: rgb(0x1F_3F_66),
    primary: rgb(0x1F_6F_EB),
    chosen: rgb(0xFF_C8_57),
    before: rgb(0x7D_86_92),
    warning: rgb(0xE3_B3_41),
    error: rgb(0xFF_8A_80),
    ok: rgb(0x3F_B9_50),
    entropy: rgb(0x39_C5_CF),
    end: rgb(0xD8_7F_C4),
    playhead: [Color32::WHITE, Color32::BLACK],
    native: rgb(0x58_A6_FF),
    exact: rgb(0x3F_B9_50),
    hybrid: rgb(0xF0_A0_3C),
    ramp: [rgb(0x16_18_1D), rgb(0x23_40_6B), rgb(0x2F_81_C9), rgb(0x8F_D3_C8), rgb(0xFF_E0_8A)],
};

pub(crate) static LIGHT: Palette = Palette {
    ground: rgb(0xFF_FF_FF),
    panel: rgb(0xF6_F7_F9),
    field: rgb(0xE9_EC_F0),
    hover: rgb(0xDD_E2_E8),
    line: rgb(0xD3_D8_DE),
    text: rgb(0x1B_1F_24),
    secondary: rgb(0x4A_52_5C),
    tertiary: rgb(0x5A_62_6D),
    accent: rgb(0x0B_62_D6),
    selected: rgb(0xC9_DE_F8),
    primary: rgb(0x0B_62_D6),
    chosen: rgb(0xB9_73_00),
    before: rgb(0x7B_84_8F),
    warning: rgb(0x7A_50_00),
    error: rgb(0xB3_26_1E),
    ok: rgb(0x15_70_3A),
    entropy: rgb(0x00_70_80),
    end: rgb(0x9C_2F_86),
    playhead: [rgb(0x1B_1F_24), Color32::WHITE],
    native: rgb(0x0B_62_D6),
    exact: rgb(0x15_70_3A),
    hybrid: rgb(0xA6_4B_00),
    ramp: [rgb(0xF1_F4_F7), rgb(0xBA_D3_EC), rgb(0x4C_93_CE), rgb(0x1C_5B_8C), rgb(0x5A_2A_00)],
};

impl Palette {
    /// The colour of a mode.
    pub(crate) fn mode(&self, mode: Mode) -> Color32 {
        match mode {
            Mode::Native => self.native,
            Mode::Exact => self.exact,
            Mode::Hybrid => self.hybrid,
        }
    }

    /// The colour of a share of the greatest value, 0 to 1.
    pub(crate) fn ramp(&self, share: f64) -> Color32 {
        let at = share.clamp(0.0, 1.0) as f32 * (self.ramp.len() - 1) as f32;
        let left = (at as usize).min(self.ramp.len() - 2);
        self.ramp[left].lerp_to_gamma(self.ramp[left + 1], at - left as f32)
    }

    /// The colour of a swatch of [`swatch`]: calm, so that what lies over it is seen.
    pub(crate) fn swatch(&self, swatch: usize) -> Color32 {
        if swatch == COMMON {
            return self.ground.lerp_to_gamma(self.tertiary, 0.18);
        }
        let (hue, step) = ((swatch / STEPS) as f32 / HUES as f32, (swatch % STEPS) as f32);
        let colour: Color32 = Hsva::new(hue, 0.45, 0.62 + 0.1 * step, 1.0).into();
        self.ground.lerp_to_gamma(colour, 0.72)
    }
}

const HUES: usize = 64;
const STEPS: usize = 3;
/// Number of swatches.
pub(crate) const SWATCHES: usize = HUES * STEPS + 1;
/// The swatch of the token that a codebook has most often: the ground that the others stand out from.
pub(crate) const COMMON: usize = SWATCHES - 1;

/// The swatch of a token, the same for equal labels; tokens without a label differ by their id.
pub(crate) fn swatch(label: &str, id: u32) -> usize {
    let number = match shown_label(label) {
        "" => id,
        label => label.bytes().fold(7, |n: u32, byte| n.wrapping_mul(31).wrapping_add(u32::from(byte))) % 997,
    };
    // Golden-ratio steps give neighbouring numbers distant hues.
    let hue = (f64::from(number) * 0.618_033_988_749_895).fract() * HUES as f64;
    hue as usize * STEPS + (number / 5) as usize % STEPS
}

/// The part of a label that a cell shows.
pub(crate) fn shown_label(label: &str) -> &str {
    label.split([',', ';']).next().unwrap_or(label)
}

/// A colour as CSS writes it.
pub(crate) fn css(colour: Color32) -> String {
    let [r, g, b, _] = colour.to_array();
    format!("#{r:02x}{g:02x}{b:02x}")
}
