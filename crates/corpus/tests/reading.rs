//! Files of facts and of phrasings: the formats, and one clear message for each mistake.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use retrodict_corpus::{Direction, FactFile, Severity, Templates, Trained};

const CSV: &str = "subject,relation,object,split,group,weight\n\
    France,capital,Paris,both,eu,2\n\
    \"Korea, South\",capital,Seoul,reverse,,\n\
    Chile,capital,Santiago,,,\n";

fn csv(text: &str) -> Result<FactFile, String> {
    FactFile::parse("facts.csv", text.as_bytes()).map_err(|error| error.to_string())
}

fn parquet(rows: &[[&str; 3]]) -> Vec<u8> {
    let schema = "message facts { required binary subject (UTF8); optional binary relation (UTF8); \
                  required binary object (UTF8); optional double weight; }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    for column in 0..3 {
        let values: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(row[column])).collect();
        let levels = vec![1; rows.len()];
        let levels = (column == 1).then_some(levels.as_slice());
        let mut writer = group.next_column().unwrap().unwrap();
        writer.typed::<ByteArrayType>().write_batch(&values, levels, None).unwrap();
        writer.close().unwrap();
    }
    let mut writer = group.next_column().unwrap().unwrap();
    let levels: Vec<i16> = (0..rows.len()).map(|at| i16::from(at == 0)).collect();
    writer.typed::<DoubleType>().write_batch(&[3.0], Some(&levels), None).unwrap();
    writer.close().unwrap();
    group.close().unwrap();
    file.into_inner().unwrap()
}

#[test]
fn every_format_reads_alike() {
    let of_csv = csv(CSV).unwrap();
    let tsv = CSV.replace("\"Korea, South\"", "Korea; South").replace(',', "\t").replace(';', ",");
    let of_tsv = FactFile::parse("facts.tsv", tsv.as_bytes()).unwrap();
    let jsonl = "{\"subject\":\"France\",\"relation\":\"capital\",\"object\":\"Paris\",\"split\":\"both\",\
                 \"group\":\"eu\",\"weight\":2}\n\
        {\"subject\":\"Korea, South\",\"relation\":\"capital\",\"object\":\"Seoul\",\"split\":\"reverse\"}\n\
        {\"object\":\"Santiago\",\"relation\":\"capital\",\"subject\":\"Chile\",\"note\":null}\n";
    let of_jsonl = FactFile::parse("facts.jsonl", jsonl.as_bytes()).unwrap();
    assert_eq!(of_csv.facts, of_tsv.facts);
    for (fact, other) in of_csv.facts.iter().zip(&of_jsonl.facts) {
        assert_eq!(
            (fact.line - 1, &fact.subject, &fact.object),
            (other.line, &other.subject, &other.object)
        );
        assert_eq!(
            (fact.trained, &fact.group, fact.weight),
            (other.trained, &other.group, other.weight)
        );
    }
    assert_eq!(of_csv.facts[0].trained, Some(Trained::Both));
    assert_eq!(of_csv.facts[1].trained, Some(Trained::Only(Direction::Reverse)));
    assert_eq!((of_csv.facts[2].trained, of_csv.facts[2].line), (None, 4));
    assert_ne!(of_csv.digest, of_tsv.digest);

    let rows = [["France", "capital", "Paris"], ["Chile", "capital", "Santiago"]];
    let of_parquet = FactFile::parse("facts.parquet", &parquet(&rows)).unwrap();
    let read: Vec<_> = of_parquet.facts.iter().map(|f| (f.line, &*f.subject, f.weight)).collect();
    assert_eq!(read, [(1, "France", 3.0), (2, "Chile", 1.0)]);
}

#[test]
fn the_parents_of_berglund_et_al_read_in_their_own_format() {
    let file = csv("child,parent,parent_type,child_prediction,can_reverse\n\
        Ann Lee,Bo Lee,ParentType.MOTHER,,False\n\
        Ann Lee,Cy Lee,father,Ann Lee,True\n\
        Ann Lee,Bo Lee,ParentType.MOTHER,,False\n")
    .unwrap();
    assert_eq!(file.relations(), ["mother", "father"]);
    assert_eq!((file.facts.len(), file.facts[0].subject.as_str()), (2, "Ann Lee"));
    let warnings: Vec<_> =
        file.findings.iter().filter(|finding| finding.severity == Severity::Warning).collect();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].lines, [2, 4]);
    let templates = Templates::plain(&file).unwrap();
    let reverse = &templates.get("father").unwrap().reverse[0];
    assert_eq!(
        reverse.sentence("Cy Lee", "Ann Lee").text(),
        "The name of the child of Cy Lee is Ann Lee."
    );
}

