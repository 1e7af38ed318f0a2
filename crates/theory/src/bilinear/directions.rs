//! Which directions of which pairs are trained, and which are held out.

use retrodict_engine::{Purpose, Stream};

use super::BilinearError;

/// "After `source` comes `target`": entities by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// The given entity.
    pub source: usize,
    /// The entity to be predicted.
    pub target: usize,
}

impl Direction {
    /// The same pair in the other direction.
    pub fn reversed(self) -> Direction {
        Direction { source: self.target, target: self.source }
    }
}

/// The trained directions D (one that is listed twice counts twice) and the held-out ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directions {
    /// D, at least one.
    pub trained: Vec<Direction>,
    /// The directions of the reversal loss.
    pub held_out: Vec<Direction>,
}

impl Directions {
    /// Entities 2i and 2i + 1 are a pair. Of a `held_out` fraction of the pairs, rounded half to
    /// even and drawn by the seed, one direction is trained, drawn too, and the other held out; of
    /// all others both are trained.
    ///
    /// # Errors
    /// [`BilinearError::Setting`] for an odd number of entities, none at all, or a fraction beyond
    /// 0 and 1.
    pub fn of_pairs(entities: usize, held_out: f64, seed: u64) -> Result<Self, BilinearError> {
        if entities == 0 || !entities.is_multiple_of(2) {
            let right = "an even number from 2 on, two entities for each pair";
            return Err(BilinearError::setting("entities", entities, right));
        }
        if !(0.0..=1.0).contains(&held_out) {
            let right = "a fraction of the pairs, from 0 to 1";
            return Err(BilinearError::setting("held_out", held_out, right));
        }
        let pairs = entities / 2;
        let mut one_sided: Vec<usize> = (0..pairs).collect();
        Stream::new(seed, Purpose::HeldOut, 0).shuffle(&mut one_sided);
        one_sided.truncate((held_out * pairs as f64).round_ties_even() as usize);
        one_sided.sort_unstable();
        let coins = Stream::new(seed, Purpose::HeldOut, 1);
        let mut directions = Directions::default();
        for pair in 0..pairs {
            let forward = Direction { source: 2 * pair, target: 2 * pair + 1 };
            if one_sided.binary_search(&pair).is_err() {
                directions.trained.extend([forward, forward.reversed()]);
                continue;
            }
            let heads = coins.words(pair as u64)[0] & 1 == 1;
            let trained = if heads { forward } else { forward.reversed() };
            directions.trained.push(trained);
            directions.held_out.push(trained.reversed());
        }
        Ok(directions)
    }

    pub(super) fn check(&self, entities: usize) -> Result<(), BilinearError> {
        if self.trained.is_empty() {
            return Err(BilinearError::setting("trained directions", 0, "at least one"));
        }
        let named = self.trained.iter().chain(&self.held_out).flat_map(|d| [d.source, d.target]);
        match named.max() {
            Some(entity) if entity >= entities => {
                let right = format!("below the number of entities, {entities}");
                Err(BilinearError::setting("entity", entity, right))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Directions;

    #[test]
    fn every_entity_is_asked_once() {
        for (held_out, count) in [(0.0, 0), (0.3, 15), (0.25, 12), (0.27, 14), (1.0, 50)] {
            let directions = Directions::of_pairs(100, held_out, 3).unwrap();
            assert_eq!(directions.held_out.len(), count);
            assert_eq!(directions.trained.len(), 100 - count);
            let mut sources: Vec<usize> =
                directions.trained.iter().chain(&directions.held_out).map(|d| d.source).collect();
            sources.sort_unstable();
            assert_eq!(sources, (0..100).collect::<Vec<_>>());
            for direction in &directions.held_out {
                assert!(directions.trained.contains(&direction.reversed()));
                assert_eq!(direction.source / 2, direction.target / 2);
            }
        }
    }

    #[test]
    fn seeds_hold_out_other_directions() {
        let draw = |seed| Directions::of_pairs(100, 0.3, seed).unwrap();
        assert_eq!(draw(4), draw(4));
        assert_ne!(draw(4).held_out, draw(5).held_out);
        let backward = draw(4).held_out.iter().filter(|d| d.source % 2 == 1).count();
        assert!((1..15).contains(&backward), "all one way: {backward}");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let message = |entities, held_out| {
            Directions::of_pairs(entities, held_out, 0).unwrap_err().to_string()
        };
        assert!(message(7, 0.3).contains("entities is 7"));
        assert!(message(0, 0.3).contains("entities is 0"));
        assert!(message(10, 1.5).contains("held_out is 1.5"));
        assert!(message(10, f64::NAN).contains("held_out is NaN"));
    }
}
