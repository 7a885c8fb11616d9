// The structs of sum and mean, prod, min and max, any, all and count_nonzero, one per row of
// SPANFLOW_FOLDS.
#include <cmath>
#include <limits>

#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/reduce.cc"
#include "hwy/foreach_target.h"
#include "simd/extremes-inl.h"
#include "simd/reduction-inl.h"
#include "simd/sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

using base::Kind;

// ---- sums of floats ----

template <Kind kKind>
void AddFloats(FloatSum& sum, const std::byte* in, size_t n) {
  using T = Lane<kKind>;
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  constexpr bool kComplex = kParts == 2;
  sum.count += n;
  for (size_t lanes = n * kParts; lanes != 0;) {
    const size_t block = std::min(lanes, kSumBlock<T>);
    AddBlock<kComplex>(SumBlock<kComplex, T>(in, block, Ahead<T>(lanes)), in, block, &sum);
    in += block * sizeof(T);
    lanes -= block;
  }
}

// ---- sums of integers ----

#if HWY_TARGET == HWY_SCALAR

template <Kind kKind>
Int128 SumIntegers(const std::byte* in, size_t n) {
  using T = Lane<kKind>;
  uint64_t low = 0;
  int64_t high = 0;
  for (size_t i = 0; i < n; ++i) {
    const T value = LoadOne<T>(in + i * sizeof(T));
    if constexpr (kKind == Kind::kBool) {
      low += value != 0;
    } else if constexpr (sizeof(T) == 8) {
      low += static_cast<uint32_t>(value);
      high += static_cast<int64_t>(value >> 32);
    } else {
      high += value;
    }
  }
  return Int128{high} * (sizeof(T) == 8 ? Int128{1} << 32 : Int128{1}) + Int128{low};
}

#else

// What makes a signed integer an unsigned one of the same order: the sum is then too large by this
// for each element.
template <class T>
inline constexpr BitsOf<T> kBias = std::is_signed_v<T>
                                       ? static_cast<BitsOf<T>>(BitsOf<T>{1} << (8 * sizeof(T) - 1))
                                       : BitsOf<T>{0};

using D64 = hn::ScalableTag<uint64_t>;
using V64 = hn::Vec<D64>;

// Adds unsigned lanes of any width to 64-bit lanes; `high` is only used for 64-bit ones.
template <class V, class D>
HWY_INLINE void AddLanes(D d, V v, V64* low, V64* high) {
  const D64 d64;
  if constexpr (sizeof(LaneOf<D>) == 1) {
    (void)d, (void)high;
    *low = hn::Add(*low, hn::SumsOf8(v));
  } else if constexpr (sizeof(LaneOf<D>) == 2) {
    // Bytes apart, so that the wide sum of bytes serves here too.
    const hn::Repartition<uint8_t, D> d8;
    const auto byte = hn::Set(d, 0xFF);
    *low = hn::Add(*low, hn::SumsOf8(hn::BitCast(d8, hn::And(v, byte))));
    *high = hn::Add(*high, hn::SumsOf8(hn::BitCast(d8, hn::ShiftRight<8>(v))));
  } else {
    const V64 wide = hn::BitCast(d64, v);
    *low = hn::Add(*low, hn::And(wide, hn::Set(d64, 0xFFFFFFFFu)));
    *high = hn::Add(*high, hn::ShiftRight<32>(wide));
  }
}

template <Kind kKind, class D>
HWY_INLINE hn::Vec<D> LoadUnsigned(D d, const std::byte* from) {
  using T = Lane<kKind>;
  if constexpr (kKind == Kind::kBool) return LoadBools(d, from);
  if constexpr (kBias<T> != 0) return hn::Xor(Load(d, from), hn::Set(d, kBias<T>));
  return Load(d, from);
}

