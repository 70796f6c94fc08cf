use super::{LinearWeights, LlamaWeights, MimiWeights, Weight, WeightSource};
use crate::checkpoint::config::CsmConfig;

/// The language model. With K codebooks, vocabulary V, backbone width d, depth decoder width e:
pub struct CsmWeights<T> {
    /// Text embeddings, `[text ids, d]`.
    pub text_embeddings: Weight<T>,
    /// The backbone's audio embeddings, `[K V, d]`, row = id + codebook * V; `None` if it shares the depth decoder's.
    pub audio_embeddings: Option<Weight<T>>,
    /// Transformer over frames: draws codebook 0.
    pub backbone: LlamaWeights<T>,
    /// Head of codebook 0, `[V, d]`.
    pub codebook0_head: LinearWeights<T>,
    /// The depth decoder's audio embeddings, `[K V, d]`.
    pub depth_embeddings: Weight<T>,
    /// From the backbone's width to the depth decoder's, `[e, d]`.
    pub projection: LinearWeights<T>,
    /// Transformer over codebooks: draws the other codebooks.
    pub depth_decoder: LlamaWeights<T>,
    /// Heads of the other codebooks, `[K - 1, e, V]`.
    pub audio_head: T,
}

impl<T> CsmWeights<T> {
    /// Loads every tensor of the language model.
    ///
    /// # Errors
    /// Errors of the source.
    pub fn load<S: WeightSource<Tensor = T>>(source: &mut S, config: &CsmConfig) -> Result<Self, S::Error> {
        let (k, v) = (config.num_codebooks, config.vocab_size);
        let (backbone, depth) = (&config.backbone, &config.depth_decoder_config.llama);
        let (d, e) = (backbone.hidden_size, depth.hidden_size);
        let tied = config.tie_codebooks_embeddings;
        let own = "backbone_model.embed_tokens.embed_audio_tokens.weight";
        Ok(Self {
            text_embeddings: source.matrix("embed_text_tokens.weight", [config.text_vocab_size, d])?,
            audio_embeddings: (!tied).then(|| source.matrix(own, [k * v, d])).transpose()?,
            backbone: LlamaWeights::load(source, "backbone_model", backbone)?,
            codebook0_head: LinearWeights::load(source, "lm_head", v, d, false)?,
            depth_embeddings: source.matrix("depth_decoder.model.embed_tokens.weight", [k * v, d])?,
            projection: LinearWeights::load(source, "depth_decoder.model.inputs_embeds_projector", e, d, false)?,
            depth_decoder: LlamaWeights::load(source, "depth_decoder.model", depth)?,
            audio_head: source.tensor("depth_decoder.codebooks_head.weight", &[k - 1, e, v])?,
        })
    }
}

/// Loads every tensor of the codec.
///
/// # Errors
/// Errors of the source.
pub fn codec_weights<S: WeightSource>(source: &mut S, config: &CsmConfig) -> Result<MimiWeights<S::Tensor>, S::Error> {
    MimiWeights::load(source, "codec_model", &config.codec_config)
}
