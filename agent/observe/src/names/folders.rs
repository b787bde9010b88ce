//! A cgroup's path, folder by folder.

/// One folder of a path.
pub(super) struct Component<'path> {
    pub(super) name: &'path str,
    /// Where it begins in the path.
    pub(super) start: usize,
    /// The path below it.
    pub(super) below: &'path str,
}

/// The folders of a path, outermost first.
pub(super) fn components(path: &str) -> impl DoubleEndedIterator<Item = Component<'_>> {
    let mut next = 0;
    let folders: Vec<Component<'_>> = path
        .split('/')
        .filter_map(|name| {
            let start = next;
            next += name.len() + 1;
            (!name.is_empty()).then(|| Component {
                name,
                start,
                below: path[start + name.len()..].trim_matches('/'),
            })
        })
        .collect();
    folders.into_iter()
}