#[test]
fn inverse_relations_give_every_fact_one_form() {
    let file = csv("subject,relation,object,inverse,split\n\
        France,capital,Paris,capital_of,forward\n\
        Lima,capital_of,Peru,,forward\n\
        Ann,spouse,Bob,spouse,\n")
    .unwrap();
    let peru = &file.facts[1];
    assert_eq!((&*peru.subject, &*peru.relation, &*peru.object), ("Peru", "capital", "Lima"));
    assert_eq!(peru.trained, Some(Trained::Only(Direction::Reverse)));
    assert_eq!(file.inverses["spouse"], "spouse");
    let table = file.table();
    assert_eq!(table.symmetric, [false, true]);
    assert_eq!(table.to_string().split_once(' ').unwrap().1, "ps 0.0.1f 2.0.3r 4.1.5");
}

#[test]
fn mistakes_name_the_line_and_what_would_be_right() {
    for (text, message) in [
        ("", "facts.csv:1: there is no column `subject`"),
        ("subject,relation,object\n", "facts.csv: it has no facts"),
        (
            "subject,relation,objct\na,r,b\n",
            "facts.csv:1: there is no column `objct`; did you mean `object`?",
        ),
        (
            "subject,relation,object,object\na,r,b,c\n",
            "facts.csv:1: two columns are called `object`",
        ),
        ("subject,relation,object\na,r\n", "facts.csv:2: it has 2 fields, but the header 3"),
        ("subject,relation,object\na,r,\n", "facts.csv:2: `object` is empty"),
        ("subject,relation,object\na,r,a\n", "facts.csv:2: subject and object are both `a`"),
        ("subject,relation,object\na,r,\"b\nc\"\n", "facts.csv:2: `object` has a line break"),
        ("subject,relation,object\na,r,--\n", "facts.csv:2: `object` is `--`, which has no letter"),
        (
            "subject,relation,object,split\na,r,b,\nc,r,d,test\n",
            "facts.csv:3: `split` is `test`, but must be both, forward, reverse or empty",
        ),
        ("subject,relation,object,weight\na,r,b,0\n", "facts.csv:2: `weight` is `0`, but must be"),
        (
            "subject,relation,object,weight\na,r,b,1\na,r,b,2\n",
            "facts.csv:3: it repeats the fact of line 2 with",
        ),
        (
            "subject,relation,object,inverse\na,r,b,q\na,r,c,p\n",
            "facts.csv:3: the inverse of `r` is `p` here and `q` before",
        ),
        (
            "subject,relation,object,inverse\na,r,b,r\nb,r,a,r\n",
            "facts.csv:3: it states the fact of line 2 in the other direction",
        ),
    ] {
        let error = csv(text).unwrap_err();
        assert!(error.starts_with(message), "{error}\n{message}");
    }
    let error = FactFile::parse("facts.txt", b"a").unwrap_err().to_string();
    assert!(error.contains("ends in .csv, .tsv, .jsonl"), "{error}");
    let error = FactFile::parse("f.jsonl", b"\n{\"subject\":[1]}").unwrap_err().to_string();
    assert!(error.starts_with("f.jsonl:2: there is no column `relation`"), "{error}");
    let error =
        FactFile::parse("f.jsonl", b"{\"subject\":[1],\"relation\":\"r\",\"object\":\"b\"}")
            .unwrap_err();
    assert!(
        error.to_string().starts_with("f.jsonl:1: `subject` is [1], but must be a text"),
        "{error}"
    );
    let whole = parquet(&[["a", "r", "b"]]);
    for length in [0, 3, 20, whole.len() - 1] {
        assert!(FactFile::parse("f.parquet", &whole[..length]).is_err());
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        let _ = FactFile::parse("f.parquet", &bytes); // an error or facts, no panic
    }
    assert!(csv("subject,relation,object\n\u{e9},r,b\n").is_ok());
    let error = FactFile::parse("f.csv", b"subject,relation,object\n\xff,r,b\n").unwrap_err();
    assert!(error.to_string().starts_with("f.csv:2: it is not UTF-8"), "{error}");
}

