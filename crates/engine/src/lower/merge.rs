//! Products that become one launch: linear layers of one input whose weights stand side by side in
//! one parameter, such as those of queries, keys and values.

use super::kernel::{ProductBf16, ProductF32, RowSums, WeightGradientBf16, WeightGradientF32};
use super::launch::{Area, Launch, Size, Target};
use crate::place::Place;
use crate::precision::ProductPrecision;

/// The most buffers that a product takes its rows from.
const BUFFERS: usize = 3;

/// A launch, or a product that may still become part of another.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    Launch(Launch),
    Product(ProductF32),
    WeightGradient(WeightGradientF32),
    RowSums(RowSums),
}

impl Piece {
    /// The launch, with products in this precision.
    pub(super) fn launch(self, precision: ProductPrecision) -> Launch {
        match self {
            Piece::Launch(launch) => launch,
            Piece::Product(product) => {
                let flops = [product.rows, product.columns, product.k];
                counted(
                    flops,
                    match precision {
                        ProductPrecision::Full => product.into(),
                        ProductPrecision::Bf16 => {
                            let ProductF32 {
                                a,
                                a_row,
                                a_k,
                                b,
                                c,
                                bias,
                                rows,
                                columns,
                                k,
                                b_rows,
                                c_rows,
                            } = product;
                            ProductBf16 {
                                a,
                                a_row,
                                a_k,
                                b,
                                c,
                                bias,
                                rows,
                                columns,
                                k,
                                b_rows,
                                c_rows,
                            }
                            .into()
                        }
                    },
                )
            }
            Piece::WeightGradient(product) => {
                let flops = [product.rows, product.columns, product.k];
                counted(
                    flops,
                    match precision {
                        ProductPrecision::Full => product.into(),
                        ProductPrecision::Bf16 => {
                            let WeightGradientF32 { left, right, weight, rows, columns, k, r_rows } =
                                product;
                            WeightGradientBf16 { left, right, weight, rows, columns, k, r_rows }
                                .into()
                        }
                    },
                )
            }
            Piece::RowSums(sums) => sums.into(),
        }
    }

    /// Both as one, in the place of this one; `None` if they are not products of one input with
    /// neighbouring columns of one parameter.
    fn joined(&self, other: &Piece) -> Option<Piece> {
        match (self, other) {
            (Piece::Product(one), Piece::Product(two)) => {
                forward(one, two).or_else(|| input_gradient(one, two)).map(Piece::Product)
            }
            (Piece::WeightGradient(one), Piece::WeightGradient(two)) => {
                weight_gradient(one, two).map(Piece::WeightGradient)
            }
            (Piece::RowSums(one), Piece::RowSums(two)) => row_sums(one, two).map(Piece::RowSums),
            _ => None,
        }
    }
}

fn counted(sizes: [Size; 3], launch: Launch) -> Launch {
    let flops = 2 * sizes.iter().map(|size| size.0 as u64).product::<u64>();
    Launch { flops, ..launch }
}

/// Merges what can be merged: a later piece moves up to an earlier one that it can be joined with,
/// unless it depends on a piece between them.
pub(super) fn merged(pieces: Vec<Piece>, precision: ProductPrecision) -> Vec<Piece> {
    // A few pieces of each of three layers.
    const REACH: usize = 12;
    let mut pieces = pieces;
    let mut at = 0;
    while at < pieces.len() {
        if matches!(pieces[at], Piece::Launch(_)) {
            at += 1;
            continue;
        }
        let mut next = at + 1;
        while next < pieces.len().min(at + REACH) {
            let Some(both) = pieces[at].joined(&pieces[next]) else {
                next += 1;
                continue;
            };
            let moved = pieces[next].clone().launch(precision);
            let mut between = pieces[at + 1..next].iter();
            if between.any(|piece| moved.depends_on(&piece.clone().launch(precision))) {
                break;
            }
            pieces.remove(next);
            pieces[at] = both;
        }
        at += 1;
    }
    pieces
}

/// The order of two neighbouring views of one parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The first one's columns come first.
    Kept,
    Swapped,
}

impl Order {
    fn sort<X>(self, one: X, two: X) -> [X; 2] {
        match self {
            Order::Kept => [one, two],
            Order::Swapped => [two, one],
        }
    }
}

