// The arguments of all kernels. Generated from the table of `crates/engine/src/lower/kernel.rs`;
// do not edit.
#define RETRODICT_REGIONS 10
#define RETRODICT_REGION_SHIFT 56
#define RETRODICT_ATTENTION_PAIRS 320

struct begin_step_arguments {
  Put record;
  Matrix table;
  Matrix counter;
  i64 length;
};
struct keep_output_arguments {
  Matrix value;
  Put table;
  Matrix counter;
  i64 rows;
  i64 columns;
  i64 first;
  i64 length;
};
struct end_step_arguments {
  Put counter;
};
struct clear_arguments {
  Put values;
  i64 count;
};
struct embedding_arguments {
  Matrix tokens;
  Matrix table;
  Matrix places;
  Put y;
  i64 features;
  i64 columns;
  i64 lanes;
  i64 first_position;
};
struct embedding_gradient_arguments {
  Matrix tokens;
  Matrix dy;
  Target table;
  i64 rows;
  i64 features;
  i64 columns;
};
struct position_gradient_arguments {
  Matrix dy;
  Target table;
  i64 rows;
  i64 features;
  i64 lanes;
  i64 first_position;
  i64 positions;
};
struct dropout_arguments {
  Matrix x;
  Put y;
  i64 rows;
  i64 columns;
  i64 stream;
  i64 threshold;
};
struct residual_arguments {
  Matrix x;
  Matrix branch;
  Put y;
  i64 rows;
  i64 columns;
  i64 stream;
  i64 threshold;
};
struct layer_norm_arguments {
  Matrix x;
  Matrix gain;
  Matrix bias;
  Put y;
  Put saved;
  i64 features;
  i64 columns;
  double epsilon;
};
struct layer_norm_gradient_arguments {
  Matrix x;
  Matrix dy;
  Matrix gain;
  Matrix saved;
  Put dx;
  i64 features;
  i64 columns;
};
struct layer_norm_parameters_arguments {
  Matrix x;
  Matrix dy;
  Matrix saved;
  Target gain;
  Target bias;
  i64 features;
  i64 columns;
};
struct product_bf16_arguments {
  Matrix a;
  i64 a_row;
  i64 a_k;
  Matrices b;
  Puts c;
  Matrix bias;
  i64 rows;
  i64 columns;
  i64 k;
  i64 b_rows;
  i64 c_rows;
};
struct product_f32_arguments {
  Matrix a;
  i64 a_row;
  i64 a_k;
  Matrices b;
  Puts c;
  Matrix bias;
  i64 rows;
  i64 columns;
  i64 k;
  i64 b_rows;
  i64 c_rows;
};
struct weight_gradient_bf16_arguments {
  Matrix left;
  Matrices right;
  Target weight;
  i64 rows;
  i64 columns;
  i64 k;
  i64 r_rows;
};
struct weight_gradient_f32_arguments {
  Matrix left;
  Matrices right;
  Target weight;
  i64 rows;
  i64 columns;
  i64 k;
  i64 r_rows;
};
struct row_sums_arguments {
  Matrices x;
  Target bias;
  i64 rows;
  i64 columns;
  i64 x_rows;
};
struct attention_arguments {
  Matrix q;
  Matrix k;
  Matrix v;
  Matrix mask;
  Put y;
  Put saved;
  i64 heads;
  i64 width;
  i64 queries;
  i64 keys;
  i64 lanes;
  i64 causal;
  i64 stream;
  i64 threshold;
};
struct attention_gradient_arguments {
  Matrix q;
  Matrix k;
  Matrix v;
  Matrix dy;
  Matrix saved;
  Put dq;
  Put dk;
  Put dv;
  i64 heads;
  i64 width;
  i64 queries;
  i64 keys;
  i64 lanes;
  i64 causal;
  i64 stream;
  i64 threshold;
};
struct gelu_arguments {
  Matrix x;
  Put y;
  Put saved;
  i64 rows;
  i64 columns;
};
struct multiply_arguments {
  Matrix factors;
  Matrix dy;
  Put dx;
  i64 rows;
  i64 columns;
};
struct rotary_arguments {
  Matrix x;
  Matrix turns;
  Put y;
  i64 features;
  i64 lanes;
  i64 width;
  i64 rotated;
  i64 positions;
  i64 first;
  i64 live;
  i64 back;
};
struct select_positions_arguments {
  Matrix x;
  Matrix from;
  Put y;
  i64 features;
  i64 lanes;
  i64 count;
};
struct cross_entropy_arguments {
  Matrix logits;
  Matrix targets;
  Matrix weights;
  Put out;
  Put gradient;
  i64 vocabulary;
  i64 columns;
};
struct adamw_arguments {
  Target weight;
  Matrix gradient;
  i64 count;
};

#define RETRODICT_KERNELS(each) \
  each(begin_step) \
  each(keep_output) \
  each(end_step) \
  each(clear) \
  each(embedding) \
  each(embedding_gradient) \
  each(position_gradient) \
  each(dropout) \
  each(residual) \
  each(layer_norm) \
  each(layer_norm_gradient) \
  each(layer_norm_parameters) \
  each(product_bf16) \
  each(product_f32) \
  each(weight_gradient_bf16) \
  each(weight_gradient_f32) \
  each(row_sums) \
  each(attention) \
  each(attention_gradient) \
  each(gelu) \
  each(multiply) \
  each(rotary) \
  each(select_positions) \
  each(cross_entropy) \
  each(adamw)