#[test]
fn what_may_be_a_mistake_is_found_with_its_lines() {
    let file = csv("subject,relation,object\n\
        France,city,Paris\n\
        France,city,Lyon\n\
        Texas,city,paris\n\
        Georgia,city,Atlanta\n\
        South Georgia,city,Grytviken\n")
    .unwrap();
    let found: Vec<_> = file.findings.iter().map(|f| (f.severity, f.lines.clone())).collect();
    assert!(found.contains(&(Severity::Note, vec![2, 3])), "{found:?}"); // two cities of France
    assert!(found.contains(&(Severity::Warning, vec![2, 4])), "{found:?}"); // Paris, paris
    assert!(found.contains(&(Severity::Note, vec![5, 6])), "{found:?}"); // Georgia in South Georgia
    assert_eq!(found.len(), 3);
}

fn templates(text: &str) -> Result<Templates, String> {
    Templates::parse("t.toml", text).map_err(|error| error.to_string())
}

#[test]
fn phrasings_are_checked() {
    for (text, message) in [
        ("x = ", "t.toml:1: "),
        (
            "[capital]\nreverse = [\"{object} {subject}\"]",
            "t.toml:1: `capital` has no forward phrasing",
        ),
        (
            "\n[capital]\nforward = [\"{subject} is {object}\"]",
            "t.toml:2: `capital` has no reverse phrasing",
        ),
        (
            "[r]\nforward = [\"{object} of {subject}\"]",
            "t.toml:2: `{object} of {subject}` must have {subject} once",
        ),
        ("[r]\nforward = [\"{subject}\"]", "t.toml:2: `{subject}` must have"),
        ("[r]\nforward = [\"{subject} {objct} {object}\"]", "t.toml:2: "),
        (
            "[r]\nforward = [\"{subject}{object}\"]",
            "t.toml:2: `{subject}{object}` has nothing between",
        ),
        ("[r]\nforward = \"{subject} {object}\"", "t.toml:2: `forward` must be a list"),
        ("[r]\nforward = [1]", "t.toml:2: a phrasing is a text"),
        ("[r]\nbackward = []", "t.toml:2: there is no key `backward`"),
        ("[r]\nsingle = 1", "t.toml:2: `single` must be true or false"),
        ("identity = [\"{entity}\"]", "t.toml:1: `{entity}` must have {entity} twice"),
    ] {
        let error = templates(text).unwrap_err();
        assert!(error.starts_with(message), "{error}\n{message}");
    }
    let single = "[city]\nsingle = true\nforward = [\"{subject} {object}\"]\nreverse = [\"{object} {subject}\"]\n\
                  [other]\nforward = [\"{subject} {object}\"]\nreverse = [\"{object} {subject}\"]";
    let single = templates(single).unwrap();
    let facts = csv("subject,relation,object\na,city,b\na,city,c\n").unwrap();
    let error = single.check(&facts).unwrap_err().to_string();
    assert!(
        error.starts_with("facts.csv:3: `city` of `a` is `c` here and `b` on line 2"),
        "{error}"
    );
    let facts = csv("subject,relation,object\na,city,b\na,town,c\n").unwrap();
    let error = single.check(&facts).unwrap_err().to_string();
    assert!(error.starts_with("facts.csv:3: `town` has no phrasings in t.toml"), "{error}");
    let facts = csv("subject,relation,object\na,city,b\n").unwrap();
    let unused = single.check(&facts).unwrap();
    assert_eq!(unused[0].message, "t.toml:5: no fact has the relation `other`");
    let error = Templates::plain(&facts).unwrap_err().to_string();
    assert!(error.starts_with("facts.csv:2: `city` has no phrasings: give --templates"), "{error}");
}

#[test]
fn sentences_keep_what_a_template_joins_to_a_name() {
    let text = "[c]\nforward = [\"{subject}'s capital is {object}.\", \"Q: Capital of {subject}?\\nA: {object}\"]\n\
                reverse = [\"“{object}” is of {subject}!\"]";
    let templates = templates(text).unwrap();
    let of = templates.get("c").unwrap();
    let cut = |sentence: retrodict_corpus::Sentence| sentence.cut();
    assert_eq!(
        cut(of.forward[0].sentence("France", "Paris")),
        ("France's capital is".into(), " Paris.".into())
    );
    let asked = of.forward[1].sentence("New York", "St. X.");
    assert_eq!(asked.text(), "Q: Capital of New York?\nA: St. X.");
    assert_eq!(cut(asked), ("Q: Capital of New York?\nA:".into(), " St. X.".into()));
    assert_eq!(of.reverse[0].sentence("Paris", "France").text(), "“Paris” is of France!");
}
