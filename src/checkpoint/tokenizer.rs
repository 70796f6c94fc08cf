//! The text tokenizer: found, limited to what speech needs, completed where the layout says so, and guarded.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{Encoding, Tokenizer};

use super::config::CsmConfig;
use super::hub_cache;
use super::source::Source;
use crate::error::{Error, Result};

const FILE: &str = "tokenizer.json";
/// Repositories from which a tokenizer that is kept elsewhere is borrowed.
pub(super) const REPOSITORIES: [&str; 3] = ["unsloth/Llama-3.2-1B", "meta-llama/Llama-3.2-1B", "sesame/csm-1b"];
/// Largest length of a normalised text over the length of the text.
const MAX_NORMALISED_GROWTH: usize = 64;
/// Most ids per byte of text, without begin and end mark.
const MAX_IDS_PER_BYTE: usize = 16;

/// A tokenizer and the file it came from.
pub(super) struct TextTokenizer {
    tokenizer: Tokenizer,
    path: PathBuf,
    vocab: usize,
    control_marks: Vec<String>,
    /// Positions of the model.
    positions: usize,
}

/// The tokenizer's settings in a layout.
pub(super) struct TokenizerRules<'a> {
    /// Whether it may be borrowed from another repository and completed.
    pub(super) separate: bool,
    /// The repository that config.json names, whose tokenizer is used as it is.
    pub(super) named: Option<&'a str>,
}

impl TextTokenizer {
    /// Reads the tokenizer next to the weights, or the one that the layout borrows; with a note on what was borrowed or completed.
    pub(super) fn read(source: &Source, config: &CsmConfig, rules: &TokenizerRules<'_>) -> Result<(Self, Vec<String>)> {
        let mut notes = Vec::new();
        let (bytes, path) = match source.read_optional(FILE)? {
            Some(bytes) => (bytes.into_owned(), source.path(FILE)),
            None if rules.separate => {
                let (repository, path) = borrowed(source, rules)?;
                notes.push(format!(
                    "the tokenizer is taken from {repository} in Hugging Face's cache ({})",
                    path.display()
                ));
                (crate::files::read_file(&path, crate::files::JSON_LIMIT)?, path)
            }
            None => return Err(source.missing(FILE, "the text tokenizer")),
        };
        let tokenizer = parse(&bytes, &path)?;
        let special = tokenizer.get_added_tokens_decoder().into_values().filter(|token| token.special);
        let control_marks = special.map(|token| token.content).filter(|mark| !mark.is_empty()).collect();
        let mut this = Self {
            tokenizer,
            path,
            vocab: config.text_vocab_size,
            control_marks,
            positions: config.backbone.max_position_embeddings,
        };
        if let Some(id) = this.largest_id().filter(|id| *id as usize >= this.vocab) {
            let problem = format!("expected ids below text_vocab_size {}, got {id}", this.vocab);
            return Err(Error::file(&this.path, problem));
        }
        match this.check_marks(config) {
            Err(_) if rules.separate && rules.named.is_none() => {
                this.complete()?;
                this.check_marks(config)?;
                notes.push("the tokenizer is completed: a begin mark and an end mark enclose each text".into());
            }
            Err(_) if rules.named.is_some() => {}
            checked => checked?,
        }
        Ok((this, notes))
    }

