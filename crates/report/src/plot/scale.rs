//! From values to positions, and the round numbers to write beside them.

/// A linear map from a domain of values to a range of positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    domain: (f64, f64),
    range: (f64, f64),
}

impl Linear {
    /// A map that takes `domain.0` to `range.0` and `domain.1` to `range.1`.
    ///
    /// A domain that is empty or not finite is replaced by one of length 1.
    pub fn new(domain: (f64, f64), range: (f64, f64)) -> Self {
        let start = if domain.0.is_finite() { domain.0 } else { 0.0 };
        let end = if domain.1.is_finite() && domain.1 > start { domain.1 } else { start + 1.0 };
        Self { domain: (start, end), range }
    }

    /// The position of a value; values beyond the domain stand at its edge, NaN stays NaN.
    pub fn at(&self, value: f64) -> f64 {
        self.range.0 + self.unit(value) * (self.range.1 - self.range.0)
    }

    /// Where a value lies in the domain, from 0 to 1.
    pub fn unit(&self, value: f64) -> f64 {
        let (start, end) = self.domain;
        ((value - start) / (end - start)).clamp(0.0, 1.0)
    }

    /// The values this map was made for.
    pub fn domain(&self) -> (f64, f64) {
        self.domain
    }

    /// Round values inside the domain, about `wanted` of them, with the decimals they need.
    pub fn ticks(&self, wanted: usize) -> Ticks {
        let (start, end) = self.domain;
        let step = round_step((end - start) / wanted.max(1) as f64);
        // A hair of slack, so that an end that is itself round is not lost to rounding.
        let first = (start / step - 1e-9).ceil();
        let last = (end / step + 1e-9).floor();
        let count = (last - first).clamp(0.0, 1e3) as usize + 1;
        Ticks {
            values: (0..count).map(|i| (first + i as f64) * step).collect(),
            form: Form::Decimals((-step.log10().floor()).max(0.0) as usize),
        }
    }
}

/// The map of an axis: by value, or by its logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Equal differences are equal lengths.
    Linear(Linear),
    /// Equal ratios are equal lengths; the map is of log₁₀ of the value.
    Log(Linear),
}

impl Scale {
    /// A map of `domain` to `range`; with `log`, of positive values only.
    pub fn new(domain: (f64, f64), range: (f64, f64), log: bool) -> Self {
        if log {
            Self::Log(Linear::new((domain.0.log10(), domain.1.log10()), range))
        } else {
            Self::Linear(Linear::new(domain, range))
        }
    }

    /// The position of a value; NaN for NaN, and for what has no logarithm where one is needed.
    pub fn at(&self, value: f64) -> f64 {
        match self {
            Self::Linear(map) => map.at(value),
            Self::Log(_) if value <= 0.0 => f64::NAN,
            Self::Log(map) => map.at(value.log10()),
        }
    }

    /// About `wanted` round values inside the domain: by value, or powers of ten. A logarithmic
    /// domain within which fewer than two powers of ten lie is marked at 1, 2 and 5 times them.
    pub fn ticks(&self, wanted: usize) -> Ticks {
        let map = match self {
            Self::Linear(map) => return map.ticks(wanted),
            Self::Log(map) => map,
        };
        let (start, end) = map.domain();
        let (first, last) = ((start - 1e-9).ceil() as i32, (end + 1e-9).floor() as i32);
        if last - first < 1 {
            let within = |v: &f64| (start - 1e-9..=end + 1e-9).contains(&v.log10());
            let around = first.saturating_sub(1)..=last.saturating_add(1);
            let values = around.flat_map(|p| [1.0, 2.0, 5.0].map(|f| f * 10f64.powi(p)));
            return Ticks { values: values.filter(within).collect(), form: Form::Shortest };
        }
        let step = ((last - first) as usize).div_ceil(wanted.max(1)).max(1);
        let values: Vec<f64> =
            (first..=last).step_by(step).map(|power| 10f64.powi(power)).collect();
        let short = values.iter().all(|value| (0.005..=20_000.0).contains(value));
        Ticks { values, form: if short { Form::Shortest } else { Form::Power } }
    }
}

/// Values to mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticks {
    /// Ascending.
    pub values: Vec<f64>,
    form: Form,
}

/// How the values of ticks are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// With so many decimals.
    Decimals(usize),
    /// With no more digits than the value needs.
    Shortest,
    /// As a power of ten, but for 1 and 10.
    Power,
}

impl Ticks {
    /// Given values, ascending, such as those of a swept key.
    pub fn of(values: Vec<f64>) -> Ticks {
        let is_power = |value: &f64| (value.log10() - value.log10().round()).abs() < 1e-9;
        let short = values.iter().all(|value| (0.005..=20_000.0).contains(value));
        let form = if !short && values.iter().all(is_power) { Form::Power } else { Form::Shortest };
        Ticks { values, form }
    }

