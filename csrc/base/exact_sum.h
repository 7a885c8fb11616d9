// A sum of doubles without any rounding, and its correctly rounded value: the small
// superaccumulator of Neal, "Fast exact summation using small and large superaccumulators" (2015).
//
// Owns: nothing; a plain value of some 600 bytes. Threads: thread-compatible.
// Attached: not needed. Fails: never.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace spanflow::base {

class ExactSum {
 public:
  void Add(double value) {
    constexpr unsigned kMantissa = 52, kInfinite = 0x7FF;
    const auto bits = std::bit_cast<uint64_t>(value);
    unsigned exponent = static_cast<unsigned>(bits >> kMantissa & kInfinite);
    if (exponent == kInfinite) {
      special_ += value;
      is_special_ = true;
      return;
    }
    uint64_t mantissa = bits & ((uint64_t{1} << kMantissa) - 1);
    if (exponent == 0)
      exponent = 1;  // subnormal
    else
      mantissa |= uint64_t{1} << kMantissa;
    const unsigned shift = exponent % kLimbBits;
    const auto low = static_cast<int64_t>(mantissa << shift & kLimbMask);
    const auto high = static_cast<int64_t>(mantissa >> (kLimbBits - shift));
    int64_t* const limb = &limbs_[exponent / kLimbBits];
    const int64_t sign = std::bit_cast<int64_t>(bits) >> 63;  // -1 or 0; signs are random
    limb[0] += (low ^ sign) - sign;
    limb[1] += (high ^ sign) - sign;
    if (--room_ == 0) Carry();
  }

  void Merge(ExactSum other) {
    Carry();
    other.Carry();
    for (size_t i = 0; i < kLimbs; ++i) limbs_[i] += other.limbs_[i];
    if (other.is_special_) special_ += other.special_;
    is_special_ = is_special_ || other.is_special_;
    Carry();
  }

  // Rounded once, halves to even.
  double ToDouble() const { return Round(53, 1); }
  float ToFloat() const { return static_cast<float>(Round(24, 1075 - 149)); }

 private:
  static constexpr int kLimbBits = 32;
  static constexpr uint64_t kLimbMask = 0xFFFFFFFF;
  static constexpr size_t kLimbs = 68;
  // What is added to a limb is below 2^52.
  static constexpr int kRoom = 1 << 10;

  // Leaves every limb but the last in [0, 2^32).
  void Carry() {
    for (size_t i = 0; i + 1 < kLimbs; ++i) {
      limbs_[i + 1] += limbs_[i] >> kLimbBits;
      limbs_[i] &= static_cast<int64_t>(kLimbMask);
    }
    room_ = kRoom;
  }

  bool Bit(int64_t index) const {
    return (limbs_[static_cast<size_t>(index / kLimbBits)] >> (index % kLimbBits) & 1) != 0;
  }
  bool AnyBitBelow(int64_t index) const {
    const auto whole = static_cast<size_t>(index / kLimbBits);
    for (size_t i = 0; i < whole; ++i) {
      if (limbs_[i] != 0) return true;
    }
    return (limbs_[whole] & ((int64_t{1} << (index % kLimbBits)) - 1)) != 0;
  }

  // To `digits` bits, of which the last is worth at least 2^(last - 1075).
  double Round(int digits, int64_t last) const {
    if (is_special_) return special_;
    ExactSum sum = *this;
    sum.Carry();
    const bool negative = sum.limbs_.back() < 0;
    if (negative) {
      for (int64_t& limb : sum.limbs_) limb = -limb;
      sum.Carry();
    }
    const double size = sum.RoundPositive(digits, last);
    return negative ? -size : size;
  }

  double RoundPositive(int digits, int64_t last) const {
    size_t top = kLimbs - 1;
    while (top > 0 && limbs_[top] == 0) --top;
    const auto used = static_cast<int64_t>(std::bit_width(static_cast<uint64_t>(limbs_[top])));
    const int64_t highest = static_cast<int64_t>(top) * kLimbBits + used - 1;
    const int64_t lowest = std::max(highest - (digits - 1), last);
    uint64_t mantissa = 0;
    for (int64_t index = highest; index >= lowest; --index) mantissa = mantissa << 1 | Bit(index);
    if (Bit(lowest - 1) && (AnyBitBelow(lowest - 1) || (mantissa & 1) != 0)) ++mantissa;
    return std::ldexp(static_cast<double>(mantissa), static_cast<int>(lowest) - 1075);
  }

  std::array<int64_t, kLimbs> limbs_ = {};  // limb i counts 2^(32 i - 1075)
  int room_ = kRoom;                        // additions before a limb could overflow
  double special_ = 0;                      // infinities and NaN
  bool is_special_ = false;
};

}  // namespace spanflow::base