    /// Ids of `text` between the tokenizer's marks.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if the tokenizer refuses the text, [`Error::InvalidFile`] if it gives an id that the model
    /// does not have, or too many.
    pub(super) fn ids(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encode(text)?.get_ids().to_vec())
    }

    /// For each id of [`TextTokenizer::ids`], the bytes of `text` that it spells; none for marks.
    ///
    /// # Errors
    /// Returns the errors of [`TextTokenizer::ids`].
    pub(super) fn spans(&self, text: &str) -> Result<Vec<Range<usize>>> {
        Ok(self.encode(text)?.get_offsets().iter().map(|(start, end)| *start..*end).collect())
    }

    fn encode(&self, text: &str) -> Result<Encoding> {
        /// Bytes of a token, more than of Llama 3's longest (128 spaces).
        const LONGEST_TOKEN: usize = 256;
        // The tokenizer takes many times the text's memory.
        let longest = self.positions.saturating_mul(LONGEST_TOKEN);
        if text.len() > longest {
            let expected = format!("at most {longest} bytes, as the model has {} positions", self.positions);
            return Err(Error::invalid("text", expected, format!("{} bytes", text.len())));
        }
        let encoding = guarded(|| self.tokenizer.encode(text, true))
            .ok_or_else(|| Error::file(&self.path, format!("the tokenizer fails on {text:?}: it is damaged")))?
            .map_err(|e| Error::invalid("text", "text that the tokenizer can encode", e))?;
        let ids = encoding.get_ids();
        if ids.len() > MAX_IDS_PER_BYTE * text.len() + 16 {
            let problem = format!(
                "expected at most {MAX_IDS_PER_BYTE} ids a byte of text, it gave {} for {}",
                ids.len(),
                text.len()
            );
            return Err(Error::file(&self.path, problem));
        }
        match ids.iter().find(|id| **id as usize >= self.vocab) {
            None => Ok(encoding),
            Some(id) => {
                Err(Error::file(&self.path, format!("expected ids below text_vocab_size {}, it gave {id}", self.vocab)))
            }
        }
    }

    /// The control mark that `text` spells out, if it does: it would become an id that means something else than text.
    pub(super) fn control_mark_in(&self, text: &str) -> Option<&str> {
        self.control_marks.iter().find(|mark| text.contains(mark.as_str())).map(String::as_str)
    }

    /// The file that it was read from.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn largest_id(&self) -> Option<u32> {
        self.tokenizer.get_vocab(true).into_values().max()
    }

    /// Checks that the tokenizer adds a begin mark and an end mark. Without the end mark the very first token would differ from
    /// what the model was trained on.
    fn check_marks(&self, config: &CsmConfig) -> Result<()> {
        let encoding = guarded(|| self.tokenizer.encode("[0]a", true))
            .ok_or_else(|| Error::file(&self.path, "the tokenizer fails on \"[0]a\": it is damaged"))?
            .map_err(|e| Error::parse(&self.path, "cannot encode \"[0]a\"", e))?;
        let (ids, special) = (encoding.get_ids(), encoding.get_special_tokens_mask());
        let begins = special.first() == Some(&1) && config.bos_token_id.is_none_or(|id| ids.first() == Some(&id));
        let problem = match (begins, ids.len() > 1 && special.last() == Some(&1)) {
            (true, true) => return Ok(()),
            (false, _) => "begin with the mark bos_token_id of config.json",
            (true, false) => "end with the end-of-text mark",
        };
        let advice = "its post_processor must add a begin mark and an end mark";
        Err(Error::file(&self.path, format!("expected text to {problem}, got the ids {ids:?}; {advice}")))
    }

    /// Puts a begin and an end mark around each text, as the original code does: Llama's own post-processor adds the first only.
    fn complete(&mut self) -> Result<()> {
        let (begin, end) = self.marks()?;
        let id = |mark: &str| {
            self.tokenizer
                .token_to_id(mark)
                .ok_or_else(|| Error::file(&self.path, format!("the mark {mark:?} is not one of its tokens")))
        };
        let ids = vec![(begin.clone(), id(&begin)?), (end.clone(), id(&end)?)];
        let template = format!("{begin} $A {end}");
        let processor = TemplateProcessing::builder()
            .try_single(template)
            .map_err(|e| Error::parse(&self.path, "cannot be completed", e))?
            .special_tokens(ids)
            .build()
            .map_err(|e| Error::parse(&self.path, "cannot be completed", e))?;
        self.tokenizer.with_post_processor(Some(processor));
        Ok(())
    }

    /// `bos_token` and `eos_token` of tokenizer_config.json, else Llama 3's.
    fn marks(&self) -> Result<(String, String)> {
        let source = Source::Folder(self.path.parent().unwrap_or(Path::new("")).to_owned());
        let config: Option<Value> = source.read_json("tokenizer_config.json")?;
        let mark = |field: &str, default: &str| {
            let value = config.as_ref().and_then(|c| c.get(field));
            let text = value.and_then(|v| v.as_str().or_else(|| v.get("content")?.as_str()));
            text.unwrap_or(default).to_owned()
        };
        Ok((mark("bos_token", "<|begin_of_text|>"), mark("eos_token", "<|end_of_text|>")))
    }
}

