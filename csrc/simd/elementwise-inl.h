// Turns a functor and a kind into a kernel, and the rows of a family into cells of the tables.
// Compiled once per SIMD target.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed.
// Fails: a row whose functor cannot do a declared kind does not compile.
//
// A functor is a struct with `operator()(d, operands…)`, d being Highway's tag. Operands are
// vectors V of lanes; complex ones are Pair<V>; the condition of a kSelect operation is a mask.
// The result is a V, a Pair<V> or, for a bool result, a mask. It may also have
//   OnBool(d, operands…)                      what it does with bool lanes (0 or 1), if different
//   static constexpr Share kShare             which kinds may share one inner loop
//   static constexpr bool kByComponent        complex: real and imaginary parts alike, as lanes
//   static constexpr bool kInDouble           float32 is computed in float64 and rounded once,
//   using ForFloats                           by this shorter functor, if there is one
#if defined(SPANFLOW_SIMD_ELEMENTWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SPANFLOW_SIMD_ELEMENTWISE_INL_H_
#undef SPANFLOW_SIMD_ELEMENTWISE_INL_H_
#else
#define SPANFLOW_SIMD_ELEMENTWISE_INL_H_
#endif

#include <type_traits>
#include <utility>

#include "simd/blocks-inl.h"
#include "simd/ops.h"
#include "simd/tables.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {

enum class Share {
  kNone,      // every kind has its own loop
  kSignless,  // signed and unsigned integers of a width share one
  kBits,      // everything of a width shares one
};

template <class F>
constexpr bool InDouble() {
  if constexpr (requires { F::kInDouble; }) return F::kInDouble;
  return false;
}

enum class Shape {
  kSingle,      // one lane an item
  kBool,        // one byte an item, made 0 or 1 on load
  kComponents,  // two lanes an item, treated alike
  kPair,        // two lanes an item, as a Pair
};

template <class F>
constexpr Share ShareOf() {
  if constexpr (requires { F::kShare; }) return F::kShare;
  return Share::kNone;
}

template <class F>
constexpr bool ByComponent() {
  if constexpr (requires { F::kByComponent; }) return F::kByComponent;
  return false;
}

template <class F, base::Kind kKind>
constexpr Shape ShapeOf() {
  if (kKind == base::Kind::kBool)
    return ShareOf<F>() == Share::kBits ? Shape::kSingle : Shape::kBool;
  if (!base::IsComplex(kKind)) return Shape::kSingle;
  // The bits of a complex64 fit one lane.
  if (ShareOf<F>() == Share::kBits && kKind == base::Kind::kC64) return Shape::kSingle;
  return ByComponent<F>() ? Shape::kComponents : Shape::kPair;
}

template <class F, base::Kind kKind>
constexpr auto LaneFor() {
  using T = Lane<kKind>;
  if constexpr (ShareOf<F>() == Share::kBits) {
    if constexpr (kKind == base::Kind::kC64) {
      return uint64_t{};
    } else {
      return BitsOf<T>{};
    }
  } else if constexpr (ShareOf<F>() == Share::kSignless && std::is_integral_v<T>) {
    return BitsOf<T>{};
  } else {
    return T{};
  }
}

template <Shape kShape, class D>
HWY_INLINE auto LoadOperand(D d, const std::byte* from) {
  if constexpr (kShape == Shape::kBool) {
    return LoadBools(d, from);
  } else if constexpr (kShape == Shape::kPair) {
    return LoadPair(d, from);
  } else {
    return Load(d, from);
  }
}

// What a result of type R takes in the output, per item.
template <class R, class D>
constexpr size_t ResultBytes() {
  if constexpr (std::is_same_v<R, hn::Vec<D>>) {
    return sizeof(LaneOf<D>);
  } else if constexpr (std::is_same_v<R, Pair<hn::Vec<D>>>) {
    return 2 * sizeof(LaneOf<D>);
  } else {
    static_assert(std::is_same_v<R, hn::Mask<D>>);
    return 1;
  }
}