template <Kind kKind>
Int128 SumIntegers(const std::byte* in, size_t n) {
  using T = Lane<kKind>;
  const hn::ScalableTag<BitsOf<T>> d;
  const D64 d64;
  constexpr size_t kStep = hn::MaxLanes(d) * sizeof(T);
  constexpr int kHighBits = sizeof(T) == 8 ? 32 : sizeof(T) == 2 ? 8 : 0;
  V64 low0 = hn::Zero(d64), low1 = low0, high0 = low0, high1 = low0;
  size_t left = n * sizeof(T);
  for (; left >= 2 * kStep; left -= 2 * kStep, in += 2 * kStep) {
    AddLanes(d, LoadUnsigned<kKind>(d, in), &low0, &high0);
    AddLanes(d, LoadUnsigned<kKind>(d, in + kStep), &low1, &high1);
  }
  if (left >= kStep) {
    AddLanes(d, LoadUnsigned<kKind>(d, in), &low0, &high0);
    left -= kStep;
    in += kStep;
  }
  if (left != 0) {
    HWY_ALIGN std::byte lanes[kStep];
    Store(hn::Set(d, kBias<T>), d, lanes);
    std::memcpy(lanes, in, left);
    AddLanes(d, LoadUnsigned<kKind>(d, lanes), &low1, &high1);
  }
  const uint64_t low = hn::GetLane(hn::SumOfLanes(d64, hn::Add(low0, low1)));
  const uint64_t high = hn::GetLane(hn::SumOfLanes(d64, hn::Add(high0, high1)));
  return (Int128{high} << kHighBits) + Int128{low} - Int128{kBias<T>} * Int128{n};
}

#endif

template <Kind kKind>
void AddIntegers(IntegerSum& sum, const std::byte* in, size_t n) {
  constexpr size_t kBlock = size_t{1} << 30;  // no 64-bit lane overflows
  sum.count += n;
  for (size_t i = 0; i < n; i += kBlock) {
    sum.total += SumIntegers<kKind>(in + i * kItemBytes<kKind>, std::min(kBlock, n - i));
  }
}

// ---- sum and mean ----

template <Kind kKind>
struct Sum {
  static constexpr bool kFloating = base::IsFloat(kKind) || base::IsComplex(kKind);
  using State = std::conditional_t<kFloating, FloatSum, IntegerSum>;

  static void Update(State& sum, const std::byte* in, size_t n) {
    if constexpr (kFloating)
      AddFloats<kKind>(sum, in, n);
    else
      AddIntegers<kKind>(sum, in, n);
  }

  static void Finish(const State& sum, double, void* out) {
    if constexpr (kFloating) {
      const bool empty = sum.count == 0;
      WriteResult<Lane<kKind>>(empty ? 0.0 : sum.re.Value(), out);
      if (base::IsComplex(kKind)) WriteResult<Lane<kKind>>(empty ? 0.0 : sum.im.Value(), out, 1);
    } else {
      const auto wrapped = static_cast<uint64_t>(sum.total);
      std::memcpy(out, &wrapped, sizeof(wrapped));
    }
  }
};

template <Kind kKind>
struct Mean : Sum<kKind> {
  static void Finish(const typename Sum<kKind>::State& sum, double, void* out) {
    const auto count = static_cast<double>(sum.count);
    if constexpr (Sum<kKind>::kFloating) {
      WriteResult<Lane<kKind>>(sum.re.Value() / count, out);
      if (base::IsComplex(kKind)) WriteResult<Lane<kKind>>(sum.im.Value() / count, out, 1);
    } else {
      WriteResult<double>(static_cast<double>(sum.total) / count, out);
    }
  }
};

// ---- prod ----

// Products that go on at the same time, which the compiler makes vectors of.
constexpr size_t kProducts = 8;

