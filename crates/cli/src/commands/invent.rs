//! `retrodict invent`: a file of invented facts with their phrasings.

use retrodict_corpus::{MOST_INVENTED, invented};
use retrodict_lab::store::atomic;

use super::{Failure, print};
use crate::args::InventArgs;

pub(crate) fn invent(args: &InventArgs) -> Result<(), Failure> {
    let count = args.count.get();
    if count > MOST_INVENTED {
        return Err(Failure::Usage(format!(
            "--count is {count}, but there are titles for {MOST_INVENTED} facts"
        )));
    }
    let (facts, templates) = invented(count, args.seed);
    let out = &args.out;
    std::fs::create_dir_all(out)
        .map_err(|error| Failure::Failed(format!("cannot make {}: {error}", out.display())))?;
    let files = [("facts.csv", facts.as_str()), ("templates.toml", templates)];
    for (name, content) in files {
        atomic::write(&out.join(name), content.as_bytes()).map_err(Failure::failed)?;
    }
    let out = out.display();
    print(&format!("{count} facts in {out}/facts.csv, phrasings in {out}/templates.toml\n"))
}
