/* Kernels for AVX2 with fused multiply-add. */
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define FEATURES "avx2,fma"
#include "target.h"
#define ROWS 3
#define REGISTER 32
#include "arithmetic.inc"
const KernelSet kernels_avx2 = {"avx2", 0, forward, output, pack};
#endif
