//! What can be wrong with rules.

use super::Kind;

/// Why rules can't be applied: one sentence that names the rule and the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A rule has an empty name.
    #[error("rule {number} has an empty `name`")]
    Unnamed {
        /// Its place in the list, from 1.
        number: usize,
    },
    /// Two rules have one name.
    #[error(
        "two rules have the name `{rule}`: give each its own `name`, and both the same `group` if \
         their agents belong together"
    )]
    SameName {
        /// The name.
        rule: String,
    },
    /// A rule would match every process.
    #[error("rule `{rule}` has no `match`, so it would match every process")]
    NoMatcher {
        /// The rule's name.
        rule: String,
    },
    /// A field holds nothing.
    #[error("rule `{rule}`: `{field}` is empty")]
    Empty {
        /// The rule's name.
        rule: String,
        /// The field, as in `match.comm`.
        field: String,
    },
    /// A field is longer than makes sense.
    #[error("rule `{rule}`: `{field}` is longer than {limit} bytes")]
    TooLong {
        /// The rule's name.
        rule: String,
        /// The field, as in `match.comm`.
        field: String,
        /// How long it may be.
        limit: usize,
    },
    /// A name or group would break a line of output.
    #[error("rule `{rule}`: `{field}` holds a character that can't be printed")]
    Unprintable {
        /// The rule's name, made printable.
        rule: String,
        /// The field.
        field: String,
    },
    /// A glob or regular expression can't be read.
    #[error("rule `{rule}`: `{field}` can't be read: {reason}")]
    BadPattern {
        /// The rule's name.
        rule: String,
        /// The field, as in `match.comm`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The template for names uses a fact that there is not.
    #[error(
        "rule `{rule}`: `agent` holds `{{{placeholder}}}`, which is none of {{comm}}, {{pid}}, \
         {{uid}}, {{unit}}, {{cgroup}}, {{env:NAME}}, {{rule}}, {{group}} and the captures of \
         `match.cmdline`"
    )]
    UnknownPlaceholder {
        /// The rule's name.
        rule: String,
        /// What stands between the braces.
        placeholder: String,
    },
    /// The template for names has a brace without its partner.
    #[error("rule `{rule}`: `agent` has a brace without its partner; write a brace itself twice")]
    LoneBrace {
        /// The rule's name.
        rule: String,
    },
    /// A capture of the command line would hide a fact.
    #[error(
        "rule `{rule}`: `match.cmdline` has a capture `{capture}`, which in `agent` means something \
         else"
    )]
    HiddenByCapture {
        /// The rule's name.
        rule: String,
        /// The capture's name.
        capture: String,
    },
    /// One group would have agents of two kinds.
    #[error(
        "rule `{rule}` has kind `{kind}`, but group `{group}` has agents of another kind already"
    )]
    MixedKinds {
        /// The rule's name.
        rule: String,
        /// The kind that it gives.
        kind: Kind,
        /// The group.
        group: String,
    },
}
