// One item from one numeric kind to another, and by which way a cast of a whole run goes.
//
// Owns: nothing. Threads: thread-safe, pure functions. Attached: not needed.
// Fails: never; a float outside of an integer's range gives what x86 does, on every machine.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "simd/lanes.h"

namespace spanflow::simd {

// Inlined into loops that are compiled for a SIMD target: a call would fall back to the baseline.
#define SPANFLOW_CONVERT [[gnu::always_inline]] constexpr

template <class T>
struct ComplexItem {
  T re, im;
};
template <base::Kind kKind>
using Item = std::conditional_t<base::IsComplex(kKind), ComplexItem<Lane<kKind>>, Lane<kKind>>;

SPANFLOW_CONVERT float FloatFromHalf(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t size = (half & 0x7FFFu) << 13;
  const uint32_t normal = size + (112u << 23);   // the exponents' biases differ by 112
  const uint32_t special = size + (224u << 23);  // infinity and NaN have the largest exponent
  // A subnormal's fraction under a 1, minus that 1: the subtraction normalises it.
  const float subnormal = std::bit_cast<float>(size + (113u << 23)) - 0x1p-14f;
  const uint32_t exponent = half & 0x7C00u;
  const uint32_t bits = exponent == 0        ? std::bit_cast<uint32_t>(subnormal)
                        : exponent == 0x7C00 ? special
                                             : normal;
  return std::bit_cast<float>(bits | sign);
}

// To nearest, ties to even.
SPANFLOW_CONVERT uint16_t HalfFromFloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t size = bits & 0x7FFFFFFFu;
  const uint32_t normal = (size + 0xFFFu + ((size >> 13) & 1u) - (112u << 23)) >> 13;
  // Beside 0.5 one unit in the last place is what a half's subnormal counts in.
  const uint32_t subnormal =
      std::bit_cast<uint32_t>(std::bit_cast<float>(size) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  const uint32_t nan = 0x7E00u | ((size >> 13) & 0x3FFu);
  const uint32_t special = size > 0x7F800000u ? nan : 0x7C00u;
  const uint32_t half = size >= 0x47800000u ? special : size < (113u << 23) ? subnormal : normal;
  return static_cast<uint16_t>(half | sign);
}

SPANFLOW_CONVERT float FloatFromBFloat(uint16_t bfloat) {
  return std::bit_cast<float>(uint32_t{bfloat} << 16);
}

SPANFLOW_CONVERT uint16_t BFloatFromFloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const bool is_nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
  return static_cast<uint16_t>(is_nan ? (bits >> 16) | 0x40u : rounded);
}

// Inexact results get an odd last bit, so that rounding once more to fewer bits is as if it had
// been rounded once (Boldo and Melquiond 2008).
SPANFLOW_CONVERT float RoundToOdd(double value) {
  const float nearest = static_cast<float>(value);
  const double back = nearest;
  const uint32_t bits = std::bit_cast<uint32_t>(nearest);
  const bool too_large = (back < 0 ? -back : back) > (value < 0 ? -value : value);
  const uint32_t other = too_large ? bits - 1 : bits + 1;
  const bool keep = back == value || (bits & 1u) != 0;
  return std::bit_cast<float>(keep ? bits : other);
}

// An integer as a double of at most 48 bits whose last bit says whether something was cut off.
template <class Integer>
SPANFLOW_CONVERT double StickyDouble(Integer value) {
  const bool negative = value < 0;
  const uint64_t size =
      negative ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  const uint64_t sticky = (size & ~uint64_t{0xFFFF}) | ((size & 0xFFFFu) != 0 ? 0x8000u : 0u);
  const double result = static_cast<double>(size >> 40 != 0 ? sticky : size);
  return negative ? -result : result;
}

