// Chains give the bits that their operations give one after the other, on every target, and touch
// nothing else; and the passes of the lab move all their bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "testing.h"

namespace spanflow::simd::testing {
namespace {

constexpr size_t kTile = 8 * 16;  // floats of the widest target

std::vector<Op> Chainable() {
  std::vector<Op> ops;
  for (int i = 0; i < kNumOps; ++i) {
    if (IsChainable(static_cast<Op>(i))) ops.push_back(static_cast<Op>(i));
  }
  return ops;
}

// Operands against the guards at both ends, and a chain of random operations over them.
template <Kind kKind>
class RandomChain {
 public:
  using T = Lane<kKind>;

  RandomChain(Engine& engine, size_t n, size_t links, bool at_end) : n_(n) {
    const std::vector<Op> ops = Chainable();
    for (size_t i = 0; i < links; ++i) {
      ChainLink link;
      link.op = ops[engine() % ops.size()];
      const auto arity = static_cast<size_t>(InfoOf(link.op).arity);
      // 0: the first operand is the result so far, 1: the second, 2: both.
      const uint64_t running = arity == 2 ? engine() % 3 : 0;
      for (size_t k = 0; k < arity; ++k) {
        const bool is_result = i != 0 && (running == 2 || k == running);
        if (!is_result) link.in[k] = NewOperand(engine, at_end);
      }
      links_.push_back(link);
    }
  }

  std::span<const ChainLink> links() const { return links_; }
  const std::byte* first_operand() const { return links_[0].in[0].at; }

  // One operation after the other.
  std::vector<T> Expected() const {
    std::vector<T> result(n_), next(n_);
    for (const ChainLink& link : links_) {
      std::vector<std::vector<T>> repeated;
      const void* in[3] = {};
      for (size_t k = 0; k < static_cast<size_t>(InfoOf(link.op).arity); ++k) {
        in[k] = link.in[k].at;
        if (link.in[k].at == nullptr) in[k] = result.data();
        if (link.in[k].repeats) {
          T number;
          std::memcpy(&number, link.in[k].at, sizeof(T));
          in[k] = repeated.emplace_back(n_, number).data();
        }
      }
      FindKernel(link.op, kKind).run(in, next.data(), n_);
      std::swap(result, next);
    }
    return result;
  }

 private:
  ChainOperand NewOperand(Engine& engine, bool at_end) {
    const bool repeats = engine() % 2 == 0 && !links_.empty();
    auto lanes = RandomLanes<kKind>(engine, repeats ? 1 : n_);
    if (repeats) lanes.resize(64 / sizeof(T), lanes[0]);
    auto& memory = memory_.emplace_back(std::make_unique<GuardedBytes>(lanes.size() * sizeof(T)));
    return {memory->Put(lanes.data(), lanes.size() * sizeof(T), at_end), repeats};
  }

  size_t n_;
  std::vector<ChainLink> links_;
  std::vector<std::unique_ptr<GuardedBytes>> memory_;
};

template <class T>
void ExpectSame(const std::vector<T>& expected, const std::byte* got, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    T item;
    std::memcpy(&item, got + i * sizeof(T), sizeof(T));
    ASSERT_TRUE(SameValue(item, expected[i]))
        << i << " of " << n << ": " << item << " for " << expected[i];
    if (item == 0) {
      ASSERT_EQ(std::signbit(item), std::signbit(expected[i])) << i;
    }
  }
}

// The sum of a chain is that of its results, to the bit.
template <Kind kKind>
void ExpectSameSum(std::span<const ChainLink> links, const std::vector<Lane<kKind>>& results) {
  const ReductionKernel sum = FindReduction(Reduction::kSum, kKind);
  Accumulator whole, chained;
  for (Accumulator* acc : {&whole, &chained}) sum.init(acc);
  sum.update(&whole, results.data(), results.size());
  FindChain(kKind).sum(links, results.size(), &chained);
  Lane<kKind> expected, found;
  sum.finish(&whole, 0, &expected);
  sum.finish(&chained, 0, &found);
  ASSERT_TRUE(SameValue(found, expected)) << found << " for " << expected;
  if (found == 0) {
    ASSERT_EQ(std::signbit(found), std::signbit(expected));
  }
}

template <Kind kKind>
void TryChains() {
  using T = Lane<kKind>;
  const ChainKernel kernel = FindChain(kKind);
  ASSERT_NE(kernel.run, nullptr);
  Engine engine(17);
  std::vector<size_t> lengths;
  for (size_t n = 1; n <= 2 * kTile + 3; n += n < 40 ? 1 : 13) lengths.push_back(n);
  lengths.push_back(1024);
  lengths.push_back(5 * kTile * 16 + 77);  // several blocks of a sum
  for (const size_t n : lengths) {
    for (size_t links = 1; links <= kMaxLinks; ++links) {
      const bool at_end = engine() % 2 == 0;
      const RandomChain<kKind> chain(engine, n, links, at_end);
      const std::vector<T> expected = chain.Expected();
      GuardedBytes memory(n * sizeof(T));
      std::byte* const out = at_end ? memory.Before(n * sizeof(T)) : memory.Start();
      kernel.run(chain.links(), out, n);
      ExpectSame(expected, out, n);
      ExpectSameSum<kKind>(chain.links(), expected);
      // In place.
      auto* const in_place = const_cast<std::byte*>(chain.first_operand());
      kernel.run(chain.links(), in_place, n);
      ExpectSame(expected, in_place, n);
    }
  }
}

using ChainTest = OnTarget;

TEST_P(ChainTest, Float32) { TryChains<Kind::kF32>(); }
TEST_P(ChainTest, Float64) { TryChains<Kind::kF64>(); }
TEST_P(ChainTest, OtherKindsHaveNone) {
  for (int i = 0; i < base::kNumKinds; ++i) {
    const auto kind = static_cast<Kind>(i);
    EXPECT_EQ(FindChain(kind).run != nullptr, kind == Kind::kF32 || kind == Kind::kF64);
  }
}
SPANFLOW_ON_EVERY_TARGET(ChainTest);

using TrafficTest = OnTarget;

TEST_P(TrafficTest, EveryByteIsWritten) {
  constexpr size_t kBytes = 3 * 256;
  alignas(64) std::byte out[kBytes + 64];
  for (const auto write : {FindTraffic().write, FindTraffic().stream}) {
    std::ranges::fill(out, std::byte{9});
    write(out, kBytes);
    EXPECT_EQ(std::count(out, out + kBytes, std::byte{1}), kBytes);
    EXPECT_EQ(std::count(out + kBytes, out + kBytes + 64, std::byte{9}), 64);
  }
}

TEST_P(TrafficTest, EveryByteIsRead) {
  constexpr size_t kBytes = 512;
  alignas(64) std::byte in[kBytes] = {};
  EXPECT_EQ(FindTraffic().read(in, kBytes, 0), 0);
  EXPECT_EQ(FindTraffic().read(in, kBytes / 2, kBytes / 2), 0);
  // What comes back is one byte of a vector: each of its places is seen in some of them.
  int seen = 0;
  for (std::byte& byte : in) {
    byte = std::byte{1};
    seen += FindTraffic().read(in, kBytes, 0);
    byte = std::byte{0};
  }
  EXPECT_GE(seen, 8);
}
SPANFLOW_ON_EVERY_TARGET(TrafficTest);

}  // namespace
}  // namespace spanflow::simd::testing
