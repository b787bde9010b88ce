//! Where agents' memory lies, as numbers of columns.

use hostler_common::placement::MAX_NODES;
use hostler_decide::node_memory::{NodeBytes, NodeMemory};

/// Numbers of a look: whether there was one, its age when the host was read, in ns, and by node the bytes
/// of anonymous memory and of files.
pub(super) const NUMBERS: usize = 2 + 2 * MAX_NODES;

/// A look as numbers; its age does not follow from the one before it.
pub(super) fn numbers(memory: Option<&NodeMemory>, age_ns: u64) -> [u64; NUMBERS] {
    let mut numbers = [0; NUMBERS];
    if let Some(memory) = memory {
        numbers[0] = 1;
        numbers[1] = age_ns;
        let by_node = memory.bytes.anon.into_iter().zip(memory.bytes.file);
        for (pair, (anon, file)) in numbers[2..].chunks_exact_mut(2).zip(by_node) {
            pair.copy_from_slice(&[anon, file]);
        }
    }
    numbers
}

/// The look that numbers stand for, of a reading taken at `at_ns`.
pub(super) fn memory(numbers: &[u64; NUMBERS], at_ns: u64) -> Option<NodeMemory> {
    let [is_there, age_ns, by_node @ ..] = numbers;
    let mut bytes = NodeBytes::default();
    let nodes = bytes.anon.iter_mut().zip(&mut bytes.file);
    for (pair, (anon, file)) in by_node.chunks_exact(2).zip(nodes) {
        (*anon, *file) = (pair[0], pair[1]);
    }
    (*is_there != 0).then(|| NodeMemory {
        at_ns: at_ns.wrapping_sub(*age_ns),
        bytes,
    })
}
