//! The kernels of a device and their arguments: one table, from which the launches of the engine,
//! the C declarations of the kernels and the tests' stand-in for a driver all derive.
//!
//! Every argument is a struct of 8-byte words, so that its layout is the same in Rust, in device
//! code and in a host compiler's.

use super::launch::{Area, Launch, Put, Size, Target, Words};

/// Queries times keys of an attention whose gradients fit in a block's memory, at most.
pub(crate) const ATTENTION_PAIRS: usize = 320;

/// Writes the enum of all kernels, a struct of arguments for each, and the fields of its C struct.
macro_rules! kernels {
    ($($(#[$meta:meta])* $name:ident as $function:ident {
        $($field:ident: $kind:ty,)+
    } in $grid:expr, $block:literal;)+) => {
        /// A kernel of the device.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kernel {
            $($(#[$meta])* $name,)+
        }

        impl Kernel {
            /// All of them.
            pub const ALL: &'static [Kernel] = &[$(Kernel::$name,)+];

            /// Its name in the device code.
            pub fn function(self) -> &'static str {
                match self {
                    $(Kernel::$name => stringify!($function),)+
                }
            }

            /// The C types and names of its arguments, in order.
            pub fn fields(self) -> Vec<(&'static str, &'static str)> {
                match self {
                    $(Kernel::$name => vec![
                        $((<$kind as Words>::C_TYPE, stringify!($field)),)+
                    ],)+
                }
            }

            /// Threads of a block.
            pub fn block(self) -> u32 {
                match self {
                    $(Kernel::$name => $block,)+
                }
            }
        }

        $(
            $(#[$meta])*
            #[derive(Clone, Debug)]
            pub(crate) struct $name {
                $(pub(crate) $field: $kind,)+
            }

            impl From<$name> for Launch {
                fn from(arguments: $name) -> Launch {
                    let grid: fn(&$name) -> [usize; 2] = $grid;
                    let mut launch = Launch::new(Kernel::$name, grid(&arguments));
                    $(arguments.$field.push(&mut launch);)+
                    launch
                }
            }
        )+
    };
}

/// Blocks that cover so many items.
fn over(items: usize, each: usize) -> usize {
    items.div_ceil(each)
}

kernels! {
    /// Copies the record of this step from the table of records.
    BeginStep as begin_step {
        record: Put, table: Area, counter: Area, length: Size,
    } in |a| [over(a.length.0, 256), 1], 256;

    /// Copies an output into the table of outputs.
    KeepOutput as keep_output {
        value: Area, table: Put, counter: Area, rows: Size, columns: Size, first: Size, length: Size,
    } in |a| [over(a.columns.0, 256), a.rows.0], 256;

    /// Counts a step.
    EndStep as end_step { counter: Put, } in |_| [1, 1], 32;

    /// Zeros.
    Clear as clear { values: Put, count: Size, } in |a| [over(a.count.0, 1024), 1], 256;

    /// Embedding.
    Embedding as embedding {
        tokens: Area, table: Area, places: Option<Area>, y: Put, features: Size, columns: Size,
        lanes: Size, first_position: Size,
    } in |a| [over(a.columns.0, 32), over(a.features.0, 8)], 256;

    /// The gradient of a token table: each row adds the columns of its token, in their order.
    EmbeddingGradient as embedding_gradient {
        tokens: Area, dy: Area, table: Target, rows: Size, features: Size, columns: Size,
    } in |a| [a.rows.0, 1], 128;

    /// The gradient of a table of positions.
    PositionGradient as position_gradient {
        dy: Area, table: Target, rows: Size, features: Size, lanes: Size, first_position: Size,
        positions: Size,
    } in |a| [over(a.features.0, 8), a.rows.0], 256;

    /// `y = factor · x`, or added to y, with dropout's factors.
    Dropout as dropout {
        x: Area, y: Put, rows: Size, columns: Size, stream: Size, threshold: Size,
    } in |a| [over(a.rows.0 * a.columns.0, 2048), 1], 256;

    /// `y = x + factor · branch`.
    Residual as residual {
        x: Area, branch: Area, y: Put, rows: Size, columns: Size, stream: Size, threshold: Size,
    } in |a| [over(a.rows.0 * a.columns.0, 2048), 1], 256;

    /// Layer normalisation; `saved` has the mean and the inverse standard deviation of each column.
    LayerNorm as layer_norm {
        x: Area, gain: Area, bias: Area, y: Put, saved: Put, features: Size, columns: Size,
        epsilon: f64,
    } in |a| [over(a.columns.0, 16), 1], 512;

    /// Its input gradient.
    LayerNormGradient as layer_norm_gradient {
        x: Area, dy: Area, gain: Area, saved: Area, dx: Put, features: Size, columns: Size,
    } in |a| [over(a.columns.0, 16), 1], 512;

    /// Its gradients of gain and bias.
    LayerNormParameters as layer_norm_parameters {
        x: Area, dy: Area, saved: Area, gain: Option<Target>, bias: Option<Target>, features: Size,
        columns: Size,
    } in |a| [over(a.features.0, 8), 1], 256;

    /// `C = A B` with bf16 operands: C `[rows, columns]`, A with any strides of which one is 1, B
    /// `[k, columns]`. Rows of C, and of B, may lie in up to three buffers of `c_rows`, and
    /// `b_rows`, rows each.
    ProductBf16 as product_bf16 {
        a: Area, a_row: Size, a_k: Size, b: [Option<Area>; 3], c: [Option<Put>; 3],
        bias: Option<Area>, rows: Size, columns: Size, k: Size, b_rows: Size, c_rows: Size,
    } in |a| [over(a.rows.0, 64), over(a.columns.0, 128)], 256;

    /// The same in f32.
    ProductF32 as product_f32 {
        a: Area, a_row: Size, a_k: Size, b: [Option<Area>; 3], c: [Option<Put>; 3],
        bias: Option<Area>, rows: Size, columns: Size, k: Size, b_rows: Size, c_rows: Size,
    } in |a| [over(a.rows.0, 64), over(a.columns.0, 64)], 256;

    /// `dW = L Rᵀ` with bf16 operands: L `[rows, k]`, R `[columns, k]`, whose rows may lie in up to
    /// three buffers of `r_rows` rows each.
    WeightGradientBf16 as weight_gradient_bf16 {
        left: Area, right: [Option<Area>; 3], weight: Target, rows: Size, columns: Size, k: Size,
        r_rows: Size,
    } in |a| [over(a.columns.0, 64), over(a.rows.0, 64)], 128;

    /// The same in f32.
    WeightGradientF32 as weight_gradient_f32 {
        left: Area, right: [Option<Area>; 3], weight: Target, rows: Size, columns: Size, k: Size,
        r_rows: Size,
    } in |a| [over(a.columns.0, 64), over(a.rows.0, 64)], 256;

    /// The sum of each row of up to three buffers of `x_rows` rows: the gradient of a bias.
    RowSums as row_sums {
        x: [Option<Area>; 3], bias: Target, rows: Size, columns: Size, x_rows: Size,
    } in |a| [over(a.rows.0, 8), 1], 256;

    /// Attention; `saved` has the probabilities, `[heads · queries · keys, lanes]`.
    Attention as attention {
        q: Area, k: Area, v: Area, mask: Option<Area>, y: Put, saved: Put, heads: Size, width: Size,
        queries: Size, keys: Size, lanes: Size, causal: Size, stream: Size, threshold: Size,
    } in |a| [over(a.lanes.0, 32), a.heads.0], 256;

    /// Its gradients.
    AttentionGradient as attention_gradient {
        q: Area, k: Area, v: Area, dy: Area, saved: Area, dq: Option<Put>, dk: Option<Put>,
        dv: Option<Put>, heads: Size, width: Size, queries: Size, keys: Size, lanes: Size,
        causal: Size, stream: Size, threshold: Size,
    } in |a| [over(a.lanes.0, 32), a.heads.0], 256;

    /// GELU; `saved` has the slopes.
    Gelu as gelu {
        x: Area, y: Put, saved: Put, rows: Size, columns: Size,
    } in |a| [over(a.rows.0 * a.columns.0, 1024), 1], 256;

    /// `dx = factor · dy`, or added to dx, with a matrix of factors.
    Multiply as multiply {
        factors: Area, dy: Area, dx: Put, rows: Size, columns: Size,
    } in |a| [over(a.rows.0 * a.columns.0, 1024), 1], 256;

    /// Rotary encoding, or its inverse where `back` is 1. `turns` holds cosine and sine,
    /// `[pair, position, 2]`.
    Rotary as rotary {
        x: Area, turns: Area, y: Put, features: Size, lanes: Size, width: Size, rotated: Size,
        positions: Size, first: Size, live: Size, back: Size,
    } in |a| [over(a.live.0 * a.lanes.0, 256), a.features.0], 256;

    /// Selects positions; `from` holds them, counted from the first of x.
    Select as select_positions {
        x: Area, from: Area, y: Put, features: Size, lanes: Size, count: Size,
    } in |a| [over(a.count.0 * a.lanes.0, 256), a.features.0], 256;

    /// Cross-entropy with its gradient.
    CrossEntropy as cross_entropy {
        logits: Area, targets: Area, weights: Area, out: Put, gradient: Option<Put>,
        vocabulary: Size, columns: Size,
    } in |a| [over(a.columns.0, 16), 1], 512;

    /// AdamW from the buffer of gradients.
    AdamW as adamw {
        weight: Target, gradient: Area, count: Size,
    } in |a| [over(a.count.0, 1024), 1], 256;
}
