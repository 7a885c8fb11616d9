// Kernels that move items without looking at them: gather, scatter, byte swap.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/move.cc"
#include "hwy/foreach_target.h"
#include "simd/blocks-inl.h"
#include "simd/tables.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

// ---- gather and scatter ----

// An item as the machine moves it.
template <size_t kBytes>
struct Bytes {
  std::byte bytes[kBytes];
};

template <size_t kBytes>
HWY_INLINE void MoveItem(const std::byte* from, std::byte* to) {
  std::memcpy(to, from, kBytes);
}

// Four items are read before they are written: the loads overlap in time.
template <size_t kBytes>
void MoveItems(const std::byte* in, ptrdiff_t in_stride, std::byte* out, ptrdiff_t out_stride,
               size_t n) {
  using Item = Bytes<kBytes>;
  for (; n >= 4; n -= 4) {
    const Item a = LoadOne<Item>(in);
    const Item b = LoadOne<Item>(in + in_stride);
    const Item c = LoadOne<Item>(in + 2 * in_stride);
    const Item d = LoadOne<Item>(in + 3 * in_stride);
    StoreOne(a, out);
    StoreOne(b, out + out_stride);
    StoreOne(c, out + 2 * out_stride);
    StoreOne(d, out + 3 * out_stride);
    in += 4 * in_stride;
    out += 4 * out_stride;
  }
  for (; n != 0; --n, in += in_stride, out += out_stride) MoveItem<kBytes>(in, out);
}

void MoveAnyItems(const std::byte* in, ptrdiff_t in_stride, std::byte* out, ptrdiff_t out_stride,
                  size_t itemsize, size_t n) {
  const ptrdiff_t contiguous = static_cast<ptrdiff_t>(itemsize);
  if (in_stride == contiguous && out_stride == contiguous) {
    std::memcpy(out, in, n * itemsize);
    return;
  }
  switch (itemsize) {
    case 1:
      return MoveItems<1>(in, in_stride, out, out_stride, n);
    case 2:
      return MoveItems<2>(in, in_stride, out, out_stride, n);
    case 4:
      return MoveItems<4>(in, in_stride, out, out_stride, n);
    case 8:
      return MoveItems<8>(in, in_stride, out, out_stride, n);
    case 16:
      return MoveItems<16>(in, in_stride, out, out_stride, n);
    default:
      for (; n != 0; --n, in += in_stride, out += out_stride) std::memcpy(out, in, itemsize);
  }
}

#if HWY_TARGET != HWY_SCALAR

// Every other item. The last vector is left to the caller, because nothing is mapped for sure
// after the last item. Returns how many items were done.
template <class T>
size_t GatherEven(const std::byte* in, std::byte* out, size_t n) {
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  size_t i = 0;
  for (; i + kLanes < n; i += kLanes) {
    const auto low = Load(d, in + 2 * i * sizeof(T));
    const auto high = Load(d, in + (2 * i + kLanes) * sizeof(T));
    Store(hn::ConcatEven(d, high, low), d, out + i * sizeof(T));
  }
  return i;
}

// Every third or fourth item, as pixels and records have them.
template <class T, size_t kStep>
size_t GatherOneOf(const std::byte* in, std::byte* out, size_t n) {
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  size_t i = 0;
  for (; i + kLanes < n; i += kLanes) {
    const T* const from = reinterpret_cast<const T*>(in + kStep * i * sizeof(T));
    hn::Vec<decltype(d)> first, second, third;
    if constexpr (kStep == 3) {
      hn::LoadInterleaved3(d, from, first, second, third);
    } else {
      hn::Vec<decltype(d)> fourth;
      hn::LoadInterleaved4(d, from, first, second, third, fourth);
    }
    Store(first, d, out + i * sizeof(T));
  }
  return i;
}

// Back to front: `in` is the first item read, the others lie before it.
template <class T>
size_t GatherReversed(const std::byte* in, std::byte* out, size_t n) {
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const auto v = Load(d, in - (i + kLanes - 1) * sizeof(T));
    Store(hn::Reverse(d, v), d, out + i * sizeof(T));
  }
  return i;
}

