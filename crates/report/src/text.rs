//! Numbers as a reader wants them.

use retrodict_lab::stats;

/// Stands where a number does not apply.
pub(crate) const NONE: &str = "–";

/// Between a mean and its spread: no line breaks there.
const PLUS_MINUS: &str = "\u{a0}±\u{a0}";

/// Three significant digits, with a true minus sign.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    if value != 0.0 && value.abs() < 1e-4 {
        return format!("{value:.1e}").replace('-', "−");
    }
    fixed(value, decimals(value, 3))
}

/// `mean ± standard deviation` over seeds, of the finite values; the spread has the mean's
/// decimals and is left out for a single seed.
pub(crate) fn mean_and_spread(values: &[f64]) -> String {
    let Some(mean) = stats::mean(values) else {
        return NONE.into();
    };
    let Some(spread) = stats::std(values) else {
        return number(mean);
    };
    if mean != 0.0 && mean.abs() < 1e-4 {
        return format!("{}{PLUS_MINUS}{}", number(mean), number(spread));
    }
    let places = if mean == 0.0 { decimals(spread, 2) } else { decimals(mean, 3) };
    format!("{}{PLUS_MINUS}{}", fixed(mean, places), fixed(spread, places))
}

/// `mean [low, high]`, the ends with the decimals of the mean; the interval is left out where it
/// has no width at that precision.
pub(crate) fn mean_and_interval(mean: Option<f64>, interval: Option<(f64, f64)>) -> String {
    let Some(mean) = mean else { return NONE.into() };
    if mean != 0.0 && mean.abs() < 1e-4 {
        return number(mean);
    }
    let widest = interval.map_or(0.0, |(low, high)| low.abs().max(high.abs()));
    with_interval(mean, interval, decimals(if mean == 0.0 { widest } else { mean }, 3))
}

/// The same of a share of 1, to thousandths.
pub(crate) fn share_and_interval(mean: Option<f64>, interval: Option<(f64, f64)>) -> String {
    mean.map_or(NONE.into(), |mean| with_interval(mean, interval, 3))
}

fn with_interval(mean: f64, interval: Option<(f64, f64)>, places: usize) -> String {
    // `+ 0.0` turns −0 into 0.
    let shown = |value: f64| fixed(value + 0.0, places);
    let whole = mean == 0.0 || (mean == 1.0 && places == 3);
    let middle = if whole { format!("{mean:.0}") } else { shown(mean) };
    match interval.map(|(low, high)| (shown(low), shown(high))) {
        Some((low, high)) if low != high => format!("{middle} [{low},\u{a0}{high}]"),
        _ => middle,
    }
}

/// A level that was set, not measured: no more digits than it needs.
pub(crate) fn level(value: f64) -> String {
    let text = number(value);
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A difference of logits, to one decimal.
pub(crate) fn logit(value: f64) -> String {
    if !value.is_finite() {
        return NONE.into();
    }
    // `+ 0.0` turns a rounded −0 into 0.
    fixed((value * 10.0).round() / 10.0 + 0.0, 1)
}

/// A share of 1 in per cent.
pub(crate) fn percent(share: f64) -> String {
    format!("{}\u{a0}%", number(share * 100.0))
}

/// A text with its first letter large, as a sentence begins.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    // A quantity's sign, such as `p(C | A)`, keeps its case.
    match chars.next() {
        Some(first) if chars.clone().next().is_some_and(|c| c.is_lowercase()) => {
            first.to_uppercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// A duration on the page: tenths of a second below ten seconds, and spaces that do not break.
pub(crate) fn duration(seconds: f64) -> String {
    let text = match seconds {
        0.0..10.0 => format!("{seconds:.1} s"),
        _ if !seconds.is_finite() || seconds < 0.0 => NONE.into(),
        _ => whole_seconds(seconds),
    };
    text.replace(' ', "\u{a0}")
}

/// A duration to the second: `4 s`, `3 min 20 s`, `2 h 5 min`, `3 days`.
pub fn whole_seconds(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn decimals(value: f64, digits: i32) -> usize {
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    // Six places at most: beyond them a fixed-point number is not read but counted.
    (digits - 1 - value.abs().log10().floor() as i32).clamp(0, 6) as usize
}

fn fixed(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$}").replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let cases = [
            (10.234, "10.2"),
            (0.013_94, "0.0139"),
            (0.0, "0"),
            (1.0, "1.00"),
            (-2.614, "−2.61"),
            (3000.4, "3000"),
            (0.000_012, "1.2e−5"),
            (f64::NAN, "–"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }

    #[test]
    fn a_spread_has_the_decimals_of_its_mean() {
        assert_eq!(mean_and_spread(&[10.0, 10.4]), "10.2\u{a0}±\u{a0}0.3");
        assert_eq!(mean_and_spread(&[0.0, 0.0]), "0\u{a0}±\u{a0}0");
        assert_eq!(mean_and_spread(&[5.0]), "5.00");
        assert_eq!(mean_and_spread(&[f64::NAN]), "–");
    }

    #[test]
    fn an_interval_has_the_decimals_of_its_mean_and_is_left_out_without_width() {
        let shown = |mean, low, high| mean_and_interval(Some(mean), Some((low, high)));
        assert_eq!(shown(0.25, 0.2, 0.3), "0.250 [0.200,\u{a0}0.300]");
        assert_eq!(shown(10.24, 9.96, 10.5), "10.2 [10.0,\u{a0}10.5]");
        assert_eq!(shown(2.0, 2.0, 2.0), "2.00");
        assert_eq!(shown(0.0, 0.0, 0.0), "0");
        assert_eq!(mean_and_interval(Some(0.5), None), "0.500");
        assert_eq!(mean_and_interval(None, None), "–");
        let share = |mean, low, high| share_and_interval(Some(mean), Some((low, high)));
        assert_eq!(share(0.008_33, 0.0, 0.016_67), "0.008 [0.000,\u{a0}0.017]");
        assert_eq!([share(1.0, 1.0, 1.0), share(0.0, 0.0, 0.0)], ["1", "0"]);
        assert_eq!(share(0.9999, 0.9996, 1.0), "1.000");
    }

    #[test]
    fn levels_and_logits_have_the_digits_they_need() {
        assert_eq!(level(0.05), "0.05");
        assert_eq!(level(802f64.ln()), "6.69");
        assert_eq!(level(100.0), "100");
        assert_eq!(level(0.0), "0");
        assert_eq!(logit(12.26), "12.3");
        assert_eq!(logit(-0.01), "0.0");
        assert_eq!(logit(f64::NAN), "–");
    }

    #[test]
    fn durations_read_as_spoken() {
        assert_eq!(duration(4.25), "4.2\u{a0}s");
        assert_eq!(duration(72.4), "1\u{a0}min\u{a0}12\u{a0}s");
        assert_eq!(duration(7260.0), "2\u{a0}h\u{a0}1\u{a0}min");
        assert_eq!(duration(f64::NAN), "–");
    }
}
