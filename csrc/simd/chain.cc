// Chains: several operations on one run, a tile of vectors at a time that stays in registers
// between them. Compiled once per SIMD target.
//
// A chain is run as threaded code (Bell 1973): each step takes the tile in vector registers, as
// arguments, and ends by calling the next step, which compilers make a jump.
#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/chain.cc"
#include <array>
#include <cmath>
#include <utility>

#include "hwy/foreach_target.h"
#include "simd/arithmetic-inl.h"
#include "simd/sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

// So many vectors hide the latency of an operation, share the cost of going from step to step, and
// are as many as can be passed in registers.
inline constexpr size_t kTileVectors = 8;
template <class D>
inline constexpr size_t kVectorBytes = hn::MaxLanes(D()) * sizeof(LaneOf<D>);
template <class D>
inline constexpr size_t kTileBytes = kTileVectors* kVectorBytes<D>;

// The vectors of a tile: as parameters, as arguments, and MACRO(k, v) for each.
#define SPANFLOW_TILE(V) V v0, V v1, V v2, V v3, V v4, V v5, V v6, V v7
#define SPANFLOW_VECTORS v0, v1, v2, v3, v4, v5, v6, v7
#define SPANFLOW_EACH(MACRO) \
  MACRO(0, v0)               \
  MACRO(1, v1)               \
  MACRO(2, v2)               \
  MACRO(3, v3)               \
  MACRO(4, v4)               \
  MACRO(5, v5)               \
  MACRO(6, v6)               \
  MACRO(7, v7)

template <class D>
struct Step {
  using V = hn::Vec<D>;
  // Works on the tile at `offset` bytes, then calls step[1], unless it is the last one.
  void (*run)(const Step* step, size_t offset, SPANFLOW_TILE(V));
  std::array<const std::byte*, 3> at{};  // the operands that are not the result so far
  std::byte* out = nullptr;              // what the last step writes to
};

// ---- the operands of an operation ----

struct Running {  // the result so far
  template <class D, class V>
  static HWY_INLINE V Get(D, const std::byte*, size_t, V running) {
    return running;
  }
};

struct Stream {  // items one after the other
  template <class D, class V>
  static HWY_INLINE V Get(D d, const std::byte* at, size_t offset, V) {
    return Load(d, at + offset);
  }
};

struct Number {  // one item again and again
  template <class D, class V>
  static HWY_INLINE V Get(D d, const std::byte* at, size_t, V) {
    return Load(d, at);
  }
};

// ---- steps ----

template <class F, class D, class... Operand, size_t... kIndex>
HWY_INLINE hn::Vec<D> Apply(const Step<D>* step, size_t offset, hn::Vec<D> running,
                            std::index_sequence<kIndex...>) {
  const D d;
  return F()(d, Operand::Get(d, step->at[kIndex], offset, running)...);
}

template <class F, class D, class... Operand>
void DoStep(const Step<D>* step, size_t offset, SPANFLOW_TILE(hn::Vec<D>)) {
  constexpr auto kIndex = std::index_sequence_for<Operand...>();
#define SPANFLOW_APPLY(k, v) \
  v = Apply<F, D, Operand...>(step, offset + k * kVectorBytes<D>, v, kIndex);
  SPANFLOW_EACH(SPANFLOW_APPLY)
#undef SPANFLOW_APPLY
  return step[1].run(step + 1, offset, SPANFLOW_VECTORS);
}

template <class D>
void StoreTile(const Step<D>* step, size_t offset, SPANFLOW_TILE(hn::Vec<D>)) {
  std::byte* const out = step->out + offset;
#define SPANFLOW_STORE(k, v) Store(v, D(), out + k * kVectorBytes<D>);
  SPANFLOW_EACH(SPANFLOW_STORE)
#undef SPANFLOW_STORE
}

// To the sums that SumBlock keeps in registers; here there is one set of them for all tiles.
template <class D>
void AddTile(const Step<D>* step, size_t, SPANFLOW_TILE(hn::Vec<D>)) {
  std::byte* const sums = step->out;
#define SPANFLOW_ADD(k, v) \
  Store(hn::Add(Load(D(), sums + k * kVectorBytes<D>), v), D(), sums + k * kVectorBytes<D>);
  SPANFLOW_EACH(SPANFLOW_ADD)
#undef SPANFLOW_ADD
}

// ---- which step does a link ----

template <class D>
using StepFn = decltype(Step<D>::run);

