//! Sockets as user space sees them: which networks are whose, and which network namespaces there are.

pub(crate) mod namespaces;
pub(crate) mod networks;
