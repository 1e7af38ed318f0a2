//! Tests on paired differences.

use retrodict_facts::RandomState;

/// Up to so many values all sign flips are counted.
const ALL_COUNTED: usize = 13;

/// The share of sign flips of `values` whose mean is at least as large as theirs in absolute value:
/// the two-sided p-value of a mean of 0, if either sign is equally likely for each value. Up to 13
/// values all flips are counted, beyond that `draws` are drawn, and the values themselves count as
/// one more. `None` without values.
pub fn p_of_sign_flips(values: &[f64], draws: u32, random: &mut RandomState) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    // A flip with the same sum may differ in the last bits.
    let found = values.iter().sum::<f64>().abs() * (1.0 - 1e-12);
    let extreme = |sum: f64| u32::from(sum.abs() >= found);
    if values.len() <= ALL_COUNTED {
        let flips = 1_u32 << values.len();
        let sum = |flip: u32| -> f64 {
            let signed = values.iter().enumerate();
            signed.map(|(at, value)| if flip >> at & 1 == 0 { *value } else { -value }).sum()
        };
        let count: u32 = (0..flips).map(|flip| extreme(sum(flip))).sum();
        return Some(f64::from(count) / f64::from(flips));
    }
    let mut count = 0;
    for _ in 0..draws {
        let sum: f64 =
            values.iter().map(|value| if random.randint(2) == 0 { *value } else { -value }).sum();
        count += extreme(sum);
    }
    Some(f64::from(count + 1) / f64::from(draws + 1))
}

/// The mean; `None` without values.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(values: &[f64]) -> f64 {
        p_of_sign_flips(values, 2000, &mut RandomState::new(1)).unwrap()
    }

    #[test]
    fn of_few_values_the_p_value_is_counted() {
        // All of one sign: that flip and its opposite.
        assert_eq!(p(&[1.0, 2.0, 3.0]), 2.0 / 8.0);
        assert_eq!(p(&[0.0, 0.0]), 1.0);
        // |sum| ≥ 2: ++ + gives 4, and flips of 1 alone give 2.
        assert_eq!(p(&[2.0, 1.0, -1.0]), 6.0 / 8.0);
    }

    #[test]
    fn of_many_values_it_is_drawn_and_uniform_under_the_null() {
        assert_eq!(p(&[1.0; 30]), 1.0 / 2001.0);
        let mut random = RandomState::new(5);
        let mut below = 0;
        for _ in 0..400 {
            let values: Vec<f64> =
                (0..20).map(|_| f64::from(random.randint(2001)) - 1000.0).collect();
            let p = p_of_sign_flips(&values, 200, &mut random).unwrap();
            below += u32::from(p <= 0.1);
        }
        assert!((24..=58).contains(&below), "{below} of 400");
    }
}
