/* Kernels for any processor; on 64-bit Arm that includes NEON. */
#include "kernels.h"
#include "target.h"
#ifdef __aarch64__
#define ROWS 3
#else
#define ROWS 1
#endif
#define REGISTER 16
#include "arithmetic.inc"
const KernelSet kernels_portable = {"portable", 0, forward, output, pack};
