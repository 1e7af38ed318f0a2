//! The arguments of all kernels as C declarations.

use std::fmt::Write;

use super::kernel::{ATTENTION_PAIRS, Kernel};
use super::launch::{REGION_SHIFT, Region};

/// The text of the C header.
pub fn declarations() -> String {
    let mut text = format!(
        "// The arguments of all kernels. Generated from the table of \
         `crates/engine/src/lower/kernel.rs`;\n// do not edit.\n\
         #define RETRODICT_REGIONS {}\n#define RETRODICT_REGION_SHIFT {REGION_SHIFT}\n\
         #define RETRODICT_ATTENTION_PAIRS {ATTENTION_PAIRS}\n\n",
        Region::COUNT
    );
    for kernel in Kernel::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "struct {}_arguments {{", kernel.function());
        for (kind, name) in kernel.fields() {
            let _ = writeln!(text, "  {kind} {name};");
        }
        text += "};\n";
    }
    text += "\n#define RETRODICT_KERNELS(each)";
    for kernel in Kernel::ALL {
        let _ = write!(text, " \\\n  each({})", kernel.function());
    }
    text += "\n";
    text
}

#[cfg(test)]
mod tests {
    use super::declarations;

    /// `UPDATE_ARGUMENTS=1` rewrites the file.
    #[test]
    fn the_committed_file_is_that_of_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../cuda/kernels/arguments.h");
        if std::env::var_os("UPDATE_ARGUMENTS").is_some() {
            std::fs::write(path, declarations()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), declarations());
    }
}
