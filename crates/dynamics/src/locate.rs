//! Where in a model an answer arises: measures of logits and of the parts' contributions, on plain
//! numbers.

/// −ln of the probability of a token, from logits over the whole vocabulary.
///
/// # Panics
/// If the vocabulary has no such token.
pub fn nll(logits: &[f64], right: usize) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|x| libm::exp(x - largest)).sum();
    libm::log(sum) + largest - logits[right]
}

/// The rank of the right token among itself and the others; 1 is best. Ties share their mean rank,
/// and a NaN ranks last.
pub fn rank(logits: &[f64], right: usize, others: &[usize]) -> f64 {
    let own = logits[right];
    let before = |other: &&usize| own.partial_cmp(&logits[**other]).is_none_or(|o| o.is_lt());
    let ahead = others.iter().filter(before).count();
    let equal = others.iter().filter(|other| logits[**other] == own).count();
    1.0 + ahead as f64 + equal as f64 / 2.0
}

/// The margin of the right token: its logit minus the mean of the others'. `None` without others.
pub fn margin(logits: &[f64], right: usize, others: &[usize]) -> Option<f64> {
    let mean = others.iter().map(|other| logits[*other]).sum::<f64>() / others.len() as f64;
    (!others.is_empty()).then(|| logits[right] - mean)
}

/// Runs whose margins differ by less than this fraction of their sizes count as equal.
const ALIKE: f64 = 0.01;

/// The share of an answer that a patch restores: `Σ (patched − corrupted) / Σ (clean − corrupted)`
/// over pairs of runs (Meng et al., 2022, for one pair). The sums are taken first, so that a pair
/// whose runs nearly agree does not outweigh all others. `None` where clean and corrupted runs
/// agree to a hundredth of their margins: a share of nearly nothing would be noise.
///
/// # Panics
/// If the three slices differ in length.
pub fn recovered(clean: &[f64], corrupted: &[f64], patched: &[f64]) -> Option<f64> {
    assert!(clean.len() == corrupted.len() && clean.len() == patched.len(), "runs go in threes");
    let sum = |of: &[f64]| of.iter().zip(corrupted).map(|(x, c)| x - c).sum::<f64>();
    let size: f64 = clean.iter().chain(corrupted).map(|margin| margin.abs()).sum();
    let whole = sum(clean);
    (whole.abs() > ALIKE * size).then(|| sum(patched) / whole)
}

/// The reading of a residual stream: `gain ⊙ (x − mean x)/√(var x + ε) + bias`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reader<'a> {
    /// The factor of each feature.
    pub gain: &'a [f64],
    /// The bias of each feature.
    pub bias: &'a [f64],
    /// The ε; `None` where nothing is divided.
    pub epsilon: Option<f64>,
    /// Whether the mean is subtracted.
    pub centred: bool,
}

/// The contribution of each part to the inner product of a direction with the normed stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// By part.
    pub parts: Vec<f64>,
    /// The contribution of the norm's bias.
    pub bias: f64,
}

impl Attribution {
    /// The sum of all contributions: the inner product itself.
    pub fn total(&self) -> f64 {
        self.parts.iter().sum::<f64>() + self.bias
    }
}

/// The direction whose inner product with the head's input is the [`margin`]: the right token's row
/// of the head, minus the mean of the others'. `None` without others.
pub fn margin_direction(head: &[Vec<f64>], right: usize, others: &[usize]) -> Option<Vec<f64>> {
    let mut direction = head[right].clone();
    for other in others {
        let row = head[*other].iter();
        direction.iter_mut().zip(row).for_each(|(d, x)| *d -= x / others.len() as f64);
    }
    (!others.is_empty()).then_some(direction)
}