template <class D, class R>
HWY_INLINE void StoreResult(R result, D d, std::byte* to) {
  if constexpr (std::is_same_v<R, hn::Vec<D>>) {
    Store(result, d, to);
  } else if constexpr (std::is_same_v<R, Pair<hn::Vec<D>>>) {
    StorePair(result, d, to);
  } else {
    StoreMask(result, d, to);
  }
}

template <Shape kShape, class F, class D, class... Operand>
HWY_INLINE auto Apply(D d, Operand... operand) {
  if constexpr (kShape == Shape::kBool && requires { F().OnBool(d, operand...); }) {
    return F().OnBool(d, operand...);
  } else {
    return F()(d, operand...);
  }
}

// An operation whose operands all have lanes T.
template <class F, class T, Shape kShape, size_t kOperands>
struct MapStep {
  using D = hn::ScalableTag<T>;
  using Operand = decltype(LoadOperand<kShape>(D(), nullptr));
  static constexpr size_t kParts = kShape == Shape::kComponents ? 2 : 1;
  static constexpr size_t kItems = hn::MaxLanes(D());

  template <size_t... kIndex>
  static HWY_INLINE auto DoPart(const std::byte* const* in, size_t part,
                                std::index_sequence<kIndex...>) {
    const D d;
    return Apply<kShape, F>(d, LoadOperand<kShape>(d, in[kIndex] + part * kItems * sizeof(T))...);
  }

  using Result = decltype(DoPart(nullptr, size_t{0}, std::make_index_sequence<kOperands>()));
  static constexpr size_t kOut = kParts * ResultBytes<Result, D>();
  static constexpr auto kIn = [] {
    std::array<size_t, kOperands> bytes;
    bytes.fill(sizeof(T) * (kShape == Shape::kComponents || kShape == Shape::kPair ? 2 : 1));
    return bytes;
  }();

  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    constexpr auto kIndex = std::make_index_sequence<kOperands>();
    if constexpr (kParts == 2) {
      const Result low = DoPart(in, 0, kIndex);
      const Result high = DoPart(in, 1, kIndex);
      StoreResult(low, D(), out);
      StoreResult(high, D(), out + kItems * sizeof(T));
    } else {
      StoreResult(DoPart(in, 0, kIndex), D(), out);
    }
  }
};

// An operation whose first operand is bool and the two others have lanes T.
template <class F, class T, Shape kShape, size_t kOperands>
struct SelectStep {
  static_assert(kOperands == 3);
  using D = hn::ScalableTag<T>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr size_t kOut = sizeof(T) * (kShape == Shape::kPair ? 2 : 1);
  static constexpr std::array<size_t, 3> kIn = {1, kOut, kOut};

  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    StoreResult(
        F()(d, LoadMask(d, in[0]), LoadOperand<kShape>(d, in[1]), LoadOperand<kShape>(d, in[2])), d,
        out);
  }
};

template <class F, Op kOp, base::Kind kKind>
constexpr auto StepFor() {
  using T = decltype(LaneFor<F, kKind>());
  constexpr Shape kShape = ShapeOf<F, kKind>();
  constexpr size_t kOperands = static_cast<size_t>(InfoOf(kOp).arity);
  if constexpr (InfoOf(kOp).rule == TypeRule::kSelect) {
    return SelectStep<F, T, kShape, kOperands>();
  } else {
    return MapStep<F, T, kShape, kOperands>();
  }
}

template <class D>
struct Lanes {
  alignas(64) LaneOf<D> lane[hn::MaxLanes(D())];
};

template <class D>
HWY_INLINE Lanes<D> LanesOf(D d, hn::Vec<D> v) {
  Lanes<D> lanes;
  hn::Store(v, d, lanes.lane);
  return lanes;
}

