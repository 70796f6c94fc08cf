//! Causal convolutions that can be fed chunk by chunk. A whole clip is one chunk.

use mlx_rs::Array;
use mlx_rs::ops::indexing::TryIndexOp;
use mlx_rs::ops::{broadcast_to, concatenate, conv1d, zeros};

use super::state::{SlotAllocator, StateSlot, StreamState};
use crate::checkpoint::config::Padding;
use crate::checkpoint::weights::ConvWeights;
use crate::mlx::nn::{Result, add_bias};

/// A causal convolution. Activations are (1, T, channels).
pub(super) struct CausalConv {
    weight: Array, // (out, kernel, in)
    bias: Option<Array>,
    stride: i32,
    dilation: i32,
    /// Past samples that a new one needs.
    context: i32,
    padding: Padding,
    slot: StateSlot,
}

impl CausalConv {
    pub(super) fn new(w: ConvWeights<Array>, padding: Padding, slots: &mut SlotAllocator) -> Result<Self> {
        let span = (w.kernel as i32 - 1) * w.dilation as i32 + 1;
        Ok(Self {
            weight: w.weight.transpose_axes(&[0, 2, 1])?.contiguous()?,
            bias: w.bias,
            stride: w.stride as i32,
            dilation: w.dilation as i32,
            context: span - w.stride as i32,
            padding,
            slot: slots.allocate(),
        })
    }

    /// `x`: (1, T, in), T a multiple of the stride. Returns (1, T / stride, out).
    pub(super) fn forward(&self, x: &Array, state: &mut StreamState) -> Result<Array> {
        let mut x = x.clone();
        if self.context > 0 {
            let past = match state.take(self.slot) {
                Some(past) => past,
                None => self.padding(&x)?,
            };
            x = concatenate(&[past, x], 1)?;
            state.put(self.slot, x.try_index((.., -self.context.., ..))?);
        }
        let y = conv1d(&x, &self.weight, self.stride, 0, self.dilation, 1)?;
        add_bias(y, self.bias.as_ref())
    }

    /// Samples before the first one, (1, context, in).
    fn padding(&self, x: &Array) -> Result<Array> {
        let shape = [1, self.context, x.dim(2)];
        match self.padding {
            Padding::Zeros => zeros::<f32>(&shape),
            Padding::Replicate => broadcast_to(x.try_index((.., ..1, ..))?, &shape),
        }
    }
}

/// How a transposed convolution mixes channels.
enum ChannelMix {
    /// Every input channel reaches every output channel: (in, 2 * stride * out).
    Full(Array),
    /// Each channel reaches itself alone: (1, 2 * stride, channels).
    Depthwise(Array),
}

/// A causal (right-trimmed) transposed convolution with a kernel of twice its stride, as all of Mimi's are, with overlap-add
/// across chunks. It is a matrix product, because MLX's CPU backend has no fast path for transposed convolutions: an input
/// gives `2 * stride` outputs, the second half of which is added to the first half of the next input's.
pub(super) struct CausalConvTranspose {
    weight: ChannelMix,
    bias: Option<Array>,
    stride: i32,
    slot: StateSlot,
}

impl CausalConvTranspose {
    /// `groups` is 1 or the number of channels.
    pub(super) fn new(w: ConvWeights<Array>, groups: usize, slots: &mut SlotAllocator) -> Result<Self> {
        let (inputs, per_group) = (w.weight.dim(0), w.weight.dim(1));
        let weight = if groups == 1 {
            // (in, out, kernel) -> (in, kernel * out)
            let flat = w.weight.transpose_axes(&[0, 2, 1])?.reshape(&[inputs, w.kernel as i32 * per_group])?;
            ChannelMix::Full(flat.contiguous()?)
        } else {
            // (channels, 1, kernel) -> (1, kernel, channels)
            ChannelMix::Depthwise(w.weight.transpose_axes(&[1, 2, 0])?.contiguous()?)
        };
        Ok(Self { weight, bias: w.bias, stride: w.stride as i32, slot: slots.allocate() })
    }

    /// `x`: (1, T, in). Returns (1, T * stride, out).
    pub(super) fn forward(&self, x: &Array, state: &mut StreamState) -> Result<Array> {
        let (t, stride) = (x.dim(1), self.stride);
        let products = match &self.weight {
            ChannelMix::Full(matrix) => x.matmul(matrix)?.reshape(&[t, 2 * stride, -1])?,
            ChannelMix::Depthwise(kernel) => x.reshape(&[t, 1, -1])?.multiply(kernel)?,
        }; // (T, 2 * stride, out)
        let own = products.try_index((.., ..stride, ..))?; // (T, stride, out)
        let overlap = products.try_index((.., stride.., ..))?; // (T, stride, out)
        let before = match state.take(self.slot) {
            Some(before) => before,
            None => zeros::<f32>(&[1, stride, overlap.dim(2)])?,
        };
        state.put(self.slot, overlap.try_index((t - 1.., .., ..))?);
        let before = if t == 1 { before } else { concatenate(&[before, overlap.try_index((..t - 1, .., ..))?], 0)? };
        let y = own.add(before)?.reshape(&[1, t * stride, -1])?;
        add_bias(y, self.bias.as_ref())
    }
}
