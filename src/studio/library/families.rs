//! Families: takes with their children.

use std::collections::HashMap;

use crate::takes::{Take, TakeId};

/// Orders the indices `found` of `takes` (newest first) by family, each with its number of found ancestors: a take precedes those
/// that were made from it, and families are in the order of their newest member. If the parent of a take is not among `found`, its
/// nearest ancestor that is takes the parent's place.
pub fn families(takes: &[Take], found: &[usize]) -> Vec<(usize, usize)> {
    let indices: HashMap<&TakeId, usize> = takes.iter().enumerate().map(|(n, take)| (&take.id, n)).collect();
    // A take is older than what was made from it; another order, which clocks can give, would allow a circle.
    let parent_of = |n: usize| {
        let parent = takes[n].parent.as_ref()?;
        indices.get(parent).copied().filter(|parent| *parent > n)
    };
    let mut is_found = vec![false; takes.len()];
    found.iter().for_each(|n| is_found[*n] = true);
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    // The newest member of each family, by its root.
    let mut newest: HashMap<usize, usize> = HashMap::new();
    for n in found.iter().copied() {
        let (mut above, mut root) = (None, n);
        let mut at = n;
        while let Some(parent) = parent_of(at) {
            if is_found[parent] {
                above = above.or(Some(parent));
                root = parent;
            }
            at = parent;
        }
        match above {
            Some(parent) => children.entry(parent).or_default().push(n),
            None => roots.push(n),
        }
        let first = newest.entry(root).or_insert(n);
        *first = n.min(*first);
    }
    roots.sort_by_key(|root| newest[root]);
    let mut ordered = Vec::with_capacity(found.len());
    let mut open: Vec<(usize, usize)> = roots.into_iter().rev().map(|root| (root, 0)).collect();
    while let Some((n, depth)) = open.pop() {
        ordered.push((n, depth));
        open.extend(children.remove(&n).unwrap_or_default().into_iter().rev().map(|child| (child, depth + 1)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(id: &str, parent: Option<&str>) -> Take {
        Take { id: id.into(), parent: parent.map(Into::into), ..Take::default() }
    }

    #[test]
    fn takes_are_below_their_parents() {
        // Newest first: f and d from b, c from d's family, e alone.
        let takes = [
            take("f", Some("d")),
            take("e", None),
            take("d", Some("b")),
            take("c", Some("b")),
            take("b", Some("gone")),
            take("a", None),
        ];
        let order = |found: &[usize]| families(&takes, found);
        assert_eq!(order(&[0, 1, 2, 3, 4, 5]), [(4, 0), (2, 1), (0, 2), (3, 1), (1, 0), (5, 0)]);
        assert_eq!(order(&[0, 1, 3, 4]), [(4, 0), (0, 1), (3, 1), (1, 0)], "without d, f is below b");
        assert_eq!(order(&[0, 1]), [(0, 0), (1, 0)]);
        // A circle is broken, and nothing is left out.
        let takes = [take("a", Some("b")), take("b", Some("a"))];
        assert_eq!(families(&takes, &[0, 1]), [(1, 0), (0, 1)]);
    }
}
