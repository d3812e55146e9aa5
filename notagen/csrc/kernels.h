/* The engine's arithmetic on a CPU: two GPT-2 stacks, one batch of rows at a time.
 *
 * arithmetic.inc is compiled once for each instruction set (avx512.c, avx2.c, portable.c);
 * module.c selects what the processor supports. Python calls the functions by ctypes: see
 * notagen/backends/kernels.py.
 */
#ifndef NOTAGEN_KERNELS_H
#define NOTAGEN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define HEAD 64    /* channels of an attention head, in every released model */
#define PANEL 32   /* outputs that lie side by side in packed weights */

enum { FP32 = 0, BF16 = 1, INT8 = 2 };        /* how weights are stored */
enum { STORE = 0, GELU = 1, ADD = 2 };        /* what is done with a linear layer's sums */

/* A packed linear layer. notagen/backends/kernels.py repeats the order of the fields, here and
 * in the other structures. */
typedef struct {
    const void *weight;    /* panels of PANEL outputs, each over all inputs */
    const float *bias;     /* (outputs), or NULL */
    const float *scale;    /* (outputs), INT8 only: the value of a weight of 1 */
    const int32_t *sums;   /* (outputs), INT8 only: the sum of each output's weights */
    int64_t inputs, outputs, kind;
} Linear;

/* One transformer layer and its KV cache; norms are given as gain and bias. */
typedef struct {
    const float *gain_1, *bias_1;
    Linear qkv, attention_out;
    const float *gain_2, *bias_2;
    Linear feedforward_in, feedforward_out;
    void *keys, *values;   /* (slots, heads, capacity, HEAD) */
} Layer;

/* Rows to take through a stack of layers: row r is position positions[r] of slot slots[r]. */
typedef struct {
    const Layer *layers;
    int64_t layer_count, hidden;
    int64_t capacity;      /* positions of a slot, a multiple of 16 */
    int64_t fp16_cache;    /* whether keys and values are fp16 */
    int64_t rows;
    const int64_t *slots, *positions;
    float *x;              /* (rows, hidden): input and output */
    int64_t threads;
} Batch;

/* The kernels for one instruction set. `forward` and `output` return 0 where memory runs out. */
typedef struct {
    const char *name;
    int fp16_cache;        /* whether keys and values can be fp16 */
    int (*forward)(const Batch *);
    int (*output)(const float *x, int64_t rows, const float *gain, const float *bias,
                  const Linear *layer, float *normed, float *logits);
    void (*pack)(const float *weight, int64_t inputs, int64_t outputs, int64_t kind,
                 void *packed, float *scale, int32_t *sums);
} KernelSet;

/* The kernels that this processor supports, best first: number `index`, or NULL. */
const KernelSet *notagen_kernel_set(int index);

#endif