    /// A tick's label, with a true minus sign.
    pub fn label(&self, value: f64) -> String {
        // `+ 0.0` turns −0 into 0.
        let value = value + 0.0;
        match self.form {
            Form::Decimals(places) => format!("{value:.places$}").replace('-', "−"),
            Form::Power if !(0.5..=20.0).contains(&value) => {
                format!("10{}", superscript(value.log10().round() as i32))
            }
            // The shortest form of the float nearest to a round number is that number.
            Form::Shortest | Form::Power => format!("{}", (value * 1e12).round() / 1e12),
        }
    }
}

fn superscript(power: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised = |c: char| c.to_digit(10).map_or('⁻', |d| DIGITS[d as usize]);
    power.to_string().chars().map(raised).collect()
}

/// The smallest finite value and the largest, or none.
pub fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|v| v.is_finite()).fold(None, |extent, v| match extent {
        None => Some((v, v)),
        Some((low, high)) => Some((v.min(low), v.max(high))),
    })
}

/// The nearest of 1, 2 or 5 times a power of ten, by ratio.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = step / power;
    power
        * if factor < 2f64.sqrt() {
            1.0
        } else if factor < 10f64.sqrt() {
            2.0
        } else if factor < 50f64.sqrt() {
            5.0
        } else {
            10.0
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let ticks = |a, b, n| Linear::new((a, b), (0.0, 1.0)).ticks(n);
        assert_eq!(ticks(0.0, 10.5, 5).values, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(0.0, 150.0, 3).values, [0.0, 50.0, 100.0, 150.0]);
        assert_eq!(ticks(-3.0, 12.0, 4).values, [0.0, 5.0, 10.0]);
        let small = ticks(0.0, 0.03, 3);
        assert_eq!(
            small.values.iter().map(|v| small.label(*v)).collect::<Vec<_>>(),
            ["0.00", "0.01", "0.02", "0.03"]
        );
        assert_eq!(ticks(-1.0, 1.0, 2).label(-1.0), "−1");
    }

    #[test]
    fn a_logarithmic_scale_is_marked_at_powers_of_ten() {
        let labels = |domain, wanted| {
            let ticks = Scale::new(domain, (0.0, 100.0), true).ticks(wanted);
            ticks.values.iter().map(|v| ticks.label(*v)).collect::<Vec<_>>()
        };
        assert_eq!(labels((0.01, 1000.0), 6), ["0.01", "0.1", "1", "10", "100", "1000"]);
        assert_eq!(labels((1e-12, 1.0), 4), ["10⁻¹²", "10⁻⁹", "10⁻⁶", "10⁻³", "1"]);
        assert_eq!(labels((1e2, 1e5), 6), ["10²", "10³", "10⁴", "10⁵"]);
        assert_eq!(labels((0.15, 0.6), 4), ["0.2", "0.5"]);
        let scale = Scale::new((0.01, 100.0), (0.0, 100.0), true);
        assert_eq!((scale.at(1.0), scale.at(1e-9)), (50.0, 0.0));
        assert!(scale.at(0.0).is_nan() && scale.at(-1.0).is_nan());
        for domain in [(0.0, 1.0), (-1.0, 5.0), (f64::NAN, 1.0), (3.0, 3.0)] {
            assert!(Scale::new(domain, (0.0, 1.0), true).at(2.0).is_finite(), "{domain:?}");
            let _ = Scale::new(domain, (0.0, 1.0), true).ticks(4);
        }
    }

    #[test]
    fn given_ticks_are_written_in_full_or_as_powers_of_ten() {
        let labels = |values: &[f64]| {
            let ticks = Ticks::of(values.to_vec());
            ticks.values.iter().map(|v| ticks.label(*v)).collect::<Vec<_>>()
        };
        assert_eq!(labels(&[1.0, 2.0, 24.0]), ["1", "2", "24"]);
        assert_eq!(labels(&[0.001, 0.003, 0.01]), ["0.001", "0.003", "0.01"]);
        assert_eq!(labels(&[1e-5, 1e-3, 1.0]), ["10⁻⁵", "10⁻³", "1"]);
    }

    #[test]
    fn an_empty_or_unbounded_domain_still_maps() {
        for domain in [(2.0, 2.0), (f64::NAN, f64::NAN), (0.0, f64::INFINITY), (3.0, 1.0)] {
            let scale = Linear::new(domain, (100.0, 0.0));
            assert!(scale.at(2.0).is_finite(), "{domain:?}");
            assert!(!scale.ticks(4).values.is_empty(), "{domain:?}");
        }
        let huge = Linear::new((0.0, 1e300), (0.0, 1.0));
        assert!(huge.ticks(4).values.len() < 10);
    }

    #[test]
    fn values_beyond_the_domain_stand_at_its_edge() {
        let scale = Linear::new((0.0, 10.0), (200.0, 0.0));
        assert_eq!(scale.at(2.5), 150.0);
        assert_eq!(scale.at(-1.0), 200.0);
        assert_eq!(scale.at(f64::INFINITY), 0.0);
    }

    #[test]
    fn extent_skips_what_is_not_finite() {
        assert_eq!(extent([f64::NAN, 2.0, f64::INFINITY, -1.0]), Some((-1.0, 2.0)));
        assert_eq!(extent([f64::NAN]), None);
    }
}
