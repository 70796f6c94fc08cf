//! SEANet: the convolutional halves of Mimi (Tagliasacchi et al. 2020).

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::ops::{expm1, select};

use super::conv::{CausalConv, CausalConvTranspose};
use super::state::{Slots, State};
use crate::checkpoint::names::Conv;
use crate::config::Padding;
use crate::mlx::weights::Weights;

type Result<T> = std::result::Result<T, Exception>;

enum Layer {
    Conv(CausalConv),
    Transpose(CausalConvTranspose),
    /// `x + conv(elu(conv(elu(x))))`
    Residual(CausalConv, CausalConv),
}

/// Encoder or decoder; which one the list of convolutions says.
pub struct SeaNet {
    layers: Vec<Layer>,
}

impl SeaNet {
    pub fn load(w: &mut Weights<'_>, prefix: &str, convs: &[Conv], slots: &mut Slots) -> Result<Self> {
        let mut layers = Vec::new();
        let mut convs = convs.iter();
        while let Some(conv) = convs.next() {
            let name = |c: &Conv| format!("{prefix}.layers.{}.conv", c.name);
            let mut load = |c: &Conv| CausalConv::load(w, &name(c), c, Padding::Zeros, slots);
            layers.push(if conv.transposed {
                Layer::Transpose(CausalConvTranspose::load(w, &name(conv), conv, 1, slots)?)
            } else if conv.name.contains("block") {
                let second = convs.next().expect("a residual unit has two convolutions");
                Layer::Residual(load(conv)?, load(second)?)
            } else {
                Layer::Conv(load(conv)?)
            });
        }
        Ok(Self { layers })
    }

    /// `x`: (1, T, channels in). An ELU stands before every layer but the first, and inside the residual units.
    pub fn forward(&self, x: &Array, state: &mut State) -> Result<Array> {
        let mut x = x.clone();
        for (n, layer) in self.layers.iter().enumerate() {
            x = match layer {
                Layer::Residual(first, second) => {
                    let y = first.forward(&elu(&x)?, state)?;
                    x.add(second.forward(&elu(&y)?, state)?)?
                }
                Layer::Conv(conv) if n == 0 => conv.forward(&x, state)?,
                Layer::Conv(conv) => conv.forward(&elu(&x)?, state)?,
                Layer::Transpose(conv) => conv.forward(&elu(&x)?, state)?,
            };
        }
        Ok(x)
    }
}

/// x where positive, else `exp(x) - 1`. Not mlx-rs' own: that one is compiled, which on Linux runs a C++ compiler at run time.
fn elu(x: &Array) -> Result<Array> {
    select(x.gt(Array::from_f32(0.0))?, x, expm1(x)?)
}
