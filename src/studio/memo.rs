//! Values that are computed again only when what they depend on has changed.

use std::sync::Arc;

/// A shared value as a key: equal if it is the same allocation, which it keeps alive, so that no other value can have its address.
pub(super) struct ByAddress<T>(pub(super) Arc<T>);

impl<T> PartialEq for ByAddress<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A value that is cheap enough to be computed while the window is drawn.
pub(super) struct Memo<K, V> {
    known: Option<(K, V)>,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self { known: None }
    }
}

impl<K: PartialEq, V> Memo<K, V> {
    /// The value for `key`.
    pub(super) fn get(&mut self, key: K, compute: impl FnOnce() -> V) -> &V {
        if self.known.as_ref().is_some_and(|(known, _)| *known != key) {
            self.known = None;
        }
        &self.known.get_or_insert_with(|| (key, compute())).1
    }
}

/// A value that is computed in the background. The value before stays until the new one is ready.
#[derive(Clone, Default)]
pub struct Derived<K, V> {
    requested: Option<K>,
    value: Arc<V>,
}

impl<K: PartialEq, V> Derived<K, V> {
    /// Whether the value for `key` has not been requested.
    pub fn is_outdated(&self, key: &K) -> bool {
        self.requested.as_ref() != Some(key)
    }

    /// Records that the value for `key` is being computed.
    pub(super) fn request(&mut self, key: K) {
        self.requested = Some(key);
    }

    /// Takes over a computed value, unless another one has been requested since.
    pub(super) fn set(&mut self, key: &K, value: V) {
        if !self.is_outdated(key) {
            self.value = Arc::new(value);
        }
    }

    pub fn value(&self) -> &V {
        &self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_computes_once_per_key() {
        let (mut memo, mut computed) = (Memo::default(), 0);
        for key in [1, 1, 2, 2, 1] {
            assert_eq!(
                *memo.get(key, || {
                    computed += 1;
                    10 * key
                }),
                10 * key
            );
        }
        assert_eq!(computed, 3);
    }

    #[test]
    fn a_derived_value_is_replaced_by_the_latest_request_only() {
        let mut derived: Derived<u32, u32> = Derived::default();
        derived.request(1);
        derived.request(2);
        derived.set(&1, 10);
        assert_eq!((*derived.value(), derived.is_outdated(&2)), (0, false));
        derived.set(&2, 20);
        assert_eq!((*derived.value(), derived.is_outdated(&3)), (20, true));
    }
}
