// The C++ types that stand for the kinds inside kernels.
//
// Owns: types only. Threads: thread-safe. Attached: not needed. Fails: at compile time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "base/dtype.h"

namespace spanflow::simd {

// Lane: what a vector of this kind is made of. kLanes: 2 for complex, else 1. f16 and bf16 are
// their bits; only casts see them.
template <base::Kind kKind>
struct KindLane;
#define SPANFLOW_LANE(kind, type, lanes)    \
  template <>                               \
  struct KindLane<base::Kind::kind> {       \
    using Lane = type;                      \
    static constexpr size_t kLanes = lanes; \
  };
SPANFLOW_LANE(kBool, uint8_t, 1)
SPANFLOW_LANE(kI8, int8_t, 1)
SPANFLOW_LANE(kU8, uint8_t, 1)
SPANFLOW_LANE(kI16, int16_t, 1)
SPANFLOW_LANE(kU16, uint16_t, 1)
SPANFLOW_LANE(kI32, int32_t, 1)
SPANFLOW_LANE(kU32, uint32_t, 1)
SPANFLOW_LANE(kI64, int64_t, 1)
SPANFLOW_LANE(kU64, uint64_t, 1)
SPANFLOW_LANE(kF16, uint16_t, 1)
SPANFLOW_LANE(kBF16, uint16_t, 1)
SPANFLOW_LANE(kF32, float, 1)
SPANFLOW_LANE(kF64, double, 1)
SPANFLOW_LANE(kC64, float, 2)
SPANFLOW_LANE(kC128, double, 2)
#undef SPANFLOW_LANE

template <base::Kind kKind>
using Lane = typename KindLane<kKind>::Lane;
template <base::Kind kKind>
inline constexpr size_t kItemBytes = sizeof(Lane<kKind>) * KindLane<kKind>::kLanes;

// The unsigned integer of the same width: for operations that do not look at signs.
template <class T>
using BitsOf =
    std::conditional_t<sizeof(T) == 1, uint8_t,
                       std::conditional_t<sizeof(T) == 2, uint16_t,
                                          std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>>;

// Kinds whose items are zero for the same bits, as one of them.
constexpr base::Kind TruthKind(base::Kind kind) {
  using base::Kind;
  switch (kind) {
    case Kind::kBool:
    case Kind::kI8:
      return Kind::kU8;
    case Kind::kI16:
      return Kind::kU16;
    case Kind::kI32:
      return Kind::kU32;
    case Kind::kI64:
      return Kind::kU64;
    default:
      return kind;
  }
}

// Whether an item is zero is seen from its bits without the signs: unsigned lanes, with a mask
// where there are signs that do not count. A complex64 is one lane, a complex128 two.
template <base::Kind kKind>
struct TruthBits {
  using T = std::conditional_t<kKind == base::Kind::kC64, uint64_t, BitsOf<Lane<kKind>>>;
  static constexpr bool kPair = kKind == base::Kind::kC128;
  static constexpr bool kSigned = base::IsFloat(kKind) || base::IsComplex(kKind);
  static constexpr T kAll = static_cast<T>(~T{0});
  static constexpr T kMask = kKind == base::Kind::kC64 ? static_cast<T>(0x7FFFFFFF7FFFFFFFu)
                             : kSigned                 ? static_cast<T>(kAll >> 1)
                                                       : kAll;
};

// Calls f.template operator()<kind>() for every numeric kind.
template <class F>
constexpr void ForEachKind(F f) {
  [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
    (f.template operator()<static_cast<base::Kind>(kIndex)>(), ...);
  }
  (std::make_index_sequence<static_cast<size_t>(base::kNumKinds)>());
}

}  // namespace spanflow::simd