/// Direct attribution (Elhage et al., 2021). The stream is the sum of the parts' contributions, and
/// with the norm's scale held fixed its reading is linear, so that the contributions sum to the
/// whole exactly. `parts` is `[part][feature]`.
///
/// # Panics
/// If the lengths differ.
pub fn attribution(parts: &[Vec<f64>], reader: &Reader<'_>, direction: &[f64]) -> Attribution {
    let features = direction.len();
    let centre = |x: &[f64]| -> Vec<f64> {
        assert_eq!(x.len(), features, "every part writes every feature");
        let mean = if reader.centred { x.iter().sum::<f64>() / features as f64 } else { 0.0 };
        x.iter().map(|x| x - mean).collect()
    };
    let parts: Vec<Vec<f64>> = parts.iter().map(|part| centre(part)).collect();
    let scale = reader.epsilon.map_or(1.0, |epsilon| {
        let stream = (0..features).map(|f| parts.iter().map(|part| part[f]).sum::<f64>());
        let square = stream.map(|x| x * x).sum::<f64>() / features as f64;
        1.0 / (square + epsilon).sqrt()
    });
    let along = |part: &Vec<f64>| -> f64 {
        let terms = part.iter().zip(reader.gain).zip(direction);
        scale * terms.map(|((x, gain), d)| x * gain * d).sum::<f64>()
    };
    Attribution {
        parts: parts.iter().map(along).collect(),
        bias: reader.bias.iter().zip(direction).map(|(b, d)| b * d).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nll_and_rank_and_margin_by_hand() {
        let logits = [1.0, 3.0, 2.0, 2.0, f64::NEG_INFINITY];
        let sum: f64 = [1.0f64, 3.0, 2.0, 2.0].map(f64::exp).iter().sum();
        assert!((nll(&logits, 2) - (sum.ln() - 2.0)).abs() < 1e-14);
        assert_eq!(nll(&[1000.0, 0.0], 1), 1000.0, "in log space");
        assert_eq!(rank(&logits, 2, &[0, 1, 3]), 2.5);
        assert_eq!(rank(&logits, 1, &[0, 4]), 1.0);
        assert_eq!(rank(&[f64::NAN, 1.0], 0, &[1]), 2.0);
        assert_eq!(margin(&logits, 1, &[0, 2]), Some(1.5));
        assert_eq!(margin(&logits, 1, &[]), None);
    }

    #[test]
    fn the_recovered_share_is_between_the_runs() {
        let (clean, corrupted) = ([4.0, 6.0], [1.0, -1.0]);
        assert_eq!(recovered(&clean, &corrupted, &clean), Some(1.0));
        assert_eq!(recovered(&clean, &corrupted, &corrupted), Some(0.0));
        assert_eq!(recovered(&clean, &corrupted, &[1.0, 4.0]), Some(0.5));
        assert_eq!(recovered(&[2.0], &[2.0], &[3.0]), None);
        assert_eq!(recovered(&[2.0], &[1.97], &[3.0]), None);
        assert!(recovered(&[2.0], &[1.9], &[3.0]).is_some());
    }

    /// One part's contribution is the component of its share of the normed stream along the
    /// direction.
    #[test]
    fn parts_sum_to_what_is_read() {
        let parts = [vec![1.0, -2.0, 0.5], vec![0.25, 4.0, -1.0]];
        let (gain, bias) = ([0.5, 2.0, 1.0], [0.1, -0.2, 0.3]);
        let reader = Reader { gain: &gain, bias: &bias, epsilon: Some(1e-5), centred: true };
        let direction = [1.0, -1.0, 2.0];
        let stream = [1.25, 2.0, -0.5];
        let mean = stream.iter().sum::<f64>() / 3.0;
        let variance = stream.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 3.0;
        let read = |f: usize| gain[f] * (stream[f] - mean) / (variance + 1e-5).sqrt() + bias[f];
        let whole: f64 = (0..3).map(|f| read(f) * direction[f]).sum();
        let attribution = attribution(&parts, &reader, &direction);
        assert!((attribution.total() - whole).abs() < 1e-14);
        assert!((attribution.bias - 0.9).abs() < 1e-14);
        let plain = Reader { epsilon: None, centred: false, ..reader };
        let parts = super::attribution(&parts, &plain, &direction).parts;
        assert_eq!(parts, [0.5 + 4.0 + 1.0, 0.125 - 8.0 - 2.0]);
    }
}
