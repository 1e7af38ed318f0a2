//! The order of launches: which must wait for which.

use super::launch::Launch;

/// For each launch, the earlier ones that it must wait for, without those that others of them
/// already wait for.
pub(super) fn edges(launches: &[Launch]) -> Vec<Vec<usize>> {
    // All that come before each, directly or not, as bits.
    let mut before: Vec<Vec<u64>> = Vec::with_capacity(launches.len());
    let mut edges = Vec::with_capacity(launches.len());
    for (at, launch) in launches.iter().enumerate() {
        let mut all = vec![0_u64; launches.len().div_ceil(64)];
        let mut direct = Vec::new();
        // The latest first: whatever an earlier one is implied by has been seen then.
        for earlier in (0..at).rev() {
            let implied = all[earlier / 64] >> (earlier % 64) & 1 == 1;
            if !implied && launch.depends_on(&launches[earlier]) {
                direct.push(earlier);
                all[earlier / 64] |= 1 << (earlier % 64);
                for (all, theirs) in all.iter_mut().zip(&before[earlier]) {
                    *all |= theirs;
                }
            }
        }
        direct.reverse();
        edges.push(direct);
        before.push(all);
    }
    edges
}
