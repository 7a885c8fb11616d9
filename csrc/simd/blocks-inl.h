// The loops around kernels: full vectors, tails, in-place runs and streaming stores. Compiled once
// per SIMD target.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed. Fails: never.
//
// A Step is the body of a kernel:
//   static constexpr size_t kItems;                        // items that one Do takes
//   static constexpr std::array<size_t, kArity> kIn;       // bytes of an item of each input
//   static constexpr size_t kOut;                          // bytes of an item of the output
//   static void Do(const std::byte* const* in, std::byte* out);   // reads all, then writes
// An input whose items have 0 bytes is one item, the same for every Do.
#if defined(SPANFLOW_SIMD_BLOCKS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SPANFLOW_SIMD_BLOCKS_INL_H_
#undef SPANFLOW_SIMD_BLOCKS_INL_H_
#else
#define SPANFLOW_SIMD_BLOCKS_INL_H_
#endif

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "simd/kernels.h"
#include "simd/lanes.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
using LaneOf = hn::TFromD<D>;

// One item from memory of any alignment.
template <class T>
HWY_INLINE T LoadOne(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

template <class T>
HWY_INLINE void StoreOne(T value, std::byte* to) {
  std::memcpy(to, &value, sizeof(T));
}

// A vector from or to memory of any alignment. The one-lane target would dereference the pointer
// as it is, which the compiler may take for a promise of alignment.
template <class D>
HWY_INLINE hn::Vec<D> Load(D d, const std::byte* from) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(d, LoadOne<LaneOf<D>>(from));
#else
  return hn::LoadU(d, reinterpret_cast<const LaneOf<D>*>(from));
#endif
}

template <class D>
HWY_INLINE void Store(hn::Vec<D> v, D d, std::byte* to) {
#if HWY_TARGET == HWY_SCALAR
  (void)d;
  StoreOne(hn::GetLane(v), to);
#else
  hn::StoreU(v, d, reinterpret_cast<LaneOf<D>*>(to));
#endif
}

// One vector of real and one of imaginary parts.
template <class V>
struct Pair {
  V re, im;
};

template <class D>
HWY_INLINE Pair<hn::Vec<D>> LoadPair(D d, const std::byte* from) {
  using T = LaneOf<D>;
#if HWY_TARGET == HWY_SCALAR
  return {hn::Set(d, LoadOne<T>(from)), hn::Set(d, LoadOne<T>(from + sizeof(T)))};
#else
  Pair<hn::Vec<D>> pair;
  hn::LoadInterleaved2(d, reinterpret_cast<const T*>(from), pair.re, pair.im);
  return pair;
#endif
}

template <class D>
HWY_INLINE void StorePair(Pair<hn::Vec<D>> pair, D d, std::byte* to) {
  using T = LaneOf<D>;
#if HWY_TARGET == HWY_SCALAR
  (void)d;
  StoreOne(hn::GetLane(pair.re), to);
  StoreOne(hn::GetLane(pair.im), to + sizeof(T));
#else
  hn::StoreInterleaved2(pair.re, pair.im, d, reinterpret_cast<T*>(to));
#endif
}

// As many bool bytes as a vector of D has lanes.
template <class D>
using BoolTag = hn::Rebind<uint8_t, D>;

// Any byte but 0 is true, also where memory from elsewhere holds something else than 0 and 1.
template <class D>
HWY_INLINE hn::Vec<D> LoadBools(D d, const std::byte* from) {
  static_assert(sizeof(LaneOf<D>) == 1);
  return hn::Min(Load(d, from), hn::Set(d, 1));
}

// Bool bytes as a mask for lanes of D (unsigned lanes of any width).
template <class D>
HWY_INLINE hn::Mask<D> LoadMask(D d, const std::byte* from) {
  const BoolTag<D> d8;
  const auto bytes = Load(d8, from);
  if constexpr (sizeof(LaneOf<D>) == 1) {
    return hn::Ne(bytes, hn::Zero(d8));
  } else if constexpr (sizeof(LaneOf<D>) == 8) {
    const hn::Rebind<uint32_t, D> d32;
    return hn::Ne(hn::PromoteTo(d, hn::PromoteTo(d32, bytes)), hn::Zero(d));
  } else {
    return hn::Ne(hn::PromoteTo(d, bytes), hn::Zero(d));
  }
}

// A mask as bool bytes.
template <class D>
HWY_INLINE void StoreMask(hn::Mask<D> mask, D d, std::byte* to) {
  const BoolTag<D> d8;
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  // The mask registers need no conversion, only another name.
  hn::Mask<BoolTag<D>> mask8;
  mask8.raw = static_cast<decltype(mask8.raw)>(mask.raw);
  Store(hn::IfThenElseZero(mask8, hn::Set(d8, 1)), d8, to);
#else
  const hn::RebindToUnsigned<D> du;
  const auto wide = hn::BitCast(du, hn::VecFromMask(d, mask));
  if constexpr (sizeof(LaneOf<D>) == 1) {
    Store(hn::And(wide, hn::Set(d8, 1)), d8, to);
  } else {
    Store(hn::And(hn::TruncateTo(d8, wide), hn::Set(d8, 1)), d8, to);
  }
#endif
}

