//! Reads a token file and prints what is in it: `cargo run --release --example read_tokens FILE.json`.

use std::path::PathBuf;

use csm_studio::analysis::clip::{CodebookStats, RepetitionStats};
use csm_studio::checkpoint::Checkpoint;
use csm_studio::data::TokenFile;
use csm_studio::error::{Error, Result};

fn main() -> Result<()> {
    let missing = || Error::invalid("FILE", "a token file as the only argument", "none");
    let path = std::env::args_os().nth(1).map(PathBuf::from).ok_or_else(missing)?;
    let model = Checkpoint::demo()?.info;
    let file = TokenFile::read(&path, &model.dims)?;
    let text = file.text.as_deref().unwrap_or("(the file does not say)");
    println!("{text:?}: {} frames, {:.2} s", file.frames.len(), model.dims.seconds(file.frames.len()));
    println!("longest run of one frame: {}", RepetitionStats::measure(&file.frames).longest_run);
    for codebook in 0..model.dims.codebooks {
        let stats = CodebookStats::measure(&file.frames, codebook, &model.dims);
        let common = stats.most_common.iter().map(|(id, n)| format!("{} ×{n}", model.describe_token(codebook, *id)));
        println!("codebook {codebook}: {} ids, {}", stats.used, common.collect::<Vec<_>>().join(", "));
    }
    Ok(())
}
