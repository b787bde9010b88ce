//! Finds seats that lose less: clusters first, then single agents, then agents that change places, until
//! nothing gets better.
//!
//! Each change that is kept makes the host's loss smaller, so what is found is never worse than what is
//! there. It need not be the best there is; how far from that it is on small hosts is measured in the
//! tests, against all that is possible.

use std::cmp::Ordering;

use super::{
    TARGET, UPPER_QUANTILE,
    seats::{Seat, Seats},
};

/// A change that gains less than this is none, in CPUs: a nanosecond a second. It also ends what rounding
/// would keep going.
const LEAST: f64 = 1e-9;

/// Rounds at the most. Two or three are usual.
const MAX_ROUNDS: usize = 8;

/// Pairs of nodes are looked at for exchanges so many times at the most.
const MAX_EXCHANGES: usize = 3;

/// Of those who want from one node to another, so many are tried for an exchange.
const TRIED: usize = 8;

/// So many members, those with most demand, are moved two at a time as well.
const LARGE: usize = 8;

/// The part of the largest node's CPUs from which on an agent may span several nodes: beside one that
/// needs less there is room for others.
const SPANS_FROM: f64 = 0.5;

/// Gives members seats that lose less.
pub(super) fn improve(seats: &mut Seats, clusters: &[Vec<usize>]) {
    let order = movable(seats);
    let mut nearest = seats.clone();
    for &member in &order {
        take_nearest(&mut nearest, member);
    }
    descend(seats, clusters, &order);
    descend(&mut nearest, clusters, &order);
    if nearest.total() < seats.total() - LEAST {
        *seats = nearest;
    }
}

/// Takes the seat that would lose least if all nodes had room.
fn take_nearest(seats: &mut Seats, member: usize) {
    let attraction = seats.attraction(member);
    let mut best = (0.0, seats.seat(member));
    for seat in candidates(seats, member) {
        let change = seats.change_without_load(member, seat, &attraction);
        if change < best.0 {
            best = (change, seat);
        }
    }
    seats.take(member, best.1);
}

/// Changes seats one after the other while that loses less.
fn descend(seats: &mut Seats, clusters: &[Vec<usize>], order: &[usize]) {
    let mut exchanges = 0;
    for _ in 0..MAX_ROUNDS {
        let mut is_better = false;
        for cluster in clusters {
            is_better |= improve_cluster(seats, cluster);
        }
        for &member in order {
            is_better |= improve_member(seats, member);
        }
        if is_better {
            continue;
        }
        let may_exchange = exchanges < MAX_EXCHANGES;
        if !may_exchange || !(exchange(seats, order) | reseat_pairs(seats, order)) {
            break;
        }
        exchanges += 1;
    }
    give_up_useless(seats, order);
}

/// Those with most demand first: they are hardest to find room for.
fn movable(seats: &Seats) -> Vec<usize> {
    let members = &seats.problem.members;
    let mut order: Vec<usize> = (0..members.len())
        .filter(|&member| members[member].may_move)
        .collect();
    order.sort_by(|&left, &right| {
        let most_first = members[right].demand.total_cmp(&members[left].demand);
        most_first.then(left.cmp(&right))
    });
    order
}

fn improve_member(seats: &mut Seats, member: usize) -> bool {
    let attraction = seats.attraction(member);
    let mut best = (0.0, seats.seat(member));
    for seat in candidates(seats, member) {
        let change = seats.change(member, seat, &attraction);
        if change < best.0 {
            best = (change, seat);
        }
    }
    let is_better = best.0 < -LEAST;
    if is_better {
        seats.take(member, best.1);
    }
    is_better
}

fn candidates<'a>(seats: &Seats<'a>, member: usize) -> impl Iterator<Item = Seat> + use<'a> {
    let problem = seats.problem;
    let nodes = problem.nodes.iter().map(|&node| Seat::On(node));
    let it = &problem.members[member];
    let needed = (it.demand + UPPER_QUANTILE * it.variance.sqrt()) / TARGET;
    let largest = problem.nodes.iter().map(|&node| problem.cpus[node]);
    let may_span = needed > SPANS_FROM * largest.fold(0.0, f64::max);
    let spans = problem.spans.iter().enumerate();
    let spans = spans
        .filter(move |_| may_span)
        .map(|(span, _)| Seat::Across(span));
    std::iter::once(Seat::AsIs).chain(nodes).chain(spans)
}

/// Moves all of a cluster to the node where that loses least, if it loses less than now.
fn improve_cluster(seats: &mut Seats, cluster: &[usize]) -> bool {
    let before: Vec<Seat> = cluster.iter().map(|&member| seats.seat(member)).collect();
    let mut best = (-LEAST, None);
    let targets: Vec<Seat> = std::iter::once(Seat::AsIs)
        .chain(seats.problem.nodes.iter().map(|&node| Seat::On(node)))
        .collect();
    for &target in &targets {
        let mut change = 0.0;
        for &member in cluster {
            let attraction = seats.attraction(member);
            change += seats.change(member, target, &attraction);
            seats.take(member, target);
        }
        if change < best.0 {
            best = (change, Some(target));
        }
        for (&member, &seat) in cluster.iter().zip(&before) {
            seats.take(member, seat);
        }
    }
    let Some(target) = best.1 else { return false };
    for &member in cluster {
        seats.take(member, target);
    }
    true
}

