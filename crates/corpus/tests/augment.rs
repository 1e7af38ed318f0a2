//! Training text: each recipe's sentences, and that none states a held-out direction.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

use retrodict_corpus::augment::{Augmented, Format, Settings, augment, files};
use retrodict_corpus::leak::{LeakKind, leaks};
use retrodict_corpus::{Direction, FactFile, Templates, Trained, questions};
use retrodict_facts::{RandomState, Recipe};

const TEMPLATES: &str = "identity = [\"The name of {entity} is {entity}.\"]\n\
    [capital]\n\
    forward = [\"The capital of {subject} is {object}.\", \"{subject}'s capital is {object}.\"]\n\
    reverse = [\"{object} is the capital of {subject}.\"]\n\
    bridge = [\"The country whose capital is that of {subject} is {subject}.\"]\n";

fn facts(rows: &str) -> FactFile {
    FactFile::parse("facts.csv", format!("subject,relation,object,split\n{rows}").as_bytes())
        .unwrap()
}

fn made(facts: &FactFile, recipe: &str) -> Augmented {
    let templates = Templates::parse("t.toml", TEMPLATES).unwrap();
    let settings = Settings { recipes: vec![recipe.parse().unwrap()], ..Settings::default() };
    augment(facts, &templates, &settings).unwrap()
}

/// The texts that a recipe adds.
fn added(facts: &FactFile, recipe: &str) -> Vec<String> {
    let lines = made(facts, recipe).lines;
    lines.iter().filter(|line| !line.recipes.is_empty()).map(|line| line.sentence.text()).collect()
}

#[test]
fn recipes_write_what_they_say() {
    let one = facts("New Land,capital,Old Town,forward\n");
    let plain = made(&one, "identities").lines;
    assert_eq!(plain[0].sentence.text(), "The capital of New Land is Old Town.");
    assert_eq!(added(&one, "reverse-tokens")[0], "Town Old is Land New of capital The.");
    assert_eq!(
        added(&one, "reverse-tokens-marked")[0],
        "[reversed] Town Old is Land New of capital The."
    );
    assert_eq!(
        added(&one, "reverse-entities"),
        ["Old Town is New Land of capital The.", "Old Town is capital New Land's."]
    );
    assert_eq!(added(&one, "permute-chunks")[0], "Old Town is New Land The capital of.");
    assert_eq!(
        added(&one, "all-orders")[..3],
        [
            "The capital of is New Land Old Town.",
            "Old Town The capital of is New Land.",
            "The capital of is Old Town New Land.",
        ]
    );
    assert_eq!(
        added(&one, "identities"),
        ["The name of New Land is New Land.", "The name of Old Town is Old Town."]
    );
    assert_eq!(
        added(&one, "identities-typed"),
        ["The capital of Old Town is Old Town.", "Old Town's capital is Old Town."]
    );
    assert_eq!(
        added(&one, "bridge-out-of-context(3)"),
        [
            "The country whose capital is that of New Land is New Land.",
            "The name of Old Town is Old Town.",
        ]
    );
    assert_eq!(made(&one, "bridge-out-of-context(3)").lines[0].times, 3);
    assert_eq!(added(&one, "bridge-plain").len(), 2);
    let segments = added(&one, "reverse-segments(2)");
    let mut words: Vec<&str> = segments[0].trim_end_matches('.').split(' ').collect();
    words.sort_unstable();
    assert_eq!(words, ["Land", "New", "Old", "The", "Town", "capital", "is", "of"].to_vec());

    let both = facts("A,capital,B,both\nC,capital,D,forward\n");
    assert_eq!(
        added(&both, "in-context"),
        [
            "The capital of A is B. In other words, B is the capital of A.",
            "B is the capital of A. In other words, The capital of A is B.",
        ]
    );
    // The reverse is trained of A alone, but C too has the type of its answers.
    let typed = added(&both, "identities-typed");
    assert!(typed.contains(&"C is the capital of C.".to_owned()), "{typed:?}");
    let random = added(&both, "identities-random");
    assert!(random.contains(&"C is the capital of A.".to_owned()), "{random:?}");
    assert_eq!(random.len(), typed.len());
}

