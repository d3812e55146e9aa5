/* The shared library as an importable module; notagen/backends/kernels.py calls its functions by
 * ctypes. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kernels.h"

extern const KernelSet kernels_portable;
#ifdef __x86_64__
extern const KernelSet kernels_avx512, kernels_avx2;
#endif

static const KernelSet *const all_sets[] = {
#ifdef __x86_64__
    &kernels_avx512, &kernels_avx2,
#endif
    &kernels_portable, NULL};

static int supported(const KernelSet *set) {
#ifdef __x86_64__
    __builtin_cpu_init();
    if (set == &kernels_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma");
    if (set == &kernels_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return set == &kernels_portable;
}

const KernelSet *notagen_kernel_set(int index) {
    for (const KernelSet *const *set = all_sets; *set; set++)
        if (supported(*set) && index-- == 0) return *set;
    return NULL;
}

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_kernels",
                                        "The engine's arithmetic, called by ctypes.", -1, NULL,
                                        NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__kernels(void) { return PyModule_Create(&definition); }
