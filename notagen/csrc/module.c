/* The shared library as an importable module: notagen/kernels.py calls its functions by
 * ctypes. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kernels.h"

extern const Level level_portable;
#ifdef __x86_64__
extern const Level level_avx512, level_avx2;
#endif

static const Level *const every[] = {
#ifdef __x86_64__
    &level_avx512, &level_avx2,
#endif
    &level_portable, NULL};

static int supported(const Level *level) {
#ifdef __x86_64__
    __builtin_cpu_init();
    if (level == &level_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
    if (level == &level_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return level == &level_portable;
}

/* The best level that this processor has, below the first `skip` of those; NULL where there
 * are no more. */
const Level *notagen_level(int skip) {
    for (const Level *const *level = every; *level; level++)
        if (supported(*level) && skip-- == 0) return *level;
    return NULL;
}

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_kernels",
                                        "The engine's arithmetic, called by ctypes.", -1, NULL,
                                        NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernels(void) { return PyModule_Create(&definition); }
