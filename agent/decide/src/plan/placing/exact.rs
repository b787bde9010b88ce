//! The best there is, found by trying all: for hosts so small that this is possible.

use super::{
    problem::Problem,
    seats::{Seat, Seats},
};

/// The least that the host can lose, in CPUs.
pub(super) fn least(problem: &Problem) -> f64 {
    let mut seats = Seats::as_is(problem);
    let movable: Vec<usize> = (0..problem.members.len())
        .filter(|&member| problem.members[member].may_move)
        .collect();
    try_all(&mut seats, &movable)
}

fn try_all(seats: &mut Seats, left: &[usize]) -> f64 {
    let Some((&member, left)) = left.split_first() else {
        return seats.total();
    };
    let problem = seats.problem;
    let nodes = problem.nodes.iter().map(|&node| Seat::On(node));
    let spans = (0..problem.spans.len()).map(Seat::Across);
    let all: Vec<Seat> = std::iter::once(Seat::AsIs)
        .chain(nodes)
        .chain(spans)
        .collect();
    let mut least = f64::INFINITY;
    for seat in all {
        seats.take(member, seat);
        least = least.min(try_all(seats, left));
    }
    seats.take(member, Seat::AsIs);
    least
}
