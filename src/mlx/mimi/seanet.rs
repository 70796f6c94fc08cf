//! SEANet: the convolutional halves of Mimi (Tagliasacchi et al. 2020). An ELU precedes every convolution but the first.

use mlx_rs::Array;
use mlx_rs::ops::{expm1, select};

use super::conv::{CausalConv, CausalConvTranspose};
use super::state::{SlotAllocator, StreamState};
use crate::checkpoint::config::Padding;
use crate::checkpoint::weights::{ConvWeights, ResidualUnitWeights, SeanetDecoderWeights, SeanetEncoderWeights};
use crate::mlx::nn::Result;

fn conv(w: ConvWeights<Array>, slots: &mut SlotAllocator) -> Result<CausalConv> {
    CausalConv::new(w, Padding::Zeros, slots)
}

struct ResidualUnit {
    conv1: CausalConv,
    conv2: CausalConv,
}

impl ResidualUnit {
    fn all(units: Vec<ResidualUnitWeights<Array>>, slots: &mut SlotAllocator) -> Result<Vec<Self>> {
        let unit =
            |w: ResidualUnitWeights<Array>| Ok(Self { conv1: conv(w.conv1, slots)?, conv2: conv(w.conv2, slots)? });
        units.into_iter().map(unit).collect()
    }

    fn forward(&self, x: &Array, state: &mut StreamState) -> Result<Array> {
        let y = self.conv1.forward(&elu(x)?, state)?;
        x.add(self.conv2.forward(&elu(&y)?, state)?)
    }
}

struct EncoderStage {
    units: Vec<ResidualUnit>,
    downsample: CausalConv,
}

/// Waveform (1, samples, 1) to latent (1, 2 T, d).
pub(super) struct SeanetEncoder {
    input: CausalConv,
    stages: Vec<EncoderStage>,
    output: CausalConv,
}

impl SeanetEncoder {
    pub(super) fn new(w: SeanetEncoderWeights<Array>, slots: &mut SlotAllocator) -> Result<Self> {
        let input = conv(w.input, slots)?;
        let mut stages = Vec::new();
        for stage in w.stages {
            let units = ResidualUnit::all(stage.units, slots)?;
            stages.push(EncoderStage { units, downsample: conv(stage.downsample, slots)? });
        }
        Ok(Self { input, stages, output: conv(w.output, slots)? })
    }

    pub(super) fn forward(&self, x: &Array, state: &mut StreamState) -> Result<Array> {
        let mut x = self.input.forward(x, state)?;
        for stage in &self.stages {
            for unit in &stage.units {
                x = unit.forward(&x, state)?;
            }
            x = stage.downsample.forward(&elu(&x)?, state)?;
        }
        self.output.forward(&elu(&x)?, state)
    }
}

struct DecoderStage {
    upsample: CausalConvTranspose,
    units: Vec<ResidualUnit>,
}

/// Latent (1, 2 T, d) to waveform (1, samples, 1).
pub(super) struct SeanetDecoder {
    input: CausalConv,
    stages: Vec<DecoderStage>,
    output: CausalConv,
}

impl SeanetDecoder {
    pub(super) fn new(w: SeanetDecoderWeights<Array>, slots: &mut SlotAllocator) -> Result<Self> {
        let input = conv(w.input, slots)?;
        let mut stages = Vec::new();
        for stage in w.stages {
            let upsample = CausalConvTranspose::new(stage.upsample, 1, slots)?;
            stages.push(DecoderStage { upsample, units: ResidualUnit::all(stage.units, slots)? });
        }
        Ok(Self { input, stages, output: conv(w.output, slots)? })
    }

    pub(super) fn forward(&self, x: &Array, state: &mut StreamState) -> Result<Array> {
        let mut x = self.input.forward(x, state)?;
        for stage in &self.stages {
            x = stage.upsample.forward(&elu(&x)?, state)?;
            for unit in &stage.units {
                x = unit.forward(&x, state)?;
            }
        }
        self.output.forward(&elu(&x)?, state)
    }
}

/// x where positive, else `exp(x) - 1`. Not mlx-rs' own: that one is compiled, which on Linux runs a C++ compiler at run time.
fn elu(x: &Array) -> Result<Array> {
    if crate::mlx::device::on_cpu() {
        return crate::mlx::cpu::elu(x);
    }
    select(x.gt(Array::from_f32(0.0))?, x, expm1(x)?)
}
