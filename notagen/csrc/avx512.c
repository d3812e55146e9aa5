/* AVX-512 with integer dot products. */
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define FEATURES "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"
#include "target.h"
#define ROWS 12
#define HALF_FLOATS
#define INTEGER_DOT
#ifndef __clang__
#define TWO_SOURCE_SHUFFLES
#endif
#include "arithmetic.inc"
const Level level_avx512 = {"avx512", 1, step, head, pack};
#endif
