//! Places for markers that would overlap: each as near to its point as possible.

use super::drawing::Rect;

/// Between two rings of places that are tried, as a part of the distance that is kept.
const RING: f64 = 0.5;
/// Rings that are tried; beyond them a marker stays where it belongs.
const RINGS: usize = 80;

/// Where to put markers that belong at `points`, so that any two are `distance` apart and all lie
/// in `within`. The first ones stand nearest to where they belong.
pub fn apart(points: &[(f64, f64)], distance: f64, within: Rect) -> Vec<(f64, f64)> {
    let mut placed: Vec<(f64, f64)> = Vec::with_capacity(points.len());
    for &point in points {
        let free = |place: &(f64, f64)| {
            let (x, y) = *place;
            let inside =
                x >= within.x && x <= within.right() && y >= within.y && y <= within.bottom();
            // A hair of slack, so that neighbours of exactly the distance fit.
            let clear = |(a, b): &(f64, f64)| (a - x).hypot(b - y) >= distance - 1e-6;
            inside && placed.iter().all(clear)
        };
        let place = around(point, distance).find(free).unwrap_or(point);
        placed.push(place);
    }
    placed
}

/// A point, then places on ever larger rings around it.
fn around(point: (f64, f64), distance: f64) -> impl Iterator<Item = (f64, f64)> {
    (0..RINGS).flat_map(move |ring| {
        let radius = ring as f64 * RING * distance;
        let places = (12 * ring).max(1);
        (0..places).map(move |i| {
            let angle = i as f64 / places as f64 * std::f64::consts::TAU;
            (point.0 + radius * angle.cos(), point.1 - radius * angle.sin())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Rect = Rect { x: 0.0, y: 0.0, width: 300.0, height: 200.0 };

    #[test]
    fn what_has_room_stays_where_it_belongs() {
        let points = [(10.0, 10.0), (60.0, 10.0), (10.0, 32.0)];
        assert_eq!(apart(&points, 22.0, WITHIN), points);
    }

    #[test]
    fn forty_on_one_corner_are_apart_inside_and_near() {
        let points = vec![(20.0, 180.0); 40];
        let placed = apart(&points, 22.0, WITHIN);
        assert_eq!(placed[0], points[0]);
        for (i, a) in placed.iter().enumerate() {
            assert!((0.0..=300.0).contains(&a.0) && (0.0..=200.0).contains(&a.1), "{a:?}");
            for b in &placed[..i] {
                assert!((a.0 - b.0).hypot(a.1 - b.1) > 21.99, "{a:?} {b:?}");
            }
        }
        // Packed discs of that number need a quarter disc of about 140 across.
        let farthest = placed.iter().map(|p| (p.0 - 20.0).hypot(p.1 - 180.0)).fold(0.0, f64::max);
        assert!(farthest < 190.0, "{farthest}");
    }

    #[test]
    fn where_there_is_no_room_a_marker_stays_put() {
        let narrow = Rect { x: 0.0, y: 0.0, width: 5.0, height: 5.0 };
        let points = [(2.0, 2.0), (2.0, 2.0)];
        assert_eq!(apart(&points, 22.0, narrow), points);
    }
}
