//! Causal convolutions that can be fed piece by piece. Whole clips go through the same code as one piece.

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::ops::{broadcast_to, concatenate, conv_transpose1d, conv1d, zeros};

use super::state::{Slot, Slots, State};
use crate::checkpoint::names::Conv;
use crate::config::Padding;
use crate::mlx::weights::Weights;

type Result<T> = std::result::Result<T, Exception>;

/// A convolution that sees the past only. Activations are (1, T, channels).
pub struct CausalConv {
    weight: Array, // (out, kernel, in)
    bias: Option<Array>,
    stride: i32,
    dilation: i32,
    /// Samples of the past that a new one needs.
    context: i32,
    padding: Padding,
    slot: Slot,
}

impl CausalConv {
    /// PyTorch stores (out, in, kernel).
    pub fn load(w: &mut Weights<'_>, name: &str, conv: &Conv, padding: Padding, slots: &mut Slots) -> Result<Self> {
        let span = (conv.kernel as i32 - 1) * conv.dilation as i32 + 1;
        Ok(Self {
            weight: w.transposed(&format!("{name}.weight"), &[0, 2, 1])?,
            bias: w.optional(&format!("{name}.bias"))?,
            stride: conv.stride as i32,
            dilation: conv.dilation as i32,
            context: span - conv.stride as i32,
            padding,
            slot: slots.next(),
        })
    }

    /// `x`: (1, T, in), T a multiple of the stride. Gives (1, T / stride, out).
    pub fn forward(&self, x: &Array, state: &mut State) -> Result<Array> {
        let mut x = x.clone();
        if self.context > 0 {
            let past = match state.take(self.slot) {
                Some(past) => past,
                None => {
                    let shape = [1, self.context, x.dim(2)];
                    match self.padding {
                        Padding::Zeros => zeros::<f32>(&shape)?,
                        Padding::Replicate => broadcast_to(x.try_index((.., ..1, ..))?, &shape)?,
                    }
                }
            };
            x = concatenate(&[past, x], 1)?;
            state.put(self.slot, x.try_index((.., -self.context.., ..))?);
        }
        let y = conv1d(&x, &self.weight, self.stride, 0, self.dilation, 1)?;
        add_bias(y, self.bias.as_ref())
    }
}

/// A transposed convolution whose surplus on the right is cut: each input gives `stride` outputs at once, and what reaches
/// further is kept for the next piece.
pub struct CausalConvTranspose {
    weight: Array, // (out, kernel, in / groups)
    bias: Option<Array>,
    stride: i32,
    groups: i32,
    /// Outputs that the last input reaches past its own.
    overlap: i32,
    slot: Slot,
}

impl CausalConvTranspose {
    /// PyTorch stores (in, out / groups, kernel). `groups` is 1 or the number of channels.
    pub fn load(w: &mut Weights<'_>, name: &str, conv: &Conv, groups: usize, slots: &mut Slots) -> Result<Self> {
        let axes = if groups == 1 { [1, 2, 0] } else { [0, 2, 1] };
        Ok(Self {
            weight: w.transposed(&format!("{name}.weight"), &axes)?,
            bias: w.optional(&format!("{name}.bias"))?,
            stride: conv.stride as i32,
            groups: groups as i32,
            overlap: conv.kernel as i32 - conv.stride as i32,
            slot: slots.next(),
        })
    }

    /// `x`: (1, T, in). Gives (1, T * stride, out).
    pub fn forward(&self, x: &Array, state: &mut State) -> Result<Array> {
        let length = x.dim(1) * self.stride;
        let mut y = conv_transpose1d(x, &self.weight, self.stride, 0, 1, 0, self.groups)?; // (1, length + overlap, out)
        if self.overlap > 0 {
            if let Some(rest) = state.take(self.slot) {
                let begin = y.try_index((.., ..self.overlap, ..))?.add(rest)?;
                y = concatenate(&[begin, y.try_index((.., self.overlap.., ..))?], 1)?;
            }
            state.put(self.slot, y.try_index((.., length.., ..))?);
            y = y.try_index((.., ..length, ..))?;
        }
        add_bias(y, self.bias.as_ref())
    }
}

fn add_bias(y: Array, bias: Option<&Array>) -> Result<Array> {
    match bias {
        Some(bias) => y.add(bias),
        None => Ok(y),
    }
}