template <Kind kKind>
void MultiplyIntegers(IntegerProduct& product, const std::byte* in, size_t n) {
  using T = Lane<kKind>;
  const auto factor = [in](size_t i) {
    const T item = LoadOne<T>(in + i * sizeof(T));
    return static_cast<uint64_t>(kKind == Kind::kBool ? item != 0 : item);
  };
  uint64_t totals[kProducts] = {1, 1, 1, 1, 1, 1, 1, 1};
  size_t i = 0;
  for (; i + kProducts <= n; i += kProducts) {
    for (size_t k = 0; k < kProducts; ++k) totals[k] *= factor(i + k);
  }
  for (; i < n; ++i) totals[0] *= factor(i);
  for (const uint64_t total : totals) product.Merge({total});
}

template <Kind kKind>
void MultiplyFloats(FloatProduct& product, const std::byte* in, size_t n) {
  using T = Lane<kKind>;
  double totals[kProducts] = {1, 1, 1, 1, 1, 1, 1, 1};
  size_t i = 0;
  for (; i + kProducts <= n; i += kProducts) {
    for (size_t k = 0; k < kProducts; ++k) {
      totals[k] *= static_cast<double>(LoadOne<T>(in + (i + k) * sizeof(T)));
    }
  }
  for (; i < n; ++i) totals[0] *= static_cast<double>(LoadOne<T>(in + i * sizeof(T)));
  for (const double total : totals) product.re *= total;
}

template <Kind kKind>
void MultiplyComplex(FloatProduct& product, const std::byte* in, size_t n) {
  using T = Lane<kKind>;
  FloatProduct totals[kProducts / 2];
  for (size_t i = 0; i < n; ++i, in += 2 * sizeof(T)) {
    totals[i % (kProducts / 2)].Merge({LoadOne<T>(in), LoadOne<T>(in + sizeof(T))});
  }
  for (const FloatProduct& total : totals) product.Merge(total);
}

template <Kind kKind>
struct Prod {
  static constexpr bool kFloating = Sum<kKind>::kFloating;
  using State = std::conditional_t<kFloating, FloatProduct, IntegerProduct>;

  static void Update(State& product, const std::byte* in, size_t n) {
    if constexpr (!kFloating)
      MultiplyIntegers<kKind>(product, in, n);
    else if constexpr (base::IsComplex(kKind))
      MultiplyComplex<kKind>(product, in, n);
    else
      MultiplyFloats<kKind>(product, in, n);
  }

  static void Finish(const State& product, double, void* out) {
    if constexpr (kFloating) {
      WriteResult<Lane<kKind>>(product.re, out);
      if (base::IsComplex(kKind)) WriteResult<Lane<kKind>>(product.im, out, 1);
    } else {
      std::memcpy(out, &product.total, sizeof(product.total));
    }
  }
};

// ---- min and max ----

template <Kind kKind, bool kMax>
struct ExtremeItem {
  using T = Lane<kKind>;
  using State = Extreme<kKind, kMax>;

  static void Update(State& state, const std::byte* in, size_t n) {
    UpdateExtreme<kKind, kMax>(state, in, n);
  }

  static void Finish(const State& state, double, void* out) {
    const T result = state.has_nan ? std::numeric_limits<T>::quiet_NaN() : state.best;
    std::memcpy(out, &result, sizeof(T));
  }
};

template <Kind kKind>
struct Min : ExtremeItem<kKind, false> {};
template <Kind kKind>
struct Max : ExtremeItem<kKind, true> {};

// ---- any, all, count_nonzero ----

template <Kind kKind>
struct Truth : TruthBits<kKind> {
  using T = typename TruthBits<kKind>::T;
  static constexpr bool kPair = TruthBits<kKind>::kPair;
  using D = hn::ScalableTag<T>;

  static HWY_INLINE hn::Vec<D> Load(const std::byte* from) {
    const D d;
    auto v = hn::Zero(d);
    if constexpr (kPair) {
      const auto pair = LoadPair(d, from);
      v = hn::Or(pair.re, pair.im);
    } else {
      v = HWY_NAMESPACE::Load(d, from);
    }
    if constexpr (TruthBits<kKind>::kSigned) v = hn::And(v, hn::Set(d, TruthBits<kKind>::kMask));
    return v;
  }

