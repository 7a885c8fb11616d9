// Gather, scatter, compress, byte swap and the count of a mask, byte by byte.
#include <algorithm>
#include <memory>

#include "testing.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

constexpr std::byte kCanary{0xA5};

std::vector<std::byte> RandomBytes(Engine& engine, size_t n) {
  std::vector<std::byte> bytes(n);
  for (std::byte& b : bytes) b = static_cast<std::byte>(engine());
  return bytes;
}

std::vector<ptrdiff_t> Strides(size_t itemsize) {
  const auto size = static_cast<ptrdiff_t>(itemsize);
  return {0,        size,     -size,    2 * size,     -2 * size,
          3 * size, 4 * size, size + 1, 5 * size + 3, -7 * size};
}

// What n items with this stride span: how many bytes, and where the first item lies in them.
struct Span {
  size_t bytes, first;
};
Span SpanOf(size_t n, ptrdiff_t stride, size_t itemsize) {
  if (n == 0) return {0, 0};
  const size_t reach = (n - 1) * static_cast<size_t>(std::abs(stride));
  return {reach + itemsize, stride < 0 ? reach : 0};
}

class Moves : public OnTarget {};

void CheckGather(Engine& engine, GuardedBytes& source, GuardedBytes& target, size_t itemsize,
                 ptrdiff_t stride, size_t n) {
  const Span span = SpanOf(n, stride, itemsize);
  const std::vector<std::byte> bytes = RandomBytes(engine, span.bytes);
  for (const bool at_end : {true, false}) {
    const std::byte* const in = source.Put(bytes.data(), bytes.size(), at_end) + span.first;
    std::byte* const out = at_end ? target.Before(n * itemsize) : target.Start();
    std::byte* const near = at_end ? out - 32 : out + n * itemsize;
    std::fill_n(near, 32, kCanary);
    Gather(in, stride, itemsize, out, n);
    for (size_t i = 0; i < n; ++i) {
      const std::byte* const item = in + static_cast<ptrdiff_t>(i) * stride;
      ASSERT_EQ(std::memcmp(out + i * itemsize, item, itemsize), 0) << i;
    }
    ASSERT_TRUE(std::all_of(near, near + 32, [](std::byte b) { return b == kCanary; }));
  }
}

TEST_P(Moves, Gather) {
  Engine engine(1);
  GuardedBytes source(400 * 300 * 5), target(400 * 300);
  for (size_t itemsize = 1; itemsize <= 24; ++itemsize) {
    for (const ptrdiff_t stride : Strides(itemsize)) {
      SCOPED_TRACE(std::to_string(itemsize) + " bytes, stride " + std::to_string(stride));
      for (const size_t n : std::initializer_list<size_t>{
               0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 257}) {
        CheckGather(engine, source, target, itemsize, stride, n);
        if (HasFatalFailure()) return;
      }
    }
  }
  CheckGather(engine, source, target, 300, 301, 20);
}

TEST_P(Moves, Scatter) {
  Engine engine(2);
  GuardedBytes source(257 * 24), target(257 * 24 * 8);
  for (size_t itemsize = 1; itemsize <= 24; ++itemsize) {
    for (const ptrdiff_t stride : Strides(itemsize)) {
      if (stride == 0) continue;
      SCOPED_TRACE(std::to_string(itemsize) + " bytes, stride " + std::to_string(stride));
      for (const size_t n : std::initializer_list<size_t>{0, 1, 3, 4, 5, 64, 67, 257}) {
        const Span span = SpanOf(n, stride, itemsize);
        const std::vector<std::byte> items = RandomBytes(engine, n * itemsize);
        std::vector<std::byte> expected(span.bytes, kCanary);
        for (size_t i = 0; i < n; ++i) {
          const ptrdiff_t at =
              static_cast<ptrdiff_t>(span.first) + static_cast<ptrdiff_t>(i) * stride;
          std::memcpy(expected.data() + at, items.data() + i * itemsize, itemsize);
        }
        const std::byte* const in = source.Put(items.data(), items.size(), true);
        std::byte* const out = target.Before(span.bytes);
        std::fill_n(out, span.bytes, kCanary);
        Scatter(in, out + span.first, stride, itemsize, n);
        ASSERT_TRUE(std::equal(expected.begin(), expected.end(), out)) << n;
      }
    }
  }
}

