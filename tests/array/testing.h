// What the tests of this room share: views of random layout over guarded memory, and element
// access that goes through none of the code under test.
//
// Owns: TestBlock owns its bytes. Threads: thread-hostile. Attached: not needed.
// Fails: an element access outside its block ends the test through the sanitizers, not here.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "array/elementwise.h"
#include "array/view.h"
#include "base/dtype.h"
#include "base/layout.h"
#include "memory/block.h"

namespace spanflow::array::testing {

using base::Dims;
using base::DType;
using base::Kind;
using base::Layout;

class TestBlock : public memory::Block {
 public:
  explicit TestBlock(int64_t nbytes, memory::BlockKind kind = memory::BlockKind::kHeap)
      : TestBlock(std::make_unique<std::byte[]>(static_cast<size_t>(nbytes)), nbytes, kind) {}

  uint64_t faults() const override { return faults_; }
  std::string description() const override { return "/data/test.bin"; }
  void LosePage() { ++faults_; }

 private:
  TestBlock(std::unique_ptr<std::byte[]> bytes, int64_t nbytes, memory::BlockKind kind)
      : Block(bytes.get(), nbytes, kind, false), bytes_(std::move(bytes)) {}
  void ReleaseBytes() noexcept override { bytes_.reset(); }

  std::unique_ptr<std::byte[]> bytes_;
  uint64_t faults_ = 0;
};

// Elementwise over views that lie behind one another.
inline base::Status ElementwiseOf(simd::Op op, std::span<const View> in, Kind compute,
                                  const View& out, const RunOptions& options = {}) {
  std::vector<const View*> views;
  for (const View& view : in) views.push_back(&view);
  return Elementwise(op, views, compute, out, options);
}

// How often a random case is tried: less where every step is watched.
constexpr int Trials(int count) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  return count / 10;
#else
  return count;
#endif
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int64_t Pick(int64_t low, int64_t high) {  // both included
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  bool Chance(int percent) { return Pick(1, 100) <= percent; }
  template <class T>
  const T& Among(const std::vector<T>& values) {
    return values[static_cast<size_t>(Pick(0, static_cast<int64_t>(values.size()) - 1))];
  }
  Kind AnyKind() { return static_cast<Kind>(Pick(0, base::kNumKinds - 1)); }
  DType AnyDType() {
    const Kind kind = AnyKind();
    return DType(kind, base::InfoOf(kind).swap_unit > 1 && Chance(40));
  }
  std::mt19937_64& engine() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

inline View MakeView(DType dtype, const Dims& shape) {
  View view;
  view.layout = Layout::Contiguous(std::move(dtype), shape).value();
  auto* block = new TestBlock(std::max<int64_t>(view.layout.nbytes(), 1));
  view.block = memory::BlockRef::Adopt(block);
  view.data = block->address();
  return view;
}

struct LayoutChoice {
  bool repeat = false;  // some axes may have stride 0
};

// Axes in any order, with gaps, backwards, at any address.
inline View RandomView(Random& random, const DType& dtype, const Dims& shape,
                       LayoutChoice choice = {}) {
  std::vector<int> axes(static_cast<size_t>(shape.size()));
  std::iota(axes.begin(), axes.end(), 0);
  if (random.Chance(50)) std::shuffle(axes.begin(), axes.end(), random.engine());
  View view;
  view.layout = Layout{dtype, shape, Dims(shape.size(), 0)};
  int64_t span = dtype.itemsize();
  int64_t first = 0;
  for (size_t i = axes.size(); i-- > 0;) {
    const int64_t extent = shape[axes[i]];
    if (choice.repeat && random.Chance(15)) continue;
    const int64_t step = span + (random.Chance(30) ? random.Pick(1, 2) * dtype.itemsize() : 0) +
                         (random.Chance(10) ? random.Pick(1, 3) : 0);
    const bool backwards = random.Chance(25);
    view.layout.strides[axes[i]] = backwards ? -step : step;
    if (backwards && extent > 1) first += (extent - 1) * step;
    span = step * std::max<int64_t>(extent, 1);
  }
  const int64_t shift = random.Chance(30) ? random.Pick(1, 15) : 0;
  auto* block = new TestBlock(span + shift + 64);
  std::memset(block->address(), 0xA5, static_cast<size_t>(block->nbytes()));
  view.block = memory::BlockRef::Adopt(block);
  view.data = block->address() + shift + first;
  return view;
}

inline Dims RandomShape(Random& random, int max_ndim) {
  Dims shape;
  const int ndim = static_cast<int>(random.Pick(0, max_ndim));
  const int long_axis = random.Chance(40) ? static_cast<int>(random.Pick(0, max_ndim)) : -1;
  for (int i = 0; i < ndim; ++i) {
    if (i == long_axis)
      shape.push_back(random.Pick(200, 2500));
    else
      shape.push_back(random.Chance(3) ? 0 : random.Pick(1, 6));
  }
  return shape;
}

template <class F>
void ForEachIndex(const Dims& shape, const F& visit) {
  for (int64_t extent : shape) {
    if (extent == 0) return;
  }
  Dims index(shape.size(), 0);
  while (true) {
    visit(index);
    int i = shape.size() - 1;
    for (; i >= 0 && ++index[i] == shape[i]; --i) index[i] = 0;
    if (i < 0) return;
  }
}

// `index` may be longer than the view's rank (broadcasting), sizes of 1 are repeated.
inline std::byte* AddressOf(const View& view, const Dims& index) {
  std::byte* address = view.data;
  const int extra = index.size() - view.ndim();
  for (int i = 0; i < view.ndim(); ++i) {
    if (view.layout.shape[i] != 1) address += index[extra + i] * view.layout.strides[i];
  }
  return address;
}

inline double HalfToDouble(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                           : exponent == 31 ? (fraction != 0 ? NAN : INFINITY)
                                            : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

inline uint16_t DoubleToHalf(double value) {  // exact values only
  if (value == 0) return 0;
  int exponent;
  const double fraction = std::frexp(std::fabs(value), &exponent);  // [0.5, 1)
  const auto mantissa = static_cast<int>(std::ldexp(fraction, 11)) - 1024;
  return static_cast<uint16_t>((value < 0 ? 0x8000 : 0) | ((exponent + 14) << 10) | mantissa);
}

template <class T>
T Load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

inline void SwapParts(const DType& dtype, std::byte* item) {
  if (!dtype.swapped()) return;
  const int unit = base::InfoOf(dtype.kind()).swap_unit;
  for (int64_t at = 0; at < dtype.itemsize(); at += unit) std::reverse(item + at, item + at + unit);
}

// The real part, as a double.
inline double GetAt(const DType& dtype, const std::byte* address) {
  std::byte item[16];
  std::memcpy(item, address, static_cast<size_t>(dtype.itemsize()));
  SwapParts(dtype, item);
  switch (dtype.kind()) {
    case Kind::kBool:
      return Load<uint8_t>(item) != 0 ? 1 : 0;
    case Kind::kI8:
      return Load<int8_t>(item);
    case Kind::kU8:
      return Load<uint8_t>(item);
    case Kind::kI16:
      return Load<int16_t>(item);
    case Kind::kU16:
      return Load<uint16_t>(item);
    case Kind::kI32:
      return Load<int32_t>(item);
    case Kind::kU32:
      return Load<uint32_t>(item);
    case Kind::kI64:
      return static_cast<double>(Load<int64_t>(item));
    case Kind::kU64:
      return static_cast<double>(Load<uint64_t>(item));
    case Kind::kF16:
      return HalfToDouble(Load<uint16_t>(item));
    case Kind::kBF16:
      return std::bit_cast<float>(uint32_t{Load<uint16_t>(item)} << 16);
    case Kind::kF32:
    case Kind::kC64:
      return Load<float>(item);
    default:
      return Load<double>(item);
  }
}

inline void SetAt(const DType& dtype, std::byte* address, double value) {
  std::byte item[16] = {};
  const auto put = [&](auto typed) { std::memcpy(item, &typed, sizeof typed); };
  switch (dtype.kind()) {
    case Kind::kBool:
      put(static_cast<uint8_t>(value != 0));
      break;
    case Kind::kI8:
      put(static_cast<int8_t>(value));
      break;
    case Kind::kU8:
      put(static_cast<uint8_t>(value));
      break;
    case Kind::kI16:
      put(static_cast<int16_t>(value));
      break;
    case Kind::kU16:
      put(static_cast<uint16_t>(value));
      break;
    case Kind::kI32:
      put(static_cast<int32_t>(value));
      break;
    case Kind::kU32:
      put(static_cast<uint32_t>(value));
      break;
    case Kind::kI64:
      put(static_cast<int64_t>(value));
      break;
    case Kind::kU64:
      put(static_cast<uint64_t>(value));
      break;
    case Kind::kF16:
      put(DoubleToHalf(value));
      break;
    case Kind::kBF16:
      put(static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(value)) >> 16));
      break;
    case Kind::kF32:
    case Kind::kC64:
      put(static_cast<float>(value));
      break;
    default:
      put(value);
      break;
  }
  SwapParts(dtype, item);
  std::memcpy(address, item, static_cast<size_t>(dtype.itemsize()));
}

inline double Get(const View& view, const Dims& index) {
  return GetAt(view.dtype(), AddressOf(view, index));
}
inline void Set(const View& view, const Dims& index, double value) {
  SetAt(view.dtype(), AddressOf(view, index), value);
}

// Small whole numbers: exact in every kind.
inline void FillSmall(Random& random, const View& view, int64_t low = 0, int64_t high = 11) {
  ForEachIndex(view.layout.shape, [&](const Dims& index) {
    Set(view, index, static_cast<double>(random.Pick(low, high)));
  });
}

inline double CastSmall(double value, Kind kind) {
  return kind == Kind::kBool ? (value != 0 ? 1 : 0) : value;
}

// Remembers a block's bytes and says whether any byte outside the view's elements has changed.
class Guard {
 public:
  explicit Guard(const View& view) : view_(view), before_(Bytes()) {}
  bool OnlyElementsChanged() const {
    std::vector<std::byte> now = Bytes(), expected = before_;
    ForEachIndex(view_.layout.shape, [&](const Dims& index) {
      const int64_t at = AddressOf(view_, index) - view_.block->address();
      std::copy_n(now.begin() + at, view_.dtype().itemsize(), expected.begin() + at);
    });
    return now == expected;
  }

 private:
  std::vector<std::byte> Bytes() const {
    const std::byte* bytes = view_.block->address();
    return {bytes, bytes + view_.block->nbytes()};
  }
  const View& view_;
  std::vector<std::byte> before_;
};

}  // namespace spanflow::array::testing