// Values out of range become the smallest number, as in x86's conversions.
template <class Signed, class Float>
SPANFLOW_CONVERT Signed Truncate(Float value) {
  constexpr Float kLimit = sizeof(Signed) == 4 ? Float{0x1p31} : Float{0x1p63};
  const Float safe = value >= -kLimit && value < kLimit ? value : -kLimit;
  return static_cast<Signed>(safe);
}

template <class Float>
SPANFLOW_CONVERT uint64_t TruncateToU64(Float value) {
  constexpr Float kLimit{0x1p63};
  const bool upper = value >= kLimit;
  const int64_t low = Truncate<int64_t>(upper ? value - kLimit : value);
  return static_cast<uint64_t>(low) ^ (upper ? uint64_t{1} << 63 : uint64_t{0});
}

template <class To, class Float>
SPANFLOW_CONVERT To IntegerFromFloat(Float value) {
  if constexpr (std::is_same_v<To, uint64_t>) {
    return TruncateToU64(value);
  } else if constexpr (std::is_same_v<To, uint32_t> || sizeof(To) == 8) {
    return static_cast<To>(Truncate<int64_t>(value));
  } else {
    return static_cast<To>(Truncate<int32_t>(value));
  }
}

// The pairs that RouteOf calls kDirect, and the parts of complex numbers.
template <base::Kind kFrom, base::Kind kTo>
SPANFLOW_CONVERT Item<kTo> Convert(Item<kFrom> value) {
  using base::Kind;
  using To = Item<kTo>;
  if constexpr (base::IsComplex(kFrom)) {
    if constexpr (kTo == Kind::kBool) {
      return value.re != 0 || value.im != 0;
    } else {
      return value.re;
    }
  } else if constexpr (base::IsComplex(kTo)) {
    return {value, 0};
  } else if constexpr (kFrom == Kind::kF16 && kTo == Kind::kBool) {
    return (value & 0x7FFFu) != 0;
  } else if constexpr (kTo == Kind::kBool || kFrom == Kind::kBool) {
    return value != 0;
  } else if constexpr (kFrom == Kind::kF16) {
    return FloatFromHalf(value);
  } else if constexpr (kFrom == Kind::kBF16) {
    return FloatFromBFloat(value);
  } else if constexpr (kTo == Kind::kF16) {
    return HalfFromFloat(kFrom == Kind::kF64 ? RoundToOdd(value) : static_cast<float>(value));
  } else if constexpr (kTo == Kind::kBF16 && base::IsInteger(kFrom)) {
    return BFloatFromFloat(RoundToOdd(StickyDouble(value)));
  } else if constexpr (kTo == Kind::kBF16) {
    return BFloatFromFloat(kFrom == Kind::kF64 ? RoundToOdd(value) : static_cast<float>(value));
  } else if constexpr (base::IsFloat(kFrom) && base::IsInteger(kTo)) {
    return IntegerFromFloat<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

// A saturating cast has two steps: a value is limited to what To holds, NaN to 0, and then cast.
// Where To has more digits than a float, the float nearest to its largest number is the first that
// is too large, and left to the second step.
template <class To, class From>
SPANFLOW_CONVERT From Limited(From value) {
  using Limits = std::numeric_limits<To>;
  using Own = std::numeric_limits<From>;
  constexpr bool kFloat = std::is_floating_point_v<From>;
  constexpr From kLow = [] {
    if constexpr (kFloat) return static_cast<From>(Limits::min());
    if constexpr (!kFloat) {
      return std::cmp_less(Own::min(), Limits::min()) ? static_cast<From>(Limits::min())
                                                      : Own::min();
    }
  }();
  constexpr From kHigh = [] {
    if constexpr (kFloat) return static_cast<From>(Limits::max());
    if constexpr (!kFloat) {
      return std::cmp_greater(Own::max(), Limits::max()) ? static_cast<From>(Limits::max())
                                                         : Own::max();
    }
  }();
  if constexpr (kFloat) value = value != value ? From{0} : value;
  const From low = value < kLow ? kLow : value;
  return low > kHigh ? kHigh : low;
}

template <class To, class From>
SPANFLOW_CONVERT To FromLimited(From value) {
  using Limits = std::numeric_limits<To>;
  if constexpr (std::is_integral_v<From>) {
    return static_cast<To>(value);
  } else if constexpr (Limits::digits <= std::numeric_limits<From>::digits) {
    return IntegerFromFloat<To>(value);
  } else {
    return value >= static_cast<From>(Limits::max()) ? Limits::max() : IntegerFromFloat<To>(value);
  }
}

#undef SPANFLOW_CONVERT

// How a cast is done.
struct Route {
  enum Way {
    kCopy,    // the bytes are the same
    kDirect,  // a loop of its own
    kAlike,   // the loop of the pair (from, to), which moves the same bits
    kParts,   // complex: the loop of (from, to) on the parts
    kVia,     // first to `via`
  };
  Way way;
  base::Kind from, to;
  base::Kind via = base::Kind::kBool;
};

constexpr base::Kind UnsignedOf(base::Kind kind) {
  using base::Kind;
  switch (kind) {
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

constexpr size_t IntegerBytes(base::Kind kind) {
  using base::Kind;
  switch (UnsignedOf(kind)) {
    case Kind::kU16:
      return 2;
    case Kind::kU32:
      return 4;
    case Kind::kU64:
      return 8;
    default:
      return 1;
  }
}

constexpr Route IntegerRoute(base::Kind from, base::Kind to) {
  const base::Kind same = UnsignedOf(to);  // what a result's sign bit means does not matter
  if (IntegerBytes(from) == IntegerBytes(to)) return {Route::kCopy, from, to};
  if (IntegerBytes(from) > IntegerBytes(to)) from = UnsignedOf(from);
  return {Route::kAlike, from, same};
}

constexpr Route RouteOf(base::Kind from, base::Kind to) {
  using base::Kind;
  const auto via = [&](Kind kind) { return Route{Route::kVia, from, to, kind}; };
  const Route direct = {Route::kDirect, from, to};
  Route route = direct;
  if (from == to) return {Route::kCopy, from, to};
  if (base::IsComplex(from)) {
    const Kind part = from == Kind::kC64 ? Kind::kF32 : Kind::kF64;
    const Kind other = from == Kind::kC64 ? Kind::kF64 : Kind::kF32;
    if (base::IsComplex(to)) return {Route::kParts, part, other};
    return to == Kind::kBool || to == part ? direct : via(part);
  }
  if (base::IsComplex(to)) {
    const Kind part = to == Kind::kC64 ? Kind::kF32 : Kind::kF64;
    return from == part ? direct : via(part);
  }
  if (from == Kind::kBool) {
    if (IntegerBytes(to) != 1 || base::IsFloat(to)) return via(Kind::kU8);
    route.to = Kind::kU8;
  } else if (to == Kind::kBool) {
    route.from = from == Kind::kBF16 ? Kind::kF16 : UnsignedOf(from);
  } else if (base::IsInteger(from) && base::IsInteger(to)) {
    route = IntegerRoute(from, to);
  } else if (from == Kind::kF16 || from == Kind::kBF16) {
    return to == Kind::kF32 ? direct : via(Kind::kF32);
  } else if (base::IsInteger(from) && to == Kind::kF16) {
    return via(Kind::kF32);  // what f32 has to round is infinite as f16
  } else if (base::IsInteger(from) && to == Kind::kBF16) {
    if (IntegerBytes(from) <= 2) return via(Kind::kF32);
    return IntegerBytes(from) == 4 ? via(Kind::kF64) : direct;
  } else if (to == Kind::kI8 || to == Kind::kI16) {
    route.to = UnsignedOf(to);
  }
  if (route.way == Route::kDirect && (route.from != from || route.to != to)) {
    route.way = Route::kAlike;
  }
  if (route.way == Route::kAlike && route.from == from && route.to == to) {
    route.way = Route::kDirect;
  }
  return route;
}

}  // namespace spanflow::simd
