//! Fewer points for a curve, with its first and last point and all its extremes.

/// The indices, rising, of at most `most` of the values that keep the first, the last, and the
/// smallest and largest of every bucket of neighbours. NaN is never an extreme. All indices where
/// there are no more than `most`, which counts as at least 4.
///
/// Largest-triangle-three-buckets draws smoother curves of the same number of points, but may drop
/// a spike; a spike in a loss is what a reader looks for.
pub fn min_max(values: &[f64], most: usize) -> Vec<usize> {
    let most = most.max(4);
    if values.len() <= most {
        return (0..values.len()).collect();
    }
    let last = values.len() - 1;
    let inner = last - 1;
    let buckets = (most - 2) / 2;
    let mut kept = Vec::with_capacity(most);
    kept.push(0);
    for bucket in 0..buckets {
        let start = 1 + bucket * inner / buckets;
        let end = 1 + (bucket + 1) * inner / buckets;
        let numbers = || (start..end).filter(|&at| !values[at].is_nan());
        let least = numbers().min_by(|&a, &b| values[a].total_cmp(&values[b]));
        let largest = numbers().max_by(|&a, &b| values[a].total_cmp(&values[b]));
        match (least, largest) {
            (Some(a), Some(b)) if a == b => kept.push(a),
            (Some(a), Some(b)) => kept.extend([a.min(b), a.max(b)]),
            _ => {}
        }
    }
    kept.push(last);
    kept
}
