// All kernels of the GPU backend; each takes the regions of memory and its own arguments.
#include "common.h"
#include "elementwise.h"
#include "embedding.h"
#include "normalisation.h"
#include "loss.h"
#include "attention.h"
#include "product.h"
#include "weight_gradient.h"
