//! The lock file against `deny.toml`: licences, duplicates, sources. It is a part of what cargo-deny
//! checks, in less than a second; building cargo-deny takes longer than all our tests.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Every package that is built here, with those of tests. (Those of other systems may not have been
/// fetched.)
fn built() -> Vec<Value> {
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let version = output("rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", host];
    let metadata: Value = serde_json::from_str(&output(env!("CARGO"), &arguments)).unwrap();
    let used: Vec<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| text(node, "id"))
        .collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.filter(|package| used.contains(&text(package, "id"))).cloned().collect()
}

/// The packages of the lock file, on all systems.
fn locked() -> Vec<toml::Table> {
    let lock: toml::Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let packages = lock["package"].as_array().unwrap().iter();
    packages.map(|package| package.as_table().unwrap().clone()).collect()
}

fn deny() -> toml::Table {
    fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap()
}

fn text<'v>(package: &'v Value, key: &str) -> &'v str {
    package[key].as_str().unwrap_or_default()
}

/// Whether the licence that `expression` offers is among `allowed`: SPDX with AND, OR and
/// parentheses, or the older `/` for OR.
fn allows(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let holds = any(&words, &mut at, allowed);
    holds && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut holds = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        holds |= all(words, at, allowed);
    }
    holds
}

fn all(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut holds = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        holds &= one(words, at, allowed);
    }
    holds
}

fn one(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let Some(&word) = words.get(*at) else { return false };
    *at += 1;
    if word == "(" {
        let holds = any(words, at, allowed);
        *at += 1;
        return holds;
    }
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
        let exception = words.get(*at - 1).copied().unwrap_or_default();
        return allowed.contains(&&*format!("{word} WITH {exception}"));
    }
    allowed.contains(&word)
}

#[test]
fn expressions_of_licences_are_read() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
    for good in [
        "MIT",
        "MIT/GPL-3.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-3.0) AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
    ] {
        assert!(allows(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR LGPL-2.1) AND MIT", "MIT GPL-3.0"] {
        assert!(!allows(bad, &allowed), "{bad}");
    }
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let deny = deny();
    let allowed = deny["licenses"]["allow"].as_array().unwrap();
    let allowed: Vec<&str> = allowed.iter().map(|name| name.as_str().unwrap()).collect();
    let built = built();
    assert!(built.len() > 50);
    for package in &built {
        let (name, licence) = (text(package, "name"), text(package, "license"));
        assert!(allows(licence, &allowed), "{name} is under `{licence}`");
    }
}

#[test]
fn every_dependency_comes_from_one_registry() {
    let locked = locked();
    let source = |package: &toml::Table| package.get("source").cloned();
    let serde = locked.iter().find(|package| package["name"].as_str() == Some("serde")).unwrap();
    assert!(source(serde).unwrap().as_str().unwrap().starts_with("registry+"));
    for package in &locked {
        let own = package["name"].as_str().unwrap().starts_with("retrodict");
        let right = if own { None } else { source(serde) };
        assert_eq!(source(package), right, "{}", package["name"]);
        assert_eq!(package.contains_key("checksum"), !own, "{}", package["name"]);
    }
}

#[test]
fn only_known_crates_have_two_versions() {
    let deny = deny();
    let skipped = deny["bans"]["skip"].as_array().unwrap();
    let mut skipped: Vec<&str> = skipped.iter().map(|s| s["crate"].as_str().unwrap()).collect();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in locked() {
        let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap());
        versions.entry(name.to_owned()).or_default().push(version.to_owned());
    }
    for (name, versions) in versions {
        let known = versions.iter().filter(|version| {
            let spec = format!("{name}@{version}");
            let at = skipped.iter().position(|skip| *skip == spec);
            at.map(|at| skipped.remove(at)).is_some()
        });
        let others = versions.len() - known.count();
        assert!(others <= 1, "{name} has the versions {versions:?}");
    }
    assert!(skipped.is_empty(), "deny.toml skips what is no longer there: {skipped:?}");
}

/// cargo-deny takes a path without a version for a wildcard, and crates.io takes none.
#[test]
fn every_requirement_names_a_version() {
    for package in built().iter().filter(|package| package["source"].is_null()) {
        for dependency in package["dependencies"].as_array().unwrap() {
            let (of, name) = (text(package, "name"), text(dependency, "name"));
            assert_ne!(text(dependency, "req"), "*", "{of} takes {name} in any version");
        }
    }
}

#[test]
fn every_dependency_that_is_not_everywhere_has_its_reason_beside_it() {
    /// Crates of the whole workspace, and those whose use every reader knows.
    const PLAIN: [&str; 6] = ["serde", "serde_json", "thiserror", "tempfile", "retrodict", "toml"];
    for folder in fs::read_dir(root().join("crates")).unwrap() {
        let path = folder.unwrap().path().join("Cargo.toml");
        let manifest = fs::read_to_string(&path).unwrap();
        let mut in_dependencies = false;
        let mut before = "";
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
            }
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            let plain = PLAIN.iter().any(|plain| name == *plain || name.starts_with("retrodict-"));
            if in_dependencies && line.contains('=') && !line.starts_with('#') && !plain {
                let reason = line.contains('#') || before.starts_with('#');
                assert!(reason, "{}: `{name}` has no reason beside it", path.display());
            }
            before = line;
        }
    }
}
