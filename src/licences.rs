//! Licences of all that the programs contain.

/// The works and their licences, as `bundle/licences` collects them.
pub const LICENCES: &str = include_str!("../assets/licences.txt");

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_licences_are_those_of_the_locked_crates() {
        let lock = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap();
        let hash: String = Sha256::digest(lock).iter().map(|byte| format!("{byte:02x}")).collect();
        let made_for = LICENCES.lines().find_map(|line| line.strip_prefix("Cargo.lock "));
        assert_eq!(made_for, Some(hash.as_str()), "run bundle/licences");
        for name in ["egui", "mlx-rs", "OpenBLAS", "torch", "Inter (font)"] {
            assert!(LICENCES.lines().any(|line| line.trim_start().starts_with(name)), "{name}");
        }
    }
}