// A functor may have a shorter form for operands, but the first, that are no NaN.
template <class F>
struct Bounded {
  using Type = F;
};
template <class F>
requires requires { typename F::Bounded; }
struct Bounded<F> {
  using Type = typename F::Bounded;
};

template <class D>
bool IsNumber(const ChainOperand& operand) {
  return operand.repeats && !std::isnan(LoadOne<LaneOf<D>>(operand.at));
}

template <class F, class D, class Second>
StepFn<D> ThirdOf(const ChainLink& link) {
  if (link.in[2].repeats) return &DoStep<F, D, Running, Second, Number>;
  return &DoStep<F, D, Running, Second, Stream>;
}

// For a link of which at least one operand is the result so far; of three it is the first.
template <class F, class D>
StepFn<D> StepOf(const ChainLink& link, std::integral_constant<int, 1>) {
  (void)link;
  return &DoStep<F, D, Running>;
}

template <class F, class D>
StepFn<D> StepOf(const ChainLink& link, std::integral_constant<int, 2>) {
  const ChainOperand& first = link.in[0];
  const ChainOperand& second = link.in[1];
  if (first.at != nullptr) {
    if (first.repeats) return &DoStep<F, D, Number, Running>;
    return &DoStep<F, D, Stream, Running>;
  }
  if (second.at == nullptr) return &DoStep<F, D, Running, Running>;
  using Short = typename Bounded<F>::Type;
  if (IsNumber<D>(second)) return &DoStep<Short, D, Running, Number>;
  if (second.repeats) return &DoStep<F, D, Running, Number>;
  return &DoStep<F, D, Running, Stream>;
}

template <class F, class D>
StepFn<D> StepOf(const ChainLink& link, std::integral_constant<int, 3>) {
  if (IsNumber<D>(link.in[1]) && IsNumber<D>(link.in[2])) {
    return &DoStep<typename Bounded<F>::Type, D, Running, Number, Number>;
  }
  if (link.in[1].repeats) return ThirdOf<F, D, Number>(link);
  return ThirdOf<F, D, Stream>(link);
}

