//! How reports with histograms are laid out.

/// How a report is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Columns of the terminal, or 100 if there is none.
    pub(crate) width: usize,
    /// Whether to use colours.
    pub(crate) color: bool,
    /// Rows to show one by one.
    pub(crate) top: usize,
    /// Rows to draw histograms of, of the first ones.
    pub(crate) histograms: usize,
}
