// Which Highway targets this room is built for. Every source that includes hwy/ includes this
// first, because all of them must agree on the configuration.
//
// Owns: macros only. Threads: does not apply. Attached: does not apply. Fails: at compile time.
#pragma once

// A target costs compile time in every kernel, so only those that a machine in use would miss are
// built: AVX3 (AVX-512), AVX2, SSE4 and the plain fallback on x86, NEON on Arm. The literals are
// Highway's target bits, because their names depend on its version: bits 3 to 7 are variants of
// AVX3 and newer, 12 is SSSE3, 15 to 27 are SVE and NEON variants (the kernels assume a vector
// length that is known at compile time).
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS ((0x1FLL << 3) | (1LL << 12) | (0x1FFFLL << 15))
#endif

// The plain fallback is the one-lane target with every compiler. Highway's emulated 128-bit vectors
// turn infinities into the largest finite number (1.0.3, casts to f32, least and greatest lane).
#ifndef HWY_BROKEN_EMU128
#define HWY_BROKEN_EMU128 1
#endif
