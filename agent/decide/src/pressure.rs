//! Time lost for want of CPU, memory and I/O, as the kernel's pressure stall information counts it.

use std::ops::{Add, Sub};

/// Time in which threads of a group were held up, cumulative or in a window, in µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stall {
    /// At least one thread was.
    pub some_us: u64,
    /// All that had something to do were.
    pub full_us: u64,
}

/// Time lost for want of each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// For want of a CPU.
    pub cpu: Stall,
    /// For want of memory: reclaim, refaults, swap-ins.
    pub memory: Stall,
    /// For want of I/O.
    pub io: Stall,
}

impl Pressure {
    fn each(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let stall = |left: Stall, right: Stall| Stall {
            some_us: combine(left.some_us, right.some_us),
            full_us: combine(left.full_us, right.full_us),
        };
        Self {
            cpu: stall(self.cpu, other.cpu),
            memory: stall(self.memory, other.memory),
            io: stall(self.io, other.io),
        }
    }
}

impl Add for Pressure {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.each(other, u64::wrapping_add)
    }
}

/// What came to it since an earlier reading. The kernel brings a group's sums up to date as it
/// reads them, and they may step back by a moment between CPUs: that counts as nothing.
impl Sub for Pressure {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        self.each(earlier, u64::saturating_sub)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pressure() -> impl Strategy<Value = Pressure> {
        prop::array::uniform6(0_u64..1 << 50).prop_map(|us| {
            let stall = |some: usize| Stall {
                some_us: us[some],
                full_us: us[some + 1],
            };
            Pressure {
                cpu: stall(0),
                memory: stall(2),
                io: stall(4),
            }
        })
    }

    proptest! {
        #[test]
        fn what_was_added_is_the_difference(earlier in pressure(), more in pressure()) {
            prop_assert_eq!((earlier + more) - earlier, more);
        }

        #[test]
        fn sums_that_step_back_count_as_nothing(earlier in pressure(), more in pressure()) {
            prop_assert_eq!(earlier - (earlier + more), Pressure::default());
        }
    }
}