// The loop of a kernel; n is a multiple of Step::kItems.
template <class Step>
void RunWhole(const void* const* inputs, void* output, size_t n) {
  constexpr size_t kArity = Step::kIn.size();
  constexpr size_t kItems = Step::kItems;
  const std::byte* in[kArity];
  for (size_t k = 0; k < kArity; ++k) in[k] = static_cast<const std::byte*>(inputs[k]);
  std::byte* out = static_cast<std::byte*>(output);
  for (size_t i = 0; i < n; i += kItems) {
    const std::byte* at[kArity];
    for (size_t k = 0; k < kArity; ++k) at[k] = in[k] + i * Step::kIn[k];
    Step::Do(at, out + i * Step::kOut);
  }
}

// What the code around the loop has to know of a Step, so that it exists once and not per kernel.
struct StepShape {
  ElementwiseFn run_whole;
  size_t items;
  size_t arity;
  std::array<size_t, 3> in;
  size_t out;
};
inline constexpr size_t kMaxStepBytes = 256;

template <class Step>
inline constexpr StepShape kStepShape = [] {
  static_assert(Step::kItems * Step::kOut <= kMaxStepBytes);
  StepShape shape = {&RunWhole<Step>, Step::kItems, Step::kIn.size(), {}, Step::kOut};
  for (size_t k = 0; k < shape.arity; ++k) shape.in[k] = Step::kIn[k];
  return shape;
}();

// The inputs from item `i` on.
struct Inputs {
  const void* at[3];
  Inputs(const StepShape& shape, const void* const* inputs, size_t i) : at() {
    for (size_t k = 0; k < shape.arity; ++k) {
      at[k] = static_cast<const std::byte*>(inputs[k]) + i * shape.in[k];
    }
  }
};

// Fewer items than one step takes: they go through buffers, so that nothing past the end is read
// or written.
HWY_NOINLINE inline void RunShort(const StepShape& shape, const void* const* inputs, void* output,
                                  size_t n) {
  alignas(64) std::byte copies[3][kMaxStepBytes];
  alignas(64) std::byte results[kMaxStepBytes];
  const void* at[3];
  for (size_t k = 0; k < shape.arity; ++k) {
    at[k] = inputs[k];
    if (shape.in[k] == 0) continue;
    const size_t used = n * shape.in[k];
    std::memcpy(copies[k], inputs[k], used);
    std::memset(copies[k] + used, 0, shape.items * shape.in[k] - used);
    at[k] = copies[k];
  }
  shape.run_whole(at, results, shape.items);
  std::memcpy(output, results, n * shape.out);
}

// The tail is the last whole step, which overlaps the one before. It is computed before the loop,
// while an input that is also the output is still as it was, and stored after it.
HWY_NOINLINE inline void RunWithTail(const StepShape& shape, const void* const* inputs,
                                     void* output, size_t n) {
  if (n < shape.items) {
    if (n != 0) RunShort(shape, inputs, output, n);
    return;
  }
  alignas(64) std::byte last[kMaxStepBytes];
  const size_t tail = n - shape.items;
  shape.run_whole(Inputs(shape, inputs, tail).at, last, shape.items);
  shape.run_whole(inputs, output, n - n % shape.items);
  std::memcpy(static_cast<std::byte*>(output) + tail * shape.out, last, shape.items * shape.out);
}

template <class Step>
void Run(const void* const* inputs, void* output, size_t n) {
  if (n % Step::kItems == 0) {
    RunWhole<Step>(inputs, output, n);
  } else {
    RunWithTail(kStepShape<Step>, inputs, output, n);
  }
}

// Copies past the caches. `to` is aligned to a vector; the bytes after the last full one are copied
// as usual.
HWY_INLINE void StreamCopy(const std::byte* HWY_RESTRICT from, std::byte* to, size_t nbytes) {
  const hn::ScalableTag<uint8_t> d;
  const size_t step = hn::Lanes(d);
  size_t i = 0;
  for (; i + step <= nbytes; i += step) {
    hn::Stream(hn::Load(d, reinterpret_cast<const uint8_t*>(from + i)), d,
               reinterpret_cast<uint8_t*>(to + i));
  }
  std::memcpy(to + i, from + i, nbytes - i);
}

// Results are made in L1 and streamed out from there, which needs no second form of any kernel.
// Whoever calls it flushes at the end of its work: a flush for each call would wait for memory.
HWY_NOINLINE inline void StreamBlocks(const StepShape& shape, ElementwiseFn run,
                                      const void* const* inputs, void* output, size_t n) {
  constexpr size_t kLine = 64;
  constexpr size_t kBlockBytes = 4096;
  const size_t block_items = kBlockBytes / shape.out;
  const size_t misaligned = reinterpret_cast<uintptr_t>(output) % kLine;
  const size_t head = misaligned == 0 ? 0 : (kLine - misaligned) / shape.out;
  if (misaligned % shape.out != 0 || n < head + block_items) {
    run(inputs, output, n);
    return;
  }
  alignas(kLine) std::byte block[kBlockBytes];
  std::byte* const out = static_cast<std::byte*>(output);
  run(inputs, out, head);
  for (size_t i = head; i < n; i += block_items) {
    const size_t items = std::min(block_items, n - i);
    run(Inputs(shape, inputs, i).at, block, items);
    StreamCopy(block, out + i * shape.out, items * shape.out);
  }
}

template <class Step>
void RunStreamed(const void* const* inputs, void* output, size_t n) {
  StreamBlocks(kStepShape<Step>, &Run<Step>, inputs, output, n);
}

}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
