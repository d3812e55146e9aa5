/* What any processor can do; on 64-bit Arm that includes NEON. */
#include "kernels.h"
#include "target.h"
#ifdef __aarch64__
#define ROWS 3
#else
#define ROWS 1
#endif
#include "arithmetic.inc"
const Level level_portable = {"portable", 0, step, head, pack};