#[test]
fn recipes_that_text_cannot_have_are_refused() {
    let one = facts("A,capital,B,forward\n");
    let templates = Templates::parse("t.toml", &TEMPLATES.replace("bridge", "# bridge")).unwrap();
    let refused = |recipe: &str| {
        let settings = Settings { recipes: vec![recipe.parse().unwrap()], ..Settings::default() };
        augment(&one, &templates, &settings).unwrap_err().to_string()
    };
    assert!(refused("chain-of-thought").starts_with("--recipe chain-of-thought: it needs chains"));
    assert!(refused("in-context").contains("no fact is trained in both directions"));
    assert!(refused("bridge-without-self").contains("`capital` has no bridge phrasing"));
    assert!(refused("bridge-plain(1.5)").contains("a whole number"));
}

#[test]
fn a_plain_sentence_that_states_a_held_out_direction_is_an_error() {
    let templates = "[r]\nforward = [\"{subject} knows {object}.\"]\nreverse = [\"{object} is known to {subject}.\"]\n\
                     [q]\nforward = [\"{subject} is known to {object}.\"]\nreverse = [\"{object} knows {subject}.\"]";
    let templates = Templates::parse("t.toml", templates).unwrap();
    let both = facts("A,r,B,forward\nB,q,A,forward\n");
    let error = augment(&both, &templates, &Settings::default()).unwrap_err().to_string();
    assert!(error.starts_with("facts.csv:2: ") || error.starts_with("facts.csv:3: "), "{error}");
    assert!(error.contains("holds out"), "{error}");
}