/// A tokenizer in the cache: the one that config.json names, else Llama's.
fn borrowed(source: &Source, rules: &TokenizerRules<'_>) -> Result<(String, PathBuf)> {
    let candidates: Vec<&str> = rules.named.map_or_else(|| REPOSITORIES.to_vec(), |named| vec![named]);
    let found = candidates.iter().find_map(|repository| Some((*repository, hub_cache::file(repository, FILE)?)));
    found.map(|(repository, path)| (repository.to_owned(), path)).ok_or_else(|| {
        let problem = format!(
            "missing: expected the text tokenizer next to the weights, or {} in Hugging Face's cache (`csm download {}` fetches it)",
            candidates.join(" or "),
            candidates[0]
        );
        Error::file(source.path(FILE), problem)
    })
}

/// Reads a tokenizer without what speech does not want (padding, truncation, the decoder), and only with normalisers that cannot
/// make a text grow beyond bounds.
fn parse(bytes: &[u8], path: &Path) -> Result<Tokenizer> {
    let not = |e: &dyn std::fmt::Display| Error::file(path, format!("is not a tokenizer: {e}"));
    let mut json: Value = serde_json::from_slice(bytes).map_err(|e| not(&e))?;
    let Some(fields) = json.as_object_mut() else { return Err(not(&"expected an object")) };
    for unwanted in ["padding", "truncation", "decoder"] {
        fields.insert(unwanted.into(), Value::Null);
    }
    let mut growth = Growth::default();
    if let Some(normalizer) = fields.get("normalizer").filter(|n| !n.is_null()) {
        growth.add(normalizer).map_err(|problem| Error::file(path, format!("normalizer: {problem}")))?;
    }
    let bytes = serde_json::to_vec(&json).map_err(|e| not(&e))?;
    guarded(|| Tokenizer::from_bytes(&bytes)).ok_or_else(|| not(&"reading it fails"))?.map_err(|e| not(&e))
}

/// The result of `call`, unless it panics: tokenizer files can make the library do so.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// By how much a chain of normalisers can make a text grow.
#[derive(Default)]
struct Growth {
    written: String,
    factor: usize,
    steps: usize,
}

impl Growth {
    fn add(&mut self, normalizer: &Value) -> Result<(), String> {
        let kind = normalizer.get("type").and_then(Value::as_str).unwrap_or_default();
        self.steps += 1;
        if self.steps > 64 {
            return Err("expected at most 64 steps".into());
        }
        match kind {
            "Sequence" => {
                let steps = normalizer.get("normalizers").and_then(Value::as_array);
                steps.into_iter().flatten().try_for_each(|step| self.add(step))
            }
            "NFC" | "NFD" | "NFKC" | "NFKD" | "Lowercase" | "Strip" | "StripAccents" | "Nmt" | "ByteLevel" => Ok(()),
            "Prepend" => {
                let text = normalizer.get("prepend").and_then(Value::as_str).unwrap_or_default();
                self.write(text);
                if text.len() > 16 {
                    Err(format!("expected at most 16 bytes to prepend, got {}", text.len()))
                } else {
                    Ok(())
                }
            }
            "Replace" => {
                let pattern = normalizer.get("pattern").and_then(|p| p.get("String").or_else(|| p.get("Regex")));
                let pattern = pattern.and_then(Value::as_str).unwrap_or_default();
                let content = normalizer.get("content").and_then(Value::as_str).unwrap_or_default();
                if pattern.is_empty() {
                    return Err("Replace: expected a pattern, got an empty one".into());
                }
                let is_text = normalizer.pointer("/pattern/String").is_some();
                let times = content.chars().count().div_ceil(if is_text { pattern.chars().count() } else { 1 }).max(1);
                // The output of an earlier step may be replaced again: then the factors multiply.
                let again = !is_text || self.written.contains(pattern);
                self.factor = if again { self.factor.max(1) * times } else { self.factor.max(times) };
                self.write(content);
                if self.factor > MAX_NORMALISED_GROWTH {
                    return Err(format!(
                        "Replace: its steps can make a text {} times longer, expected at most {MAX_NORMALISED_GROWTH}",
                        self.factor
                    ));
                }
                Ok(())
            }
            other => Err(format!("{other:?} is not a kind that a CSM's tokenizer has")),
        }
    }

    fn write(&mut self, text: &str) {
        self.written.push_str(text);
        self.written.push('\u{0}');
    }
}
