//! Finds seats that lose less: clusters first, then single agents, then agents that change places, until
//! nothing gets better.
//!
//! Each change that is kept makes the host's loss smaller, so what is found is never worse than what is
//! there. It need not be the best there is; how far from that it is on small hosts is measured in the
//! tests, against all that is possible.

use std::cmp::Ordering;

use super::{
    TARGET, UPPER_QUANTILE,
    seats::{ClusterProspect, Prospect, Seat, Seats},
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

/// With more members, one way down is enough: what each of them does matters little, and the other way
/// costs as much again.
const FEW: usize = 512;

/// A round that makes the loss smaller by less than this part is the last one.
const LEAST_PART: f64 = 1e-3;

/// Gives members seats that lose less.
pub(super) fn improve(seats: &mut Seats, clusters: &[Vec<usize>]) {
    let order = movable(seats);
    if order.len() > FEW {
        descend(seats, clusters, &order);
        return;
    }
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
    let prospect = Prospect::of(seats, member);
    let best = best(seats, member, |seat| prospect.change_without_load(seat));
    seats.take(member, best.1);
}

/// The seat of a member whose change is least, and that; its own with no change if none is below 0.
fn best(seats: &Seats, member: usize, change: impl Fn(Seat) -> f64) -> (f64, Seat) {
    let own = (0.0, seats.seat(member));
    candidates(seats, member).fold(own, |best, seat| {
        let change = change(seat);
        if change < best.0 {
            (change, seat)
        } else {
            best
        }
    })
}

/// Changes seats one after the other while that loses less.
fn descend(seats: &mut Seats, clusters: &[Vec<usize>], order: &[usize]) {
    let mut exchanges = 0;
    let mut loss = seats.total();
    for _ in 0..MAX_ROUNDS {
        let mut gain = 0.0;
        for cluster in clusters {
            gain += improve_cluster(seats, cluster);
        }
        let mut is_crowded = false;
        for &member in order {
            let (gained, is_held_up) = improve_member(seats, member);
            gain += gained;
            is_crowded |= is_held_up;
        }
        loss -= gain;
        if gain > LEAST_PART * loss {
            continue;
        }
        if exchanges == MAX_EXCHANGES || !is_crowded {
            break;
        }
        exchanges += 1;
        let gain = exchange(seats, order) + reseat_pairs(seats, order);
        loss -= gain;
        if gain <= LEAST_PART * loss {
            break;
        }
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

/// Takes the seat that loses least; what that gains, in CPUs, and whether there would be a better one if
/// its node had room.
fn improve_member(seats: &mut Seats, member: usize) -> (f64, bool) {
    let prospect = Prospect::of(seats, member);
    let (change, seat) = best(seats, member, |seat| prospect.change(seat));
    if change > -LEAST {
        let nearest = best(seats, member, |seat| prospect.change_without_load(seat));
        return (0.0, nearest.0 < -LEAST);
    }
    seats.take(member, seat);
    (-change, false)
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

/// Moves all of a cluster to the node where that loses least, if it loses less than now; what that gains,
/// in CPUs.
fn improve_cluster(seats: &mut Seats, cluster: &[usize]) -> f64 {
    let prospect = ClusterProspect::of(seats, cluster);
    let mut best = (-LEAST, None);
    for &node in &seats.problem.nodes {
        let change = prospect.change(node);
        if change < best.0 {
            best = (change, Some(node));
        }
    }
    let Some(node) = best.1 else { return 0.0 };
    for &member in cluster {
        seats.take(member, Seat::On(node));
    }
    -best.0
}

/// Takes a seat; what that adds to the loss.
fn taken(seats: &mut Seats, member: usize, seat: Seat) -> f64 {
    let change = Prospect::of(seats, member).change(seat);
    seats.take(member, seat);
    change
}

/// Who would lose how much less on another node if there were room.
#[derive(Clone, Copy)]
struct Wish {
    member: usize,
    /// Negative for a gain, in CPUs.
    change: f64,
}

/// Lets members of two nodes change places where neither could move alone for want of room; what that
/// gains, in CPUs.
fn exchange(seats: &mut Seats, order: &[usize]) -> f64 {
    let wishes = wishes(seats, order);
    let nodes = seats.problem.nodes.clone();
    let mut gain = 0.0;
    for &from in &nodes {
        for &to in nodes.iter().filter(|&&to| to != from) {
            let wanting = &wishes[from][to];
            let wanting = wanting.iter().filter(|wish| wish.change < -LEAST);
            for wish in wanting {
                let partners = wishes[to][from].iter();
                let mut swaps = partners
                    .map(|partner| swapped(seats, (wish.member, to), (partner.member, from)));
                gain += swaps.find(|&gain| gain > 0.0).unwrap_or(0.0);
            }
        }
    }
    gain
}

/// Of each node, who would go to each other one, those who gain most first.
fn wishes(seats: &Seats, order: &[usize]) -> Vec<Vec<Vec<Wish>>> {
    let most = seats.problem.nodes.last().map_or(0, |&last| last + 1);
    let mut wishes = vec![vec![Vec::new(); most]; most];
    for &member in order {
        let prospect = Prospect::of(seats, member);
        let home = home(seats, member);
        for &to in &seats.problem.nodes {
            if to != home {
                let change = prospect.change_without_load(Seat::On(to));
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

/// Exchanges two members if that loses less; what it gains, in CPUs.
fn swapped(seats: &mut Seats, one: (usize, usize), other: (usize, usize)) -> f64 {
    if one.0 == other.0 || home(seats, one.0) != other.1 || home(seats, other.0) != one.1 {
        return 0.0;
    }
    let before = [(one.0, seats.seat(one.0)), (other.0, seats.seat(other.0))];
    let mut change = 0.0;
    for (member, node) in [one, other] {
        change += taken(seats, member, Seat::On(node));
    }
    if change < -LEAST {
        return -change;
    }
    for (member, seat) in before {
        seats.take(member, seat);
    }
    0.0
}

/// Gives the members with most demand, two at a time, any seats that lose less together. What one of
/// thousands of small agents does hardly matters to the others; what one of a few large ones does, does.
fn reseat_pairs(seats: &mut Seats, order: &[usize]) -> f64 {
    let large = &order[..order.len().min(LARGE)];
    let mut gain = 0.0;
    for (number, &one) in large.iter().enumerate() {
        for &other in &large[number + 1..] {
            gain += reseat_pair(seats, one, other);
        }
    }
    gain
}

fn reseat_pair(seats: &mut Seats, one: usize, other: usize) -> f64 {
    let before = [seats.seat(one), seats.seat(other)];
    let mut best = (-LEAST, before);
    for first in candidates(seats, one) {
        let change = taken(seats, one, first);
        let prospect = Prospect::of(seats, other);
        for second in candidates(seats, other) {
            let both = change + prospect.change(second);
            if both < best.0 {
                best = (both, [first, second]);
            }
        }
        seats.take(one, before[0]);
    }
    if best.1 == before {
        return 0.0;
    }
    seats.take(one, best.1[0]);
    seats.take(other, best.1[1]);
    -best.0
}

/// Leaves members where they are whose move gains nothing beside all others.
fn give_up_useless(seats: &mut Seats, order: &[usize]) {
    for _ in 0..MAX_ROUNDS {
        let mut is_better = false;
        for &member in order {
            let is_moved = seats.seat(member) != Seat::AsIs;
            if is_moved && Prospect::of(seats, member).change(Seat::AsIs) <= 0.0 {
                seats.take(member, Seat::AsIs);
                is_better = true;
            }
        }
        if !is_better {
            break;
        }
    }
}
