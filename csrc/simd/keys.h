// Keys: items of a real kind as unsigned integers of the same width whose order is the order of the
// items, so that sorting and searching know of no kinds.
//
// Owns: nothing. Threads: thread-safe, pure functions. Attached: not needed. Fails: never.
#pragma once

#include "simd/kernels.h"
#include "simd/lanes.h"

namespace spanflow::simd {

// The bits of a positive infinity: what is larger, without its sign, is no number.
template <base::Kind kKind>
constexpr auto InfinityBits() {
  using base::Kind;
  using Bits = BitsOf<Lane<kKind>>;
  constexpr uint64_t bits = kKind == Kind::kF16    ? 0x7C00
                            : kKind == Kind::kBF16 ? 0x7F80
                            : kKind == Kind::kF32  ? 0x7F800000
                                                   : 0x7FF0000000000000;
  return static_cast<Bits>(bits);
}

// NaN comes last in both orders, without its sign. Inlined into loops that are compiled for a SIMD
// target: a call would fall back to the baseline.
template <base::Kind kKind, KeyOrder kOrder>
struct KeyCoding {
  using Key = BitsOf<Lane<kKind>>;
  static constexpr Key kTop = static_cast<Key>(Key{1} << (8 * sizeof(Key) - 1));
  static constexpr Key kAll = static_cast<Key>(~Key{0});
  static constexpr Key kFlip = kOrder.descending ? kAll : Key{0};

  [[gnu::always_inline]] static constexpr Key Encode(Key bits) {
    if constexpr (base::IsFloat(kKind)) {
      const Key size = static_cast<Key>(bits & static_cast<Key>(~kTop));
      if constexpr (kOrder.equal_is_same) bits = size == 0 ? Key{0} : bits;
      const Key turned =
          (bits & kTop) != 0 ? static_cast<Key>(~bits) : static_cast<Key>(bits | kTop);
      const Key nan = kOrder.equal_is_same ? kAll : static_cast<Key>(size | kTop);
      return size > InfinityBits<kKind>() ? nan : static_cast<Key>(turned ^ kFlip);
    } else if constexpr (kKind == base::Kind::kBool) {
      return static_cast<Key>((bits != 0 ? Key{1} : Key{0}) ^ kFlip);
    } else {
      return static_cast<Key>(bits ^ (base::IsSigned(kKind) ? kTop : Key{0}) ^ kFlip);
    }
  }

  [[gnu::always_inline]] static constexpr Key Decode(Key key) {
    if constexpr (base::IsFloat(kKind)) {
      const Key turned = static_cast<Key>(key ^ kFlip);
      const Key bits =
          (turned & kTop) != 0 ? static_cast<Key>(turned ^ kTop) : static_cast<Key>(~turned);
      const bool nan = key > static_cast<Key>(InfinityBits<kKind>() | kTop);
      return nan ? static_cast<Key>(key ^ kTop) : bits;
    } else {
      return static_cast<Key>(key ^ (base::IsSigned(kKind) ? kTop : Key{0}) ^ kFlip);
    }
  }
};

}  // namespace spanflow::simd
