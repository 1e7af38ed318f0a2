//! Options that several commands share: the look of figures, and what a run may use.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum as _};
use retrodict_lab::Resources;
use retrodict_lab::store::Kept;
use retrodict_report::Style;

use crate::commands::Failure;
use crate::device::DeviceArg;

/// The look of figures.
#[derive(Debug, Args)]
pub(crate) struct StyleArgs {
    /// A file with the width, font and colours of figures' files (`retrodict spec style` prints one)
    #[arg(long, value_name = "STYLE.toml")]
    style: Option<PathBuf>,
}

impl StyleArgs {
    /// The style in the file; the program's own without one.
    ///
    /// # Errors
    /// [`Failure::Usage`] if the file is no style.
    pub(crate) fn read(&self) -> Result<Style, Failure> {
        self.style
            .as_deref()
            .map_or_else(|| Ok(Style::default()), Style::load)
            .map_err(Failure::usage)
    }
}

/// Facts that a language model is measured on, in place of a spec's data.
#[derive(Debug, Args)]
#[cfg_attr(not(feature = "models"), allow(dead_code))] // without the feature the command only says so
pub(crate) struct FactsArgs {
    /// With a language model, a Hugging Face folder or a GGUF file, in place of a spec: its file of
    /// facts
    #[arg(long, value_name = "FACTS", conflicts_with_all = ["set", "seed"])]
    pub(crate) facts: Option<PathBuf>,
    /// The phrasings of each relation [default: made of the names of relations and their inverses]
    #[arg(long, value_name = "FILE.toml", requires = "facts")]
    pub(crate) templates: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ResourceArgs {
    /// Runs at a time [default: chosen by the size of a step]
    #[arg(long, value_name = "N", value_parser = threads)]
    jobs: Option<NonZeroUsize>,
    /// Cores to use in total [default: all]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroUsize>,
    /// Memory to use at most, such as 8GiB [default: what is free]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory: Option<u64>,
    /// Where training runs [default: cpu]
    #[arg(long, value_enum, value_name = "DEVICE")]
    device: Option<DeviceArg>,
    /// Resume runs that another version or instruction set began: their bits are of neither, and
    /// the manifest lists the parts
    #[arg(long)]
    allow_mixed: bool,
}

/// The most threads of a process.
const MOST_THREADS: usize = 4096;

/// A number of threads.
pub(crate) fn threads(text: &str) -> Result<NonZeroUsize, Box<dyn Error + Send + Sync>> {
    let number: NonZeroUsize = text.parse()?;
    match number.get() <= MOST_THREADS {
        true => Ok(number),
        false => Err(format!("it must be at most {MOST_THREADS}").into()),
    }
}

/// A size in bytes: a number with a unit.
fn memory(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = match unit.to_ascii_lowercase().as_str() {
        "mib" | "m" => 1_u64 << 20,
        "gib" | "g" => 1 << 30,
        "tib" | "t" => 1 << 40,
        _ => return Err("it must be a number with its unit: 512MiB, 8GiB or 1TiB".to_owned()),
    };
    let number = number.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
    let number = number.ok_or_else(|| format!("`{text}` is no size; 8GiB is one"))?;
    Ok((number * scale as f64) as u64)
}

impl ResourceArgs {
    /// The first of the options that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--jobs", self.jobs.is_some()),
            ("--threads", self.threads.is_some()),
            ("--memory", self.memory.is_some()),
            ("--device", self.device.is_some()),
            ("--allow-mixed", self.allow_mixed),
        ];
        given.into_iter().find_map(|(option, given)| given.then_some(option))
    }

    /// The resources, a GPU among them if one is asked for.
    pub(crate) fn resources(&self) -> Result<Resources, Failure> {
        Ok(Resources {
            threads: self.threads,
            jobs: self.jobs,
            mixed: self.allow_mixed,
            memory: self.memory,
            keep: Kept::All,
            gpu: self.device.unwrap_or_default().open()?,
        })
    }

    /// The options that have an effect on this machine only, if they are given.
    pub(crate) fn of_this_machine(&self) -> [(&'static str, bool); 3] {
        [
            ("--jobs", self.jobs.is_some()),
            ("--threads", self.threads.is_some()),
            ("--memory", self.memory.is_some()),
        ]
    }

    /// The options that every process of the sweep gets, as on a command line.
    pub(crate) fn passed_on(&self) -> String {
        let mixed = if self.allow_mixed { " --allow-mixed" } else { "" };
        let device = self.device.and_then(|device| device.to_possible_value());
        let device = device.map_or(String::new(), |word| format!(" --device {}", word.get_name()));
        format!("{mixed}{device}")
    }
}