template <class D, class F, class... L>
HWY_INLINE hn::Vec<D> OverLanes(D d, F f, const L&... operand) {
  Lanes<D> results;
  for (size_t i = 0; i < hn::MaxLanes(D()); ++i) results.lane[i] = f(operand.lane[i]...);
  return hn::Load(d, results.lane);
}

// f of the lanes of its operands one by one, for what the instruction sets do not have.
template <class D, class F, class... V>
HWY_INLINE hn::Vec<D> EachLane(D d, F f, V... operand) {
  return OverLanes(d, f, LanesOf(d, operand)...);
}

// Plain loops, which the compiler turns into vectors. A float is exact as a double; the way back
// rounds.
inline void ToDoubles(const std::byte* in, double* out, size_t n) {
  for (size_t i = 0; i < n; ++i) out[i] = LoadOne<float>(in + i * sizeof(float));
}
inline void ToFloats(const double* in, std::byte* out, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    StoreOne(static_cast<float>(in[i]), out + i * sizeof(float));
  }
}

// The kernel for float64 between two conversions, block by block: there is one body for both
// kinds, and the result for float32 is nearly always the correctly rounded one.
HWY_NOINLINE inline void RunInDouble(ElementwiseFn run, size_t arity, const void* const* inputs,
                                     void* output, size_t n) {
  constexpr size_t kBlock = 512;
  alignas(64) double operands[3][kBlock];
  alignas(64) double results[kBlock];
  const void* in[3];
  for (size_t k = 0; k < arity; ++k) in[k] = operands[k];
  for (size_t i = 0; i < n; i += kBlock) {
    const size_t items = std::min(kBlock, n - i);
    for (size_t k = 0; k < arity; ++k) {
      const auto* from = static_cast<const std::byte*>(inputs[k]) + i * sizeof(float);
      ToDoubles(from, operands[k], items);
    }
    run(in, results, items);
    ToFloats(results, static_cast<std::byte*>(output) + i * sizeof(float), items);
  }
}

template <class F>
struct DoubleFunctor {
  using Type = F;
};
template <class F>
requires requires { typename F::ForFloats; }
struct DoubleFunctor<F> {
  using Type = typename F::ForFloats;
};

// Stands for the step of such a kernel where only its shape matters.
template <class F, Op kOp>
struct InDoubleStep {
  static constexpr size_t kItems = 512;
  static constexpr size_t kArity = static_cast<size_t>(InfoOf(kOp).arity);

  static void Run(const void* const* inputs, void* output, size_t n) {
    using Step = MapStep<typename DoubleFunctor<F>::Type, double, Shape::kSingle, kArity>;
    RunInDouble(&HWY_NAMESPACE::Run<Step>, kArity, inputs, output, n);
  }
  static void RunStreamed(const void* const* inputs, void* output, size_t n) {
    constexpr StepShape kShape = {&Run, kItems, kArity, {4, 4, 4}, 4};
    StreamBlocks(kShape, &Run, inputs, output, n);
  }
};

// The cell of one row and kind. Results of one byte for wider operands are a small part of the
// traffic: streaming them gains nothing.
template <class F, Op kOp, base::Kind kKind>
constexpr ElementwiseKernel KernelFor() {
  if constexpr (InDouble<F>() && kKind == base::Kind::kF32) {
    using Step = InDoubleStep<F, kOp>;
    return {&Step::Run, &Step::RunStreamed};
  } else {
    using Step = decltype(StepFor<F, kOp, kKind>());
    constexpr bool kStream = Step::kOut * 2 > Step::kIn.back();
    if constexpr (kStream) return {&Run<Step>, &RunStreamed<Step>};
    if constexpr (!kStream) return {&Run<Step>, &Run<Step>};
  }
}

template <class F, Op kOp>
void FillRow(Tables* tables) {
  ForEachKind([tables]<base::Kind kKind>() {
    if constexpr (Contains(InfoOf(kOp).kinds, kKind)) {
      tables->ops[static_cast<size_t>(kOp)][static_cast<size_t>(kKind)] =
          KernelFor<F, kOp, kKind>();
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
