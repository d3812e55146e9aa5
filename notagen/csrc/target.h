/* Compile what follows for the instruction sets in FEATURES, whatever the options are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "team.h"
#ifdef __x86_64__
#include <immintrin.h>
#endif
#ifdef FEATURES
#define TO_TEXT(x) #x
#define PRAGMA(x) _Pragma(TO_TEXT(x))
#ifdef __clang__
PRAGMA(clang attribute push(__attribute__((target(FEATURES))), apply_to = function))
#else
PRAGMA(GCC target(FEATURES))
#endif
#endif
