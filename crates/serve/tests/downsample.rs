//! Curves keep what a reader looks for.

use retrodict_serve::min_max;

#[test]
fn the_first_the_last_and_all_extremes_are_kept() {
    let mut values: Vec<f64> = (0..100_000).map(|i| (f64::from(i) / 5000.0).sin()).collect();
    values[54_321] = 100.0;
    values[76_543] = -100.0;
    values[11_111] = f64::NAN;
    let kept = min_max(&values, 600);
    assert!(kept.len() <= 600 && kept.len() > 500, "{}", kept.len());
    assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
    for at in [0, 54_321, 76_543, 99_999] {
        assert!(kept.contains(&at), "{at}");
    }
    assert!(!kept.contains(&11_111));
}

#[test]
fn every_length_and_limit_gives_valid_places() {
    for length in 0..70 {
        for most in 0..40 {
            let values: Vec<f64> = (0..length).map(|i| f64::from((i * 7919) % 13)).collect();
            let kept = min_max(&values, most);
            assert!(kept.len() <= most.max(4), "{length} {most}");
            assert!(kept.iter().all(|at| *at < values.len()));
            assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
            if length > 0 {
                assert_eq!((kept[0], kept[kept.len() - 1]), (0, values.len() - 1));
            }
        }
    }
    assert_eq!(min_max(&[f64::NAN; 50], 10), [0, 49]);
}