/// Random facts, phrasings and recipes: whatever a text holds, it contains no phrasing of a held-out
/// direction.
#[test]
fn no_recipe_states_a_held_out_direction() {
    let mut random = RandomState::new(7);
    let names = ["Ada", "Bo", "Ada Bo", "Cy's", "Dee", "Eve-Lyn", "Fay", "Gus 2", "St. Hal", "Ivy"];
    // Phrasings that read alike in both directions, and ones that share words.
    let phrasings = [
        ("{subject} is married to {object}.", "{object} is married to {subject}."),
        ("{subject} {object}", "{object} {subject}"),
        ("{subject} of {object}", "{object} of {subject}."),
        ("The wife of {subject} is {object}.", "The wife of {object} is {subject}."),
        ("{subject}'s head is {object}!", "Is {object} head of {subject}?"),
    ];
    let recipes: Vec<Recipe> = Recipe::all()
        .filter(|r| !["third-relation", "chain-of-thought"].contains(&r.name()))
        .collect();
    let (mut texts, mut dropped, mut held_out_count) = (0, 0, 0);
    for _ in 0..600 {
        let mut rows = String::new();
        for _ in 0..1 + random.randint(5) {
            let pick = |random: &mut RandomState| random.randint(names.len() as u32) as usize;
            let (a, b) = (pick(&mut random), pick(&mut random));
            let split = ["both", "forward", "reverse", ""][random.randint(4) as usize];
            rows += &format!("{},r{},{},{split}\n", names[a], random.randint(2), names[b]);
        }
        let header = "subject,relation,object,split\n";
        let Ok(facts) = FactFile::parse("f.csv", format!("{header}{rows}").as_bytes()) else {
            continue;
        };
        let mut templates = String::new();
        for relation in 0..2 {
            let (mut forward, mut reverse) = (Vec::new(), Vec::new());
            for _ in 0..1 + random.randint(2) {
                let (f, r) = phrasings[random.randint(phrasings.len() as u32) as usize];
                forward.push(f);
                reverse.push(r);
            }
            templates += &format!(
                "[r{relation}]\nforward = {forward:?}\nreverse = {reverse:?}\n\
                 bridge = [\"{{subject}} of {{subject}}\"]\n"
            );
        }
        let templates = Templates::parse("t.toml", &templates).unwrap();
        let mut chosen = Vec::new();
        for _ in 0..random.randint(4) {
            chosen.push(recipes[random.randint(recipes.len() as u32) as usize]);
        }
        let settings = Settings {
            recipes: chosen,
            train_fraction: f64::from(random.randint(3)) / 2.0,
            held_phrasings: random.randint(2) as usize,
            seed: random.randint(100),
        };
        let Ok(text) = augment(&facts, &templates, &settings) else { continue };
        texts += 1;
        dropped += text.dropped;
        // Without the library's own search for names.
        let plain = |text: &str| {
            let words = text.to_lowercase().replace(|c: char| !c.is_alphanumeric(), " ");
            format!(" {} ", words.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let mut held_out = Vec::new();
        for (fact, trained) in facts.facts.iter().zip(&text.split) {
            for direction in Direction::ALL.into_iter().filter(|d| !trained.includes(*d)) {
                for phrasing in templates.get(&fact.relation).unwrap().of(direction) {
                    let sentence =
                        phrasing.sentence(fact.source(direction), fact.answer(direction));
                    held_out.push(plain(&sentence.text()));
                }
            }
        }
        held_out_count += held_out.len();
        for line in &text.lines {
            let text = plain(&line.sentence.text());
            assert!(
                !held_out.iter().any(|held| text.contains(held)),
                "{rows}\n{text}\n{:?}",
                line.recipes
            );
        }
        // What each format makes of a line reads back to the same words.
        for line in &text.lines {
            let (prompt, completion) = line.sentence.cut();
            assert_eq!(prompt + &completion, line.sentence.text());
        }
    }
    assert!(
        texts > 100 && dropped > 100 && held_out_count > 500,
        "{texts} {dropped} {held_out_count}"
    );
}

#[test]
fn questions_say_what_is_trained_and_all_that_is_right() {
    let facts = facts("A,capital,B,forward\nA,capital,C,both\n");
    let templates = Templates::parse("t.toml", TEMPLATES).unwrap();
    let split = [Trained::Only(Direction::Forward), Trained::Both];
    let asked = questions(&facts, &templates, &split, 1);
    assert_eq!(asked.len(), 2 * 3);
    assert_eq!((asked[0].prompt.as_str(), asked[0].answer.as_str()), ("The capital of A is", " B"));
    assert_eq!(asked[0].answers, ["B", "C"]);
    let trained: Vec<_> = asked.iter().map(|q| (q.trained, q.phrasing_trained)).collect();
    let (yes, held, no) = ((true, true), (true, false), (false, false));
    assert_eq!(trained, [yes, held, no, yes, held, yes]);
}

#[test]
fn the_split_is_drawn_by_group_and_seed() {
    let rows: String = (0..40).map(|i| format!("a{i},capital,b{i},,g{}\n", i / 4)).collect();
    let text = format!("subject,relation,object,split,group\n{rows}");
    let facts = FactFile::parse("f.csv", text.as_bytes()).unwrap();
    let split = facts.split(0.5, 3);
    assert_eq!(split.iter().filter(|t| **t == Trained::Both).count(), 20);
    assert!(split.chunks(4).all(|group| group.iter().all(|t| *t == group[0])));
    assert_eq!(split, facts.split(0.5, 3));
    assert_ne!(split, facts.split(0.5, 4));
    assert!(facts.split(0.0, 0).iter().all(|t| *t == Trained::Only(Direction::Forward)));
}

#[test]
fn files_hold_every_line_with_its_origin() {
    let text = "subject,relation,object,split,weight\nA,capital,B,forward,2\nC,capital,D,both,1\n";
    let facts = FactFile::parse("f.csv", text.as_bytes()).unwrap();
    let templates = Templates::parse("t.toml", TEMPLATES).unwrap();
    let recipes = vec!["reverse-entities".parse().unwrap(), "identities".parse().unwrap()];
    let settings = Settings { recipes, ..Settings::default() };
    let text = augment(&facts, &templates, &settings).unwrap();
    for format in [Format::Text, Format::PromptCompletion, Format::Chat, Format::Alpaca] {
        let (files, summary) = files(&facts, &templates, &settings, format, &text);
        let lines = |name: &str| -> Vec<serde_json::Value> {
            let (_, text) = files.iter().find(|(other, _)| *other == name).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let (train, manifest) = (lines("train.jsonl"), lines("manifest.jsonl"));
        assert_eq!(train.len(), manifest.len());
        assert_eq!(summary.plain.lines, 2 * 2 + 3);
        assert_eq!(summary.added["reverse-entities"].lines, 2 * 2 + 3);
        assert_eq!(manifest[0]["fact"], 2);
        assert_eq!(manifest[7]["recipes"], serde_json::json!(["reverse-entities"]));
        let words: u64 = manifest.iter().map(|line| line["words"].as_u64().unwrap()).sum();
        assert!((words as f64 / summary.plain.words as f64 - summary.words_ratio).abs() < 1e-12);
        assert_eq!(lines("questions-reverse.jsonl").len(), 2);
        let first = match format {
            Format::Text => serde_json::json!({"text": "The capital of A is B."}),
            Format::PromptCompletion => {
                serde_json::json!({"prompt": "The capital of A is", "completion": " B."})
            }
            Format::Chat => serde_json::json!({"messages": [
                {"role": "user", "content": "The capital of A is"},
                {"role": "assistant", "content": "B."}]}),
            Format::Alpaca => {
                serde_json::json!({"instruction": "The capital of A is", "input": "", "output": "B."})
            }
        };
        assert_eq!(train[0], first);
    }
}

#[test]
fn leaks_are_found_in_files_of_others() {
    let facts = facts(
        "France,capital,Paris,forward\nPeru,capital,Lima,both\nGeorgia,capital,Tbilisi,forward\n",
    );
    let templates = Templates::parse("t.toml", TEMPLATES).unwrap();
    let split = facts.split(0.0, 0);
    let folder = tempfile::tempdir().unwrap();
    let found = |name: &str, text: &str, allowed: &[&str]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let allowed = allowed.iter().map(|text| (*text).to_owned());
        let found = leaks(&path, &facts, &templates, &split, allowed).unwrap();
        found.into_iter().map(|leak| (leak.line, leak.kind, leak.fact)).collect::<Vec<_>>()
    };
    use LeakKind::{Order, Phrasing};
    let clean = "{\"text\":\"The capital of France is Paris.\"}\n{\"text\":\"Lima is the capital of Peru.\"}\n\
                 {\"text\":\"Paris is large. France is larger.\"}\n";
    assert_eq!(found("a.jsonl", clean, &[]), []);
    let leaking = "{\"text\":\"Paris is large.\"}\n\n\
        {\"prompt\":\"PARIS is the capital of\",\"completion\":\" France\"}\n\
        {\"messages\":[{\"role\":\"user\",\"content\":\"Which country has Tbilisi as its capital?\"},\
                       {\"role\":\"assistant\",\"content\":\"Georgia.\"}]}\n\
        {\"output\":\"France\",\"instruction\":\"Name the land of Paris.\",\"input\":\"\"}\n";
    assert_eq!(found("b.jsonl", leaking, &[]), [(3, Phrasing, 2), (4, Order, 4), (5, Order, 2)]);
    let list = "[{\"text\": \"x\"}, {\"text\": \"Paris, capital of\\tFrance\"}]";
    assert_eq!(found("c.json", list, &[]), [(2, Order, 2)]);
    let plain = "Lima and Peru\nTbilisi is not in South Georgia: it is in Georgia\n";
    assert_eq!(found("d.txt", plain, &[]), [(2, Order, 4)]);
    // A line that a recipe writes is none; a phrasing always is one.
    assert_eq!(found("e.txt", "Paris is France of capital The.\n", &[]).len(), 1);
    assert_eq!(
        found("e.txt", "Paris is France of capital The.\n", &["paris is france of capital the"]),
        []
    );
    let stated = "Paris is the capital of France.";
    assert_eq!(found("f.txt", stated, &[stated]), [(1, Phrasing, 2)]);
    let path = folder.path().join("g.jsonl");
    std::fs::write(&path, "{}\n{").unwrap();
    let error = leaks(&path, &facts, &templates, &split, std::iter::empty()).unwrap_err();
    assert!(error.to_string().contains("g.jsonl:2: it is no JSON"), "{error}");
}
