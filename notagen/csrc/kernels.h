/* The engine's arithmetic on a CPU: two GPT-2 stacks, a step at a time.
 *
 * arithmetic.inc is compiled once for each instruction set (avx512.c, avx2.c, portable.c);
 * module.c chooses what the processor has, and is what Python sees.
 */
#ifndef NOTAGEN_KERNELS_H
#define NOTAGEN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define HEAD 64    /* channels of a head, in every released model */
#define PANEL 32   /* outputs that lie side by side in packed weights */

enum { FP32 = 0, BF16 = 1, INT8 = 2 };        /* how weights are kept */
enum { STORE = 0, GELU = 1, ADD = 2 };        /* what becomes of a layer's sums */

/* A packed linear layer. The order of the fields is known to notagen/kernels.py. */
typedef struct {
    const void *weight;    /* panels of PANEL outputs, each over all inputs */
    const float *bias;     /* (outputs), or NULL */
    const float *scale;    /* (outputs), INT8 only: what a weight of 1 stands for */
    const int32_t *sums;   /* (outputs), INT8 only: the sum of each output's weights */
    int64_t inputs, outputs, kind;
} Linear;

/* One block of a stack; norms are given as gain and bias. */
typedef struct {
    const float *gain_1, *bias_1;
    Linear qkv, mixed;
    const float *gain_2, *bias_2;
    Linear inner, outer;
    void *keys, *values;   /* (slots, heads, capacity, HEAD) */
} Block;

/* A step of a whole stack: row r is position places[r] of slot slots[r]. */
typedef struct {
    const Block *blocks;
    int64_t layers, hidden;
    int64_t capacity;      /* positions of a slot, a multiple of 16 */
    int64_t half;          /* keys and values are fp16 */
    int64_t rows;
    const int64_t *slots, *places;
    float *x;              /* (rows, hidden): in and out */
    int64_t threads;
} Step;

/* What one instruction set offers. */
typedef struct {
    const char *name;
    int half;              /* can keep keys and values in fp16 */
    int (*step)(const Step *);
    int (*head)(const float *x, int64_t rows, const float *gain, const float *bias,
                const Linear *head, float *normed, float *logits);
    void (*pack)(const float *weight, int64_t inputs, int64_t outputs, int64_t kind,
                 void *packed, float *scale, int32_t *sums);
} Level;

/* The best level that this processor has, below the first `skip` of those; NULL where there
 * are no more. */
const Level *notagen_level(int skip);

#endif
