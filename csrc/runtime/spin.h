// Spin: waits a few microseconds for another thread before the caller goes to sleep.
//
// Owns: nothing. Threads: thread-safe. Attached: never while waiting.
// Fails: never; returns whether the condition came true in time.
#pragma once

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace spanflow::runtime {

// Tells the core that this thread is waiting for memory to change.
inline void CpuRelax() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// About 20 to 40 µs on current cores: longer than the gap between two calls of a busy program,
// shorter than what a sleep and a wake-up cost together.
inline constexpr int kSpinRounds = 1000;

template <class Condition>
bool Spin(Condition condition, int rounds = kSpinRounds) {
  for (int i = 0; i < rounds; ++i) {
    if (condition()) return true;
    CpuRelax();
  }
  return condition();
}

}  // namespace spanflow::runtime