  // The same for the last items of a run; `pad` is the byte that the missing ones are made of.
  static HWY_INLINE hn::Vec<D> LoadLast(const std::byte* from, size_t items, int pad) {
    HWY_ALIGN std::byte bytes[hn::MaxLanes(D()) * kItemBytes<kKind>];
    std::memset(bytes, pad, sizeof(bytes));
    std::memcpy(bytes, from, items * kItemBytes<kKind>);
    return Load(bytes);
  }
};

// Whether some item of the run is kWanted: any looks for true, all for false.
template <class Truth, bool kWanted>
bool ContainsItem(const std::byte* in, size_t n) {
  const typename Truth::D d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  constexpr size_t kStep = kLanes * sizeof(typename Truth::T) * (Truth::kPair ? 2 : 1);
  constexpr size_t kBlock = 32;  // vectors between two looks at what was found
  const auto zero = hn::Zero(d);
  size_t left = n;
  while (left >= kLanes) {
    auto found = hn::Ne(zero, zero);
    const size_t steps = std::min(left / kLanes, kBlock);
    for (size_t i = 0; i < steps; ++i, in += kStep) {
      const auto v = Truth::Load(in);
      found = hn::Or(found, kWanted ? hn::Ne(v, zero) : hn::Eq(v, zero));
    }
    if (!hn::AllFalse(d, found)) return true;
    left -= steps * kLanes;
  }
  if (left == 0) return false;
  const auto last = Truth::LoadLast(in, left, kWanted ? 0 : 1);
  return !hn::AllFalse(d, kWanted ? hn::Ne(last, zero) : hn::Eq(last, zero));
}

// Any looks for an item that is true, all for one that is false.
template <Kind kKind, bool kWanted>
struct FoundItem {
  using State = Found;
  static void Update(State& state, const std::byte* in, size_t n) {
    using Item = Truth<TruthKind(kKind)>;
    state.found = state.found || ContainsItem<Item, kWanted>(in, n);
  }
  static void Finish(const State& state, double, void* out) {
    const bool result = state.found == kWanted;
    std::memcpy(out, &result, sizeof(result));
  }
};

template <Kind kKind>
struct Any : FoundItem<kKind, true> {};
template <Kind kKind>
struct All : FoundItem<kKind, false> {};

template <class Truth>
size_t CountItems(const std::byte* in, size_t n) {
  const typename Truth::D d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  constexpr size_t kStep = kLanes * sizeof(typename Truth::T) * (Truth::kPair ? 2 : 1);
  const auto zero = hn::Zero(d);
  size_t count = 0;
  size_t left = n;
  for (; left >= kLanes; left -= kLanes, in += kStep) {
    count += hn::CountTrue(d, hn::Ne(Truth::Load(in), zero));
  }
  if (left != 0) count += hn::CountTrue(d, hn::Ne(Truth::LoadLast(in, left, 0), zero));
  return count;
}

template <Kind kKind>
struct CountNonzero {
  using State = simd::Count;
  static void Update(State& state, const std::byte* in, size_t n) {
    state.count += static_cast<int64_t>(CountItems<Truth<TruthKind(kKind)>>(in, n));
  }
  static void Finish(const State& state, double, void* out) {
    std::memcpy(out, &state.count, sizeof(state.count));
  }
};

// Of what a mask or a sieve let pass.
template <Kind kKind>
struct Count {
  using State = simd::Count;
  static void Update(State& state, const std::byte*, size_t n) {
    state.count += static_cast<int64_t>(n);
  }
  static void Finish(const State& state, double, void* out) {
    std::memcpy(out, &state.count, sizeof(state.count));
  }
};

void Fill(Tables* tables) {
#define SPANFLOW_ROW(Name, ...) FillReduction<Name, Reduction::k##Name>(tables);
  SPANFLOW_FOLDS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Folds)
#endif
