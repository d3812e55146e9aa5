/* Kernels for AVX-512 with integer dot products (VNNI). */
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define FEATURES "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"
#include "target.h"
#define ROWS 12
#define REGISTER 64
#define HALF_FLOATS
#define INTEGER_DOT
#ifndef __clang__
#define TWO_SOURCE_SHUFFLES
#endif
#include "arithmetic.inc"
const KernelSet kernels_avx512 = {"avx512", 1, forward, output, pack};
#endif
