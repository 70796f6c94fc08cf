//! Harness of a server's answers.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::hub::{Listing, RepositoryFile};
use crate::checkpoint::hub_cache;
use crate::fuzz_input::{halves, in_folder, put};

/// A list of a repository's files, and its config or the index of its shards, with a NUL byte between them. The list is an id, too.
pub(crate) fn hub(input: &[u8]) {
    let (listing, small) = halves(input);
    let listing = String::from_utf8_lossy(listing);
    if let Some((owner, name)) = hub_cache::repository(&listing) {
        for part in [owner, name] {
            let mut parts = Path::new(part).components();
            let plain = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
            assert!(plain, "{part:?} is not a name");
        }
    }
    let Ok(listing) = Listing::parse(&listing) else { return };
    assert!(Path::new(&listing.commit).components().count() == 1);
    let total: u64 = listing.files.iter().map(|file| file.size).sum();
    assert!(total < u64::MAX / 2);
    let root = Path::new("root");
    for path in listing.files.iter().filter_map(RepositoryFile::relative) {
        assert!(root.join(path).components().all(|part| matches!(part, Component::Normal(_))), "{path:?} leads out");
    }
    let names: BTreeSet<&str> = listing.files.iter().map(|file| file.name.as_str()).collect();
    in_folder(|folder| {
        put(folder, "config.json", small);
        put(folder, "model.safetensors.index.json", small);
        drop(super::weight_names("owner/name", folder, &names));
    });
}
