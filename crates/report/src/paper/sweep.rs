//! Variants over the product of several keys, listed by their values alone.

use serde::Deserialize;
use toml::{Table, Value};

use super::figure::{Variant, literal};

/// Variants for every combination of the values of some keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Its name in drawings; the ids of its variants begin with it: `depth-24-0_001-true`.
    pub id: String,
    /// The ready spec, without its scale.
    pub base: String,
    /// Keys set at both scales.
    #[serde(default)]
    pub set: Table,
    /// Keys set at quick scale.
    #[serde(default)]
    pub quick: Table,
    /// Keys set at paper scale.
    #[serde(default)]
    pub paper: Table,
    /// The keys that vary, the last one fastest.
    pub over: Vec<SweptKey>,
}

/// A key with its values.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweptKey {
    /// The key of a spec.
    pub key: String,
    /// Its values.
    pub values: Vec<Value>,
    /// Their labels; the key's last part and the value if not given, such as `layers 2`.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The largest number of seeds of each value at quick scale.
    #[serde(default)]
    pub quick_seeds: Vec<usize>,
}

/// The value of a swept key in a variant.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The sweep.
    pub sweep: String,
    /// The key.
    pub key: String,
    /// Its value as a number; NaN if it is none.
    pub value: f64,
    /// The value's label.
    pub label: String,
}

impl Sweep {
    /// Its variants.
    pub(super) fn variants(&self) -> Vec<Variant> {
        let mut variants = vec![Variant {
            id: self.id.clone(),
            label: String::new(),
            base: self.base.clone(),
            only: None,
            set: self.set.clone(),
            quick: self.quick.clone(),
            paper: self.paper.clone(),
            kept: false,
            film: false,
            quick_seeds: None,
            places: Vec::new(),
        }];
        for swept in &self.over {
            let with = |variant: &Variant| {
                let mut labels = swept.labels.iter();
                let mut seeds = swept.quick_seeds.iter();
                let with = |value: &Value| {
                    let text = literal(value);
                    let label = labels.next().cloned().unwrap_or_else(|| swept.named(&text));
                    let mut variant = variant.clone();
                    // Ids are in names of files.
                    variant.id = format!("{}-{}", variant.id, text.replace(['.', '-'], "_"));
                    let comma = if variant.label.is_empty() { "" } else { ", " };
                    variant.label = format!("{}{comma}{label}", variant.label);
                    variant.quick_seeds = seeds.next().copied().or(variant.quick_seeds);
                    variant.set.insert(swept.key.clone(), value.clone());
                    variant.places.push(Place {
                        sweep: self.id.clone(),
                        key: swept.key.clone(),
                        value: number(value),
                        label,
                    });
                    variant
                };
                swept.values.iter().map(with).collect::<Vec<_>>()
            };
            variants = variants.iter().flat_map(with).collect();
        }
        variants
    }
}

impl SweptKey {
    /// A value in words: alone it would not say of which key it is.
    fn named(&self, value: &str) -> String {
        let key = self.key.rsplit('.').next().unwrap_or(&self.key).replace('_', " ");
        format!("{key}\u{a0}{value}")
    }
}

fn number(value: &Value) -> f64 {
    value.as_float().or(value.as_integer().map(|n| n as f64)).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_the_product_with_the_last_key_fastest() {
        let sweep: Sweep = toml::from_str(
            "id = \"s\"\nbase = \"reversal\"\nset = { \"model.dim\" = 64 }\nover = [\n\
             { key = \"model.layers\", values = [1, 2], labels = [\"one\", \"two\"] },\n\
             { key = \"model.tie_head\", values = [false, true] } ]",
        )
        .unwrap();
        let variants = sweep.variants();
        let ids: Vec<&str> = variants.iter().map(|variant| variant.id.as_str()).collect();
        assert_eq!(ids, ["s-1-false", "s-1-true", "s-2-false", "s-2-true"]);
        assert_eq!(variants[2].label, "two, tie head\u{a0}false");
        assert_eq!(variants[2].set["model.layers"], Value::Integer(2));
        assert_eq!(variants[2].set["model.dim"], Value::Integer(64));
        assert_eq!(variants[2].places[0].value, 2.0);
        assert!(variants[2].places[1].value.is_nan());
    }
}
