use super::{LinearWeights, WeightSource};
use crate::checkpoint::config::LlamaConfig;

/// A Llama-shaped transformer without embeddings and heads.
pub struct LlamaWeights<T> {
    /// Its layers, first to last.
    pub layers: Vec<LlamaLayerWeights<T>>,
    /// Weight of the final RMSNorm, `[d]`.
    pub norm: T,
}

/// One layer. With width d, head size h, H heads and G key-value heads:
pub struct LlamaLayerWeights<T> {
    /// RMSNorm before attention, `[d]`.
    pub input_norm: T,
    /// Queries, `[H h, d]`.
    pub q: LinearWeights<T>,
    /// Keys, `[G h, d]`.
    pub k: LinearWeights<T>,
    /// Values, `[G h, d]`.
    pub v: LinearWeights<T>,
    /// Output of attention, `[d, H h]`.
    pub o: LinearWeights<T>,
    /// RMSNorm before the feed-forward, `[d]`.
    pub post_norm: T,
    /// SwiGLU's gate, `[ffn, d]`.
    pub gate: LinearWeights<T>,
    /// SwiGLU's other factor, `[ffn, d]`.
    pub up: LinearWeights<T>,
    /// SwiGLU's output, `[d, ffn]`.
    pub down: LinearWeights<T>,
}

impl<T> LlamaWeights<T> {
    pub(super) fn load<S: WeightSource<Tensor = T>>(
        source: &mut S,
        prefix: &str,
        c: &LlamaConfig,
    ) -> Result<Self, S::Error> {
        let layers = (0..c.num_hidden_layers).map(|n| layer(source, &format!("{prefix}.layers.{n}"), c));
        Ok(Self {
            layers: layers.collect::<Result<_, _>>()?,
            norm: source.tensor(&format!("{prefix}.norm.weight"), &[c.hidden_size])?,
        })
    }
}

fn layer<S: WeightSource>(
    source: &mut S,
    prefix: &str,
    c: &LlamaConfig,
) -> Result<LlamaLayerWeights<S::Tensor>, S::Error> {
    let (d, ffn) = (c.hidden_size, c.intermediate_size);
    let (q, kv) = (c.num_attention_heads * c.head_dim(), c.num_key_value_heads * c.head_dim());
    let name = |part: &str| format!("{prefix}.{part}");
    Ok(LlamaLayerWeights {
        input_norm: source.tensor(&name("input_layernorm.weight"), &[d])?,
        q: LinearWeights::load(source, &name("self_attn.q_proj"), q, d, c.attention_bias)?,
        k: LinearWeights::load(source, &name("self_attn.k_proj"), kv, d, c.attention_bias)?,
        v: LinearWeights::load(source, &name("self_attn.v_proj"), kv, d, c.attention_bias)?,
        o: LinearWeights::load(source, &name("self_attn.o_proj"), d, q, c.attention_bias)?,
        post_norm: source.tensor(&name("post_attention_layernorm.weight"), &[d])?,
        gate: LinearWeights::load(source, &name("mlp.gate_proj"), ffn, d, c.mlp_bias)?,
        up: LinearWeights::load(source, &name("mlp.up_proj"), ffn, d, c.mlp_bias)?,
        down: LinearWeights::load(source, &name("mlp.down_proj"), d, ffn, c.mlp_bias)?,
    })
}