template <class D>
StepFn<D> StepOf(const ChainLink& link) {
  switch (link.op) {
#define SPANFLOW_ROW(Name) \
  case Op::k##Name:        \
    return StepOf<Name, D>(link, std::integral_constant<int, InfoOf(Op::k##Name).arity>());
    SPANFLOW_CHAIN(SPANFLOW_ROW)
#undef SPANFLOW_ROW
    default:
      return nullptr;
  }
}

// ---- chains ----

// A chain that can be run: what its first link starts with, and its steps.
template <class T>
class Chain {
 public:
  using D = hn::ScalableTag<T>;
  static constexpr size_t kTile = kTileBytes<D>;

  // The results go to `end`, the last step, which writes to `out`.
  Chain(std::span<const ChainLink> links, StepFn<D> end, std::byte* out) {
    ChainLink first = links[0];
    const bool second_starts = InfoOf(first.op).arity == 2 && first.in[0].repeats;
    start_ = std::exchange(first.in[second_starts ? 1 : 0], ChainOperand());
    steps_[0] = StepFor(first);
    for (size_t i = 1; i < links.size(); ++i) steps_[i] = StepFor(links[i]);
    steps_[links.size()] = {end, {}, out};
  }

  // What is `ahead` of the tile is asked for meanwhile; 0: nothing.
  template <bool kAhead = false>
  void RunTile(size_t offset, size_t ahead = 0) const {
    const D d;
    if constexpr (kAhead) {
      if (!start_.repeats) PrefetchLines<kTile>(start_.at + offset + ahead);
    }
    const size_t first = start_.repeats ? 0 : offset;
    const size_t next = start_.repeats ? 0 : kVectorBytes<D>;
#define SPANFLOW_LOAD(k, v) const auto v = Load(d, start_.at + first + k * next);
    SPANFLOW_EACH(SPANFLOW_LOAD)
#undef SPANFLOW_LOAD
    steps_[0].run(steps_.data(), offset, SPANFLOW_VECTORS);
  }

 private:
  static Step<D> StepFor(const ChainLink& link) {
    return {StepOf<D>(link), {link.in[0].at, link.in[1].at, link.in[2].at}, nullptr};
  }

  ChainOperand start_;
  std::array<Step<D>, kMaxLinks + 1> steps_;
};

// Less than a tile, from `offset` bytes on: operands and the result go through buffers, so that
// nothing past the end is read or written.
template <class T>
HWY_NOINLINE void RunPart(std::span<const ChainLink> links, size_t offset, size_t nbytes,
                          std::byte* out) {
  constexpr size_t kTile = Chain<T>::kTile;
  if (nbytes == 0) return;
  alignas(64) std::byte copies[kMaxLinks * 2 + 1][kTile];
  alignas(64) std::byte result[kTile];
  std::array<ChainLink, kMaxLinks> moved;
  size_t used = 0;
  for (size_t i = 0; i < links.size(); ++i) {
    moved[i] = links[i];
    for (ChainOperand& operand : moved[i].in) {
      if (operand.at == nullptr || operand.repeats) continue;
      std::memcpy(copies[used], operand.at + offset, nbytes);
      std::memset(copies[used] + nbytes, 0, kTile - nbytes);
      operand.at = copies[used++];
    }
  }
  const Chain<T> chain(std::span<const ChainLink>(moved).first(links.size()), &StoreTile, result);
  chain.RunTile(0);
  std::memcpy(out, result, nbytes);
}

template <class T>
void RunChain(std::span<const ChainLink> links, void* output, size_t n) {
  constexpr size_t kTile = Chain<T>::kTile;
  auto* const out = static_cast<std::byte*>(output);
  const Chain<T> chain(links, &StoreTile, out);
  const size_t nbytes = n * sizeof(T);
  size_t offset = 0;
  for (; offset + kTile <= nbytes; offset += kTile) chain.RunTile(offset);
  RunPart<T>(links, offset, nbytes - offset, out + offset);
}

// ---- sums of chains: what Sum makes of their results ----

template <class T>
PartSums<T> SumBlockOf(const Chain<T>& chain, std::span<const ChainLink> links, size_t offset,
                       size_t lanes, size_t ahead, std::byte* sums) {
  constexpr size_t kTile = Chain<T>::kTile;
  const hn::ScalableTag<T> d;
  using D = decltype(d);
  for (size_t k = 0; k < kTileVectors; ++k) {
    Store(hn::Set(d, T(-0.0)), d, sums + k * kVectorBytes<D>);
  }
  const size_t end = offset + lanes * sizeof(T);
  for (; offset + kTile <= end; offset += kTile) {
    if (ahead != 0)
      chain.template RunTile<true>(offset, ahead);
    else
      chain.RunTile(offset);
  }
  alignas(64) std::byte rest[kTile];
  RunPart<T>(links, offset, end - offset, rest);
#define SPANFLOW_LOAD(k, v) const auto v = Load(d, sums + k * kVectorBytes<D>);
  SPANFLOW_EACH(SPANFLOW_LOAD)
#undef SPANFLOW_LOAD
  return FinishSums<false>(d, rest, (end - offset) / sizeof(T), SPANFLOW_VECTORS);
}

// The results of a block themselves.
template <class T>
HWY_NOINLINE void RunBlockOf(std::span<const ChainLink> links, size_t offset, size_t lanes,
                             std::byte* out) {
  std::array<ChainLink, kMaxLinks> moved;
  for (size_t i = 0; i < links.size(); ++i) {
    moved[i] = links[i];
    for (ChainOperand& operand : moved[i].in) {
      if (operand.at != nullptr && !operand.repeats) operand.at += offset;
    }
  }
  RunChain<T>(std::span<const ChainLink>(moved).first(links.size()), out, lanes);
}

template <class T>
void SumChain(std::span<const ChainLink> links, size_t n, Accumulator* acc) {
  FloatSum& sum = StateOf<FloatSum>(acc);
  sum.count += n;
  alignas(64) std::byte sums[Chain<T>::kTile];
  alignas(64) std::byte block[kSumBlock<T> * sizeof(T)];
  const Chain<T> chain(links, &AddTile, sums);
  for (size_t i = 0; i < n; i += kSumBlock<T>) {
    const size_t lanes = std::min(n - i, kSumBlock<T>);
    const PartSums<T> found =
        SumBlockOf<T>(chain, links, i * sizeof(T), lanes, Ahead<T>(n - i), sums);
    if (!std::isfinite(found.re)) RunBlockOf<T>(links, i * sizeof(T), lanes, block);
    AddBlock<false>(found, block, lanes, &sum);
  }
}

template <class T>
constexpr ChainKernel kKernelOf = {&RunChain<T>, &SumChain<T>};

void Fill(Tables* tables) {
  tables->chains[static_cast<size_t>(base::Kind::kF32)] = kKernelOf<float>;
  tables->chains[static_cast<size_t>(base::Kind::kF64)] = kKernelOf<double>;
}

#undef SPANFLOW_EACH
#undef SPANFLOW_VECTORS
#undef SPANFLOW_TILE

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Chains)
#endif