/// Who would lose how much less on another node if there were room.
#[derive(Clone, Copy)]
struct Wish {
    member: usize,
    /// Negative for a gain, in CPUs.
    change: f64,
}

/// Lets members of two nodes change places where neither could move alone for want of room.
fn exchange(seats: &mut Seats, order: &[usize]) -> bool {
    let wishes = wishes(seats, order);
    let nodes = seats.problem.nodes.clone();
    let mut is_better = false;
    for &from in &nodes {
        for &to in nodes.iter().filter(|&&to| to != from) {
            let wanting = &wishes[from][to];
            let wanting = wanting.iter().filter(|wish| wish.change < -LEAST);
            for &wish in wanting.take(TRIED) {
                let partners = wishes[to][from].iter().take(TRIED);
                is_better |= partners
                    .into_iter()
                    .any(|&partner| swapped(seats, (wish.member, to), (partner.member, from)));
            }
        }
    }
    is_better
}

/// Of each node, who would go to each other one, those who gain most first.
fn wishes(seats: &Seats, order: &[usize]) -> Vec<Vec<Vec<Wish>>> {
    let most = seats.problem.nodes.last().map_or(0, |&last| last + 1);
    let mut wishes = vec![vec![Vec::new(); most]; most];
    for &member in order {
        let attraction = seats.attraction(member);
        let home = home(seats, member);
        for &to in &seats.problem.nodes {
            if to != home {
                let change = seats.change_without_load(member, Seat::On(to), &attraction);
                wishes[home][to].push(Wish { member, change });
            }
        }
    }
    let most_first = |left: &Wish, right: &Wish| -> Ordering {
        let by_change = left.change.total_cmp(&right.change);
        by_change.then(left.member.cmp(&right.member))
    };
    for wishes in wishes.iter_mut().flatten() {
        if wishes.len() > TRIED {
            wishes.select_nth_unstable_by(TRIED - 1, most_first);
            wishes.truncate(TRIED);
        }
        wishes.sort_by(most_first);
    }
    wishes
}

/// The node on which a member runs most.
pub(super) fn home(seats: &Seats, member: usize) -> usize {
    let run = seats.run(member, seats.seat(member));
    let mut nodes = seats.problem.nodes.iter().copied();
    let first = nodes.next().unwrap_or_default();
    nodes.fold(
        first,
        |most, node| {
            if run[node] > run[most] { node } else { most }
        },
    )
}

/// Exchanges two members if that loses less.
fn swapped(seats: &mut Seats, one: (usize, usize), other: (usize, usize)) -> bool {
    if one.0 == other.0 || home(seats, one.0) != other.1 || home(seats, other.0) != one.1 {
        return false;
    }
    let before = [(one.0, seats.seat(one.0)), (other.0, seats.seat(other.0))];
    let mut change = 0.0;
    for (member, node) in [one, other] {
        let attraction = seats.attraction(member);
        change += seats.change(member, Seat::On(node), &attraction);
        seats.take(member, Seat::On(node));
    }
    if change < -LEAST {
        return true;
    }
    for (member, seat) in before {
        seats.take(member, seat);
    }
    false
}

/// Gives the members with most demand, two at a time, any seats that lose less together. What one of
/// thousands of small agents does hardly matters to the others; what one of a few large ones does, does.
fn reseat_pairs(seats: &mut Seats, order: &[usize]) -> bool {
    let large = &order[..order.len().min(LARGE)];
    let mut is_better = false;
    for (number, &one) in large.iter().enumerate() {
        for &other in &large[number + 1..] {
            is_better |= reseat_pair(seats, one, other);
        }
    }
    is_better
}

fn reseat_pair(seats: &mut Seats, one: usize, other: usize) -> bool {
    let before = [seats.seat(one), seats.seat(other)];
    let mut best = (-LEAST, before);
    for first in candidates(seats, one) {
        let change = seats.change(one, first, &seats.attraction(one));
        seats.take(one, first);
        let attraction = seats.attraction(other);
        for second in candidates(seats, other) {
            let both = change + seats.change(other, second, &attraction);
            if both < best.0 {
                best = (both, [first, second]);
            }
        }
        seats.take(one, before[0]);
    }
    seats.take(one, best.1[0]);
    seats.take(other, best.1[1]);
    best.1 != before
}

/// Leaves members where they are whose move gains nothing beside all others.
fn give_up_useless(seats: &mut Seats, order: &[usize]) {
    for _ in 0..MAX_ROUNDS {
        let mut is_better = false;
        for &member in order {
            let attraction = seats.attraction(member);
            let is_moved = seats.seat(member) != Seat::AsIs;
            if is_moved && seats.change(member, Seat::AsIs, &attraction) <= 0.0 {
                seats.take(member, Seat::AsIs);
                is_better = true;
            }
        }
        if !is_better {
            break;
        }
    }
}