template <class T>
HWY_INLINE size_t GatherVectors(const std::byte* in, ptrdiff_t stride, std::byte* out, size_t n) {
  constexpr ptrdiff_t kBytes = sizeof(T);
  if (stride == 2 * kBytes) return GatherEven<T>(in, out, n);
  if (stride == 3 * kBytes) return GatherOneOf<T, 3>(in, out, n);
  if (stride == 4 * kBytes) return GatherOneOf<T, 4>(in, out, n);
  if constexpr (sizeof(T) > 1) {  // Highway 1.0.3 does not reverse bytes
    if (stride == -kBytes) return GatherReversed<T>(in, out, n);
  }
  return 0;
}

#else

template <class T>
HWY_INLINE size_t GatherVectors(const std::byte*, ptrdiff_t, std::byte*, size_t) {
  return 0;
}

#endif

// One item again and again: what was written so far is copied behind itself.
void Repeat(const std::byte* in, size_t itemsize, std::byte* out, size_t n) {
  if (n == 0) return;
  std::memcpy(out, in, itemsize);
  const size_t total = n * itemsize;
  constexpr size_t kMost = 4096;  // the copied part stays in L1
  for (size_t done = itemsize; done < total;) {
    const size_t piece =
        std::min({done, total - done, std::max(kMost / itemsize, size_t{1}) * itemsize});
    std::memcpy(out + done, out, piece);
    done += piece;
  }
}

void GatherItems(const std::byte* in, ptrdiff_t stride, size_t itemsize, std::byte* out, size_t n) {
  if (stride == 0) return Repeat(in, itemsize, out, n);
  size_t done = 0;
  switch (itemsize) {
    case 1:
      done = GatherVectors<uint8_t>(in, stride, out, n);
      break;
    case 2:
      done = GatherVectors<uint16_t>(in, stride, out, n);
      break;
    case 4:
      done = GatherVectors<uint32_t>(in, stride, out, n);
      break;
    case 8:
      done = GatherVectors<uint64_t>(in, stride, out, n);
      break;
    default:
      break;
  }
  MoveAnyItems(in + static_cast<ptrdiff_t>(done) * stride, stride, out + done * itemsize,
               static_cast<ptrdiff_t>(itemsize), itemsize, n - done);
}

void ScatterItems(const std::byte* in, std::byte* out, ptrdiff_t stride, size_t itemsize,
                  size_t n) {
  MoveAnyItems(in, static_cast<ptrdiff_t>(itemsize), out, stride, itemsize, n);
}

// ---- byte swap ----

template <class T>
struct SwapStep {
#if HWY_TARGET == HWY_SCALAR
  static constexpr size_t kItems = 32 / sizeof(T);
#else
  static constexpr size_t kItems = hn::MaxLanes(hn::ScalableTag<T>());
#endif
  static constexpr std::array<size_t, 1> kIn = {sizeof(T)};
  static constexpr size_t kOut = sizeof(T);

  static HWY_INLINE T SwapOne(T value) {
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
  }

  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
#if HWY_TARGET == HWY_SCALAR
    T items[kItems];
    for (size_t i = 0; i < kItems; ++i) items[i] = SwapOne(LoadOne<T>(in[0] + i * sizeof(T)));
    std::memcpy(out, items, sizeof(items));
#else
    const hn::ScalableTag<uint8_t> d;
    alignas(16) static constexpr std::array<uint8_t, 16> kOrder = [] {
      std::array<uint8_t, 16> order{};
      for (size_t i = 0; i < 16; ++i) {
        order[i] = static_cast<uint8_t>(i / sizeof(T) * sizeof(T) + sizeof(T) - 1 - i % sizeof(T));
      }
      return order;
    }();
    Store(hn::TableLookupBytes(Load(d, in[0]), hn::LoadDup128(d, kOrder.data())), d, out);
#endif
  }
};

template <class T>
void Swap(const void* in, void* out, size_t n) {
  const void* const inputs[1] = {in};
  Run<SwapStep<T>>(inputs, out, n);
}

void Fill(Tables* tables) {
  tables->byte_swaps[2] = &Swap<uint16_t>;
  tables->byte_swaps[4] = &Swap<uint32_t>;
  tables->byte_swaps[8] = &Swap<uint64_t>;
  tables->gather = &GatherItems;
  tables->scatter = &ScatterItems;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Moves)
#endif