// Exactly as much room as the kept items need lies before the guard page.
void CheckCompress(Engine& engine, GuardedBytes& source, GuardedBytes& flags, GuardedBytes& target,
                   size_t itemsize, size_t n, int percent) {
  const std::vector<std::byte> items = RandomBytes(engine, n * itemsize);
  std::vector<uint8_t> mask(n);
  std::vector<std::byte> expected;
  for (size_t i = 0; i < n; ++i) {
    const bool keep = static_cast<int>(engine() % 100) < percent;
    mask[i] = keep ? static_cast<uint8_t>(1 + engine() % 255) : uint8_t{0};
    const auto item = items.begin() + static_cast<ptrdiff_t>(i * itemsize);
    if (keep) expected.insert(expected.end(), item, item + static_cast<ptrdiff_t>(itemsize));
  }
  const std::byte* const in = source.Put(items.data(), items.size(), true);
  const auto* const flag = reinterpret_cast<const uint8_t*>(flags.Put(mask.data(), n, true));
  std::byte* const out = target.Before(expected.size());
  std::fill_n(out - 32, 32, kCanary);
  ASSERT_EQ(Compress(in, itemsize, flag, n, out), expected.size() / itemsize);
  ASSERT_TRUE(std::equal(expected.begin(), expected.end(), out)) << n << " " << percent << "%";
  ASSERT_TRUE(std::all_of(out - 32, out, [](std::byte b) { return b == kCanary; }));
  ASSERT_EQ(CountTrue(flag, n), expected.size() / itemsize);
  std::vector<std::byte> both = items;
  Compress(both.data(), itemsize, mask.data(), n, both.data());
  ASSERT_TRUE(std::equal(expected.begin(), expected.end(), both.begin())) << "in place";
}

TEST_P(Moves, CompressAndCount) {
  Engine engine(3);
  GuardedBytes source(5000 * 24), flags(5000), target(5000 * 24);
  for (const size_t itemsize : std::initializer_list<size_t>{1, 2, 3, 4, 5, 8, 12, 16, 24}) {
    SCOPED_TRACE(itemsize);
    for (const int percent : {0, 1, 10, 50, 90, 99, 100}) {
      for (const size_t n : Lengths(64)) {
        if (n > 70 && n % 7 != 0) continue;
        CheckCompress(engine, source, flags, target, itemsize, n, percent);
        if (HasFatalFailure()) return;
      }
      CheckCompress(engine, source, flags, target, itemsize, 4999, percent);
    }
  }
  const uint8_t mask[] = {1, 0, 1};
  EXPECT_EQ(Compress(nullptr, 0, mask, 3, nullptr), 2u);
}

TEST_P(Moves, ByteSwap) {
  Engine engine(4);
  GuardedBytes source(5000 * 8), target(5000 * 8);
  for (const int unit : {2, 4, 8}) {
    const auto size = static_cast<size_t>(unit);
    std::vector<size_t> lengths = Lengths(32);
    lengths.push_back(4999);
    for (const size_t n : lengths) {
      const std::vector<std::byte> bytes = RandomBytes(engine, n * size);
      std::vector<std::byte> expected = bytes;
      for (size_t i = 0; i < n; ++i) {
        const auto item = expected.begin() + static_cast<ptrdiff_t>(i * size);
        std::reverse(item, item + unit);
      }
      std::byte* const in = source.Put(bytes.data(), bytes.size(), n % 2 == 0);
      std::byte* const out = target.Before(n * size);
      std::fill_n(out - 32, 32, kCanary);
      FindByteSwap(unit)(in, out, n);
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), out)) << n << " of " << unit;
      ASSERT_TRUE(std::all_of(out - 32, out, [](std::byte b) { return b == kCanary; }));
      FindByteSwap(unit)(in, in, n);
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), in)) << "in place";
    }
  }
}

SPANFLOW_ON_EVERY_TARGET(Moves);

}  // namespace
}  // namespace spanflow::simd
