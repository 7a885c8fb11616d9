// Checked 64-bit arithmetic for sizes and offsets.
//
// Owns: nothing. Threads: thread-safe, pure functions. Attached: not needed.
// Fails: each function returns false (or nullopt) when the exact result does not fit.
#pragma once

#include <cstdint>
#include <optional>

namespace spanflow::base {

inline bool CheckedAdd(int64_t a, int64_t b, int64_t* out) {
  return !__builtin_add_overflow(a, b, out);
}

inline bool CheckedMul(int64_t a, int64_t b, int64_t* out) {
  return !__builtin_mul_overflow(a, b, out);
}

// The smallest multiple of `unit` (> 0) that is not below `value` (>= 0).
inline std::optional<int64_t> RoundUp(int64_t value, int64_t unit) {
  int64_t sum;
  if (!CheckedAdd(value, unit - 1, &sum)) return std::nullopt;
  return sum / unit * unit;
}

}  // namespace spanflow::base