/// The place of two views of the same rows that stand side by side.
fn neighbours(one: Place, two: Place) -> Option<(Place, Order)> {
    if (one.rows, one.stride) != (two.rows, two.stride) {
        return None;
    }
    let columns = one.columns + two.columns;
    let order = match () {
        _ if columns > one.stride => return None,
        _ if one.start + one.columns == two.start => Order::Kept,
        _ if two.start + two.columns == one.start => Order::Swapped,
        _ => return None,
    };
    Some((Place { start: one.start.min(two.start), columns, ..one }, order))
}

fn areas(one: Area, two: Area) -> Option<(Area, Order)> {
    let (place, order) = neighbours(one.place, two.place)?;
    (one.region == two.region).then_some((Area { place, ..one }, order))
}

/// The buffers of both, if they are not too many.
fn buffers<X: Copy>(
    order: Order,
    one: [Option<X>; BUFFERS],
    two: [Option<X>; BUFFERS],
) -> Option<[Option<X>; BUFFERS]> {
    let all: Vec<X> = order.sort(one, two).into_iter().flatten().flatten().collect();
    (all.len() <= BUFFERS).then(|| std::array::from_fn(|i| all.get(i).copied()))
}

fn sum(one: Size, two: Size) -> Size {
    Size(one.0 + two.0)
}

/// Two products of the same B, whose results lie in different buffers.
fn forward(one: &ProductF32, two: &ProductF32) -> Option<ProductF32> {
    let same = one.b == two.b
        && one.b_rows == two.b_rows
        && (one.columns, one.k, one.c_rows) == (two.columns, two.k, two.c_rows)
        && [one.a_row, two.a_row] == [Size(1); 2]
        && one.a_k == two.a_k
        && one.c.iter().chain(&two.c).flatten().all(|c| !c.add);
    let (a, order) = areas(one.a, two.a).filter(|_| same)?;
    let bias = match (one.bias, two.bias) {
        (None, None) => None,
        (Some(one), Some(two)) => {
            let (bias, of_bias) = areas(one, two)?;
            (of_bias == order).then_some(())?;
            Some(bias)
        }
        _ => return None,
    };
    let c = buffers(order, one.c, two.c)?;
    Some(ProductF32 { a, c, bias, rows: sum(one.rows, two.rows), ..one.clone() })
}

/// Two products of which the second adds to the result of the first: one with a longer sum.
fn input_gradient(one: &ProductF32, two: &ProductF32) -> Option<ProductF32> {
    let ([Some(first), None, None], [Some(second), None, None]) = (one.c, two.c) else {
        return None;
    };
    let same = first.area == second.area
        && second.add
        && one.bias.is_none()
        && two.bias.is_none()
        && (one.rows, one.columns, one.b_rows) == (two.rows, two.columns, two.b_rows)
        && [one.a_k, two.a_k] == [Size(1); 2]
        && one.a_row == two.a_row;
    let (a, order) = areas(one.a, two.a).filter(|_| same)?;
    let b = buffers(order, one.b, two.b)?;
    Some(ProductF32 { a, b, k: sum(one.k, two.k), ..one.clone() })
}

/// The gradients of neighbouring columns, or of a bias: with the same store.
fn targets(one: Target, two: Target) -> Option<(Target, Order)> {
    let (place, order) = neighbours(one.place, two.place)?;
    (one.store == two.store).then_some((Target { place, ..one }, order))
}

fn weight_gradient(one: &WeightGradientF32, two: &WeightGradientF32) -> Option<WeightGradientF32> {
    let same = one.left == two.left && one.r_rows == two.r_rows;
    let (weight, order) = targets(one.weight, two.weight).filter(|_| same)?;
    let right = buffers(order, one.right, two.right)?;
    let columns = sum(one.columns, two.columns);
    Some(WeightGradientF32 { weight, right, columns, ..one.clone() })
}

fn row_sums(one: &RowSums, two: &RowSums) -> Option<RowSums> {
    let same = one.x_rows == two.x_rows && one.columns == two.columns;
    let (bias, order) = targets(one.bias, two.bias).filter(|_| same)?;
    let x = buffers(order, one.x, two.x)?;
    Some(RowSums { x, bias, rows: sum(one.rows, two.rows), ..one.clone() })
}
